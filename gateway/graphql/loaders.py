"""What one request reads of the mirror, gathered: however many customers it asks for, the queries stay as few.

Each loader opens its own short session, because resolvers run at the same time. Loaders live as long as their request,
so that nobody is ever shown what was read for another request.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import TypeVar

from strawberry.dataloader import DataLoader

from gateway.billing import accounts, entitlements, invoices, payment_methods, subscriptions
from gateway.billing.credits import EntriesPage, EntriesRequest, balances
from gateway.billing.credits import pages as credit_pages
from gateway.billing.invoices import Page, PageRequest
from gateway.billing.subscriptions import Standing
from gateway.database import Database
from gateway.models import Customer, PaymentMethod
from gateway.settings import Settings

Key = TypeVar("Key")
Value = TypeVar("Value")
Default = TypeVar("Default")


class Loaders:
    """The loaders of one request.

    Args:
        settings: the grace period.
        database: the mirror.

    Attributes:
        customer: by the application's own id.
        standings: by customer, the newest first.
        payment_methods: by customer, the newest first.
        features: by customer, what Stripe's entitlements give.
        invoices: by customer and page.
        credits: the balance, by customer.
        credit_entries: by customer and page.
    """

    customer: DataLoader[str, Customer | None]
    standings: DataLoader[str, list[Standing]]
    payment_methods: DataLoader[str, list[PaymentMethod]]
    features: DataLoader[str, list[str]]
    invoices: DataLoader[PageRequest, Page | None]
    credits: DataLoader[str, int]
    credit_entries: DataLoader[EntriesRequest, EntriesPage | None]

    def __init__(self, settings: Settings, database: Database) -> None:
        self.customer = _loader(lambda ids: accounts.by_external_id(database, ids), None)
        self.standings = _loader(lambda ids: subscriptions.of_customers(database, ids, settings.grace), [])
        self.payment_methods = _loader(lambda ids: payment_methods.of_customers(database, ids), [])
        self.features = _loader(lambda ids: entitlements.active_features(database, ids), [])
        self.invoices = _loader(lambda requests: invoices.pages(database, requests), None)
        self.credits = _loader(lambda ids: balances(database, ids), 0)
        self.credit_entries = _loader(lambda requests: credit_pages(database, requests), None)


class _Shared(DataLoader[Key, Value]):
    """A loader whose readings go on for all the others when one that waits for them is cancelled, as graphql-core does
    with the fields beside one that has failed.
    """

    def load(self, key: Key) -> Awaitable[Value]:
        """What there is under a key."""
        return asyncio.shield(super().load(key))


def _loader(
    read: Callable[[list[Key]], Awaitable[Mapping[Key, Value]]], missing: Default
) -> DataLoader[Key, Value | Default]:
    """A loader over a function that reads many at once and leaves out what there is not."""

    async def load(keys: list[Key]) -> list[Value | Default]:
        found = await read(keys)
        return [found.get(key, missing) for key in keys]

    return _Shared(load_fn=load)
