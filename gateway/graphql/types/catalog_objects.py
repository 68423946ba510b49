"""The catalogue's GraphQL objects: made once for each product until it changes, and shared by all requests."""

from gateway.billing.catalog.currencies import ChosenCurrency, CurrencyChoice
from gateway.billing.catalog.product_prices import ProductPrices
from gateway.billing.catalog.quantities import quantity_range
from gateway.billing.catalog.snapshot import Snapshot
from gateway.graphql.base.scalars import Currency
from gateway.graphql.types.catalog import Plan, Price, Product
from gateway.graphql.types.price_parts import BillingInterval
from gateway.graphql.types.pricing import PricedProduct, Pricing
from gateway.models import mirrored as models


def catalog_objects_of(snapshot: Snapshot) -> "CatalogObjects":
    """Return the objects of a snapshot."""
    return CatalogObjects(snapshot)


class CatalogObjects:
    """The objects of one snapshot. A currency of None means each price's own.

    Args:
        snapshot: the rows.
    """

    def __init__(self, snapshot: Snapshot) -> None:
        self._snapshot = snapshot

    def product(self, id: str, currency: str | None = None) -> Product | None:
        """Return a product, sold or not. Amounts are in the currency where they are offered in it."""
        found = self._snapshot.by_product.get(id)
        return ProductObjects.of(found, currency).product if found else None

    def price(self, id: str, currency: str | None = None) -> Price | None:
        """Return a price, on sale or not."""
        found = self._snapshot.product_of(id)
        return ProductObjects.of(found, currency).price(self._snapshot.prices[id]) if found else None

    def plan(self, id: str, currency: str | None = None) -> Plan | None:
        """Return a recurring price as a plan, on sale or not."""
        found = self._snapshot.product_of(id)
        return ProductObjects.of(found, currency).plan(self._snapshot.prices[id]) if found else None

    def pricing(self, currency: str, interval: str | None) -> Pricing:
        """Return the pricing page in a currency.

        Raises:
            BadInput: nothing is on sale in it.
        """
        snapshot = self._snapshot
        return snapshot.memoized(
            ("page", currency, interval),
            lambda: Pricing(
                currency=Currency(currency),
                currency_choice=CurrencyChoice.REQUESTED,
                note=None,
                currencies=[Currency(code) for code in snapshot.currencies],
                intervals=[BillingInterval(name) for name in snapshot.intervals(currency)],
                products=[
                    ProductObjects.of(each, currency).priced(interval) for each in snapshot.priced(currency, interval)
                ],
                as_of=snapshot.as_of,
            ),
        )

    def chosen(self, found: ChosenCurrency, interval: str | None) -> Pricing:
        """Return the pricing page in the currency that was chosen, with the reason for it."""
        if found.note is not None:  # whose words the client chooses
            return self.pricing(found.code, interval).chosen(found)
        key = ("page", found.code, interval, found.choice)
        return self._snapshot.memoized(key, lambda: self.pricing(found.code, interval).chosen(found))


class ProductObjects:
    """A product, its prices and its plans, in one currency.

    Args:
        rows: the product with its prices.
        currency: of the amounts, where they are offered in it; None means each price's own.
    """

    def __init__(self, rows: ProductPrices, currency: str | None) -> None:
        self.product = Product.of(rows.product, rows.active, currency)
        self._rows, self._currency = rows, currency
        self._prices: dict[str, Price] = {price.id: price for price in self.product.prices}
        self._plans: dict[str, Plan] = {plan.id: plan for plan in self.product.plans}
        self._priced: dict[str | None, PricedProduct] = {}

    @classmethod
    def of(cls, rows: ProductPrices, currency: str | None) -> "ProductObjects":
        """Return the objects of a product, made once."""
        found = rows.memo.get(currency)
        if found is None:
            found = rows.memo[currency] = cls(rows, currency)
        objects: ProductObjects = found
        return objects

    def price(self, row: models.Price) -> Price:
        """Return a price of the product, on sale or not."""
        if row.id not in self._prices:
            quantities = quantity_range(row, self._rows.product)
            self._prices[row.id] = Price.of(row, self.product, self._currency, quantities)
        return self._prices[row.id]

    def plan(self, row: models.Price) -> Plan | None:
        """Return a recurring price as a plan, on sale or not."""
        price = self.price(row)
        if price.recurring is None:
            return None
        if row.id not in self._plans:
            self._plans[row.id] = Plan.of(price)
        return self._plans[row.id]

    def priced(self, interval: str | None) -> PricedProduct:
        """Return the product as it stands on a pricing page.

        Args:
            interval: only plans that are billed by it.
        """
        if interval not in self._priced:
            plans = self._rows.plans(interval, self._currency)
            self._priced[interval] = PricedProduct(
                product=self.product,
                plans=[plan for row in plans if (plan := self.plan(row))],
                one_time=[self.price(row) for row in self._rows.one_time(self._currency)],
            )
        return self._priced[interval]
