"""Messages that the application makes mails of: trials that end, renewals that come, and cards that expire.

Each says what a mail needs (address, name, amounts, moments), and is sent once: what was told is kept as the state of
its subject. Stripe tells three days before a trial ends, and some days before a renewal as the account is set up. Of
cards of today's kind it tells nothing before they expire (`customer.source.expiring` is about older ones), so they are
looked for here.
"""

from datetime import datetime
from functools import cache
from typing import Any

import sqlalchemy as sa

from gateway.db.clock import now
from gateway.db.database import ENDPOINTS, Database
from gateway.db.tables import insert, table_for
from gateway.mirror.accounts import own
from gateway.mirror.mapping import Json, id_of
from gateway.models.columns import utc
from gateway.models.mirrored import Customer, PaymentMethod, Subscription
from gateway.models.outbound import OutboxState
from gateway.models.statuses import OCCUPYING
from gateway.outbound.outbox import append

STATES, CUSTOMERS = table_for(OutboxState), table_for(Customer)
METHODS, SUBSCRIPTIONS = table_for(PaymentMethod), table_for(Subscription)
LOOK_SECONDS = 3600
BATCH = 200
"""So many cards are told of in one transaction."""


def remind_of_trial(connection: sa.Connection, subscription: Json) -> None:
    """Append `trial.ending`, once for each end.

    Args:
        connection: the transaction that applies the event.
        subscription: Stripe's, of the event `customer.subscription.trial_will_end`.
    """
    ends = subscription["trial_end"]
    if not ends or not _is_new(connection, f"{subscription['id']} trial {ends}"):
        return
    items = subscription["items"]["data"]
    bought = [
        {
            "priceId": item["price"]["id"],
            "productId": id_of(item["price"]["product"]),
            "quantity": item.get("quantity"),
            "unitAmount": item["price"].get("unit_amount"),
        }
        for item in items
    ]
    customer_id = str(id_of(subscription["customer"]))
    said = {"subscriptionId": subscription["id"], "trialEnd": _iso(ends), "currency": subscription["currency"]}
    pays = id_of(subscription["default_payment_method"]) or _default_of(connection, customer_id)
    more = {"items": bought, "hasPaymentMethod": pays is not None, **person(connection, customer_id)}
    append(connection, customer_id, "trial.ending", {**said, **more})


def remind_of_renewal(connection: sa.Connection, invoice: Json) -> None:
    """Append `renewal.upcoming`, once for each renewal.

    Args:
        connection: the transaction that applies the event.
        invoice: Stripe's, of the event `invoice.upcoming`; it has no id yet.
    """
    parent = (invoice.get("parent") or {}).get("subscription_details") or {}
    subscription_id = id_of(parent.get("subscription") or invoice.get("subscription"))
    at = invoice.get("next_payment_attempt") or invoice["period_end"]
    if subscription_id is None or not _is_new(connection, f"{subscription_id} renews {invoice['period_end']}"):
        return
    lines = [{name: line[name] for name in ("description", "amount")} for line in invoice["lines"]["data"]]
    customer_id = str(id_of(invoice["customer"]))
    amounts = {"currency": invoice["currency"], "total": invoice["total"], "amountDue": invoice["amount_due"]}
    said = {"subscriptionId": subscription_id, "chargedAt": _iso(at), **amounts, "lines": lines}
    append(connection, customer_id, "renewal.upcoming", {**said, **person(connection, customer_id)})


async def run_card_reminders(database: Database) -> None:
    """Look for cards that expire with this month, until cancelled."""
    while True:
        while await database.transaction(remind_of_cards) == BATCH:
            pass
        await database.clock.sleep(LOOK_SECONDS)


def remind_of_cards(connection: sa.Connection) -> int:
    """Append `payment_method.expiring` for cards that pay a subscription and expire with this month, once for each.

    Returns:
        how many were told of; `BATCH` where there may be more.
    """
    moment = now(connection)
    suffix = f" expires {moment:%Y-%m}"
    given = {"year": moment.year, "month": moment.month, "suffix": suffix}
    found = connection.execute(_expiring(), given).mappings().all()
    for method in found:
        if _is_new(connection, f"{method['id']}{suffix}"):
            card = {"brand": method["brand"], "last4": method["last4"]}
            expiry = {"expMonth": method["exp_month"], "expYear": method["exp_year"]}
            said = {"paymentMethodId": method["id"], **card, **expiry}
            customer_id = method["customer_id"]
            append(connection, customer_id, "payment_method.expiring", {**said, **person(connection, customer_id)})
    return len(found)


@cache
def _expiring() -> sa.Select[Any]:
    """SELECT cards that pay a subscription and expire with a month, and that were not told of."""
    reminded = sa.select(STATES.c.id).where(STATES.c.id == METHODS.c.id + sa.bindparam("suffix"))
    live = SUBSCRIPTIONS.c.status.in_(OCCUPYING), SUBSCRIPTIONS.c.deleted.is_(False)
    named = SUBSCRIPTIONS.c.default_payment_method_id
    pays = sa.or_(named == METHODS.c.id, named.is_(None) & (CUSTOMERS.c.default_payment_method_id == METHODS.c.id))
    return (
        sa.select(METHODS)
        .join(CUSTOMERS, CUSTOMERS.c.id == METHODS.c.customer_id)
        .where(METHODS.c.exp_year == sa.bindparam("year"), METHODS.c.exp_month == sa.bindparam("month"))
        .where(own(METHODS.c.id), METHODS.c.deleted.is_(False), CUSTOMERS.c.deleted.is_(False))
        .where(CUSTOMERS.c.payer_unverified.is_(False), ~reminded.exists())
        .where(sa.exists().where(SUBSCRIPTIONS.c.customer_id == CUSTOMERS.c.id, *live, pays))
        .order_by(METHODS.c.id)
        .limit(BATCH)
    )


def person(connection: sa.Connection, customer_id: str | None) -> dict[str, Any]:
    """Return to whom a mail goes."""
    query = sa.select(CUSTOMERS.c.email, CUSTOMERS.c.name).where(CUSTOMERS.c.id == customer_id)
    found = connection.execute(query).first()
    return {"email": found.email, "name": found.name} if found else {"email": None, "name": None}


def _default_of(connection: sa.Connection, customer_id: str) -> str | None:
    query = sa.select(CUSTOMERS.c.default_payment_method_id).where(CUSTOMERS.c.id == customer_id)
    return connection.execute(query).scalar()


def _is_new(connection: sa.Connection, name: str) -> bool:
    """Return whether something was not told yet, and note that it is; nothing is told where nobody listens."""
    if not connection.info.get(ENDPOINTS):
        return False
    new = insert(connection, STATES).values(id=name, state="told").on_conflict_do_nothing()
    return connection.execute(new.returning(STATES.c.id)).scalar() is not None


def _iso(seconds: int) -> str:
    moment = utc(seconds)
    assert isinstance(moment, datetime)  # noqa: S101 - only None is none
    return moment.isoformat()
