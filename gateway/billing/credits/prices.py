"""Read what a price says about credits. It changes nothing.

A price says in its metadata how many credits one unit brings; what it does not say is read from its product. A price
that is billed by use brings only what its own metadata say: the product's credits are those of its plans.

- `credits`: a whole number, for each unit of the quantity;
- `credits_rollover`: `true` keeps the credits of a subscription; otherwise they end with the period of the line;
- `credits_expire_days`: they last so many days at most, counted from the payment.

Of a kind with a name (`kinds.py`) the keys are `credits_ai`, `credits_ai_rollover` and `credits_ai_expire_days`.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from gateway.billing.catalog.credit_kinds import EXPIRE_DAYS, ROLLOVER, key_of
from gateway.billing.credits.timeline import Interval, Tariff
from gateway.db.tables import table_for
from gateway.models.mirrored import Price, Product

PRICES, PRODUCTS = table_for(Price), table_for(Product)
_WITH_PRODUCTS = PRICES.join(PRODUCTS, PRODUCTS.c.id == PRICES.c.product_id, isouter=True)
_THESE = PRICES.c.id.in_(sa.bindparam("ids", expanding=True))
_RULES = sa.select(PRICES, PRODUCTS.c.meta.label("product_meta")).select_from(_WITH_PRODUCTS).where(_THESE)
_KNOWN = (
    sa.select(PRICES.c.id, PRICES.c.product_id, PRODUCTS.c.id.label("product"))
    .select_from(_WITH_PRODUCTS)
    .where(_THESE)
)


@dataclass(frozen=True, slots=True)
class CreditRule:
    """What a price says about the credits of a kind, and about time."""

    meta: Mapping[str, str]
    price: Mapping[str, Any] | None = None
    interval: Interval | None = None
    kind: str = ""

    def of_kind(self, kind: str) -> "CreditRule":
        """Return what it says about the credits of another kind."""
        return replace(self, kind=kind)

    def tariff(self, currency: str) -> Tariff | None:
        """Return what the price costs in a currency; None where it is not known."""
        if self.price is None:
            return None
        options = {} if currency == self.price["currency"] else self.price["currency_options"]
        return Tariff.of(options.get(currency) or self.price)

    @property
    def credits(self) -> int:
        """How many credits one unit brings."""
        return _whole(self.meta.get(key_of(self.kind)))

    @property
    def rolls_over(self) -> bool:
        """Whether credits outlive the period of their line."""
        return self.meta.get(key_of(self.kind) + ROLLOVER, "").lower() == "true"

    def last_day(self, paid_at: datetime) -> list[datetime]:
        """Return when the credits expire by `credits_expire_days`, if the price has it."""
        days = _whole(self.meta.get(key_of(self.kind) + EXPIRE_DAYS))
        return [paid_at + timedelta(days=min(days, 36500))] if days else []


NO_CREDITS = CreditRule({})


def _whole(text: str | None) -> int:
    """Read a whole number; anything else brings no credits, so that a mistake in metadata gives nothing away."""
    return int(text) if text and text.isascii() and text.isdecimal() and len(text) <= len("999999999") else 0


def read_rules(connection: sa.Connection, price_ids: Collection[str]) -> dict[str, CreditRule]:
    """Read the rule of each price that the mirror knows."""
    found = {}
    for row in connection.execute(_RULES, {"ids": [*price_ids]}).mappings() if price_ids else ():
        interval = Interval(row["interval"], row["interval_count"] or 1) if row["interval"] else None
        shared = {} if row["usage_type"] == "metered" else row["product_meta"] or {}
        found[row["id"]] = CreditRule({**shared, **row["meta"]}, dict(row), interval)
    return found


def unknown_prices(connection: sa.Connection, lines: Iterable[Mapping[str, Any]]) -> list[str]:
    """Return which prices of some lines, and which of their products, the mirror does not have, as `kind:id`."""
    named = {line["price"] for line in lines if line["price"]}
    rows = connection.execute(_KNOWN, {"ids": [*named]}).all() if named else []
    missing = [f"price:{name}" for name in sorted(named - {row.id for row in rows})]
    return missing + [f"product:{row.product_id}" for row in rows if row.product is None]
