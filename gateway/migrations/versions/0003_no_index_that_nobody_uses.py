"""Indexes that nobody looks into are dropped: every event would pay for them.

Only `gateway events list --object` looks for the events of an object, once in a while; and the items of a subscription
are found by the subscription, never by what was bought.
"""

from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

UNUSED = {
    "ix_event_object_id": ("event", "object_id"),
    "ix_subscription_item_price_id": ("subscription_item", "price_id"),
    "ix_subscription_item_product_id": ("subscription_item", "product_id"),
}


def upgrade() -> None:
    """Drop them."""
    for name, (table, _) in UNUSED.items():
        op.drop_index(name, table)


def downgrade() -> None:
    """Go back."""
    for name, (table, column) in UNUSED.items():
        op.create_index(name, table, [column])
