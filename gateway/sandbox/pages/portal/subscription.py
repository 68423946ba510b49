"""What a customer does with a subscription in the portal: change the plan (with a preview), cancel, go on."""

from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from gateway.sandbox.core import money as arithmetic
from gateway.sandbox.core.errors import StripeError
from gateway.sandbox.pages import formats, site
from gateway.sandbox.pages.calls import call, sandbox_of
from gateway.sandbox.pages.labels import TONES
from gateway.sandbox.pages.portal import later
from gateway.sandbox.pages.portal.session import Visit, visit_of

Json = dict[str, Any]

REASONS = {
    "too_expensive": "It is too expensive",
    "missing_features": "I need features that are missing",
    "switched_service": "I found something else",
    "unused": "I do not use it enough",
    "customer_service": "Customer service was not good enough",
    "too_complex": "It is too complicated",
    "low_quality": "The quality was not good enough",
    "other": "Another reason",
}
"""Stripe's values of ``cancellation_details.feedback`` in the words of the page."""

MOST_UNITS = 999_999
_DECLINED, _INVALID = 402, 422


def routes(base: str) -> list[Route]:
    """Return the pages of one subscription, below the portal session's path."""
    of_one = f"{base}/subscriptions/{{subscription}}"
    return [
        site.view(f"{of_one}/update", choose),
        site.view(f"{of_one}/confirm", confirm),
        site.action(f"{of_one}/confirm", change),
        site.view(f"{of_one}/cancel", ask_cancel),
        site.action(f"{of_one}/cancel", cancel),
        site.action(f"{of_one}/resume", resume),
        site.action(f"{of_one}/keep", keep),
    ]


def summary(visit: Visit, subscription: Json) -> Json:
    """Return what the portal's first page says about a subscription."""
    items = subscription["items"]["data"]
    ends = subscription["cancel_at"] or (_period_end(subscription) if subscription["cancel_at_period_end"] else None)
    return {
        "id": subscription["id"],
        "name": ", ".join(_name(visit, item["price"]) for item in items),
        "prices": [_price_text(visit, item["price"], item.get("quantity")) for item in items],
        "status": subscription["status"],
        "tone": TONES.get(subscription["status"], ""),
        "trial_end": subscription["trial_end"] if subscription["status"] == "trialing" else None,
        "period_end": _period_end(subscription),
        "ends": ends,
        "planned": _planned(visit, subscription),
        # Stripe's portal changes subscriptions of one item only.
        "changeable": visit.may("subscription_update")
        and len(items) == 1
        and not ends
        and not _planned(visit, subscription)
        and bool(_choices(visit, subscription)),
        "cancelable": visit.may("subscription_cancel") and not ends,
    }


# Changing the plan ---------------------------------------------------------------------------------------------


async def choose(http: Request) -> Response:
    """Return the plans to choose from, and the quantity."""
    visit = visit_of(http)
    visit.require("subscription_update")
    subscription = visit.subscription()
    item = _only_item(subscription)
    return visit.render(
        "portal_update.html",
        subscription=summary(visit, subscription),
        choices=_choices(visit, subscription),
        current=item["price"]["id"],
        quantity=item.get("quantity"),
        adjustable="quantity" in visit.features["subscription_update"]["default_allowed_updates"]
        and item.get("quantity") is not None,
        most=MOST_UNITS,
    )


async def confirm(http: Request) -> Response:
    """Return what the change costs today and from the next period on."""
    visit = visit_of(http)
    subscription = visit.subscription()
    _refuse_planned(visit, subscription)
    return _confirm_page(visit, subscription, _wanted(visit, http.query_params))


async def change(http: Request) -> Response:
    """Change plan and quantity."""
    visit, form = visit_of(http), await site.read_form(http)
    subscription = visit.subscription()
    _refuse_planned(visit, subscription)
    wanted = _wanted(visit, form)
    params = {
        "items": [wanted],
        "proration_behavior": visit.features["subscription_update"]["proration_behavior"],
        "payment_behavior": "error_if_incomplete",
        **_trial(visit, subscription),
        **_flow_discounts(visit),
    }
    try:
        if _waits(visit, subscription, wanted):
            if subscription["schedule"]:
                call(http, "POST", f"/v1/subscription_schedules/{subscription['schedule']}/release")
            later.plan(http, subscription, wanted, sandbox_of(http).need("price", wanted["price"]))
        else:
            call(http, "POST", f"/v1/subscriptions/{subscription['id']}", params)
    except StripeError as error:
        return _confirm_page(visit, subscription, wanted, message=error.message, status=_DECLINED)
    return visit.done("changed")


def _planned(visit: Visit, subscription: Json) -> int | None:
    """Return when a schedule changes the subscription next; None where nothing is planned."""
    schedule = sandbox_of(visit.http).store.get("subscription_schedule", subscription["schedule"] or "")
    now = sandbox_of(visit.http).now(subscription)
    return min(
        (each["start_date"] for each in (schedule or {"phases": []})["phases"] if each["start_date"] > now),
        default=None,
    )


def _refuse_planned(visit: Visit, subscription: Json) -> None:
    """Refuse a change beside one that is planned.

    Source: Stripe's answer in github.com/invertase/stripe-firebase-extensions/issues/158: subscriptions can be updated
    in the portal "when there's no future Phases on the attached Schedule".

    Raises:
        HTTPException: something is planned.
    """
    if _planned(visit, subscription):
        raise HTTPException(400, "A change of this plan is scheduled already: cancel it first.")


def _wanted(visit: Visit, form: Any) -> Json:
    """Return the changed item that a flow prescribes or the form asks for.

    Raises:
        HTTPException: it is none of the choices, or no change at all.
    """
    visit.require("subscription_update")
    subscription = visit.subscription()
    item = _only_item(subscription)
    flow = visit.flow or {}
    if flow.get("type") == "subscription_update_confirm":
        prescribed = flow["subscription_update_confirm"]["items"][0]
        return {"id": item["id"], "price": item["price"]["id"], "quantity": item.get("quantity"), **prescribed}
    price, quantity = form.get("price") or item["price"]["id"], form.get("quantity")
    if price not in {choice["id"] for choice in _choices(visit, subscription)}:
        raise HTTPException(400, "This plan cannot be chosen here.")
    changed = {"id": item["id"], "price": price}
    if item.get("quantity") is not None:
        changed["quantity"] = item["quantity"]
        if quantity and "quantity" in visit.features["subscription_update"]["default_allowed_updates"]:
            if not quantity.isdecimal() or not 1 <= int(quantity[:9]) <= MOST_UNITS:
                raise HTTPException(400, f"The quantity is a number from 1 to {MOST_UNITS}.")
            changed["quantity"] = int(quantity[:9])
    if changed["price"] == item["price"]["id"] and changed.get("quantity") == item.get("quantity"):
        raise HTTPException(400, "That is the plan you have already.")
    return changed


def _confirm_page(visit: Visit, subscription: Json, wanted: Json, *, message: str = "", status: int = 200) -> Response:
    price = sandbox_of(visit.http).store.get("price", wanted["price"])
    if price is None:
        raise HTTPException(400, "This plan cannot be chosen here.")
    trial = _trial(visit, subscription)
    details: Json = {"items": [wanted], "proration_behavior": "none"}
    # a change that waits, or in a trial that goes on, makes no invoice: the next one is shown
    if not _waits(visit, subscription, wanted) and (trial or subscription["status"] != "trialing"):
        details |= {"proration_behavior": visit.features["subscription_update"]["proration_behavior"], **trial}
    params = {"customer": visit.customer["id"], "subscription": subscription["id"], "subscription_details": details}
    try:
        preview = call(visit.http, "POST", "/v1/invoices/create_preview", {**params, **_flow_discounts(visit)})
    except StripeError as error:
        raise HTTPException(_INVALID, error.message) from None
    return visit.render(
        "portal_confirm.html",
        status=status,
        subscription=summary(visit, subscription),
        wanted=wanted,
        plan=_name(visit, price),
        price=_price_text(visit, price, wanted.get("quantity")),
        preview=preview,
        message=message,
    )


def _waits(visit: Visit, subscription: Json, wanted: Json) -> bool:
    feature, price = visit.features["subscription_update"], sandbox_of(visit.http).store.get("price", wanted["price"])
    return price is not None and later.waits(feature, subscription, price, wanted.get("quantity"))


def _trial(visit: Visit, subscription: Json) -> Json:
    """Return what a change at once makes of a trial: it ends, unless the configuration says otherwise.

    Source: docs.stripe.com/changelog/clover/2025-09-30/customer-portal-trial-behavior
    """
    ends = visit.features["subscription_update"]["trial_update_behavior"] == "end_trial"
    return {"trial_end": "now"} if ends and subscription["status"] == "trialing" else {}


def _flow_discounts(visit: Visit) -> Json:
    discounts = ((visit.flow or {}).get("subscription_update_confirm") or {}).get("discounts")
    return {"discounts": discounts} if discounts else {}


def _choices(visit: Visit, subscription: Json) -> list[Json]:
    """Return the prices that the configuration offers, in the subscription's currency."""
    store, feature = sandbox_of(visit.http).store, visit.features["subscription_update"]
    if "price" not in feature["default_allowed_updates"]:
        offered = [subscription["items"]["data"][0]["price"]["id"]]
    else:
        offered = [price for product in feature.get("products") or [] for price in product["prices"]]
    found = [price for price in (store.get("price", key) for key in offered) if price and price["active"]]
    return [
        {"id": price["id"], "name": _name(visit, price), "price": _price_text(visit, price, None)}
        for price in found
        if arithmetic.in_currency(price, subscription["currency"])
    ]


# Canceling and going on ----------------------------------------------------------------------------------------


async def ask_cancel(http: Request) -> Response:
    """Return when the subscription will end, and why."""
    visit = visit_of(http)
    visit.require("subscription_cancel")
    subscription = visit.subscription()
    return _cancel_page(visit, subscription)


def _cancel_page(visit: Visit, subscription: Json, *, message: str = "", status: int = 200) -> Response:
    feature = visit.features["subscription_cancel"]
    asked = feature["cancellation_reason"]
    return visit.render(
        "portal_cancel.html",
        status=status,
        subscription=summary(visit, subscription),
        now=feature["mode"] == "immediately",
        reasons={key: REASONS[key] for key in asked["options"] if key in REASONS} if asked["enabled"] else {},
        message=message,
    )


async def cancel(http: Request) -> Response:
    """End the subscription as the configuration says, with the reason that was given."""
    visit, form = visit_of(http), await site.read_form(http)
    visit.require("subscription_cancel")
    subscription, feature = visit.subscription(), visit.features["subscription_cancel"]
    path, given = f"/v1/subscriptions/{subscription['id']}", form.get("feedback", "")
    reason = {key: value for key, value in (("feedback", given), ("comment", form.get("comment", ""))) if value}
    details = {"cancellation_details": reason} if reason and given in {"", *REASONS} else {}
    try:
        if subscription["schedule"]:  # a planned change is off, then
            call(http, "POST", f"/v1/subscription_schedules/{subscription['schedule']}/release")
        if feature["mode"] == "immediately":
            prorate = feature["proration_behavior"] != "none"
            call(http, "DELETE", path, {**details, "prorate": prorate, "invoice_now": prorate})
        else:
            # docs.stripe.com/billing/subscriptions/billing-mode/compare: which of the two the mode sets.
            flexible = subscription["billing_mode"]["type"] == "flexible"
            end = {"cancel_at": "min_period_end"} if flexible else {"cancel_at_period_end": True}
            call(http, "POST", path, {**details, **end})
    except StripeError as error:
        return _cancel_page(visit, subscription, message=error.message, status=_INVALID)
    return visit.done("canceled")


async def resume(http: Request) -> Response:
    """Take a pending cancellation back."""
    visit, _ = visit_of(http), await site.read_form(http)
    visit.require("subscription_cancel")
    subscription = visit.subscription()
    change = {"cancel_at_period_end": False} if subscription["cancel_at_period_end"] else {"cancel_at": ""}
    call(http, "POST", f"/v1/subscriptions/{subscription['id']}", change)
    return visit.done("resumed")


async def keep(http: Request) -> Response:
    """Cancel what is scheduled; the plan stays."""
    visit, _ = visit_of(http), await site.read_form(http)
    visit.require("subscription_update")
    subscription = visit.subscription()
    if subscription["schedule"]:
        call(http, "POST", f"/v1/subscription_schedules/{subscription['schedule']}/release")
    return visit.done("kept")


# Words ---------------------------------------------------------------------------------------------------------


def _only_item(subscription: Json) -> Json:
    items: list[Json] = subscription["items"]["data"]
    if len(items) != 1:
        raise HTTPException(400, "A subscription of several parts cannot be changed here.")
    return items[0]


def _period_end(subscription: Json) -> int | None:
    return min((item["current_period_end"] for item in subscription["items"]["data"]), default=None)


def _name(visit: Visit, price: Json) -> str:
    product = sandbox_of(visit.http).store.get("product", price["product"])
    return str(price["nickname"] or (product["name"] if product else price["product"]))


def _price_text(visit: Visit, price: Json, quantity: int | None) -> str:
    times = f"{quantity} {formats.TIMES} " if quantity and quantity > 1 else ""
    return f"{times}{formats.price(price, visit.locale)}"
