"""Read from the mirror what paid invoices and one-off checkouts say about credits. It changes nothing.

A price says in its metadata how many credits one unit brings; what it does not say is read from its product:

- `credits`: a whole number, for each unit of the quantity;
- `credits_rollover`: `true` keeps the credits of a subscription; otherwise they end with the period of the line;
- `credits_expire_days`: they last so many days at most, counted from the payment.

Lines of a recurring price bring credits for the time that they cover (`timeline.py`), lines of a one-off price once. A
trial brings none; a free price and a price that a coupon made free do.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import groupby
from typing import Any

import sqlalchemy as sa

from gateway.billing.credits import timeline
from gateway.billing.credits.timeline import CreditLine, Interval, Kept, Tariff
from gateway.billing.subscriptions.paid_time import Order, gives_back, order_of
from gateway.db.tables import table_for
from gateway.models.mirrored import (
    Charge,
    CheckoutSession,
    Dispute,
    Invoice,
    InvoicePayment,
    Price,
    Product,
    Subscription,
    SubscriptionItem,
)

INVOICES, SESSIONS, CHARGES = table_for(Invoice), table_for(CheckoutSession), table_for(Charge)
DISPUTES, PAYMENTS = table_for(Dispute), table_for(InvoicePayment)
PRICES, PRODUCTS = table_for(Price), table_for(Product)
SUBSCRIPTIONS, ITEMS = table_for(Subscription), table_for(SubscriptionItem)

LONGEST_PERIOD = timedelta(days=3 * 366)
"""Stripe's longest interval is three years (API reference, "Create a price", `recurring.interval_count`)."""

Meta = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Grant:
    """The credits of one line.

    Attributes:
        id: the line's.
        units: the credits of a full period, or of the whole line where it has no period.
        granted: how many the line brought.
        kept: what became of its time; None where it has none.
        expires_at: when they run out; None for never.
    """

    id: str
    units: int
    granted: int
    kept: Kept | None
    expires_at: datetime | None


@dataclass(frozen=True, slots=True)
class Purchase:
    """Something that was paid.

    Attributes:
        id: of the invoice or the checkout.
        customer_id: whose it is.
        total: what it cost, in minor units, whether a card or the customer's balance paid it.
        paid_at: when it was paid, on Stripe's clock.
        payment_intents: by which payments.
        grants: what it brings.
    """

    id: str
    customer_id: str
    total: int
    paid_at: datetime
    payment_intents: frozenset[str]
    grants: tuple[Grant, ...]


@dataclass(frozen=True, slots=True)
class _Rule:
    """What a price says about credits and about time."""

    meta: Meta
    price: Mapping[str, Any] | None = None
    interval: Interval | None = None

    def tariff(self, currency: str) -> Tariff | None:
        """Return what the price costs in a currency; None where it is not known."""
        if self.price is None:
            return None
        options = {} if currency == self.price["currency"] else self.price["currency_options"]
        return Tariff.of(options.get(currency) or self.price)

    @property
    def credits(self) -> int:
        return _whole(self.meta.get("credits"))

    @property
    def rolls_over(self) -> bool:
        return self.meta.get("credits_rollover", "").lower() == "true"

    def last_day(self, paid_at: datetime) -> list[datetime]:
        """Return when the credits expire by `credits_expire_days`, if the price has it."""
        days = _whole(self.meta.get("credits_expire_days"))
        return [paid_at + timedelta(days=min(days, 36500))] if days else []


_UNKNOWN = _Rule({})


def read(connection: sa.Connection, ids: Collection[str], renewal_grace: timedelta) -> list[Purchase]:
    """Return these invoices and checkouts, by id, and all invoices whose credits depend on theirs.

    Left out is what is not paid or belongs to no customer.

    Args:
        connection: a transaction.
        ids: of invoices and checkouts.
        renewal_grace: how long a period's credits stay usable while the next invoice is a draft.
    """
    invoices, sessions = _invoices(connection, ids), _sessions(connection, ids)
    named = {line["price"] for invoice in invoices for line in invoice["lines"] if line["price"]}
    named |= {line["price"]["id"] for session in sessions for line in session["line_items"] or () if line["price"]}
    rules = _rules(connection, named)
    subscriptions = _subscriptions(connection, {row["subscription_id"] for row in invoices} - {None})
    quantities = _quantities(connection, subscriptions)
    purchases = _of_invoices(invoices, rules, subscriptions, quantities, renewal_grace)
    intents = _intents(connection, [row["id"] for row in invoices])
    found = [
        Purchase(
            row["id"], row["customer_id"], row["total"], _paid_at(row), intents.get(row["id"], frozenset()), grants
        )
        for row, grants in zip(invoices, purchases, strict=True)
    ]
    found += [_of_session(connection, row, rules) for row in sessions]
    return sorted(found, key=lambda purchase: purchase.id)


# --- Invoices -------------------------------------------------------------------------------------------------


def _invoices(connection: sa.Connection, ids: Collection[str]) -> Sequence[Any]:
    """Return the paid invoices, and those of the same subscriptions whose time may meet theirs, in order."""
    paid = INVOICES.c.status == "paid", INVOICES.c.customer_id.is_not(None), INVOICES.c.deleted.is_(False)
    asked = connection.execute(sa.select(INVOICES).where(INVOICES.c.id.in_(ids), *paid)).mappings().all()
    found = {row["id"]: row for row in asked}
    for subscription_id in {row["subscription_id"] for row in asked} - {None}:
        mine = [row for row in asked if row["subscription_id"] == subscription_id]
        found |= _that_meet(connection, mine, INVOICES.c.subscription_id == subscription_id, *paid)
    return sorted(found.values(), key=_order)


def _that_meet(connection: sa.Connection, rows: Sequence[Any], *conditions: sa.ColumnElement[bool]) -> dict[str, Any]:
    """Return the invoices of a subscription that are needed to judge these.

    First those that cover time in which these begin. Then, until there are no more, all that were made after the time
    of any of them began: a part of them would let time look kept that a later line has taken or given back.
    """
    first = _begins(rows)
    near = INVOICES.c.created >= first - LONGEST_PERIOD
    meets = sa.or_(INVOICES.c.service_end >= first, INVOICES.c.service_end.is_(None))
    condition = sa.and_(near, meets)
    while True:
        query = sa.select(INVOICES).where(sa.or_(condition, INVOICES.c.created >= first), *conditions)
        found = {row["id"]: row for row in connection.execute(query).mappings()}
        earlier = min(first, _begins(list(found.values())))
        if earlier == first:
            return found
        first, condition = earlier, sa.false()


def _begins(rows: Sequence[Any]) -> datetime:
    """Return when the time of some invoices begins: that of their lines, or their own."""
    starts = [_moment(line["period_start"]) for row in rows for line in row["lines"]]
    made: list[datetime] = [row["created"] for row in rows]
    return min([*starts, *made])


def _order(row: Any) -> Order:
    return order_of(row["created"], row["number"])


def _subscriptions(connection: sa.Connection, ids: Collection[str]) -> dict[str, Any]:
    query = sa.select(SUBSCRIPTIONS).where(SUBSCRIPTIONS.c.id.in_(ids))
    return {row["id"]: row for row in connection.execute(query).mappings()}


def _quantities(connection: sa.Connection, subscriptions: Collection[str]) -> dict[str, int | None]:
    query = sa.select(ITEMS.c.id, ITEMS.c.quantity).where(ITEMS.c.subscription_id.in_(subscriptions))
    return {row.id: row.quantity for row in connection.execute(query)}


def _intents(connection: sa.Connection, invoice_ids: Collection[str]) -> dict[str, frozenset[str]]:
    found: dict[str, set[str]] = {}
    query = sa.select(PAYMENTS).where(PAYMENTS.c.invoice_id.in_(invoice_ids))
    for payment in connection.execute(query).mappings():
        if payment["payment_intent_id"]:
            found.setdefault(payment["invoice_id"], set()).add(payment["payment_intent_id"])
    return {invoice: frozenset(intents) for invoice, intents in found.items()}


def _paid_at(row: Any) -> datetime:
    found: datetime = row["paid_at"] or row["created"]
    return found


def _of_invoices(
    invoices: Sequence[Any],
    rules: Mapping[str, _Rule],
    subscriptions: Mapping[str, Any],
    quantities: Mapping[str, int | None],
    renewal_grace: timedelta,
) -> list[tuple[Grant, ...]]:
    """Return the grants of each invoice, in their order."""
    timed: dict[str, list[CreditLine]] = {}
    for row in invoices:
        timed[row["id"]] = _lines_of(row, rules, subscriptions.get(row["subscription_id"]), quantities)
    found = timeline.kept(line for lines in timed.values() for line in lines)
    return [
        (
            *_once(row, rules),
            *(
                _of_time(found[line.id], rules.get(line.price_id or "", _UNKNOWN), row, subscriptions, renewal_grace)
                for line in timed[row["id"]]
                if line.id in found and line.units
            ),
        )
        for row in invoices
    ]


def _is_timed(line: Mapping[str, Any], row: Any, rules: Mapping[str, _Rule]) -> bool:
    """Return whether a line is for time of a subscription: a one-off price on its invoice (a pack, a fee) is not."""
    if not row["subscription_id"] or line["period_start"] >= line["period_end"]:
        return False
    rule = rules.get(line["price"] or "")
    return bool(rule.interval if rule else line.get("subscription_item"))


def _once(row: Any, rules: Mapping[str, _Rule]) -> Iterable[Grant]:
    """Yield the grants of lines that are not for time."""
    for line in row["lines"]:
        rule = rules.get(line["price"] or "", _UNKNOWN)
        units = rule.credits * (line["quantity"] or 0)
        if units > 0 and line["amount"] >= 0 and not gives_back(line) and not _is_timed(line, row, rules):
            yield Grant(line["id"], units, units, None, min(rule.last_day(_paid_at(row)), default=None))


def _lines_of(
    row: Any, rules: Mapping[str, _Rule], subscription: Any, quantities: Mapping[str, int | None]
) -> list[CreditLine]:
    """Return the lines that are for time, those of several tiers as one."""

    def together(line: Mapping[str, Any]) -> tuple[Any, ...]:
        item = line.get("subscription_item") or f"{row['subscription_id']} {line['price']}"  # rows of before 0.2
        return item, line["price"] or "", line["period_start"], line["period_end"], gives_back(line)

    lines = [line for line in row["lines"] if _is_timed(line, row, rules)]
    found = []
    for (item, price, start, end, back), group in groupby(sorted(lines, key=together), key=together):
        same = list(group)
        rule = rules.get(price, _UNKNOWN)
        if same[0]["proration"]:
            same = same[-1:]  # a proration is one line, whatever its tiers; of several the last counts
        amount, tariff = sum(line["amount"] for line in same), rule.tariff(row["currency"])
        units = timeline.units_of([line["quantity"] or 0 for line in same], amount, tariff, quantities.get(item))
        if not back and amount == 0 and _is_trial(start, units, tariff, subscription):
            continue
        found.append(
            CreditLine(
                id=same[0]["id"],
                order=_order(row),
                item=item,
                price_id=price or None,
                units=rule.credits * units,
                covers=(start, end),
                interval=rule.interval,
                proration=bool(same[0]["proration"]),
                gives_back=back,
                credited=frozenset(each for line in same for each in line.get("credited") or ()),
                paid_at=int(_paid_at(row).timestamp()),
            )
        )
    return found


def _is_trial(start: int, units: int, tariff: Tariff | None, subscription: Any) -> bool:
    """Return whether a line that costs nothing is for a trial: it begins in one, or its price has a cost."""
    if subscription is not None and subscription["trial_start"] and subscription["trial_end"]:
        first, last = subscription["trial_start"].timestamp(), subscription["trial_end"].timestamp()
        if first <= start < last:
            return True
    return tariff is not None and tariff.cost(units) * 2 >= 1  # what would round to a minor unit


def _of_time(kept: Kept, rule: _Rule, row: Any, subscriptions: Mapping[str, Any], renewal_grace: timedelta) -> Grant:
    """Return the grant of a line that is for time; it ends with its period, or when the next time is paid."""
    ends = rule.last_day(_paid_at(row))
    if not rule.rolls_over:
        end = _moment(kept.line.covers[1])
        follows = [end + renewal_grace] + ([_moment(kept.next_paid_at)] if kept.next_paid_at else [])
        subscription = subscriptions.get(row["subscription_id"])
        if subscription is not None and subscription["ended_at"]:
            follows.append(subscription["ended_at"])
        ends.append(max(end, min(follows)))
    return Grant(kept.line.id, kept.line.units, kept.granted, kept, min(ends, default=None))


def _moment(seconds: int) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


# --- Checkouts without an invoice -----------------------------------------------------------------------------


def _sessions(connection: sa.Connection, ids: Collection[str]) -> Sequence[Any]:
    """Read the paid one-off checkouts without an invoice; an invoice grants the credits itself."""
    once = SESSIONS.c.mode == "payment", SESSIONS.c.invoice_id.is_(None), SESSIONS.c.customer_id.is_not(None)
    done = SESSIONS.c.status == "complete", SESSIONS.c.payment_status.in_(("paid", "no_payment_required"))
    return connection.execute(sa.select(SESSIONS).where(SESSIONS.c.id.in_(ids), *once, *done)).mappings().all()


def _of_session(connection: sa.Connection, row: Any, rules: Mapping[str, _Rule]) -> Purchase:
    intents = frozenset(filter(None, [row["payment_intent_id"]]))
    paid_at = _charged_at(connection, intents) or row["created"]
    grants = []
    for line in row["line_items"] or ():
        price = line["price"] or {}  # it is whole here, until the mirror has it
        rule = rules.get(price.get("id", "")) or _Rule(price.get("metadata", {}))
        units = rule.credits * (line["quantity"] or 0)
        if units > 0:
            grants.append(Grant(line["id"], units, units, None, min(rule.last_day(paid_at), default=None)))
    return Purchase(row["id"], row["customer_id"], row["amount_total"] or 0, paid_at, intents, tuple(grants))


def _charged_at(connection: sa.Connection, intents: Collection[str]) -> datetime | None:
    """Return when the payment was taken, once its charge is known."""
    of_these = CHARGES.c.payment_intent_id.in_(intents), CHARGES.c.status == "succeeded"
    found: datetime | None = connection.execute(sa.select(sa.func.min(CHARGES.c.created)).where(*of_these)).scalar()
    return found


# --- Prices ---------------------------------------------------------------------------------------------------


def _whole(text: str | None) -> int:
    """Read a whole number; anything else brings no credits, so that a mistake in metadata gives nothing away."""
    return int(text) if text and text.isascii() and text.isdecimal() and len(text) <= len("999999999") else 0


def _rules(connection: sa.Connection, price_ids: Collection[str]) -> dict[str, _Rule]:
    """Read the rule of each price that the mirror knows."""
    query = (
        sa.select(PRICES, PRODUCTS.c.meta.label("product_meta"))
        .join(PRODUCTS, PRODUCTS.c.id == PRICES.c.product_id, isouter=True)
        .where(PRICES.c.id.in_(price_ids))
    )
    found = {}
    for row in connection.execute(query).mappings():
        interval = Interval(row["interval"], row["interval_count"] or 1) if row["interval"] else None
        found[row["id"]] = _Rule({**(row["product_meta"] or {}), **row["meta"]}, dict(row), interval)
    return found


def unknown_prices(connection: sa.Connection, lines: Iterable[Mapping[str, Any]]) -> list[str]:
    """Return which prices of some lines, and which of their products, the mirror does not have, as `kind:id`."""
    named = {line["price"] for line in lines if line["price"]}
    query = (
        sa.select(PRICES.c.id, PRICES.c.product_id, PRODUCTS.c.id.label("product"))
        .join(PRODUCTS, PRODUCTS.c.id == PRICES.c.product_id, isouter=True)
        .where(PRICES.c.id.in_(named))
    )
    rows = connection.execute(query).all()
    missing = [f"price:{name}" for name in sorted(named - {row.id for row in rows})]
    return missing + [f"product:{row.product_id}" for row in rows if row.product is None]


# --- What went back -------------------------------------------------------------------------------------------


def lost(connection: sa.Connection, purchase: Purchase) -> int:
    """Return how much of a purchase went back to the buyer by refunds and lost disputes, in minor units.

    The part of an authorisation that was never taken counts as refunded at Stripe, and does not here.
    """
    theirs = CHARGES.c.payment_intent_id.in_(purchase.payment_intents) | (CHARGES.c.invoice_id == purchase.id)
    charges = connection.execute(sa.select(CHARGES).where(theirs)).mappings().all()
    refunded = sum(max(0, row["amount_refunded"] - (row["amount"] - row["amount_captured"])) for row in charges)
    about = DISPUTES.c.payment_intent_id.in_(purchase.payment_intents) | DISPUTES.c.charge_id.in_(
        [row["id"] for row in charges]
    )
    query = sa.select(sa.func.coalesce(sa.func.sum(DISPUTES.c.amount), 0)).where(about, DISPUTES.c.status == "lost")
    disputed = int(connection.execute(query).scalar_one())
    return int(min(max(purchase.total, 0), refunded + disputed))


def paid_by(connection: sa.Connection, intents: Collection[str], charges: Collection[str]) -> set[str]:
    """Return the invoices and checkouts that were paid by some payment intents or charges."""
    by_charge = (
        connection.execute(
            sa.select(CHARGES.c.payment_intent_id, CHARGES.c.invoice_id).where(CHARGES.c.id.in_(charges))
        )
    ).all()
    intents = {*intents, *(row.payment_intent_id for row in by_charge)} - {None}
    found: set[str] = {row.invoice_id for row in by_charge if row.invoice_id}
    for column, paid in (
        (PAYMENTS.c.payment_intent_id, PAYMENTS.c.invoice_id),
        (SESSIONS.c.payment_intent_id, SESSIONS.c.id),
    ):
        found.update(connection.execute(sa.select(paid).where(column.in_(intents))).scalars())
    return found
