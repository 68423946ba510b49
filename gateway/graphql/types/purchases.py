"""What was bought once."""

from datetime import datetime
from typing import Any

import strawberry

from gateway.billing.customers.ownership import Owner
from gateway.graphql.base import scalars as money
from gateway.graphql.base.authorization import private
from gateway.graphql.base.scalars import Money
from gateway.graphql.types.catalog_objects import CatalogObjects
from gateway.graphql.types.checkout import CheckoutLineItem


@private
class Purchase:
    """Something that was bought once, at a checkout without a plan, and paid."""

    owner: strawberry.Private[Owner]
    id: strawberry.ID = strawberry.field(description="The checkout's id, such as cs_….")
    line_items: list[CheckoutLineItem] = strawberry.field(description="What was bought.")
    total: Money | None = strawberry.field(description="What it cost, after discounts and taxes.")
    refunded: Money | None = strawberry.field(
        description="How much of it went back: refunds, lost disputes and credit notes."
    )
    invoice_id: strawberry.ID | None = strawberry.field(
        description="Its invoice (in_…); null where purchases get none (`GATEWAY_INVOICE_PURCHASES`)."
    )
    created_at: datetime = strawberry.field(description="When the checkout was opened.")

    @classmethod
    def of(cls, row: Any, catalog: CatalogObjects) -> "Purchase":
        """Make a purchase from its row."""
        return cls(
            owner=Owner(customer_id=row.customer_id),
            id=strawberry.ID(row.id),
            line_items=[CheckoutLineItem.of(item, catalog) for item in row.line_items or ()],
            total=money.of(row.amount_total, row.currency),
            refunded=money.of(row.returned, row.currency),
            invoice_id=strawberry.ID(row.invoice_id) if row.invoice_id else None,
            created_at=row.created,
        )
