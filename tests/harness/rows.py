"""Rows of the mirror for tables of pure rules: whatever a rule does not look at has a value that says so."""

from datetime import UTC, datetime, timedelta
from typing import Any

from gateway.billing.catalog.snapshot import Snapshot, build_snapshot
from gateway.billing.subscriptions.access import Access, Reason
from gateway.billing.subscriptions.state import SubscriptionState
from gateway.models.mirrored import Price, Product, Subscription, SubscriptionItem

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
DAY = timedelta(days=1)


def product(id: str, **columns: Any) -> Product:
    given = {"name": id, "active": True, "meta": {}, "created": NOW, "updated": NOW, "as_of": 0, **columns}
    return Product(id=id, **given)


def price(id: str, product_id: str, unit_amount: int | None = 900, **columns: Any) -> Price:
    """A monthly plan, unless the columns say otherwise."""
    given = {"active": True, "currency": "usd", "billing_scheme": "per_unit", "interval": "month", "interval_count": 1}
    given |= {"usage_type": "licensed", "created": NOW, "as_of": 0, "unit_amount": unit_amount, **columns}
    return Price(id=id, product_id=product_id, **given)


def snapshot(*rows: Product | Price, currency: str | None = None) -> Snapshot:
    products = [row for row in rows if isinstance(row, Product)]
    prices = [row for row in rows if isinstance(row, Price)]
    return build_snapshot(products, prices, version=1, as_of=NOW, currency=currency)


def item(id: str, price_id: str, product_id: str, quantity: int | None = 1) -> SubscriptionItem:
    return SubscriptionItem(
        id=id,
        subscription_id="sub_1",
        price_id=price_id,
        product_id=product_id,
        quantity=quantity,
        current_period_start=NOW - 3 * DAY,
        current_period_end=NOW + 27 * DAY,
        created=NOW,
    )


def state(
    *items: SubscriptionItem, id: str = "sub_1", status: str = "active", access: Access | None = None, **columns: Any
) -> SubscriptionState:
    """A subscription that gives access by all of its items, unless `access` says otherwise."""
    given = {"customer_id": "cus_1", "currency": "usd", "created": NOW, "start_date": NOW, "as_of": 0, **columns}
    decided = access or Access(allowed=True, reason=Reason.ACTIVE, until=NOW + 27 * DAY)
    giving = items if decided.allowed else ()
    return SubscriptionState(Subscription(id=id, status=status, **given), items, decided, giving)
