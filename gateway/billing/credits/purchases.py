"""What a paid invoice or a paid one-off checkout says about credits. It reads the copy and changes nothing.

A price says in its metadata how many credits one unit brings; what it does not say is looked for at its product:

- `credits`: a whole number, for each unit of the quantity;
- `credits_rollover`: `true` keeps the credits of a subscription; otherwise they last until the period of the line ends;
- `credits_expire_days`: they last so many days at most.

A line that is prorated (a change in the middle of a period) and one of a trial bring none: the next period does.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import sqlalchemy as sa

from gateway.db.tables import table_for
from gateway.models.mirrored import Charge, CheckoutSession, Dispute, Invoice, InvoicePayment, Price, Product

INVOICES, SESSIONS, CHARGES = table_for(Invoice), table_for(CheckoutSession), table_for(Charge)
DISPUTES, PAYMENTS = table_for(Dispute), table_for(InvoicePayment)
PRICES, PRODUCTS = table_for(Price), table_for(Product)

Meta = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Grant:
    """The credits of one line.

    Attributes:
        id: the line's.
        amount: how many.
        expires_at: when they run out; None for never.
    """

    id: str
    amount: int
    expires_at: datetime | None


@dataclass(frozen=True, slots=True)
class Purchase:
    """Something that was paid.

    Attributes:
        id: of the invoice or the checkout.
        customer_id: whose it is.
        paid: what was paid, in minor units.
        paid_at: when, on Stripe's clock.
        payment_intents: by which payments.
        grants: what it brings.
    """

    id: str
    customer_id: str
    paid: int
    paid_at: datetime
    payment_intents: frozenset[str]
    grants: tuple[Grant, ...]


def read(connection: sa.Connection, ids: Collection[str]) -> list[Purchase]:
    """The purchases among these invoices and checkouts that are paid and belong to a customer, by id."""
    paid = INVOICES.c.id.in_(ids), INVOICES.c.status == "paid", INVOICES.c.customer_id.is_not(None)
    invoices = connection.execute(sa.select(INVOICES).where(*paid)).mappings().all()
    # a checkout that makes an invoice leaves the credits to the invoice
    once = SESSIONS.c.mode == "payment", SESSIONS.c.invoice_id.is_(None), SESSIONS.c.customer_id.is_not(None)
    done = SESSIONS.c.status == "complete", SESSIONS.c.payment_status.in_(("paid", "no_payment_required"))
    query = sa.select(SESSIONS).where(SESSIONS.c.id.in_(ids), *once, *done)
    sessions = connection.execute(query).mappings().all()
    named = {line["price"] for invoice in invoices for line in invoice["lines"] if line["price"]}
    named |= {line["price"]["id"] for session in sessions for line in session["line_items"] or () if line["price"]}
    rules = _rules(connection, named)
    paying: dict[str, set[str]] = {}
    found = connection.execute(sa.select(PAYMENTS).where(PAYMENTS.c.invoice_id.in_([i["id"] for i in invoices])))
    for payment in found.mappings():
        paying.setdefault(payment["invoice_id"], set()).add(payment["payment_intent_id"])
    purchases = [_of_invoice(row, rules, paying.get(row["id"], set())) for row in invoices]
    purchases += [_of_session(row, rules) for row in sessions]
    return sorted(purchases, key=lambda purchase: purchase.id)


def _of_invoice(row: Any, rules: Mapping[str, tuple[Meta, int | None]], intents: Iterable[str]) -> Purchase:
    grants = []
    for line in row["lines"]:
        meta, unit_amount = rules.get(line["price"], ({}, None))
        trial = line["amount"] == 0 and unit_amount
        if line["proration"] or trial or line["amount"] < 0:
            continue
        end = datetime.fromtimestamp(line["period_end"], UTC) if row["subscription_id"] else None
        start = row["paid_at"] or row["created"]
        grants += _grant(line["id"], meta, line["quantity"], start, end)
    return Purchase(
        row["id"],
        row["customer_id"],
        row["amount_paid"],
        row["paid_at"] or row["created"],
        frozenset(filter(None, intents)),
        tuple(grants),
    )


def _of_session(row: Any, rules: Mapping[str, tuple[Meta, int | None]]) -> Purchase:
    grants = []
    for line in row["line_items"] or ():
        price = line["price"] or {}  # it is whole here, for the time before the copy has it
        meta, _ = rules.get(price.get("id", ""), (price.get("metadata", {}), None))
        grants += _grant(line["id"], meta, line["quantity"], row["created"], None)
    intents = frozenset(filter(None, [row["payment_intent_id"]]))
    return Purchase(row["id"], row["customer_id"], row["amount_total"] or 0, row["created"], intents, tuple(grants))


def _grant(id: str, meta: Meta, quantity: int | None, start: datetime, period_end: datetime | None) -> list[Grant]:
    """The credits of a line, if it brings any. Metadata that is no whole number brings none: a slip is no gift."""
    amount = _whole(meta.get("credits")) * (quantity or 0)
    if amount <= 0:
        return []
    ends = [] if period_end is None or meta.get("credits_rollover", "").lower() == "true" else [period_end]
    if days := _whole(meta.get("credits_expire_days")):
        ends.append(start + timedelta(days=min(days, 36500)))
    return [Grant(id, amount, min(ends, default=None))]


def _whole(text: str | None) -> int:
    return int(text) if text and text.isascii() and text.isdecimal() and len(text) <= len("999999999") else 0


def _rules(connection: sa.Connection, price_ids: Collection[str]) -> dict[str, tuple[Meta, int | None]]:
    """The metadata that counts for each price, and its amount."""
    query = (
        sa.select(PRICES.c.id, PRICES.c.meta, PRICES.c.unit_amount, PRODUCTS.c.meta.label("product_meta"))
        .join(PRODUCTS, PRODUCTS.c.id == PRICES.c.product_id, isouter=True)
        .where(PRICES.c.id.in_(price_ids))
    )
    rows = connection.execute(query).all()
    return {row.id: ({**(row.product_meta or {}), **row.meta}, row.unit_amount) for row in rows}


def unknown_prices(connection: sa.Connection, lines: Iterable[Mapping[str, Any]]) -> list[str]:
    """The prices of some lines that the copy does not have, or whose product it does not have (as `kind:id`)."""
    named = {line["price"] for line in lines if line["price"]}
    query = (
        sa.select(PRICES.c.id, PRICES.c.product_id, PRODUCTS.c.id.label("product"))
        .join(PRODUCTS, PRODUCTS.c.id == PRICES.c.product_id, isouter=True)
        .where(PRICES.c.id.in_(named))
    )
    rows = connection.execute(query).all()
    missing = [f"price:{name}" for name in sorted(named - {row.id for row in rows})]
    return missing + [f"product:{row.product_id}" for row in rows if row.product is None]


def lost(connection: sa.Connection, purchase: Purchase) -> int:
    """How much of a purchase's payment went back to the buyer: refunds and lost disputes, in minor units.

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
    return int(min(purchase.paid, refunded + disputed))


def paid_by(connection: sa.Connection, intents: Collection[str], charges: Collection[str]) -> set[str]:
    """The invoices and checkouts that were paid by some payment intents or charges."""
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
