"""The pricing page: what is on sale in one currency, and why in this one."""

from dataclasses import replace
from datetime import datetime

import strawberry

from gateway.billing.catalog.currencies import ChosenCurrency, CurrencyChoice
from gateway.graphql.base.decorators import enum_from, object_type
from gateway.graphql.base.memo import SharedType, serial_number
from gateway.graphql.base.scalars import Currency
from gateway.graphql.types.catalog import Plan, Price, Product
from gateway.graphql.types.price_parts import BillingInterval

enum_from(CurrencyChoice, name="CurrencyChoice")


@object_type
class PricedProduct(SharedType):
    """A product of a pricing page."""

    product: Product = strawberry.field(description="The product.")
    plans: list[Plan] = strawberry.field(description="Its plans on sale in this currency, in display order.")
    one_time: list[Price] = strawberry.field(
        description="Its one-off prices on sale in this currency, in display order."
    )
    serial: strawberry.Private[int] = serial_number()


@object_type
class Pricing:
    """Everything that a pricing page shows, in one currency."""

    currency: Currency = strawberry.field(description="The currency of every amount in it.")
    currency_choice: CurrencyChoice = strawberry.field(description="Why it is this currency.")
    note: str | None = strawberry.field(
        description="Why it is not the currency that was asked for, or to which the user is bound; null when it is."
    )
    currencies: list[Currency] = strawberry.field(description="The currencies in which anything is on sale.")
    intervals: list[BillingInterval] = strawberry.field(
        description="The intervals by which anything is billed in this currency, the shortest first."
    )
    products: list[PricedProduct] = strawberry.field(description="What is on sale, in display order.")
    as_of: datetime = strawberry.field(description="When the catalogue last changed.")

    def chosen(self, found: ChosenCurrency) -> "Pricing":
        """Return the same page with the reason for its currency."""
        return replace(self, currency_choice=found.choice, note=found.note)
