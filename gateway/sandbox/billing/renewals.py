"""The billing cycle: what happens by itself when a period, a trial or a pause ends.

Source: docs.stripe.com/billing/subscriptions/overview#subscription-lifecycle, .../trials, .../pause-payment
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from gateway.sandbox.billing import collection, invoices, items, metered, pending, starting, subscriptions

if TYPE_CHECKING:
    from gateway.sandbox.core.ports import Sandbox
    from gateway.sandbox.core.store import Obj


def cycle(sandbox: Sandbox, id: str) -> None:
    """End a subscription whose billing period is over, or begin and bill its next period."""
    subscription = sandbox.need("subscription", id)
    now = sandbox.now(subscription)
    if subscription["status"] in subscriptions.FINAL:
        return
    if subscription["cancel_at"] and subscription["cancel_at"] <= now:
        end(sandbox, subscription)
        return
    sandbox.follow("subscription.period_ended", subscription)
    subscription = sandbox.need("subscription", id)
    data = subscription["items"]["data"]
    if subscription["status"] in subscriptions.FINAL or all(item["current_period_end"] > now for item in data):
        return
    if subscription["status"] == "trialing" and end_for_want_of_card(sandbox, subscription):
        return
    bought = roll(sandbox, subscription, now)
    _bill_cycle(sandbox, subscription, bought)


def roll(sandbox: Sandbox, subscription: Obj, at: int) -> list[Obj]:
    """Move every item whose period ends by `at` into its next one; a trial is over then.

    Returns:
        The lines to charge: usage of the period that ended, licensed items for the one that begins.
    """
    bought: list[Obj] = []
    trial = subscription["status"] == "trialing"
    if trial:
        subscription["status"] = "active"
    for item in subscription["items"]["data"]:
        ended = (item["current_period_start"], item["current_period_end"])
        if ended[1] > at:
            continue
        item["current_period_start"] = ended[1]
        item["current_period_end"] = items.fitted_end(subscription, item)
        if items.metered(item):
            bought += [] if trial else metered.used(sandbox, subscription, item, ended)
        else:
            bought += starting.lines_of_period(sandbox, subscription, item)
    return bought


def end_planned(sandbox: Sandbox, id: str) -> None:
    """End a subscription whose `cancel_at` has come."""
    subscription = sandbox.need("subscription", id)
    if subscription["status"] not in subscriptions.FINAL:
        end(sandbox, subscription)


def end(sandbox: Sandbox, subscription: Obj) -> None:
    """End a subscription as planned, and bill its last usage."""
    subscriptions.end(sandbox, subscription)
    _bill_the_end(sandbox, subscription, sandbox.now(subscription))


def _bill_the_end(sandbox: Sandbox, subscription: Obj, at: int) -> None:
    """Bill a subscription for the last time, at its end: for usage, and for what still waits."""
    bought = metered.last_usage(sandbox, subscription, at)
    if bought or pending.of(sandbox, subscription):
        invoice = subscriptions.bill(sandbox, subscription, bought, "subscription_cycle")
        invoices.advance_later(sandbox, invoice)


def _bill_cycle(sandbox: Sandbox, subscription: Obj, bought: list[Obj]) -> None:
    paused = subscription["pause_collection"]
    held = subscription["status"] == "unpaid" or (paused or {}).get("behavior") == "keep_as_draft"
    before = sandbox.need("subscription", subscription["id"])
    if not bought and not pending.of(sandbox, subscription):  # metered prices after a trial
        subscriptions.save(sandbox, subscription)
        return
    invoice = subscriptions.bill(sandbox, subscription, bought, "subscription_cycle", auto_advance=not held)
    sandbox.emit("customer.subscription.updated", subscription, before)
    if paused and not held:
        put_by(sandbox, invoice, paused["behavior"])
    else:
        invoices.advance_later(sandbox, invoice)


def put_by(sandbox: Sandbox, invoice: Obj, behavior: str) -> None:
    """Do with an invoice that is made while collection is paused what the pause says, whatever the invoice is for.

    Source: docs.stripe.com/billing/subscriptions/pause-payment ("all invoices").
    """
    if behavior == "keep_as_draft":
        sandbox.update(invoice | {"auto_advance": False})
        return
    invoice = invoices.finalize(sandbox, invoice)
    if invoice["status"] == "open":
        _PAUSED[behavior](sandbox, invoice)


_PAUSED = {"void": collection.void, "mark_uncollectible": collection.mark_uncollectible}


def end_for_want_of_card(sandbox: Sandbox, subscription: Obj) -> bool:
    """Cancel or pause a subscription whose trial is over, if there is no payment method and it was told to."""
    return _MISSING[_end_behavior(sandbox, subscription)](sandbox, subscription)


def _end_behavior(sandbox: Sandbox, subscription: Obj) -> str:
    """Return what to do at the end of a trial: go on if there is a payment method, else what was chosen."""
    customer = {"customer": subscription["customer"]}
    if collection.invoice_default(sandbox, customer, subscription):
        return "create_invoice"
    return str(subscription["trial_settings"]["end_behavior"]["missing_payment_method"])


def _go_on(sandbox: Sandbox, subscription: Obj) -> bool:  # noqa: ARG001 -- one of three with one signature
    return False


def _cancel(sandbox: Sandbox, subscription: Obj) -> bool:
    subscriptions.end(sandbox, subscription)
    return True


def _pause(sandbox: Sandbox, subscription: Obj) -> bool:
    pause(sandbox, subscription, "trial_end_without_payment_method")
    return True


_MISSING = {"create_invoice": _go_on, "cancel": _cancel, "pause": _pause}


def pause(sandbox: Sandbox, subscription: Obj, why: str) -> Obj:
    """Stop a subscription: no invoices until it is resumed."""
    subscription["status"] = "paused"
    subscription["status_details"] = {
        "paused": {
            "subscription": {"type": why},
            "transitioned_at": sandbox.now(subscription),
            "type": "subscription",
        }
    }
    subscriptions.save(sandbox, subscription)
    sandbox.emit("customer.subscription.paused", subscription)
    return subscription


def resume(sandbox: Sandbox, subscription: Obj, *, new_anchor: bool, proration: str = "create_prorations") -> Obj:
    """Take a paused subscription up again: it is billed now, and active once that is paid."""
    now = sandbox.now(subscription)
    if new_anchor:
        subscription["billing_cycle_anchor"] = now
    for item in subscription["items"]["data"]:
        if new_anchor or item["current_period_end"] <= now:
            items.start_period(item, subscription["billing_cycle_anchor"], now)
    bought = starting.first_lines(sandbox, subscription, proration)
    invoice = subscriptions.bill(sandbox, subscription, bought, "subscription_update")
    invoices.advance(sandbox, invoice)
    return sandbox.need("subscription", subscription["id"])


def resume_collection(sandbox: Sandbox, id: str) -> None:
    """Collect again, as `pause_collection[resumes_at]` said."""
    subscription = sandbox.need("subscription", id)
    if subscription["pause_collection"]:
        subscription["pause_collection"] = None
        subscriptions.save(sandbox, subscription)
