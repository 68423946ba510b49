"""A subscription and its bill as Stripe answers them, for services that ask a scripted Stripe."""

from datetime import UTC, datetime

NOW = datetime.now(UTC).replace(microsecond=0)
STARTED, ENDS = int(NOW.timestamp()) - 86_400, int(NOW.timestamp()) + 29 * 86_400


def bill(price_id: str = "month", *, proration: bool = False, **columns) -> dict:
    details = {"subscription_item": "si_1", "proration": proration}
    line = {
        "id": "il_1",
        "description": "Plan",
        "amount": 900,
        "quantity": 1,
        "period": {"start": STARTED, "end": ENDS},
    }
    line |= {"pricing": {"price_details": {"price": price_id}}, "parent": {"subscription_item_details": details}}
    obj = {"id": "in_1", "object": "invoice", "customer": "cus_1", "number": "A-1", "status": "paid", "currency": "usd"}
    obj |= dict.fromkeys(("subtotal", "total", "amount_due", "amount_paid"), 900)
    obj |= {"billing_reason": "subscription_update", "amount_remaining": 0, "attempt_count": 1, "created": STARTED}
    obj |= {
        "lines": {"data": [line]},
        "period_start": STARTED,
        "period_end": ENDS,
        "status_transitions": {"paid_at": 1},
    }
    return obj | {"parent": {"subscription_details": {"subscription": "sub_1"}}, **columns}


def theirs(price_id: str = "month", quantity: int | None = 1, **columns) -> dict:
    of_product = "disks" if price_id.startswith("disk") else "pro"
    only = {"id": "si_1", "price": {"id": price_id, "product": of_product}, "quantity": quantity}
    only |= {"current_period_start": STARTED, "current_period_end": ENDS, "created": STARTED}
    only |= {"metadata": {}, "tax_rates": []}
    of_customer = {"id": "cus_1", "discount": None}
    obj = {"id": "sub_1", "object": "subscription", "customer": of_customer, "status": "active", "currency": "usd"}
    obj |= dict.fromkeys(
        ("cancel_at", "canceled_at", "ended_at", "trial_start", "trial_end", "pause_collection", "schedule")
    )
    obj |= {"cancel_at_period_end": False, "default_payment_method": None, "latest_invoice": bill(), "metadata": {}}
    obj |= {"discounts": [], "default_tax_rates": [], "description": None, "collection_method": "charge_automatically"}
    return obj | {"items": {"data": [only]}, "created": STARTED, "start_date": STARTED, **columns}
