"""Discounts: coupons, who has them, and what they and the taxes come to on an invoice."""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None

_LISTS = (("subscription", "discounts"), ("invoice", "discounts"), ("invoice", "tax_lines"))


def _mirrored() -> list[sa.Column[Any]]:
    return [
        sa.Column("id", sa.String(), primary_key=True),
        sa.Column("as_of", sa.BigInteger(), nullable=False),
        sa.Column("staleness_seconds", sa.Integer(), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("deleted", sa.Boolean(), nullable=False),
    ]


def upgrade() -> None:
    """Add them; `gateway sync` fills what was there before."""
    op.create_table(
        "coupon",
        *_mirrored(),
        sa.Column("name", sa.String(), nullable=True),
        sa.Column("percent_off", sa.Float(), nullable=True),
        sa.Column("amount_off", sa.BigInteger(), nullable=True),
        sa.Column("currency", sa.String(), nullable=True),
        sa.Column("duration", sa.String(), nullable=False),
        sa.Column("duration_in_months", sa.Integer(), nullable=True),
    )
    op.create_table(
        "discount",
        *_mirrored(),
        sa.Column("customer_id", sa.String(), nullable=True),
        sa.Column("coupon_id", sa.String(), nullable=False),
        sa.Column("promotion_code_id", sa.String(), nullable=True),
        sa.Column("starts", sa.DateTime(timezone=True), nullable=True),
        sa.Column("ends", sa.DateTime(timezone=True), nullable=True),
    )
    op.create_index("ix_discount_customer_id", "discount", ["customer_id"])
    op.create_table(
        "retention_offer",
        sa.Column("subscription_id", sa.String(), primary_key=True),
        sa.Column("coupon_id", sa.String(), nullable=False),
        sa.Column("created", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("accepted_at", sa.DateTime(timezone=True), nullable=True),
    )
    for table, column in (*_LISTS, ("checkout_session", "coupons")):
        op.add_column(table, sa.Column(column, sa.JSON(), nullable=False, server_default="[]"))
    op.add_column("checkout_session", sa.Column("amount_discount", sa.BigInteger(), nullable=True))


def downgrade() -> None:
    """Drop them."""
    with op.batch_alter_table("checkout_session") as table:
        table.drop_column("amount_discount")
        table.drop_column("coupons")
    for name, column in reversed(_LISTS):
        with op.batch_alter_table(name) as table:
            table.drop_column(column)
    op.drop_table("retention_offer")
    op.drop_index("ix_discount_customer_id", "discount")
    op.drop_table("discount")
    op.drop_table("coupon")
