"""Running sums of usage, and an index over what Stripe refuses."""

import sqlalchemy as sa
from alembic import op

from gateway.models.columns import UtcDateTime

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None

DEAD = sa.text("status = 'dead'")


def upgrade() -> None:
    """Add them; a period is summed up when somebody asks for it."""
    keys = ("customer_id", sa.String()), ("event_name", sa.String())
    moments = ("period_start", UtcDateTime()), ("period_end", UtcDateTime())
    op.create_table(
        "usage_total",
        *(sa.Column(name, kind, nullable=False) for name, kind in (*keys, *moments)),
        sa.Column("value", sa.BigInteger(), nullable=False),
        sa.Column("records", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("customer_id", "event_name", "period_start", "period_end"),
    )
    columns = ["customer_id", "event_name", "timestamp"]
    op.create_index("ix_usage_record_dead", "usage_record", columns, sqlite_where=DEAD, postgresql_where=DEAD)


def downgrade() -> None:
    """Drop them."""
    op.drop_index("ix_usage_record_dead", "usage_record")
    op.drop_table("usage_total")
