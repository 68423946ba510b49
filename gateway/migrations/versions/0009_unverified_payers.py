"""Customers that were taken up by an e-mail address which their payer had typed: the cards are not the user's."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column; a process of the release before goes on beside it. Whoever has a customer keeps its cards."""
    column: sa.Column[bool] = sa.Column(
        "payer_unverified", sa.Boolean(), nullable=False, server_default=sa.text("false")
    )
    op.add_column("customer", column)


def downgrade() -> None:
    """Drop it."""
    with op.batch_alter_table("customer") as table:
        table.drop_column("payer_unverified")
