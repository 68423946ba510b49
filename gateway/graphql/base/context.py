"""What resolvers may use: the services, and the caller."""

import asyncio
from collections.abc import Callable, Collection
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import TypeVar

import strawberry

from gateway.auth.principal import Principal
from gateway.billing.audit import AuditLog
from gateway.billing.catalog.service import Catalog
from gateway.billing.catalog.shown import Marked, Shown, mark_of
from gateway.billing.catalog.snapshot import Snapshot
from gateway.billing.checkout.free import FreeStart
from gateway.billing.checkout.service import Checkout
from gateway.billing.checkout.trials import had_trial
from gateway.billing.counting.service import CountedFeatures
from gateway.billing.customers.access_memory import AccessMemory
from gateway.billing.customers.account import Account, AccountSelection
from gateway.billing.customers.account_reader import AccountReader
from gateway.billing.customers.directory import CustomerDesk
from gateway.billing.customers.ownership import Ownership
from gateway.billing.customers.service import Customers
from gateway.billing.failover import Failover
from gateway.billing.invoices import MAX_LINKS, refresh_links
from gateway.billing.portal import Portal
from gateway.billing.refunds import Refunds
from gateway.billing.subscriptions.ending import EndingService
from gateway.billing.subscriptions.plan_actions import currency_of
from gateway.billing.subscriptions.promotions import PromotionService
from gateway.billing.subscriptions.service import SubscriptionService
from gateway.db.database import Database
from gateway.db.notifications import Notifications, TopicSubscription
from gateway.errors import DatabaseUnavailable, RateLimited, TokenExpired
from gateway.graphql.base.dataloaders import Loaders
from gateway.http.rate_limit import RateLimiter
from gateway.mirror.sync import Mirror
from gateway.operators.desk import OperatorDesk
from gateway.settings import Settings
from gateway.stripe_api.client import Stripe

Part = TypeVar("Part", bound=Marked | None)


@dataclass(frozen=True, slots=True)
class Services:
    """The parts of a running gateway, put together by `app.py`."""

    settings: Settings
    database: Database
    mirror: Mirror
    stripe: Stripe
    catalog: Catalog
    checkout: Checkout
    customers: Customers
    portal: Portal
    subscriptions: SubscriptionService
    endings: EndingService
    promotions: PromotionService
    free: FreeStart
    limiter: RateLimiter
    notifications: Notifications
    audit: AuditLog
    refunds: Refunds
    desk: CustomerDesk
    failover: Failover
    counted: CountedFeatures
    access: AccessMemory
    operators: OperatorDesk
    accounts: AccountReader


@dataclass(frozen=True, slots=True)
class Buyer:
    """What is known of the caller where plans are offered.

    Attributes:
        account: the customer with the live subscriptions.
        had_trial: whether a trial is not offered any more.
    """

    account: Account
    had_trial: bool


@dataclass(frozen=True)
class Context:
    """The context of one request.

    Attributes:
        services: the parts of the gateway.
        principal: the caller.
        address: the IP address of the client, when it is known.
        sign_in_error: set when the caller's token has expired; the caller is then a guest who sees public fields.
        shown: what public fields have shown of the catalogue.
    """

    services: Services
    principal: Principal
    address: str | None = None
    sign_in_error: TokenExpired | None = None
    shown: list[Shown] = field(default_factory=list)

    async def show(self, read: Callable[[Snapshot], Part]) -> tuple[Snapshot, Part]:
        """Read a part of the catalogue for a public field, and note it: the answer is good as long as that is the same.

        Args:
            read: returns all that the field shows of a snapshot; None if there is nothing.

        Returns:
            the present snapshot, and what was read of it.
        """
        snapshot = await self.services.catalog.snapshot()
        part = read(snapshot)
        self.shown.append(Shown(read, mark_of(part)))
        return snapshot, part

    @cached_property
    def ownership(self) -> Ownership:
        """What the caller may name and see."""
        return Ownership(
            self.services.database, self.principal, self.services.customers.find, self.services.subscriptions.find
        )

    @cached_property
    def loaders(self) -> Loaders:
        """The data loaders of this request."""
        return Loaders(
            self.services.database,
            # no method of this context: a circle would keep what was read until garbage is looked for
            partial(_refresh_links, self.services, self.principal, self.address),
        )

    async def buyer(self) -> Buyer:
        """Return the signed-in user as a buyer, read once for the request, also where a field beside has failed."""
        return await asyncio.shield(self._buyer)

    @cached_property
    def _buyer(self) -> "asyncio.Future[Buyer]":
        return asyncio.ensure_future(_read_buyer(self))

    async def bound_currency(self) -> str | None:
        """Return the currency to which the signed-in user is bound by what was bought, lower case; None without one.

        None as well while the database is down, so that a pricing page is shown nevertheless.
        """
        if self.principal.subject is None:
            return None
        with suppress(DatabaseUnavailable):
            account = (await self.buyer()).account
            return currency_of(account.customer, account.subscriptions)
        return None

    async def refresh_links(self, invoice_ids: Collection[str]) -> None:
        """Read invoices anew whose links have expired, as far as the caller's rate allows."""
        await _refresh_links(self.services, self.principal, self.address, invoice_ids)

    async def count_stripe_read(self, calls: int = 1) -> None:
        """Count what a query asks of Stripe.

        Raises:
            RateLimited: there were too many.
        """
        await self.services.limiter.stripe_read(self.principal, self.address, calls)


@dataclass(frozen=True, kw_only=True)
class LiveContext(Context):
    """The context of one run of a live update.

    Attributes:
        changed: the topics that the update follows; a topic is followed before its data is read.
    """

    changed: TopicSubscription


async def account_of(context: Context, principal: Principal, selection: AccountSelection) -> tuple[Account, Snapshot]:
    """Return a user's account and the catalogue. Who has no customer yet is given one that is provably theirs first.

    Args:
        context: of the request.
        principal: the user, with what proves an existing customer theirs.
        selection: what to read.
    """
    found = await read_account(context, selection)
    if found[0].customer is None and await context.services.customers.find(principal):
        found = await read_account(context, selection)
    return found


async def read_account(context: Context, selection: AccountSelection) -> tuple[Account, Snapshot]:
    """Return a user's account as it stands and the catalogue; links of invoices that are asked for and old are read
    anew.
    """
    accounts = context.services.accounts
    found = await accounts.read(selection)
    moment = context.services.database.clock.now()
    if selection.links and (old := list(found[0].invoices_with_old_links(moment))):
        await context.loaders.links.load_many(old)
        found = await accounts.read(selection)
    return found


async def _read_buyer(context: Context) -> Buyer:
    principal, services = context.principal, context.services
    subject = str(principal.subject)
    account, _ = await account_of(context, principal, AccountSelection(subject))
    had = not services.settings.allow_repeat_trials and await had_trial(
        services.database, external_id=subject, email=services.customers.verified_email(principal)
    )
    return Buyer(account, had)


Info = strawberry.Info[Context, None]
LiveInfo = strawberry.Info[LiveContext, None]


async def _refresh_links(
    services: Services, principal: Principal, address: str | None, invoice_ids: Collection[str]
) -> None:
    """Read old links anew as far as the caller's rate allows: an old one is better than no invoice."""
    counted = []
    with suppress(RateLimited):
        for invoice_id in list(invoice_ids)[:MAX_LINKS]:
            await services.limiter.stripe_read(principal, address, 1)
            counted.append(invoice_id)
    await refresh_links(services.mirror, services.stripe, counted)
