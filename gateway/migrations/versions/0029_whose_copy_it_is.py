"""Whose copy the mirror is; refunds and promotion codes."""

import sqlalchemy as sa
from alembic import op

revision = "0029"
down_revision = "0028"
branch_labels = None
depends_on = None


def _mirrored() -> list[sa.Column[object]]:
    return [
        sa.Column("id", sa.String(), primary_key=True),
        sa.Column("as_of", sa.BigInteger(), nullable=False),
        sa.Column("staleness_seconds", sa.Integer(), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("deleted", sa.Boolean(), nullable=False),
    ]


def upgrade() -> None:
    """Add the tables, which a process of the release before does not look at."""
    moment = sa.DateTime(timezone=True)
    op.create_table(
        "stripe_account",
        sa.Column("only", sa.Integer(), primary_key=True),
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("livemode", sa.Boolean(), nullable=False),
        sa.Column("seen_at", moment, nullable=False),
    )
    op.create_table(
        "refund",
        *_mirrored(),
        sa.Column("charge_id", sa.String(), nullable=True),
        sa.Column("payment_intent_id", sa.String(), nullable=True),
        sa.Column("amount", sa.BigInteger(), nullable=False),
        sa.Column("currency", sa.String(), nullable=False),
        sa.Column("status", sa.String(), nullable=True),
        sa.Column("reason", sa.String(), nullable=True),
        sa.Column("failure_reason", sa.String(), nullable=True),
        sa.Column("created", moment, nullable=False),
    )
    for name in ("charge_id", "payment_intent_id", "created"):
        op.create_index(f"ix_refund_{name}", "refund", [name])
    op.create_table(
        "promotion_code",
        *_mirrored(),
        sa.Column("code", sa.String(), nullable=False),
        sa.Column("coupon_id", sa.String(), nullable=False),
        sa.Column("customer_id", sa.String(), nullable=True),
        sa.Column("active", sa.Boolean(), nullable=False),
        sa.Column("expires_at", moment, nullable=True),
        sa.Column("max_redemptions", sa.BigInteger(), nullable=True),
        sa.Column("first_time", sa.Boolean(), nullable=False),
        sa.Column("minimum_amount", sa.BigInteger(), nullable=True),
        sa.Column("minimum_currency", sa.String(), nullable=True),
        sa.Column("created", moment, nullable=False),
    )
    for name in ("code", "coupon_id"):
        op.create_index(f"ix_promotion_code_{name}", "promotion_code", [name])


def downgrade() -> None:
    """Drop them."""
    for table in ("promotion_code", "refund", "stripe_account"):
        op.drop_table(table)
