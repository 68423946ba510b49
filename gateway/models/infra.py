"""What passes between processes, and where a long task stands."""

from datetime import datetime

import sqlalchemy as sa
from sqlmodel import Field

from gateway.models.columns import Row, UtcDateTime


class Lease(Row, table=True):
    """Who may do something that calls Stripe for one user (`gateway/db/locks.py`).

    A row is a lease: it is held by `holder` until `until`, whatever becomes of its process.
    """

    __tablename__ = "lease"

    name: str = Field(primary_key=True)
    holder: str
    until: datetime = Field(sa_type=UtcDateTime)


class Notification(Row, table=True):
    """What changed, for the other processes on one SQLite file (PostgreSQL has NOTIFY): the latest thousand.

    `origin` is the process that wrote it; `topics` are those of `gateway/db/notifications.py`. No `id` comes again: the
    first migration makes it AUTOINCREMENT.
    """

    __tablename__ = "notification"

    id: int | None = Field(default=None, primary_key=True)
    origin: str
    topics: list[str] = Field(sa_type=sa.JSON)


class CatalogVersion(Row, table=True):
    """One row that grows by one with every change of a product or a price; a snapshot of another version is stale."""

    __tablename__ = "catalog_version"

    id: int = Field(primary_key=True)
    version: int = Field(sa_type=sa.BigInteger)
    changed_at: datetime = Field(sa_type=UtcDateTime)


class CatalogChange(Row, table=True):
    """The rows that a version of the catalogue changed: the latest thousand versions or more."""

    __tablename__ = "catalog_change"

    version: int = Field(primary_key=True, sa_type=sa.BigInteger, sa_column_kwargs={"autoincrement": False})
    products: list[str] = Field(sa_type=sa.JSON)
    prices: list[str] = Field(sa_type=sa.JSON)


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


class StripeAccount(Row, table=True):
    """Whose copy this database is: the one row that there may be (`only` is 1)."""

    __tablename__ = "stripe_account"

    only: int = Field(default=1, primary_key=True)
    id: str
    livemode: bool
    seen_at: datetime = Field(sa_type=UtcDateTime)
