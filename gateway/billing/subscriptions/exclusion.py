"""Which live subscription excludes a plan: plans of one group exclude each other, and a product excludes itself."""

from collections.abc import Collection, Mapping
from contextlib import AbstractAsyncContextManager

import sqlalchemy as sa

from gateway.billing.catalog.product_prices import group_of
from gateway.billing.catalog.snapshot import Snapshot
from gateway.billing.subscriptions.pending import PHASES, SCHEDULES, SUBSCRIPTIONS, has_begun
from gateway.billing.subscriptions.state import SubscriptionState
from gateway.billing.user_errors import Problem, ProblemCode
from gateway.db.clock import now
from gateway.db.database import Database
from gateway.db.locks import user_lock
from gateway.db.tables import table_for
from gateway.mirror.sync import Mirror
from gateway.models.mirrored import Price, SubscriptionItem
from gateway.models.statuses import OCCUPYING
from gateway.stripe_api.client import Stripe

ITEMS, PRICES = table_for(SubscriptionItem), table_for(Price)

_ALIVE = SUBSCRIPTIONS.c.customer_id == sa.bindparam("customer"), SUBSCRIPTIONS.c.status.in_(OCCUPYING)
_LIVE = (
    sa.select(ITEMS.c.product_id, SUBSCRIPTIONS.c.id)
    .join(SUBSCRIPTIONS, SUBSCRIPTIONS.c.id == ITEMS.c.subscription_id)
    .where(*_ALIVE, ITEMS.c.id.not_in(sa.bindparam("but", expanding=True)))
    .order_by(SUBSCRIPTIONS.c.created)
)
_PLANNED = sa.select(SUBSCRIPTIONS.c.id, PHASES).where(*_ALIVE, SUBSCRIPTIONS.c.id != sa.bindparam("replanned"))
_TO_COME = sa.select(SCHEDULES.c.id, SCHEDULES.c.phases).where(
    SCHEDULES.c.customer_id == sa.bindparam("customer"),
    SCHEDULES.c.status == "not_started",
    SCHEDULES.c.deleted.is_(False),
)


def owner_lock(database: Database, external_id: str) -> AbstractAsyncContextManager[None]:
    """Do one thing at a time to an owner's subscriptions, purchases and changes alike.

    What stands against a plan is read under the same lock under which the plan is bought or changed into: two tabs, or
    two machines, never both find that nothing does.

    Args:
        database: where the locks are.
        external_id: the user or the organisation.

    Raises:
        RateLimited: an earlier request of the same owner takes too long.
        StripeUnavailable: the block took too long.
    """
    return user_lock(database, f"owner:{external_id}")


def customer_lock(database: Database, customer_id: str) -> AbstractAsyncContextManager[None]:
    """Do one thing at a time to a customer that is no user's, for whom an operator acts; arguments and errors as above.

    An operator who gives it to a user holds this lock beside the user's, so that no two act by one lock each. A user
    who signs in takes up what is provably his without it: no reading waits for an operator.
    """
    return user_lock(database, f"customer:{customer_id}")


async def read_subscriptions(mirror: Mirror, stripe: Stripe, customer_id: str) -> None:
    """Bring a customer's subscriptions up to date: what is refused or sold next must not wait for a webhook.

    Raises:
        StripeMissing: Stripe knows no such customer.
        StripeUnavailable: Stripe cannot be reached.
    """
    params = {"customer": customer_id, "status": "all", "limit": 100}
    answer = await stripe.get("/v1/subscriptions", **params)
    while True:
        found = answer.object["data"]
        await mirror.refresh_all(stripe, await mirror.store_page(answer, found))
        if not answer.object["has_more"]:
            return
        answer = await stripe.get("/v1/subscriptions", **params, starting_after=found[-1]["id"])


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


def new_products(price_ids: Collection[str], present: SubscriptionState, snapshot: Snapshot) -> list[str]:
    """Return the products of some prices that a subscription does not have, if the catalogue knows them. Pure."""
    own, known = {item.product_id for item in present.items}, map(snapshot.prices.get, price_ids)
    return sorted({each.product_id for each in known if each and each.product_id in snapshot.products} - own)


async def stands_against(
    database: Database, products: Collection[str], present: SubscriptionState, snapshot: Snapshot
) -> Problem | None:
    """Return that another subscription excludes what is to come back to one, of which that was set aside.

    Args:
        database: the mirror.
        products: what comes back.
        present: the subscription.
        snapshot: says of which group a product is.
    """
    row = present.subscription
    held = await held_products(database, row.customer_id, [item.id for item in present.items], row.id)
    standing = next((found for each in products if (found := excluded_by(each, held, snapshot))), None)
    if standing is None:
        return None
    message = (
        f"a plan comes back that another one excludes, which was bought meanwhile ({standing}): end that one first"
    )
    return Problem(ProblemCode.ALREADY_SUBSCRIBED, message, "subscriptionId")


async def held_products(
    database: Database, customer_id: str, but: Collection[str] = (), replanned: str | None = None
) -> dict[str, str]:
    """Return the products of a customer's live subscriptions, each with the id of its subscription.

    What a subscription will have by a change that is planned counts as well: else a plan of the same group, bought
    meanwhile, would stand beside it from then on. So does what a schedule of the seller's begins later, which has no
    subscription yet: it has the schedule's id.

    Args:
        database: the mirror.
        customer_id: whose.
        but: items that do not count.
        replanned: a subscription whose plans for later do not count.
    """
    given = {"customer": customer_id, "but": [*but], "replanned": replanned or ""}

    def read(connection: sa.Connection) -> dict[str, str]:
        held: dict[str, str] = dict(connection.execute(_LIVE, given).all())
        later = {
            price: subscription_id
            for query in (_TO_COME, _PLANNED)
            for subscription_id, phases in connection.execute(query, given)
            for phase in phases or ()
            if not has_begun(phase, now(connection))
            for price, _ in phase["items"]
        }
        if later:
            products = sa.select(PRICES.c.id, PRICES.c.product_id).where(PRICES.c.id.in_(later))
            held = {product: later[price] for price, product in connection.execute(products)} | held
        return held

    return await database.read(read)
