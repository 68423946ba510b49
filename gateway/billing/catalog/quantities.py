"""How many of a plan one may have: the seller's minimum and maximum, by metadata. Pure.

`min_quantity` and `max_quantity` of a price count before those of its product. What is no whole number above zero is
left out of account: a mistake in metadata never keeps a plan from being sold.
"""

from typing import Final

from gateway.models.mirrored import Price, Product

HIGHEST: Final = 2**31 - 1
"""What GraphQL's `Int` can tell, and so the most that either number says."""


def quantity_range(price: Price, product: Product) -> tuple[int, int | None]:
    """Return the least and the most of a plan; None where the seller sets no maximum.

    Args:
        price: the plan.
        product: its product.
    """
    least = _number("min_quantity", price, product) or 1
    most = _number("max_quantity", price, product)
    return least, None if most is None else max(least, most)


def wrong_quantity(quantity: int, price: Price, product: Product, max_quantity: int) -> str | None:
    """Return why one cannot have so many of a plan; None where one can.

    Args:
        quantity: how many.
        price: the plan, which is not metered.
        product: its product.
        max_quantity: of anything, by the setting.
    """
    least, most = quantity_range(price, product)
    most = max_quantity if most is None else min(most, max_quantity)
    return None if least <= quantity <= most else f"the quantity must be {least} to {most}"


def _number(name: str, price: Price, product: Product) -> int | None:
    for meta in (price.meta or {}, product.meta or {}):
        text = meta.get(name, "").strip()
        if text.isascii() and text.isdigit() and int(text[:12]) > 0:
            return min(int(text[:12]), HIGHEST)
    return None
