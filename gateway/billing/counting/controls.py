"""What bounds a customer's use beside the plan: a cap on what a period's use may cost, and at what it is told.

The application is told (`usage.threshold`) when a share of the limit is used, once for a period, threshold and limit.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

import sqlalchemy as sa

from gateway.billing.audit import Action, begin, finish
from gateway.billing.counting.counters import MAX_COUNT, Counter, Place
from gateway.billing.subscriptions.validation import check
from gateway.billing.user_errors import Problem, ProblemCode
from gateway.db.database import Database
from gateway.db.queries import PreparedQuery, in_json_array, json_array
from gateway.db.tables import insert, table_for
from gateway.models.metering import UsageControl
from gateway.models.mirrored import Customer
from gateway.outbound import outbox

CONTROLS = table_for(UsageControl)
ALERTS: Final = "gateway.usage_alerts"
"""Under which name a connection's `info` has the thresholds of who has none of his own."""
MAX_ALERTS, MAX_PERCENT = 10, 1_000


@dataclass(frozen=True, slots=True)
class Controls:
    """What bounds a customer's use.

    Attributes:
        alerts: the thresholds, in percent of the limit; None for those of the settings.
        spend_cap: the most that what meters count may cost in a period, in minor units; None for no cap.
        currency: the cap's.
    """

    alerts: tuple[int, ...] | None = None
    spend_cap: int | None = None
    currency: str | None = None

    @property
    def input(self) -> dict[str, Any]:
        """What must be the same under one key, and is answered again."""
        alerts = None if self.alerts is None else list(self.alerts)
        return {"alerts": alerts, "spend_cap": self.spend_cap, "currency": self.currency}


_CONTROLS = PreparedQuery(
    lambda dialect: sa.select(CONTROLS).where(in_json_array(dialect, CONTROLS.c.customer_id, "customers"))
)


def read(connection: sa.Connection, customer_ids: Collection[str]) -> dict[str, Controls]:
    """Return the controls of customers; who has none is left out."""
    rows = _CONTROLS.rows(connection, customers=json_array(customer_ids))
    return {
        row.customer_id: Controls(None if row.alerts is None else tuple(row.alerts), row.spend_cap, row.currency)
        for row in rows
    }


async def set_controls(database: Database, customer: Customer, wanted: Controls, action: Action) -> None:
    """Set what bounds a customer's use, once for the action's key.

    Raises:
        Rejected: it must be fixed.
        DatabaseUnavailable: the database cannot be reached; the same can be asked again.
    """
    check(*action.problems(), _bad_alerts(wanted), _bad_cap(wanted, customer.currency))
    await database.transaction(partial(_set, customer_id=customer.id, wanted=wanted, action=action))


def _set(connection: sa.Connection, customer_id: str, wanted: Controls, action: Action) -> None:
    begun = begin(connection, action, str(action.key))
    if isinstance(begun, dict):
        return
    row = insert(connection, CONTROLS).values(customer_id=customer_id, **wanted.input)
    connection.execute(row.on_conflict_do_update(index_elements=["customer_id"], set_=wanted.input))
    finish(connection, begun, wanted.input)


def due(counter: Counter, limit: int | None, thresholds: Sequence[int]) -> list[int]:
    """Return the thresholds that a counter has come to and nobody was told of.

    Those of another limit are told anew: what was 100 % before an upgrade is not any more.
    """
    notified = counter.alerted if limit == counter.alerted_of else 0
    return [each for each in sorted(thresholds) if limit and each > notified and counter.used * 100 >= each * limit]


def notify(connection: sa.Connection, place: Place, counter: Counter, controls: Controls | None) -> None:
    """Tell the application of the thresholds that a counter has come to."""
    own = controls.alerts if controls else None
    limit = counter.count(place).limit
    for percent in due(counter, limit, connection.info.get(ALERTS, ()) if own is None else own):
        counter.alerted, counter.alerted_of = percent, int(limit or 0)
        data = {"feature": place.feature, "threshold": percent, "used": counter.used, "limit": limit}
        once = f"{place.customer_id} {place.name} {counter.window.start.isoformat()} {percent} {limit}"
        ends = counter.window.end.isoformat()
        outbox.append(connection, place.customer_id, "usage.threshold", {**data, "resetsAt": ends}, once=once)


def _bad_alerts(wanted: Controls) -> Problem | None:
    alerts = wanted.alerts or ()
    if len(alerts) <= MAX_ALERTS and all(1 <= each <= MAX_PERCENT for each in alerts):
        return None
    message = f"at most {MAX_ALERTS} thresholds of 1 to {MAX_PERCENT} percent"
    return Problem(ProblemCode.AMOUNT_INVALID, message, "alertThresholds")


def _bad_cap(wanted: Controls, currency: str | None) -> Problem | None:
    if wanted.spend_cap is None:
        return None
    if not 0 <= wanted.spend_cap <= MAX_COUNT:
        return Problem(ProblemCode.AMOUNT_INVALID, f"a cap is 0 to {MAX_COUNT} minor units", "spendCap")
    if wanted.currency is None or currency not in {None, wanted.currency}:
        message = f"the cap needs the currency in which the customer is billed: {(currency or 'such as USD').upper()}"
        return Problem(ProblemCode.CURRENCY_NOT_OFFERED, message, "currency")
    return None
