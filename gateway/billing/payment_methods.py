"""How customers pay, as the mirror knows it."""

from collections.abc import Collection, Sequence

from sqlmodel import col, select

from gateway.database import Database
from gateway.models import Customer, PaymentMethod, Subscription


async def of_customers(database: Database, customer_ids: Collection[str]) -> dict[str, list[PaymentMethod]]:
    """The payment methods that are attached to customers, each customer's newest first.

    Raises:
        DatabaseUnavailable: the database cannot be reached.
    """
    query = (
        select(PaymentMethod)
        .where(col(PaymentMethod.customer_id).in_(customer_ids), col(PaymentMethod.deleted).is_(False))
        .order_by(col(PaymentMethod.created).desc(), col(PaymentMethod.id).desc())
    )
    found: dict[str, list[PaymentMethod]] = {}
    async with database.read() as session:
        for method in (await session.exec(query)).all():
            found.setdefault(str(method.customer_id), []).append(method)
    return found


def default_of(
    customer: Customer, subscription: Subscription | None, methods: Sequence[PaymentMethod]
) -> PaymentMethod | None:
    """What the next invoice is charged to: the subscription's own, else the customer's default, else the newest.

    Source: Stripe, "Default payment methods for subscriptions". One that is not attached any more is passed over.
    """
    by_id = {method.id: method for method in methods}
    wanted = (subscription.default_payment_method_id if subscription else None, customer.default_payment_method_id)
    named = (by_id[each] for each in wanted if each in by_id)
    return next(named, methods[0] if methods else None)
