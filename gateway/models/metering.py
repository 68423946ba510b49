"""Usage on its way to Stripe's meters."""

from datetime import datetime

import sqlalchemy as sa
from sqlmodel import Field

from gateway.models.columns import OPEN_PREDICATE, Row, UtcDateTime, partial_index

OPEN_HOLD = "status = 'open'"
"""Of a hold that may still keep something. An index over it is used where a query repeats it literally."""


class UsageRecord(Row, table=True):
    """Usage that was reported or consumed, on its way to Stripe's meters where it is for one.

    `id` is the caller's identifier, which Stripe gets as well, or follows from the caller's key; `fingerprint` is a
    digest of what was asked under it. `status` is `pending` (due at `next_attempt_at`), `sent`, `dead` (Stripe refuses
    it; `last_error` says why), or `counted`: of a plain counter, whose name is in `event_name`, Stripe hears nothing.
    `properties` are the caller's, by which a meter can be read. A record that takes another back has that one's id in
    `adjusts`, and its value below zero.
    """

    __tablename__ = "usage_record"
    __table_args__ = (
        partial_index("ix_usage_record_open", "status", "next_attempt_at", where=OPEN_PREDICATE),
        sa.Index("ix_usage_record_sum", "customer_id", "event_name", "timestamp"),
        partial_index("ix_usage_record_dead", *("customer_id", "event_name", "timestamp"), where="status = 'dead'"),
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
    created: datetime = Field(sa_type=UtcDateTime, index=True)
    properties: dict[str, str] | None = Field(default=None, sa_type=sa.JSON(none_as_null=True))
    adjusts: str | None = None


class UsageTotal(Row, table=True):
    """What was reported in a period that somebody asked for, what Stripe refuses included.

    `value` is the sum of the records' values, `records` how many there are, less those that were taken back.
    """

    __tablename__ = "usage_total"

    customer_id: str = Field(primary_key=True)
    event_name: str = Field(primary_key=True)
    period_start: datetime = Field(primary_key=True, sa_type=UtcDateTime)
    period_end: datetime = Field(primary_key=True, sa_type=UtcDateTime)
    value: int = Field(sa_type=sa.BigInteger)
    records: int = Field(sa_type=sa.BigInteger)


class UsageCounter(Row, table=True):
    """How much of a feature, or of a meter, a customer has used in the present period; whoever adds to it locks it.

    `name` is a meter's event name, or `counter:` and the feature. `used` is the sum of the usage records of the period,
    kept with each of them. `alerted` is the highest threshold in percent that the application was told of, and
    `alerted_of` the limit then.
    """

    __tablename__ = "usage_counter"

    customer_id: str = Field(primary_key=True)
    name: str = Field(primary_key=True)
    subscription_id: str
    period_start: datetime = Field(sa_type=UtcDateTime)
    period_end: datetime = Field(sa_type=UtcDateTime)
    used: int = Field(sa_type=sa.BigInteger)
    alerted: int = Field(default=0)
    alerted_of: int = Field(default=0, sa_type=sa.BigInteger)


class UsageHold(Row, table=True):
    """An amount of a feature that is kept for work whose cost is not known yet.

    `name` is that of the counter; of credits `credits:`. `status` is `open` until it is `committed` (with `actual`) or
    `released`. An open one whose `expires_at` has come has lapsed, and keeps nothing any more; it is written down as
    `lapsed` by whoever gives its amount away first. `key` and `fingerprint` are the caller's, as of a usage record.
    """

    __tablename__ = "usage_hold"
    __table_args__ = (
        sa.UniqueConstraint("customer_id", "key"),
        partial_index("ix_usage_hold_open", *("customer_id", "name"), where=OPEN_HOLD),
    )

    id: str = Field(primary_key=True)
    customer_id: str
    external_id: str
    feature: str
    name: str
    amount: int = Field(sa_type=sa.BigInteger)
    actual: int | None = Field(default=None, sa_type=sa.BigInteger)
    status: str
    key: str
    fingerprint: str
    expires_at: datetime = Field(sa_type=UtcDateTime)
    created: datetime = Field(sa_type=UtcDateTime, index=True)


class UsageControl(Row, table=True):
    """What bounds a customer's use beside the plan.

    `alerts` are thresholds in percent (null for the settings'); `spend_cap` is in minor units of `currency`.
    """

    __tablename__ = "usage_control"

    customer_id: str = Field(primary_key=True)
    alerts: list[int] | None = Field(default=None, sa_type=sa.JSON(none_as_null=True))
    spend_cap: int | None = Field(default=None, sa_type=sa.BigInteger)
    currency: str | None = None
