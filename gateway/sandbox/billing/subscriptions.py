"""A subscription as it runs: stored with its plans, billed, ended, and what its invoices do to its status.

Source: docs.stripe.com/billing/subscriptions/overview
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from gateway.sandbox.billing import collection, discounts, invoices, items, pending
from gateway.sandbox.core import periods
from gateway.sandbox.core.errors import StripeError, invalid

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gateway.sandbox.core.ports import Sandbox
    from gateway.sandbox.core.store import Obj

FINAL = ("canceled", "incomplete_expired")
TRIAL_WARNING = 3 * periods.DAY
RENEWAL_WARNING = 7 * periods.DAY
# Parameters that are stored as they come.
PLAIN = (
    "application_fee_percent",
    "billing_thresholds",
    "cancellation_details",
    "days_until_due",
    "default_payment_method",
    "default_source",
    "description",
    "invoice_settings",
    "metadata",
    "on_behalf_of",
    "payment_settings",
    "pending_invoice_item_interval",
    "trial_settings",
    "collection_method",
)


def save(sandbox: Sandbox, subscription: Obj, event: str | None = "customer.subscription.updated") -> Obj:
    """Store a subscription with its items, and plan what its clock has to do."""
    present = {item["id"] for item in subscription["items"]["data"]}
    for item in sandbox.store.find("subscription_item", subscription=subscription["id"]):
        if item["id"] not in present:
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
        "subscription.upcoming": _warn_of_renewal(sandbox, subscription) if live else None,
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


def _warn_of_renewal(sandbox: Sandbox, subscription: Obj) -> int | None:
    """Return when to tell of the next renewal, if there is one and that was not told already."""
    at = min((item["current_period_end"] for item in subscription["items"]["data"]), default=0)
    ends = subscription["cancel_at"] is not None and subscription["cancel_at"] <= at
    moment = at - RENEWAL_WARNING
    return None if ends or moment <= sandbox.now(subscription) else moment


def refuse_if_unpaid(sandbox: Sandbox, invoice: Obj, behavior: str) -> None:
    """Undo a change whose payment failed, and answer 402, under `error_if_incomplete`."""
    if behavior != "error_if_incomplete" or invoice["status"] == "paid":
        return
    intent = collection.intent_of(sandbox, invoice) or {}
    error = intent.get("last_payment_error") or {}
    raise StripeError(
        error.get("message", "This payment requires additional user action before it can be completed successfully."),
        status=402,
        type="card_error",
        code=error.get("code", "subscription_payment_intent_requires_action"),
        **({"decline_code": error["decline_code"]} if error.get("decline_code") else {}),
    )


def bill(sandbox: Sandbox, subscription: Obj, bought: list[Obj], reason: str, **fields: Any) -> Obj:
    """Draft an invoice for a subscription from lines and its pending invoice items, and spend one-time discounts."""
    customer = sandbox.need("customer", subscription["customer"])
    waiting = pending.of(sandbox, subscription)
    charged = [*pending.as_lines(sandbox, waiting), *bought]
    now = sandbox.now(subscription)
    reduced_by = discount_ids(sandbox, subscription, customer, now)
    invoice = invoices.draft(
        sandbox,
        customer,
        currency=subscription["currency"],
        lines=charged,
        reason=reason,
        subscription={**subscription, "discounts": reduced_by},
        **span(subscription, bought),
        **fields,
    )
    pending.attach(sandbox, waiting, invoice)
    subscription["latest_invoice"] = invoice["id"]
    # A coupon for once outlives an invoice over nothing, as a trial's first is (changelog 2013-10-29).
    once = any(line["amount"] > 0 for line in invoice["lines"]["data"])
    for holder in (subscription, *subscription["items"]["data"]):
        holder["discounts"] = discounts.spend(sandbox, holder["discounts"], now, once=once)
    own = customer.get("discount")
    if own and not discounts.spend(sandbox, [own["id"]], now, once=once and own["id"] in reduced_by):
        sandbox.update({**sandbox.need("customer", customer["id"]), "discount": None}, "customer.updated")
    save(sandbox, subscription, None)
    return invoice


def discount_ids(sandbox: Sandbox, subscription: Obj, customer: Obj, at: int) -> list[str]:
    """Return a subscription's discounts that are not over, or else the customer's."""
    of_customer = customer.get("discount")
    own = discounts.active(sandbox, subscription["discounts"], at)
    return [each.id for each in own] or ([of_customer["id"]] if of_customer else [])


def span(subscription: Obj, bought: Sequence[Obj]) -> Obj:
    """Return the `period_start` and `period_end` of an invoice."""
    data = subscription["items"]["data"]
    start = min((line["period"]["start"] for line in bought), default=data[0]["current_period_start"] if data else 0)
    return {"period_start": start, "period_end": start}


# --- What invoices do to the status -------------------------------------------------------------------------


def activate(sandbox: Sandbox, subscription: Obj) -> Obj:
    """Put a subscription into force: the money is there, or promised by a bank."""
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
    """Return the subscription that an invoice is for."""
    return sandbox.store.get("subscription", invoice.get("_subscription") or "")


def invoice_paid(sandbox: Sandbox, invoice: Obj) -> None:
    """Open the subscription that a paid invoice is for."""
    subscription = subscription_of(sandbox, invoice)
    if subscription and subscription["latest_invoice"] == invoice["id"]:
        _remember_payment_method(sandbox, subscription, invoice)
        activate(sandbox, subscription)


def invoice_processing(sandbox: Sandbox, invoice: Obj) -> None:
    """Open a subscription when a bank debit is on its way; if that bounces, it is a failed payment."""
    subscription = subscription_of(sandbox, invoice)
    if subscription and subscription["status"] == "incomplete":
        _remember_payment_method(sandbox, subscription, invoice)
        activate(sandbox, subscription)


def invoice_failed(sandbox: Sandbox, invoice: Obj) -> None:
    """Note that an invoice could not be collected, and after the last attempt do what the settings say."""
    subscription = subscription_of(sandbox, invoice)
    if subscription is None or subscription["status"] not in ("active", "past_due"):
        return
    if subscription.get("_waiting_for") == invoice["id"]:
        return  # it goes on as if nobody had asked for the change that the invoice is about
    subscription["status"] = "past_due"
    save(sandbox, subscription)
    if invoice["next_payment_attempt"] is None and invoice["attempt_count"] > len(sandbox.options.retry_days):
        _AFTER_RETRIES[sandbox.options.after_retries](sandbox, subscription)


def invoice_overdue(sandbox: Sandbox, invoice: Obj) -> None:
    """Note that a sent invoice was not paid in time."""
    subscription = subscription_of(sandbox, invoice)
    if subscription and subscription["status"] == "active":
        save(sandbox, subscription | {"status": "past_due"})


def _give_up(sandbox: Sandbox, subscription: Obj) -> None:
    end(sandbox, subscription, "payment_failed")


def _suspend(sandbox: Sandbox, subscription: Obj) -> None:
    subscription["status"] = "unpaid"
    save(sandbox, subscription)


def _keep_past_due(sandbox: Sandbox, subscription: Obj) -> None:
    """Leave the subscription as it is, until somebody pays or cancels."""


_AFTER_RETRIES = {"cancel": _give_up, "unpaid": _suspend, "past_due": _keep_past_due}


def invoice_forgiven(sandbox: Sandbox, invoice: Obj) -> None:
    """Release a subscription that a void invoice held back; a void first invoice ends it."""
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
    """Apply `cancel_at` and `cancel_at_period_end`; each of them replaces what the other said before."""
    if not {"cancel_at", "cancel_at_period_end"} & params.keys():
        return
    ends = [items.full_end(subscription, item) for item in subscription["items"]["data"]]
    given: Any = params.get("cancel_at") or None
    at_period_end = bool(params.get("cancel_at_period_end"))
    if given and at_period_end:
        raise invalid(
            "You may only specify one of these parameters: cancel_at, cancel_at_period_end.", "cancel_at_period_end"
        )
    named = {"min_period_end": min, "max_period_end": max, "max_billed_until": max}
    when = min(ends) if at_period_end else named[given](ends) if given in named else given
    if when is not None and when < now:
        raise invalid("cancel_at must be in the future.", "cancel_at")
    subscription |= {"cancel_at": when, "cancel_at_period_end": at_period_end, "canceled_at": now if when else None}
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


def expire(sandbox: Sandbox, id: str) -> None:
    """End a subscription whose first invoice was not paid within 23 hours."""
    subscription = sandbox.need("subscription", id)
    if subscription["status"] != "incomplete":
        return
    subscription |= {"status": "incomplete_expired", "ended_at": sandbox.now(subscription)}
    save(sandbox, subscription)
    invoice = sandbox.need("invoice", subscription["latest_invoice"])
    if invoice["status"] == "open":
        collection.void(sandbox, invoice)


def warn_of_trial_end(sandbox: Sandbox, id: str) -> None:
    """Warn that a trial ends in three days, or at once when it is shorter, as Stripe does."""
    subscription = sandbox.need("subscription", id)
    if subscription["status"] == "trialing" and not subscription.get("_warned"):
        subscription["_warned"] = True
        sandbox.update(subscription)
        sandbox.emit("customer.subscription.trial_will_end", subscription)
