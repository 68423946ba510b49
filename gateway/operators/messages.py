"""The webhooks to the application, for operators: what was told, to whom it was not, and how it is told again."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa

from gateway.billing.pagination import Found, Order, Page, newest
from gateway.db.database import Database
from gateway.models.columns import OPEN_PREDICATE
from gateway.outbound.outbox import DELIVERIES, MESSAGES

STATUSES = ("delivered", "pending", "dead")
COLUMNS = [
    *(MESSAGES.c.message_id.label("id"), MESSAGES.c.type, MESSAGES.c.created),
    *(MESSAGES.c.customer_id, DELIVERIES.c.endpoint, DELIVERIES.c.status, DELIVERIES.c.attempts),
    *(DELIVERIES.c.next_attempt_at, DELIVERIES.c.last_error),
]

NUMBER = MESSAGES.c.id.label("number")
ORDER = Order(MESSAGES.c.created, NUMBER, DELIVERIES.c.endpoint)


def deliveries(status: str | None = None) -> sa.Select[Any]:
    """Return the query of the messages with their deliveries."""
    query = sa.select(*COLUMNS).join(DELIVERIES, DELIVERIES.c.id == MESSAGES.c.id)
    if status in {"pending", "dead"}:
        return query.where(DELIVERIES.c.status == status, sa.text(f"outbox_delivery.{OPEN_PREDICATE}"))
    return query if status is None else query.where(DELIVERIES.c.status == status)


async def list_messages(
    database: Database, status: str | None, customer_id: str | None, first: int, after: str | None
) -> Page[Found]:
    """Return a page of the messages, each as often as there are endpoints, the newest first.

    Raises:
        BadInput: `first` is out of range, or `after` is no cursor.
    """
    query = deliveries(status).add_columns(NUMBER, MESSAGES.c.payload)
    chosen = query if customer_id is None else query.where(MESSAGES.c.customer_id == customer_id)
    return await newest(database, chosen, ORDER, first, after, make=dict)


async def deliver_again(database: Database, ids: Sequence[str] | None = None) -> int:
    """Make messages due, all dead ones without `ids`; the running gateway sends them. How many deliveries there are."""
    chosen = sa.select(MESSAGES.c.id).where(MESSAGES.c.message_id.in_(ids or []))
    which = DELIVERIES.c.status == "dead" if ids is None else DELIVERIES.c.id.in_(chosen)
    fresh = {"status": "pending", "attempts": 0, "next_attempt_at": datetime.now(UTC), "last_error": None}
    update = sa.update(DELIVERIES).where(which).values(**fresh)
    return await database.transaction(lambda connection: connection.execute(update).rowcount)
