"""Data loaders, which gather what one request reads of the mirror into few queries, however many customers it names.

Each loader makes one trip to a thread. Loaders live for one request, so that nobody is shown what was read for another.
"""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from functools import partial
from typing import Any, TypeVar

import sqlalchemy as sa
from strawberry.dataloader import DataLoader

from gateway.billing import returns
from gateway.billing.checkout import purchases
from gateway.billing.counting.counters import Count, Place
from gateway.billing.counting.service import read_counts
from gateway.billing.credits import service as ledger
from gateway.billing.credits.kinds import read_kinds
from gateway.billing.pagination import Page, PageRequest
from gateway.billing.subscriptions.discounts import Reduction, of_coupons, of_discounts
from gateway.billing.subscriptions.promotions import offers
from gateway.db.database import Database
from gateway.models.credits import CreditEntry
from gateway.models.subscriptions import RetentionOffer

Key = TypeVar("Key")
Value = TypeVar("Value")
RefreshLinks = Callable[[Collection[str]], Awaitable[None]]


class Loaders:
    """The loaders of one request.

    Args:
        database: the mirror.
        refresh_links: reads some invoices anew, whose links have expired.

    Attributes:
        links: reads the links of an invoice anew.
        credits: the balance, by account.
        credit_entries: by account and page.
        credit_kinds: the kinds with a name, by customer.
        discounts: what they take off.
        coupons: the same.
        retention_offers: by subscription.
        refunded: what went back of an invoice, in minor units.
        purchases: what was bought once, by customer and page.
        counts: how counted features stand.
    """

    links: DataLoader[str, None]
    credits: DataLoader[str, int]
    credit_entries: DataLoader[PageRequest, Page[CreditEntry]]
    credit_kinds: DataLoader[str, Sequence[str]]
    discounts: DataLoader[str, Reduction | None]
    coupons: DataLoader[str, Reduction | None]
    retention_offers: DataLoader[str, RetentionOffer | None]
    refunded: DataLoader[str, int]
    purchases: DataLoader[PageRequest, Page[Any]]
    counts: DataLoader[Place, Count | None]

    def __init__(self, database: Database, refresh_links: RefreshLinks) -> None:
        self.links = _Shared(load_fn=partial(_refreshed, refresh_links))
        self.credits = _loader(database, ledger.balances, 0)
        self.credit_entries = _loader(database, ledger.PAGES.read, ledger.PAGES.empty)
        self.credit_kinds = _loader(database, read_kinds, ())
        self.discounts = _loader(database, of_discounts, None)
        self.coupons = _loader(database, of_coupons, None)
        self.retention_offers = _loader(database, offers, None)
        self.refunded = _loader(database, returns.of_invoices, 0)
        self.purchases = _loader(database, purchases.PAGES.read, purchases.PAGES.empty)
        self.counts = _loader(database, read_counts, None)


class _Shared(DataLoader[Key, Value]):
    """A loader that goes on reading for the others when one that waits is cancelled.

    graphql-core cancels the fields beside one that has failed.
    """

    def load(self, key: Key) -> Awaitable[Value]:
        """Return the value of a key."""
        return asyncio.shield(super().load(key))


async def _refreshed(refresh_links: RefreshLinks, keys: list[str]) -> list[None]:
    await refresh_links(keys)
    return [None] * len(keys)


def _loader(
    database: Database, read: Callable[[sa.Connection, Collection[Key]], Mapping[Key, Value]], missing: Value
) -> DataLoader[Key, Value]:
    """Return a loader over a function that reads many keys at once and leaves out missing ones."""

    async def load(keys: list[Key]) -> list[Value]:
        found = await database.read(lambda connection: read(connection, keys))
        return [found.get(key, missing) for key in keys]

    return _Shared(load_fn=load)
