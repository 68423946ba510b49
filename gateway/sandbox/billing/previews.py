"""Previews: what a subscription will be billed next, or what a change of it would cost.

A preview makes the change for real, looks at the invoice that would be drafted, and undoes everything. So it cannot
differ from what the change then charges.

Source: docs.stripe.com/api/invoices/create_preview
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from gateway.sandbox.billing import changes, discounts, invoices, pending, renewals, starting, subscriptions
from gateway.sandbox.core.errors import StripeError, invalid, parameter_missing

if TYPE_CHECKING:
    from gateway.sandbox.core.ports import Sandbox
    from gateway.sandbox.core.store import Obj

# A preview's names of a subscription's parameters that are the same as in an update or a creation.
_SAME = (
    "billing_cycle_anchor",
    "cancel_at",
    "cancel_at_period_end",
    "default_tax_rates",
    "items",
    "proration_behavior",
    "proration_date",
    "trial_end",
)


def preview(sandbox: Sandbox, params: Obj) -> Obj:
    """Return the invoice that `POST /v1/invoices/create_preview` asks for; nothing is kept of it.

    Raises:
        StripeError: `invoice_upcoming_none` if nothing will be billed.
    """
    with sandbox.store.dry_run():
        invoice = _next(sandbox, params)
        at = invoice["created"]
        shown = {
            **invoice,
            "id": f"upcoming_{invoice['id']}",
            "automatically_finalizes_at": None,
            "next_payment_attempt": at + invoices.DRAFT_TIME,
        }
        return sandbox.create(shown)


def announce(sandbox: Sandbox, id: str) -> None:
    """Tell of the next renewal with the invoice that it will have (which has no id yet)."""
    try:
        upcoming = preview(sandbox, {"subscription": id})
    except StripeError:  # nothing will be billed
        return
    del upcoming["id"]
    sandbox.emit("invoice.upcoming", upcoming)


def _next(sandbox: Sandbox, params: Obj) -> Obj:
    details: Obj = params.get("subscription_details") or {}
    change = {name: details[name] for name in _SAME if name in details}
    if "discounts" in params:
        change["discounts"] = params["discounts"]
    if params.get("schedule"):
        params = _of_schedule(sandbox, params)
    if params.get("subscription"):
        subscription = sandbox.need("subscription", params["subscription"], "subscription")
        customer = sandbox.need("customer", subscription["customer"])
        _wait(sandbox, customer, params, subscription["currency"])
        if details.get("cancel_now"):
            return _last(sandbox, customer, subscription)
        return _of_change(sandbox, customer, subscription, change, params)
    if not params.get("customer"):
        raise parameter_missing("customer")
    customer = sandbox.need("customer", params["customer"], "customer")
    currency = params.get("currency") or customer.get("currency") or "usd"
    _wait(sandbox, customer, params, currency)
    if details.get("items"):
        return _of_start(sandbox, customer, change, params)
    upcoming = _next_to_renew(sandbox, customer)
    if upcoming:
        return _of_change(sandbox, customer, upcoming, change, params)
    return _of_pending(sandbox, customer, currency)


def _of_schedule(sandbox: Sandbox, params: Obj) -> Obj:
    """Return the parameters with the subscription that a schedule manages in the schedule's place.

    Source: docs.stripe.com/api/invoices/create_preview, `schedule`: "Cannot be used with subscription or subscription
    fields."
    """
    if params.get("subscription") or params.get("subscription_details"):
        raise invalid("You may only specify one of these parameters: schedule, subscription.", "schedule")
    schedule = sandbox.need("subscription_schedule", params["schedule"], "schedule")
    if not schedule["subscription"]:
        raise _none(sandbox.need("customer", schedule["customer"]))
    return {**params, "subscription": schedule["subscription"]}


def _next_to_renew(sandbox: Sandbox, customer: Obj) -> Obj | None:
    """Return the subscription of a customer that is billed next (docs.stripe.com/api/invoices/create_preview)."""

    def renewal(subscription: Obj) -> int:
        return min(int(item["current_period_end"]) for item in subscription["items"]["data"])

    found = (
        each
        for each in sandbox.store.find("subscription", customer=customer["id"])
        if each["status"] in ("active", "trialing", "past_due")
        and not (each["cancel_at"] and each["cancel_at"] <= renewal(each))
    )
    return min(found, key=renewal, default=None)


def _wait(sandbox: Sandbox, customer: Obj, params: Obj, currency: str) -> None:
    """Let the `invoice_items` of a preview wait as if they had been made."""
    for number, entry in enumerate(params.get("invoice_items") or []):
        own = entry.get("currency", currency)
        fields = pending.from_params(sandbox, customer, entry, own, f"invoice_items[{number}]")
        pending.add(sandbox, customer, **fields)


def _of_change(sandbox: Sandbox, customer: Obj, subscription: Obj, change: Obj, params: Obj) -> Obj:
    applied = changes.apply(sandbox, subscription, change) if change else changes.Change(subscription)
    subscription = applied.subscription
    bought, at = applied.bought, sandbox.now(customer)
    recurring = params.get("preview_mode") == "recurring"
    if not applied.invoice_now or (recurring and not bought):
        at = min(item["current_period_end"] for item in subscription["items"]["data"])
        if not change:
            subscription = _in_next_phase(sandbox, subscription, at)
            at = min(item["current_period_end"] for item in subscription["items"]["data"])  # what ended may be gone
        ends = subscription["status"] in subscriptions.FINAL or (subscription["cancel_at"] or at + 1) <= at
        bought = [] if ends else renewals.roll(sandbox, subscription, at)
    lines = [*pending.as_lines(sandbox, pending.of(sandbox, subscription)), *bought]
    if recurring:
        lines = bought
    if not lines:
        raise _none(customer)
    return _compose(sandbox, customer, subscription, lines, at, inherits="discounts" not in params)


def _in_next_phase(sandbox: Sandbox, subscription: Obj, at: int) -> Obj:
    """Return a subscription as its schedule has it when its period ends."""
    with sandbox.clock.at(at, subscription["test_clock"]):
        sandbox.follow("subscription.period_ended", subscription)
    return sandbox.need("subscription", subscription["id"])


def _of_start(sandbox: Sandbox, customer: Obj, change: Obj, params: Obj) -> Obj:
    given = {"currency": params["currency"], **change} if "currency" in params else change
    subscription = starting.create(sandbox, customer, given)
    bought = starting.first_lines(sandbox, subscription, change.get("proration_behavior", "create_prorations"))
    waiting = pending.as_lines(sandbox, pending.of(sandbox, subscription))
    return _compose(sandbox, customer, subscription, [*waiting, *bought], sandbox.now(customer))


def _last(sandbox: Sandbox, customer: Obj, subscription: Obj) -> Obj:
    changes.cancel(sandbox, subscription, {"prorate": True})
    lines = pending.as_lines(sandbox, pending.of(sandbox, subscription))
    if not lines:
        raise _none(customer)
    return _compose(sandbox, customer, subscription, lines, sandbox.now(customer))


def _of_pending(sandbox: Sandbox, customer: Obj, currency: str) -> Obj:
    lines = pending.as_lines(sandbox, pending.of_customer(sandbox, customer["id"], currency))
    if not lines:
        raise _none(customer)
    own = customer.get("discount")
    return invoices.compose(
        sandbox,
        customer,
        currency=currency,
        lines=lines,
        reason="upcoming",
        discounts=[own["id"]] if own else [],
    )


def _compose(
    sandbox: Sandbox, customer: Obj, subscription: Obj, lines: list[Obj], at: int, *, inherits: bool = True
) -> Obj:
    """Compose the invoice of these lines.

    Args:
        sandbox: The account.
        customer: Whose it is.
        subscription: What it is for.
        lines: What it charges.
        at: When.
        inherits: Whether the customer's discount counts where the subscription has none: not if discounts are given.
    """
    ids = subscriptions.discount_ids(sandbox, subscription, customer if inherits else {}, at)
    if not discounts.active(sandbox, ids, at):
        ids = []
    return invoices.compose(
        sandbox,
        customer,
        currency=subscription["currency"],
        lines=lines,
        reason="upcoming",
        subscription={**subscription, "discounts": ids},
        created=at,
        **subscriptions.span(subscription, lines),
    )


def _none(customer: Obj) -> StripeError:
    return invalid(f"No upcoming invoices for customer: {customer['id']}", code="invoice_upcoming_none")
