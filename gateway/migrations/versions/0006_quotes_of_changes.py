"""A quote of a change remembers the state that it was made from."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the table; a process of the release before goes on beside it."""
    op.create_table(
        "change_quote",
        sa.Column("subscription_id", sa.String(), primary_key=True),
        sa.Column("proration_date", sa.DateTime(timezone=True), primary_key=True),
        sa.Column("state", sa.String(), primary_key=True),
        sa.Column("created", sa.DateTime(timezone=True), nullable=False),
    )
    op.create_index("ix_change_quote_created", "change_quote", ["created"])


def downgrade() -> None:
    """Drop it."""
    op.drop_table("change_quote")
