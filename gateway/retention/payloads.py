"""Empty the payloads of events about a person: what stays is which event it was, and about which object.

Such an event can still be replayed: what it no longer says is then read from Stripe.
"""

import asyncio
import re
from collections.abc import Sequence
from datetime import datetime
from functools import partial
from typing import Any, NamedTuple

import orjson
import sqlalchemy as sa

from gateway.db.database import Database
from gateway.db.tables import table_for
from gateway.models.inbox import Event
from gateway.retention.person import Person
from gateway.retention.prune import BATCH, PAUSE_SECONDS

EVENTS = table_for(Event)
APPLYING = ("pending", "failed")
"""Of an event whose payload is still needed; it is emptied by a later look."""
_IDS = re.compile(r"[A-Za-z]+_[A-Za-z0-9_]+")
_RETAINED = ("id", "object", "api_version", "created", "livemode", "type", "account", "context")


class Emptied(NamedTuple):
    """How many payloads were emptied, and whether others are to be later, because they are still being applied."""

    payloads: int
    waits: bool


async def empty_payloads(
    database: Database, person: Person, *, account: str | None = None, dry_run: bool = False
) -> Emptied:
    """Empty the payloads of all events about a person, a few at a time.

    Args:
        database: where they are.
        person: whose objects' ids or addresses they hold.
        account: only those of this connected account.
        dry_run: only count.

    Raises:
        DatabaseUnavailable: the database cannot be reached; done again, it goes on.
    """
    count, waits, after = 0, False, ""
    while rows := await database.read(partial(_batch, after, account)):
        after = rows[-1].id
        about = [row for row in rows if _is_about(row.payload, person)]
        found = {row: text for row in about if (text := emptied_payload(row.payload)) != row.payload}
        emptied = {row.id: text for row, text in found.items() if row.status not in APPLYING}
        waits |= len(emptied) < len(found)
        if emptied and not dry_run:
            await database.transaction(partial(_write, emptied))
            await asyncio.sleep(PAUSE_SECONDS)
        count += len(emptied)
    return Emptied(count, waits)


def emptied_payload(payload: str) -> str:
    """Return what stays of a payload: the event's own names, and its object's id, kind and customer."""
    event = orjson.loads(payload)
    if event.get("object") == "v2.core.event":  # names its object, and says nothing of it
        return payload
    obj = event["data"]["object"]
    stays = {name: obj[name] for name in ("id", "object", "customer") if isinstance(obj.get(name), str)}
    made = {name: event[name] for name in _RETAINED if name in event} | {"data": {"object": stays}}
    return payload if made == event else orjson.dumps(made).decode()


def _is_about(payload: str, person: Person) -> bool:
    if not person.objects.isdisjoint(_IDS.findall(payload)):
        return True
    lower = payload.lower()
    return any(f'"{email}"' in lower for email in person.emails)


def _batch(after: str, account: str | None, connection: sa.Connection) -> Sequence[Any]:
    columns = EVENTS.c.id, EVENTS.c.status, EVENTS.c.payload
    query = sa.select(*columns).where(EVENTS.c.id > after).order_by(EVENTS.c.id).limit(BATCH)
    return connection.execute(query.where(EVENTS.c.account == account) if account else query).all()


def _write(emptied: dict[str, str], connection: sa.Connection) -> None:
    overwrite_freed(connection)
    for event_id, payload in emptied.items():
        this = EVENTS.c.id == event_id, EVENTS.c.status.not_in(APPLYING)
        connection.execute(sa.update(EVENTS).where(*this).values(payload=payload, last_error=None))


def overwrite_freed(connection: sa.Connection) -> None:
    """Have SQLite overwrite what this connection frees, which otherwise stays in the file until it is used again."""
    if connection.dialect.name == "sqlite":
        connection.exec_driver_sql("PRAGMA secure_delete = ON")


def second_look_due(asked_at: datetime, scanned_at: datetime | None, now: datetime, days: int) -> bool:
    """Return whether payloads are to be looked through for an erasure: at once, and when so many days have passed."""
    if scanned_at is None:
        return True
    return (scanned_at - asked_at).days < days <= (now - asked_at).days
