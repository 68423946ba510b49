"""What tells whose a customer is: the e-mail without case, and what a checkout was told."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the columns; a process of the release before goes on beside them. Old checkouts name nobody."""
    op.add_column("customer", sa.Column("email_lower", sa.String(), nullable=True))
    op.create_index("ix_customer_email_lower", "customer", ["email_lower"])
    op.execute("UPDATE customer SET email_lower = lower(email)")
    op.add_column("checkout_session", sa.Column("client_reference_id", sa.String(), nullable=True))
    op.create_index("ix_checkout_session_client_reference_id", "checkout_session", ["client_reference_id"])
    op.add_column("checkout_session", sa.Column("payment_link", sa.String(), nullable=True))


def downgrade() -> None:
    """Drop them."""
    op.drop_index("ix_checkout_session_client_reference_id", "checkout_session")
    op.drop_index("ix_customer_email_lower", "customer")
    with op.batch_alter_table("checkout_session") as table:
        table.drop_column("payment_link")
        table.drop_column("client_reference_id")
    with op.batch_alter_table("customer") as table:
        table.drop_column("email_lower")
