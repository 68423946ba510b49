"""A subscription's life: created, activated, paused, resumed and ended, and what its invoices do to its status.

Source: docs.stripe.com/billing/subscriptions/overview
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from gateway.sandbox import money, periods
from gateway.sandbox.billing import collection, discounts, invoices, items, lines, pending
from gateway.sandbox.clock import job
from gateway.sandbox.errors import StripeError, invalid, parameter_missing
from gateway.sandbox.merge import merge

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gateway.sandbox.store import Obj
    from gateway.sandbox.world import Sandbox

FINAL = ("canceled", "incomplete_expired")
INCOMPLETE_TIME = 23 * periods.HOUR
TRIAL_WARNING = 3 * periods.DAY
_NO_PAYMENT_METHOD = (
    "This customer has no attached payment source or default payment method. Please consider adding a default payment "
    "method. For more information, visit "
    "https://stripe.com/docs/billing/subscriptions/payment-methods-setting#payment-method-priority."
)
# Parameters that are stored as they come.
PLAIN = (
    "application_fee_percent billing_thresholds cancellation_details days_until_due default_payment_method "
    "default_source description invoice_settings metadata on_behalf_of payment_settings pending_invoice_item_interval "
    "trial_settings collection_method"
).split()


def create(sandbox: Sandbox, customer: Obj, params: Obj) -> Obj:
    """Start a subscription from the parameters of `POST /v1/subscriptions`; it is not billed yet (see `begin`)."""
    now = sandbox.now(customer)
    given = params.get("items") or []
    if not given and not params.get("add_invoice_items"):
        raise parameter_missing("items")
    subscription = merge(_blank(sandbox, customer, now), params, *PLAIN)
    _check_collection(subscription)
    subscription["billing_mode"] = _billing_mode(params)
    subscription["currency"] = _currency(sandbox, customer, params)
    subscription["default_tax_rates"] = items.tax_rates(sandbox, params.get("default_tax_rates"), "default_tax_rates")
    data = [
        items.make(sandbox, subscription, customer, entry, f"items[{number}]") for number, entry in enumerate(given)
    ]
    subscription["items"]["data"] = data
    _start(subscription, params, now)
    subscription["discounts"] = discounts.redeem(
        sandbox, params.get("discounts"), customer, subscription=subscription["id"]
    )
    plan_end(subscription, params, now)
    customer["currency"] = customer.get("currency") or subscription["currency"]
    sandbox.update(customer)
    return save(sandbox, sandbox.create(subscription))


def _blank(sandbox: Sandbox, customer: Obj, now: int) -> Obj:
    id = sandbox.new_id("sub")
    return {
        "id": id,
        "object": "subscription",
        "automatic_tax": {"disabled_reason": None, "enabled": False, "liability": None},
        "billing_schedules": [],
        "cancel_at_period_end": False,
        "cancellation_details": {"comment": None, "feedback": None, "feedback_option": None, "reason": None},
        "collection_method": "charge_automatically",
        "created": now,
        "customer": customer["id"],
        "days_until_due": None,
        "default_payment_method": None,
        "invoice_settings": {
            "account_tax_ids": [],
            "custom_fields": [],
            "description": None,
            "footer": None,
            "issuer": {"type": "self"},
        },
        "items": {"data": [], "has_more": False, "object": "list", "url": f"/v1/subscription_items?subscription={id}"},
        "metadata": {},
        "payment_settings": {
            "payment_method_options": None,
            "payment_method_types": None,
            "save_default_payment_method": "off",
        },
        "test_clock": customer.get("test_clock"),
        "trial_settings": {"end_behavior": {"billing_cycle_anchor": None, "missing_payment_method": "create_invoice"}},
    }


def _billing_mode(params: Obj) -> Obj:
    mode = params.get("billing_mode") or {}
    if mode.get("type") == "classic":
        return {"flexible": None, "type": "classic"}
    return {"flexible": {"proration_discounts": "included", **(mode.get("flexible") or {})}, "type": "flexible"}


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


def _start(subscription: Obj, params: Obj, now: int) -> None:
    """Trial, anchor and first periods."""
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
    """When the trial that the parameters ask for ends; None for none."""
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


def save(sandbox: Sandbox, subscription: Obj, event: str | None = "customer.subscription.updated") -> Obj:
    """Store a subscription with its items, and plan what its clock has to do."""
    kept = {item["id"] for item in subscription["items"]["data"]}
    for item in sandbox.store.find("subscription_item", subscription=subscription["id"]):
        if item["id"] not in kept:
            sandbox.store.delete("subscription_item", item["id"])
    for item in subscription["items"]["data"]:
        sandbox.store.put(item)
    sandbox.update(subscription, event)
    schedule(sandbox, subscription)
    return subscription


def schedule(sandbox: Sandbox, subscription: Obj) -> None:
    """Plan the next renewal, the end and the warning before a trial's end, in place of earlier plans."""
    clock = sandbox.clock
    live = subscription["status"] not in (*FINAL, "incomplete", "paused")
    trial_end = subscription["trial_end"]
    data = subscription["items"]["data"]
    plans = {
        "subscription.cycle": min((item["current_period_end"] for item in data), default=None) if live else None,
        "subscription.end": subscription["cancel_at"] if live else None,
        "subscription.trial_will_end": trial_end - TRIAL_WARNING
        if trial_end and subscription["status"] == "trialing" and not subscription.get("_warned")
        else None,
    }
    for name, at in plans.items():
        if at is None:
            clock.cancel(name, subscription)
        else:
            clock.schedule(at, name, subscription)


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
    invoice = bill(sandbox, subscription, bought, "subscription_create") if charged else None
    sandbox.emit("customer.subscription.created", subscription)
    if subscription["status"] == "trialing" and subscription["trial_end"] - TRIAL_WARNING <= sandbox.now(subscription):
        warn_of_trial_end(sandbox, subscription["id"])
    if invoice is None:
        return activate(sandbox, subscription)
    if subscription["collection_method"] == "send_invoice":
        invoices.advance_later(sandbox, invoice)
        return sandbox.need("subscription", subscription["id"])
    invoice = invoices.finalize(sandbox, invoice)
    if invoice["status"] == "open":
        at = sandbox.now(subscription) + INCOMPLETE_TIME
        sandbox.clock.schedule(at, "subscription.expire", subscription)
        _first_payment(sandbox, invoice, behavior)
    return sandbox.need("subscription", subscription["id"])


def _first_payment(sandbox: Sandbox, invoice: Obj, behavior: str) -> None:
    if behavior == "default_incomplete":
        return
    if collection.default_payment_method(sandbox, invoice) is None:
        raise StripeError(_NO_PAYMENT_METHOD, code="resource_missing")
    invoice = collection.collect(sandbox, invoice)
    refuse_if_unpaid(sandbox, invoice, behavior)


def refuse_if_unpaid(sandbox: Sandbox, invoice: Obj, behavior: str) -> None:
    """Under `error_if_incomplete` a change whose payment fails is undone and answered 402."""
    if behavior != "error_if_incomplete" or invoice["status"] == "paid":
        return
    intent = collection.intent_of(sandbox, invoice) or {}
    error = intent.get("last_payment_error") or {}
    raise StripeError(
        error.get("message", "Payment for this subscription requires additional user action before it can be completed."),
        status=402,
        type="card_error",
        code=error.get("code", "subscription_payment_intent_requires_action"),
        **({"decline_code": error["decline_code"]} if error.get("decline_code") else {}),
    )


def first_lines(sandbox: Sandbox, subscription: Obj, proration: str) -> list[Obj]:
    """What a new (or newly anchored) subscription is charged at once: licensed items for their first period."""
    found: list[Obj] = []
    for item in subscription["items"]["data"]:
        period = (item["current_period_start"], item["current_period_end"])
        if subscription["status"] == "trialing":
            found.append(lines.of_trial(sandbox, subscription, item, period))
        elif not items.metered(item):
            found += _first_of(sandbox, subscription, item, period, proration)
    return found


def _first_of(sandbox: Sandbox, subscription: Obj, item: Obj, period: tuple[int, int], proration: str) -> list[Obj]:
    """A period that begins between two anchors costs its share, or nothing without proration."""
    full = items.full_period(item, subscription["billing_cycle_anchor"])
    charged = lines.of_item(sandbox, subscription, item, period)
    if full[0] < period[0]:
        for line in charged:
            share = money.prorated(line["amount"], *full, period[0])
            line["amount"] = line["subtotal"] = share if proration != "none" else 0
            line["parent"]["subscription_item_details"]["proration"] = True
    return charged


def bill(sandbox: Sandbox, subscription: Obj, bought: list[Obj], reason: str, **fields: Any) -> Obj:
    """Draft an invoice for a subscription from lines and its pending invoice items, and spend one-time discounts."""
    customer = sandbox.need("customer", subscription["customer"])
    waiting = pending.of(sandbox, subscription)
    charged = [*pending.as_lines(sandbox, waiting), *bought]
    invoice = invoices.draft(
        sandbox,
        customer,
        currency=subscription["currency"],
        lines=charged,
        reason=reason,
        subscription={**subscription, "discounts": discount_ids(subscription, customer)},
        **span(subscription, bought),
        **fields,
    )
    pending.attach(sandbox, waiting, invoice)
    now = sandbox.now(subscription)
    subscription["latest_invoice"] = invoice["id"]
    subscription["discounts"] = discounts.spend(sandbox, subscription["discounts"], now)
    for item in subscription["items"]["data"]:
        item["discounts"] = discounts.spend(sandbox, item["discounts"], now)
    save(sandbox, subscription, None)
    return invoice


def discount_ids(subscription: Obj, customer: Obj) -> list[str]:
    """A subscription's discounts, or else the customer's."""
    own = customer.get("discount")
    return list(subscription["discounts"] or ([own["id"]] if own else []))


def span(subscription: Obj, bought: Sequence[Obj]) -> Obj:
    """The `period_start` and `period_end` of an invoice."""
    data = subscription["items"]["data"]
    start = min((line["period"]["start"] for line in bought), default=data[0]["current_period_start"] if data else 0)
    return {"period_start": start, "period_end": start}


# --- What invoices do to the status -------------------------------------------------------------------------


def activate(sandbox: Sandbox, subscription: Obj) -> Obj:
    """The money is there (or promised by a bank): the subscription is in force."""
    if subscription["status"] in FINAL or subscription["status"] == "trialing":
        return subscription
    sandbox.clock.cancel("subscription.expire", subscription)
    resumed = subscription["status"] == "paused"
    subscription["status"] = "active"
    subscription.pop("status_details", None)
    save(sandbox, subscription)
    if resumed:
        sandbox.emit("customer.subscription.resumed", subscription)
    return subscription


def subscription_of(sandbox: Sandbox, invoice: Obj) -> Obj | None:
    """The subscription that an invoice is for."""
    return sandbox.store.get("subscription", invoice.get("_subscription") or "")


@collection.after("paid")
def _paid(sandbox: Sandbox, invoice: Obj) -> None:
    subscription = subscription_of(sandbox, invoice)
    if subscription and subscription["latest_invoice"] == invoice["id"]:
        _remember_payment_method(sandbox, subscription, invoice)
        activate(sandbox, subscription)


@collection.after("processing")
def _processing(sandbox: Sandbox, invoice: Obj) -> None:
    """A bank debit on its way already opens the subscription; if it bounces, that is a failed payment."""
    subscription = subscription_of(sandbox, invoice)
    if subscription and subscription["status"] == "incomplete":
        _remember_payment_method(sandbox, subscription, invoice)
        activate(sandbox, subscription)


@collection.after("failed")
def _failed(sandbox: Sandbox, invoice: Obj) -> None:
    subscription = subscription_of(sandbox, invoice)
    if subscription is None or subscription["status"] not in ("active", "past_due"):
        return
    subscription["status"] = "past_due"
    save(sandbox, subscription)
    if invoice["next_payment_attempt"] is None and invoice["attempt_count"] > len(sandbox.options.retry_days):
        _AFTER_RETRIES[sandbox.options.after_retries](sandbox, subscription)


def _give_up(sandbox: Sandbox, subscription: Obj) -> None:
    end(sandbox, subscription, "payment_failed")


def _suspend(sandbox: Sandbox, subscription: Obj) -> None:
    subscription["status"] = "unpaid"
    save(sandbox, subscription)


_AFTER_RETRIES = {"cancel": _give_up, "unpaid": _suspend, "past_due": lambda sandbox, subscription: None}  # noqa: ARG005


@collection.after("forgiven")
def _forgiven(sandbox: Sandbox, invoice: Obj) -> None:
    """A void invoice no longer holds its subscription back; a void first invoice ends it."""
    subscription = subscription_of(sandbox, invoice)
    if subscription is None or subscription["latest_invoice"] != invoice["id"]:
        return
    if subscription["status"] == "incomplete":
        expire(sandbox, subscription["id"])
    elif subscription["status"] in ("past_due", "unpaid"):
        activate(sandbox, subscription)


def _remember_payment_method(sandbox: Sandbox, subscription: Obj, invoice: Obj) -> None:
    intent = collection.intent_of(sandbox, invoice)
    save_it = subscription["payment_settings"].get("save_default_payment_method") == "on_subscription"
    if save_it and intent and intent["payment_method"]:
        subscription["default_payment_method"] = intent["payment_method"]


# --- The end ------------------------------------------------------------------------------------------------


def plan_end(subscription: Obj, params: Obj, now: int) -> None:
    """Apply `cancel_at` and `cancel_at_period_end`."""
    ends = [item["current_period_end"] for item in subscription["items"]["data"]]
    at: Any = params.get("cancel_at")
    if "cancel_at_period_end" in params:
        subscription["cancel_at_period_end"] = params["cancel_at_period_end"]
        at = "min_period_end" if params["cancel_at_period_end"] else at or ""
    if at is None:
        return
    named = {"min_period_end": min, "max_period_end": max, "max_billed_until": max}
    when = named[at](ends) if at in named else at or None
    if when is not None and when < now:
        raise invalid("cancel_at must be in the future.", "cancel_at")
    subscription |= {"cancel_at": when, "canceled_at": now if when else None}
    subscription["cancellation_details"]["reason"] = "cancellation_requested" if when else None


def end(sandbox: Sandbox, subscription: Obj, reason: str | None = None) -> Obj:
    """Cancel a subscription now. Its open and draft invoices are no longer collected by themselves."""
    now = sandbox.now(subscription)
    subscription |= {
        "cancel_at_period_end": False,
        "canceled_at": subscription["canceled_at"] or now,
        "ended_at": now,
        "status": "canceled",
    }
    subscription["cancellation_details"]["reason"] = reason or subscription["cancellation_details"]["reason"]
    save(sandbox, subscription, None)
    sandbox.emit("customer.subscription.deleted", subscription)
    for invoice in sandbox.store.find("invoice", _subscription=subscription["id"]):
        if invoice["status"] in ("draft", "open") and invoice["auto_advance"]:
            sandbox.clock.cancel("invoice.retry", invoice)
            sandbox.update(invoice | {"auto_advance": False, "next_payment_attempt": None}, "invoice.updated")
    return subscription


@job("subscription.end")
def _end_planned(sandbox: Sandbox, id: str) -> None:
    subscription = sandbox.need("subscription", id)
    if subscription["status"] not in FINAL:
        end(sandbox, subscription)


@job("subscription.expire")
def expire(sandbox: Sandbox, id: str) -> None:
    """The first invoice was not paid within 23 hours."""
    subscription = sandbox.need("subscription", id)
    if subscription["status"] != "incomplete":
        return
    subscription |= {"status": "incomplete_expired", "ended_at": sandbox.now(subscription)}
    save(sandbox, subscription)
    invoice = sandbox.need("invoice", subscription["latest_invoice"])
    if invoice["status"] == "open":
        collection.void(sandbox, invoice)


@job("subscription.trial_will_end")
def warn_of_trial_end(sandbox: Sandbox, id: str) -> None:
    """Stripe warns three days before a trial ends, or at once when it is shorter."""
    subscription = sandbox.need("subscription", id)
    if subscription["status"] == "trialing" and not subscription.get("_warned"):
        subscription["_warned"] = True
        sandbox.update(subscription)
        sandbox.emit("customer.subscription.trial_will_end", subscription)
