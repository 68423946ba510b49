"""Credits follow the time that was paid for: a lot knows its full period's credits and whose debts it has paid."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the columns; a process of the release before goes on beside them."""
    op.add_column("credit_lot", sa.Column("units", sa.BigInteger(), nullable=True))
    op.add_column("credit_lot", sa.Column("debts", sa.JSON(), nullable=False, server_default="{}"))
    op.add_column("charge", sa.Column("created", sa.DateTime(timezone=True), nullable=True))


def downgrade() -> None:
    """Drop them."""
    with op.batch_alter_table("credit_lot") as table:
        table.drop_column("units")
        table.drop_column("debts")
    with op.batch_alter_table("charge") as table:
        table.drop_column("created")
