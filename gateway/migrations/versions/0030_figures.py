"""What each customer adds to the figures of each month, and the sums."""

import sqlalchemy as sa
from alembic import op

revision = "0030"
down_revision = "0029"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the tables, which a process of the release before does not look at; a running gateway fills them."""
    op.create_table(
        "customer_figures",
        sa.Column("customer_id", sa.String(), primary_key=True),
        sa.Column("parts", sa.JSON(), nullable=False),
        sa.Column("revisions", sa.BigInteger(), nullable=False),
        sa.Column("due", sa.Boolean(), nullable=False),
    )
    due = sa.text("due")
    op.create_index(
        "ix_customer_figures_due", "customer_figures", ["customer_id"], sqlite_where=due, postgresql_where=due
    )
    op.create_table(
        "figure",
        sa.Column("month", sa.String(), primary_key=True),
        sa.Column("currency", sa.String(), primary_key=True),
        sa.Column("name", sa.String(), primary_key=True),
        sa.Column("amount", sa.BigInteger(), nullable=False),
        sa.Column("count", sa.BigInteger(), nullable=False),
    )


def downgrade() -> None:
    """Drop them."""
    op.drop_table("figure")
    op.drop_table("customer_figures")
