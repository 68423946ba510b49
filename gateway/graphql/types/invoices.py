"""Invoices."""

from datetime import datetime
from enum import Enum
from operator import attrgetter
from typing import Any

import strawberry

from gateway.billing.customers.ownership import Owner
from gateway.graphql.base import scalars as money
from gateway.graphql.base.authorization import private
from gateway.graphql.base.context import Info
from gateway.graphql.base.decorators import enum_type, field, object_type, resolver
from gateway.graphql.base.node import Node
from gateway.graphql.base.scalars import BigInt, Money
from gateway.graphql.types.catalog import Price
from gateway.graphql.types.catalog_objects import CatalogObjects
from gateway.graphql.types.discounts import Discount
from gateway.models import mirrored as models
from gateway.models.columns import utc


@enum_type
class InvoiceStatus(Enum):
    """The status of an invoice. Drafts are not shown: their amounts can still change."""

    OPEN = strawberry.enum_value("open", description="It is to be paid.")
    PAID = strawberry.enum_value("paid", description="It is paid, or nothing was due.")
    VOID = strawberry.enum_value("void", description="It was voided and is not to be paid.")
    UNCOLLECTIBLE = strawberry.enum_value("uncollectible", description="It was written off.")


@object_type
class InvoiceLine:
    """A line of an invoice."""

    line: strawberry.Private[dict[str, Any]]
    currency: strawberry.Private[str]
    catalog: strawberry.Private[CatalogObjects]
    id: strawberry.ID = field(lambda self: self.line["id"], "Stripe's id, such as il_….")
    description: str | None = field(lambda self: self.line["description"], "The description that the customer sees.")
    amount: Money = field(
        lambda self: money.of(self.line["amount"], self.currency),
        "The amount before discounts and taxes; below zero for a credit.",
    )
    quantity: BigInt | None = field(lambda self: self.line["quantity"], "The quantity; null when it has no meaning.")
    price: Price | None = field(
        lambda self: self.catalog.price(self.line["price"] or "", self.currency),
        "The price; null when the catalogue does not have it.",
    )
    proration: bool = field(
        lambda self: self.line["proration"], "Whether it is for a part of a period, because of a change."
    )
    period_start: datetime = field(lambda self: utc(self.line["period_start"]), "When the billed period begins.")
    period_end: datetime = field(lambda self: utc(self.line["period_end"]), "When the billed period ends.")


@object_type
class TaxLine:
    """A tax on an invoice."""

    amount: Money = strawberry.field(description="The tax.")
    taxable_amount: Money | None = strawberry.field(description="What it is reckoned on, where Stripe says it.")
    inclusive: bool = strawberry.field(description="Whether the amounts contain it.")
    name: str | None = strawberry.field(description="Its name, such as VAT; null for a rate of Stripe Tax.")
    percentage: float | None = strawberry.field(description="The rate in per cent; null for a rate of Stripe Tax.")

    @classmethod
    def of(cls, line: dict[str, Any], currency: str) -> "TaxLine":
        """Make a tax from what the mirror keeps of it."""
        return cls(
            amount=money.of(line["amount"], currency),
            taxable_amount=money.of(line["taxable"], currency),
            inclusive=line["inclusive"],
            name=line["name"],
            percentage=line["percentage"],
        )


def _amount(name: str, description: str) -> Any:
    """Return a field that is an amount of the invoice."""
    amount = attrgetter(name)
    return field(lambda self: money.of(amount(self.row), self.row.currency), description)


def _column(name: str, description: str) -> Any:
    """Return a field that is a column of the mirror."""
    column = attrgetter(name)
    return field(lambda self: column(self.row), description)


@private
class Invoice(Node):
    """An invoice."""

    owner: strawberry.Private[Owner]
    row: strawberry.Private[models.Invoice]
    catalog: strawberry.Private[CatalogObjects]
    id: strawberry.ID = _column("id", "Stripe's id, such as in_….")
    number: str | None = _column("number", "The number that is printed on it.")
    status: InvoiceStatus = field(lambda self: InvoiceStatus(self.row.status), "Its status.")
    subscription_id: strawberry.ID | None = _column("subscription_id", "The subscription that it bills, if any.")
    subtotal: Money = _amount("subtotal", "The sum of its lines, before discounts and taxes.")
    tax: Money = _amount("tax", "The taxes on it.")
    discount: Money = field(
        lambda self: money.of(sum(amount for _, amount in self.row.discounts), self.row.currency),
        "What discounts have taken off.",
    )
    tax_lines: list[TaxLine] = field(
        lambda self: [TaxLine.of(line, self.row.currency) for line in self.row.tax_lines], "The taxes one by one."
    )
    total: Money = _amount("total", "The amount after discounts and taxes; below zero for a credit.")
    amount_due: Money = _amount("amount_due", "The amount due, after the customer's credit balance.")
    amount_paid: Money = _amount("amount_paid", "The amount paid.")
    amount_remaining: Money = _amount("amount_remaining", "The amount still due.")
    next_payment_attempt: datetime | None = _column("next_payment_attempt", "When Stripe charges it next, if it will.")
    hosted_invoice_url: str | None = _column(
        "hosted_invoice_url", "Stripe's page of the invoice, where it can be paid."
    )
    invoice_pdf: str | None = _column("invoice_pdf", "The URL of its PDF.")
    lines: list[InvoiceLine] = field(
        lambda self: [
            InvoiceLine(line=line, currency=self.row.currency, catalog=self.catalog) for line in self.row.lines
        ],
        "Its lines.",
    )
    created_at: datetime = _column("created", "When it was created.")

    @resolver
    async def discounts(self, info: Info) -> list[Discount]:
        """The discounts on it."""
        return await Discount.all_of(info, [each for each, _ in self.row.discounts])

    @resolver
    async def refunded(self, info: Info) -> Money:
        """What went back to the buyer: refunds, lost disputes, and credit notes."""
        return money.of(await info.context.loaders.refunded.load(self.row.id), self.row.currency)

    paid_at: datetime | None = _column("paid_at", "When it was paid.")

    @classmethod
    def of(cls, row: models.Invoice, catalog: CatalogObjects) -> "Invoice":
        """Make an invoice from its row."""
        return cls(owner=Owner(customer_id=row.customer_id), row=row, catalog=catalog)
