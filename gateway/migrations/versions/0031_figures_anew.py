"""Figures follow from other rules: changes within a period by their time, no inclusive tax, no metered plans."""

from alembic import op

revision = "0031"
down_revision = "0030"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Have all customers reckoned anew by a running gateway."""
    op.execute("UPDATE customer_figures SET due = true")


def downgrade() -> None:
    """Have them reckoned anew by the rules of before."""
    op.execute("UPDATE customer_figures SET due = true")
