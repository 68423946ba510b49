"""Whose an object is: the one place that decides it, for ids that callers send and for objects that they are shown.

What belongs to a Stripe customer belongs to the user that the gateway has made this customer for
(`customer.external_id`). A guest's checkout, and what it has started, is seen by whoever knows the checkout's id.
Everything else is the back end's alone. What a connected account has is nobody's here, not even the back end's: Stripe
would be asked for it with our own key. What is missing and what is another's get the same answer.
"""

from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass

import sqlalchemy as sa
from sqlmodel import SQLModel, select

from gateway.auth.principal import Principal
from gateway.db.database import Database
from gateway.db.rows import row_by_id
from gateway.mirror.accounts import account_of
from gateway.models.mirrored import (
    CheckoutSession,
    Customer,
    Invoice,
    PaymentMethod,
    Price,
    Product,
    Subscription,
    SubscriptionItem,
)

PRIVATE: dict[str, type[SQLModel]] = {
    "cs": CheckoutSession,
    "cus": Customer,
    "in": Invoice,
    "pm": PaymentMethod,
    "si": SubscriptionItem,
    "sub": Subscription,
}
"""What belongs to somebody, by what its ids begin with."""


@dataclass(frozen=True, slots=True)
class Owner:
    """To whom something belongs; at least one is known, or it is the back end's alone.

    Attributes:
        external_id: the user.
        customer_id: the Stripe customer, and by it the user that this customer was made for.
        guest: whether it was made for nobody, so that whoever knows of it may look.
    """

    external_id: str | None = None
    customer_id: str | None = None
    guest: bool = False


def owner_of_session(row: CheckoutSession) -> Owner:
    """Return to whom a checkout belongs."""
    return Owner(row.external_id, row.customer_id, row.guest)


class Ownership:
    """What one caller may name and see, for the time of one request.

    Args:
        database: the mirror.
        principal: the caller.
        find_customer: takes up the caller's customer, if one is provably theirs.
        find_subscription: reads one that the mirror does not have from Stripe, and stores it if it is there.
    """

    def __init__(
        self,
        database: Database,
        principal: Principal,
        find_customer: Callable[[Principal], Awaitable[Customer | None]],
        find_subscription: Callable[[str], Awaitable[None]],
    ) -> None:
        self._database = database
        self._find_customer = find_customer
        self._find_subscription = find_subscription
        self._principal = principal
        self._customers: set[str] = set()

    async def may_name(self, id: str, *, ask_stripe: bool = False) -> bool:
        """Return whether the caller may name this id: of something public, or of something of theirs that exists.

        Args:
            id: of anything.
            ask_stripe: whether a subscription that the mirror does not have is looked for at Stripe.
        """
        account, object_id = account_of(id)
        table = PRIVATE.get(object_id.partition("_")[0])
        if table is None or (self._principal.sees_all and account is None):
            return True
        if account is not None:
            return False
        owner = await self._owner(table, id)
        if ask_stripe and owner is None and table is Subscription and self._principal.subject is not None:
            await self._find_subscription(id)  # bought a moment ago, perhaps: its events are still coming
            owner = await self._owner(table, id)
        return await self.may_see(owner) if owner else await self._is_sold(id)

    async def may_see(self, owner: Owner) -> bool:
        """Return whether the caller may see what belongs to `owner`."""
        if self.surely_sees(owner):
            return True
        if owner.customer_id is None:
            return False
        if self._principal.subject is not None and not await self._read_customers():
            customer = await self._find_customer(self._principal)
            self._customers.update([customer.id] if customer else [])
        if owner.guest and await self._is_nobodys(owner.customer_id):
            self._customers.add(owner.customer_id)  # what a guest's checkout has started is seen with it
        return owner.customer_id in self._customers

    async def seen(self, owners: Iterable[Owner]) -> set[Owner]:
        """Return those of whom the caller may see what is theirs; of many customers in no more readings than of one.

        Args:
            owners: no guests.
        """
        known = set(owners)
        unclear = next((owner for owner in known if owner.customer_id and not self.surely_sees(owner)), None)
        if unclear is not None:
            await self.may_see(unclear)  # which reads all that are the caller's
        return {owner for owner in known if self.surely_sees(owner)}

    async def _read_customers(self) -> bool:
        """Remember the caller's own customer; whether there is one."""
        query = select(Customer.id).where(Customer.external_id == self._principal.subject)
        found = await self._database.read(lambda connection: connection.scalars(query).all())
        self._customers.update(found)
        return bool(found)

    async def _is_nobodys(self, customer_id: str) -> bool:
        """Return whether a customer belongs to no user: what a guest bought is a user's once the user is known."""
        customer = await self._database.read(lambda connection: row_by_id(connection, Customer, customer_id))
        return customer is None or customer.external_id is None

    def surely_sees(self, owner: Owner) -> bool:
        """Return the same as far as it is known without asking the database; False may still become True."""
        return (
            (self._principal.sees_all and account_of(owner.customer_id or "")[0] is None)
            or (owner.guest and owner.customer_id is None)
            or (owner.external_id is not None and owner.external_id == self._principal.subject)
            or owner.customer_id in self._customers
        )

    def recognise(self, customer: Customer) -> None:
        """Remember a customer that has been read anyway, if it is the caller's: it need not be looked for again."""
        if customer.external_id is not None and customer.external_id == self._principal.subject:
            self._customers.add(customer.id)

    async def _is_sold(self, id: str) -> bool:
        """Return whether it is a price or product: merchants choose the ids of old plans, perhaps `in_house`."""
        return await self._database.read(
            lambda connection: bool(row_by_id(connection, Price, id) or row_by_id(connection, Product, id))
        )

    async def _owner(self, table: type[SQLModel], id: str) -> Owner | None:
        match await self._database.read(lambda connection: _owned_row(connection, table, id)):
            case None:
                return None
            case CheckoutSession() as row:
                return owner_of_session(row)
            case Customer() as row:
                return Owner(customer_id=row.id)
            case row:
                return Owner(customer_id=getattr(row, "customer_id", None))


def _owned_row(connection: sa.Connection, table: type[SQLModel], id: str) -> SQLModel | None:
    """Return the row that says whose this object is: of an item, its subscription."""
    row = row_by_id(connection, table, id)
    return row_by_id(connection, Subscription, row.subscription_id) if isinstance(row, SubscriptionItem) else row
