"""When a change happens: at once, or as the period ends that was paid for; and the phases of a schedule that makes it
then. Pure.

Source: Stripe, "Subscription schedules" and "Billing modes": a phase that begins as a period ends gives one renewal, at
the new price.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from fractions import Fraction
from typing import Any

from gateway.billing.catalog.amounts import Direction, a_year, direction
from gateway.billing.catalog.snapshot import Snapshot
from gateway.billing.subscriptions.access import will_cancel
from gateway.billing.subscriptions.as_given import given
from gateway.billing.subscriptions.change_request import ChangeTime
from gateway.billing.subscriptions.changed_items import Target, resulting
from gateway.billing.subscriptions.own_pauses import without_pauses
from gateway.billing.subscriptions.pending import PendingChange
from gateway.billing.subscriptions.state import SubscriptionState
from gateway.billing.user_errors import Problem, ProblemCode
from gateway.mirror.mapping import id_of
from gateway.models.mirrored import Price


def waits(when: ChangeTime, present: SubscriptionState, targets: Sequence[Target], snapshot: Snapshot) -> bool:
    """Return whether a change happens as the period ends.

    What costs an amount that nobody knows beforehand (a metered plan) changes with the period, too: its usage until
    then is billed as it was agreed.

    Args:
        when: as the caller wants it.
        present: the subscription.
        targets: what changes.
        snapshot: says what plans cost.
    """
    if when is not ChangeTime.AUTOMATIC:
        return when is ChangeTime.AT_PERIOD_END
    if present.subscription.status == "trialing":
        return False
    return _goes_down(present, targets, snapshot)


_Plan = tuple[Price, int | None]
"""A price and its quantity."""


def _goes_down(present: SubscriptionState, targets: Sequence[Target], snapshot: Snapshot) -> bool:
    """Return whether a change is less to the customer, or nobody knows what it is.

    Where some of it is up and some down, the sum of a year decides.
    """
    currency, items = present.subscription.currency, {item.id: item for item in present.items}
    ways: set[Direction | None] = set()
    more = Fraction(0)
    for each in targets:
        item = items[each["id"]] if "id" in each else None
        have = snapshot.prices.get(item.price_id) if item else None
        if item is not None and have is None:
            return True
        before = (have, item.quantity) if item and have else None
        after = (snapshot.prices[each["price"]], each.get("quantity")) if "price" in each else None
        ways.add(_way(before, after, currency))
        more += _a_year(after, currency) - _a_year(before, currency)
    if None in ways:
        return True
    return more < 0 if {Direction.UP, Direction.DOWN} <= ways else Direction.DOWN in ways


def _a_year(plan: _Plan | None, currency: str) -> Fraction:
    """Return what a plan costs a year: nothing where it is not there, or nobody knows beforehand."""
    if plan is None or plan[1] is None:
        return Fraction(0)
    return a_year(plan[0], plan[1], currency) or Fraction(0)


def _way(before: _Plan | None, after: _Plan | None, currency: str) -> Direction | None:
    """Return whether one item becomes more or less for the customer: an added one is more, a removed one is less."""
    if before is None:
        return Direction.UP
    if after is None:
        return None if before[0].usage_type == "metered" else Direction.DOWN
    return direction(before, after, currency)


def no_period(present: SubscriptionState, field: str = "subscriptionId") -> Problem | None:
    """Return that Stripe has paused a subscription, as at the end of a trial without a card: nothing of it is billed.

    Args:
        present: the subscription.
        field: of the input that is about it.
    """
    if present.subscription.status != "paused":
        return None
    message = "the subscription is paused and no period of it ends: resume it first"
    return Problem(ProblemCode.SUBSCRIPTION_PAUSED, message, field)


def cannot_wait(present: SubscriptionState, field: str = "when") -> Problem | None:
    """Return why nothing can be planned for the end of the period; None where it can.

    Args:
        present: the subscription.
        field: of the input that plans it.
    """
    if stopped := no_period(present, field):
        return stopped
    end, periods = present.planned.end, [item.current_period_end for item in present.items]
    if will_cancel(present.subscription) or (end is not None and end <= min(periods, default=end)):
        message = "the subscription ends: resume it first, so that there is a period after this one"
        return Problem(ProblemCode.SUBSCRIPTION_ENDING, message, field)
    return None


def ends_apart(present: SubscriptionState, targets: Sequence[Target]) -> Problem | None:
    """Return that the items of a change renew at different times: none of them is the one at which all can change."""
    if len(set(_ends(present, targets))) <= 1:
        return None
    message = "the periods of these items end at different times: change them one by one"
    return Problem(ProblemCode.INTERVALS_MIXED, message, "items")


def mixes_later(present: SubscriptionState, targets: Sequence[Target], snapshot: Snapshot) -> Problem | None:
    """Return that a change would bring another billing interval beside the others, later: only at once it has a quote.

    Beside an item whose period goes on, also of the same interval, nothing new begins then: Stripe keeps the anchor,
    and with nothing prorated the plan would be free until that item renews.

    Args:
        present: the subscription.
        targets: what changes.
        snapshot: says how prices recur.
    """

    def interval(price_id: str) -> tuple[str | None, int | None] | None:
        price = snapshot.prices.get(price_id)
        return (price.interval, price.interval_count) if price else None

    have = {item.id: interval(item.price_id) for item in present.items}
    new = [each for each in targets if "price" in each]
    brought = any("id" not in each or interval(each["price"]) != have[each["id"]] for each in new)
    changed, at = {each.get("id") for each in targets}, planned(present, targets).at
    goes_on = any(item.current_period_end > at for item in present.items if item.id not in changed)
    if not brought or (len({interval(price) for price, _ in resulting(present, targets)}) <= 1 and not goes_on):
        return None
    message = "a plan with another billing interval comes beside the others at once only (`when: NOW`)"
    return Problem(ProblemCode.INTERVALS_MIXED, message, "when")


def _ends(present: SubscriptionState, targets: Sequence[Target]) -> list[datetime]:
    changed = {each.get("id") for each in targets}
    return [item.current_period_end for item in present.items if item.id in changed]


def planned(present: SubscriptionState, targets: Sequence[Target]) -> PendingChange:
    """Return a change as it waits: for the end of the changed items' period, or the next renewal if it only adds."""
    every = [item.current_period_end for item in present.items]
    return PendingChange(resulting(present, targets), min(_ends(present, targets) or every))


def phases(
    subscription: Mapping[str, Any],
    targets: Sequence[Target],
    at: datetime,
    prices: Mapping[str, Price],
    until: datetime | None = None,
) -> list[Any]:
    """Return the phases that leave a subscription as it is until a moment, and change its items then.

    Both say all that the subscription says, because a phase without it is one without discounts, taxes and notes. The
    second lasts until a planned end, or for one period of its first plan; the schedule releases the subscription then.

    Args:
        subscription: as Stripe has it, with the schedule that has been made around it.
        targets: what changes.
        at: when.
        prices: the catalogue's, for how long the second phase lasts.
        until: when the subscription ends.
    """
    items = subscription["items"]["data"]
    changed = {each["id"]: each for each in targets if "id" in each}
    then = [
        _entry({**item, **_changed(target)} if (target := changed.get(item["id"])) else item)
        for item in items
        if not changed.get(item["id"], {}).get("deleted")
    ]
    then += [each for each in targets if "id" not in each]
    lasts: dict[str, Any] = {"duration": _period(then[0]["price"], items, prices)}
    if until is not None:
        lasts = {"end_date": int(until.timestamp())}
    return [present_phase(subscription, at), {**_shared(subscription), "items": then, **lasts}]


def present_phase(subscription: Mapping[str, Any], at: datetime) -> dict[str, Any]:
    """Return the phase that leaves a subscription as it is until a moment.

    Args:
        subscription: as Stripe has it, with its schedule.
        at: when it ends.
    """
    schedule = subscription["schedule"]
    phase = {
        **_shared(subscription),
        "items": [_entry(item) for item in subscription["items"]["data"]],
        "start_date": (schedule["current_phase"] or schedule["phases"][0])["start_date"],
        "end_date": int(at.timestamp()),
    }
    return phase | ({"trial_end": subscription["trial_end"]} if subscription["status"] == "trialing" else {})


def _period(price_id: str, items: Sequence[Mapping[str, Any]], prices: Mapping[str, Price]) -> dict[str, Any]:
    """Return a billing period of a price, which a present item may have though the catalogue does not."""
    if price := prices.get(price_id):
        return {"interval": price.interval, "interval_count": price.interval_count or 1}
    recurring = next(item["price"]["recurring"] for item in items if item["price"]["id"] == price_id)
    return {name: recurring[name] for name in ("interval", "interval_count")}


_CARRIED_OVER = frozenset({"application_fee_percent", "automatic_tax", "billing_thresholds", "default_payment_method"})
_CARRIED_OVER |= {"default_tax_rates", "invoice_settings", "on_behalf_of", "transfer_data"}
"""What a phase says in the words of the subscription."""


def _shared(subscription: Mapping[str, Any]) -> dict[str, Any]:
    """Return what both phases say of the subscription beside its items."""
    said: dict[str, Any] = {
        **given({name: subscription.get(name) for name in sorted(_CARRIED_OVER)}),
        "proration_behavior": "none",
        "discounts": [{"discount": id_of(each)} for each in subscription["discounts"]],
        "description": subscription["description"],
        "metadata": without_pauses(subscription["metadata"]),
    }
    if subscription["collection_method"] == "send_invoice":
        days = {"days_until_due": subscription["days_until_due"]}
        said |= {"collection_method": "send_invoice", "invoice_settings": said.get("invoice_settings", {}) | days}
    return {name: value for name, value in said.items() if value}


def _changed(target: Mapping[str, Any]) -> dict[str, Any]:
    """Return what an item has after a change."""
    return {"price": {"id": target["price"]}, "quantity": target.get("quantity")}


def _entry(item: Mapping[str, Any]) -> dict[str, Any]:
    """Return an item of a subscription as a phase takes it; a metered one has no quantity."""
    said: dict[str, Any] = {
        **given({"billing_thresholds": item.get("billing_thresholds")}),
        "price": item["price"]["id"],
        "discounts": [{"discount": id_of(each)} for each in item.get("discounts") or ()],
        "metadata": item["metadata"],
        "tax_rates": [rate["id"] for rate in item["tax_rates"] or ()],
    }
    said = {name: value for name, value in said.items() if value}
    return said | ({} if item.get("quantity") is None else {"quantity": item["quantity"]})
