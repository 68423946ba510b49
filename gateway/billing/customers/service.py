"""The Stripe customer of a signed-in user: made once, whoever asks at the same moment, and found ever after."""

from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any

import sqlalchemy as sa
import structlog
from sqlalchemy.exc import IntegrityError
from sqlmodel import col, select

from gateway.auth.principal import Principal
from gateway.db.locks import user_lock
from gateway.db.notifications import publish
from gateway.db.rows import first_row
from gateway.db.tables import table_for
from gateway.errors import StripeFailure, StripeMissing
from gateway.mirror.sync import Mirror
from gateway.models.checkout import CustomerClaim
from gateway.models.mirrored import Customer
from gateway.settings import Settings
from gateway.stripe_api.client import Stripe

PATH = "/v1/customers"
CLAIMS, CUSTOMERS = table_for(CustomerClaim), table_for(Customer)

log = structlog.get_logger()


class Customers:
    """Finds and makes the customers of users.

    Args:
        settings: whether existing customers may be adopted.
        mirror: the copy of Stripe; the claims are in the same database.
        stripe: makes the customers.
    """

    def __init__(self, settings: Settings, mirror: Mirror, stripe: Stripe) -> None:
        self._settings = settings
        self._mirror = mirror
        self._database = mirror.database
        self._stripe = stripe

    async def of(self, external_id: str) -> Customer | None:
        """Return a user's present customer; None when there is none, or Stripe no longer has it."""
        query = select(Customer).where(Customer.external_id == external_id, col(Customer.deleted).is_(False))
        return await self._database.read(lambda connection: first_row(connection, query))

    async def is_deleted_at_stripe(self, id: str) -> bool:
        """Ask Stripe whether it still has a customer, and write down if not."""
        with suppress(StripeMissing):
            found = await self._mirror.refresh(self._stripe, "customer", id)
            return bool(found.get("deleted"))
        return True

    async def customer_for(self, principal: Principal) -> Customer:
        """Return a user's customer, which is made at Stripe if there is none yet, or it is known to be gone.

        Args:
            principal: a signed-in user.

        Raises:
            StripeUnavailable: Stripe cannot be reached; trying again goes on where this stopped.
        """
        subject = principal.subject or ""
        if known := await self.of(subject):
            return known
        async with user_lock(self._database, f"customer:{subject}"):
            if known := await self.of(subject):  # whoever had the turn before has made it
                return known
            claim = await self._claim(principal)
            if not await self._link_by_email(claim, principal):
                await self._create(claim)
        made = await self.of(subject)
        if made is None:
            raise StripeFailure("the customer that was just made is gone again; try again")
        return made

    async def _claim(self, principal: Principal) -> CustomerClaim:
        """Return the claim to fulfil: one that was left unfinished, or the next."""
        latest = (
            sa.select(CLAIMS)
            .where(CLAIMS.c.external_id == principal.subject)
            .order_by(CLAIMS.c.generation.desc())
            .limit(1)
        )

        def write(connection: sa.Connection) -> CustomerClaim:
            last = connection.execute(latest).mappings().first()
            if last is not None and last["customer_id"] is None:
                return CustomerClaim(**last)
            claim = CustomerClaim(
                external_id=principal.subject or "",
                generation=last["generation"] + 1 if last else 1,
                email=principal.email,
                created=datetime.now(UTC),
            )
            connection.execute(sa.insert(CLAIMS).values(claim.model_dump()))
            return claim

        return await self._database.transaction(write)

    async def _create(self, claim: CustomerClaim) -> None:
        """Make the customer. The key makes a repeated call give the same one (Stripe, "Idempotent requests")."""
        parameters: dict[str, Any] = {"metadata": {"external_id": claim.external_id}}
        if claim.email:
            parameters["email"] = claim.email
        answer = await self._stripe.post(
            PATH, idempotency_key=f"customer-{_digest(claim)}-{claim.generation}", **parameters
        )
        await self._mirror.store_answer(self._stripe, answer, _owning(claim, answer.object["id"]))

    async def _link_by_email(self, claim: CustomerClaim, principal: Principal) -> bool:
        """Take over the one customer with the user's verified e-mail, if it is nobody's; whether that was done."""
        wanted = self._settings.link_customers_by_email and principal.email_verified and principal.email
        if not wanted or claim.generation > 1:
            return False
        answer = await self._stripe.get(PATH, email=principal.email, limit=100)
        free = [found for found in answer.object["data"] if await self._is_free(found, claim)]
        if len(free) != 1 or answer.object["has_more"]:
            return False
        try:
            await self._mirror.store_page(answer, free, _owning(claim, free[0]["id"]))
        except IntegrityError:  # another user with the same e-mail was a moment faster
            return False
        await self._tag_with_external_id(free[0]["id"], claim)
        return True

    async def _is_free(self, found: dict[str, Any], claim: CustomerClaim) -> bool:
        """Return whether a customer belongs to nobody, neither here nor by what stands at Stripe."""
        if found["metadata"].get("external_id", claim.external_id) != claim.external_id:
            return False
        query = sa.select(CLAIMS.c.external_id).where(CLAIMS.c.customer_id == found["id"])
        return await self._database.read(lambda connection: connection.execute(query).first()) is None

    async def _tag_with_external_id(self, id: str, claim: CustomerClaim) -> None:
        """Let people see at Stripe whose it is. The database is what counts, so a failure is only logged."""
        try:
            answer = await self._stripe.post(
                f"{PATH}/{id}",
                idempotency_key=f"adopt-{id}-{_digest(claim)}",
                metadata={"external_id": claim.external_id},
            )
            await self._mirror.store_answer(self._stripe, answer)
        except StripeFailure as error:
            log.warning("customer.not_labelled", customer=id, error=str(error))


def _digest(claim: CustomerClaim) -> str:
    """Return the user's id in an idempotency key, which Stripe logs and shows."""
    return sha256(claim.external_id.encode()).hexdigest()[:32]


def _owning(claim: CustomerClaim, id: str) -> Callable[[sa.Connection], None]:
    """Write down whose customer it is, in the transaction that stores it."""

    def own(connection: sa.Connection) -> None:
        connection.execute(
            sa.update(CLAIMS)
            .where(CLAIMS.c.external_id == claim.external_id, CLAIMS.c.generation == claim.generation)
            .values(customer_id=id)
        )
        connection.execute(
            sa.update(CUSTOMERS).where(CUSTOMERS.c.external_id == claim.external_id).values(external_id=None)
        )
        connection.execute(sa.update(CUSTOMERS).where(CUSTOMERS.c.id == id).values(external_id=claim.external_id))
        publish(connection, f"user:{claim.external_id}")

    return own
