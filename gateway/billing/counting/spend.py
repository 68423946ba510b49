"""What the use that meters count costs in a period, by the prices of the customer's subscriptions.

It is what Stripe will put on the invoice, before rounding, discounts and taxes: the tiers, packages and decimal amounts
of the price, in the subscription's currency.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from fractions import Fraction
from typing import Any

import sqlalchemy as sa

from gateway.billing.credits.timeline import Tariff
from gateway.db.tables import table_for
from gateway.mirror.accounts import own
from gateway.models.mirrored import OPEN_SUBSCRIPTIONS_PREDICATE, Meter, Price, Subscription, SubscriptionItem

SUBSCRIPTIONS, ITEMS, PRICES, METERS = (table_for(each) for each in (Subscription, SubscriptionItem, Price, Meter))


@dataclass(frozen=True, slots=True)
class MeteredPrice:
    """A price that a customer pays for what a meter counts.

    Attributes:
        event_name: the meter's.
        currency: in which it is billed.
        tariff: what a quantity costs.
        package: how many are billed as one.
        rounds_up: whether a part of a package is billed as a whole one.
        formula: how the meter counts.
        period: the present one of the item that pays it, as far as it is known.
    """

    event_name: str
    currency: str
    tariff: Tariff
    package: int = 1
    rounds_up: bool = True
    formula: str = "sum"
    period: tuple[datetime, datetime] | None = None

    @classmethod
    def of(cls, row: Mapping[str, Any]) -> "MeteredPrice":
        """Read a mirrored price, with the meter's `event_name` and `formula`, the subscription's `billed_in`, and the
        `begins` and `ends` of the item's period.
        """
        billed_in, package = row["billed_in"], row["transform_quantity"] or {}
        options = {} if billed_in == row["currency"] else row["currency_options"] or {}
        tariff = Tariff.of(options.get(billed_in) or row)
        packed = int(package.get("divide_by") or 1), package.get("round") != "down"
        return cls(row["event_name"], billed_in, tariff, *packed, row["formula"], (row["begins"], row["ends"]))

    def cost(self, quantity: int) -> Fraction:
        """Return what a quantity costs, in minor units."""
        billed = -(-quantity // self.package) if self.rounds_up else quantity // self.package
        return self.tariff.cost(billed)


def prices(connection: sa.Connection, customer_id: str) -> list[MeteredPrice]:
    """Return what a customer pays for what meters count."""
    going_on = sa.select(SUBSCRIPTIONS.c.id).where(SUBSCRIPTIONS.c.customer_id == customer_id)
    query = (
        sa.select(
            *(PRICES, METERS.c.event_name, METERS.c.formula, SUBSCRIPTIONS.c.currency.label("billed_in")),
            *(ITEMS.c.current_period_start.label("begins"), ITEMS.c.current_period_end.label("ends")),
        )
        .select_from(SUBSCRIPTIONS)
        .join(ITEMS, ITEMS.c.subscription_id == SUBSCRIPTIONS.c.id)
        .join(PRICES, PRICES.c.id == ITEMS.c.price_id)
        .join(METERS, METERS.c.id == PRICES.c.meter)
        .where(SUBSCRIPTIONS.c.id.in_(going_on.where(sa.text(OPEN_SUBSCRIPTIONS_PREDICATE))))
        .where(own(METERS.c.id))
    )
    return [MeteredPrice.of(dict(row)) for row in connection.execute(query).mappings()]


def costs_more(used: Iterable[tuple[MeteredPrice, int]], cap: int, currency: str | None) -> bool:
    """Return whether some use costs more than a cap. What is billed in another currency cannot be under it.

    Args:
        used: the prices, each with how much its meter has counted in its period.
        cap: in minor units.
        currency: the cap's.
    """
    quantities = list(used)
    if any(each.currency != currency and quantity for each, quantity in quantities):
        return True
    return sum(each.cost(quantity) for each, quantity in quantities) > cap
