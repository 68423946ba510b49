"""How much of a payment has paid an invoice, and by which charge where there is no payment intent."""

import sqlalchemy as sa
from alembic import op

revision = "0035"
down_revision = "0034"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the columns; a process of the release before goes on beside it. They are filled by the next payments."""
    op.add_column("invoice_payment", sa.Column("amount_paid", sa.BigInteger(), nullable=True))
    op.add_column("invoice_payment", sa.Column("charge_id", sa.String(), nullable=True))
    op.create_index("ix_invoice_payment_charge_id", "invoice_payment", ["charge_id"])


def downgrade() -> None:
    """Drop them."""
    with op.batch_alter_table("invoice_payment") as table:
        table.drop_index("ix_invoice_payment_charge_id")
        table.drop_column("charge_id")
        table.drop_column("amount_paid")
