"""Checkouts: the session, and opening and closing it."""

from datetime import datetime
from enum import Enum
from typing import Annotated, Any

import strawberry

from gateway.auth.principal import Principal
from gateway.billing.checkout.request import CheckoutRequest, Line
from gateway.billing.checkout.service import owns
from gateway.billing.customers.ownership import Owner, owner_of_session
from gateway.billing.subscriptions.state import read_subscription
from gateway.billing.user_errors import Rejected
from gateway.graphql.base import scalars as money
from gateway.graphql.base.authorization import private
from gateway.graphql.base.context import Info
from gateway.graphql.base.decorators import enum_type, field, input_type, mutation, object_type, one_of_type, resolver
from gateway.graphql.base.metadata import MetadataEntryInput
from gateway.graphql.base.scalars import BigInt, Currency, Money
from gateway.graphql.base.user_errors import Payload, UserError
from gateway.graphql.types.catalog import Price
from gateway.graphql.types.catalog_objects import CatalogObjects, catalog_objects_of
from gateway.graphql.types.discounts import Discount
from gateway.graphql.types.subscriptions import BillingSubscription
from gateway.models import mirrored as models

SHORT = "Until 2027-12-01: `price` takes exactly one of `id` and `lookupKey`."


@enum_type
class CheckoutSessionStatus(Enum):
    """The status of a checkout."""

    OPEN = strawberry.enum_value("open", description="The buyer can still pay.")
    COMPLETE = strawberry.enum_value("complete", description="The buyer is done; payment may still be on its way.")
    EXPIRED = strawberry.enum_value("expired", description="It was closed or expired without payment.")


@enum_type
class PaymentStatus(Enum):
    """Whether a checkout is paid."""

    PAID = strawberry.enum_value("paid", description="Paid.")
    UNPAID = strawberry.enum_value("unpaid", description="Not paid, or not yet: bank debits take days.")
    NO_PAYMENT_REQUIRED = strawberry.enum_value("no_payment_required", description="Nothing is due, as in a trial.")


@enum_type
class CheckoutMode(Enum):
    """What a checkout is for."""

    PAYMENT = strawberry.enum_value("payment", description="A purchase.")
    SUBSCRIPTION = strawberry.enum_value("subscription", description="A subscription, perhaps with one-off lines.")
    SETUP = strawberry.enum_value("setup", description="Only to save a payment method.")


@object_type
class CheckoutLineItem:
    """A line of a checkout."""

    id: strawberry.ID = strawberry.field(description="Stripe's id, such as li_….")
    description: str | None = strawberry.field(description="The description that the buyer sees.")
    price: Price | None = strawberry.field(description="The price; null when the catalogue does not have it.")
    quantity: BigInt | None = strawberry.field(description="The quantity.")
    amount_subtotal: Money | None = strawberry.field(description="The amount before discounts and taxes.")
    amount_total: Money | None = strawberry.field(description="The amount after discounts and taxes.")

    @classmethod
    def of(cls, item: dict[str, Any], catalog: CatalogObjects) -> "CheckoutLineItem":
        """Make a line from one of Stripe's line items."""
        currency = item.get("currency")
        price = item.get("price") or {}
        return cls(
            id=strawberry.ID(item["id"]),
            description=item.get("description"),
            price=catalog.price(price.get("id", ""), currency),
            quantity=item.get("quantity"),
            amount_subtotal=money.of(item.get("amount_subtotal"), currency),
            amount_total=money.of(item.get("amount_total"), currency),
        )


@private
class CheckoutSession:
    """A checkout on Stripe's page. Whoever knows a guest's session may read its state, never the buyer's identity."""

    owner: strawberry.Private[Owner]
    row: strawberry.Private[models.CheckoutSession]
    id: strawberry.ID = strawberry.field(description="Stripe's id, such as cs_….")
    status: CheckoutSessionStatus = strawberry.field(description="Its status.")
    payment_status: PaymentStatus = strawberry.field(description="Whether it is paid.")
    mode: CheckoutMode = strawberry.field(description="Its mode.")
    url: str | None = strawberry.field(description="Where the buyer pays; null for the embedded form, and once closed.")
    client_secret: str | None = strawberry.field(
        description="For the embedded form: given when the session is created, and to its signed-in owner."
    )
    amount_subtotal: Money | None = strawberry.field(description="The amount before discounts and taxes.")
    amount_total: Money | None = strawberry.field(description="The amount after discounts and taxes.")
    amount_discount: Money | None = field(
        lambda self: money.of(self.row.amount_discount, self.row.currency), "What discounts take off."
    )
    customer_email: str | None = strawberry.field(
        description="The buyer's e-mail address, for its signed-in owner only."
    )
    created_at: datetime = strawberry.field(description="When it was opened.")
    expires_at: datetime = strawberry.field(description="When it closes by itself.")

    @resolver
    async def subscription(self, info: Info) -> BillingSubscription | None:
        """The subscription that it started, in its present state."""
        if self.row.subscription_id is None:
            return None
        services = info.context.services
        found = await read_subscription(services.database, self.row.subscription_id, services.settings.grace)
        return BillingSubscription.of(found, catalog_objects_of(await services.catalog.snapshot())) if found else None

    @resolver
    async def discounts(self, info: Info) -> list[Discount]:
        """The discounts on it."""
        found = await info.context.loaders.coupons.load_many(self.row.coupons)
        return [Discount.of(each) for each in found if each is not None]

    @resolver
    async def line_items(self, info: Info) -> list[CheckoutLineItem]:
        """What is bought."""
        catalog = catalog_objects_of(await info.context.services.catalog.snapshot())
        return [CheckoutLineItem.of(item, catalog) for item in self.row.line_items or ()]

    @classmethod
    def of(cls, row: models.CheckoutSession, principal: Principal, *, created: bool = False) -> "CheckoutSession":
        """Make a session with what the caller may see.

        Args:
            row: the session.
            principal: the caller.
            created: whether the caller has just opened it.
        """
        is_open = row.status == "open"
        personal = owns(principal, row)
        return cls(
            owner=owner_of_session(row),
            row=row,
            id=strawberry.ID(row.id),
            status=CheckoutSessionStatus(row.status),
            payment_status=PaymentStatus(row.payment_status),
            mode=CheckoutMode(row.mode),
            url=row.url if is_open else None,
            client_secret=row.client_secret if is_open and (personal or created) else None,
            amount_subtotal=money.of(row.amount_subtotal, row.currency),
            amount_total=money.of(row.amount_total, row.currency),
            customer_email=row.customer_email if personal else None,
            created_at=row.created,
            expires_at=row.expires_at,
        )


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


@one_of_type
class PriceInput:
    """A price, by exactly one of its names."""

    id: strawberry.ID | None = strawberry.field(default=strawberry.UNSET, description="Its id, or the plan's.")
    lookup_key: str | None = strawberry.field(default=strawberry.UNSET, description="Its lookup key.")


@input_type
class CheckoutLineItemInput:
    """A price to buy, named once. There is no way to send an amount."""

    price: PriceInput | None = strawberry.field(default=None, description="The price.")
    price_id: strawberry.ID | None = strawberry.field(default=None, description="Its id.", deprecation_reason=SHORT)
    lookup_key: str | None = strawberry.field(default=None, description="Its lookup key.", deprecation_reason=SHORT)
    quantity: int = strawberry.field(default=1, description="The quantity; leave it out for a metered price.")
    adjustable_quantity: AdjustableQuantityInput | None = strawberry.field(
        default=None, description="Lets the buyer change the quantity on Stripe's page, such as the seats of a team."
    )

    def line(self) -> Line:
        """Return the line as the use case takes it, which refuses a price that is named twice or not at all."""
        range_ = self.adjustable_quantity
        bounds = (range_.minimum, range_.maximum) if range_ else None
        names = [self.price_id, self.lookup_key]
        short = names != [None, None]
        if self.price and short:
            names = ["", ""]
        elif self.price:
            names = [None if name is strawberry.UNSET else name for name in (self.price.id, self.price.lookup_key)]
        return Line(names[0], names[1], self.quantity, bounds, short)


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
        default=None, description="A promotion code that is already known, as buyers write it; no `coupon` then."
    )
    coupon: strawberry.ID | None = strawberry.field(
        default=None, description="A coupon that the application's own back end grants; nobody else may."
    )
    allow_promotion_codes: bool = strawberry.field(
        default=False,
        description="Whether the buyer may enter a promotion code; not where `promotionCode` or `coupon` is given.",
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
class CheckoutMutations:
    """What a buyer does at the checkout."""

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
