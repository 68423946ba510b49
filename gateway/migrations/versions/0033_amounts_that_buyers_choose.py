"""Between which amounts the buyer of a price chooses."""

import sqlalchemy as sa
from alembic import op

revision = "0033"
down_revision = "0032"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column; a process of the release before goes on beside it. It is filled when a price is read again."""
    op.add_column("price", sa.Column("custom_amount_limits", sa.JSON(), nullable=True))


def downgrade() -> None:
    """Drop it."""
    with op.batch_alter_table("price") as table:
        table.drop_column("custom_amount_limits")
