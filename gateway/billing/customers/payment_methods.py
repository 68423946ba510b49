"""How customers pay, as the mirror knows it."""

from collections.abc import Collection, Sequence

import sqlalchemy as sa

from gateway.db.queries import PreparedQuery, in_json_array, json_array
from gateway.db.tables import table_for
from gateway.models.mirrored import Customer, PaymentMethod, Subscription

METHODS = table_for(PaymentMethod)
_ATTACHED = PreparedQuery(
    lambda dialect: (
        sa.select(METHODS)
        .where(in_json_array(dialect, METHODS.c.customer_id, "customers"), METHODS.c.deleted.is_(False))
        .order_by(METHODS.c.created.desc(), METHODS.c.id.desc())
    )
)


def of_customers(connection: sa.Connection, customer_ids: Collection[str]) -> dict[str, list[PaymentMethod]]:
    """Return the payment methods that are attached to customers, each customer's newest first."""
    found: dict[str, list[PaymentMethod]] = {}
    for method in _ATTACHED.rows(connection, customers=json_array(customer_ids)):
        found.setdefault(method.customer_id, []).append(method)
    return found


def default_of(
    customer: Customer, subscription: Subscription | None, methods: Sequence[PaymentMethod]
) -> PaymentMethod | None:
    """Return what the next invoice is charged to: the subscription's own, else the customer's default, else the newest.

    Source: Stripe, "Default payment methods for subscriptions". One that is not attached any more is passed over.
    """
    by_id = {method.id: method for method in methods}
    wanted = (subscription.default_payment_method_id if subscription else None, customer.default_payment_method_id)
    named = (by_id[each] for each in wanted if each in by_id)
    return next(named, methods[0] if methods else None)
