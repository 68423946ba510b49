"""A customer's invoices are indexed in the order in which their pages are read."""

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Replace the index on the customer alone, which the new one serves as well."""
    op.create_index("ix_invoice_page", "invoice", ["customer_id", "created", "id"])
    op.drop_index("ix_invoice_customer_id", "invoice")


def downgrade() -> None:
    """Go back."""
    op.create_index("ix_invoice_customer_id", "invoice", ["customer_id"])
    op.drop_index("ix_invoice_page", "invoice")
