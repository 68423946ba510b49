"""Properties of reported usage, and records that take others back."""

import sqlalchemy as sa
from alembic import op

revision = "0026"
down_revision = "0025"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the columns; a process of the release before writes neither."""
    op.add_column("usage_record", sa.Column("properties", sa.JSON(), nullable=True))
    op.add_column("usage_record", sa.Column("adjusts", sa.String(), nullable=True))


def downgrade() -> None:
    """Drop them."""
    with op.batch_alter_table("usage_record") as table:
        table.drop_column("adjusts")
        table.drop_column("properties")
