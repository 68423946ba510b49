"""What the caller can fix: answered beside the object (`userErrors`), never as a failure of the call."""

from dataclasses import dataclass
from enum import Enum
from typing import Any

from gateway.errors import BadInput


class ProblemCode(Enum):
    """Codes that clients may switch on; each value says what it means."""

    LINE_ITEMS_INVALID = "There are no lines, or too many, or some that contradict each other or name no price, or two."
    PRICE_NOT_FOUND = "There is no such price."
    PRICE_NOT_ON_SALE = "The price, or its product, is no longer sold."
    DUPLICATE_PRICE = "Two lines name the same price: put their quantities together."
    QUANTITY_INVALID = "The quantity is out of range, or the price is metered and takes none."
    CURRENCY_NOT_OFFERED = "Not every price is offered in this currency."
    INTERVALS_MIXED = "The plans are billed by different intervals, which one checkout, or one change, cannot mix."
    URL_REQUIRED = "This kind of checkout needs this URL."
    URL_UNUSED = "This kind of checkout does not use this URL."
    REDIRECT_NOT_ALLOWED = "Buyers may not be sent to this URL."
    EMAIL_INVALID = "This is not an e-mail address."
    METADATA_INVALID = "The metadata has too many entries, a key or value that is too long, or a reserved key."
    PROMOTION_CODE_INVALID = "The promotion code does not exist or cannot be used here."
    IDEMPOTENCY_KEY_INVALID = "The key is too long, or a guest's key is too easy to guess."
    IDEMPOTENCY_KEY_REUSED = "The key was used before for another request."
    PRICE_NOT_RECURRING = "The price is paid once, and this needs a plan."
    SUBSCRIPTION_ENDED = "The subscription has ended for good."
    SUBSCRIPTION_ENDING = "The subscription ends, and nothing can be planned for later: resume it first."
    PAUSE_UNAVAILABLE = "What is billed by use, or waits to be billed, would never be: this cannot be paused."
    SUBSCRIPTION_PAUSED = "The subscription is paused: resume it first."
    CHECKOUT_NEEDED = "This costs something, or is not sold without a card: it is bought at the checkout."
    CHANGE_PENDING = "A change waits for the end of the period: undo it first."
    PLANNED_BY_SELLER = "The seller has planned a change or an end that binds the customer: only the seller undoes it."
    OFFER_UNAVAILABLE = "There is no such coupon, or no such offer (any more)."
    PREVIEW_EXPIRED = "The preview is too old to be charged; ask for a new one."
    INVOICE_UNPAID = "An invoice is not paid yet, or its money went back or is disputed: that comes before a change."
    SUBSCRIPTION_ITEM_NEEDED = "The subscription has several items and none is named, or it does not have this one."
    PAYMENT_FAILED = "The payment did not go through, and nothing was changed."
    PAYMENT_METHOD_NEEDED = (
        "Nothing pays the subscription, or a card that is not proved to be the user's: the portal takes one of his own."
    )
    COMMENT_TOO_LONG = "The comment is too long."
    ALREADY_SUBSCRIBED = "There is a live subscription to a plan of this group: change that one instead."
    EARLIER_SESSION_PAID = "The checkout that was opened before has just been paid; it is answered instead."
    CUSTOMER_AMBIGUOUS = "Several customers may be the user's: the seller must say which (`gateway customers link`)."
    NO_CUSTOMER = "Nothing was bought yet, or Stripe no longer has the customer: a checkout makes one."
    SUBSCRIPTION_NEEDED = "The subscription is not named and cannot be chosen, or has ended, or the flow needs none."
    AMOUNT_INVALID = "The amount is out of range."
    METER_NOT_FOUND = "There is no active meter with this event name."
    USAGE_NOT_FOUND = "Nothing was reported under this identifier that counts."
    TIMESTAMP_INVALID = "The time is too long ago, or too far ahead."
    INSUFFICIENT_CREDITS = "There are not enough credits; nothing was spent."
    FEATURE_NOT_ALLOWED = "The user may not use this feature."
    FEATURE_NOT_COUNTED = "No product says what counts this feature."
    LIMIT_REACHED = "This is more than is left of the feature in this period; nothing was counted."
    SPEND_CAP_REACHED = "This would cost more than the customer's spend cap for a period; nothing was counted."
    HOLD_NOT_FOUND = "There is no such hold."
    HOLD_ENDED = "The hold was released, or committed with another amount."
    DURATION_INVALID = "The time is too short or too long."
    CREDIT_KIND_INVALID = "No kind of credits can have this name."
    TEXT_TOO_LONG = "The text is too long."
    INVOICE_NOT_REFUNDABLE = "No payment at Stripe has paid the invoice, or several have: refund it at Stripe."
    CUSTOMER_UNAVAILABLE = "Stripe has no such customer, or it is another user's."
    SESSION_NOT_OPEN = "The checkout is already complete or expired."
    STRIPE_REFUSED = "Stripe refuses the request; the message is Stripe's."


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing to fix.

    Attributes:
        code: for programs.
        message: for people.
        field: where in the input, such as `lineItems.0.price.id`; None when it is the whole.
    """

    code: ProblemCode
    message: str
    field: str | None = None


class Rejected(BadInput):
    """What the caller can fix, raised by a use case: `userErrors` of a mutation, BAD_USER_INPUT of a query.

    Args:
        problems: what to fix, at least one.
        current: the object as it stands, where the caller should see it nevertheless, such as the session that was just
            paid.
    """

    def __init__(self, *problems: Problem, current: Any = None) -> None:
        super().__init__("; ".join(problem.message for problem in problems))
        self.problems = problems
        self.current = current
