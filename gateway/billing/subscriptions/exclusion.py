"""Which live subscription excludes a plan: plans of one group exclude each other, and a product excludes itself."""

from collections.abc import Collection, Mapping

import sqlalchemy as sa
from sqlmodel import col, select

from gateway.billing.catalog.snapshot import Snapshot, group_of
from gateway.db.database import Database
from gateway.models.mirrored import Subscription, SubscriptionItem
from gateway.models.statuses import OCCUPYING


def excluded_by(product_id: str, held: Mapping[str, str], snapshot: Snapshot) -> str | None:
    """Return the subscription that excludes a plan of a product; None where none does. Pure.

    Args:
        product_id: the product, which the catalogue has.
        held: the products of live subscriptions, each with the id of its subscription.
        snapshot: says of which group a product is.
    """
    group = group_of(snapshot.products[product_id])
    if product_id in held or group is None:
        return held.get(product_id)
    kin = (found for other, found in held.items() if (of := snapshot.products.get(other)) and group_of(of) == group)
    return next(kin, None)


async def held_products(database: Database, customer_id: str, but: Collection[str] = ()) -> dict[str, str]:
    """Return the products of a customer's live subscriptions, each with the id of its subscription.

    Args:
        database: the mirror.
        customer_id: whose.
        but: items that do not count.
    """
    live = (
        select(SubscriptionItem.product_id, Subscription.id)
        .join(Subscription, col(Subscription.id) == SubscriptionItem.subscription_id)
        .where(Subscription.customer_id == customer_id, col(Subscription.status).in_(OCCUPYING))
        .where(col(SubscriptionItem.id).not_in(but))
        .order_by(col(Subscription.created))
    )

    def read(connection: sa.Connection) -> dict[str, str]:
        return dict(connection.execute(live).all())

    return await database.read(read)
