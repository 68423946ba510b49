"""Tables and columns have the field's standard names; open items are found by an index; guests' old intents go.

A process of the release before cannot run beside this one. Columns are renamed in place, on both databases: copying
the table of all events, as Alembic's batch mode would on SQLite, takes minutes where there are many.
"""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

TABLES = {"turn": "lease", "notice": "notification"}
COLUMNS = [
    ("event", "needs", "pending_fetches"),
    ("access_watch", "told", "last_notified"),
    ("access_watch", "look_at", "check_at"),
    ("checkout_intent", "offer", "parameters_digest"),
]
OPEN = sa.text("status IN ('pending', 'dead')")
PENDING = sa.text("status = 'pending'")
GUEST = sa.text("scope = 'guest'")


def upgrade() -> None:
    """Rename, and make the indexes anew."""
    for old, new in TABLES.items():
        op.rename_table(old, new)
    for table, old, new in [*COLUMNS, *((table, "as_of_lag", "staleness_seconds") for table in _mirrored("as_of_lag"))]:
        op.execute(f'ALTER TABLE "{table}" RENAME COLUMN {old} TO {new}')
    _replace("ix_access_watch_look_at", "ix_access_watch_check_at", "access_watch", ["check_at"])
    _replace("ix_usage_record_due", "ix_usage_record_open", "usage_record", ["status", "next_attempt_at"], OPEN)
    due = ["status", "endpoint", "next_attempt_at"]
    _replace(None, "ix_outbox_delivery_due", "outbox_delivery", due, OPEN)
    _replace(None, "ix_checkout_intent_guest", "checkout_intent", ["created"], GUEST)


def downgrade() -> None:
    """Go back."""
    op.drop_index("ix_checkout_intent_guest", "checkout_intent")
    op.drop_index("ix_outbox_delivery_due", "outbox_delivery")
    _replace("ix_usage_record_open", "ix_usage_record_due", "usage_record", ["next_attempt_at"], PENDING)
    _replace("ix_access_watch_check_at", "ix_access_watch_look_at", "access_watch", ["check_at"])
    columns = [*COLUMNS, *((table, "as_of_lag", "staleness_seconds") for table in _mirrored("staleness_seconds"))]
    for table, old, new in columns:
        op.execute(f'ALTER TABLE "{table}" RENAME COLUMN {new} TO {old}')
    for old, new in TABLES.items():
        op.rename_table(new, old)


def _mirrored(column: str) -> list[str]:
    """Return the tables with a column: those that mirror Stripe's objects."""
    inspector = sa.inspect(op.get_bind())
    tables = sorted(inspector.get_table_names())
    return [table for table in tables if column in {each["name"] for each in inspector.get_columns(table)}]


def _replace(old: str | None, new: str, table: str, columns: list[str], where: sa.TextClause | None = None) -> None:
    """Drop an index, and make one over rows of which the condition holds."""
    if old:
        op.drop_index(old, table)
    op.create_index(new, table, columns, sqlite_where=where, postgresql_where=where)
