"""When a customer has paused a subscription, as its metadata at Stripe say. Pure.

An invoice that is void tells nobody why: one that the seller has voided is a gift, and one that was made while the
customer's own pause ran was never paid. Stripe marks all invoices of such a pause as void at once, tries to charge none
(docs.stripe.com/billing/subscriptions/pause-payment), and keeps no record of a pause that is over. So each pause is
written down with it: its end in the key, its beginning in the value, both in Unix seconds. What a schedule has copied
of the metadata and writes again later (docs.stripe.com/api/subscription_schedules/object, `phases.metadata`) so brings
back a pause that was shortened, and never hides one.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

PAUSED_BY_CUSTOMER = "paused_by_customer_until_"
"""Begins the keys of a subscription's metadata. Who takes them away gives what pauses have left unpaid."""
_OPEN = "resumed"
_HOUR, _DAY = 3_600, 86_400
_MOST = 10
_NEVER = 10**12

Pause = tuple[int, int]
"""From the moment of the last invoice before it, in whole seconds, to its end."""


def voided_by_pause(metadata: Mapping[str, str], invoice: Any) -> bool:
    """Return whether an invoice is void because its customer had paused the subscription when it was made.

    Args:
        metadata: of the subscription.
        invoice: its row. One that was charged in vain first, or voided later, was voided by the seller.
    """
    if invoice.status != "void" or invoice.attempt_count or _was_voided_later(invoice):
        return False
    made = int(invoice.created.timestamp())
    return any(start <= made <= end for start, end in _read(metadata))


def _was_voided_later(invoice: Any) -> bool:
    known = invoice.voided_at and invoice.finalized_at
    return bool(known) and (invoice.voided_at - invoice.finalized_at).total_seconds() > _HOUR


def holds(subscription: Any, now: datetime) -> bool:
    """Return whether a pause of the customer's own runs, of a subscription by its row, which voids its invoices."""
    moment = int(now.timestamp())
    return subscription.pause_behavior == "void" and any(
        start <= moment <= end for start, end in _read(subscription.meta)
    )


def begun(subscription: Mapping[str, Any], resumes_at: int | None) -> dict[str, str]:
    """Return the metadata of a pause that begins, or that runs and gets another end.

    Args:
        subscription: as Stripe has it, with its latest invoice expanded.
        resumes_at: when it ends by itself. Stripe may be late with that.
    """
    billed = _last_billed(subscription)
    billed += (subscription["latest_invoice"] or {}).get("status") == "void"  # a gift of the seller's
    over = [each for each in _read(subscription["metadata"]) if each[1] < billed]
    start = min([billed, *(each[0] for each in _read(subscription["metadata"]) if each[1] >= billed)])
    return _written(subscription, [*over, (start, _NEVER if resumes_at is None else resumes_at + _DAY)])


def ended(subscription: Mapping[str, Any], now: int) -> dict[str, str]:
    """Return the metadata of a pause that ends now; nothing where its customer had begun none.

    Args:
        subscription: as Stripe has it, with its latest invoice expanded.
        now: the present by Stripe's clock. What is billed while this is asked for belongs to the pause.
    """
    known = max(now, _last_billed(subscription))
    over = (known // _DAY + 2) * _DAY  # whole days: the same call again says the same
    return _written(subscription, [(start, min(end, over)) for start, end in _read(subscription["metadata"])])


def without_pauses(metadata: Mapping[str, str]) -> dict[str, str]:
    """Return metadata as a phase of a schedule can have them, which writes them again when it begins."""
    return {name: text for name, text in metadata.items() if not name.startswith(PAUSED_BY_CUSTOMER)}


def _last_billed(subscription: Mapping[str, Any]) -> int:
    """Return when it was billed last, which its test clock tells as it does the invoices of the pause."""
    made: int = (subscription["latest_invoice"] or subscription)["created"]
    return made


def _read(metadata: Mapping[str, str]) -> list[Pause]:
    """Return the pauses, the one that ends first before the others; what nobody can read is none."""
    found = []
    for name, start in metadata.items():
        if name.startswith(PAUSED_BY_CUSTOMER) and start.isascii() and start.isdigit():
            end = name.removeprefix(PAUSED_BY_CUSTOMER)
            found.append((int(start[:12]), int(end[:12]) if end.isascii() and end.isdigit() else _NEVER))
    return sorted(found, key=lambda each: each[1])


def _written(subscription: Mapping[str, Any], pauses: Iterable[Pause]) -> dict[str, str]:
    """Return what the metadata must say to have these pauses alone; of too many the first become one."""
    first: dict[int, int] = {}
    for start, end in pauses:
        first[end] = min(start, first.get(end, start))
    while len(first) > _MOST:
        start = first.pop(min(first))
        first[min(first)] = min(start, first[min(first)])
    gone = dict.fromkeys(name for name in subscription["metadata"] if name.startswith(PAUSED_BY_CUSTOMER))
    said = {f"{PAUSED_BY_CUSTOMER}{_OPEN if end == _NEVER else end}": str(start) for end, start in first.items()}
    return dict.fromkeys(gone, "") | said
