"""What the mirror keeps of a subscription schedule: what it plans, and whose each part of it is.

Source: docs.stripe.com/api/subscription_schedules/object, and "Subscription schedules": what is released goes on as the
phase has made it that was current, with its discounts and taxes.
"""

from hashlib import sha256
from typing import Any

from gateway.mirror.mapping import Json, id_of

CUSTOMER_MAY_CHANGE = "customer_may_change"
"""Key of a schedule's metadata: `true` where its customer may undo it, `false` where it binds him, or until when what
begins is his own.

The gateway writes the moment of the change: what a seller adds later to its schedule is the seller's.
"""
PLANNED_HERE = "customer_planned"
"""Key of a schedule's metadata: the digest of the phase that the gateway has planned, beside the moment of the change.

What a seller makes of that phase later, such as a rise, is the seller's. Without a digest the moment alone decides.
"""
ENDED_BY_CUSTOMER = "ended_by_customer"
"""Key of a schedule's metadata: the end that the customer has put in the place of what was planned."""


def subscription_schedule(obj: Json) -> Json:
    """Return the columns of a `subscription_schedule`. Of one that was released, `subscription` is null.

    Where the subscription ends with its last phase, a phase without items follows. Which phases have begun, Stripe's
    `current_phase` says: Stripe may be some moments late.
    """
    current = obj.get("current_phase")
    started = (current or obj["phases"][0])["start_date"]
    present = next((each for each in obj["phases"] if each["start_date"] == started), obj["phases"][0])
    phases = [
        {
            "start": phase["start_date"],
            "begun": bool(current and phase["start_date"] <= started),
            "items": [[id_of(item.get("price") or item["plan"]), item.get("quantity")] for item in phase["items"]],
            **_whose(obj, phase["start_date"], digest_of(phase), spared=_spares(present, phase)),
        }
        for phase in obj["phases"]
    ]
    if obj.get("end_behavior") == "cancel":
        last = obj["phases"][-1]
        spared = bool(_discounts(present) | _discounts(last))
        phases.append(
            {"start": last["end_date"], "begun": False, "items": [], **_whose(obj, last["end_date"], "", spared=spared)}
        )
    return {
        "customer_id": id_of(obj["customer"]),
        "subscription_id": id_of(obj["subscription"]),
        "status": obj["status"],
        "phases": phases,
    }


def digest_of(phase: Json) -> str:
    """Return what tells a phase from another with other items, discounts, taxes, amounts or start.

    Args:
        phase: as Stripe answers it.
    """
    items, more = (
        sorted(
            str((id_of(each.get("price") or each.get("plan")), each.get("quantity"), _terms([each]))) for each in its
        )
        for its in (phase["items"], phase.get("add_invoice_items") or ())
    )
    said = phase["start_date"], items, more, _terms([], phase)
    return sha256(str(said).encode()).hexdigest()[:16]


def _terms(items: list[Any], phase: Json | None = None) -> list[str]:
    """Return the discounts and taxes of items, and what a phase says for all of its own."""
    each = {**(phase or {}), "items": items}
    return [*sorted(map(str, _discounts(each))), *sorted(map(str, _taxes(each)))]


def _whose(schedule: Json, start: int, digest: str, *, spared: bool) -> Json:
    """Return whose it is what a schedule plans for a moment.

    Args:
        schedule: as Stripe has it.
        start: the moment.
        digest: of what is planned for it.
        spared: whether a customer who undoes it keeps what the seller has meant to end.

    Returns:
        `sellers`: it is not the customer's own; `fixed`: it binds the customer in any case; `left`: it is the end that
        the customer has put in the place of what was planned.
    """
    metadata = schedule.get("metadata") or {}
    said = metadata.get(CUSTOMER_MAY_CHANGE, "")
    left = metadata.get(ENDED_BY_CUSTOMER) == str(start)
    here = metadata.get(PLANNED_HERE, digest) == digest and said.isascii() and said.isdigit()
    own = left or said == "true" or (here and start <= int(said[:12]))
    binds = not own and (spared or said.lower() == "false")
    return {"fixed": binds, "sellers": not own, **({"left": True} if left else {})}


def _spares(present: Json, later: Json) -> bool:
    """Return whether a customer who stays in a phase is spared more by it than a later one's items.

    A discount would not end, a tax not begin, and a single amount not be billed.
    """
    ends, begins = _discounts(present) - _discounts(later), _taxes(later) - _taxes(present)
    return bool(ends or begins or (later is not present and later.get("add_invoice_items")))


def _discounts(phase: Json) -> set[tuple[Any, ...]]:
    every = _all_of(phase, "discounts", "discounts")
    every += [{"coupon": phase["coupon"]}] if phase.get("coupon") else []  # older versions
    names = ("coupon", "discount", "promotion_code")
    return {tuple(id_of(each.get(name)) for name in names) for each in every}


def _taxes(phase: Json) -> set[Any]:
    automatic = {"automatic"} if (phase.get("automatic_tax") or {}).get("enabled") else set()
    return {id_of(each) for each in _all_of(phase, "default_tax_rates", "tax_rates")} | automatic


def _all_of(phase: Json, whole: str, of_item: str) -> list[Any]:
    """Return what a phase says for all of its items, and for each."""
    return [*(phase.get(whole) or ()), *(each for item in phase["items"] for each in item.get(of_item) or ())]
