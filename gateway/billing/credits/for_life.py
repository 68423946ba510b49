"""Which lines of a purchase bring a product for life. Pure: rows of the mirror, no database.

A one-off price whose metadata say `lifetime: true` does. The price says it and not the product, so that a set-up fee of
a product does not bring what the product's plans give.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from gateway.billing.credits.prices import NO_CREDITS, CreditRule


@dataclass(frozen=True, slots=True)
class OwnedLine:
    """A line that brings a product for life.

    Attributes:
        id: the line's.
        product_id: what it brings.
        quantity: how many.
    """

    id: str
    product_id: str
    quantity: int


def of_invoice(row: Mapping[str, Any], rules: Mapping[str, CreditRule]) -> tuple[OwnedLine, ...]:
    """Return what the lines of a paid invoice bring for life."""
    return tuple(_owned(((line, line["price"]) for line in row["lines"] if line["amount"] >= 0), rules))


def of_session(row: Mapping[str, Any], rules: Mapping[str, CreditRule]) -> tuple[OwnedLine, ...]:
    """Return what the lines of a paid checkout without an invoice bring for life."""
    return tuple(_owned(((line, (line["price"] or {}).get("id")) for line in row["line_items"] or ()), rules))


def _owned(
    lines: Iterable[tuple[Mapping[str, Any], str | None]], rules: Mapping[str, CreditRule]
) -> Iterator[OwnedLine]:
    for line, price_id in lines:
        price = rules.get(price_id or "", NO_CREDITS).price
        if price and price["interval"] is None and price["meta"].get("lifetime", "").lower() == "true":
            yield OwnedLine(line["id"], price["product_id"], line["quantity"] or 0)
