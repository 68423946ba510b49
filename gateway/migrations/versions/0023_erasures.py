"""Whose data was erased is remembered, because Stripe still brings some of it."""

import sqlalchemy as sa
from alembic import op

revision = "0023"
down_revision = "0022"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the table; a process of the release before goes on beside it."""
    op.create_table(
        "erasure",
        sa.Column("customer_id", sa.String(), primary_key=True),
        sa.Column("rows", sa.Boolean(), nullable=False),
        sa.Column("asked_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("scanned_at", sa.DateTime(timezone=True), nullable=True),
    )


def downgrade() -> None:
    """Drop it."""
    op.drop_table("erasure")
