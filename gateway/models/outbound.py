"""The outbox of the application's webhooks, and the watch on access that feeds it."""

from datetime import datetime

import sqlalchemy as sa
from sqlmodel import Field

from gateway.models.columns import OPEN_PREDICATE, Row, UtcDateTime, partial_index


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
    created: datetime = Field(sa_type=UtcDateTime, index=True)


class OutboxDelivery(Row, table=True):
    """A message on its way to one endpoint: `pending` (due at `next_attempt_at`), `delivered`, or `dead` (given up).

    One that waits for an earlier one of its customer is due in the year 9999.
    """

    __tablename__ = "outbox_delivery"
    __table_args__ = (
        partial_index("ix_outbox_delivery_open", "endpoint", "customer_id", "id", where="status = 'pending'"),
        partial_index("ix_outbox_delivery_due", *("status", "endpoint", "next_attempt_at", "id"), where=OPEN_PREDICATE),
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

    `last_notified` is the decision that was told last (empty for a refusal), null when nobody has looked yet.
    `check_at` is now when something was written about the customer, else the next moment at which time alone may change
    the decision; null when there is none.
    """

    __tablename__ = "access_watch"

    customer_id: str = Field(primary_key=True)
    last_notified: str | None = None
    check_at: datetime | None = Field(default=None, sa_type=UtcDateTime, index=True)
