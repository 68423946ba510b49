"""The names of the features that products have by Stripe's entitlements."""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add them; they are read with the features."""
    op.add_column("product", sa.Column("entitlement_names", sa.JSON(), nullable=True))


def downgrade() -> None:
    """Take them away."""
    with op.batch_alter_table("product") as table:
        table.drop_column("entitlement_names")
