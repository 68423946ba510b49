"""The mirrored tables: what Stripe says, under Stripe's own ids and in Stripe's words.

`as_of`, `staleness_seconds` and `revision` let the database refuse a stale write (see `gateway/mirror/sync.py`).
Amounts are integers in the currency's minor unit, currencies are lower case as Stripe writes them, moments are UTC.
"""

from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlmodel import Field

from gateway.models.columns import Mirrored, Row, UtcDateTime, partial_index

EMPTY = {"server_default": "[]"}
"""Of a list that rows of an older release do not have."""


class Product(Mirrored, table=True):
    """What is sold (Stripe `product`).

    `entitlements` are the lookup keys of the features that it has by Stripe's entitlements, `entitlement_names` their
    names by these; None until they were read.
    """

    __tablename__ = "product"

    name: str
    description: str | None = None
    active: bool
    images: list[str] = Field(default_factory=list, sa_type=sa.JSON)
    features: list[str] = Field(default_factory=list, sa_type=sa.JSON)
    unit_label: str | None = None
    url: str | None = None
    default_price_id: str | None = None
    entitlements: list[str] | None = Field(default=None, sa_type=sa.JSON(none_as_null=True))
    entitlement_names: dict[str, str] | None = Field(default=None, sa_type=sa.JSON(none_as_null=True))
    meta: dict[str, str] = Field(default_factory=dict, sa_type=sa.JSON)
    created: datetime = Field(sa_type=UtcDateTime)
    updated: datetime = Field(sa_type=UtcDateTime)


class Price(Mirrored, table=True):
    """What it costs (Stripe `price`); a recurring price is what clients know as a plan.

    `tiers` is Stripe's list of tiers; `currency_options` maps a currency to Stripe's option object. Where the
    buyer chooses the amount (`custom_unit_amount`), `custom_amount_limits` is Stripe's object `custom_unit_amount`;
    None until the price was read by a release that keeps it.
    """

    __tablename__ = "price"

    product_id: str = Field(index=True)
    nickname: str | None = None
    lookup_key: str | None = Field(default=None, index=True)
    active: bool
    currency: str
    unit_amount: int | None = Field(default=None, sa_type=sa.BigInteger)
    unit_amount_decimal: str | None = None
    billing_scheme: str
    tiers_mode: str | None = None
    tiers: list[dict[str, Any]] = Field(default_factory=list, sa_type=sa.JSON)
    currency_options: dict[str, dict[str, Any]] = Field(default_factory=dict, sa_type=sa.JSON)
    tax_behavior: str | None = None
    transform_quantity: dict[str, Any] | None = Field(default=None, sa_type=sa.JSON(none_as_null=True))
    custom_unit_amount: bool = False
    custom_amount_limits: dict[str, int | None] | None = Field(default=None, sa_type=sa.JSON(none_as_null=True))
    interval: str | None = None
    interval_count: int | None = None
    usage_type: str | None = None
    meter: str | None = None
    trial_period_days: int | None = None
    meta: dict[str, str] = Field(default_factory=dict, sa_type=sa.JSON)
    created: datetime = Field(sa_type=UtcDateTime)


class Customer(Mirrored, table=True):
    """Who pays (Stripe `customer`).

    Three columns are the gateway's own. `external_id` is the application's own user or organisation; metadata at Stripe
    only fill it where nobody else has it (`billing/customers/owners.py`). `owned` says how many of each product were
    bought for life (`billing/credits/for_life.py`). `payer_unverified` says that the user has it
    by an e-mail address that whoever paid had typed without proof: its cards are not the user's
    (`billing/customers/cards.py`).
    """

    __tablename__ = "customer"
    __table_args__ = (sa.Index("ix_customer_page", "created", "id"),)

    external_id: str | None = Field(default=None, unique=True)
    email: str | None = Field(default=None, index=True)
    email_lower: str | None = Field(default=None, index=True)
    name: str | None = None
    currency: str | None = None
    default_payment_method_id: str | None = None
    delinquent: bool = False
    payer_unverified: bool = Field(default=False, sa_column_kwargs={"server_default": sa.text("false")})
    owned: dict[str, int] = Field(default_factory=dict, sa_type=sa.JSON, sa_column_kwargs={"server_default": "{}"})
    meta: dict[str, str] = Field(default_factory=dict, sa_type=sa.JSON)
    created: datetime = Field(sa_type=UtcDateTime)


class PaymentMethod(Mirrored, table=True):
    """How a customer pays (Stripe `payment_method`): never more of a card than Stripe itself shows."""

    __tablename__ = "payment_method"

    customer_id: str | None = Field(default=None, index=True)
    type: str
    brand: str | None = None
    last4: str | None = None
    exp_month: int | None = None
    exp_year: int | None = None
    created: datetime = Field(sa_type=UtcDateTime)


class CheckoutSession(Mirrored, table=True):
    """A checkout on Stripe's hosted page (Stripe `checkout.session`).

    Two columns are the gateway's own, written with the first state: `external_id`, the signed-in user whose it is, and
    `guest`, that it was opened for nobody, so that whoever knows its id may look. A session that something
    else has opened at Stripe has neither. `line_items` are Stripe's line items, kept from the first full read.
    """

    __tablename__ = "checkout_session"

    external_id: str | None = Field(default=None, index=True)
    guest: bool = Field(default=False, sa_column_kwargs={"server_default": sa.text("false")})
    customer_id: str | None = Field(default=None, index=True)
    customer_email: str | None = None
    mode: str
    ui_mode: str
    status: str
    payment_status: str
    url: str | None = Field(default=None, sa_type=sa.Text)
    client_secret: str | None = Field(default=None, sa_type=sa.Text)
    currency: str | None = None
    amount_subtotal: int | None = Field(default=None, sa_type=sa.BigInteger)
    amount_total: int | None = Field(default=None, sa_type=sa.BigInteger)
    subscription_id: str | None = Field(default=None, index=True)
    client_reference_id: str | None = Field(default=None, index=True)
    payment_link: str | None = None
    payment_intent_id: str | None = Field(default=None, index=True)
    invoice_id: str | None = None
    line_items: list[dict[str, Any]] | None = Field(default=None, sa_type=sa.JSON(none_as_null=True))
    amount_discount: int | None = Field(default=None, sa_type=sa.BigInteger)
    coupons: list[str] = Field(default_factory=list, sa_type=sa.JSON, sa_column_kwargs=EMPTY)
    meta: dict[str, str] = Field(default_factory=dict, sa_type=sa.JSON)
    created: datetime = Field(sa_type=UtcDateTime)
    expires_at: datetime = Field(sa_type=UtcDateTime)


OPEN_SUBSCRIPTIONS_PREDICATE = "status NOT IN ('canceled', 'incomplete_expired')"
"""Of a subscription. SQLite uses an index over a part of a table only for who names that part in these very words."""


class Subscription(Mirrored, table=True):
    """A subscription and how it stands (Stripe `subscription`). `canceled` and `incomplete_expired` are final.

    `pending_update` is a change that waits for its payment: when it `expires` (Unix seconds), and the `items` that it
    would leave, pairs of a price and its quantity.
    """

    __tablename__ = "subscription"
    __table_args__ = (  # the first finds the newest; what goes on is found among however many that have ended
        sa.Index("ix_subscription_page", "customer_id", "created"),
        partial_index("ix_subscription_open", "customer_id", where=OPEN_SUBSCRIPTIONS_PREDICATE),
    )

    customer_id: str
    status: str
    currency: str
    cancel_at_period_end: bool = False
    cancel_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    canceled_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    ended_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    trial_start: datetime | None = Field(default=None, sa_type=UtcDateTime)
    trial_end: datetime | None = Field(default=None, sa_type=UtcDateTime)
    pause_behavior: str | None = None
    pause_resumes_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    default_payment_method_id: str | None = None
    latest_invoice_id: str | None = None
    discounts: list[str] = Field(default_factory=list, sa_type=sa.JSON, sa_column_kwargs=EMPTY)
    pending_update: dict[str, Any] | None = Field(default=None, sa_type=sa.JSON(none_as_null=True))
    meta: dict[str, str] = Field(default_factory=dict, sa_type=sa.JSON)
    created: datetime = Field(sa_type=UtcDateTime)
    start_date: datetime = Field(sa_type=UtcDateTime)


class SubscriptionSchedule(Mirrored, table=True):
    """What is planned of a subscription (Stripe `subscription_schedule`).

    Each of `phases` has its `start` in Unix seconds, `items`, which are pairs of a price and its quantity, and whether
    it is `fixed`: planned by the seller, and not the customer's to undo. One without items is the subscription's end.
    """

    __tablename__ = "subscription_schedule"

    customer_id: str | None = Field(default=None, index=True)
    subscription_id: str | None = Field(default=None, index=True)
    status: str
    phases: list[dict[str, Any]] = Field(default_factory=list, sa_type=sa.JSON)


class SubscriptionItem(Row, table=True):
    """One price of a subscription. Written together with its subscription, under the subscription's `as_of`.

    `position` is its place in Stripe's list: items of one subscription can have the same `created`.
    """

    __tablename__ = "subscription_item"

    id: str = Field(primary_key=True)
    subscription_id: str = Field(index=True)
    price_id: str
    product_id: str
    quantity: int | None = Field(default=None, sa_type=sa.BigInteger)
    current_period_start: datetime = Field(sa_type=UtcDateTime)
    current_period_end: datetime = Field(sa_type=UtcDateTime)
    created: datetime = Field(sa_type=UtcDateTime)
    position: int = Field(default=0, sa_column_kwargs={"server_default": "0"})


class Invoice(Mirrored, table=True):
    """A bill (Stripe `invoice`). `lines` are reduced to what credits and people need: see `mirror/columns.py`.

    `discounts` are pairs of a discount and the amount that it took off.

    `service_end` is the end of the latest period that one of its lines is about. `first_failed_at` is a column of the
    gateway's own: the earliest `invoice.payment_failed` of this invoice, in whatever order those events came.
    """

    __tablename__ = "invoice"
    __table_args__ = (
        sa.Index("ix_invoice_page", "customer_id", "created", "id"),  # a page is read in its order
        sa.Index("ix_invoice_service", "customer_id", "service_end"),
    )

    customer_id: str | None = None
    subscription_id: str | None = Field(default=None, index=True)
    number: str | None = None
    status: str | None = None
    billing_reason: str | None = None
    currency: str
    subtotal: int = Field(sa_type=sa.BigInteger)
    tax: int = Field(sa_type=sa.BigInteger)
    total: int = Field(sa_type=sa.BigInteger)
    amount_due: int = Field(sa_type=sa.BigInteger)
    amount_paid: int = Field(sa_type=sa.BigInteger)
    amount_remaining: int = Field(sa_type=sa.BigInteger)
    attempt_count: int = 0
    next_payment_attempt: datetime | None = Field(default=None, sa_type=UtcDateTime)
    hosted_invoice_url: str | None = Field(default=None, sa_type=sa.Text)
    invoice_pdf: str | None = Field(default=None, sa_type=sa.Text)
    lines: list[dict[str, Any]] = Field(default_factory=list, sa_type=sa.JSON)
    discounts: list[list[Any]] = Field(default_factory=list, sa_type=sa.JSON, sa_column_kwargs=EMPTY)
    tax_lines: list[dict[str, Any]] = Field(default_factory=list, sa_type=sa.JSON, sa_column_kwargs=EMPTY)
    period_start: datetime = Field(sa_type=UtcDateTime)
    period_end: datetime = Field(sa_type=UtcDateTime)
    created: datetime = Field(sa_type=UtcDateTime, index=True)
    finalized_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    paid_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    voided_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    service_end: datetime | None = Field(default=None, sa_type=UtcDateTime)
    first_failed_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    collection_method: str | None = None
    due_date: datetime | None = Field(default=None, sa_type=UtcDateTime)


class Coupon(Mirrored, table=True):
    """What a discount takes off (Stripe `coupon`)."""

    __tablename__ = "coupon"

    name: str | None = None
    percent_off: float | None = Field(default=None, sa_type=sa.Float)
    amount_off: int | None = Field(default=None, sa_type=sa.BigInteger)
    currency: str | None = None
    duration: str
    duration_in_months: int | None = None


class Discount(Mirrored, table=True):
    """A coupon that somebody has (Stripe `discount`). Stripe never changes one, and reads none by its id.

    One that is over is known still, because invoices name it.
    """

    __tablename__ = "discount"

    customer_id: str | None = Field(default=None, index=True)
    coupon_id: str
    promotion_code_id: str | None = None
    starts: datetime | None = Field(default=None, sa_type=UtcDateTime)
    ends: datetime | None = Field(default=None, sa_type=UtcDateTime)


class PromotionCode(Mirrored, table=True):
    """What a buyer types to get a coupon (Stripe `promotion_code`).

    `active` is what Stripe said last: no event says that one has expired or is used up, and whether it may be used is
    asked at Stripe.
    """

    __tablename__ = "promotion_code"

    code: str = Field(index=True)
    coupon_id: str = Field(index=True)
    customer_id: str | None = None
    active: bool
    expires_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    max_redemptions: int | None = Field(default=None, sa_type=sa.BigInteger)
    first_time: bool
    minimum_amount: int | None = Field(default=None, sa_type=sa.BigInteger)
    minimum_currency: str | None = None
    created: datetime = Field(sa_type=UtcDateTime)


class InvoicePayment(Mirrored, table=True):
    """Which payment has paid an invoice (Stripe `invoice_payment`): the way from a charge to what it was for.

    `charge_id` is that of a charge without a payment intent. `amount_paid` is how much of the payment is for the
    invoice; None until it is paid, and where it was paid before the column was there.
    """

    __tablename__ = "invoice_payment"

    invoice_id: str = Field(index=True)
    payment_intent_id: str | None = Field(default=None, index=True)
    charge_id: str | None = Field(default=None, index=True)
    status: str
    amount_paid: int | None = Field(default=None, sa_type=sa.BigInteger)


class Charge(Mirrored, table=True):
    """A payment, as far as it can go back to the buyer (Stripe `charge`).

    `amount_refunded` is the sum of all refunds that did not fail. `invoice_id` is said by older API versions only.
    """

    __tablename__ = "charge"

    customer_id: str | None = Field(default=None, index=True)
    payment_intent_id: str | None = Field(default=None, index=True)
    invoice_id: str | None = Field(default=None, index=True)
    amount: int = Field(sa_type=sa.BigInteger)
    amount_captured: int = Field(sa_type=sa.BigInteger)
    amount_refunded: int = Field(sa_type=sa.BigInteger)
    currency: str
    status: str
    created: datetime | None = Field(default=None, sa_type=UtcDateTime)


class Refund(Mirrored, table=True):
    """One payment back to the buyer (Stripe `refund`).

    It is `pending` or `requires_action`, then `succeeded`, and may still fail after that. The money of all of them is
    the charge's `amount_refunded`; credits go by that.
    """

    __tablename__ = "refund"

    charge_id: str | None = Field(default=None, index=True)
    payment_intent_id: str | None = Field(default=None, index=True)
    amount: int = Field(sa_type=sa.BigInteger)
    currency: str
    status: str | None = None
    reason: str | None = None
    failure_reason: str | None = None
    created: datetime = Field(sa_type=UtcDateTime, index=True)


class Dispute(Mirrored, table=True):
    """A payment that the buyer's bank claims back (Stripe `dispute`)."""

    __tablename__ = "dispute"

    charge_id: str = Field(index=True)
    payment_intent_id: str | None = Field(default=None, index=True)
    amount: int = Field(sa_type=sa.BigInteger)
    currency: str
    reason: str
    status: str


class CreditNote(Mirrored, table=True):
    """What the seller takes off an invoice after it was finalized (Stripe `credit_note`).

    `refunded` is the part of `amount` that went back as refunds, which the charge tells as well.
    """

    __tablename__ = "credit_note"

    customer_id: str
    invoice_id: str = Field(index=True)
    amount: int = Field(sa_type=sa.BigInteger)
    refunded: int = Field(sa_type=sa.BigInteger)
    currency: str
    status: str


class Meter(Mirrored, table=True):
    """What counts usage (Stripe `billing.meter`). The keys are those of a meter event's payload."""

    __tablename__ = "meter"

    event_name: str = Field(index=True)
    display_name: str
    formula: str
    customer_key: str
    value_key: str
    status: str


class EntitlementSummary(Mirrored, table=True):
    """What a customer may use by Stripe's own entitlements (Stripe `entitlements.active_entitlement_summary`).

    Stripe gives the summary no id: here it has the customer's. `features` are the lookup keys of all active
    entitlements, sorted; one that is removed at Stripe is not among them any more.
    """

    __tablename__ = "entitlement_summary"

    features: list[str] = Field(default_factory=list, sa_type=sa.JSON)


MIRRORED: tuple[type[Mirrored], ...] = (
    Product,
    Price,
    Customer,
    PaymentMethod,
    CheckoutSession,
    Subscription,
    SubscriptionSchedule,
    Invoice,
    Coupon,
    Discount,
    PromotionCode,
    InvoicePayment,
    Charge,
    Refund,
    Dispute,
    CreditNote,
    Meter,
    EntitlementSummary,
)
