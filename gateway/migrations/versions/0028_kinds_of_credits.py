"""Whose an account of credits of a kind with a name is."""

import sqlalchemy as sa
from alembic import op

revision = "0028"
down_revision = "0027"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column; a process of the release before neither reads nor writes accounts of kinds with a name."""
    op.add_column("credit_account", sa.Column("owner_id", sa.String(), nullable=True))
    op.create_index("ix_credit_account_owner_id", "credit_account", ["owner_id"])


def downgrade() -> None:
    """Drop it."""
    op.drop_index("ix_credit_account_owner_id", "credit_account")
    with op.batch_alter_table("credit_account") as table:
        table.drop_column("owner_id")
