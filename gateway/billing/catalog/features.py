"""Which products' features at Stripe must be read again.

Stripe tells nobody that a product got a feature or lost one (its list of event types has none about product features).
What it tells is what a customer may use now. So a product's features are read when a customer with entitlements takes
it, and again when his entitlements are not those of his products.
"""

from collections.abc import Collection

import sqlalchemy as sa

from gateway.db.tables import table_for
from gateway.models.mirrored import EntitlementSummary, Product, Subscription, SubscriptionItem

SUMMARIES, PRODUCTS = table_for(EntitlementSummary), table_for(Product)
SUBSCRIPTIONS, ITEMS = table_for(Subscription), table_for(SubscriptionItem)
GIVING = ("active", "trialing", "past_due")
"""Statuses in which Stripe may give a subscription's entitlements."""


def unread(connection: sa.Connection, customer_id: str, product_ids: Collection[str]) -> list[str]:
    """Return which of some products a customer with entitlements has taken before their features were read."""
    entitled = sa.exists().where(SUMMARIES.c.id == customer_id)
    query = sa.select(PRODUCTS.c.id, PRODUCTS.c.entitlements).where(PRODUCTS.c.id.in_(product_ids), entitled)
    return sorted(row.id for row in connection.execute(query) if row.entitlements is None)


def unexplained(connection: sa.Connection, customer_id: str, features: Collection[str], *, whole: bool) -> list[str]:
    """Return the products of a customer's subscriptions, if what is known of them is not what Stripe gives him.

    Args:
        connection: what is read with.
        customer_id: the customer.
        features: the lookup keys of his entitlements.
        whole: whether these are all of them.
    """
    query = (
        sa.select(PRODUCTS.c.id, PRODUCTS.c.entitlements)
        .join(ITEMS, ITEMS.c.product_id == PRODUCTS.c.id)
        .join(SUBSCRIPTIONS, SUBSCRIPTIONS.c.id == ITEMS.c.subscription_id)
        .where(SUBSCRIPTIONS.c.customer_id == customer_id, SUBSCRIPTIONS.c.status.in_(GIVING))
        .where(SUBSCRIPTIONS.c.deleted.is_(False))
    )
    rows = connection.execute(query).all()
    known = {feature for row in rows for feature in row.entitlements or ()}
    explained = known == {*features} if whole else known >= {*features}
    if explained and all(row.entitlements is not None for row in rows):
        return []
    return sorted({row.id for row in rows})
