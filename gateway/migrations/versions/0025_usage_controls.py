"""What bounds a customer's use beside the plan."""

import sqlalchemy as sa
from alembic import op

revision = "0025"
down_revision = "0024"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the table; a process of the release before goes on beside it, and minds no cap."""
    op.create_table(
        "usage_control",
        sa.Column("customer_id", sa.String(), primary_key=True),
        sa.Column("alerts", sa.JSON(), nullable=True),
        sa.Column("spend_cap", sa.BigInteger(), nullable=True),
        sa.Column("currency", sa.String(), nullable=True),
    )


def downgrade() -> None:
    """Drop it."""
    op.drop_table("usage_control")
