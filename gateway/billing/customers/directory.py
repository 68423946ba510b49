"""All customers, for the application's back end: found by what is known of them, changed, and given to users."""

import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial

import sqlalchemy as sa

from gateway.auth.principal import Principal
from gateway.billing.audit import Action, Attempt, AuditLog, Json
from gateway.billing.customers import linking
from gateway.billing.customers.addresses import bad_email
from gateway.billing.customers.profile import PATH
from gateway.billing.customers.service import Customers
from gateway.billing.pagination import Order, Page, newest
from gateway.billing.subscriptions.exclusion import customer_lock, owner_lock
from gateway.billing.subscriptions.validation import check, refused
from gateway.billing.user_errors import Problem, ProblemCode, Rejected
from gateway.db.database import Database
from gateway.db.rows import row_by_id
from gateway.db.tables import table_for
from gateway.errors import BadInput, StripeRefused
from gateway.mirror.accounts import own
from gateway.mirror.mapping import email_key
from gateway.mirror.sync import Mirror
from gateway.models.mirrored import Charge, CheckoutSession, Customer, Invoice, Subscription
from gateway.stripe_api.client import Stripe

CUSTOMERS, SUBSCRIPTIONS = table_for(Customer), table_for(Subscription)
ORDER = Order(CUSTOMERS.c.created, CUSTOMERS.c.id)
HAVING = {"sub": SUBSCRIPTIONS, "in": table_for(Invoice), "cs": table_for(CheckoutSession), "ch": table_for(Charge)}
"""What belongs to a customer, by what its ids begin with."""
MAX_NAME = 256
CUSTOMER_ID = re.compile(r"cus_[A-Za-z0-9_]{1,250}")


@dataclass(frozen=True, slots=True)
class CustomerFilter:
    """Which customers are listed; what is None is not looked at.

    Attributes:
        email: in any case.
        status: of one of the customer's subscriptions.
        search: the e-mail address, in any case, the application's id or one of Stripe's: of the customer, or of one of
            its subscriptions, invoices, checkouts or charges.
        linked: whether it is a user's.
        delinquent: whether the latest charge of an invoice has failed.
    """

    email: str | None = None
    status: str | None = None
    linked: bool | None = None
    delinquent: bool | None = None
    search: str | None = None

    def conditions(self) -> list[sa.ColumnElement[bool]]:
        """Return the conditions of a query over customers."""
        found = [own(CUSTOMERS.c.id), CUSTOMERS.c.deleted.is_(False)]
        if self.email is not None:
            found.append(CUSTOMERS.c.email_lower == email_key(self.email))
        if self.status is not None:
            its = SUBSCRIPTIONS.c.customer_id == CUSTOMERS.c.id, SUBSCRIPTIONS.c.status == self.status
            found.append(sa.exists().where(*its, SUBSCRIPTIONS.c.deleted.is_(False)))
        if self.linked is not None:
            found.append(CUSTOMERS.c.external_id.is_not(None) if self.linked else CUSTOMERS.c.external_id.is_(None))
        if self.delinquent is not None:
            found.append(CUSTOMERS.c.delinquent.is_(self.delinquent))
        if self.search is not None:
            found.append(_named(self.search.strip()))
        return found


def _named(text: str) -> sa.ColumnElement[bool]:
    """Return the condition of the customers whom a text names; each way is found by an index of its own."""
    ways = [CUSTOMERS.c.email_lower == email_key(text), CUSTOMERS.c.external_id == text, CUSTOMERS.c.id == text]
    if (table := HAVING.get(text.partition("_")[0])) is not None:
        ways.append(CUSTOMERS.c.id.in_(sa.select(table.c.customer_id).where(table.c.id == text)))
    return sa.or_(*ways)


async def list_customers(database: Database, wanted: CustomerFilter, first: int, after: str | None) -> Page[Customer]:
    """Return a page of the customers, the newest first.

    Args:
        database: the mirror.
        wanted: which.
        first: how many, 1 to 100.
        after: the cursor of the last customer of the page before.

    Raises:
        BadInput: `first` is out of range, or `after` is no cursor.
    """
    query = sa.select(CUSTOMERS).where(*wanted.conditions())
    return await newest(database, query, ORDER, first, after, make=Customer)


class CustomerDesk:
    """Changes customers, and gives them to users; each once for an idempotency key, and kept in the audit log.

    Args:
        customers: finds and makes customers.
        mirror: the copy of Stripe.
        stripe: does it.
        audit: keeps what was done.
        close_checkouts: closes a user's open checkouts, which are of the customer that he loses: he would pay for what
            he does not get.
    """

    def __init__(
        self,
        customers: Customers,
        mirror: Mirror,
        stripe: Stripe,
        audit: AuditLog,
        *,
        close_checkouts: Callable[[str], Awaitable[None]],
    ) -> None:
        self._customers = customers
        self._mirror = mirror
        self._stripe = stripe
        self._audit = audit
        self._close_checkouts = close_checkouts

    async def update(
        self, user: Principal, email: str | None, name: str | None, action: Callable[..., Action]
    ) -> Customer:
        """Set the e-mail address and the name of a user's customer, who becomes one where he is none yet.

        Args:
            user: acted for by the back end.
            email: None leaves it.
            name: None leaves it; an empty one takes it away.
            action: makes the action of its `name`, `input` and `external_id`.

        Raises:
            Rejected: it must be fixed.
            StripeUnavailable: Stripe cannot be reached; the same key may be tried again.
        """
        check(bad_email(email, "email"), _long_name(name))
        changes = {key: text for key, text in {"email": email, "name": name}.items() if text is not None}

        async def work(attempt: Attempt) -> Json:
            customer = await self._customers.customer_for(user)
            key = f"action-{attempt.reference}"
            try:
                answer = await self._stripe.post(f"{PATH}/{customer.id}", idempotency_key=key, **changes)
            except StripeRefused as error:
                raise Rejected(refused(error)) from error
            await self._mirror.store_answer(self._stripe, answer)
            return {"customer": customer.id}

        done = action(name="customer.update", input=changes, external_id=user.subject)
        return await self._customer(await self._audit.once(done, work))

    async def link(
        self,
        external_id: str,
        customer_id: str,
        action: Callable[..., Action],
        *,
        relink: bool = True,
        instead_of: str | None = None,
    ) -> Customer:
        """Give a customer, with its cards, to a user; the user's present one is let go.

        Args:
            external_id: the user.
            customer_id: the customer.
            action: makes the action of its `name`, `external_id` and `target`.
            relink: whether also one that was taken from a user before.
            instead_of: whom its metadata at Stripe may name, who has another customer here; they are rewritten.

        Raises:
            Rejected: Stripe has no such customer, or it is another user's, here or by its metadata at Stripe.
            StripeUnavailable: Stripe cannot be reached; the same key may be tried again.
        """

        async def work(_: Attempt) -> Json:
            if CUSTOMER_ID.fullmatch(customer_id) is None:
                raise _unavailable("this is no customer's id (cus_…)")
            database = self._mirror.database
            async with owner_lock(database, external_id), customer_lock(database, customer_id):
                await self._close_checkouts(external_id)
                try:
                    await self._customers.link(external_id, customer_id, relink=relink, instead_of=instead_of)
                except BadInput as error:
                    raise _unavailable(str(error)) from None
            return {"customer": customer_id}

        asked = {"instead_of": instead_of} if instead_of else {}
        done = action(name="customer.link", input=asked, external_id=external_id, target=customer_id)
        return await self._customer(await self._audit.once(done, work))

    async def unlink(self, external_id: str, customer_id: str, action: Callable[..., Action]) -> Customer:
        """Take a customer from a user, who begins with a new one; nobody is given it until an operator links it.

        Stripe is told first: as long as its metadata name the user, the next event would give the customer back.

        Raises:
            Rejected: it is not this user's.
            StripeUnavailable: Stripe cannot be reached; the same key may be tried again.
        """

        async def work(attempt: Attempt) -> Json:
            async with owner_lock(self._mirror.database, external_id):
                row = await self._customer({"customer": customer_id})
                if row.external_id != external_id and not (attempt.again and row.external_id is None):
                    raise _unavailable(f"{customer_id} is not the customer of {external_id}")
                await self._close_checkouts(external_id)
                key = f"action-{attempt.reference}"
                params = {"metadata": {"external_id": ""}}
                try:
                    answer = await self._stripe.post(f"{PATH}/{customer_id}", idempotency_key=key, **params)
                except StripeRefused as error:
                    raise Rejected(refused(error)) from error
                await self._mirror.store_answer(self._stripe, answer)
                release = partial(linking.release, external_id=external_id, customer_id=customer_id)
                await self._mirror.database.transaction(release)
            return {"customer": customer_id}

        done = action(name="customer.unlink", external_id=external_id, target=customer_id)
        return await self._customer(await self._audit.once(done, work))

    async def _customer(self, result: Json) -> Customer:
        customer_id: str = result["customer"]
        found = await self._mirror.database.read(lambda connection: row_by_id(connection, Customer, customer_id))
        if found is None:
            raise _unavailable(f"Stripe has no customer {customer_id}")
        return found


def _unavailable(message: str) -> Rejected:
    return Rejected(Problem(ProblemCode.CUSTOMER_UNAVAILABLE, message, "customerId"))


def _long_name(name: str | None) -> Problem | None:
    if len(name or "") <= MAX_NAME:
        return None
    return Problem(ProblemCode.TEXT_TOO_LONG, f"the name is too long: at most {MAX_NAME} characters", "name")
