"""The beginning of a subscription: made from its parameters, billed for the first time, told of.

Source: docs.stripe.com/api/subscriptions/create, docs.stripe.com/billing/subscriptions/overview#payment-behavior
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from gateway.sandbox.billing import collection, discounts, invoices, items, lines, pending, subscriptions
from gateway.sandbox.core import money, periods
from gateway.sandbox.core.errors import StripeError, invalid, parameter_missing
from gateway.sandbox.core.merge import merge

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gateway.sandbox.core.ports import Sandbox
    from gateway.sandbox.core.store import Obj

_INCOMPLETE_TIME = 23 * periods.HOUR
_NO_PAYMENT_METHOD = (
    "This customer has no attached payment source or default payment method. Please consider adding a default payment "
    "method. For more information, visit "
    "https://stripe.com/docs/billing/subscriptions/payment-methods-setting#payment-method-priority."
)


def create(sandbox: Sandbox, customer: Obj, params: Obj) -> Obj:
    """Start a subscription from the parameters of `POST /v1/subscriptions`; it is not billed yet (see `begin`)."""
    now = sandbox.now(customer)
    given = params.get("items") or []
    if not given and not params.get("add_invoice_items"):
        raise parameter_missing("items")
    subscription = merge(_blank(sandbox, customer, now), params, *subscriptions.PLAIN)
    _check_collection(subscription)
    subscription["billing_mode"] = billing_mode(params, now)
    subscription["currency"] = _currency(sandbox, customer, params)
    _check_currency(sandbox, customer, subscription["currency"])
    subscription["default_tax_rates"] = items.tax_rates(sandbox, params.get("default_tax_rates"), "default_tax_rates")
    data = [
        items.make(sandbox, subscription, customer, entry, f"items[{number}]") for number, entry in enumerate(given)
    ]
    subscription["items"]["data"] = data
    items.check_intervals(subscription)
    _start(subscription, params, now)
    subscription["discounts"] = discounts.redeem(
        sandbox, params.get("discounts"), customer, subscription=subscription["id"]
    )
    subscriptions.plan_end(subscription, params, now)
    for item in data:
        item["current_period_end"] = items.fitted_end(subscription, item)
    customer["currency"] = customer.get("currency") or subscription["currency"]
    sandbox.update(customer, "customer.updated")
    return subscriptions.save(sandbox, sandbox.create(subscription))


def _blank(sandbox: Sandbox, customer: Obj, now: int) -> Obj:
    new_id = sandbox.new_id("sub")
    return {
        "id": new_id,
        "object": "subscription",
        "automatic_tax": {"disabled_reason": None, "enabled": False, "liability": None},
        "billing_schedules": [],
        "cancel_at": None,
        "cancel_at_period_end": False,
        "cancellation_details": {"comment": None, "feedback": None, "feedback_option": None, "reason": None},
        "collection_method": "charge_automatically",
        "created": now,
        "customer": customer["id"],
        "days_until_due": None,
        "default_payment_method": None,
        "invoice_settings": {
            "account_tax_ids": None,
            "custom_fields": None,
            "description": None,
            "footer": None,
            "issuer": {"type": "self"},
        },
        "items": {
            "data": [],
            "has_more": False,
            "object": "list",
            "url": f"/v1/subscription_items?subscription={new_id}",
        },
        "metadata": {},
        "payment_settings": {
            "payment_method_options": None,
            "payment_method_types": None,
            "save_default_payment_method": "off",
        },
        "test_clock": customer.get("test_clock"),
        "trial_settings": {"end_behavior": {"billing_cycle_anchor": None, "missing_payment_method": "create_invoice"}},
    }


def billing_mode(params: Obj, now: int) -> Obj:
    """Return the billing mode that the parameters ask for at a time: flexible unless they say classic."""
    mode = params.get("billing_mode") or {}
    if mode.get("type") == "classic":
        return {"flexible": None, "type": "classic"}
    chosen = {"proration_discounts": "included", **(mode.get("flexible") or {})}
    return {"flexible": chosen, "type": "flexible", "updated_at": now}


def _check_collection(subscription: Obj) -> None:
    by_invoice = subscription["collection_method"] == "send_invoice"
    if by_invoice and subscription["days_until_due"] is None:
        raise parameter_missing("days_until_due")
    if not by_invoice and subscription["days_until_due"] is not None:
        raise invalid("You may only specify `days_until_due` with `collection_method=send_invoice`.", "days_until_due")


def _currency(sandbox: Sandbox, customer: Obj, params: Obj) -> str:
    if params.get("currency"):
        return str(params["currency"]).lower()
    entry = (params.get("items") or params["add_invoice_items"])[0]
    data = entry.get("price_data")
    if data:
        return str(data["currency"]).lower()
    price = sandbox.store.get("price", entry.get("price") or entry.get("plan") or "")
    customers_own = customer.get("currency")
    if price and customers_own in (price.get("currency_options") or {}):
        return str(customers_own)
    return str(price["currency"]) if price else "usd"


def _check_currency(sandbox: Sandbox, customer: Obj, currency: str) -> None:
    """Refuse a second currency: docs.stripe.com/invoicing/multiple-currencies."""
    live = (
        each
        for each in sandbox.store.scan("subscription", customer=customer["id"])
        if each["status"] not in subscriptions.FINAL
    )
    waiting = (each for each in sandbox.store.scan("invoiceitem", customer=customer["id"]) if each["invoice"] is None)
    other = next((each["currency"] for each in (*live, *waiting) if each["currency"] != currency), None)
    if other:
        raise invalid(
            "You cannot combine currencies on a single customer. This customer has an active subscription, "
            f"subscription schedule, discount, quote, or invoice item with currency {other}."
        )


def _start(subscription: Obj, params: Obj, now: int) -> None:
    """Set trial, anchor and first periods."""
    data = subscription["items"]["data"]
    start = params.get("backdate_start_date") or now
    subscription["start_date"] = start
    trial_end = trial_end_of(params, data, now)
    subscription["trial_start"] = now if trial_end else None
    subscription["trial_end"] = trial_end
    config = params.get("billing_cycle_anchor_config")
    subscription["billing_cycle_anchor_config"] = config
    anchor = trial_end or params.get("billing_cycle_anchor") or start
    if config and not trial_end:
        anchor = periods.anchored(config, items.rhythm(data[0])[0], now)
    subscription["billing_cycle_anchor"] = anchor
    automatic = subscription["collection_method"] == "charge_automatically"
    subscription["status"] = "trialing" if trial_end else "incomplete" if automatic else "active"
    for item in data:
        items.start_period(item, anchor, now)
        if trial_end:
            item["current_period_end"] = trial_end


def trial_end_of(params: Obj, data: Sequence[Obj], now: int) -> int | None:
    """Return when the trial that the parameters ask for ends; None for none."""
    end = params.get("trial_end")
    days = params.get("trial_period_days")
    if params.get("trial_from_plan"):
        days = max((item["price"]["recurring"]["trial_period_days"] or 0 for item in data), default=0)
    if end is not None and days:
        raise invalid("You may only specify one of these parameters: trial_end, trial_period_days.", "trial_end")
    if end == "now":
        return None
    if end is not None and end <= now:
        raise invalid("Invalid timestamp: must be an integer Unix timestamp in the future.", "trial_end")
    return end or (now + days * periods.DAY if days else None)


def begin(sandbox: Sandbox, subscription: Obj, params: Obj) -> Obj:
    """Bill a new subscription's first invoice and tell of its birth.

    Args:
        sandbox: The account.
        subscription: As `create` made it.
        params: `payment_behavior` ("allow_incomplete" by default), `add_invoice_items`, `proration_behavior`.

    Raises:
        StripeError: No payment method to charge, or a decline under `error_if_incomplete`.
    """
    behavior = params.get("payment_behavior", "allow_incomplete")
    bought = first_lines(sandbox, subscription, params.get("proration_behavior", "create_prorations"))
    pending.add_extra(sandbox, subscription, params.get("add_invoice_items") or [])
    charged = bought or pending.of(sandbox, subscription)
    invoice = subscriptions.bill(sandbox, subscription, bought, "subscription_create") if charged else None
    sandbox.emit("customer.subscription.created", subscription)
    if subscription["status"] == "trialing" and subscription["trial_end"] - subscriptions.TRIAL_WARNING <= sandbox.now(
        subscription
    ):
        subscriptions.warn_of_trial_end(sandbox, subscription["id"])
    if invoice is None:
        return subscriptions.activate(sandbox, subscription)
    if subscription["collection_method"] == "send_invoice":
        invoices.advance_later(sandbox, invoice)
        return sandbox.need("subscription", subscription["id"])
    invoice = invoices.finalize(sandbox, invoice)
    if invoice["status"] == "open":
        at = sandbox.now(subscription) + _INCOMPLETE_TIME
        sandbox.clock.schedule(at, "subscription.expire", subscription)
        _first_payment(sandbox, invoice, behavior)
    return sandbox.need("subscription", subscription["id"])


def _first_payment(sandbox: Sandbox, invoice: Obj, behavior: str) -> None:
    if behavior == "default_incomplete":
        return
    if collection.default_payment_method(sandbox, invoice) is None:
        raise StripeError(_NO_PAYMENT_METHOD, code="resource_missing")
    invoice = collection.collect(sandbox, invoice)
    subscriptions.refuse_if_unpaid(sandbox, invoice, behavior)


def first_lines(sandbox: Sandbox, subscription: Obj, proration: str) -> list[Obj]:
    """Return what a new (or newly anchored) subscription is charged at once: licensed items for their first period."""
    found: list[Obj] = []
    for item in subscription["items"]["data"]:
        if subscription["status"] == "trialing":
            if items.metered(item) and subscription["billing_mode"]["type"] == "flexible":
                continue  # no line over nothing: docs.stripe.com/billing/subscriptions/billing-mode/compare
            period = (item["current_period_start"], item["current_period_end"])
            found.append(lines.of_trial(sandbox, subscription, item, period))
        elif not items.metered(item):
            found += lines_of_period(sandbox, subscription, item, proration)
    return found


def lines_of_period(sandbox: Sandbox, subscription: Obj, item: Obj, proration: str = "create_prorations") -> list[Obj]:
    """Return the lines of an item for its present period.

    A period that begins between two anchors, or ends with the subscription before the next, costs its share. Without
    proration the one is free and the other costs as much as a whole one.
    """
    period = (item["current_period_start"], item["current_period_end"])
    full = items.full_period(item, subscription["billing_cycle_anchor"])
    charged = lines.of_item(sandbox, subscription, item, period)
    if period != full:
        share = (period[1] - period[0], full[1] - full[0])
        if proration == "none":
            share = (1, 1) if period[0] == full[0] else (0, 1)
        for line in charged:
            line["amount"] = line["subtotal"] = money.scaled(line["amount"], *share)
            line["parent"]["subscription_item_details"]["proration"] = True
    return charged
