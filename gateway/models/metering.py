"""Usage on its way to Stripe's meters."""

from datetime import datetime

import sqlalchemy as sa
from sqlmodel import Field

from gateway.models.columns import OPEN_PREDICATE, Row, UtcDateTime


class UsageRecord(Row, table=True):
    """Usage that was reported, on its way to Stripe's meters.

    `id` is the caller's identifier, which Stripe gets as well; `fingerprint` a digest of what was reported under it.
    `status` is `pending` (due at `next_attempt_at`), `sent`, or `dead` (Stripe refuses it; `last_error` says why).
    """

    __tablename__ = "usage_record"
    __table_args__ = (
        sa.Index("ix_usage_record_open", "status", "next_attempt_at", sqlite_where=sa.text(OPEN_PREDICATE)),
        sa.Index("ix_usage_record_sum", "customer_id", "event_name", "timestamp"),
        sa.Index(
            "ix_usage_record_dead",
            *("customer_id", "event_name", "timestamp"),
            sqlite_where=sa.text("status = 'dead'"),
        ),
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


class UsageTotal(Row, table=True):
    """What was reported in a period that somebody asked for, what Stripe refuses included.

    `value` is the sum of the records' values, `records` how many there are.
    """

    __tablename__ = "usage_total"

    customer_id: str = Field(primary_key=True)
    event_name: str = Field(primary_key=True)
    period_start: datetime = Field(primary_key=True, sa_type=UtcDateTime)
    period_end: datetime = Field(primary_key=True, sa_type=UtcDateTime)
    value: int = Field(sa_type=sa.BigInteger)
    records: int = Field(sa_type=sa.BigInteger)
