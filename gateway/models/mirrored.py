"""Every table of the gateway: columns only, no logic.

The mirrored tables hold what Stripe says, under Stripe's own ids and in Stripe's words; `as_of`, `as_of_lag` and
`revision` are what lets the database refuse a stale write (see `gateway/mirror/sync.py`). Amounts are integers in the
currency's minor unit, currencies are lower case as Stripe writes them, moments are UTC.

One long file on purpose: there is nothing in it to follow, only to look up.
"""

from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Dialect
from sqlmodel import Field, SQLModel


class UtcDateTime(sa.TypeDecorator[datetime]):
    """A moment in UTC. SQLite gives naive datetimes back; here every value that leaves the database is aware.

    Raises:
        ValueError: when a naive datetime is written, because its moment would be a guess.
    """

    impl = sa.DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Refuse naive values and write UTC."""
        del dialect
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"a naive datetime ({value}) has no moment; give it a timezone")
        return value if value.tzinfo is UTC else value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Give UTC back."""
        del dialect
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class Row(SQLModel):
    """A row of any table. Nothing is validated by these classes: their validators (1 MB) are built if asked for."""

    model_config = {"defer_build": True}


class Mirrored(Row):
    """What every mirrored object carries so that arrival order never decides its state.

    `as_of` is a moment on Stripe's clock in whole Unix seconds: the `created` of the event that was applied, or the
    `Date` of the response that was fetched. The state may have been read up to `as_of_lag` seconds before it (0 for an
    event, the duration of the call for a fetch). `revision` grows with every write. `deleted` is final.
    """

    id: str = Field(primary_key=True)
    as_of: int = Field(sa_type=sa.BigInteger)
    as_of_lag: int = Field(default=0)
    revision: int = Field(default=1)
    deleted: bool = Field(default=False)


class Product(Mirrored, table=True):
    """What is sold (Stripe `product`)."""

    __tablename__ = "product"

    name: str
    description: str | None = None
    active: bool
    images: list[str] = Field(default_factory=list, sa_type=sa.JSON)
    features: list[str] = Field(default_factory=list, sa_type=sa.JSON)
    unit_label: str | None = None
    url: str | None = None
    default_price_id: str | None = None
    meta: dict[str, str] = Field(default_factory=dict, sa_type=sa.JSON)
    created: datetime = Field(sa_type=UtcDateTime)
    updated: datetime = Field(sa_type=UtcDateTime)


class Price(Mirrored, table=True):
    """What it costs (Stripe `price`); a recurring price is what clients know as a plan.

    `tiers` is Stripe's list of tiers; `currency_options` maps a currency to Stripe's option object.
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
    interval: str | None = None
    interval_count: int | None = None
    usage_type: str | None = None
    meter: str | None = None
    trial_period_days: int | None = None
    meta: dict[str, str] = Field(default_factory=dict, sa_type=sa.JSON)
    created: datetime = Field(sa_type=UtcDateTime)


class Customer(Mirrored, table=True):
    """Who pays (Stripe `customer`).

    `external_id` is the application's own user or organisation. It is the gateway's column: nothing that Stripe sends
    writes it, so nobody can take over a customer by way of metadata.
    """

    __tablename__ = "customer"

    external_id: str | None = Field(default=None, unique=True)
    email: str | None = Field(default=None, index=True)
    name: str | None = None
    currency: str | None = None
    default_payment_method_id: str | None = None
    delinquent: bool = False
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
    payment_intent_id: str | None = Field(default=None, index=True)
    invoice_id: str | None = None
    line_items: list[dict[str, Any]] | None = Field(default=None, sa_type=sa.JSON(none_as_null=True))
    meta: dict[str, str] = Field(default_factory=dict, sa_type=sa.JSON)
    created: datetime = Field(sa_type=UtcDateTime)
    expires_at: datetime = Field(sa_type=UtcDateTime)


class CheckoutIntent(Row, table=True):
    """A checkout that somebody asked for, written before Stripe is called.

    `scope` is who asked (`guest` or the external id), `key` the client's idempotency key, `fingerprint` a digest of
    everything that was asked, `offer` one of what Stripe was asked for it: a signed-in user's open session is given
    again for the same offer. The primary key is also the idempotency key that Stripe gets.
    """

    __tablename__ = "checkout_intent"
    __table_args__ = (sa.UniqueConstraint("scope", "key"),)

    id: str = Field(primary_key=True)
    scope: str
    key: str
    fingerprint: str
    offer: str | None = None
    session_id: str | None = Field(default=None, index=True)
    created: datetime = Field(sa_type=UtcDateTime)


class CustomerClaim(Row, table=True):
    """A customer that a user needs, written before Stripe is asked for it, and kept as the user's history.

    The last `generation` of an `external_id` is the present one; a new one begins when Stripe no longer knows the
    customer. `email` is fixed here, so that a repeated call asks Stripe for the same. `customer_id` is null until
    Stripe has answered; unique, so that no two users ever share a customer.
    """

    __tablename__ = "customer_claim"

    external_id: str = Field(primary_key=True)
    generation: int = Field(primary_key=True)
    email: str | None = None
    customer_id: str | None = Field(default=None, unique=True)
    created: datetime = Field(sa_type=UtcDateTime)


class Turn(Row, table=True):
    """Whose turn it is to do something that calls Stripe for one user (`gateway/db/locks.py`).

    A row is a lease: it is held by `holder` until `until`, whatever becomes of its process.
    """

    __tablename__ = "turn"

    name: str = Field(primary_key=True)
    holder: str
    until: datetime = Field(sa_type=UtcDateTime)


class Subscription(Mirrored, table=True):
    """A subscription and how it stands (Stripe `subscription`). `canceled` and `incomplete_expired` are final."""

    __tablename__ = "subscription"

    customer_id: str = Field(index=True)
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
    meta: dict[str, str] = Field(default_factory=dict, sa_type=sa.JSON)
    created: datetime = Field(sa_type=UtcDateTime)
    start_date: datetime = Field(sa_type=UtcDateTime)


class SubscriptionItem(Row, table=True):
    """One price of a subscription. Written together with its subscription, under the subscription's `as_of`."""

    __tablename__ = "subscription_item"

    id: str = Field(primary_key=True)
    subscription_id: str = Field(index=True)
    price_id: str
    product_id: str
    quantity: int | None = Field(default=None, sa_type=sa.BigInteger)
    current_period_start: datetime = Field(sa_type=UtcDateTime)
    current_period_end: datetime = Field(sa_type=UtcDateTime)
    created: datetime = Field(sa_type=UtcDateTime)


class Invoice(Mirrored, table=True):
    """A bill (Stripe `invoice`). `lines` are reduced to what credits and people need: see `mirror/columns.py`.

    `service_end` is the end of the latest period that it charges for. `first_failed_at` is a column of the gateway's
    own: the earliest `invoice.payment_failed` of this invoice, in whatever order those events came.
    """

    __tablename__ = "invoice"
    __table_args__ = (sa.Index("ix_invoice_page", "customer_id", "created", "id"),)  # a page is read in its order

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
    period_start: datetime = Field(sa_type=UtcDateTime)
    period_end: datetime = Field(sa_type=UtcDateTime)
    created: datetime = Field(sa_type=UtcDateTime, index=True)
    finalized_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    paid_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    service_end: datetime | None = Field(default=None, sa_type=UtcDateTime)
    first_failed_at: datetime | None = Field(default=None, sa_type=UtcDateTime)


class InvoicePayment(Mirrored, table=True):
    """Which payment has paid an invoice (Stripe `invoice_payment`): the way from a charge to what it was for."""

    __tablename__ = "invoice_payment"

    invoice_id: str = Field(index=True)
    payment_intent_id: str | None = Field(default=None, index=True)
    status: str


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


class Dispute(Mirrored, table=True):
    """A payment that the buyer's bank claims back (Stripe `dispute`)."""

    __tablename__ = "dispute"

    charge_id: str = Field(index=True)
    payment_intent_id: str | None = Field(default=None, index=True)
    amount: int = Field(sa_type=sa.BigInteger)
    currency: str
    reason: str
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


UNFINISHED = "status IN ('pending', 'failed', 'dead')"
"""Of an event. SQLite uses an index over a part of a table only for who names that part in these very words."""


class Event(Row, table=True):
    """The inbox: every event that Stripe sent, once, with what became of it.

    `status` is `pending` (recorded, still to be applied), `applied`, `stale` (recorded, an equal or newer state was
    there), `ignored` (not ours to apply; `outcome` says why), `failed` (will be retried at `next_attempt_at`) or `dead`
    (an operator decides). `needs` lists what must still be fetched from Stripe, as `kind:id`. `payload` is the body as
    Stripe sent it, so that a stored event stays replayable.
    """

    __tablename__ = "event"

    id: str = Field(primary_key=True)
    type: str
    api_version: str | None = None
    account: str | None = None
    livemode: bool
    created: datetime = Field(sa_type=UtcDateTime, index=True)
    object_id: str | None = None
    payload: str = Field(sa_type=sa.Text)
    source: str
    status: str
    outcome: str | None = None
    needs: list[str] = Field(default_factory=list, sa_type=sa.JSON)
    attempts: int = 0
    next_attempt_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    last_error: str | None = Field(default=None, sa_type=sa.Text)
    received_at: datetime = Field(sa_type=UtcDateTime)
    processed_at: datetime | None = Field(default=None, sa_type=UtcDateTime)

    # Only what is not finished is looked for by its status: an index over the rest would cost every event.
    __table_args__ = (
        # PostgreSQL's condition is the same, see migrations/env.py
        sa.Index("ix_event_open", "status", "next_attempt_at", sqlite_where=sa.text(UNFINISHED)),
    )


class SyncState(Row, table=True):
    """How far `gateway sync` came with one resource, so that it resumes after a kill.

    `cursor` is the last id that was stored in a run that has not finished; `completed_at` the end of the last full run.
    """

    __tablename__ = "sync_state"

    resource: str = Field(primary_key=True)
    cursor: str | None = None
    count: int = 0
    started_at: datetime = Field(sa_type=UtcDateTime)
    completed_at: datetime | None = Field(default=None, sa_type=UtcDateTime)


class WebhookSecretUse(Row, table=True):
    """When each signing secret, by its label, last proved a delivery (kept to about a minute): rotation asks for it."""

    __tablename__ = "webhook_secret_use"

    label: str = Field(primary_key=True)
    last_used_at: datetime = Field(sa_type=UtcDateTime)


class Notice(Row, table=True):
    """What changed, for the other processes on one SQLite file (PostgreSQL has NOTIFY): the latest thousand.

    `origin` is the process that wrote it; `topics` are those of `gateway/db/notifications.py`.
    """

    __tablename__ = "notice"
    __table_args__ = ({"sqlite_autoincrement": True},)

    id: int | None = Field(default=None, primary_key=True)
    origin: str
    topics: list[str] = Field(sa_type=sa.JSON)


class CatalogVersion(Row, table=True):
    """One row that grows by one with every change of a product or a price; a snapshot of another version is stale."""

    __tablename__ = "catalog_version"

    id: int = Field(primary_key=True)
    version: int = Field(sa_type=sa.BigInteger)
    changed_at: datetime = Field(sa_type=UtcDateTime)


@lru_cache(1024)  # of one object, and of one storm, many moments are the same
def utc(seconds: int | None) -> datetime | None:
    """Stripe's Unix seconds as an aware UTC datetime; None stays None."""
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC)


MIRRORED: tuple[type[Mirrored], ...] = (
    Product,
    Price,
    Customer,
    PaymentMethod,
    CheckoutSession,
    Subscription,
    Invoice,
    InvoicePayment,
    Charge,
    Dispute,
    Meter,
    EntitlementSummary,
)
