"""Counters of features, and what is held for work under way."""

import sqlalchemy as sa
from alembic import op

from gateway.models.columns import UtcDateTime

revision = "0024"
down_revision = "0023"
branch_labels = None
depends_on = None

OPEN = sa.text("status = 'open'")


def upgrade() -> None:
    """Add the tables; a process of the release before goes on beside them, and counts nothing."""
    texts, moments = ("customer_id", "name", "subscription_id"), ("period_start", "period_end")
    op.create_table(
        "usage_counter",
        *(sa.Column(name, sa.String(), nullable=False) for name in texts),
        *(sa.Column(name, UtcDateTime(), nullable=False) for name in moments),
        sa.Column("used", sa.BigInteger(), nullable=False),
        sa.Column("alerted", sa.Integer(), nullable=False),
        sa.Column("alerted_of", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("customer_id", "name"),
    )
    op.create_table(
        "usage_hold",
        sa.Column("id", sa.String(), primary_key=True),
        *(sa.Column(name, sa.String(), nullable=False) for name in ("customer_id", "external_id", "feature", "name")),
        sa.Column("amount", sa.BigInteger(), nullable=False),
        sa.Column("actual", sa.BigInteger(), nullable=True),
        *(sa.Column(name, sa.String(), nullable=False) for name in ("status", "key", "fingerprint")),
        *(sa.Column(name, UtcDateTime(), nullable=False) for name in ("expires_at", "created")),
        sa.UniqueConstraint("customer_id", "key"),
    )
    op.create_index("ix_usage_hold_created", "usage_hold", ["created"])
    op.create_index(
        "ix_usage_hold_open", "usage_hold", ["customer_id", "name"], sqlite_where=OPEN, postgresql_where=OPEN
    )


def downgrade() -> None:
    """Drop them."""
    op.drop_table("usage_hold")
    op.drop_table("usage_counter")
