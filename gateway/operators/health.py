"""How the gateway stands, for operators: its queues, how late they are, and when each secret was last of use."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from gateway.billing.metering.forwarder import USAGE, count_open_usage
from gateway.billing.subscriptions.access_changes import count_due_customers
from gateway.db.clock import now
from gateway.db.database import Database
from gateway.db.rows import all_rows
from gateway.models.columns import OPEN_PREDICATE, PENDING
from gateway.models.inbox import OPEN_EVENTS_PREDICATE
from gateway.models.infra import WebhookSecretUse
from gateway.outbound.outbox import DELIVERIES, count_open_deliveries
from gateway.settings import Settings
from gateway.webhooks.inbox import count_open_events
from gateway.webhooks.outcomes import EVENTS


@dataclass(frozen=True, slots=True)
class Queue:
    """What waits in a queue.

    Attributes:
        name: of the queue.
        pending: how much is due, or will be.
        failed: how much of it has failed and is tried again.
        dead: how much was given up.
        late_seconds: for how long the oldest of it has been due; 0 where nothing is.
    """

    name: str
    pending: int
    failed: int
    dead: int
    late_seconds: int


@dataclass(frozen=True, slots=True)
class SecretUse:
    """A signing secret of Stripe's deliveries, by its label, and when it last proved one."""

    label: str
    last_used_at: datetime | None


_DUE = {
    "inbox": sa.select(sa.func.min(EVENTS.c.next_attempt_at)).where(
        sa.text(OPEN_EVENTS_PREDICATE), EVENTS.c.status.in_(("pending", "failed"))
    ),
    "usage": sa.select(sa.func.min(USAGE.c.next_attempt_at)).where(sa.text(OPEN_PREDICATE), USAGE.c.status == PENDING),
    "outbox": sa.select(sa.func.min(DELIVERIES.c.next_attempt_at)).where(
        sa.text(OPEN_PREDICATE), DELIVERIES.c.status == PENDING
    ),
}


async def queues(database: Database) -> list[Queue]:
    """Return how each queue stands."""

    def read(connection: sa.Connection) -> list[Queue]:
        counts = {
            "inbox": count_open_events(connection),
            "usage": count_open_usage(connection),
            "outbox": count_open_deliveries(connection),
            "access": count_due_customers(connection),
        }
        moment = now(connection)
        late = {name: _late(connection.execute(query).scalar(), moment) for name, query in _DUE.items()}
        return [
            Queue(name, each.get("pending", 0), each.get("failed", 0), each.get("dead", 0), late.get(name, 0))
            for name, each in counts.items()
        ]

    return await database.read(read)


def _late(due: datetime | None, moment: datetime) -> int:
    return max(0, int((moment - due).total_seconds())) if due else 0


async def secrets(database: Database, settings: Settings) -> Sequence[SecretUse]:
    """Return the signing secrets, each with when it was last of use, so that an old one can be removed."""
    rows = await database.read(lambda connection: all_rows(connection, WebhookSecretUse))
    used = {row.label: row.last_used_at for row in rows}
    return [SecretUse(label, used.get(label)) for label, _ in settings.stripe_webhook_secrets]
