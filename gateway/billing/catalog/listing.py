"""What some products of the catalogue offer, in display order and read in pages: a page costs what is on it."""

from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Generic, TypeVar

from gateway.billing.catalog.product_prices import ProductPlace, ProductPrices
from gateway.billing.pagination import Page, bad_cursor, check_first, decode_cursor, encode_cursor
from gateway.models.mirrored import Price, Product

Item = TypeVar("Item", Product, Price)


@dataclass(frozen=True, slots=True)
class ListingPage(Page[Item]):
    """A page of a listing.

    Attributes:
        mark: equals that of another reading of the same page if nothing that it shows has changed meanwhile.
    """

    mark: object


def cursor_of(item: Product | Price) -> str:
    """Return the opaque cursor of an item."""
    return encode_cursor(item.id)


@dataclass(frozen=True, slots=True)
class Listing(Generic[Item]):
    """A list in display order.

    Attributes:
        products: each offers one item at least, and stands in its place.
        items_of: what a product offers.
        product_of: finds the product that an item is of, by the item's id.
    """

    products: Sequence[ProductPrices]
    items_of: Callable[[ProductPrices], Sequence[Item]]
    product_of: Callable[[str], ProductPrices | None]

    def __iter__(self) -> Iterator[Item]:
        """Yield the whole list."""
        return (item for product in self.products for item in self.items_of(product))

    def page(self, first: int, after: str | None) -> ListingPage[Item]:
        """Return a page.

        Args:
            first: how many, 1 to 100.
            after: the cursor of the last item of the page before.

        Raises:
            BadInput: for another `first`, or a cursor that this list does not have.
        """
        check_first(first)
        place, skipped = (0, 0) if after is None else self._behind(decode_cursor(after))
        rows: list[Item] = []
        shown: list[ProductPrices] = []
        for product in islice(self.products, place, None):
            if len(rows) > first:
                break
            items, skipped = self.items_of(product)[skipped:], 0
            if items and len(rows) < first:
                shown.append(product)
            rows += items
        has_next = len(rows) > first
        rows = rows[:first]
        ends: tuple[str, ...] = (rows[0].id, rows[-1].id) if rows else ()
        mark = has_next, *ends, *(each.mark for each in shown)
        return ListingPage(rows, has_next, after is not None, cursor_of, mark)

    def _behind(self, item_id: str) -> tuple[int, int]:
        """Return the place of the product that has an item, and how many of its items end with this one."""
        product = self.product_of(item_id)
        if product is None:
            raise bad_cursor()
        place = bisect_left(self.products, product.place, key=place_of)
        if self.products[place : place + 1] != (product,):
            raise bad_cursor()
        for number, item in enumerate(self.items_of(product), 1):
            if item.id == item_id:
                return place, number
        raise bad_cursor()


def place_of(product: ProductPrices) -> ProductPlace:
    """Return where a product stands among others."""
    return product.place
