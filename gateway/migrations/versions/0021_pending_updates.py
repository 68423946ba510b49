"""Changes of subscriptions that wait for their payment."""

import sqlalchemy as sa
from alembic import op

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add them; none waits for longer than a day."""
    op.add_column("subscription", sa.Column("pending_update", sa.JSON(), nullable=True))


def downgrade() -> None:
    """Drop them."""
    with op.batch_alter_table("subscription") as table:
        table.drop_column("pending_update")
