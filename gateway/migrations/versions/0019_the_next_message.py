"""An index by which the messages that are due are found in their order, however many wait."""

import sqlalchemy as sa
from alembic import op

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None

NAME, TABLE, COLUMNS = "ix_outbox_delivery_due", "outbox_delivery", ["status", "endpoint", "next_attempt_at"]
OPEN = sa.text("status IN ('pending', 'dead')")


def upgrade() -> None:
    """Have it know the order of those that are due at the same moment."""
    op.drop_index(NAME, TABLE)
    op.create_index(NAME, TABLE, [*COLUMNS, "id"], sqlite_where=OPEN)


def downgrade() -> None:
    """Put the old one back."""
    op.drop_index(NAME, TABLE)
    op.create_index(NAME, TABLE, COLUMNS, sqlite_where=OPEN)
