"""Changing a subscription: items, quantity, dates; the prorations that follow, and the invoice if one is due at once.

Source: docs.stripe.com/billing/subscriptions/change-price, .../prorations, .../billing-cycle
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from gateway.sandbox.billing import (
    discounts,
    invoices,
    items,
    metered,
    payment_methods,
    pending,
    pending_updates,
    proration,
    renewals,
    starting,
    subscriptions,
)
from gateway.sandbox.core import periods
from gateway.sandbox.core.errors import StripeError, invalid
from gateway.sandbox.core.expand import public
from gateway.sandbox.core.merge import merge

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gateway.sandbox.core.ports import Sandbox
    from gateway.sandbox.core.store import Obj


@dataclass(slots=True)
class Change:
    """A change as it was applied.

    Attributes:
        subscription: As it is now (stored).
        invoice_now: Whether an invoice is due at once rather than with the next renewal.
        bought: What that invoice charges besides the pending prorations: a new period, if one begins.
    """

    subscription: Obj
    invoice_now: bool = False
    bought: list[Obj] = field(default_factory=list)


def update(sandbox: Sandbox, subscription: Obj, params: Obj) -> Obj:
    """Change a subscription as `POST /v1/subscriptions/{id}` asks, and collect what is due at once.

    Raises:
        StripeError: It is over, a parameter does not fit, or the payment failed under `error_if_incomplete`.
    """
    if subscription["status"] in subscriptions.FINAL and not params.keys() - _OF_CANCELED:
        return sandbox.update(merge(subscription, params, *_OF_CANCELED), "customer.subscription.updated")
    _check_status(subscription, params)
    if subscription["schedule"]:
        _refuse_ending(subscription, params)
    if pending_updates.wanted(params):
        pending_updates.check(sandbox, subscription, params)
        subscription = sandbox.need("subscription", subscription["id"])
    trial_ends = subscription["status"] == "trialing" and params.get("trial_end") == "now"
    if trial_ends and renewals.end_for_want_of_card(sandbox, subscription):
        return sandbox.need("subscription", subscription["id"])
    before = sandbox.need("subscription", subscription["id"])
    change = apply(sandbox, subscription, params)
    subscription = change.subscription
    due = change.invoice_now and (change.bought or pending.of(sandbox, subscription))
    invoice = subscriptions.bill(sandbox, subscription, change.bought, "subscription_update") if due else None
    if invoice and pending_updates.wanted(params):
        return pending_updates.collect(sandbox, before, invoice)
    after = sandbox.need("subscription", subscription["id"])
    if public(after) != public(before):
        sandbox.emit("customer.subscription.updated", after, before)
    if invoice and subscription["pause_collection"]:
        renewals.put_by(sandbox, invoice, subscription["pause_collection"]["behavior"])
    elif invoice:
        _collect(sandbox, invoice, params.get("payment_behavior", "allow_incomplete"))
    return sandbox.need("subscription", subscription["id"])


_OF_CANCELED = frozenset({"cancellation_details", "metadata"})
"""What can be updated of a canceled subscription, by the words with which Stripe refuses the rest."""
_OF_INCOMPLETE = frozenset({"default_payment_method", "default_source", "metadata", "payment_behavior"})


def _check_status(subscription: Obj, params: Obj) -> None:
    """Refuse all but notes and the payment method of a subscription whose first payment is not there.

    Source: docs.stripe.com/api/subscriptions/object, `status`: "can only have metadata and default_source updated".
    """
    other = sorted(params.keys() - _OF_INCOMPLETE)
    if subscription["status"] == "incomplete" and other:
        raise invalid(
            f"`{other[0]}` of a subscription with the status `incomplete` cannot be updated: only `metadata` and "
            "`default_source` can, until its first invoice is paid.",
            other[0],
        )


def _refuse_ending(subscription: Obj, params: Obj) -> None:
    """Refuse a change of when a subscription ends that its schedule decides (the words: public error reports)."""
    ends = {"cancel_at_period_end": subscription["cancel_at_period_end"], "cancel_at": subscription["cancel_at"]}
    if any((params[name] or None) != (now or None) for name, now in ends.items() if name in params):
        raise invalid(
            f"The subscription is managed by the subscription schedule `{subscription['schedule']}`, and updating any "
            "cancelation behavior directly is not allowed. Please update the schedule instead."
        )


def _collect(sandbox: Sandbox, invoice: Obj, behavior: str) -> None:
    if behavior == "default_incomplete" and invoice["collection_method"] == "charge_automatically":
        invoices.finalize(sandbox, invoice)
        return
    invoice = invoices.advance(sandbox, invoice)
    if invoice["collection_method"] == "charge_automatically":
        subscriptions.refuse_if_unpaid(sandbox, invoice, behavior)


def apply(sandbox: Sandbox, subscription: Obj, params: Obj) -> Change:
    """Apply a change with its prorations, and return what is to be invoiced: a preview stops here."""
    if subscription["status"] in subscriptions.FINAL:
        raise invalid(
            "A canceled subscription can only update its cancellation_details and metadata."
            if params.keys() - _OF_CANCELED
            else f"No such subscription: '{subscription['id']}'",
            code="resource_missing",
        )
    customer = sandbox.need("customer", subscription["customer"])
    now = sandbox.now(customer)
    at = params.get("proration_date", now)
    before = sandbox.need("subscription", subscription["id"])
    changed = _merged(sandbox, subscription, params, customer)
    items.check_intervals(changed)
    change = _dates(sandbox, before, changed, params, now)
    metered.bill_replaced(sandbox, before, change.subscription, now)
    prorate = params.get("proration_behavior", "create_prorations") != "none"
    if prorate:
        _check_date(before, at)
        proration.credit_and_charge(sandbox, before, change.subscription, at, fresh=bool(change.bought))
    pending.add_extra(sandbox, changed, params.get("add_invoice_items") or [])
    subscriptions.plan_end(changed, params, now)
    if {"cancel_at", "cancel_at_period_end"} & params.keys():
        proration.fit_to_end(sandbox, changed, prorate=prorate)
    _plan_resumption(sandbox, changed)
    subscriptions.save(sandbox, changed, None)
    change.invoice_now |= params.get("proration_behavior") == "always_invoice"
    return change


def at_period_end(sandbox: Sandbox, subscription: Obj, params: Obj, *, new_anchor: bool) -> Obj:
    """Change a subscription whose period is over, before the next one is billed: so nothing is prorated.

    The anchor moves to the present with `new_anchor`, and if no item keeps its billing interval.
    """
    customer = sandbox.need("customer", subscription["customer"])
    now = sandbox.now(customer)
    before = sandbox.need("subscription", subscription["id"])
    changed = _merged(sandbox, subscription, params, customer)
    if new_anchor or not _keeps_rhythm(before, changed):
        changed["billing_cycle_anchor"] = now
    known = {item["id"] for item in before["items"]["data"]}
    for item in changed["items"]["data"]:
        if item["id"] not in known:
            item |= {"current_period_start": now, "current_period_end": now}
    metered.bill_replaced(sandbox, before, changed, now)
    pending.add_extra(sandbox, changed, params.get("add_invoice_items") or [])
    return subscriptions.save(sandbox, changed)


def _merged(sandbox: Sandbox, subscription: Obj, params: Obj, customer: Obj) -> Obj:
    """Return the subscription with all parameters applied but those that concern dates."""
    changed = merge(subscription, _resolved(sandbox, params, customer), *subscriptions.PLAIN, "pause_collection")
    if "default_tax_rates" in params:
        changed["default_tax_rates"] = items.tax_rates(sandbox, params["default_tax_rates"], "default_tax_rates")
    if "discounts" in params:
        changed["discounts"] = discounts.redeem(sandbox, params["discounts"], customer, subscription=subscription["id"])
    changed["items"] = {**subscription["items"], "data": _items(sandbox, customer, subscription, params)}
    return changed


def _resolved(sandbox: Sandbox, params: Obj, customer: Obj) -> Obj:
    """Return the parameters with a default payment method that exists (a test token becomes one)."""
    given = params.get("default_payment_method")
    if not given:
        return params
    method = payment_methods.resolve(sandbox, given, "default_payment_method")
    if method["customer"] is None:
        method = payment_methods.attach(sandbox, method, customer["id"])
    return {**params, "default_payment_method": method["id"]}


def _check_date(subscription: Obj, at: int) -> None:
    for item in subscription["items"]["data"]:
        if not item["current_period_start"] <= at <= item["current_period_end"]:
            raise invalid(
                "Cannot specify `proration_date` outside of the current period of the subscription.", "proration_date"
            )


def _items(sandbox: Sandbox, customer: Obj, subscription: Obj, params: Obj) -> list[Obj]:
    """Return the items after the `items` parameter: entries with an `id` change or delete, others add."""
    data: list[Obj] = list(subscription["items"]["data"])
    for number, entry in enumerate(params.get("items") or []):
        param = f"items[{number}]"
        known = _known(data, entry, param)
        if known is None:
            item = items.make(sandbox, subscription, customer, entry, param)
            items.start_period(item, subscription["billing_cycle_anchor"], sandbox.now(customer))
            data.append(_in_trial(subscription, item))
        elif entry.get("deleted"):
            data.remove(known)
        else:
            data[data.index(known)] = items.patch(
                sandbox, customer, known, entry, currency=subscription["currency"], param=param
            )
    if not data:
        raise StripeError("A subscription must have at least one active plan.", code="invalid_request", param="items")
    return data


def _known(data: Sequence[Obj], entry: Obj, param: str) -> Obj | None:
    if "id" not in entry:
        return None
    found = next((item for item in data if item["id"] == entry["id"]), None)
    if found is None:
        raise invalid(f"No such subscription item: '{entry['id']}'", f"{param}[id]", "resource_missing")
    return found


def _in_trial(subscription: Obj, item: Obj) -> Obj:
    if subscription["status"] == "trialing":
        item["current_period_end"] = subscription["trial_end"]
    return item


def _dates(sandbox: Sandbox, before: Obj, changed: Obj, params: Obj, now: int) -> Change:
    """Apply trial and anchor: a new anchor begins a new period, which is billed at once."""
    trial_end: Any = params.get("trial_end")
    if params.get("trial_from_plan"):
        trial_end = starting.trial_end_of(params, changed["items"]["data"], now)
    if trial_end not in (None, "now"):
        return _start_trial(changed, trial_end, now)
    anchor: Any = params.get("billing_cycle_anchor") or {}
    wanted = anchor.get("type") if isinstance(anchor, dict) else anchor
    ends_trial = trial_end == "now" and before["status"] == "trialing"
    trialing = before["status"] == "trialing" and not ends_trial
    if ends_trial or wanted == "now" or (wanted != "unchanged" and not trialing and _resets_anchor(before, changed)):
        if trialing or ends_trial:
            changed |= {"status": "active", "trial_end": now}
        changed["billing_cycle_anchor"] = now
        for item in changed["items"]["data"]:
            items.start_period(item, now, now)
        return Change(changed, invoice_now=True, bought=starting.first_lines(sandbox, changed, "none"))
    return Change(changed, invoice_now=not trialing and _keep_anchor(before, changed, now))


def _keep_anchor(before: Obj, changed: Obj, now: int) -> bool:
    """Put items with another billing interval into its period on the old anchor; return whether there are any.

    The period that has begun goes on and ends later or sooner (recorded: pay, swap_a_subscription). Such a change is
    billed at once (docs.stripe.com/billing/subscriptions/change-price#immediate-payment).
    """
    old = {item["id"]: item for item in before["items"]["data"]}
    found = False
    for item in changed["items"]["data"]:
        known = old.get(item["id"])
        if known and items.rhythm(item) != items.rhythm(known):
            start, end = periods.period_at(changed["billing_cycle_anchor"], *items.rhythm(item), now)
            item |= {"current_period_start": max(start, known["current_period_start"]), "current_period_end": end}
            found = True
    return found


def _start_trial(changed: Obj, trial_end: int, now: int) -> Change:
    if trial_end <= now:
        raise invalid("Invalid timestamp: must be an integer Unix timestamp in the future.", "trial_end")
    changed |= {"billing_cycle_anchor": trial_end, "status": "trialing", "trial_end": trial_end, "_warned": False}
    changed["trial_start"] = changed["trial_start"] or now
    for item in changed["items"]["data"]:
        item |= {"current_period_start": now, "current_period_end": trial_end}
    return Change(changed)


def _resets_anchor(before: Obj, changed: Obj) -> bool:
    """Return whether a change moves the anchor to now: a free subscription becomes a paid one, or no item keeps its
    billing interval (month to year), which moves the anchor of classic subscriptions only.
    """
    if proration.is_free(before) and not proration.is_free(changed):
        return True
    return changed["billing_mode"]["type"] == "classic" and not _keeps_rhythm(before, changed)


def _keeps_rhythm(before: Obj, changed: Obj) -> bool:
    """Return whether an item keeps its billing interval."""
    old = {item["id"]: items.rhythm(item) for item in before["items"]["data"]}
    return any(items.rhythm(item) == old.get(item["id"]) for item in changed["items"]["data"])


def _plan_resumption(sandbox: Sandbox, subscription: Obj) -> None:
    paused = subscription["pause_collection"]
    if paused and paused.get("resumes_at"):
        sandbox.clock.schedule(paused["resumes_at"], "subscription.resume_collection", subscription)
    else:
        sandbox.clock.cancel("subscription.resume_collection", subscription)


def cancel(sandbox: Sandbox, subscription: Obj, params: Obj) -> Obj:
    """Cancel now: with `prorate` the unused time is credited, with `invoice_now` all that waits is billed."""
    if subscription["status"] in subscriptions.FINAL:
        raise invalid(f"No such subscription: '{subscription['id']}'", "id", "resource_missing")
    changed = merge(subscription, params, "cancellation_details")
    now = sandbox.now(changed)
    if params.get("prorate"):
        nothing = {**changed, "items": {**changed["items"], "data": []}}
        proration.credit_and_charge(sandbox, changed, nothing, now)
    # The end is now and planned no more (recorded: pay, cancel_now_when_scheduled_for_cancellation).
    changed["cancel_at"] = None
    subscriptions.end(sandbox, changed, "cancellation_requested")
    if params.get("invoice_now"):
        bought = metered.last_usage(sandbox, changed, now)
        if bought or pending.of(sandbox, changed):
            invoices.advance(sandbox, subscriptions.bill(sandbox, changed, bought, "subscription_update"))
    return sandbox.need("subscription", subscription["id"])
