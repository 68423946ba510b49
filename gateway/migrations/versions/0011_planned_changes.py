"""Schedules of subscriptions, which say what is planned."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the table; a process of the release before goes on beside it."""
    op.create_table(
        "subscription_schedule",
        sa.Column("id", sa.String(), primary_key=True),
        sa.Column("as_of", sa.BigInteger(), nullable=False),
        sa.Column("staleness_seconds", sa.Integer(), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("deleted", sa.Boolean(), nullable=False),
        sa.Column("customer_id", sa.String(), nullable=True),
        sa.Column("subscription_id", sa.String(), nullable=True),
        sa.Column("status", sa.String(), nullable=False),
        sa.Column("phases", sa.JSON(), nullable=False),
    )
    op.create_index("ix_subscription_schedule_subscription_id", "subscription_schedule", ["subscription_id"])


def downgrade() -> None:
    """Drop it."""
    op.drop_index("ix_subscription_schedule_subscription_id", "subscription_schedule")
    op.drop_table("subscription_schedule")
