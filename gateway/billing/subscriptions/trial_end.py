"""What becomes of a trial when its subscription changes. Pure.

A trial is of the plans that have one: a change to a plan without a trial ends it, and that plan is charged at once; a
plan with a shorter trial shortens it, and nothing prolongs it. Stripe by itself lets a trial go on whatever the plan
becomes (Stripe API, "Update a subscription", `trial_end`), and its own portal ends it with every change (changelog
2025-09-30, `trial_update_behavior`: `end_trial` unless told otherwise).

A trial that is longer than the catalogue's the seller has given to this customer. It goes on with what is no more than
it was given for: no purchase of the buyer's takes the gift back, and none makes it a gift of something dearer. A dearer
price of the same product is kept in mind in the subscription's metadata, so that no other product is measured by it.
"""

import re
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from fractions import Fraction
from typing import Any

from gateway.billing.catalog.amounts import a_year
from gateway.billing.catalog.snapshot import Snapshot
from gateway.billing.subscriptions.changed_items import Target
from gateway.billing.subscriptions.state import SubscriptionState
from gateway.billing.user_errors import Problem, ProblemCode
from gateway.models.mirrored import SubscriptionItem

CREATE_INVOICE = "create_invoice"
RISEN = "given_trial_dearer_by"
"""A key of a subscription's metadata: how much more a year, in minor units, the plan of a trial that the seller gave
costs by now, because the buyer took a dearer price of the same product."""
_FRACTION = re.compile(r"\d{1,30}(/[1-9]\d{0,29})?", re.ASCII)


def trial_of(present: SubscriptionState) -> datetime | None:
    """Return when the trial of a subscription ends; None where none runs."""
    return present.subscription.trial_end if present.subscription.status == "trialing" else None


def trial_after(
    present: SubscriptionState, targets: Sequence[Target], snapshot: Snapshot, now: datetime
) -> datetime | None:
    """Return when the trial ends after a change at once; None where none runs, or the change ends it.

    Of the plans that come the shortest trial counts, as in a cart. What is there already keeps what it has.

    Args:
        present: the subscription.
        targets: what changes.
        snapshot: says which plans have a trial.
        now: the present moment.
    """
    end = trial_of(present)
    have = {item.price_id for item in present.items}
    coming = [snapshot.prices[each["price"]] for each in targets if "price" in each and each["price"] not in have]
    days = [price.trial_period_days or 0 for price in coming]
    if end is None:
        return None
    if _is_given(present, end, snapshot) and _is_no_more(present, targets, snapshot):
        return end if end > now else None
    if 0 in days:
        return None
    began = _began(present)
    end = min([end, *(began + timedelta(days=each) for each in days)])
    return end if end > now else None


def _began(present: SubscriptionState) -> datetime:
    return present.subscription.trial_start or present.subscription.created


def _is_given(present: SubscriptionState, end: datetime, snapshot: Snapshot) -> bool:
    """Return whether a trial is longer than the catalogue gives it to what is there, as a cart would."""
    plans = [snapshot.prices.get(item.price_id) for item in present.items]
    days = min((price.trial_period_days or 0 for price in plans if price), default=0)
    return None not in plans and end - _began(present) > timedelta(days=days, hours=1)


def _is_no_more(present: SubscriptionState, targets: Sequence[Target], snapshot: Snapshot) -> bool:
    """Return whether a change leads to as much of the same product, or to what costs no more a year."""
    others = [each for each in targets if not _is_same(present, each, snapshot)]
    if None in (_rise(present, each, snapshot) for each in targets):
        return False
    comes = any("price" in each for each in others)
    return not comes or _sum(present, others, snapshot) + _risen(present) <= 0


def _is_same(present: SubscriptionState, target: Target, snapshot: Snapshot) -> bool:
    """Return whether an item becomes another price of the same product, and no more of it."""
    item = _item(present, target)
    have, comes = (snapshot.prices.get(name or "") for name in (item and item.price_id, target.get("price")))
    had, wanted = (item and item.quantity) or 1, target.get("quantity") or 1
    return bool(have and comes and have.product_id == comes.product_id and wanted <= had)


def _rise(present: SubscriptionState, target: Target, snapshot: Snapshot) -> Fraction | None:
    """Return how much more an item costs a year after a change; None where nobody knows beforehand."""
    item, currency = _item(present, target), present.subscription.currency
    have, comes = (snapshot.prices.get(name or "") for name in (item and item.price_id, target.get("price")))
    before = a_year(have, (item and item.quantity) or 1, currency) if have else Fraction(0)
    after = a_year(comes, target.get("quantity") or 1, currency) if comes else Fraction(0)
    return None if before is None or after is None else after - before


def _item(present: SubscriptionState, target: Target) -> SubscriptionItem | None:
    return next((item for item in present.items if item.id == target.get("id")), None)


def _sum(present: SubscriptionState, targets: Sequence[Target], snapshot: Snapshot) -> Fraction:
    return sum((_rise(present, each, snapshot) or Fraction(0) for each in targets), Fraction(0))


def _risen(present: SubscriptionState) -> Fraction:
    """Return how much dearer a year a given trial has become; nothing where nobody can read it."""
    said = present.subscription.meta.get(RISEN, "")
    return Fraction(said) if _FRACTION.fullmatch(said) else Fraction(0)


def trial_marks(
    present: SubscriptionState, targets: Sequence[Target], snapshot: Snapshot, end: datetime | None
) -> dict[str, Any]:
    """Return what is written down at Stripe with a change in a trial that the seller gave; mostly nothing.

    Args:
        present: the subscription.
        targets: what changes.
        snapshot: says what the plans cost.
        end: of the trial after the change.
    """
    trial = trial_of(present)
    if trial is None or end != trial or not _is_given(present, trial, snapshot):
        return {}
    risen = max(Fraction(0), _risen(present) + _sum(present, targets, snapshot))
    return {} if risen == _risen(present) else {"metadata": {RISEN: str(risen) if risen else ""}}


def trial_parameters(present: SubscriptionState, end: datetime | None) -> dict[str, Any]:
    """Return what Stripe is told of a trial with a change; nothing where it stays as it is, or none runs.

    Args:
        present: the subscription.
        end: of the trial after the change.
    """
    if end == trial_of(present):
        return {}
    return {"trial_end": "now" if end is None else int(end.timestamp())}


def over_since(quoted: datetime | None) -> Problem | None:
    """Return that a change is charged now, because the trial of its plan is over, and was not when it was quoted.

    Args:
        quoted: when the trial would have ended after the quoted change; None for at once.
    """
    if quoted is None:
        return None
    message = "the trial of this plan has ended since this preview; ask for a new one"
    return Problem(ProblemCode.PREVIEW_EXPIRED, message, "prorationDate")


def ends_unpaid(subscription: Mapping[str, Any]) -> bool:
    """Return whether Stripe pauses or cancels a subscription at the end of its trial, unless something pays it.

    Source: Stripe, "Use free trials with subscriptions", `missing_payment_method`.

    Args:
        subscription: as Stripe has it.
    """
    end_behavior = (subscription.get("trial_settings") or {}).get("end_behavior") or {}
    own = subscription.get("default_payment_method") or subscription.get("default_source")
    return end_behavior.get("missing_payment_method", CREATE_INVOICE) != CREATE_INVOICE and not own


def card_missing(customer: Mapping[str, Any]) -> Problem | None:
    """Return that nothing pays a subscription whose trial is to end (Stripe, "Default payment methods").

    Args:
        customer: as Stripe has it.
    """
    if (customer.get("invoice_settings") or {}).get("default_payment_method") or customer.get("default_source"):
        return None
    message = "the change ends the trial and is charged, and there is no payment method: give one in the portal first"
    return Problem(ProblemCode.PAYMENT_METHOD_NEEDED, message, "subscriptionId")
