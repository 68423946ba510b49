"""What must be fixed in a change of a subscription. Pure: the request and what is known of the subscription."""

from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa

from gateway.billing.catalog.snapshot import Snapshot
from gateway.billing.subscriptions.state import SubscriptionState
from gateway.billing.user_errors import Problem, ProblemCode, Rejected
from gateway.errors import CardRefused, KeyReused, StripeRefused
from gateway.models.statuses import FINAL
from gateway.settings import Settings

MAX_COMMENT = 500
MAX_KEY = 255
_WHOSE = "what is planned of this subscription was not planned here: only who planned it can undo or change it"
BOUND = Problem(ProblemCode.PLANNED_BY_SELLER, _WHOSE, "subscriptionId")


def check(*problems: Problem | None) -> None:
    """Raise what must be fixed, if anything must."""
    if found := [problem for problem in problems if problem is not None]:
        raise Rejected(*found)


def bad_key(key: str | None) -> Problem | None:
    """Return what is wrong with a client's idempotency key."""
    if key is None or 1 <= len(key) <= MAX_KEY:
        return None
    return Problem(
        ProblemCode.IDEMPOTENCY_KEY_INVALID, f"the key must have 1 to {MAX_KEY} characters", "idempotencyKey"
    )


def long_comment(comment: str | None) -> Problem | None:
    """Return what is wrong with a comment."""
    if comment is None or len(comment) <= MAX_COMMENT:
        return None
    return Problem(
        ProblemCode.COMMENT_TOO_LONG, f"the comment is too long: at most {MAX_COMMENT} characters", "comment"
    )


def ended(present: SubscriptionState) -> Problem | None:
    """Return that a subscription can no longer be changed, if it cannot."""
    if present.subscription.status not in FINAL:
        return None
    return Problem(
        ProblemCode.SUBSCRIPTION_ENDED, "this subscription has ended; buy a new one at the checkout", "subscriptionId"
    )


def planned_by_seller(present: SubscriptionState, snapshot: Snapshot, settings: Settings) -> Problem | None:
    """Return that the seller has planned something of a subscription, which its customer must not get out of."""
    return BOUND if present.is_bound(snapshot, always=settings.seller_plans_binding) else None


def leaving(present: SubscriptionState) -> Problem | None:
    """Return that what was planned is set aside while the subscription ends: a change would not know what comes."""
    if not present.planned.left:
        return None
    message = "the subscription ends, and what was planned is set aside: resume it first"
    return Problem(ProblemCode.SUBSCRIPTION_ENDING, message, "subscriptionId")


def not_kept(present: SubscriptionState, *, disputed: bool) -> Problem | None:
    """Return that a change at once would credit time that was not paid, or whose payment went back, or may.

    Stripe credits by the price and the time, whatever was paid (Stripe, "Prorations", classic billing mode).

    Args:
        present: the subscription.
        disputed: whether a payment of its present is disputed and not decided.
    """
    if not present.unkept and not disputed:
        return None
    what = "was not paid, or went back" if present.unkept else "was disputed"
    message = f"what it costs now {what}, and a change at once would credit it: let it change as the period ends"
    return Problem(ProblemCode.INVOICE_UNPAID, message, "subscriptionId")


def overcredited(beyond: int, *, disputed: int) -> Problem | None:
    """Return that a change at once would credit what went back to the buyer in part, if it would.

    Args:
        beyond: how much more than was kept it would leave in the customer's balance, in minor units.
        disputed: how much of what it would credit a bank took back.
    """
    if not beyond and not disputed:
        return None
    what = "a part of what was paid went back, and a change at once would credit more than was kept"
    return Problem(ProblemCode.INVOICE_UNPAID, f"{what}: let it change as the period ends", "subscriptionId")


def refused(error: StripeRefused) -> Problem:
    """Return what Stripe refused, as the caller can fix it."""
    if isinstance(error, CardRefused):
        message = f"{error} Nothing was changed; update the payment method and try again."
        return Problem(ProblemCode.PAYMENT_FAILED, message)
    if isinstance(error, KeyReused):
        message = "this key was used for another request; use a new one"
        return Problem(ProblemCode.IDEMPOTENCY_KEY_REUSED, message, "idempotencyKey")
    if error.param is not None and error.param.startswith(("discounts", "promotion_code")):
        return Problem(ProblemCode.PROMOTION_CODE_INVALID, str(error), "promotionCode")
    return Problem(ProblemCode.STRIPE_REFUSED, str(error))


def change_pending(subscription: Mapping[str, Any]) -> Problem | None:
    """Return that a schedule says what discounts there are: its next phase would take away what is given now.

    A schedule that plans nothing is left where the gateway was killed between making it and planning.

    Args:
        subscription: as Stripe has it, with its schedule expanded.
    """
    schedule = subscription["schedule"]
    present = schedule["current_phase"] if schedule else None
    goes_on = present and schedule["phases"][-1]["start_date"] <= present["start_date"]
    if not schedule or (goes_on and schedule["end_behavior"] == "release"):
        return None
    message = "a change of this subscription waits for the end of the period: undo it first"
    return Problem(ProblemCode.CHANGE_PENDING, message, "subscriptionId")


class ConfirmationNeeded(Rejected):
    """The bank wants the buyer to confirm the payment, as 3-D Secure does; nothing was changed."""


CONFIRMATION_CODES = frozenset({"subscription_payment_intent_requires_action", "authentication_required"})
"""Stripe's codes of a payment that the buyer must confirm (Stripe, "Error codes")."""


def foreign_default(customer: Any) -> Problem | None:
    """Return that what starts without a card would be paid by one that is not the user's (`customers/cards.py`).

    Where a subscription has no card of its own, Stripe charges the customer's default one (Stripe API, "Create a
    subscription", `default_payment_method`).

    Args:
        customer: its row.
    """
    if not customer.payer_unverified or customer.default_payment_method_id is None:
        return None
    message = "the card that would pay this later is not proved to be yours: give one of your own in the portal"
    return Problem(ProblemCode.PAYMENT_METHOD_NEEDED, message)


def foreign_card(customer: sa.Row[str, str | None, bool]) -> Problem | None:
    """Return that a change would charge a card that is not the user's (`customers/cards.py`), if it would.

    Args:
        customer: the columns `external_id` and `payer_unverified`.
    """
    if not customer.payer_unverified:
        return None
    message = "the card that pays this subscription is not proved to be yours: give one of your own in the portal"
    return Problem(ProblemCode.PAYMENT_METHOD_NEEDED, message, "subscriptionId")
