"""What prices are made of: intervals, tiers, packages, and what one costs in a currency."""

from enum import Enum
from typing import Any

import strawberry

from gateway.billing.catalog.product_prices import Amount
from gateway.graphql.base import scalars as money
from gateway.graphql.base.decorators import enum_type, object_type
from gateway.graphql.base.scalars import BigInt, Currency, Money


@enum_type
class BillingInterval(Enum):
    """The unit of a billing period."""

    DAY = strawberry.enum_value("day", description="Days.")
    WEEK = strawberry.enum_value("week", description="Weeks.")
    MONTH = strawberry.enum_value("month", description="Months.")
    YEAR = strawberry.enum_value("year", description="Years.")


@enum_type
class UsageType(Enum):
    """How the quantity of a plan is determined."""

    LICENSED = strawberry.enum_value("licensed", description="It is chosen when buying, such as seats.")
    METERED = strawberry.enum_value("metered", description="It is what was used, and billed afterwards.")


@enum_type
class BillingScheme(Enum):
    """How an amount is computed from a quantity."""

    PER_UNIT = strawberry.enum_value("per_unit", description="A fixed amount for each unit.")
    TIERED = strawberry.enum_value("tiered", description="By tiers of the quantity.")


@enum_type
class TiersMode(Enum):
    """How tiers apply to a quantity."""

    GRADUATED = strawberry.enum_value("graduated", description="Each tier prices the units that fall into it.")
    VOLUME = strawberry.enum_value("volume", description="The tier that the whole quantity reaches prices all units.")


@enum_type
class TaxBehavior(Enum):
    """Whether an amount contains tax."""

    INCLUSIVE = strawberry.enum_value("inclusive", description="Tax is in the amount.")
    EXCLUSIVE = strawberry.enum_value("exclusive", description="Tax is added to the amount.")
    UNSPECIFIED = strawberry.enum_value("unspecified", description="Not specified; the account's tax settings decide.")


@object_type
class Recurring:
    """How a price recurs."""

    interval: BillingInterval = strawberry.field(description="The unit of the billing period.")
    interval_count: int = strawberry.field(description="The number of these units in a billing period.")
    usage_type: UsageType = strawberry.field(description="How the quantity is determined.")
    trial_period_days: int | None = strawberry.field(description="Days that are free at first, when there are any.")


@object_type
class PriceTier:
    """The price of a range of quantities; it begins where the tier before it ends."""

    up_to: BigInt | None = strawberry.field(description="The last quantity of the tier; null in the last tier.")
    unit_amount: Money | None = strawberry.field(description="The amount of each unit, when it is whole minor units.")
    unit_amount_decimal: str | None = strawberry.field(
        description="The amount of each unit in minor units, with decimals."
    )
    flat_amount: Money | None = strawberry.field(description="The amount for the tier as a whole.")
    flat_amount_decimal: str | None = strawberry.field(
        description="The amount for the tier as a whole in minor units, with decimals."
    )

    @classmethod
    def of(cls, tier: Any, currency: str) -> "PriceTier":
        """Make a tier from one of Stripe's."""
        return cls(
            up_to=tier.get("up_to"),
            unit_amount=money.of(tier.get("unit_amount"), currency),
            unit_amount_decimal=tier.get("unit_amount_decimal"),
            flat_amount=money.of(tier.get("flat_amount"), currency),
            flat_amount_decimal=tier.get("flat_amount_decimal"),
        )


@enum_type
class QuantityRounding(Enum):
    """How a quantity that is no whole number of packages is billed."""

    UP = strawberry.enum_value("up", description="As the next whole package.")
    DOWN = strawberry.enum_value("down", description="Without the package that is not full.")


@object_type
class TransformQuantity:
    """A price for a package of units instead of one unit."""

    divide_by: BigInt = strawberry.field(description="How many units the amount is for.")
    round: QuantityRounding = strawberry.field(description="How the rest is billed.")

    @classmethod
    def of(cls, transform: dict[str, Any] | None) -> "TransformQuantity | None":
        """Make one from Stripe's; None where the amount is for one unit."""
        if transform is None:
            return None
        return cls(divide_by=BigInt(transform["divide_by"]), round=QuantityRounding(transform["round"]))


@object_type
class CustomAmountLimits:
    """Between which amounts the buyer chooses, as Stripe's checkout takes them."""

    minimum: Money | None = strawberry.field(description="The least; null where only Stripe's own minimum holds.")
    maximum: Money | None = strawberry.field(description="The most; null where only Stripe's own maximum holds.")
    preset: Money | None = strawberry.field(description="What the checkout begins with; null without one.")

    @classmethod
    def of(cls, amount: Amount) -> "CustomAmountLimits | None":
        """Make them from what a price costs in a currency; None where the buyer does not choose."""
        if amount.limits is None:
            return None
        names = ("minimum", "maximum", "preset")
        return cls(**{name: money.of(amount.limits.get(name), amount.currency) for name in names})


CUSTOM_AMOUNT_LIMITS = "Between which amounts the buyer chooses; null where he does not, or it was not read yet."


@object_type
class PriceAmount:
    """What a price costs in one currency."""

    currency: Currency = strawberry.field(description="The currency.")
    unit_amount: Money | None = strawberry.field(
        description="The amount of one unit; null when it is tiered, chosen by the buyer, or not in whole minor units."
    )
    unit_amount_decimal: str | None = strawberry.field(
        description="The amount of one unit in minor units, with decimals; it may be below one minor unit."
    )
    tiers: list[PriceTier] = strawberry.field(description="Its tiers, the lowest first; empty without tiers.")
    custom_amount_limits: CustomAmountLimits | None = strawberry.field(description=CUSTOM_AMOUNT_LIMITS)

    @classmethod
    def of(cls, amount: Amount) -> "PriceAmount":
        """Make one from what a price costs in a currency."""
        return cls(
            currency=Currency(amount.currency),
            unit_amount=money.of(amount.unit_amount, amount.currency),
            unit_amount_decimal=amount.unit_amount_decimal,
            tiers=[PriceTier.of(tier, amount.currency) for tier in amount.tiers],
            custom_amount_limits=CustomAmountLimits.of(amount),
        )
