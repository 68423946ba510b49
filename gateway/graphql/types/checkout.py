"""The checkout's types."""

from datetime import datetime
from enum import Enum
from typing import Any

import strawberry

from gateway.auth.principal import Principal
from gateway.billing.checkout.service import owns
from gateway.billing.customers.ownership import Owner, owner_of_session
from gateway.billing.subscriptions.state import read_subscription
from gateway.graphql.base import scalars as money
from gateway.graphql.base.authorization import private
from gateway.graphql.base.context import Info
from gateway.graphql.base.decorators import enum_type, object_type, resolver
from gateway.graphql.base.scalars import BigInt, Money
from gateway.graphql.types.catalog import Price
from gateway.graphql.types.catalog_objects import CatalogObjects, catalog_objects_of
from gateway.graphql.types.subscriptions import BillingSubscription
from gateway.models import mirrored as models


@enum_type
class CheckoutSessionStatus(Enum):
    """The status of a checkout."""

    OPEN = strawberry.enum_value("open", description="The buyer can still pay.")
    COMPLETE = strawberry.enum_value("complete", description="The buyer is done; payment may still be on its way.")
    EXPIRED = strawberry.enum_value("expired", description="It was closed or expired without payment.")


@enum_type
class PaymentStatus(Enum):
    """Whether a checkout is paid."""

    PAID = strawberry.enum_value("paid", description="Paid.")
    UNPAID = strawberry.enum_value("unpaid", description="Not paid, or not yet: bank debits take days.")
    NO_PAYMENT_REQUIRED = strawberry.enum_value("no_payment_required", description="Nothing is due, as in a trial.")


@enum_type
class CheckoutMode(Enum):
    """What a checkout is for."""

    PAYMENT = strawberry.enum_value("payment", description="A purchase.")
    SUBSCRIPTION = strawberry.enum_value("subscription", description="A subscription, perhaps with one-off lines.")
    SETUP = strawberry.enum_value("setup", description="Only to save a payment method.")


@object_type
class CheckoutLineItem:
    """A line of a checkout."""

    id: strawberry.ID = strawberry.field(description="Stripe's id, such as li_….")
    description: str | None = strawberry.field(description="The description that the buyer sees.")
    price: Price | None = strawberry.field(description="The price; null when the catalogue does not have it.")
    quantity: BigInt | None = strawberry.field(description="The quantity.")
    amount_subtotal: Money | None = strawberry.field(description="The amount before discounts and taxes.")
    amount_total: Money | None = strawberry.field(description="The amount after discounts and taxes.")

    @classmethod
    def of(cls, item: dict[str, Any], catalog: CatalogObjects) -> "CheckoutLineItem":
        """Make a line from one of Stripe's line items."""
        currency = item.get("currency")
        price = item.get("price") or {}
        return cls(
            id=strawberry.ID(item["id"]),
            description=item.get("description"),
            price=catalog.price(price.get("id", ""), currency),
            quantity=item.get("quantity"),
            amount_subtotal=money.of(item.get("amount_subtotal"), currency),
            amount_total=money.of(item.get("amount_total"), currency),
        )


@private
class CheckoutSession:
    """A checkout on Stripe's page. Whoever knows a guest's session may read its state, never the buyer's identity."""

    owner: strawberry.Private[Owner]
    row: strawberry.Private[models.CheckoutSession]
    id: strawberry.ID = strawberry.field(description="Stripe's id, such as cs_….")
    status: CheckoutSessionStatus = strawberry.field(description="Its status.")
    payment_status: PaymentStatus = strawberry.field(description="Whether it is paid.")
    mode: CheckoutMode = strawberry.field(description="Its mode.")
    url: str | None = strawberry.field(description="Where the buyer pays; null for the embedded form, and once closed.")
    client_secret: str | None = strawberry.field(
        description="For the embedded form: given when the session is created, and to its signed-in owner."
    )
    amount_subtotal: Money | None = strawberry.field(description="The amount before discounts and taxes.")
    amount_total: Money | None = strawberry.field(description="The amount after discounts and taxes.")
    customer_email: str | None = strawberry.field(
        description="The buyer's e-mail address, for its signed-in owner only."
    )
    created_at: datetime = strawberry.field(description="When it was opened.")
    expires_at: datetime = strawberry.field(description="When it closes by itself.")

    @resolver
    async def subscription(self, info: Info) -> BillingSubscription | None:
        """The subscription that it started, in its present state."""
        if self.row.subscription_id is None:
            return None
        services = info.context.services
        found = await read_subscription(services.database, self.row.subscription_id, services.settings.grace)
        return BillingSubscription.of(found, catalog_objects_of(await services.catalog.snapshot())) if found else None

    @resolver
    async def line_items(self, info: Info) -> list[CheckoutLineItem]:
        """What is bought."""
        catalog = catalog_objects_of(await info.context.services.catalog.snapshot())
        return [CheckoutLineItem.of(item, catalog) for item in self.row.line_items or ()]

    @classmethod
    def of(cls, row: models.CheckoutSession, principal: Principal, *, created: bool = False) -> "CheckoutSession":
        """Make a session with what the caller may see.

        Args:
            row: the session.
            principal: the caller.
            created: whether the caller has just opened it.
        """
        is_open = row.status == "open"
        personal = owns(principal, row)
        return cls(
            owner=owner_of_session(row),
            row=row,
            id=strawberry.ID(row.id),
            status=CheckoutSessionStatus(row.status),
            payment_status=PaymentStatus(row.payment_status),
            mode=CheckoutMode(row.mode),
            url=row.url if is_open else None,
            client_secret=row.client_secret if is_open and (personal or created) else None,
            amount_subtotal=money.of(row.amount_subtotal, row.currency),
            amount_total=money.of(row.amount_total, row.currency),
            customer_email=row.customer_email if personal else None,
            created_at=row.created,
            expires_at=row.expires_at,
        )
