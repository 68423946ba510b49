"""Figures tell active and trialing subscriptions by month."""

from alembic import op

revision = "0032"
down_revision = "0031"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Have all customers reckoned anew by a running gateway."""
    op.execute("UPDATE customer_figures SET due = true")


def downgrade() -> None:
    """Have them reckoned anew by the rules of before."""
    op.execute("UPDATE customer_figures SET due = true")
