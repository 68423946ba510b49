"""Invoices."""

from datetime import datetime
from enum import Enum
from operator import attrgetter
from typing import Any

import strawberry

from gateway.billing.customers.ownership import Owner
from gateway.graphql.base import scalars as money
from gateway.graphql.base.authorization import private
from gateway.graphql.base.decorators import enum_type, field, object_type
from gateway.graphql.base.scalars import Money
from gateway.graphql.types.catalog import Price
from gateway.graphql.types.catalog_objects import CatalogObjects
from gateway.models import mirrored as models
from gateway.models.columns import utc


@enum_type
class InvoiceStatus(Enum):
    """How an invoice stands. Drafts are not shown: their amounts can still change."""

    OPEN = strawberry.enum_value("open", description="It is to be paid.")
    PAID = strawberry.enum_value("paid", description="It is paid, or nothing was due.")
    VOID = strawberry.enum_value("void", description="It was taken back and is not to be paid.")
    UNCOLLECTIBLE = strawberry.enum_value("uncollectible", description="It was written off.")


@object_type
class InvoiceLine:
    """A line of an invoice."""

    line: strawberry.Private[dict[str, Any]]
    currency: strawberry.Private[str]
    catalog: strawberry.Private[CatalogObjects]
    id: strawberry.ID = field(lambda self: self.line["id"], "Stripe's id, such as il_….")
    description: str | None = field(lambda self: self.line["description"], "What the customer reads.")
    amount: Money = field(
        lambda self: money.of(self.line["amount"], self.currency),
        "The amount before discounts and taxes; below zero for a credit.",
    )
    quantity: int | None = field(lambda self: self.line["quantity"], "How many; null when that says nothing.")
    price: Price | None = field(
        lambda self: self.catalog.price(self.line["price"] or "", self.currency),
        "The price; null when the catalogue does not have it.",
    )
    proration: bool = field(
        lambda self: self.line["proration"], "Whether it is for a part of a period, because of a change."
    )
    period_start: datetime = field(
        lambda self: utc(self.line["period_start"]), "When the period begins that it is for."
    )
    period_end: datetime = field(lambda self: utc(self.line["period_end"]), "When that period ends.")


def _amount(name: str, description: str) -> Any:
    """A field that is an amount of the invoice."""
    amount = attrgetter(name)
    return field(lambda self: money.of(amount(self.row), self.row.currency), description)


def _column(name: str, description: str) -> Any:
    """A field that is in the mirror as it is."""
    column = attrgetter(name)
    return field(lambda self: column(self.row), description)


@private
class Invoice:
    """A bill."""

    owner: strawberry.Private[Owner]
    row: strawberry.Private[models.Invoice]
    catalog: strawberry.Private[CatalogObjects]
    id: strawberry.ID = _column("id", "Stripe's id, such as in_….")
    number: str | None = _column("number", "The number that is printed on it.")
    status: InvoiceStatus = field(lambda self: InvoiceStatus(self.row.status), "How it stands.")
    subscription_id: strawberry.ID | None = _column("subscription_id", "The subscription that it bills, if any.")
    subtotal: Money = _amount("subtotal", "The sum of its lines, before discounts and taxes.")
    tax: Money = _amount("tax", "The taxes on it.")
    total: Money = _amount("total", "The amount after discounts and taxes; below zero for a credit.")
    amount_due: Money = _amount("amount_due", "What was to be paid, after the customer's credit balance.")
    amount_paid: Money = _amount("amount_paid", "What has been paid.")
    amount_remaining: Money = _amount("amount_remaining", "What is still to be paid.")
    next_payment_attempt: datetime | None = _column("next_payment_attempt", "When Stripe charges it next, if it will.")
    hosted_invoice_url: str | None = _column("hosted_invoice_url", "Stripe's page of it, where it can be paid.")
    invoice_pdf: str | None = _column("invoice_pdf", "Where its PDF is.")
    lines: list[InvoiceLine] = field(
        lambda self: [
            InvoiceLine(line=line, currency=self.row.currency, catalog=self.catalog) for line in self.row.lines
        ],
        "What it is for.",
    )
    created_at: datetime = _column("created", "When it was made.")
    paid_at: datetime | None = _column("paid_at", "When it was paid.")

    @classmethod
    def of(cls, row: models.Invoice, catalog: CatalogObjects) -> "Invoice":
        """An invoice as it stands in the mirror."""
        return cls(owner=Owner(customer_id=row.customer_id), row=row, catalog=catalog)
