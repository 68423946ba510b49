"""Whose data is erased, and which columns of the mirror that leaves empty."""

from collections.abc import Mapping
from datetime import datetime
from types import MappingProxyType

from sqlmodel import Field

from gateway.models.columns import Row, UtcDateTime

PERSONAL: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "customer": ("external_id", "email", "email_lower", "name", "default_payment_method_id", "meta"),
        "payment_method": ("brand", "last4", "exp_month", "exp_year"),
        "checkout_session": (
            *("external_id", "customer_email", "url", "client_secret", "client_reference_id"),
            "meta",
        ),
        "subscription": ("meta",),
        "invoice": ("hosted_invoice_url", "invoice_pdf"),
    }
)
"""By mirrored table, the columns that say who somebody is, or lead to a page that does."""


class Erasure(Row, table=True):
    """A customer whose data is erased; the id stays, under which the ledger and the invoices are.

    `rows` is whether the mirror's rows are cleared too (`gateway erase`), or payloads of events alone (the customer was
    deleted at Stripe). `scanned_at` is when all payloads were last looked through; it is done twice, the second time
    when Stripe can bring no more events of before.
    """

    __tablename__ = "erasure"

    customer_id: str = Field(primary_key=True)
    rows: bool
    asked_at: datetime = Field(sa_type=UtcDateTime)
    scanned_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
