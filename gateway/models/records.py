"""The tables of the gateway's own books: what is appended here is never changed by what Stripe says later.

Beside `gateway/models/mirrored.py`, which holds the copy of what Stripe says. Columns only, no logic.
"""

from datetime import datetime

import sqlalchemy as sa
from sqlmodel import Field

from gateway.models.mirrored import Row, UtcDateTime

PENDING: sa.ColumnElement[str] = sa.literal_column("'pending'")
"""In a condition that SQLite is to find by an index over what is pending: for a parameter it looks at every row."""


class CreditAccount(Row, table=True):
    """The credits of one customer: the row that everybody who changes them locks first.

    `balance` is the sum of the entries. `clock` is the latest moment at which anything was granted, on Stripe's clock:
    time is at least that late, also where a test clock runs ahead of ours.
    """

    __tablename__ = "credit_account"

    customer_id: str = Field(primary_key=True)
    balance: int = Field(default=0, sa_type=sa.BigInteger)
    clock: datetime = Field(sa_type=UtcDateTime)


class CreditLot(Row, table=True):
    """The credits that one line of a purchase has brought, and where they are now.

    The id is that of the invoice line or of the checkout's line item: a line grants once, however often and by
    whichever events it is told. `granted` is fixed then; `revoked`, `spent` and `expired` are the sums of the
    entries about it.
    """

    __tablename__ = "credit_lot"

    id: str = Field(primary_key=True)
    customer_id: str = Field(index=True)
    purchase_id: str = Field(index=True)
    granted: int = Field(sa_type=sa.BigInteger)
    revoked: int = Field(default=0, sa_type=sa.BigInteger)
    spent: int = Field(default=0, sa_type=sa.BigInteger)
    expired: int = Field(default=0, sa_type=sa.BigInteger)
    granted_at: datetime = Field(sa_type=UtcDateTime)
    expires_at: datetime | None = Field(default=None, sa_type=UtcDateTime)


class CreditEntry(Row, table=True):
    """One line of the credit ledger, which only grows.

    `kind` is `grant`, `revoke`, `restore`, `spend` or `expire`; `amount` is signed; `balance` is the account's after
    it. `key` and `fingerprint` belong to a spend: the caller's idempotency key and a digest of what was asked under it.
    `parts` says how much of a spend came from which lot.
    """

    __tablename__ = "credit_entry"
    __table_args__ = (sa.UniqueConstraint("customer_id", "key"),)

    id: int | None = Field(default=None, primary_key=True)
    customer_id: str = Field(index=True)
    kind: str
    amount: int = Field(sa_type=sa.BigInteger)
    balance: int = Field(sa_type=sa.BigInteger)
    lot_id: str | None = None
    purchase_id: str | None = None
    key: str | None = None
    fingerprint: str | None = None
    reason: str | None = None
    parts: dict[str, int] = Field(default_factory=dict, sa_type=sa.JSON)
    meta: dict[str, str] = Field(default_factory=dict, sa_type=sa.JSON)
    created: datetime = Field(sa_type=UtcDateTime)


class UsageRecord(Row, table=True):
    """Usage that was reported, on its way to Stripe's meters.

    `id` is the caller's identifier, which Stripe gets as well; `fingerprint` a digest of what was reported under it.
    `status` is `pending` (due at `next_attempt_at`), `sent`, or `dead` (Stripe refuses it; `last_error` says why).
    """

    __tablename__ = "usage_record"
    __table_args__ = (
        sa.Index("ix_usage_record_due", "next_attempt_at", sqlite_where=sa.text("status = 'pending'")),
        sa.Index("ix_usage_record_sum", "customer_id", "event_name", "timestamp"),
    )

    id: str = Field(primary_key=True)
    customer_id: str
    event_name: str
    value: int = Field(sa_type=sa.BigInteger)
    timestamp: datetime = Field(sa_type=UtcDateTime)
    fingerprint: str
    status: str
    attempts: int = 0
    next_attempt_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    last_error: str | None = Field(default=None, sa_type=sa.Text)
    created: datetime = Field(sa_type=UtcDateTime)


class OutboxMessage(Row, table=True):
    """Something that the application is told, written in the transaction of the change itself.

    `message_id` is the `webhook-id` that the receiver sees; `payload` the body, the same with every try. Messages of
    one customer are told in the order of their `id`.
    """

    __tablename__ = "outbox_message"

    id: int | None = Field(default=None, primary_key=True)
    message_id: str = Field(unique=True)
    customer_id: str = Field(index=True)
    type: str
    payload: str = Field(sa_type=sa.Text)
    created: datetime = Field(sa_type=UtcDateTime)


class OutboxDelivery(Row, table=True):
    """A message on its way to one endpoint: `pending` (due at `next_attempt_at`), `delivered`, or `dead` (given up)."""

    __tablename__ = "outbox_delivery"
    __table_args__ = (
        sa.Index(
            "ix_outbox_delivery_open",
            "endpoint",
            "customer_id",
            "id",
            sqlite_where=sa.text("status = 'pending'"),
        ),
    )

    id: int = Field(primary_key=True)
    endpoint: str = Field(primary_key=True)
    customer_id: str
    status: str
    attempts: int = 0
    next_attempt_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    last_error: str | None = Field(default=None, sa_type=sa.Text)


class OutboxState(Row, table=True):
    """What the application was last told about an object, so that only what is new is told."""

    __tablename__ = "outbox_state"

    id: str = Field(primary_key=True)
    state: str


class AccessWatch(Row, table=True):
    """Whose access is told to the application, and when to look at it again.

    `told` is the decision that was told last (empty for a refusal), null when nobody has looked yet. `look_at` is now
    when something was written about the customer, else the next moment at which time alone may change the decision;
    null when there is none.
    """

    __tablename__ = "access_watch"

    customer_id: str = Field(primary_key=True)
    told: str | None = None
    look_at: datetime | None = Field(default=None, sa_type=UtcDateTime, index=True)
