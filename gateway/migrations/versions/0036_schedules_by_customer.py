"""Find what is planned for a customer who has no subscription yet."""

from alembic import op

revision = "0036"
down_revision = "0035"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the index."""
    op.create_index("ix_subscription_schedule_customer_id", "subscription_schedule", ["customer_id"])


def downgrade() -> None:
    """Drop it."""
    op.drop_index("ix_subscription_schedule_customer_id", "subscription_schedule")
