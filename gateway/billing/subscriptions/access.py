"""What a subscription gives right to, and until when. Pure: the rows, the time, nothing else."""

from collections.abc import Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import Enum
from typing import NamedTuple

from gateway.models.mirrored import Subscription, SubscriptionItem


class Reason(Enum):
    """Why access is given or refused; each value says what it means."""

    ACTIVE = "Paid, or nothing is due."
    TRIALING = "In its trial."
    GRACE_PERIOD = "The last payment failed; access goes on for a few days."
    PAST_DUE = "The last payment failed and the grace period is over."
    UNPAID = "The invoices are not paid and Stripe has stopped trying."
    INCOMPLETE = "The first payment has not succeeded."
    PAUSED = "Paused, or the trial ended without a way to pay."
    PAID_BACK = "What was paid for the present went back: all of it, or what a bank took back of it."
    PURCHASED = "Bought for life."
    CANCELED = "Ended; what was paid for is still given to its end."
    LIMIT_REACHED = "All that may be used of the feature in this period is used or held."
    NOT_INCLUDED = "No subscription of this customer includes the feature."
    NO_SUBSCRIPTION = "The customer has never had a subscription."


@dataclass(frozen=True, slots=True)
class Access:
    """A decision.

    Attributes:
        allowed: whether there is access.
        reason: why.
        until: when it ends unless something happens; None when there is none, or no end is known.
    """

    allowed: bool
    reason: Reason
    until: datetime | None = None


class AsPaid(NamedTuple):
    """What was paid for of an item that was changed without payment.

    Attributes:
        price: of the line that was paid.
        product: of that price; None where nobody wrote it down.
        quantity: of the line.
        period: of the line, by which its use is counted where the item has another one now.
    """

    price: str
    product: str | None
    quantity: int
    period: tuple[datetime, datetime]


@dataclass(frozen=True, slots=True)
class Payments:
    """What the invoices of a subscription tell about it.

    Attributes:
        paid_until: of each item the end of what was paid for and kept, if now is in it.
        paid_back: the items whose present was paid for, all of which went back in full.
        known: whether an invoice is known that is about now or later; where none is, Stripe's status has to do.
        unpaid_since: since when the oldest unpaid invoice is due: its first failed charge, or its due date.
        ever_paid: False when its first charge failed: nothing was ever paid and kept, and nobody was to pay by hand.
        changes_at: the next moment at which time alone may make the invoices tell something else.
        unpaid: the items whose present was billed in a pause of the customer's and not paid since, each with what was
            paid of it before; None is nothing.
        returned: the items whose present was paid last by what went back in full, each with what was paid of it before;
            None is nothing.
        given: the items whose present was billed last by an invoice that the seller has let pass or written off, each
            as it was billed.
        held: as much as was paid of each item, while a pause of the customer's runs: what is changed at Stripe then is
            billed by an invoice that the pause voids.
        owes: whether the latest invoice is not paid, where that is not a change's that waits for its payment.
        disputed: whether a payment of the present, or of what is due, is disputed and not decided.
        in_part: the items with a present, where a bank took back a part of what was paid by a lost dispute.
    """

    paid_until: Mapping[str, datetime] = field(default_factory=dict)
    paid_back: AbstractSet[str] = frozenset()
    known: bool = False
    unpaid_since: datetime | None = None
    ever_paid: bool = True
    changes_at: datetime | None = None
    unpaid: Mapping[str, AsPaid | None] = field(default_factory=dict)
    returned: Mapping[str, AsPaid | None] = field(default_factory=dict)
    given: Mapping[str, AsPaid] = field(default_factory=dict)
    held: Mapping[str, AsPaid] = field(default_factory=dict)
    owes: bool = False
    disputed: bool = False
    in_part: AbstractSet[str] = frozenset()

    @property
    def all_went_back(self) -> bool:
        """Whether nothing is left of what was paid for the present."""
        return bool(self.paid_back) and not self.paid_until


_REFUSED = {
    "unpaid": Reason.UNPAID,
    "incomplete": Reason.INCOMPLETE,
    "incomplete_expired": Reason.INCOMPLETE,
    "paused": Reason.PAUSED,
    "canceled": Reason.CANCELED,
}
_GIVES = {"active": Reason.ACTIVE, "trialing": Reason.TRIALING}


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a decision, for people.

    Attributes:
        about: what was looked at: a subscription's id, or a feature.
        rule: what was asked.
        finding: what was found.
        holds: whether what the rule asks is so.
    """

    about: str
    rule: str
    finding: str
    holds: bool


class Case(NamedTuple):
    """What a rule of `access` decides by: the arguments of `access`, and the items that would give something."""

    subscription: Subscription
    items: Sequence[SubscriptionItem]
    now: datetime
    grace: timedelta
    payments: Payments
    giving: tuple[SubscriptionItem, ...]


def access(
    subscription: Subscription,
    items: Sequence[SubscriptionItem],
    now: datetime,
    *,
    grace: timedelta,
    payments: Payments,
    steps: list[Step] | None = None,
) -> Access:
    """Return what a subscription gives right to: what the first rule of `RULES` says that says anything.

    `until` is the earliest of the end of the paid period, the planned end and the end of the grace period. It is None
    where no end is known: between a period's end and the payment of the next invoice.

    Args:
        subscription: its row.
        items: its items, which carry the present period.
        now: the present moment.
        grace: how long access goes on after the first failed charge.
        payments: what its invoices tell.
        steps: where to tell each step of the decision; None tells nobody.
    """
    case = Case(subscription, items, now, grace, payments, giving_items(subscription, items, payments))
    for asked, rule in RULES.items():
        decided = rule(case)
        if steps is not None:
            finding = described(decided) if decided else "No: the next rule decides."
            steps.append(Step(subscription.id, asked, finding, decided is not None))
        if decided is not None:
            return decided
    raise AssertionError(subscription.status)  # the last rule decides whatever is left


def facts(subscription: Subscription, items: Sequence[SubscriptionItem], payments: Payments) -> list[Step]:
    """Return what a decision on a subscription goes by, for operators."""
    found = [(f"Its status at Stripe is `{subscription.status}`.", subscription.status in _GIVES)]
    if subscription.cancel_at and subscription.ended_at is None:
        found.append((f"It ends on {subscription.cancel_at:%Y-%m-%d %H:%M} UTC.", True))
    for item in items:
        paid = payments.paid_until.get(item.id)
        if paid:
            found.append((f"{item.price_id} is paid until {paid:%Y-%m-%d %H:%M} UTC.", True))
        elif item.id in payments.paid_back:
            found.append((f"What was paid for {item.price_id} went back.", False))
        elif item.quantity == 0:
            found.append((f"Of {item.price_id} the quantity is zero.", False))
        if before := payments.returned.get(item.id):
            left = f"{before.price}, {before.quantity} of it, was paid before"
            found.append((f"What was paid for {item.price_id} went back: {left}.", False))
        if item.id in payments.unpaid:
            found.append((f"{item.price_id} was billed while its customer had paused it, and not paid since.", False))
    if payments.unpaid_since:
        found.append((f"An invoice is unpaid since {payments.unpaid_since:%Y-%m-%d %H:%M} UTC.", False))
    if not payments.ever_paid:
        found.append(("Nothing was ever paid for it and kept.", False))
    return [Step(subscription.id, "What the copy of Stripe says", finding, holds) for finding, holds in found]


def described(decided: Access) -> str:
    """Return a decision as a sentence for operators."""
    end = f" Until {decided.until:%Y-%m-%d %H:%M} UTC." if decided.until else ""
    return f"{'Access' if decided.allowed else 'No access'}: {decided.reason.name}. {decided.reason.value}{end}"


def _nothing_gives(case: Case) -> Access | None:
    if case.giving or case.subscription.status in _REFUSED:
        return None
    return Access(allowed=False, reason=_why_nothing(case.subscription, case.items, case.payments))


def _goes_on(case: Case) -> Access | None:
    reason = _GIVES.get(case.subscription.status)
    if reason is None:
        return None
    paid = _earliest(*_period_ends(case.subscription, case.giving, case.payments))
    until = _earliest(paid, case.subscription.cancel_at) if paid else None  # a far `cancel_at` is not paid for
    return Access(allowed=True, reason=reason, until=until)


def _in_arrears(case: Case) -> Access | None:
    if case.subscription.status != "past_due":
        return None
    end = _grace_end(case.items, case.grace, case.payments)
    if case.payments.ever_paid and case.now < end:
        until = _earliest(end, case.subscription.cancel_at)
        return Access(allowed=True, reason=Reason.GRACE_PERIOD, until=until)
    return Access(allowed=False, reason=Reason.PAST_DUE)


def _paid_rest(case: Case) -> Access | None:
    if case.subscription.status != "canceled" or not case.giving:
        return None
    until = _earliest(*(case.payments.paid_until[item.id] for item in case.giving))
    return Access(allowed=True, reason=Reason.CANCELED, until=until)


def _refused(case: Case) -> Access:
    return Access(allowed=False, reason=_REFUSED.get(case.subscription.status, Reason.UNPAID))


RULES: Mapping[str, Callable[[Case], Access | None]] = {
    "Nothing of it gives anything: its quantity is zero, it is paused, or what was paid went back": _nothing_gives,
    "Its status at Stripe is active or trialing": _goes_on,
    "Its status at Stripe is past_due: the days of grace count from the first failed charge": _in_arrears,
    "It is canceled, and what was paid for has not run out": _paid_rest,
    "Nothing of this is so": _refused,
}
"""What decides, in this order, by what it asks."""


def changes_at(
    subscription: Subscription,
    items: Sequence[SubscriptionItem],
    now: datetime,
    *,
    grace: timedelta,
    payments: Payments,
) -> datetime | None:
    """Return the next moment at which time alone may make `access` another; until then it stays as it is.

    Args: as those of `access`.
    """
    end = _grace_end(items, grace, payments) if subscription.status == "past_due" and items else None
    return _earliest(*(moment for moment in (end, payments.changes_at) if moment and moment > now))


def _grace_end(items: Sequence[SubscriptionItem], grace: timedelta, payments: Payments) -> datetime:
    # without an unpaid invoice in the mirror (yet): Stripe began the period that it could not charge for
    return (payments.unpaid_since or min(item.current_period_start for item in items)) + grace


def giving_items(
    subscription: Subscription, items: Sequence[SubscriptionItem], payments: Payments
) -> tuple[SubscriptionItem, ...]:
    """Return the items that give something while the subscription gives access.

    One of quantity 0 gives nothing, and neither does one whose payment went back. After the end, in a pause, and when
    all payments went back, each gives what was paid for it: an item that is billed by use is not kept alone. What was
    billed in a pause of the customer's gives what was paid for before, also when the pause is over, and so does an item
    of which the payment of a change went back.
    """
    some = [item for item in items if item.quantity != 0]
    if payments.unpaid or payments.returned or payments.held:
        some = [paid for item in some if (paid := _as_paid(item, payments))]
    if gives_paid_alone(subscription) or payments.all_went_back:
        return tuple(item for item in some if item.id in payments.paid_until)
    return tuple(item for item in some if item.id not in payments.paid_back)


def _as_paid(item: SubscriptionItem, payments: Payments) -> SubscriptionItem | None:
    """Return an item as it was paid for; None where nothing was paid for its present."""
    before = payments.returned.get(item.id)
    if item.id not in payments.unpaid and before is None and not _exceeds(item, payments.held.get(item.id)):
        return item
    paid = payments.unpaid.get(item.id, before or payments.held.get(item.id))
    product = (paid.product or (item.product_id if paid.price == item.price_id else None)) if paid else None
    if paid is None or product is None:
        return None
    had = {name: getattr(item, name) for name in SubscriptionItem.model_fields}
    had |= {"price_id": paid.price, "product_id": product, "quantity": paid.quantity}
    if paid.period[1] != item.current_period_end:
        had["current_period_start"], had["current_period_end"] = paid.period
    return SubscriptionItem(**had)


def _exceeds(item: SubscriptionItem, paid: AsPaid | None) -> bool:
    """Return whether an item is another than was paid for, as far as that is known, or more of it."""
    if paid is None or item.price_id == paid.price:
        return paid is not None and (item.quantity or 0) > paid.quantity
    return paid.product is not None


def _why_nothing(subscription: Subscription, items: Sequence[SubscriptionItem], payments: Payments) -> Reason:
    """Return why no item of a subscription gives anything, though its status would."""
    if all(item.quantity == 0 for item in items):
        return Reason.NOT_INCLUDED
    return Reason.PAUSED if payments.unpaid or gives_paid_alone(subscription) else Reason.PAID_BACK


def gives_paid_alone(subscription: Subscription) -> bool:
    """Return whether a subscription gives what was paid for, and nothing for what comes after it.

    That is after its end, and while its collection is paused because no service is provided, whose invoices are void
    (Stripe, "Pause payment collection", `behavior: void`). A trial is not paid for.
    """
    return subscription.status == "canceled" or (
        subscription.status == "active" and subscription.pause_behavior == "void"
    )


def _period_ends(
    subscription: Subscription, items: Sequence[SubscriptionItem], payments: Payments
) -> list[datetime | None]:
    """Return the ends of what is paid, item by item; of a trial, and where no invoice is known, the periods' ends."""
    if subscription.status == "trialing" or not payments.known:
        return [item.current_period_end for item in items]
    return [payments.paid_until.get(item.id) for item in items]


def _earliest(*moments: datetime | None) -> datetime | None:
    return min((moment for moment in moments if moment is not None), default=None)


def end_of(subscription: Subscription, items: Sequence[SubscriptionItem]) -> datetime | None:
    """Return when it ended or will end, else when its present period does."""
    period_end = min((item.current_period_end for item in items), default=None)
    return subscription.ended_at or subscription.cancel_at or period_end


def will_cancel(subscription: Subscription) -> bool:
    """Return whether it ends by itself. Flexible billing sets `cancel_at`, and leaves `cancel_at_period_end` false."""
    return subscription.ended_at is None and (subscription.cancel_at_period_end or subscription.cancel_at is not None)
