"""The Stripe customer of a signed-in user: found, taken up or made once, whoever asks at the same moment."""

import asyncio
from contextlib import suppress
from functools import partial
from hashlib import sha256
from typing import Any

import sqlalchemy as sa
import structlog
from sqlalchemy.exc import IntegrityError

from gateway.auth.principal import Principal
from gateway.billing.customers import cards, linking, profile
from gateway.billing.customers.linking import Ambiguous, Candidate, Proof
from gateway.billing.customers.profile import PATH
from gateway.billing.subscriptions.exclusion import owner_lock
from gateway.billing.user_errors import Problem, ProblemCode, Rejected
from gateway.db.tables import table_for
from gateway.errors import BadInput, GatewayError, KeyReused, RateLimited, StripeFailure, StripeMissing
from gateway.mirror.sync import Mirror
from gateway.models.checkout import CustomerClaim
from gateway.models.mirrored import Customer
from gateway.settings import Settings
from gateway.stripe_api.client import Stripe, StripeResponse

LEFTOVER_SECONDS = 600.0
"""Between two looks for leftovers; Stripe remembers a key for a day."""
CUSTOMERS = table_for(Customer)
_OF = sa.select(CUSTOMERS).where(CUSTOMERS.c.external_id == sa.bindparam("owner"), CUSTOMERS.c.deleted.is_(False))

log = structlog.get_logger()


class Customers:
    """Finds and makes the customers of users.

    Args:
        settings: what proves whose an existing customer is.
        mirror: the copy of Stripe, and the claims beside it.
        stripe: makes the customers.
        leftover_seconds: how long it rests between two looks for leftovers.
    """

    def __init__(
        self, settings: Settings, mirror: Mirror, stripe: Stripe, *, leftover_seconds: float = LEFTOVER_SECONDS
    ) -> None:
        self._settings = settings
        self._mirror = mirror
        self._database = mirror.database
        self._stripe = stripe
        self._leftover_seconds = leftover_seconds

    async def find(self, principal: Principal) -> Customer | None:
        """Return a user's present customer; one that is provably the user's is taken up now. Stripe is not asked.

        None when there is none, when Stripe no longer has it, or when it is not clear which of several it is.
        """
        with suppress(Ambiguous):
            return (await self._known(principal))[0]
        return None

    async def _known(self, principal: Principal) -> tuple[Customer | None, bool]:
        """Return a user's present customer, and whether it is not decided yet that it is that one.

        By its own event a customer is the user's while it is being made. If the process that made it has ended, it
        leaves its place to one that is provably the user's, as it would have done then; unless it is in use by now.

        Raises:
            Ambiguous: several may be the user's.
        """
        subject = principal.subject or ""
        known = await self._of(subject)
        made_id = known.id if known else None
        undecided = partial(linking.is_undecided, subject=subject, customer_id=made_id or "")
        if known and not await self._database.read(undecided):
            return known, False
        taken = await self._take_up(principal)
        return (taken, False) if taken and taken.id != made_id else (known, True)

    async def _of(self, external_id: str) -> Customer | None:
        def read(connection: sa.Connection) -> Customer | None:
            found = connection.execute(_OF, {"owner": external_id}).mappings().first()
            return None if found is None else Customer(**found)

        return await self._database.read(read)

    async def _take_up(self, principal: Principal) -> Customer | None:
        """Give the user the customer that is theirs by what the mirror knows.

        Raises:
            Ambiguous: several may be.
        """
        subject = principal.subject or ""
        proof = Proof(subject, self._proving_email(principal), self._settings.trust_payment_link_references)

        def clear(connection: sa.Connection) -> Candidate | None:
            found = linking.candidates(connection, proof)
            if found and linking.has_had_one(connection, subject):
                found = [candidate for candidate in found if candidate.by_reference]
            chosen = linking.choose(found)
            return next((candidate for candidate in found if candidate.id == chosen), None)

        if await self._database.read(clear) is None:
            return None

        def link(connection: sa.Connection) -> None:
            if chosen := clear(connection):
                claim = linking.open_claim(connection, subject, principal.email)
                linking.check_undecided(connection, subject)
                unverified = chosen.payer_unverified
                linking.fulfil(connection, claim=claim, customer_id=chosen.id, payer_unverified=unverified)

        with suppress(IntegrityError, linking.Decided):  # another user with the same e-mail was a moment faster
            await self._database.transaction(link)
        return await self._of(subject)

    def _proving_email(self, principal: Principal) -> str | None:
        """Return the address that proves whose a customer is. It proves the user, not an organisation."""
        return self.verified_email(principal) if self._settings.link_customers_by_email else None

    def verified_email(self, principal: Principal) -> str | None:
        """Return the address of which the provider says that it is the user's."""
        return principal.email if principal.email_verified and not self._is_organisation else None

    @property
    def _is_organisation(self) -> bool:
        """Whether the token's claim names an organisation, of which a member's e-mail says nothing."""
        return self._settings.auth_subject_claim != "sub"

    async def is_deleted_at_stripe(self, id: str) -> bool:
        """Ask Stripe whether it still has a customer, and write down if not."""
        with suppress(StripeMissing):
            found = await self._mirror.refresh(self._stripe, "customer", id)
            return bool(found.get("deleted"))
        return True

    async def customer_for(self, principal: Principal) -> Customer:
        """Return a user's customer, which is made at Stripe if there is none yet, or it is known to be gone.

        Args:
            principal: a signed-in user, or one whom the back end names.

        Raises:
            Rejected: several customers with live subscriptions may be the user's.
            RateLimited: an earlier request of the same user takes too long.
            StripeUnavailable: Stripe cannot be reached; trying again goes on where this stopped.
        """
        async with owner_lock(self._database, principal.subject or ""):
            return (await self.find_or_make(principal))[0]

    async def find_or_make(self, principal: Principal) -> tuple[Customer, bool]:
        """Do what `customer_for` does, for who holds the user's lock (`owner_lock`): nobody else makes one meanwhile.

        Args:
            principal: a signed-in user, or one whom the back end names.

        Returns:
            the customer, and whether it was made just now: then it has nothing yet.

        Raises:
            Rejected: several customers with live subscriptions may be the user's.
            StripeUnavailable: Stripe cannot be reached; trying again goes on where this stopped.
        """
        try:
            known, is_open = await self._known(principal)
            if known is None or is_open:
                known, is_new = await self._make(principal)
                if is_new:
                    return known, True
        except Ambiguous:
            message = "several customers have this e-mail and a subscription: the seller must say which one is yours"
            raise Rejected(Problem(ProblemCode.CUSTOMER_AMBIGUOUS, message)) from None
        await self._tell_stripe(principal, known)
        await self.withhold_cards(known)
        return known, False

    async def _make(self, principal: Principal) -> tuple[Customer, bool]:
        """Make the customer, while Stripe is asked whether it has one of the user's that the mirror has not yet.

        If it has, that one is taken, and what was made is deleted again: nobody has been told of it.

        Returns:
            the customer, and whether it was made just now.
        """
        subject = principal.subject or ""
        open_claim = partial(linking.open_claim, subject=subject, email=principal.email, making=True)
        claim = await self._database.transaction(open_claim)
        creating = asyncio.create_task(self._create_new(claim))
        try:
            found = await self._list_by_email(principal)
            await asyncio.wait([creating])
            made = None if creating.exception() else creating.result()
            known = await self._take_up_of(principal, found, made)
        except (Ambiguous, StripeFailure):
            await self._give_up(claim, creating)
            raise
        except BaseException:  # the next call goes on with what this one may have made
            creating.cancel()
            raise
        if known is None:
            answer = await creating
            fulfil = partial(linking.fulfil, claim=claim, customer_id=answer.object["id"], made=True)
            await self._mirror.store_answer(self._stripe, answer, fulfil)
            if (known := await self._of(subject)) is None:
                raise StripeFailure("the customer that was just made is gone again; try again")
            if known.id == answer.object["id"]:
                return known, not answer.replayed
        await self._give_up(claim, creating)
        return known, False

    async def _create_new(self, claim: CustomerClaim) -> StripeResponse:
        """Do the same under the next number where the key is of a claim that is gone: erased, or a lost commit."""
        for _ in range(5):  # more customers than anybody has lost in a day
            with suppress(KeyReused):
                answer = await self._create(claim)
                if not (answer.replayed and await self._database.read(partial(linking.is_gone, answer.object["id"]))):
                    return answer
            claim.generation = await self._database.transaction(partial(linking.renumber, claim=claim))
        return await self._create(claim)

    async def _create(self, claim: CustomerClaim) -> StripeResponse:
        """Have Stripe make a customer. The key makes a repeated call give the same one ("Idempotent requests")."""
        parameters: dict[str, Any] = {"metadata": {"external_id": claim.external_id}}
        if claim.email:
            parameters["email"] = claim.email
        whose = sha256(claim.external_id.encode()).hexdigest()[:32]  # Stripe logs and shows the key
        return await self._stripe.post(PATH, idempotency_key=f"customer-{whose}-{claim.generation}", **parameters)

    async def _list_by_email(self, principal: Principal) -> StripeResponse | None:
        """Return the customers that Stripe has under the user's verified e-mail."""
        email = self._proving_email(principal)
        return await self._stripe.get(PATH, email=email, limit=100) if email else None

    async def _take_up_of(
        self, principal: Principal, found: StripeResponse | None, made: StripeResponse | None
    ) -> Customer | None:
        """Give the user the customer that is theirs by what was found; it may be of no use that one was made beside.

        Args:
            principal: the user.
            found: the customers with the user's e-mail.
            made: the answer that one was made. What an earlier call made and is in use is the user's already.

        Raises:
            Ambiguous: several may be the user's.
        """
        made_id: str | None = made.object["id"] if made else None
        others = [each for each in found.object["data"] if each["id"] != made_id] if found else []
        if found and others and await self._may_go(made):
            await self._mirror.store_page(found, others)
            known = await self._of(principal.subject or "")
            if known is None or known.id == made_id:  # its own event may have given it to the user already
                known = await self._take_up(principal)
        else:
            known = await self._of(principal.subject or "")
        return known if known and known.id != made_id else None

    async def _may_go(self, made: StripeResponse | None) -> bool:
        """Return whether another customer may take the place of what was made: by its own event it may be in use."""
        is_unused = partial(linking.is_unused, customer_id=made.object["id"] if made else "")
        return made is None or await self._database.read(is_unused)

    async def _give_up(self, claim: CustomerClaim, creating: asyncio.Task[StripeResponse]) -> None:
        """Delete the customer that is just being made. One that an earlier call made may be in use, and stays.

        So does one that was used meanwhile: by its own event it is the user's already, for whom usage is reported.
        """
        try:
            made = await creating
            if not made.replayed and await self._may_go(made):
                await self._delete(claim, made.object["id"])
        except StripeFailure as error:  # `delete_leftovers` tries again
            log.warning("customer.not_given_up", error=str(error))

    async def _delete(self, claim: CustomerClaim, id: str) -> None:
        with suppress(StripeMissing):
            await self._stripe.delete(f"{PATH}/{id}")
        await self.is_deleted_at_stripe(id)
        await self._database.transaction(partial(linking.settle, claim=claim))

    async def run(self) -> None:
        """Delete leftovers, until cancelled."""
        while True:
            await asyncio.sleep(self._leftover_seconds)
            await self.delete_leftovers()

    async def delete_leftovers(self) -> None:
        """Delete the customers that were made beside the one that a user has now, by processes that then ended.

        Stripe says by the claim's key which one it has made. What the seller has sold to it since is not lost: then it
        stays.
        """
        for claim in await self._database.read(linking.unsettled):
            try:
                async with owner_lock(self._database, claim.external_id):
                    await self._delete_leftover(claim)
            except GatewayError as error:
                log.warning("customer.not_given_up", error=str(error))

    async def _delete_leftover(self, claim: CustomerClaim) -> None:
        if (mine := await self._of(claim.external_id)) is None:  # what was made may be the user's yet
            return
        made = (await self._create(claim)).object["id"]
        if mine.id == made:
            await self._database.transaction(partial(linking.fulfil, claim=claim, customer_id=made))
        elif await self._is_unused(made):
            await self._delete(claim, made)
            return
        await self._database.transaction(partial(linking.settle, claim=claim))

    async def _is_unused(self, id: str) -> bool:
        if not await self._database.read(partial(linking.is_unused, customer_id=id)):
            return False
        with suppress(StripeMissing):
            answer = await self._stripe.get("/v1/subscriptions", customer=id, limit=1)
            return not answer.object["data"]
        return True

    async def tell_stripe(self, principal: Principal, customer: Customer) -> None:
        """Tell Stripe whose a customer is, and the user's address where it has changed since it was told.

        Not of one that is taken from the user meanwhile: by its metadata it would be the user's again.
        """
        email = self._address(principal)
        if not any(await profile.untold(self._database, principal, customer, email)):
            return
        try:
            async with owner_lock(self._database, principal.subject or ""):
                known = await self._of(principal.subject or "")
                if known is not None and known.id == customer.id:
                    await self._tell_stripe(principal, known)
        except RateLimited as error:
            log.warning("customer.not_told", customer=customer.id, error=str(error))

    async def _tell_stripe(self, principal: Principal, customer: Customer) -> None:
        """Do the same for who holds the user's lock."""
        await profile.tell(self._mirror, self._stripe, principal, customer, self._address(principal))

    def _address(self, principal: Principal) -> str | None:
        """Return the address that Stripe is to have: the back end's word counts."""
        return principal.email if principal.is_service else self.verified_email(principal)

    async def withhold_cards(self, customer: Customer, *, for_good: bool = False) -> None:
        """Keep the cards of whoever paid before from a user who has the customer by an unproved e-mail address.

        Args:
            customer: the user's.
            for_good: take them off the customer, before a page opens that shows and charges whatever is there;
                otherwise Stripe's page of a checkout does not offer them.

        Raises:
            StripeUnavailable: Stripe cannot be reached; the page must not be opened.
        """
        if customer.payer_unverified:
            await (cards.detach if for_good else cards.withhold)(self._mirror, self._stripe, customer.id)

    async def link(
        self, external_id: str, customer_id: str, *, relink: bool = True, instead_of: str | None = None
    ) -> None:
        """Give a customer, with its cards, to a user because an operator says so; the user's present one is let go.

        Whoever calls it holds the user's lock (`owner_lock`), and has closed what of the present one may be paid yet.

        Args:
            external_id: the user.
            customer_id: the customer.
            relink: whether also one that was taken from a user before.
            instead_of: whom its metadata at Stripe may name, who has another customer here; they are rewritten.

        Raises:
            BadInput: Stripe has no such customer, or it is another user's, here or by its metadata at Stripe.
            StripeUnavailable: Stripe cannot be reached.
        """
        if await self.is_deleted_at_stripe(customer_id):
            raise BadInput(f"Stripe has no customer {customer_id}")
        whose = partial(linking.give, external_id=external_id, customer_id=customer_id)
        give = partial(whose, relink=relink, instead_of=instead_of)
        customer = await self._database.transaction(give)
        await self._tell_stripe(Principal(subject=external_id), customer)
