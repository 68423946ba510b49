"""Events that tell of one version after the other of something at Stripe, for tests of who saw what when."""

import json
import time
from typing import Any

BEGAN = int(time.time()) - 500_000
"""When the first version was made; each is a second later than the one before, so that no two are of the same time."""
END = int(time.time()) + 86_400 * 365
"""When the period of a subscription's version 0 ends; each version's ends a second later."""


def subscription_event(each: int, version: int) -> tuple[str, dict[str, Any]]:
    its = {
        "id": f"si_{each}",
        "object": "subscription_item",
        "created": BEGAN,
        "price": {"id": "month", "object": "price", "product": "pro"},
        "quantity": 1,
        "current_period_start": BEGAN,
        "current_period_end": END + version,
    }
    unset = ("cancel_at", "canceled_at", "ended_at", "trial_start", "trial_end", "pause_collection")
    return "customer.subscription.updated", {
        "id": f"sub_{each}",
        "object": "subscription",
        "customer": f"cus_{each}",
        "status": "active",
        "currency": "usd",
        "cancel_at_period_end": False,
        "metadata": {},
        "created": BEGAN,
        "start_date": BEGAN,
        "items": {"object": "list", "data": [its], "has_more": False},
        **dict.fromkeys((*unset, "default_payment_method", "latest_invoice")),
    }


def session_event(each: int, version: int) -> tuple[str, dict[str, Any]]:
    return "checkout.session.expired", {
        "id": f"cs_test_{each}",
        "object": "checkout.session",
        "customer": None,
        "mode": "payment",
        "status": "expired",
        "payment_status": "unpaid",
        "currency": "usd",
        "amount_total": version,
        "created": BEGAN,
        "expires_at": BEGAN,
    }


def product_event(_: int, version: int) -> tuple[str, dict[str, Any]]:
    return "product.updated", {
        "id": "pro",
        "object": "product",
        "name": str(version),
        "description": None,
        "active": True,
        "images": [],
        "marketing_features": [],
        "metadata": {"features": "boards"},
        "created": BEGAN,
        "updated": BEGAN + version,
    }


def event_of(subject: tuple[str, int], version: int, kind: str, obj: dict[str, Any]) -> bytes:
    """The event of a version."""
    event = {
        "id": f"evt_{'_'.join(map(str, subject))}_{version}",
        "object": "event",
        "api_version": "2026-10-28.endive",
        "created": BEGAN + version,
        "livemode": False,
        "pending_webhooks": 1,
        "request": {"id": None, "idempotency_key": None},
        "type": kind,
        "data": {"object": obj},
    }
    return json.dumps(event).encode()
