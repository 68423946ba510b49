"""Subscriptions. https://docs.stripe.com/api/subscriptions."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gateway.sandbox.api.lists import page
from gateway.sandbox.api.routing import route
from gateway.sandbox.billing import changes, payment_methods, renewals, starting
from gateway.sandbox.billing import subscriptions as engine
from gateway.sandbox.core.errors import invalid, parameter_missing
from gateway.sandbox.core.registry import expandable, kind
from gateway.sandbox.core.templates import envelope

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gateway.sandbox.core.ports import Request, Sandbox
    from gateway.sandbox.core.store import Obj

kind("subscription", "sub")


# Of versions before `items`, and of those that gave discounts by a single code.
_LEGACY = ("coupon", "plan", "promotion_code", "quantity")


@route("POST", "/v1/subscriptions", params="SubscriptionCreateParams", legacy=_LEGACY)
def create(sandbox: Sandbox, request: Request) -> Obj:
    """Start a subscription and bill its first invoice."""
    params = _with_items(request.params)
    if "customer" not in params:
        raise parameter_missing("customer")
    customer = sandbox.need("customer", params["customer"], "customer")
    for name in ("coupon", "promotion_code"):
        if params.get(name):
            params["discounts"] = [{name: params.pop(name)}]
    if params.get("default_payment_method"):
        method = payment_methods.resolve(sandbox, params["default_payment_method"], "default_payment_method")
        params["default_payment_method"] = payment_methods.attach(sandbox, method, customer["id"])["id"]
    return starting.begin(sandbox, starting.create(sandbox, customer, params), params)


@route("GET", "/v1/subscriptions", params="SubscriptionListParams")
def index(sandbox: Sandbox, request: Request) -> Obj:
    """List subscriptions; canceled ones only on request."""
    wanted = request.params.get("status")
    price = request.params.get("price") or request.params.get("plan")
    clock = request.params.get("test_clock")

    def fits(subscription: Obj) -> bool:
        return (
            _status_fits(subscription["status"], wanted)
            and (not price or any(item["price"]["id"] == price for item in subscription["items"]["data"]))
            and (not clock or subscription["test_clock"] == clock)
        )

    switched_off = dict.fromkeys(("status", "price", "plan", "test_clock", "current_period_end"))
    return page(sandbox, request, "subscription", fits, **switched_off)


def _status_fits(status: str, wanted: str | None) -> bool:
    if wanted == "ended":
        return status in engine.FINAL
    return status not in engine.FINAL if wanted is None else wanted in ("all", status)


@route("GET", "/v1/subscriptions/{id}")
def retrieve(sandbox: Sandbox, _: Request, id: str) -> Obj:
    """Retrieve a subscription."""
    return sandbox.need("subscription", id)


@route(
    "POST",
    "/v1/subscriptions/{id}",
    params="SubscriptionUpdateParams",
    legacy=(*_LEGACY, "billing_cycle_anchor"),
)
def update(sandbox: Sandbox, request: Request, id: str) -> Obj:
    """Change a subscription."""
    subscription = sandbox.need("subscription", id)
    params = _with_items(request.params, subscription["items"]["data"])
    for name in ("coupon", "promotion_code"):
        if params.get(name):
            params["discounts"] = [{name: params.pop(name)}]
    return changes.update(sandbox, subscription, params)


def _with_items(params: Obj, present: Sequence[Obj] = ()) -> Obj:
    """Return parameters with the `plan` and `quantity` of older clients as an entry of `items`.

    Raises:
        StripeError: A subscription with several items does not say which of them is meant.
    """
    given = {name: params[name] for name in ("plan", "quantity") if params.get(name)}
    if not given:
        return dict(params)
    if len(present) > 1:
        name = next(iter(given))
        raise invalid(f"`{name}` may not be passed for a subscription with multiple items: pass `items`.", name)
    entry: Obj = {"id": present[0]["id"]} if present else {}
    if "plan" in given:
        entry["plan"] = given["plan"]
    if "quantity" in given:
        if not str(given["quantity"]).isdecimal():
            raise invalid(f"Invalid integer: {given['quantity']}", "quantity", "parameter_invalid_integer")
        entry["quantity"] = int(given["quantity"])
    return {**{name: value for name, value in params.items() if name not in given}, "items": [entry]}


@route("DELETE", "/v1/subscriptions/{id}", params="SubscriptionCancelParams")
def cancel(sandbox: Sandbox, request: Request, id: str) -> Obj:
    """Cancel a subscription now."""
    return changes.cancel(sandbox, sandbox.need("subscription", id), request.params)


@route("POST", "/v1/subscriptions/{id}/pause", params="SubscriptionPauseParams")
def pause(sandbox: Sandbox, _: Request, id: str) -> Obj:
    """Pause a subscription until it is resumed."""
    subscription = sandbox.need("subscription", id)
    if subscription["status"] not in ("active", "trialing", "past_due"):
        raise invalid(f"A subscription with status {subscription['status']} cannot be paused.")
    return renewals.pause(sandbox, subscription, "pause_requested")


@route("POST", "/v1/subscriptions/{id}/resume", params="SubscriptionResumeParams", legacy=("billing_cycle_anchor",))
def resume(sandbox: Sandbox, request: Request, id: str) -> Obj:
    """Resume a paused subscription."""
    subscription = sandbox.need("subscription", id)
    if subscription["status"] != "paused":
        raise invalid("This subscription is not paused and cannot be resumed.")
    anchor = request.params.get("billing_cycle_anchor", {"type": "now"})
    keeps_anchor = (anchor.get("type") if isinstance(anchor, dict) else anchor) == "unchanged"
    proration = request.params.get("proration_behavior", "create_prorations")
    return renewals.resume(sandbox, subscription, new_anchor=not keeps_anchor, proration=proration)


@route("POST", "/v1/subscriptions/{id}/migrate", params="SubscriptionMigrateParams")
def migrate(sandbox: Sandbox, request: Request, id: str) -> Obj:
    """Take a subscription from classic billing to flexible billing; there is no way back."""
    subscription = sandbox.need("subscription", id)
    if subscription["billing_mode"]["type"] == "flexible":
        raise invalid("This subscription already has the flexible billing mode.", "billing_mode")
    mode = starting.billing_mode(request.params, sandbox.now(subscription))
    return engine.save(sandbox, subscription | {"billing_mode": mode})


@route("DELETE", "/v1/subscriptions/{id}/discount")
def delete_discount(sandbox: Sandbox, _: Request, id: str) -> Obj:
    """Take the discounts off a subscription."""
    subscription = sandbox.need("subscription", id)
    gone = [sandbox.need("discount", each) for each in subscription["discounts"]]
    if not gone:
        raise invalid("No active discount for this subscription.", code="resource_missing")
    for discount in gone:
        sandbox.emit("customer.discount.deleted", discount)
    engine.save(sandbox, subscription | {"discounts": []})
    return {**gone[0], "deleted": True}


@expandable("customer", "subscriptions")
def _of_customer(sandbox: Sandbox, customer: Obj) -> Obj:
    found = sandbox.store.find("subscription", customer=customer["id"])
    live = [subscription for subscription in found if subscription["status"] not in engine.FINAL]
    return envelope(f"/v1/customers/{customer['id']}/subscriptions", live)
