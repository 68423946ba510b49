"""Invoices as customers see them, and the moment since which one could not be charged."""

import asyncio
from collections.abc import Collection
from contextlib import suppress
from datetime import datetime

import sqlalchemy as sa

from gateway.billing.pagination import Order, Pages
from gateway.db.tables import table_for
from gateway.errors import StripeFailure
from gateway.mirror.sync import Mirror
from gateway.models.columns import Mirrored, utc
from gateway.models.mirrored import Invoice
from gateway.outbound.access_watch import mark
from gateway.stripe_api.client import Stripe

INVOICES = table_for(Invoice)
LINK_SECONDS = 9 * 86_400
LINK_SLOTS, MAX_LINKS = 5, 20  # calls to Stripe at a time, and for one request
_INTERNAL = Mirrored.model_fields.keys() - {"id", "as_of"} | {
    *(
        "billing_reason",
        "attempt_count",
        "finalized_at",
        "first_failed_at",
        "period_start",
        "period_end",
        "service_end",
    ),
    *("collection_method", "due_date"),
}

PAGES: Pages[Invoice] = Pages(
    [column for column in INVOICES.c if column.name not in _INTERNAL],
    Order(INVOICES.c.created, INVOICES.c.id),
    INVOICES.c.deleted.is_(False),
    INVOICES.c.status.is_not(None),
    INVOICES.c.status != "draft",
)
"""Drafts are left out: their amounts are not yet what anybody will pay."""


def has_old_links(invoice: Invoice, moment: datetime) -> bool:
    """Return whether the page and the PDF of an invoice may have expired at a moment.

    A link that Stripe has just given is good for 10 days: https://docs.stripe.com/invoicing/hosted-invoice-page.
    """
    return invoice.hosted_invoice_url is not None and invoice.as_of < moment.timestamp() - LINK_SECONDS


async def refresh_links(mirror: Mirror, stripe: Stripe, invoice_ids: Collection[str]) -> None:
    """Read invoices from Stripe whose links are old; while that fails, the old ones are better than none.

    Args:
        mirror: where they are kept.
        stripe: the client.
        invoice_ids: the invoices; of more than a few only the first are read.

    Raises:
        DatabaseUnavailable: what was read cannot be kept.
    """
    slots = asyncio.Semaphore(LINK_SLOTS)

    async def refresh(invoice_id: str) -> None:
        async with slots:
            with suppress(StripeFailure):
                await mirror.refresh(stripe, "invoice", invoice_id)

    await asyncio.gather(*map(refresh, list(invoice_ids)[:MAX_LINKS]))


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
