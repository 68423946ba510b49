"""What Stripe is told of a user's customer, however it was found: whose it is, and the user's address."""

from hashlib import sha256
from typing import Any

import sqlalchemy as sa
import structlog
from sqlmodel import col

from gateway.auth.principal import Principal
from gateway.db.database import Database
from gateway.db.rows import first_row
from gateway.db.tables import table_for
from gateway.errors import StripeFailure
from gateway.mirror.sync import Mirror
from gateway.models.checkout import CustomerClaim
from gateway.models.mirrored import Customer
from gateway.stripe_api.client import Stripe

PATH = "/v1/customers"
CLAIMS = table_for(CustomerClaim)

log = structlog.get_logger()


async def tell(mirror: Mirror, stripe: Stripe, principal: Principal, customer: Customer, email: str | None) -> None:
    """Tell Stripe what it does not know yet; whoever calls it holds the user's lock (`owner_lock`).

    The database is what counts, so a failure is only logged; the next checkout, portal or change tries again.

    Args:
        mirror: stores the answer.
        stripe: is told.
        principal: the user.
        customer: the user's.
        email: the address that Stripe is to have, if one is known.
    """
    changes, email = await untold(mirror.database, principal, customer, email)
    if changes:
        key = sha256(f"{customer.id} {customer.revision} {changes}".encode()).hexdigest()
        try:
            answer = await stripe.post(f"{PATH}/{customer.id}", idempotency_key=f"tell-{key}", **changes)
            await mirror.store_answer(stripe, answer)
        except StripeFailure as error:
            log.warning("customer.not_told", customer=customer.id, error=str(error))
            return
    if email is not None:
        this = sa.update(CLAIMS).where(CLAIMS.c.customer_id == customer.id).values(email=email)
        await mirror.database.transaction(lambda connection: connection.execute(this).rowcount)


async def untold(
    database: Database, principal: Principal, customer: Customer, email: str | None
) -> tuple[dict[str, Any], str | None]:
    """Return what Stripe is not told yet, and the address that is to be written down as told."""
    own = col(CustomerClaim.customer_id) == customer.id
    claim = await database.read(lambda connection: first_row(connection, CustomerClaim, own))
    known = claim.email if claim else None
    changes: dict[str, Any] = {}
    if customer.meta.get("external_id") != principal.subject:
        changes["metadata"] = {"external_id": principal.subject}
    if email is not None and email != known and (known or principal.is_service or not customer.email):
        changes["email"] = email
    return changes, email if claim is not None and email != known else None
