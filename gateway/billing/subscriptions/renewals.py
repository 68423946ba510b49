"""What the renewal after a change comes to where a discount runs out: Stripe is asked as if it were now. Pure.

A preview of recurring costs shows the discounts of its own date, which is not that of the renewal where the billing
interval changes, and it does not know that the change's own invoice uses up a discount of one invoice. So this one
begins a period now (Stripe, "Create a preview invoice", `billing_cycle_anchor`), with the discounts that will be left.
"""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any

from gateway.billing.subscriptions.changed_items import Target
from gateway.mirror.mapping import id_of


def runs_out(discounts: Sequence[Mapping[str, Any]]) -> bool:
    """Return whether a subscription has a discount that a later renewal will not have.

    Args:
        discounts: of the subscription, expanded with their coupons.
    """
    return any(each["end"] or _is_for_one(each) for each in discounts)


def left_over(discounts: Sequence[Mapping[str, Any]], at: datetime, *, billed: bool) -> list[str]:
    """Return the discounts of a subscription that a renewal will have.

    Args:
        discounts: of the subscription, expanded with their coupons.
        at: when it renews.
        billed: whether the change makes an invoice before, which uses up a discount of one invoice.
    """
    return [
        each["id"]
        for each in discounts
        if (each["end"] is None or at.timestamp() < each["end"]) and not (billed and _is_for_one(each))
    ]


def _is_for_one(discount: Mapping[str, Any]) -> bool:
    coupon = discount["source"]["coupon"]
    return isinstance(coupon, Mapping) and coupon["duration"] == "once"


def as_if_now(
    subscription: Mapping[str, Any], targets: Sequence[Target], renewing: Collection[str], discounts: Sequence[str]
) -> dict[str, Any]:
    """Return the parameters of a preview of a renewal as if it were now.

    Args:
        subscription: as Stripe has it, before the change.
        targets: what changes.
        renewing: the prices that are billed then; other items have a period that goes on.
        discounts: those that are left.
    """
    renews = [each for each in targets if each.get("quantity") is None or each["price"] in renewing]
    kept, touched = ({each["id"] for each in some if "id" in each} for some in (renews, targets))

    def goes_on(item: Mapping[str, Any]) -> bool:
        if item["id"] in touched:
            return item["id"] not in kept
        return item["price"]["id"] not in renewing and item.get("quantity") is not None

    gone = [{"id": item["id"], "deleted": True} for item in subscription["items"]["data"] if goes_on(item)]
    begins = {"trial_end": "now"} if subscription["status"] == "trialing" else {"billing_cycle_anchor": {"type": "now"}}
    details = {"items": [*renews, *gone], "proration_behavior": "none", **begins}
    return {
        "subscription": id_of(subscription),
        "preview_mode": "recurring",
        "subscription_details": details,
        "discounts": [{"discount": each} for each in discounts] or "",
    }
