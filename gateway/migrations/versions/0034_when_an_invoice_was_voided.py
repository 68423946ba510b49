"""When an invoice was voided."""

import sqlalchemy as sa
from alembic import op

from gateway.models.columns import UtcDateTime

revision = "0034"
down_revision = "0033"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column; a process of the release before goes on beside it. It is filled when an invoice is read again."""
    op.add_column("invoice", sa.Column("voided_at", UtcDateTime(), nullable=True))


def downgrade() -> None:
    """Drop it."""
    with op.batch_alter_table("invoice") as table:
        table.drop_column("voided_at")
