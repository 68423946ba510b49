"""Indexes that find a customer's subscriptions that count among however many have ended."""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

OPEN = sa.text("status NOT IN ('canceled', 'incomplete_expired')")


def upgrade() -> None:
    """Add them; what the index over the customer alone found, the first one finds."""
    op.create_index("ix_subscription_page", "subscription", ["customer_id", "created"])
    op.create_index("ix_subscription_open", "subscription", ["customer_id"], sqlite_where=OPEN, postgresql_where=OPEN)
    op.create_index("ix_invoice_service", "invoice", ["customer_id", "service_end"])
    op.drop_index("ix_subscription_customer_id", "subscription")


def downgrade() -> None:
    """Put the old one back."""
    op.create_index("ix_subscription_customer_id", "subscription", ["customer_id"])
    op.drop_index("ix_invoice_service", "invoice")
    op.drop_index("ix_subscription_open", "subscription")
    op.drop_index("ix_subscription_page", "subscription")
