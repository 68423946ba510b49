"""Invoices."""

from datetime import UTC, datetime
from enum import Enum
from typing import Any

import strawberry

from gateway import models
from gateway.billing.ownership import Owner
from gateway.graphql import money
from gateway.graphql.catalog import Price
from gateway.graphql.describe import choice, output
from gateway.graphql.money import Money
from gateway.graphql.ownership import private
from gateway.graphql.shelf import Shelf


@choice
class InvoiceStatus(Enum):
    """How an invoice stands. Drafts are not shown: their amounts can still change."""

    OPEN = strawberry.enum_value("open", description="It is to be paid.")
    PAID = strawberry.enum_value("paid", description="It is paid, or nothing was due.")
    VOID = strawberry.enum_value("void", description="It was taken back and is not to be paid.")
    UNCOLLECTIBLE = strawberry.enum_value("uncollectible", description="It was written off.")


@output
class InvoiceLine:
    """A line of an invoice."""

    id: strawberry.ID = strawberry.field(description="Stripe's id, such as il_….")
    description: str | None = strawberry.field(description="What the customer reads.")
    amount: Money = strawberry.field(description="The amount before discounts and taxes; below zero for a credit.")
    quantity: int | None = strawberry.field(description="How many; null when that says nothing.")
    price: Price | None = strawberry.field(description="The price; null when the catalogue does not have it.")
    proration: bool = strawberry.field(description="Whether it is for a part of a period, because of a change.")
    period_start: datetime = strawberry.field(description="When the period begins that it is for.")
    period_end: datetime = strawberry.field(description="When that period ends.")

    @classmethod
    def of(cls, line: dict[str, Any], currency: str, shelf: Shelf) -> "InvoiceLine":
        """A line as `mirror.resources.invoice_line` reduces it."""
        return cls(
            id=strawberry.ID(line["id"]),
            description=line["description"],
            amount=money.of(line["amount"], currency),
            quantity=line["quantity"],
            price=shelf.price(line["price"] or "", currency),
            proration=line["proration"],
            period_start=datetime.fromtimestamp(line["period_start"], UTC),
            period_end=datetime.fromtimestamp(line["period_end"], UTC),
        )


@private
class Invoice:
    """A bill."""

    owner: strawberry.Private[Owner]
    id: strawberry.ID = strawberry.field(description="Stripe's id, such as in_….")
    number: str | None = strawberry.field(description="The number that is printed on it.")
    status: InvoiceStatus = strawberry.field(description="How it stands.")
    subscription_id: strawberry.ID | None = strawberry.field(description="The subscription that it bills, if any.")
    subtotal: Money = strawberry.field(description="The sum of its lines, before discounts and taxes.")
    tax: Money = strawberry.field(description="The taxes on it.")
    total: Money = strawberry.field(description="The amount after discounts and taxes; below zero for a credit.")
    amount_due: Money = strawberry.field(description="What was to be paid, after the customer's credit balance.")
    amount_paid: Money = strawberry.field(description="What has been paid.")
    amount_remaining: Money = strawberry.field(description="What is still to be paid.")
    next_payment_attempt: datetime | None = strawberry.field(description="When Stripe charges it next, if it will.")
    hosted_invoice_url: str | None = strawberry.field(description="Stripe's page of it, where it can be paid.")
    invoice_pdf: str | None = strawberry.field(description="Where its PDF is.")
    lines: list[InvoiceLine] = strawberry.field(description="What it is for.")
    created_at: datetime = strawberry.field(description="When it was made.")
    paid_at: datetime | None = strawberry.field(description="When it was paid.")

    @classmethod
    def of(cls, row: models.Invoice, shelf: Shelf) -> "Invoice":
        """An invoice as it stands in the mirror."""
        return cls(
            owner=Owner(customer_id=row.customer_id),
            id=strawberry.ID(row.id),
            number=row.number,
            status=InvoiceStatus(row.status),
            subscription_id=strawberry.ID(row.subscription_id) if row.subscription_id else None,
            subtotal=money.of(row.subtotal, row.currency),
            tax=money.of(row.tax, row.currency),
            total=money.of(row.total, row.currency),
            amount_due=money.of(row.amount_due, row.currency),
            amount_paid=money.of(row.amount_paid, row.currency),
            amount_remaining=money.of(row.amount_remaining, row.currency),
            next_payment_attempt=row.next_payment_attempt,
            hosted_invoice_url=row.hosted_invoice_url,
            invoice_pdf=row.invoice_pdf,
            lines=[InvoiceLine.of(line, row.currency, shelf) for line in row.lines],
            created_at=row.created,
            paid_at=row.paid_at,
        )
