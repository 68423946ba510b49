"""The inbox: every event received, and the queue of those that must still be applied."""

from datetime import datetime

import sqlalchemy as sa
from sqlmodel import Field

from gateway.models.columns import Row, UtcDateTime, partial_index

OPEN_EVENTS_PREDICATE = "status IN ('pending', 'failed', 'dead')"
"""Of an event. SQLite uses an index over a part of a table only for who names that part in these very words."""


class Event(Row, table=True):
    """The inbox: every event that Stripe sent, once, with what became of it.

    `status` is `pending` (recorded, still to be applied), `applied`, `stale` (recorded, an equal or newer state was
    there), `ignored` (not ours to apply; `outcome` says why), `failed` (will be retried at `next_attempt_at`) or `dead`
    (an operator decides). `pending_fetches` lists what must still be fetched from Stripe, as `kind:id`. `payload` is
    the body as Stripe sent it, so that a stored event stays replayable.
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
    pending_fetches: list[str] = Field(default_factory=list, sa_type=sa.JSON)
    attempts: int = 0
    next_attempt_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    last_error: str | None = Field(default=None, sa_type=sa.Text)
    received_at: datetime = Field(sa_type=UtcDateTime)
    processed_at: datetime | None = Field(default=None, sa_type=UtcDateTime)

    # Only what is not finished is looked for by its status: an index over the rest would cost every event.
    __table_args__ = (partial_index("ix_event_open", "status", "next_attempt_at", where=OPEN_EVENTS_PREDICATE),)
