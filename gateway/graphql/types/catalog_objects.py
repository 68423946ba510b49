"""The catalogue's GraphQL objects: made once for each snapshot, and shared by all requests."""

from weakref import WeakKeyDictionary

from gateway.billing.catalog.currencies import CurrencyChoice
from gateway.billing.catalog.quantities import quantity_range
from gateway.billing.catalog.snapshot import Snapshot
from gateway.graphql.base.scalars import Currency
from gateway.graphql.types.catalog import BillingInterval, Plan, Price, Product
from gateway.graphql.types.pricing import PricedProduct, Pricing

_by_snapshot: "WeakKeyDictionary[Snapshot, CatalogObjects]" = WeakKeyDictionary()


def catalog_objects_of(snapshot: Snapshot) -> "CatalogObjects":
    """Return the objects of a snapshot."""
    catalog = _by_snapshot.get(snapshot)
    if catalog is None:
        catalog = _by_snapshot[snapshot] = CatalogObjects(snapshot)
    return catalog


class CatalogObjects:
    """The objects of one snapshot. A currency of None means each price's own.

    Args:
        snapshot: the rows. No reference to it is kept, so that both can be freed.
    """

    def __init__(self, snapshot: Snapshot) -> None:
        self._product_rows, self._price_rows = snapshot.products, snapshot.prices
        self._active_prices = snapshot.active_prices
        self._products: dict[tuple[str, str | None], Product] = {}
        self._prices: dict[tuple[str, str | None], Price] = {}
        self._plans: dict[tuple[str, str | None], Plan] = {}
        self._pricing: dict[tuple[str, str | None], Pricing] = {}

    def product(self, id: str, currency: str | None = None) -> Product | None:
        """Return a product, sold or not. Amounts are in the currency where they are offered in it."""
        key = (id, currency)
        if key not in self._products:
            row = self._product_rows.get(id)
            if row is None:
                return None
            product = self._products[key] = Product.of(row, self._active_prices[id], currency)
            self._prices |= {(price.id, currency): price for price in product.prices}
            self._plans |= {(plan.id, currency): plan for plan in product.plans}
        return self._products[key]

    def price(self, id: str, currency: str | None = None) -> Price | None:
        """Return a price, on sale or not."""
        row = self._price_rows.get(id)
        product = self.product(row.product_id, currency) if row else None
        if row is None or product is None:
            return None
        key = (id, currency)
        if key not in self._prices:
            quantities = quantity_range(row, self._product_rows[row.product_id])
            self._prices[key] = Price.of(row, product, currency, quantities)
        return self._prices[key]

    def plan(self, id: str, currency: str | None = None) -> Plan | None:
        """Return a recurring price as a plan, on sale or not."""
        price = self.price(id, currency)
        if price is None or price.recurring is None:
            return None
        key = (id, currency)
        if key not in self._plans:
            self._plans[key] = Plan.of(price)
        return self._plans[key]

    def pricing(self, snapshot: Snapshot, currency: str, interval: str | None) -> Pricing:
        """Return the pricing page in a currency.

        Raises:
            BadInput: nothing is on sale in it.
        """
        key = (currency, interval)
        if key not in self._pricing:
            self._pricing[key] = Pricing(
                currency=Currency(currency),
                currency_choice=CurrencyChoice.REQUESTED,
                note=None,
                currencies=[Currency(code) for code in snapshot.currencies],
                intervals=[BillingInterval(name) for name in snapshot.intervals(currency)],
                products=[
                    PricedProduct(
                        product=product,
                        plans=[plan for row in offer.plans if (plan := self.plan(row.id, currency))],
                        one_time=[price for row in offer.one_time if (price := self.price(row.id, currency))],
                    )
                    for offer in snapshot.pricing(currency, interval)
                    if (product := self.product(offer.product.id, currency))
                ],
                as_of=snapshot.as_of,
            )
        return self._pricing[key]
