"""Changes of a subscription that wait for their payment: `payment_behavior=pending_if_incomplete`.

The change is made, billed and undone again, before the invoice is collected; once that is paid, what the change had
changed is put into the subscription as it is then.

Sources: docs.stripe.com/billing/subscriptions/pending-updates and .../pending-updates-reference
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from gateway.sandbox.billing import collection, invoices, subscriptions
from gateway.sandbox.core import periods
from gateway.sandbox.core.errors import invalid

if TYPE_CHECKING:
    from gateway.sandbox.core.ports import Sandbox
    from gateway.sandbox.core.store import Obj

_LONGEST = 23 * periods.HOUR
# The documented attributes, and those that the API description of `pending_update` has besides.
_SUPPORTED = frozenset(
    (  # noqa: SIM905 -- a list would take a line for each name
        "add_invoice_items billing_cycle_anchor cancel_at_period_end discounts items metadata payment_behavior "
        "proration_behavior proration_date trial_end trial_from_plan"
    ).split()
)


def wanted(params: Obj) -> bool:
    """Return whether a change is to wait for its payment."""
    return bool(params.get("payment_behavior") == "pending_if_incomplete")


def check(sandbox: Sandbox, subscription: Obj, params: Obj) -> None:
    """Refuse what cannot wait, and give up a change that waits already.

    Raises:
        StripeError: An attribute is not supported, or the subscription is paid by sent invoices.
    """
    unsupported = sorted(params.keys() - _SUPPORTED)
    if unsupported:
        raise invalid(
            f"`{unsupported[0]}` cannot be updated with `payment_behavior=pending_if_incomplete`: pending updates "
            "support only attributes that control prorations or generate invoices.",
            unsupported[0],
        )
    if subscription["collection_method"] != "charge_automatically":
        raise invalid(
            "`payment_behavior=pending_if_incomplete` needs `collection_method=charge_automatically`.",
            "payment_behavior",
        )
    _give_up(sandbox, subscription)


def collect(sandbox: Sandbox, before: Obj, invoice: Obj) -> Obj:
    """Collect the invoice of a change that was just made, and let the change wait unless that is paid.

    Args:
        sandbox: The account.
        before: The subscription as it was before the change.
        invoice: The draft that the change is billed by.

    Returns:
        The subscription: changed, or with a `pending_update`.
    """
    after = sandbox.need("subscription", before["id"])
    waiting = {name: value for name, value in after.items() if value != before.get(name) and name != "latest_invoice"}
    held = {**before, "latest_invoice": invoice["id"], "_waiting": waiting, "_waiting_for": invoice["id"]}
    subscriptions.save(sandbox, held, None)
    invoices.advance(sandbox, invoice)
    subscription = sandbox.need("subscription", before["id"])
    if not subscription.get("_waiting_for"):
        return subscription
    at = _expiry(sandbox, subscription)
    sandbox.update(subscription | {"pending_update": _shown(waiting, at)})
    sandbox.emit("customer.subscription.updated", sandbox.need("subscription", before["id"]), before)
    sandbox.clock.schedule(at, "subscription.pending_update", subscription)
    return sandbox.need("subscription", before["id"])


def invoice_paid(sandbox: Sandbox, invoice: Obj) -> None:
    """Make the change that waited for an invoice."""
    subscription = subscriptions.subscription_of(sandbox, invoice)
    if subscription is None or subscription.get("_waiting_for") != invoice["id"]:
        return
    was_pending = subscription["pending_update"]
    changed = _without(sandbox, subscription) | subscription["_waiting"] | {"pending_update": None}
    subscriptions.save(sandbox, changed)
    if was_pending:
        sandbox.emit("customer.subscription.pending_update_applied", sandbox.need("subscription", changed["id"]))


def invoice_forgiven(sandbox: Sandbox, invoice: Obj) -> None:
    """Drop the change that waited for an invoice which is void or given up."""
    subscription = subscriptions.subscription_of(sandbox, invoice)
    if subscription and subscription.get("_waiting_for") == invoice["id"]:
        sandbox.update(_without(sandbox, subscription), "customer.subscription.updated")


def expire(sandbox: Sandbox, id: str) -> None:
    """Drop a change that was not paid in time, and void its invoice."""
    subscription = sandbox.need("subscription", id)
    invoice = subscription.get("_waiting_for")
    if invoice is None:
        return
    dropped = sandbox.update(_without(sandbox, subscription))
    sandbox.emit("customer.subscription.pending_update_expired", dropped)
    collection.void(sandbox, sandbox.need("invoice", invoice))


def subscription_ended(sandbox: Sandbox, subscription: Obj) -> None:
    """Drop the change of a subscription that has ended."""
    _give_up(sandbox, sandbox.need("subscription", subscription["id"]))


def _give_up(sandbox: Sandbox, subscription: Obj) -> None:
    invoice = sandbox.store.get("invoice", subscription.get("_waiting_for") or "")
    if invoice and invoice["status"] == "open":
        collection.void(sandbox, invoice)


def _without(sandbox: Sandbox, subscription: Obj) -> Obj:
    """Return a subscription that nothing waits for any more."""
    sandbox.clock.cancel("subscription.pending_update", subscription)
    return {**subscription, "pending_update": None, "_waiting": None, "_waiting_for": None}


def _expiry(sandbox: Sandbox, subscription: Obj) -> int:
    """Return when a change is given up: after 23 hours, or with the period or trial if that ends before."""
    ends = min(item["current_period_end"] for item in subscription["items"]["data"])
    return min(int(ends), sandbox.now(subscription) + _LONGEST)


def _shown(waiting: Obj, at: int) -> Obj:
    """Return the `pending_update` hash."""
    items = waiting.get("items")
    names = ("billing_cycle_anchor", "cancel_at_period_end", "discounts", "metadata", "trial_end")
    return {
        "discount": None,
        "expires_at": at,
        "subscription_items": items and items["data"],
        "trial_from_plan": None,
        **{name: waiting.get(name) for name in names},
    }
