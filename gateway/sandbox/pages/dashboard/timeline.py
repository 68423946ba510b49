"""Events as sentences: what a person wants to read in the history of a subscription or a customer."""

from typing import Any

from gateway.sandbox.pages import formats

Json = dict[str, Any]

# Type of event -> (what to say, tone of its dot). Anything else is said in the words of its type.
SENTENCES = {
    "customer.created": ("Customer created", "info"),
    "customer.subscription.created": ("Subscription created", "info"),
    "customer.subscription.deleted": ("Subscription ended", "danger"),
    "customer.subscription.paused": ("Subscription paused", "warn"),
    "customer.subscription.resumed": ("Subscription resumed", "ok"),
    "customer.subscription.trial_will_end": ("Trial ends in three days", "warn"),
    "customer.subscription.updated": ("Subscription changed", "info"),
    "checkout.session.completed": ("Checkout completed", "ok"),
    "checkout.session.expired": ("Checkout expired", "warn"),
    "checkout.session.async_payment_succeeded": ("Delayed payment arrived", "ok"),
    "checkout.session.async_payment_failed": ("Delayed payment failed", "danger"),
    "invoice.created": ("Invoice drafted", ""),
    "invoice.finalized": ("Invoice finalized", ""),
    "invoice.paid": ("Invoice paid", "ok"),
    "invoice.payment_succeeded": ("Invoice payment succeeded", "ok"),
    "invoice.payment_failed": ("Invoice payment failed", "danger"),
    "invoice.payment_action_required": ("Invoice payment needs 3-D Secure", "warn"),
    "invoice.upcoming": ("Renewal is coming up", "info"),
    "invoice.voided": ("Invoice voided", "warn"),
    "invoice.marked_uncollectible": ("Invoice given up as uncollectible", "danger"),
    "payment_intent.succeeded": ("Payment succeeded", "ok"),
    "payment_intent.payment_failed": ("Payment failed", "danger"),
    "payment_intent.requires_action": ("Payment waits for 3-D Secure", "warn"),
    "charge.succeeded": ("Charge succeeded", "ok"),
    "charge.failed": ("Charge failed", "danger"),
    "charge.refunded": ("Charge refunded", "warn"),
    "charge.dispute.created": ("Charge disputed", "danger"),
    "charge.dispute.closed": ("Dispute closed", "info"),
    "payment_method.attached": ("Payment method saved", "info"),
    "payment_method.detached": ("Payment method removed", "warn"),
}

_AMOUNTS = ("amount_paid", "amount_due", "amount_total", "amount_refunded", "amount")
_DANGEROUS = {"past_due", "unpaid", "canceled", "incomplete_expired"}


def describe(event: Json, locale: str) -> Json:
    """Return one entry of a timeline: ``what`` happened, ``more`` about it, the ``tone`` of its dot."""
    kind, obj = event["type"], event["data"]["object"]
    what, tone = SENTENCES.get(kind, (formats.words(kind), ""))
    more = _changes(event, locale) if kind.endswith(".updated") else _amount(obj, locale)
    changed_to = obj.get("status") if "status" in event["data"].get("previous_attributes", {}) else None
    if changed_to in _DANGEROUS:
        tone = "danger"
    return {"event": event, "what": what, "more": more, "tone": tone}


def by_day(events: list[Json], locale: str) -> list[tuple[str, list[Json]]]:
    """Return events, newest first, as timeline entries under the day on which they happened."""
    days: dict[str, list[Json]] = {}
    for event in events:
        days.setdefault(formats.date(event["created"], locale), []).append(describe(event, locale))
    return list(days.items())


def _amount(obj: Json, locale: str) -> str:
    amount = next((obj[name] for name in _AMOUNTS if obj.get(name)), None)
    return formats.money(amount, obj["currency"], locale) if amount and obj.get("currency") else ""


def _changes(event: Json, locale: str) -> str:
    """Return what an update changed, in the terms that a person knows."""
    obj, before = event["data"]["object"], event["data"].get("previous_attributes", {})
    said = []
    if "status" in before:
        said.append(f"{formats.words(before['status'])} → {formats.words(obj.get('status'))}")
    if "items" in before:
        now, then = _plan(obj, locale), _plan({**obj, "items": before["items"]}, locale)
        said.append(f"{then} → {now}" if now != then else _period(obj, locale))
    if {"cancel_at", "cancel_at_period_end"} & before.keys():
        at = obj.get("cancel_at")
        said.append(f"will end on {formats.date(at, locale)}" if at else "will not end any more")
    if "pause_collection" in before:
        said.append("collection paused" if obj.get("pause_collection") else "collection resumed")
    known = {"status", "items", "cancel_at", "cancel_at_period_end", "pause_collection"}
    rest = [name for name in before if name not in known and isinstance(name, str)]
    if not said:
        said.append(", ".join(name.replace("_", " ") for name in rest))
    return "; ".join(said)


def _period(subscription: Json, locale: str) -> str:
    ends = [item["current_period_end"] for item in subscription["items"]["data"]]
    return f"runs until {formats.date(min(ends, default=None), locale)}"


def _plan(subscription: Json, locale: str) -> str:
    """Return the items of a subscription: how many of which price."""
    parts = []
    for item in subscription["items"]["data"]:
        price, quantity = item["price"], item.get("quantity") or 1
        count = f"{quantity} {formats.TIMES} " if quantity > 1 else ""
        parts.append(f"{count}{formats.price(price, locale)}")
    return ", ".join(parts)
