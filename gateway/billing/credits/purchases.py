"""Read from the mirror what was paid, what it brings (`grants.py`) and how much of it went back. It changes nothing."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from gateway.billing import returns
from gateway.billing.catalog.credit_kinds import kinds_in
from gateway.billing.credits import for_life
from gateway.billing.credits.for_life import OwnedLine
from gateway.billing.credits.grants import Grant, is_free, moment, of_invoices, of_session, order, paid_at
from gateway.billing.credits.kinds import read_kinds, split, with_kind
from gateway.billing.credits.prices import CreditRule, read_rules
from gateway.db.queries import PreparedQuery, in_json_array, json_array
from gateway.db.tables import table_for
from gateway.models.mirrored import (
    Charge,
    CheckoutSession,
    Invoice,
    InvoicePayment,
    Subscription,
    SubscriptionItem,
)

INVOICES, SESSIONS, CHARGES = table_for(Invoice), table_for(CheckoutSession), table_for(Charge)
PAYMENTS = table_for(InvoicePayment)
SUBSCRIPTIONS, ITEMS = table_for(Subscription), table_for(SubscriptionItem)

LONGEST_PERIOD = timedelta(days=3 * 366)
"""Stripe's longest interval is three years (API reference, "Create a price", `recurring.interval_count`)."""

# Each is made once: that costs several times what it takes to run it.
_IDS: sa.BindParameter[Any] = sa.bindparam("ids", expanding=True)
_FIRST, _EARLIEST = (sa.bindparam(name, type_=INVOICES.c.created.type) for name in ("first", "earliest"))
_PAID = sa.select(*INVOICES.c, returns.of_invoice(INVOICES.c.id).label("returned")).where(
    INVOICES.c.status == "paid", INVOICES.c.customer_id.is_not(None), INVOICES.c.deleted.is_(False)
)
_ASKED = _PAID.where(INVOICES.c.id.in_(_IDS))
_LATER = _PAID.where(INVOICES.c.subscription_id == sa.bindparam("subscription"), INVOICES.c.created >= _EARLIEST)
_THAT_MEET = _LATER.where(
    sa.or_(INVOICES.c.created >= _FIRST, INVOICES.c.service_end >= _FIRST, INVOICES.c.service_end.is_(None))
)
_BESIDE = _PAID.where(INVOICES.c.customer_id == sa.bindparam("customer"), INVOICES.c.service_end > _FIRST)
_SESSIONS = sa.select(*SESSIONS.c, returns.of_payment(SESSIONS.c.payment_intent_id).label("returned")).where(
    SESSIONS.c.mode == "payment",
    SESSIONS.c.invoice_id.is_(None),
    SESSIONS.c.customer_id.is_not(None),
    SESSIONS.c.status == "complete",
    SESSIONS.c.payment_status.in_(("paid", "no_payment_required")),
    SESSIONS.c.id.in_(_IDS),
)
_SUBSCRIPTIONS = sa.select(SUBSCRIPTIONS).where(SUBSCRIPTIONS.c.id.in_(_IDS))
_QUANTITIES = sa.select(ITEMS.c.id, ITEMS.c.quantity).where(ITEMS.c.subscription_id.in_(_IDS))
_CHARGED_AT = sa.select(sa.func.min(CHARGES.c.created)).where(
    CHARGES.c.payment_intent_id == sa.bindparam("intent"), CHARGES.c.status == "succeeded"
)


def _where_in(wanted: sa.Column[Any], *columns: sa.ColumnElement[Any]) -> PreparedQuery:
    """Return the query of some columns where one is among `ids`."""
    return PreparedQuery(lambda dialect: sa.select(*columns).where(in_json_array(dialect, wanted, "ids")))


_BY_CHARGE = _where_in(CHARGES.c.id, CHARGES.c.payment_intent_id, CHARGES.c.invoice_id)
_PAID_BY = (
    _where_in(PAYMENTS.c.payment_intent_id, PAYMENTS.c.invoice_id.label("id")),
    _where_in(PAYMENTS.c.charge_id, PAYMENTS.c.invoice_id.label("id")),
    _where_in(SESSIONS.c.payment_intent_id, SESSIONS.c.id),
)
"""The invoices and checkouts of payment intents, of charges, and of payment intents."""


@dataclass(frozen=True, slots=True)
class Purchase:
    """Something that was paid, as far as it is about one kind of credits.

    Attributes:
        id: of the invoice or the checkout, with the kind (`kinds.py`).
        account_id: the account of credits that it is about.
        total: what it cost, in minor units, whether a card or the customer's balance paid it.
        returned: how much of that went back to the buyer, in minor units.
        paid_at: when it was paid, on Stripe's clock.
        grants: the credits that it brings.
        owned: what it brings for life.
    """

    id: str
    account_id: str
    total: int
    returned: int
    paid_at: datetime
    grants: tuple[Grant, ...]
    owned: tuple[OwnedLine, ...] = ()

    @property
    def customer_id(self) -> str:
        """Whose it is."""
        return split(self.account_id)[0]


def read(connection: sa.Connection, ids: Collection[str], renewal_grace: timedelta) -> list[Purchase]:
    """Return these invoices and checkouts, by id and kind, and all invoices whose credits depend on theirs.

    Left out is what is not paid or belongs to no customer.

    Args:
        connection: a transaction.
        ids: of invoices and checkouts.
        renewal_grace: how long a period's credits stay usable while the next invoice is a draft.
    """
    invoices, sessions = _invoices(connection, ids), _sessions(connection, ids)
    rules = _rules(connection, invoices, sessions)
    subscriptions = _subscriptions(connection, {row["subscription_id"] for row in invoices} - {None})
    quantities = _quantities(connection, subscriptions)
    charged = [_charged_at(connection, row["payment_intent_id"]) or row["created"] for row in sessions]
    kinds = kinds_in(rule.meta for rule in rules.values())  # and those that were brought before the metadata changed
    kinds.update(*read_kinds(connection, {row["customer_id"] for row in (*invoices, *sessions)}).values())
    found = []
    for kind in ("", *kinds):
        its = {price_id: rule.of_kind(kind) for price_id, rule in rules.items()}
        granted = of_invoices(invoices, its, subscriptions, quantities, renewal_grace)
        for row, grants in zip(invoices, granted, strict=True):
            owned = () if kind else for_life.of_invoice(row, rules)
            about = with_kind(row["id"], kind), with_kind(row["customer_id"], kind)
            found.append(Purchase(*about, row["total"], row["returned"], paid_at(row), _of_kind(grants, kind), owned))
        for row, at in zip(sessions, charged, strict=True):
            owned = () if kind else for_life.of_session(row, rules)
            about, grants = (with_kind(row["id"], kind), with_kind(row["customer_id"], kind)), of_session(row, its, at)
            found.append(Purchase(*about, row["amount_total"] or 0, row["returned"], at, _of_kind(grants, kind), owned))
    return sorted(found, key=lambda purchase: purchase.id)


def _rules(connection: sa.Connection, invoices: Sequence[Any], sessions: Sequence[Any]) -> dict[str, CreditRule]:
    """Return what the prices of some purchases say."""
    named = {line["price"] for invoice in invoices for line in invoice["lines"] if line["price"]}
    sold = [line["price"] for session in sessions for line in session["line_items"] or () if line["price"]]
    # a session's price is whole, until the mirror has it
    whole = {price["id"]: CreditRule(price.get("metadata", {})) for price in sold}
    return whole | read_rules(connection, named | whole.keys())


def _of_kind(grants: Iterable[Grant], kind: str) -> tuple[Grant, ...]:
    """Return what lines bring of a kind, under its name."""
    return tuple(replace(grant, id=with_kind(grant.id, kind)) for grant in grants)


def _invoices(connection: sa.Connection, ids: Collection[str]) -> Sequence[Any]:
    """Return the paid invoices, and those whose time may meet theirs, in order.

    They are of the same subscriptions; beside free time, of the same customer.
    """
    asked = connection.execute(_ASKED, {"ids": [*ids]}).mappings().all()
    free = [row for row in asked if any(map(is_free, row["lines"]))]
    for customer_id in {row["customer_id"] for row in free}:
        its = {"customer": customer_id, "first": _begins([row for row in free if row["customer_id"] == customer_id])}
        asked = [*asked, *connection.execute(_BESIDE, its).mappings()]
    found = {row["id"]: row for row in asked}
    for subscription_id in {row["subscription_id"] for row in asked} - {None}:
        found |= _that_meet(connection, [row for row in asked if row["subscription_id"] == subscription_id])
    return sorted(found.values(), key=order)


def _that_meet(connection: sa.Connection, rows: Sequence[Any]) -> dict[str, Any]:
    """Return the invoices of a subscription that are needed to judge these of its.

    First those that cover time in which these begin. Then, until there are no more, all that were made after the time
    of any of them began: a part of them would let time look kept that a later line has taken or given back.
    """
    first, subscription = _begins(rows), rows[0]["subscription_id"]
    query, given = _THAT_MEET, {"subscription": subscription, "first": first, "earliest": first - LONGEST_PERIOD}
    while True:
        found = {row["id"]: row for row in connection.execute(query, given).mappings()}
        earlier = min(first, _begins(list(found.values())))
        if earlier == first:
            return found
        first, query, given = earlier, _LATER, {"subscription": subscription, "earliest": earlier}


def _begins(rows: Sequence[Any]) -> datetime:
    """Return when the time of some invoices begins: that of their lines, or their own."""
    starts = [moment(line["period_start"]) for row in rows for line in row["lines"]]
    made: list[datetime] = [row["created"] for row in rows]
    return min([*starts, *made])


def _subscriptions(connection: sa.Connection, ids: Collection[str]) -> dict[str, Any]:
    return {row["id"]: row for row in connection.execute(_SUBSCRIPTIONS, {"ids": [*ids]}).mappings()} if ids else {}


def _quantities(connection: sa.Connection, subscriptions: Collection[str]) -> dict[str, int | None]:
    if not subscriptions:
        return {}
    return {row.id: row.quantity for row in connection.execute(_QUANTITIES, {"ids": [*subscriptions]})}


def _sessions(connection: sa.Connection, ids: Collection[str]) -> Sequence[Any]:
    """Read the paid one-off checkouts without an invoice; an invoice grants the credits itself."""
    return connection.execute(_SESSIONS, {"ids": [*ids]}).mappings().all()


def _charged_at(connection: sa.Connection, intent: str | None) -> datetime | None:
    """Return when the payment was taken, once its charge is known; what cost nothing has none."""
    return connection.execute(_CHARGED_AT, {"intent": intent}).scalar() if intent else None


def paid_by(connection: sa.Connection, intents: Collection[str], charges: Collection[str]) -> set[str]:
    """Return the invoices and checkouts that were paid by some payment intents or charges."""
    by_charge = _BY_CHARGE.rows(connection, ids=json_array(charges)) if charges else []
    intents = {*intents, *(row.payment_intent_id for row in by_charge)} - {None}
    found: set[str] = {row.invoice_id for row in by_charge if row.invoice_id}
    for query, names in zip(_PAID_BY, (intents, charges, intents), strict=True):
        if names:
            found.update(row.id for row in query.rows(connection, ids=json_array(names)))
    return found
