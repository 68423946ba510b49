"""What is kept for some days is found by its age."""

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None

TABLES = ("checkout_intent", "usage_record", "outbox_message")
GUEST = sa.text("scope = 'guest'")


def upgrade() -> None:
    """Make indexes; that of guests' intents alone is no longer needed."""
    for table in TABLES:
        op.create_index(f"ix_{table}_created", table, ["created"])
    op.drop_index("ix_checkout_intent_guest", "checkout_intent")


def downgrade() -> None:
    """Go back."""
    op.create_index(
        "ix_checkout_intent_guest", "checkout_intent", ["created"], sqlite_where=GUEST, postgresql_where=GUEST
    )
    for table in TABLES:
        op.drop_index(f"ix_{table}_created", table)
