"""What tells until when a subscription is paid, and the order of its items.

`invoice.service_end` becomes the end of the latest period of any line: a line that gives unused time back matters too.
"""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

INVOICES = sa.table(
    "invoice",
    sa.column("id", sa.String),
    sa.column("lines", sa.JSON),
    sa.column("service_end", sa.DateTime(timezone=True)),
)


def upgrade() -> None:
    """Add the columns, and reckon the end of service anew; a process of the release before goes on beside them."""
    op.add_column("invoice", sa.Column("collection_method", sa.String(), nullable=True))
    op.add_column("invoice", sa.Column("due_date", sa.DateTime(timezone=True), nullable=True))
    op.add_column("subscription_item", sa.Column("position", sa.Integer(), nullable=False, server_default="0"))
    # A row without it is looked at whatever the time is, so the next event of the invoice may fill it in again.
    connection = op.get_bind()
    rows = connection.execute(sa.select(INVOICES.c.id, INVOICES.c.lines)).all()
    back = [row.id for row in rows if any(line["amount"] <= 0 for line in row.lines or ())]
    for start in range(0, len(back), 500):
        some = INVOICES.c.id.in_(back[start : start + 500])
        connection.execute(sa.update(INVOICES).where(some).values(service_end=None))


def downgrade() -> None:
    """Drop them."""
    with op.batch_alter_table("subscription_item") as table:
        table.drop_column("position")
    with op.batch_alter_table("invoice") as table:
        table.drop_column("due_date")
        table.drop_column("collection_method")
