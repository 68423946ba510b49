"""Rows of the mirror for tables of rules: whatever a rule does not look at has a value that says so."""

from datetime import UTC, datetime, timedelta
from typing import Any

import sqlalchemy as sa

from gateway.billing.catalog.snapshot import Snapshot, build_snapshot
from gateway.billing.subscriptions.access import Access, Reason
from gateway.billing.subscriptions.state import SubscriptionState
from gateway.db.tables import table_for
from gateway.models.columns import Row
from gateway.models.mirrored import Charge, Customer, Dispute, Invoice, Price, Product, Subscription, SubscriptionItem

NOW = datetime(2126, 11, 23, 12, tzinfo=UTC)
"""Later than any clock: a rule that takes the later of two moments takes this one."""
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


def item(
    id: str, price_id: str, product_id: str, quantity: int | None = 1, *, subscription_id: str = "sub_1"
) -> SubscriptionItem:
    return SubscriptionItem(
        id=id,
        subscription_id=subscription_id,
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
    decided = access or Access(allowed=True, reason=Reason.ACTIVE, until=NOW + 27 * DAY)
    giving = items if decided.allowed else ()
    return SubscriptionState(subscription(id, status, **columns), items, decided, giving)


def at(days: float) -> datetime:
    return NOW + days * DAY


def line(start: float, end: float, amount: int = 900, **columns: Any) -> dict[str, Any]:
    """A line of a mirrored invoice, for the time between two days from now."""
    period = {"period_start": int(at(start).timestamp()), "period_end": int(at(end).timestamp())}
    given = {"id": f"il_{start}_{end}_{amount}", "description": "Plan", "quantity": 1, "price": "month"}
    return {**given, "amount": amount, "subscription_item": "si_1", "proration": False, **period, **columns}


def invoice(id: str, *lines: dict[str, Any], days: float = -3, total: int = 900, **columns: Any) -> Invoice:
    """A paid invoice of a subscription, made some days from now."""
    ends = [datetime.fromtimestamp(each["period_end"], UTC) for each in lines]
    given = {"customer_id": "cus_1", "subscription_id": "sub_1", "status": "paid", "currency": "usd", "as_of": 0}
    given |= dict.fromkeys(("subtotal", "amount_due", "amount_paid"), total) | {"tax": 0, "amount_remaining": 0}
    given |= dict.fromkeys(("period_start", "period_end", "created", "paid_at"), at(days))
    given |= {"collection_method": "charge_automatically", "service_end": max(ends, default=None), **columns}
    return Invoice(id=id, total=total, lines=list(lines), **given)


def charge(id: str, refunded: int = 0, *, amount: int = 900, **columns: Any) -> Charge:
    given = {"customer_id": "cus_1", "amount": amount, "amount_captured": amount, "amount_refunded": refunded}
    return Charge(id=id, **{**given, "currency": "usd", "status": "succeeded", "as_of": 0, **columns})


def dispute(id: str, charge_id: str, amount: int, status: str = "lost", **columns: Any) -> Dispute:
    given = {"charge_id": charge_id, "amount": amount, "status": status, "currency": "usd", "reason": "x", "as_of": 0}
    return Dispute(id=id, **{**given, **columns})


def customer(id: str = "cus_1", external_id: str | None = None, **columns: Any) -> Customer:
    return Customer(id=id, external_id=external_id, **{"created": NOW, "as_of": 0, **columns})


def subscription(id: str = "sub_1", status: str = "active", **columns: Any) -> Subscription:
    given = {"customer_id": "cus_1", "currency": "usd", "created": NOW, "start_date": NOW, "as_of": 0, **columns}
    return Subscription(id=id, status=status, **given)


def put(connection: sa.Connection, *rows: Row) -> None:
    """Write rows as they are."""
    for row in rows:
        table = table_for(type(row))
        known = {column.name for column in table.c}
        connection.execute(sa.insert(table).values({k: v for k, v in row.model_dump().items() if k in known}))
