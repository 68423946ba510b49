"""How much of a payment went back to the buyer: refunds, lost disputes and credit notes.

It is read from the mirror whenever it is asked for, so that a refund that failed, a dispute that was won and a credit
note that was voided count no more.
"""

from collections.abc import Collection
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from gateway.db.tables import table_for
from gateway.models.mirrored import Charge, CreditNote, Dispute, Invoice, InvoicePayment

CHARGES, DISPUTES = table_for(Charge), table_for(Dispute)
NOTES, PAYMENTS, INVOICES = table_for(CreditNote), table_for(InvoicePayment), table_for(Invoice)

UNDECIDED = sa.or_(DISPUTES.c.status == "needs_response", DISPUTES.c.status == "under_review")
"""Disputes that are not decided; an inquiry (`warning_…`) takes no money yet."""


def of_invoice(invoice_id: sa.ColumnElement[str]) -> sa.ColumnElement[int]:
    """Return how much of an invoice went back, in minor units, for a query over invoices.

    A credit note counts as far as it is no refund, which its charge tells: what was taken off while the invoice was
    open, given as credit for later invoices, or paid back outside of Stripe
    (https://docs.stripe.com/invoicing/credit-notes).

    Args:
        invoice_id: the column of the surrounding query.
    """
    by_intent, by_charge, by_name = _paying(invoice_id)
    issued = NOTES.c.invoice_id == invoice_id, NOTES.c.status == "issued"
    noted = _sum(NOTES, NOTES.c.amount - NOTES.c.refunded, *issued)
    return _of_charges(by_intent, invoice_id) + _of_charges(by_charge) + _of_charges(by_name) + noted


def of_invoices(connection: sa.Connection, ids: Collection[str]) -> dict[str, int]:
    """Return how much of some invoices went back, in minor units."""
    query = sa.select(INVOICES.c.id, of_invoice(INVOICES.c.id)).where(INVOICES.c.id.in_(ids))
    return {row[0]: row[1] for row in connection.execute(query)}


def in_dispute(invoice_id: sa.ColumnElement[str]) -> sa.ColumnElement[bool]:
    """Return whether a payment of an invoice is disputed and not decided, for a query over invoices.

    Args:
        invoice_id: the column of the surrounding query.
    """
    return _has_dispute(invoice_id, UNDECIDED)


def was_lost(invoice_id: sa.ColumnElement[str]) -> sa.ColumnElement[bool]:
    """Return whether a bank took back something of what has paid an invoice, for a query over invoices.

    Args:
        invoice_id: the column of the surrounding query.
    """
    return _has_dispute(invoice_id, DISPUTES.c.status == "lost")


def lost_of(connection: sa.Connection, ids: Collection[str]) -> set[str]:
    """Return those of some invoices of which a bank took something back by a lost dispute."""
    query = sa.select(INVOICES.c.id).where(INVOICES.c.id.in_(ids), was_lost(INVOICES.c.id))
    return set(connection.execute(query).scalars())


def of_payment(intent_id: sa.ColumnElement[str]) -> sa.ColumnElement[int]:
    """Return how much of a payment without an invoice went back, in minor units, for a query over such payments.

    Args:
        intent_id: the column of the surrounding query with the payment intent.
    """
    return _of_charges(CHARGES.c.payment_intent_id == intent_id)


def is_disputed(subscription_id: str, since: datetime, connection: sa.Connection) -> bool:
    """Return whether a payment of a subscription's is disputed and not decided, which its time since a moment is for.

    Source: https://docs.stripe.com/api/disputes/object, `status`.
    """
    its = INVOICES.c.subscription_id == subscription_id, INVOICES.c.service_end > since
    found = sa.select(INVOICES.c.id).where(*its, in_dispute(INVOICES.c.id)).limit(1)
    return connection.execute(found).first() is not None


def _paying(invoice_id: sa.ColumnElement[str]) -> tuple[sa.ColumnElement[bool], ...]:
    """Return which charges have paid an invoice: by their payment intent, by themselves, by their own naming of it.

    Older API versions name the invoice in the charge; newer ones name both in an `invoice_payment`. An index is used
    for one of them at a time.
    """
    its = PAYMENTS.c.invoice_id == invoice_id, PAYMENTS.c.status != "canceled"
    intents = sa.select(PAYMENTS.c.payment_intent_id).where(*its).correlate_except(PAYMENTS)
    charges = sa.select(PAYMENTS.c.charge_id).where(*its, PAYMENTS.c.charge_id.is_not(None)).correlate_except(PAYMENTS)
    by_intent, by_charge = CHARGES.c.payment_intent_id.in_(intents), CHARGES.c.id.in_(charges)
    by_name = sa.and_(CHARGES.c.invoice_id == invoice_id, ~sa.func.coalesce(by_intent, sa.false()), ~by_charge)
    return by_intent, by_charge, by_name


def _has_dispute(invoice_id: sa.ColumnElement[str], which: sa.ColumnElement[bool]) -> sa.ColumnElement[bool]:
    """Return whether there is a dispute of this kind about what has paid an invoice."""
    charges = (sa.select(CHARGES.c.id).where(paying).correlate_except(CHARGES) for paying in _paying(invoice_id))
    found = (sa.select(DISPUTES.c.id).where(DISPUTES.c.charge_id.in_(each), which) for each in charges)
    return sa.or_(*(each.correlate_except(DISPUTES).exists() for each in found))


def _of_charges(
    which: sa.ColumnElement[bool], invoice_id: sa.ColumnElement[str] | None = None
) -> sa.ColumnElement[int]:
    """Sum what went back of some charges; of an invoice, its share of them.

    The part of an authorisation that was never taken counts as refunded at Stripe, and does not here. A dispute that is
    told in another currency than its charge's is of all of it: its amount says nothing about a part.
    """
    disputed = sa.case((DISPUTES.c.currency == CHARGES.c.currency, DISPUTES.c.amount), else_=CHARGES.c.amount)
    refunded = CHARGES.c.amount_refunded - (CHARGES.c.amount - CHARGES.c.amount_captured)
    lost = _sum(DISPUTES, disputed, DISPUTES.c.charge_id == CHARGES.c.id, DISPUTES.c.status == "lost")
    gone = sa.case((refunded > 0, refunded), else_=0) + lost
    return _sum(CHARGES, gone if invoice_id is None else sa.case((gone > 0, _share(gone, invoice_id)), else_=0), which)


def _share(gone: sa.ColumnElement[int], invoice_id: sa.ColumnElement[str]) -> sa.ColumnElement[int]:
    """Return how much of what went back of a charge is an invoice's, by what its payment intent has paid of each.

    A payment can pay several invoices (https://docs.stripe.com/api/invoice-payment/object, `amount_paid`). Each has the
    difference of two sums, so that the shares of all are what went back. Where it is not known how much of it paid one
    of them, all counts for each.
    """
    amount, paid = PAYMENTS.c.amount_paid, PAYMENTS.c.status == "paid"
    same = PAYMENTS.c.payment_intent_id == CHARGES.c.payment_intent_id
    all_paid = sa.func.sum(amount)

    def up_to(which: sa.ColumnElement[bool]) -> sa.ColumnElement[Any]:
        before = sa.cast(sa.func.sum(sa.case((which, amount), else_=0)), sa.Double)  # a product may exceed 64 bits
        return sa.func.round(before * gone / all_paid)

    is_one = sa.func.min(PAYMENTS.c.invoice_id) == sa.func.max(PAYMENTS.c.invoice_id)
    known = sa.and_(sa.func.count(amount) == sa.func.count(), all_paid > 0, ~is_one)
    share = up_to(PAYMENTS.c.invoice_id <= invoice_id) - up_to(PAYMENTS.c.invoice_id < invoice_id)
    each = sa.select(sa.case((known, sa.cast(share, sa.BigInteger)), else_=gone)).where(same, paid)
    return each.correlate_except(PAYMENTS).scalar_subquery()


def _sum(table: sa.Table, what: sa.ColumnElement[Any], *where: sa.ColumnElement[bool]) -> sa.ColumnElement[int]:
    """Sum over the rows of one table, 0 for none, within a query that names the other tables.

    PostgreSQL sums whole numbers of 64 bits to a decimal, which JSON has no name for: it is cast back.
    """
    total = sa.cast(sa.func.coalesce(sa.func.sum(what), 0), sa.BigInteger)
    return sa.select(total).where(*where).correlate_except(table).scalar_subquery()
