"""Corrections: usage that was reported or consumed wrongly is taken back, and written anew where it was another amount.

Nothing is changed: a record with the value below zero takes the wrong one back, at its time. At Stripe it is a meter
event adjustment, which cancels an event within a day of its arrival.
Source: https://docs.stripe.com/api/billing/meter-event-adjustment/create
"""

from datetime import UTC, datetime, timedelta
from functools import partial
from hashlib import sha256
from typing import Any

import sqlalchemy as sa

from gateway.billing.metering import totals
from gateway.billing.metering.usage import MAX_VALUE, USAGE, add_up
from gateway.billing.user_errors import Problem, ProblemCode, Rejected
from gateway.db.database import Database
from gateway.db.locks import advisory_locks
from gateway.models.metering import UsageRecord

CANCELLABLE = timedelta(hours=24)
"""Stripe cancels what it has received since."""


async def adjust(database: Database, identifier: str, value: int | None) -> UsageRecord | None:
    """Take a record back, once; the one that is written in its place.

    Args:
        database: where it is.
        identifier: the record's.
        value: what it should have been; None where it should not be there.

    Raises:
        Rejected: it must be fixed.
        DatabaseUnavailable: the database cannot be reached; the same can be asked again.
    """
    if value is not None and not 0 <= value <= MAX_VALUE:
        raise Rejected(Problem(ProblemCode.AMOUNT_INVALID, f"a value is 0 to {MAX_VALUE}", "value"))
    return await database.transaction(partial(_adjust, identifier=identifier, value=value))


def _adjust(connection: sa.Connection, identifier: str, value: int | None) -> UsageRecord | None:
    wrong = _record(connection, identifier)
    if wrong is None or wrong.adjusts:
        raise Rejected(Problem(ProblemCode.USAGE_NOT_FOUND, "nothing was reported under this identifier", "identifier"))
    advisory_locks(connection, [totals.lock_name(wrong.customer_id, wrong.event_name)])
    name, fingerprint = f"adj_{sha256(identifier.encode()).hexdigest()[:40]}", str(value)
    if before := _record(connection, name):
        if before.fingerprint != fingerprint:
            message = "it was corrected already, to another value: correct the record in its place"
            raise Rejected(Problem(ProblemCode.IDEMPOTENCY_KEY_REUSED, message, "identifier"))
        return _record(connection, f"{name}+")
    wrong = _record(connection, identifier) or wrong  # as it is behind the lock
    _check(wrong)
    present, is_plain = datetime.now(UTC), wrong.status == "counted"
    made: dict[str, Any] = {"attempts": 0, "last_error": None, "created": present}
    made |= {"status": wrong.status if is_plain else "pending", "next_attempt_at": None if is_plain else present}
    back = {"id": name, "value": -wrong.value, "adjusts": identifier, "fingerprint": fingerprint}
    rows = [wrong.model_copy(update={**made, **back})]
    if value is not None:
        rows.append(wrong.model_copy(update={**made, "id": f"{name}+", "value": value, "fingerprint": fingerprint}))
    connection.execute(sa.insert(USAGE), [row.model_dump() for row in rows])
    add_up(connection, rows)
    return rows[1] if value is not None else None


def _check(wrong: UsageRecord) -> None:
    """Refuse what Stripe would not take back.

    Raises:
        Rejected: it would not.
    """
    if wrong.status == "dead":
        message = f"Stripe does not count it: {wrong.last_error}"
        raise Rejected(Problem(ProblemCode.USAGE_NOT_FOUND, message, "identifier"))
    if wrong.status != "counted" and datetime.now(UTC) - wrong.created > CANCELLABLE:
        message = "it is too late: Stripe takes usage back within 24 hours"
        raise Rejected(Problem(ProblemCode.TIMESTAMP_INVALID, message, "identifier"))


def _record(connection: sa.Connection, identifier: str) -> UsageRecord | None:
    row = connection.execute(sa.select(USAGE).where(USAGE.c.id == identifier)).mappings().first()
    return UsageRecord(**row) if row else None
