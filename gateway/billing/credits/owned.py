"""Make what customers own for life follow the mirror, as the credits do (`settlement.py`).

What was paid is owned, what went back in full is owned no more, and part of a payment that went back changes nothing.
"""

from collections.abc import Collection, Sequence

import sqlalchemy as sa

from gateway.billing.credits.purchases import Purchase
from gateway.db.notifications import publish
from gateway.db.tables import insert, table_for
from gateway.models.mirrored import Customer
from gateway.models.purchases import OwnedProduct
from gateway.outbound.access_watch import mark

CUSTOMERS, OWNED = table_for(Customer), table_for(OwnedProduct)


def settle(connection: sa.Connection, purchases: Sequence[Purchase]) -> None:
    """Write down what some purchases bring for life, and what of it went back.

    Args:
        connection: a transaction that holds the locks of these purchases.
        purchases: as the mirror has them now.
    """
    new = [
        {
            "id": line.id,
            "customer_id": purchase.customer_id,
            "purchase_id": purchase.id,
            "product_id": line.product_id,
            "quantity": line.quantity,
            "returned": False,
            "granted_at": purchase.paid_at,
        }
        for purchase in purchases
        for line in purchase.owned
    ]
    changed = {purchase.customer_id for purchase in purchases if purchase.owned}
    for row in new:
        connection.execute(insert(connection, OWNED).values(**row).on_conflict_do_nothing())
    for purchase in purchases:
        if purchase.owned or purchase.returned:
            gone = 0 < purchase.total <= purchase.returned
            these = OWNED.c.purchase_id == purchase.id, OWNED.c.returned != gone
            if connection.execute(sa.update(OWNED).where(*these).values(returned=gone)).rowcount:
                changed.add(purchase.customer_id)
    sum_up(connection, changed)


def on_new_customers(connection: sa.Connection, customer_ids: Collection[str]) -> None:
    """Write down what customers own whose purchases were told before they were."""
    if customer_ids:
        query = sa.select(OWNED.c.customer_id).where(OWNED.c.customer_id.in_(customer_ids))
        sum_up(connection, set(connection.execute(query).scalars()))


def sum_up(connection: sa.Connection, customer_ids: Collection[str]) -> None:
    """Write down with some customers what they own; of one who is not there yet it is written once he is."""
    for customer_id in sorted(customer_ids):
        this = CUSTOMERS.c.id == customer_id
        # another transaction that has added to it is waited for
        before = connection.execute(sa.select(CUSTOMERS.c.owned).where(this).with_for_update()).scalar()
        query = (
            sa.select(OWNED.c.product_id, sa.func.sum(OWNED.c.quantity))
            .where(OWNED.c.customer_id == customer_id, OWNED.c.returned.is_(False))
            .group_by(OWNED.c.product_id)
        )
        owned = {product_id: int(quantity) for product_id, quantity in connection.execute(query)}
        if before is not None and before != owned:
            connection.execute(sa.update(CUSTOMERS).where(this).values(owned=owned))
            publish(connection, f"customer:{customer_id}")
            mark(connection, [customer_id], [customer_id])
