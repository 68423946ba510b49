"""Cards that are not the user's, though the customer is: of whoever paid with an e-mail address that nobody had proved.

An e-mail address says for whom a purchase is, and not whose card has paid it. So a customer that a user has by the
address of a guest's checkout, or of a payment link, brings the purchase: its card goes on paying what it was given for.
The user does not see it, and has nothing else charged to it: no change of the plan, no period that a resumption
begins, nothing that starts without a card, no checkout, and the portal opens without it, which is the user's way to a
card of his own.
"""

from functools import partial

import sqlalchemy as sa

from gateway.db.tables import table_for
from gateway.errors import StripeMissing, StripeRefused
from gateway.mirror.mapping import Json
from gateway.mirror.sync import Mirror
from gateway.models.mirrored import CheckoutSession, Customer
from gateway.stripe_api.client import Stripe

CUSTOMERS, SESSIONS = table_for(Customer), table_for(CheckoutSession)
PATH = "/v1/payment_methods"
NOT_ATTACHED = "payment_method_unexpected_state"


async def withhold(mirror: Mirror, stripe: Stripe, customer_id: str) -> None:
    """Have Stripe's checkout not offer them again. Source: Stripe API, `payment_method.allow_redisplay`.

    Raises:
        StripeUnavailable: Stripe cannot be reached.
    """
    for method in await _foreign(mirror, stripe, customer_id):
        if method["allow_redisplay"] != "limited":
            key = f"withhold-{method['id']}"
            await stripe.post(f"{PATH}/{method['id']}", idempotency_key=key, allow_redisplay="limited")


async def detach(mirror: Mirror, stripe: Stripe, customer_id: str) -> None:
    """Take them off the customer; from then on what is there is the user's.

    Raises:
        StripeUnavailable: Stripe cannot be reached; the same may be done again.
    """
    for method in await _foreign(mirror, stripe, customer_id):
        try:
            key = f"detach-{method['id']}"
            await mirror.store_answer(stripe, await stripe.post(f"{PATH}/{method['id']}/detach", idempotency_key=key))
        except StripeMissing:
            continue
        except StripeRefused as error:
            if error.stripe_code != NOT_ATTACHED:
                raise
    theirs = sa.update(CUSTOMERS).where(CUSTOMERS.c.id == customer_id).values(payer_unverified=False)
    await mirror.database.transaction(lambda connection: connection.execute(theirs).rowcount)


async def _foreign(mirror: Mirror, stripe: Stripe, customer_id: str) -> list[Json]:
    """Return the payment methods that are no younger than the user's own first checkout, by Stripe's clock."""
    first = await mirror.database.read(partial(_first_checkout, customer_id=customer_id))
    path, found = f"/v1/customers/{customer_id}/payment_methods", []
    answer = await stripe.get(path, limit=100)
    while True:
        found += answer.object["data"]
        if not answer.object["has_more"]:
            return [method for method in found if first is None or method["created"] <= first]
        answer = await stripe.get(path, limit=100, starting_after=found[-1]["id"])


def _first_checkout(connection: sa.Connection, customer_id: str) -> float | None:
    query = sa.select(sa.func.min(SESSIONS.c.created)).where(
        SESSIONS.c.customer_id == customer_id, SESSIONS.c.external_id.is_not(None)
    )
    found = connection.execute(query).scalar()
    return found.timestamp() if found else None
