"""Customers that Stripe is asked to make, until it is known what became of them."""

import sqlalchemy as sa
from alembic import op

revision = "0027"
down_revision = "0026"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the mark; a process of the release before does not set it, and then nobody looks for what is left."""
    op.add_column("customer_claim", sa.Column("making", sa.Boolean(), nullable=False, server_default=sa.text("false")))
    op.create_index(
        "ix_customer_claim_making",
        "customer_claim",
        ["created"],
        sqlite_where=sa.text("making = 1"),
        postgresql_where=sa.text("making"),
    )


def downgrade() -> None:
    """Drop it."""
    op.drop_index("ix_customer_claim_making", "customer_claim")
    with op.batch_alter_table("customer_claim") as table:
        table.drop_column("making")
