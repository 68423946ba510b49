"""Make Stripe what a file says, step by step; whoever is killed pushes again, and nothing is there twice.

Every step but one is a statement of how something is to be, or makes what Stripe has only once (a product's id, a
feature's lookup key, the name of a meter's events): it may be sent again under any key. A new price is the exception;
its idempotency key is derived from all that it says, and from the price that it replaces, so that two pushes at a time
make one.
"""

from collections.abc import AsyncIterator, Sequence
from hashlib import sha256
from typing import Any
from uuid import uuid4

import orjson
import sqlalchemy as sa

from gateway.billing.pricing.at_stripe import AtStripe
from gateway.billing.pricing.changes import Ref, Step
from gateway.db.database import Database
from gateway.db.tables import table_for
from gateway.mirror.resources import RESOURCES
from gateway.mirror.sync import Mirror
from gateway.models.mirrored import Subscription, SubscriptionItem
from gateway.models.statuses import FINAL
from gateway.stripe_api.client import Stripe

SUBSCRIPTIONS, ITEMS = table_for(Subscription), table_for(SubscriptionItem)


async def push(steps: Sequence[Step], known: AtStripe, stripe: Stripe, mirror: Mirror) -> AsyncIterator[Step]:
    """Carry the steps out in their order, and yield each once it is done.

    Raises:
        StripeRefused: Stripe will not do one of them; those before it are done.
        StripeUnavailable: Stripe cannot be reached.
    """
    made: dict[Ref, str] = {}
    for step in steps:
        path = "".join(_resolved(step.path, known, made))
        params = _resolved(step.params, known, made)
        if step.method == "delete":
            answer = await stripe.delete(path)
        else:
            content = orjson.dumps([path, params], option=orjson.OPT_SORT_KEYS)
            key = f"pricing-{sha256(content).hexdigest() if step.once else uuid4()}"
            answer = await stripe.post(path, idempotency_key=key, **params)
        if step.makes:
            made[step.makes] = answer.object["id"]
        kind, changed = ("product", step.product) if step.product else (answer.object["object"], answer.object["id"])
        if kind in RESOURCES:  # read whole: no answer has a price's tiers and currencies, or a product's features
            await mirror.refresh(stripe, kind, changed)
        yield step


def _resolved(value: Any, known: AtStripe, made: dict[Ref, str]) -> Any:
    """Return parameters with the ids of what they refer to."""
    if isinstance(value, Ref):
        if value in made:
            return made[value]
        named = {"meter": known.meters, "feature": known.features, "price": known.by_key()}[value.kind]
        return named[value.name]["id"]
    if isinstance(value, dict):
        return {name: _resolved(each, known, made) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [_resolved(each, known, made) for each in value]
    return value


async def count_bought(database: Database, bought: Sequence[tuple[str, str]]) -> dict[tuple[str, str], int]:
    """Count the subscriptions that go on, by what they have: each of `bought` is `price` or `product`, and its id."""

    def read(connection: sa.Connection) -> dict[tuple[str, str], int]:
        found = {}
        for kind, object_id in set(bought):
            column = ITEMS.c.price_id if kind == "price" else ITEMS.c.product_id
            query = (
                sa.select(sa.func.count(sa.distinct(ITEMS.c.subscription_id)))
                .join(SUBSCRIPTIONS, SUBSCRIPTIONS.c.id == ITEMS.c.subscription_id)
                .where(column == object_id, SUBSCRIPTIONS.c.status.not_in(FINAL), SUBSCRIPTIONS.c.deleted.is_(False))
            )
            found[kind, object_id] = connection.execute(query).scalar_one()
        return found

    return await database.read(read)
