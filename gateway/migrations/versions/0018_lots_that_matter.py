"""Indexes that find the lots of credits that matter among however many are used up."""

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None

INDEXES = {
    "ix_credit_lot_open": (
        ["customer_id", "expires_at", "granted_at", "id"],
        "granted - revoked - spent - expired <> 0",
    ),
    "ix_credit_lot_expiry": (["expires_at"], "granted - revoked - spent - expired > 0"),
    "ix_credit_lot_carrying": (["customer_id"], "CAST(debts AS TEXT) <> '{}'"),
}


def upgrade() -> None:
    """Add them, and one that finds the accounts whose time is ahead."""
    for name, (columns, condition) in INDEXES.items():
        where = sa.text(condition)
        op.create_index(name, "credit_lot", columns, sqlite_where=where, postgresql_where=where)
    op.create_index("ix_credit_account_clock", "credit_account", ["clock"])


def downgrade() -> None:
    """Drop them."""
    op.drop_index("ix_credit_account_clock", "credit_account")
    for name in INDEXES:
        op.drop_index(name, "credit_lot")
