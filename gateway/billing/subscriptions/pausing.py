"""Pauses: nothing is collected, and the renewal after them is billed as any other. Pure.

A pause is Stripe's pause of collection. Its `behavior` says what the customer has meanwhile: invoices are voided while
no service is provided (`void`), or written off while it is given for nothing (`mark_uncollectible`). Source: Stripe,
"Pause payment collection".
"""

from calendar import monthrange
from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from gateway.billing.subscriptions import own_pauses
from gateway.billing.user_errors import Problem, ProblemCode
from gateway.mirror.mapping import id_of
from gateway.models.mirrored import Price

LONGEST = timedelta(days=366)
BEFORE_RENEWAL = timedelta(minutes=1)
"""How long before a renewal a pause ends, so that the renewal is collected."""
BEHAVIORS = {"paid": "void", "free": "mark_uncollectible"}
"""The setting's words for what access says during a pause, with Stripe's behaviors."""
_MONTHS = {"month": 1, "year": 12}


def bad_until(until: datetime | None, now: datetime) -> Problem | None:
    """Return what is wrong with the end of a pause.

    Args:
        until: the moment; None is no end.
        now: the present.
    """
    if until is None or now < until <= now + LONGEST:
        return None
    message = f"a pause ends in the future, within {LONGEST.days} days"
    return Problem(ProblemCode.TIMESTAMP_INVALID, message, "until")


def unbilled(subscription: Mapping[str, Any], waiting: Sequence[Any]) -> Problem | None:
    """Return that a pause would void what is owed already: usage, or what waits for the next invoice.

    Args:
        subscription: as Stripe has it.
        waiting: the customer's pending invoice items.
    """
    metered = any(item["price"]["recurring"]["usage_type"] == "metered" for item in subscription["items"]["data"])
    if not metered and not waiting:
        return None
    what = (
        "what is used of it is billed afterwards" if metered else "something waits to be billed with the next renewal"
    )
    return Problem(ProblemCode.PAUSE_UNAVAILABLE, f"this cannot be paused: {what}", "subscriptionId")


def never_meets(subscription: Mapping[str, Any], until: datetime | None) -> Problem | None:
    """Return that a pause cannot end by itself at a moment: its plans never renew together after it.

    Args:
        subscription: as Stripe has it.
        until: the moment; None is no end.
    """
    if until is None or renewal_after(subscription, until) is not None:
        return None
    message = "the plans of this subscription never renew together after this moment: pause it without an end"
    return Problem(ProblemCode.PAUSE_UNAVAILABLE, message, "until")


def pause_parameters(subscription: Mapping[str, Any], until: datetime | None, access: str) -> dict[str, Any]:
    """Return the parameters of a pause.

    It ends with a period: what is left of one whose invoice was not collected would be given for nothing. One that
    voids invoices is written down as the customer's own, because nothing tells that of them afterwards.

    Args:
        subscription: as Stripe has it.
        until: the pause ends with the period that holds this moment; None is no end.
        access: `paid` or `free`.
    """
    pause: dict[str, Any] = {"behavior": BEHAVIORS[access]}
    if until is not None and (renewal := renewal_after(subscription, until)):
        pause["resumes_at"] = _just_before(renewal)
    own = {"metadata": own_pauses.begun(subscription, pause.get("resumes_at"))} if access == "paid" else {}
    return {"pause_collection": pause, **own}


def is_so(subscription: Mapping[str, Any], parameters: Mapping[str, Any]) -> bool:
    """Return whether a subscription is paused so already.

    Args:
        subscription: as Stripe has it.
        parameters: of the pause.
    """
    metadata, pause = subscription["metadata"], {"resumes_at": None, **parameters["pause_collection"]}
    said = metadata | parameters.get("metadata", {})
    return (subscription["pause_collection"], metadata) == (pause, said)


def renews_otherwise(
    subscription: Mapping[str, Any], parameters: Mapping[str, Any], prices: Mapping[str, Price]
) -> Problem | None:
    """Return that a pause cannot end by itself: what is planned makes its end another moment than that of a renewal.

    A year that begins during the pause is not billed. Were the pause to end with the month, the rest of the year would
    be given for nothing.

    Args:
        subscription: as Stripe has it, with its schedule.
        parameters: of the pause.
        prices: the catalogue's, for how they recur; a price that nobody knows renews otherwise.
    """
    ends, schedule = (parameters.get("pause_collection") or {}).get("resumes_at"), subscription["schedule"]
    if not ends or not schedule:
        return None
    begun = (schedule["current_phase"] or {"start_date": 0})["start_date"]
    coming = [phase for phase in schedule["phases"] if begun < phase["start_date"] <= ends]
    known = {price_id: _interval(price) for price_id, price in prices.items()}
    have = {item["price"]["id"]: _every(item["price"]["recurring"]) for item in subscription["items"]["data"]}
    then = {(known | have).get(id_of(item["price"]) or "") for phase in coming for item in phase["items"]}
    begins_anew = any(each.get("billing_cycle_anchor") == "phase_start" or each.get("trial_end") for each in coming)
    if not begins_anew and (not then or len({*then, *have.values()}) == 1):
        return None
    message = "a change of the billing interval waits for a renewal during the pause: undo it, or pause without an end"
    return Problem(ProblemCode.CHANGE_PENDING, message, "until")


def _interval(price: Price) -> tuple[str | None, int]:
    return price.interval, price.interval_count or 1


def _every(recurring: Mapping[str, Any]) -> tuple[str | None, int]:
    return recurring["interval"], recurring["interval_count"]


def _just_before(renewal: datetime) -> int:
    return int((renewal - BEFORE_RENEWAL).timestamp())


def renewal_after(
    subscription: Mapping[str, Any], moment: datetime, unbilled_items: Collection[str] = ()
) -> datetime | None:
    """Return the first renewal at or after a moment with which a pause may end, and not before the one that comes next.

    Then no plan is within a period that was not billed: one with another interval may have renewed during the pause.

    Args:
        subscription: as Stripe has it.
        moment: in UTC.
        unbilled_items: those of which the present period was not billed.

    Returns:
        the renewal; None where the plans' renewals never meet within some years.
    """
    items = subscription["items"]["data"]
    anchor = datetime.fromtimestamp(subscription["billing_cycle_anchor"], UTC)
    found = min(_renewal(anchor, item, moment) for item in items if not unbilled_items or item["id"] in unbilled_items)
    while found <= moment + 4 * LONGEST:
        rolled = [item for item in items if item["id"] in unbilled_items or _ends(item) < found]
        meets = max((_renewal(anchor, item, found) for item in rolled), default=found)
        if meets == found:
            return found
        found = meets
    return None


def _ends(item: Mapping[str, Any]) -> datetime:
    return datetime.fromtimestamp(item["current_period_end"], UTC)


def _renewal(anchor: datetime, item: Mapping[str, Any], moment: datetime) -> datetime:
    """Return the first renewal of an item at or after a moment, and not before the one that comes next."""
    interval, count = item["price"]["recurring"]["interval"], item["price"]["recurring"]["interval_count"]
    next_one = _ends(item)
    found, periods = next_one, 0
    while found < moment:
        periods += 1
        if months := _MONTHS.get(interval):
            passed = (next_one.year - anchor.year) * 12 + next_one.month - anchor.month
            found = _in_months(anchor, passed + periods * months * count)
        else:
            found = next_one + timedelta(days={"day": 1, "week": 7}[interval] * count * periods)
    return found


def _in_months(anchor: datetime, months: int) -> datetime:
    """Return a moment some months later, at the month's last day where it has no such day."""
    years, month = divmod(anchor.month - 1 + months, 12)
    last = monthrange(anchor.year + years, month + 1)[1]
    return anchor.replace(year=anchor.year + years, month=month + 1, day=min(anchor.day, last))


def taken_back(subscription: Mapping[str, Any]) -> dict[str, Any]:
    """Return the parameters that take a planned end back; none where none is planned.

    Args:
        subscription: as Stripe has it.
    """
    if subscription["cancel_at_period_end"]:
        return {"cancel_at_period_end": False}
    return {"cancel_at": ""} if subscription["cancel_at"] else {}


def resumption(
    subscription: Mapping[str, Any],
    paid: Collection[str],
    now: datetime,
    *,
    ends: bool = False,
    unpaid: Collection[str] = (),
) -> dict[str, Any]:
    """Return the parameters that take a planned end and a pause back; none where there is neither.

    Where the present period's invoice was voided by the pause, a new period begins and is charged: who pauses before a
    renewal and resumes after it does not have the period for nothing, nor who changes to a year at Stripe meanwhile,
    also after the pause has ended by itself. Where a plan with another interval is still paid for, which a new period
    would charge again, the pause ends with the renewal of the others. Where everything is paid for, the void invoice
    was another one, such as that of a change which was not confirmed, and nothing is charged.

    Args:
        subscription: as Stripe has it, with its latest invoice expanded.
        paid: the items of which the present was paid for.
        now: the present, by Stripe's clock.
        ends: whether a planned end stays.
        unpaid: the items that a pause of the customer's has left unpaid.
    """
    parameters = {} if ends else taken_back(subscription)
    pause, invoice = subscription.get("pause_collection"), subscription["latest_invoice"]
    missing = {item["id"] for item in subscription["items"]["data"] if item.get("quantity")} - set(paid)
    voids = bool(pause and pause["behavior"] == "void")
    charges = bool(unpaid) or bool(voids and missing and invoice and invoice["status"] == "void")
    if charges and paid and missing:
        renewal = renewal_after(subscription, now, missing) if voids else None
        if renewal:
            return parameters | _paused_until(subscription, renewal)
        if not pause:
            return parameters
    if pause:
        parameters["pause_collection"] = ""
    if voids and (own := own_pauses.ended(subscription, int(now.timestamp()))):
        parameters["metadata"] = own
    if charges:
        parameters["billing_cycle_anchor"] = {"type": "now"}
        parameters["proration_behavior"] = "none"
        parameters["payment_behavior"] = "error_if_incomplete"
        parameters["expand"] = ["latest_invoice"]
    return parameters


def is_charged(subscription: Mapping[str, Any], parameters: Mapping[str, Any]) -> bool:
    """Return whether a resumption begins a new period, which is charged at once.

    Args:
        subscription: as Stripe has it.
        parameters: of the resumption; where there are none, what Stripe has paused begins anew (`restart`).
    """
    return "billing_cycle_anchor" in parameters or (subscription["status"] == "paused" and not parameters)


def _paused_until(subscription: Mapping[str, Any], renewal: datetime) -> dict[str, Any]:
    resumes_at = _just_before(renewal)
    pause = {"behavior": BEHAVIORS["paid"], "resumes_at": resumes_at}
    return {"pause_collection": pause, "metadata": own_pauses.begun(subscription, resumes_at)}


def has_stopped(subscription: Mapping[str, Any], now: int) -> bool:
    """Return whether no period of a subscription goes on that was paid for, because Stripe has paused it.

    Args:
        subscription: as Stripe has it, with its latest invoice expanded.
        now: the present, by Stripe's clock.
    """
    over = all(item["current_period_end"] <= now for item in subscription["items"]["data"])
    return subscription["status"] == "paused" and (over or unpaid_restart(subscription) is not None)


def restart(subscription: Mapping[str, Any]) -> dict[str, Any]:
    """Return the parameters by which Stripe takes up again what it has paused: charged at once, or paused still.

    Source: Stripe, changelog 2026-09-30, "pause and resume Subscriptions on demand", which needs flexible billing.

    Args:
        subscription: as Stripe has it.
    """
    flexible = (subscription.get("billing_mode") or {}).get("type") == "flexible"
    at_once = {"payment_behavior": "resume_on_payment_success"} if flexible else {}
    return {"expand": ["latest_invoice"], **at_once}


def unpaid_restart(subscription: Mapping[str, Any]) -> Problem | None:
    """Return that what Stripe has paused goes on once an invoice is paid: another resumption would bill it once more.

    Args:
        subscription: as Stripe has it, with its latest invoice expanded.
    """
    invoice = subscription["latest_invoice"]
    if subscription["status"] != "paused" or not invoice or invoice["status"] not in {"draft", "open"}:
        return None
    message = "this subscription goes on once its open invoice is paid (`hostedInvoiceUrl`)"
    return Problem(ProblemCode.INVOICE_UNPAID, message, "subscriptionId")


def paused(subscription: Mapping[str, Any], unpaid: Collection[str] = ()) -> Problem | None:
    """Return that a change must wait for the end of a pause, whose invoices are not collected.

    What a pause has left unpaid must be paid first: a change would credit the rest of it (Stripe, "Prorations").

    Args:
        subscription: as Stripe has it.
        unpaid: its items that a pause of the customer's has left unpaid.
    """
    if not subscription.get("pause_collection") and not unpaid:
        return None
    message = "the subscription is paused, and a change would not be collected: resume it first"
    return Problem(ProblemCode.SUBSCRIPTION_PAUSED, message, "subscriptionId")


def may_credit(subscription: Mapping[str, Any], unpaid: Collection[str]) -> bool:
    """Return whether the unused time of a subscription that ends was paid for, as far as its latest invoice tells.

    Args:
        subscription: as Stripe has it, with its latest invoice expanded.
        unpaid: its items that a pause of the customer's has left unpaid, or whose payment went back or was never made.
    """
    return not unpaid and (subscription["latest_invoice"] or {}).get("status") != "void"
