"""The inbox has no index on the object: nothing but `gateway events list --object` looks for it, once in a while, and
every event would pay for it.
"""

from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Drop it."""
    op.drop_index("ix_event_object_id", "event")


def downgrade() -> None:
    """Go back."""
    op.create_index("ix_event_object_id", "event", ["object_id"])
