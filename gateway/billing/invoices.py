"""Invoices as customers see them, and what they tell about a subscription: since when it is unpaid, until when paid."""

from collections.abc import Collection
from datetime import UTC, datetime

import sqlalchemy as sa

from gateway.billing.pagination import Pages, bad_cursor, decode_cursor, encode_cursor
from gateway.db.queries import PreparedQuery, in_json_array, json_array
from gateway.db.tables import table_for
from gateway.models.columns import Mirrored, UtcDateTime, utc
from gateway.models.mirrored import Invoice
from gateway.outbound.access_watch import mark


def cursor_of(invoice: Invoice) -> str:
    """Return the opaque cursor of an invoice: its place in time, which stays its place when it or another one goes."""
    return encode_cursor(f"{int(invoice.created.timestamp())} {invoice.id}")


def _place(cursor: str) -> tuple[datetime, str]:
    seconds, _, invoice_id = decode_cursor(cursor).partition(" ")
    try:
        if invoice_id.isprintable() and invoice_id:
            return datetime.fromtimestamp(int(seconds), UTC), invoice_id
    except (ValueError, OverflowError, OSError):
        pass
    raise bad_cursor()


INVOICES = table_for(Invoice)
_INTERNAL = Mirrored.model_fields.keys() - {"id"} | {
    *("billing_reason", "attempt_count", "finalized_at", "first_failed_at", "period_start", "period_end", "service_end")
}

PAGES: Pages[Invoice] = Pages(
    [column for column in INVOICES.c if column.name not in _INTERNAL],
    (INVOICES.c.created, INVOICES.c.id),
    _place,
    INVOICES.c.deleted.is_(False),
    INVOICES.c.status.is_not(None),
    INVOICES.c.status != "draft",
)
"""Drafts are left out: their amounts are not yet what anybody will pay."""

_UNPAID = PreparedQuery(
    lambda dialect: (
        sa.select(INVOICES.c.subscription_id, INVOICES.c.first_failed_at, INVOICES.c.finalized_at, INVOICES.c.created)
        .where(in_json_array(dialect, INVOICES.c.subscription_id, "subscriptions"))
        .where(INVOICES.c.status == "open", INVOICES.c.attempt_count > 0, INVOICES.c.deleted.is_(False))
        .order_by(INVOICES.c.created.desc())
    )
)
_PAID = PreparedQuery(
    lambda dialect: (
        sa.select(INVOICES.c.subscription_id, sa.func.max(INVOICES.c.service_end, type_=UtcDateTime).label("end"))
        .where(in_json_array(dialect, INVOICES.c.subscription_id, "subscriptions"))
        .where(INVOICES.c.status == "paid", INVOICES.c.service_end.is_not(None), INVOICES.c.deleted.is_(False))
        .group_by(INVOICES.c.subscription_id)
    )
)


def unpaid_since(connection: sa.Connection, subscription_ids: Collection[str]) -> dict[str, datetime]:
    """Return since when each of these subscriptions owes: the first failed charge of the oldest open invoice.

    That is the moment of the earliest `invoice.payment_failed`, whenever it arrived. Where the gateway was told of none
    (it was set up later), it is when the invoice was finalized, which is when Stripe charges it for the first time.
    """
    if not subscription_ids:
        return {}
    return {
        row.subscription_id: row.first_failed_at or row.finalized_at or row.created  # the oldest comes last and stays
        for row in _UNPAID.rows(connection, subscriptions=json_array(subscription_ids))
    }


def paid_until(connection: sa.Connection, subscription_ids: Collection[str]) -> dict[str, datetime]:
    """Return the end of what was paid for each of these subscriptions; those for which nothing was paid are left out.

    Not the end of the item's period: Stripe begins the next one before it is paid.
    """
    if not subscription_ids:
        return {}
    rows = _PAID.rows(connection, subscriptions=json_array(subscription_ids))
    return {row.subscription_id: row.end for row in rows}


def note_failed_charge(connection: sa.Connection, invoice_id: str, moment: int) -> None:
    """Keep the earliest moment at which an invoice could not be charged, in whatever order the failures are told.

    Args:
        connection: the transaction that applies the event.
        invoice_id: the invoice.
        moment: the event's `created`, Unix seconds.
    """
    failed = utc(moment)
    found = connection.execute(
        sa.update(INVOICES)
        .where(INVOICES.c.id == invoice_id)
        .where(sa.or_(INVOICES.c.first_failed_at.is_(None), INVOICES.c.first_failed_at > failed))
        .values(first_failed_at=failed)
        .returning(INVOICES.c.customer_id)
    )
    mark(connection, set(found.scalars()) - {None})
