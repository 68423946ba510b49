"""What the renewal after a change comes to where a discount runs out: Stripe is asked as if it were now. Pure.

A preview of recurring costs shows the discounts of its own date, which is not that of the renewal where the billing
interval changes, and it does not know that the change's own invoice uses up a discount of one invoice. So this one
begins a period now (Stripe, "Create a preview invoice", `billing_cycle_anchor`), with the discounts that will be left.

An invoice is reduced by the subscription's discounts, or by its customer's where it has none (Stripe, "Coupons and
promotion codes"); each line by those of its item.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from gateway.billing.subscriptions.changed_items import Target
from gateway.mirror.mapping import id_of

_Discounts = Sequence[Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class Left:
    """The discounts that a renewal will have.

    Attributes:
        whole: those of the invoice.
        items: those of items of which some run out.
    """

    whole: list[str]
    items: dict[str, list[str]]


def runs_out(subscription: Mapping[str, Any]) -> bool:
    """Return whether a subscription has a discount that a later renewal will not have.

    Args:
        subscription: as Stripe has it, with its discounts, its customer's and its items' expanded.
    """
    every = [
        *subscription["discounts"],
        *_of_customer(subscription),
        *(each for _, its in _of_items(subscription) for each in its),
    ]
    return any(each["end"] or _is_for_one(each) for each in every)


def left_over(subscription: Mapping[str, Any], at: datetime, *, billed: bool) -> Left:
    """Return the discounts that a renewal will have.

    Args:
        subscription: as Stripe has it, with its discounts, its customer's and its items' expanded.
        at: when it renews.
        billed: whether the change makes an invoice before, which uses up a discount of one invoice.
    """
    own, customers = subscription["discounts"], _of_customer(subscription)
    whole = _left(own, at, billed=billed) or _left(customers, at, billed=billed and not own)
    items = ((item, its, _left(its, at, billed=billed)) for item, its in _of_items(subscription))
    return Left(whole, {item: left for item, its, left in items if len(left) < len(its)})


def _of_customer(subscription: Mapping[str, Any]) -> _Discounts:
    discount = subscription["customer"].get("discount")
    return [discount] if discount else []


def _of_items(subscription: Mapping[str, Any]) -> Iterator[tuple[str, _Discounts]]:
    return ((item["id"], item.get("discounts") or ()) for item in subscription["items"]["data"])


def _left(discounts: _Discounts, at: datetime, *, billed: bool) -> list[str]:
    return [
        each["id"]
        for each in discounts
        if (each["end"] is None or at.timestamp() < each["end"]) and not (billed and _is_for_one(each))
    ]


def _is_for_one(discount: Mapping[str, Any]) -> bool:
    coupon = discount["source"]["coupon"]
    return isinstance(coupon, Mapping) and coupon["duration"] == "once"


def as_if_now(
    subscription: Mapping[str, Any], targets: Sequence[Target], renewing: Collection[str], left: Left
) -> dict[str, Any]:
    """Return the parameters of a preview of a renewal as if it were now.

    Args:
        subscription: as Stripe has it, before the change.
        targets: what changes.
        renewing: the prices that are billed then; other items have a period that goes on.
        left: the discounts that there are then.
    """
    renews = [each for each in targets if each.get("quantity") is None or each["price"] in renewing]
    renewed_ids, touched = ({each["id"] for each in some if "id" in each} for some in (renews, targets))

    def goes_on(item: Mapping[str, Any]) -> bool:
        if item["id"] in touched:
            return item["id"] not in renewed_ids
        return item["price"]["id"] not in renewing and item.get("quantity") is not None

    gone = [item["id"] for item in subscription["items"]["data"] if goes_on(item)]
    reduced = {item: {"discounts": _given(each)} for item, each in left.items.items() if item not in gone}
    items: list[Target] = [
        {**each, **({} if each.get("deleted") else reduced.get(each.get("id", ""), {}))} for each in renews
    ]
    items += [{"id": item, **each} for item, each in reduced.items() if item not in touched]
    items += [{"id": item, "deleted": True} for item in gone]
    begins = {"trial_end": "now"} if subscription["status"] == "trialing" else {"billing_cycle_anchor": {"type": "now"}}
    return {
        "subscription": id_of(subscription),
        "preview_mode": "recurring",
        "subscription_details": {"items": items, "proration_behavior": "none", **begins},
        "discounts": _given(left.whole),
    }


def _given(discounts: Sequence[str]) -> list[dict[str, str]] | str:
    """Return discounts as a parameter; no discount is an empty string."""
    return [{"discount": each} for each in discounts] or ""
