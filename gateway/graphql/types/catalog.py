"""The catalogue's types: products, prices, and plans, which are recurring prices in Stripe's plan vocabulary."""

from datetime import datetime
from typing import Annotated

import strawberry

from gateway.billing.catalog import amounts
from gateway.billing.catalog.product_features import NAME, ListedFeature, listed_features
from gateway.billing.catalog.product_prices import Amount, amount_in, currencies_of, group_of, is_active
from gateway.billing.catalog.quantities import quantity_range
from gateway.billing.languages import localized
from gateway.billing.sentences import tax_wording
from gateway.errors import BadInput
from gateway.graphql.base import scalars as money
from gateway.graphql.base.arguments import InLanguage, Locale
from gateway.graphql.base.context import Info
from gateway.graphql.base.decorators import field, object_type, resolver
from gateway.graphql.base.memo import SharedType, serial_number
from gateway.graphql.base.node import Node
from gateway.graphql.base.scalars import BigInt, Money, big
from gateway.graphql.types.plan_viewer import PlanViewer
from gateway.graphql.types.price_parts import (
    CUSTOM_AMOUNT_LIMITS,
    BillingInterval,
    BillingScheme,
    CustomAmountLimits,
    PriceAmount,
    PriceTier,
    Recurring,
    TaxBehavior,
    TiersMode,
    TransformQuantity,
    UsageType,
)
from gateway.models import mirrored as models

Quantity = Annotated[int, strawberry.argument(description="How many units.")]


@object_type
class MetadataEntry:
    """A key and a value that the seller keeps with an object at Stripe."""

    key: str = strawberry.field(description="The key.")
    value: str = strawberry.field(description="The value.")

    @classmethod
    def all_of(cls, meta: dict[str, str]) -> list["MetadataEntry"]:
        """Make the entries, in the order of their keys."""
        return [cls(key=key, value=value) for key, value in sorted(meta.items())]


@object_type
class PlanFeature:
    """A feature that a plan gives: a row of a comparison table."""

    key: str = strawberry.field(description="Its key, as `access(feature:)` takes it.")
    limit: BigInt | None = strawberry.field(description="How much of it; null when there is no limit.")
    per_unit: bool = strawberry.field(description="Whether the limit is for each unit that is bought, such as a seat.")
    feature: strawberry.Private[ListedFeature]
    meta: strawberry.Private[dict[str, str]]

    @resolver
    def name(self, locale: InLanguage = None) -> str:
        """Its name for buyers: the product's metadata `feature_<key>`, else Stripe's name of it, else the key.

        In the reader's language by metadata such as `feature_<key>_de`.
        """
        return localized(self.meta, f"{NAME}{self.key}", locale) or self.feature.name

    @classmethod
    def of(cls, feature: ListedFeature, meta: dict[str, str]) -> "PlanFeature":
        """Make one from a product's."""
        limit = feature.limit
        return cls(
            key=feature.key,
            limit=big(limit.amount) if limit else None,
            per_unit=limit is not None and limit.per_unit,
            feature=feature,
            meta=meta,
        )


@object_type
class Product(SharedType, Node):
    """Something that is sold."""

    id: strawberry.ID = strawberry.field(description="Stripe's id, such as prod_….")
    active: bool = strawberry.field(
        description="Whether it is sold. Subscribers keep a product that is no longer sold."
    )
    images: list[str] = strawberry.field(description="The URLs of its pictures.")
    url: str | None = strawberry.field(description="A page about it.")
    metadata: list[MetadataEntry] = strawberry.field(description="The seller's own entries, by key.")
    prices: list["Price"] = strawberry.field(description="Its active prices: plans by interval, one-off prices first.")
    plans: list["Plan"] = strawberry.field(description="Its active recurring prices, the shortest interval first.")
    highlighted: bool = strawberry.field(
        description="Whether the seller puts it forward: metadata `highlighted` or `recommended` is `true`."
    )
    default_price: "Price | None" = field(
        lambda self: next((price for price in self.prices if price.id == self.row.default_price_id), None),
        "The price that the seller has set as the default; null without one, or when it is not on sale.",
    )
    starting_at: Money | None = field(
        lambda self: min(
            (cost for plan in self.plans if (cost := plan.monthly_cost)), key=lambda cost: cost.amount, default=None
        ),
        "The least that one unit of its plans costs a month; null when nobody knows beforehand.",
    )
    addon: bool = strawberry.field(description="Whether it stands beside every plan: metadata `addon: true`.")
    created_at: datetime = strawberry.field(description="When it was created.")
    updated_at: datetime = strawberry.field(description="When it was last changed at Stripe.")
    row: strawberry.Private[models.Product]
    plan_features: strawberry.Private[list["PlanFeature"]]
    serial: strawberry.Private[int] = serial_number()

    @resolver
    def name(self, locale: InLanguage = None) -> str:
        """The name that buyers see; in their language by metadata such as `name_de`."""
        return localized(self.row.meta, "name", locale) or self.row.name

    @resolver
    def description(self, locale: InLanguage = None) -> str | None:
        """What it is, for buyers; in their language by metadata such as `description_de`."""
        return localized(self.row.meta, "description", locale) or self.row.description

    @resolver
    def features(self, locale: InLanguage = None) -> list[str]:
        """What a pricing table lists (Stripe's marketing features).

        In the reader's language by metadata such as `marketing_features_de`, between them `|`.
        """
        text = localized(self.row.meta, "marketing_features", locale)
        return [each.strip() for each in text.split("|")] if text else self.row.features

    @resolver
    def unit_label(self, locale: InLanguage = None) -> str | None:
        """What one unit is called, such as seat; in the reader's language by metadata such as `unit_label_de`."""
        return localized(self.row.meta, "unit_label", locale) or self.row.unit_label

    @resolver
    def call_to_action(self, locale: InLanguage = None) -> str | None:
        """What the button says: metadata `call_to_action`, and such as `call_to_action_de`; null without."""
        return localized(self.row.meta, "call_to_action", locale) or self.row.meta.get("call_to_action")

    @classmethod
    def of(cls, row: models.Product, prices: tuple[models.Price, ...], currency: str | None) -> "Product":
        """Make a product with these prices: in a currency where they are offered in it, else in their own."""
        product = cls(
            id=strawberry.ID(row.id),
            active=is_active(row),
            images=row.images,
            url=row.url,
            metadata=MetadataEntry.all_of(row.meta),
            prices=[],
            plans=[],
            highlighted="true" in {row.meta.get("highlighted"), row.meta.get("recommended")},
            addon=group_of(row) is None,
            created_at=row.created,
            updated_at=row.updated,
            row=row,
            plan_features=[PlanFeature.of(each, row.meta) for each in listed_features(row)],
        )
        product.prices = [Price.of(price, product, currency, quantity_range(price, row)) for price in prices]
        product.plans = [Plan.of(price) for price in product.prices if price.recurring]
        return product


@object_type
class Price(SharedType):
    """What a product costs, once or recurring."""

    id: strawberry.ID = strawberry.field(description="Stripe's id, such as price_….")
    product: Product = strawberry.field(description="The product.")
    lookup_key: str | None = strawberry.field(description="A name that may move from one price to its successor.")
    active: bool = strawberry.field(description="Whether it can be bought.")
    unit_amount: Money | None = strawberry.field(
        description="The amount of one unit; null when it is tiered, chosen by the buyer, or not in whole minor units."
    )
    unit_amount_decimal: str | None = strawberry.field(
        description="The amount of one unit in minor units, with decimals; it may be below one minor unit."
    )
    currency_options: list[Money] = strawberry.field(
        description="The amount of one unit in each currency that it can be bought in, its own currency first; without "
        "those in which it is tiered or no whole minor unit, which `amounts` has."
    )
    amounts: list["PriceAmount"] = field(
        lambda self: [PriceAmount.of(each) for each in amounts_of(self.row)],
        "What it costs in each currency that it can be bought in, its own currency first, whatever its form.",
    )
    billing_scheme: BillingScheme = strawberry.field(description="How the amount is computed from the quantity.")
    tiers_mode: TiersMode | None = strawberry.field(description="How its tiers apply, when it has tiers.")
    tiers: list[PriceTier] = strawberry.field(description="Its tiers, the lowest first; empty without tiers.")
    transform_quantity: TransformQuantity | None = strawberry.field(
        description="The package that the amount is for; null when it is for one unit."
    )
    custom_amount: bool = strawberry.field(description="Whether the buyer chooses the amount.")
    custom_amount_limits: CustomAmountLimits | None = strawberry.field(description=CUSTOM_AMOUNT_LIMITS)
    tax_behavior: TaxBehavior = strawberry.field(description="Whether the amount contains tax.")
    recurring: Recurring | None = strawberry.field(description="How it recurs; null when it is paid once.")
    metadata: list[MetadataEntry] = strawberry.field(description="The seller's own entries, by key.")
    row: strawberry.Private[models.Price]
    currency: strawberry.Private[str]
    quantities: strawberry.Private[tuple[int, int | None]]
    serial: strawberry.Private[int] = serial_number()

    @classmethod
    def of(
        cls, row: models.Price, product: Product, currency: str | None, quantities: tuple[int, int | None]
    ) -> "Price":
        """Make a price in a currency, or in its own when it is not offered in this one."""
        amount = amount_in(row, currency)
        return cls(
            id=strawberry.ID(row.id),
            product=product,
            lookup_key=row.lookup_key,
            active=is_active(row),
            unit_amount=money.of(amount.unit_amount, amount.currency),
            unit_amount_decimal=amount.unit_amount_decimal,
            currency_options=[
                each for amount in amounts_of(row) if (each := money.of(amount.unit_amount, amount.currency))
            ],
            billing_scheme=BillingScheme(row.billing_scheme),
            tiers_mode=TiersMode(row.tiers_mode) if row.tiers_mode else None,
            tiers=[PriceTier.of(tier, amount.currency) for tier in amount.tiers],
            transform_quantity=TransformQuantity.of(row.transform_quantity),
            custom_amount=row.custom_unit_amount,
            custom_amount_limits=CustomAmountLimits.of(amount),
            tax_behavior=TaxBehavior(row.tax_behavior or "unspecified"),
            recurring=_recurring(row),
            metadata=MetadataEntry.all_of(row.meta),
            row=row,
            currency=amount.currency,
            quantities=quantities,
        )

    @resolver
    def nickname(self, locale: InLanguage = None) -> str | None:
        """The seller's short name for it; in the reader's language by the price's metadata, such as `nickname_de`."""
        return self.nickname_in(locale)

    def nickname_in(self, locale: str | None) -> str | None:
        """Return the seller's short name for it in a language."""
        return localized(self.row.meta, "nickname", locale) or self.row.nickname

    @resolver
    def tax_text(self, locale: Locale = "en") -> str | None:
        """How buyers are told whether tax is in it, such as incl. tax; null where it is not specified."""
        return tax_wording(self.row.tax_behavior, locale)

    def amount_of(self, quantity: int) -> Money | None:
        """Return what a quantity costs; None where nobody knows beforehand."""
        return money.of(amounts.amount_for(self.row, quantity, self.currency), self.currency)


def amounts_of(row: models.Price) -> list[Amount]:
    """Return what a price costs in each currency that it can be bought in, its own one first."""
    return [amount_in(row, currency) for currency in currencies_of(row)]


def _recurring(row: models.Price) -> Recurring | None:
    if row.interval is None:
        return None
    return Recurring(
        interval=BillingInterval(row.interval),
        interval_count=row.interval_count or 1,
        usage_type=UsageType(row.usage_type or "licensed"),
        trial_period_days=row.trial_period_days,
    )


@object_type
class Plan(SharedType, Node):
    """A recurring price in Stripe's plan vocabulary; its id is the price's id."""

    id: strawberry.ID = strawberry.field(description="Stripe's id, the same as the price's.")
    product: Product = strawberry.field(description="The product.")
    price: Price = strawberry.field(description="The same as a price, with tiers and currencies.")
    active: bool = strawberry.field(description="Whether it can be subscribed to.")
    features: list[PlanFeature] = field(
        lambda self: self.product.plan_features,
        "The features that it gives, in the order of the product's metadata: the rows of a comparison table.",
    )
    amount: Money | None = strawberry.field(
        description="The amount of one unit for each billing period; null when the price has tiers or none."
    )
    interval: BillingInterval = strawberry.field(description="The unit of the billing period.")
    interval_count: int = strawberry.field(description="The number of these units in a billing period.")
    trial_period_days: int | None = strawberry.field(description="Days that are free at first, when there are any.")
    usage_type: UsageType = strawberry.field(description="How the quantity is determined.")
    metadata: list[MetadataEntry] = strawberry.field(description="The seller's own entries, by key.")

    min_quantity: int = field(
        lambda self: self.quantities[0], "The least that one may have, by metadata `min_quantity`; else 1."
    )
    max_quantity: int | None = field(
        lambda self: self.quantities[1], "The most that one may have, by metadata `max_quantity`; null without."
    )
    quantities: strawberry.Private[tuple[int, int | None]]
    serial: strawberry.Private[int] = serial_number()

    @resolver
    def nickname(self, locale: InLanguage = None) -> str | None:
        """The seller's short name for it; in the reader's language by the price's metadata, such as `nickname_de`."""
        return self.price.nickname_in(locale)

    @resolver
    def amount_for(self, quantity: Quantity) -> Money | None:
        """What a quantity costs for a billing period, to the minor unit as Stripe bills it, before discounts and taxes.

        Null when it is metered, or the buyer chooses the amount.
        """
        if not 0 <= quantity <= amounts.MAX_QUANTITY:
            raise BadInput(f"`quantity` must be 0 to {amounts.MAX_QUANTITY}")
        return self.price.amount_of(quantity)

    @resolver
    def monthly_equivalent(self) -> Money | None:
        """What one unit costs a month, rounded to the minor unit; null when nobody knows beforehand."""
        return self.monthly_cost

    @resolver
    def saving_percent(self) -> int | None:
        """How many per cent cheaper it is than the product's monthly plan, rounded down; null when it is not."""
        monthly = next((each for each in self.product.plans if each.is_monthly), None)
        if monthly is None or monthly.price.currency != self.price.currency:
            return None
        return amounts.saving_percent(self.price.row, monthly.price.row, self.price.currency)

    @resolver
    async def viewer(self, info: Info) -> PlanViewer | None:
        """What the signed-in user may do with it; null when nobody is signed in."""
        return await PlanViewer.of(info, self.id)

    @property
    def monthly_cost(self) -> Money | None:
        """What one unit costs a month."""
        price = self.price
        return money.of(amounts.monthly_equivalent(price.row, price.currency), price.currency)

    @property
    def is_monthly(self) -> bool:
        """Whether it is billed every month."""
        return (self.interval, self.interval_count) == (BillingInterval.MONTH, 1)

    @classmethod
    def of(cls, price: Price) -> "Plan":
        """Make a plan from a recurring price.

        Raises:
            ValueError: the price is not recurring.
        """
        if price.recurring is None:
            raise ValueError(f"{price.id} is not recurring, so that it cannot be a plan")
        return cls(
            id=price.id,
            product=price.product,
            price=price,
            active=price.active,
            amount=price.unit_amount,
            interval=price.recurring.interval,
            interval_count=price.recurring.interval_count,
            trial_period_days=price.recurring.trial_period_days,
            usage_type=price.recurring.usage_type,
            metadata=price.metadata,
            quantities=price.quantities,
        )
