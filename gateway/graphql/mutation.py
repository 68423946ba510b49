"""The mutations. What the caller can fix comes back as `userErrors`; everything else is a GraphQL error."""

from enum import Enum
from typing import Annotated

import strawberry

from gateway.billing.checkout.request import CheckoutRequest, Line
from gateway.billing.user_errors import Rejected
from gateway.graphql.base.context import Info
from gateway.graphql.base.decorators import enum_type, input_type, mutation, object_type
from gateway.graphql.base.metadata import MetadataEntryInput
from gateway.graphql.base.scalars import Currency
from gateway.graphql.base.user_errors import Payload, UserError
from gateway.graphql.types.checkout import CheckoutSession
from gateway.graphql.types.credits import CreditMutations
from gateway.graphql.types.metering import UsageMutations
from gateway.graphql.types.portal import PortalMutations
from gateway.graphql.types.subscription_changes import ChangeMutations


@enum_type
class CheckoutUiMode(Enum):
    """Where the buyer pays."""

    HOSTED = strawberry.enum_value("hosted_page", description="On Stripe's page, reached by `url`.")
    EMBEDDED = strawberry.enum_value(
        "embedded_page", description="In Stripe's form within your own page, opened with `clientSecret`."
    )


@input_type
class AdjustableQuantityInput:
    """The bounds within which a buyer may change a quantity."""

    minimum: int = strawberry.field(default=1, description="The smallest quantity, 0 or more.")
    maximum: int = strawberry.field(description="The largest quantity.")


@input_type
class CheckoutLineItemInput:
    """A price to buy, named by exactly one of its id and its lookup key. There is no way to send an amount."""

    price_id: strawberry.ID | None = strawberry.field(default=None, description="The price's (or plan's) id.")
    lookup_key: str | None = strawberry.field(default=None, description="The price's lookup key.")
    quantity: int = strawberry.field(default=1, description="The quantity; leave it out for a metered price.")
    adjustable_quantity: AdjustableQuantityInput | None = strawberry.field(
        default=None, description="Lets the buyer change the quantity on Stripe's page, such as the seats of a team."
    )

    def line(self) -> Line:
        """Return the line as the use case takes it."""
        range_ = self.adjustable_quantity
        return Line(self.price_id, self.lookup_key, self.quantity, (range_.minimum, range_.maximum) if range_ else None)


@input_type
class CreateCheckoutSessionInput:
    """What to buy, and where to go afterwards."""

    line_items: list[CheckoutLineItemInput] = strawberry.field(
        description="1 to 20 lines. Any recurring price makes it a subscription."
    )
    setup: bool = strawberry.field(
        default=False,
        description="Buy nothing, only save a payment method; the lines are empty then. For signed-in users.",
    )
    external_id: strawberry.ID | None = strawberry.field(
        default=None, description="The user that it is for, when the application's own back end asks; nobody else may."
    )
    success_url: str | None = strawberry.field(
        default=None,
        description="HOSTED: where the buyer goes after paying. `{CHECKOUT_SESSION_ID}` in it is filled in by Stripe.",
    )
    cancel_url: str | None = strawberry.field(default=None, description="HOSTED: where the buyer goes to cancel.")
    return_url: str | None = strawberry.field(
        default=None,
        description="EMBEDDED: where the buyer goes afterwards. `{CHECKOUT_SESSION_ID}` in it is filled in by Stripe.",
    )
    ui_mode: CheckoutUiMode = strawberry.field(default=CheckoutUiMode.HOSTED, description="Where the buyer pays.")
    currency: Currency | None = strawberry.field(
        default=None, description="The currency to pay in, which every price must offer; else the prices' own."
    )
    locale: str | None = strawberry.field(
        default=None, description="The language of Stripe's page, such as de or pt-BR; else the browser's."
    )
    promotion_code: str | None = strawberry.field(
        default=None, description="A promotion code that is already known, as buyers write it."
    )
    coupon: strawberry.ID | None = strawberry.field(
        default=None, description="A coupon that the application's own back end grants; nobody else may."
    )
    allow_promotion_codes: bool = strawberry.field(
        default=False, description="Whether the buyer may enter a promotion code."
    )
    customer_email: str | None = strawberry.field(
        default=None, description="Fills in the e-mail field of a guest; a signed-in user's own address goes first."
    )
    idempotency_key: str | None = strawberry.field(
        default=None,
        description="The same key with the same input gives the same session, so that a retry buys once; a signed-in "
        "user's same request gives the same open session also without one. A guest's must be hard to guess: at least "
        "16 characters, such as a UUID.",
    )
    metadata: list[MetadataEntryInput] | None = strawberry.field(
        default=None,
        description="Up to 50 entries to keep at Stripe with the session and with the subscription or payment that it "
        "makes.",
    )

    def request(self) -> CheckoutRequest:
        """Return the request as the use case takes it."""
        return CheckoutRequest(
            lines=tuple(line.line() for line in self.line_items),
            setup=self.setup,
            external_id=self.external_id,
            embedded=self.ui_mode is CheckoutUiMode.EMBEDDED,
            success_url=self.success_url,
            cancel_url=self.cancel_url,
            return_url=self.return_url,
            currency=self.currency,
            locale=self.locale,
            promotion_code=self.promotion_code,
            coupon=self.coupon,
            allow_promotion_codes=self.allow_promotion_codes,
            customer_email=self.customer_email,
            idempotency_key=self.idempotency_key,
            metadata=tuple((each.key, each.value) for each in self.metadata or ()),
        )


@input_type
class ExpireCheckoutSessionInput:
    """The session to close."""

    id: strawberry.ID = strawberry.field(description="Its id, such as cs_….")


@object_type
class CreateCheckoutSessionPayload(Payload):
    """The session, or what the caller must fix."""

    session: CheckoutSession | None = strawberry.field(
        default=None,
        description="The open session; null when there are errors, but with EARLIER_SESSION_PAID the paid one.",
    )
    user_errors: list[UserError] = strawberry.field(
        default_factory=list, description="What the caller must fix; empty on success."
    )

    @classmethod
    def rejected(cls, rejected: Rejected, info: Info, /) -> "CreateCheckoutSessionPayload":
        """Return what the caller must fix, and the session as it is, where it should be seen."""
        return cls(session=_current(rejected, info), user_errors=UserError.all_of(rejected.problems))


@object_type
class ExpireCheckoutSessionPayload(Payload):
    """The session in its present state."""

    session: CheckoutSession | None = strawberry.field(default=None, description="The session.")
    user_errors: list[UserError] = strawberry.field(
        default_factory=list, description="Why it could not be closed; empty when it was."
    )

    @classmethod
    def rejected(cls, rejected: Rejected, info: Info, /) -> "ExpireCheckoutSessionPayload":
        """Return what the caller must fix, and the session as it is, where it should be seen."""
        return cls(session=_current(rejected, info), user_errors=UserError.all_of(rejected.problems))


@object_type
class Mutation(ChangeMutations, PortalMutations, CreditMutations, UsageMutations):
    """The mutations."""

    @mutation
    async def create_checkout_session(
        self,
        info: Info,
        input: Annotated[
            CreateCheckoutSessionInput, strawberry.argument(description="What to buy, and where to go afterwards.")
        ],
    ) -> CreateCheckoutSessionPayload:
        """Open a checkout at Stripe and get its URL."""
        principal = info.context.principal
        session = await info.context.services.checkout.create(principal, input.request())
        return CreateCheckoutSessionPayload(session=CheckoutSession.of(session, principal, created=True))

    @mutation
    async def expire_checkout_session(
        self,
        info: Info,
        input: Annotated[ExpireCheckoutSessionInput, strawberry.argument(description="The session to close.")],
    ) -> ExpireCheckoutSessionPayload:
        """Close an open checkout, so that nobody can pay it any more."""
        session = await info.context.services.checkout.expire(input.id)
        return ExpireCheckoutSessionPayload(session=CheckoutSession.of(session, info.context.principal))


def _current(rejected: Rejected, info: Info) -> CheckoutSession | None:
    if rejected.current is None:
        return None
    return CheckoutSession.of(rejected.current, info.context.principal)
