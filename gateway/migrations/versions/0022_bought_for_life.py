"""What customers have bought for life, and the sum of it with each customer."""

import sqlalchemy as sa
from alembic import op

from gateway.models.columns import UtcDateTime

revision = "0022"
down_revision = "0021"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add them; nobody has bought anything for life yet."""
    op.create_table(
        "owned_product",
        sa.Column("id", sa.String(), primary_key=True),
        sa.Column("customer_id", sa.String(), nullable=False),
        sa.Column("purchase_id", sa.String(), nullable=False),
        sa.Column("product_id", sa.String(), nullable=False),
        sa.Column("quantity", sa.Integer(), nullable=False),
        sa.Column("returned", sa.Boolean(), nullable=False),
        sa.Column("granted_at", UtcDateTime(), nullable=False),
    )
    op.create_index("ix_owned_product_customer_id", "owned_product", ["customer_id"])
    op.create_index("ix_owned_product_purchase_id", "owned_product", ["purchase_id"])
    op.add_column("customer", sa.Column("owned", sa.JSON(), nullable=False, server_default="{}"))


def downgrade() -> None:
    """Take them away."""
    with op.batch_alter_table("customer") as table:
        table.drop_column("owned")
    op.drop_table("owned_product")
