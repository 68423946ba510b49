"""Customers: the signed-in one as `Viewer`, and any for the application's back end. Both have the same account."""

import asyncio
from datetime import datetime
from functools import cached_property
from typing import Annotated

import strawberry

from gateway.auth.principal import Principal
from gateway.billing.catalog.snapshot import Snapshot
from gateway.billing.counting.counters import Place
from gateway.billing.counting.service import place_of, with_count
from gateway.billing.customers import account as accounts
from gateway.billing.customers.access_memory import MAX_FEATURES
from gateway.billing.customers.ownership import Owner
from gateway.billing.customers.payment_methods import default_of
from gateway.billing.pagination import PageRequest
from gateway.billing.subscriptions import entitlements as rules
from gateway.billing.subscriptions.change_request import ChangeTime, PlanChange
from gateway.billing.subscriptions.entitlements import Source
from gateway.billing.subscriptions.state import current
from gateway.billing.user_errors import Rejected
from gateway.errors import BadInput
from gateway.graphql.base.arguments import After, First
from gateway.graphql.base.authorization import private
from gateway.graphql.base.connection import Connection
from gateway.graphql.base.context import Info, LiveContext
from gateway.graphql.base.decorators import deprecated, enum_from, object_type, resolver
from gateway.graphql.base.scalars import BigInt, Currency, big
from gateway.graphql.types.catalog_objects import catalog_objects_of
from gateway.graphql.types.change_inputs import (
    ItemsToChange,
    ItemToChange,
    To,
    ToPrice,
    ToQuantity,
    plan_change,
    problems_at,
)
from gateway.graphql.types.counting import FeatureCount
from gateway.graphql.types.credits import CreditAccount, Kind
from gateway.graphql.types.invoices import Invoice
from gateway.graphql.types.metering import EventName, Properties, Usage
from gateway.graphql.types.purchases import Purchase
from gateway.graphql.types.subscription_changes import WHEN, ChangePreview, ChangeQuote
from gateway.graphql.types.subscriptions import Access, BillingSubscription
from gateway.models import mirrored as models

enum_from(Source, name="EntitlementSource")

Features = Annotated[list[str], strawberry.argument(description="Their keys, at most 100.")]
ToChange = Annotated[strawberry.ID, strawberry.argument(description="A subscription of the caller.")]
ChangeMoment = Annotated[ChangeTime | None, strawberry.argument(description=WHEN)]
Feature = Annotated[str, strawberry.argument(description="Its key: Stripe's lookup key, or as in the metadata.")]


@private
class PaymentMethod:
    """How a customer pays; never more of a card than Stripe itself shows."""

    owner: strawberry.Private[Owner]
    id: strawberry.ID = strawberry.field(description="Stripe's id, such as pm_….")
    type: str = strawberry.field(description="Stripe's word for its kind, such as card or sepa_debit.")
    brand: str | None = strawberry.field(description="The card's brand, or the bank.")
    last4: str | None = strawberry.field(description="The last four digits.")
    exp_month: int | None = strawberry.field(description="The month in which a card expires, 1 to 12.")
    exp_year: int | None = strawberry.field(description="The year of that month.")

    @classmethod
    def of(cls, row: models.PaymentMethod) -> "PaymentMethod":
        """Make a payment method from its row."""
        return cls(
            owner=Owner(customer_id=row.customer_id),
            id=strawberry.ID(row.id),
            type=row.type,
            brand=row.brand,
            last4=row.last4,
            exp_month=row.exp_month,
            exp_year=row.exp_year,
        )


@object_type
class Entitlement:
    """A feature that the customer may use now."""

    place: strawberry.Private[Place | None]
    feature: str = strawberry.field(description="Its key.")
    limit: BigInt | None = strawberry.field(description="The limit; null when there is none.")
    until: datetime | None = strawberry.field(description="When it ends or is renewed, if that is known.")
    source: Source = strawberry.field(description="Where the entitlement comes from.")

    @resolver
    async def count(self, info: Info) -> FeatureCount | None:
        """How much of it was used and is left; null where nothing counts it."""
        return FeatureCount.of(await info.context.loaders.counts.load(self.place)) if self.place else None


@object_type
class FeatureAccess:
    """The decision on one of several features."""

    feature: str = strawberry.field(description="Its key.")
    access: Access = strawberry.field(description="Whether it may be used, why, and until when.")


@object_type
class Account:
    """What a customer has. Everything is read from the mirror; Stripe is not asked."""

    account: strawberry.Private[accounts.Account]
    snapshot: strawberry.Private[Snapshot]

    @cached_property
    def _entitlements(self) -> list[Entitlement]:
        """However many aliases ask for them, they are decided once."""
        grants = rules.entitlements(self.account.giving, self.account.features, self.snapshot.features)
        customer = self.account.customer
        return [
            Entitlement(
                place=place_of(customer.id, grant) if customer and grant.counted else None,
                feature=grant.feature,
                limit=big(grant.limit),
                until=grant.access.until,
                source=grant.source,
            )
            for grant in grants
            if grant.source
        ]

    @resolver
    def subscription(self) -> BillingSubscription | None:
        """The subscription that counts: with access before without, then the bigger plan; null without any."""
        found = current(self.account.subscriptions, self.snapshot)
        return BillingSubscription.of(found, catalog_objects_of(self.snapshot)) if found else None

    @resolver
    def subscriptions(self) -> list[BillingSubscription]:
        """All subscriptions, also those that have ended, the newest first."""
        catalog = catalog_objects_of(self.snapshot)
        return [BillingSubscription.of(each, catalog) for each in self.account.subscriptions]

    @resolver
    def invoices(
        self,
        first: First = 20,
        after: After = None,
    ) -> Connection[Invoice]:
        """The invoices, the newest first, without drafts."""
        page, catalog = self.account.invoices(first, after), catalog_objects_of(self.snapshot)
        return Connection.of(page, lambda row: Invoice.of(row, catalog))

    @resolver
    async def purchases(self, info: Info, first: First = 20, after: After = None) -> Connection[Purchase]:
        """What was bought once and paid, at checkouts without a plan, the newest first."""
        customer = self.account.customer
        page = await info.context.loaders.purchases.load(PageRequest(customer.id if customer else "", first, after))
        catalog = catalog_objects_of(self.snapshot)
        return Connection.of(page, lambda row: Purchase.of(row, catalog))

    @resolver
    def payment_method(self) -> PaymentMethod | None:
        """What the next invoice is charged to: the subscription's own, else the customer's default, else the newest."""
        if self.account.customer is None:
            return None
        counting = current(self.account.subscriptions, self.snapshot)
        subscription = counting.subscription if counting else None
        found = default_of(self.account.customer, subscription, self.account.methods)
        return PaymentMethod.of(found) if found else None

    @resolver
    def credits(self, kind: Kind = None) -> CreditAccount:
        """The credits that were bought, and where they went."""
        return CreditAccount.of(self.account.customer.id if self.account.customer else "", kind)

    @resolver
    async def credit_kinds(self, info: Info) -> list[CreditAccount]:
        """The credits of each kind with a name that the customer has or had, by name."""
        customer = self.account.customer
        kinds = await info.context.loaders.credit_kinds.load(customer.id) if customer else ()
        return [CreditAccount.of(customer.id, kind) for kind in kinds] if customer else []

    @resolver
    async def usage(self, info: Info, event_name: EventName, properties: Properties = None) -> Usage | None:
        """The usage in the present period of the subscription that counts it; null when there is no such meter."""
        return await Usage.of(info, self.account.customer.id if self.account.customer else None, event_name, properties)

    @resolver
    def entitlements(self) -> list[Entitlement]:
        """The features that may be used now, by name."""
        return self._entitlements

    @resolver
    async def access(self, info: Info, feature: Feature) -> Access:
        """Whether a feature may be used, why, and until when; where it is counted, how much of it is left."""
        return await self._access(info, feature)

    @resolver
    async def access_to(self, info: Info, features: Features) -> list[FeatureAccess]:
        """The same for several features, in their order."""
        if len(features) > MAX_FEATURES:
            raise BadInput(f"`features` names {len(features)}; at most {MAX_FEATURES} are decided at once")
        found = await asyncio.gather(*(self._access(info, each) for each in features))
        return [FeatureAccess(feature=each, access=access) for each, access in zip(features, found, strict=True)]

    @resolver
    async def quote_change(
        self,
        info: Info,
        *,
        subscription_id: ToChange,
        to: To = None,
        price_id: ToPrice = None,
        quantity: ToQuantity = None,
        subscription_item_id: ItemToChange = None,
        items: ItemsToChange = None,
        when: ChangeMoment = None,
    ) -> ChangeQuote:
        """What a change would cost, as Stripe computes it, or why it cannot be made. It changes nothing."""
        short = PlanChange(price_id, quantity, subscription_item_id)
        try:
            with problems_at(to):
                change = plan_change(to, short, items, when=when)
                return ChangeQuote(preview=await self._preview(info, subscription_id, change))
        except Rejected as rejected:
            return ChangeQuote.rejected(rejected, info)

    @deprecated("Until 2027-12-01: `quoteChange` answers what must be fixed as the mutations do.")
    async def preview_change(
        self,
        info: Info,
        *,
        subscription_id: ToChange,
        price_id: ToPrice = None,
        quantity: ToQuantity = None,
        subscription_item_id: ItemToChange = None,
        items: ItemsToChange = None,
        when: ChangeMoment = None,
    ) -> ChangePreview:
        """What a change of plan or quantity would cost, as Stripe computes it. It changes nothing."""
        change = plan_change(None, PlanChange(price_id, quantity, subscription_item_id), items, when=when)
        return await self._preview(info, subscription_id, change)

    async def _preview(self, info: Info, subscription_id: str, change: PlanChange) -> ChangePreview:
        if isinstance(info.context, LiveContext):
            raise BadInput("live updates do not call Stripe: ask for a preview in a query")
        services = info.context.services
        preview = await services.subscriptions.preview(self._user(info), subscription_id, change)
        return ChangePreview.of(preview, catalog_objects_of(await services.catalog.snapshot()))

    def _user(self, info: Info) -> Principal:
        """Return whose account it is, as the caller: for the application's own back end, whom it acts for."""
        principal, customer = info.context.principal, self.account.customer
        return principal.acting_as(customer.external_id) if principal.is_service and customer else principal

    async def _access(self, info: Info, feature: str) -> Access:
        grant = rules.decide(feature, self.account.giving, self.account.features, self.snapshot.features)
        count = None
        if grant.counted and self.account.customer:
            count = await info.context.loaders.counts.load(place_of(self.account.customer.id, grant))
            grant, count = with_count(grant, count)
        catalog = catalog_objects_of(self.snapshot)
        return Access.of(grant.access, grant.state, catalog, limit=grant.limit, count=count)


@private
class Customer(Account):
    """A user or organisation of the application that pays, or has begun to."""

    owner: strawberry.Private[Owner]
    id: strawberry.ID = strawberry.field(description="Stripe's id, such as cus_….")
    external_id: strawberry.ID = strawberry.field(description="The id by which the application knows the customer.")
    email: str | None = strawberry.field(description="The e-mail address to which Stripe writes.")
    name: str | None = strawberry.field(description="The name on the invoices.")
    currency: Currency | None = strawberry.field(description="The currency in which the customer is billed.")
    delinquent: bool = strawberry.field(description="Whether the latest charge of an invoice has failed.")
    created_at: datetime = strawberry.field(description="When the customer was created at Stripe.")

    @classmethod
    def of(cls, account: accounts.Account, snapshot: Snapshot) -> "Customer | None":
        """Make a customer from an account; None when there is none."""
        row = account.customer
        if row is None:
            return None
        return cls(
            owner=Owner(customer_id=row.id),
            account=account,
            snapshot=snapshot,
            id=strawberry.ID(row.id),
            external_id=strawberry.ID(str(row.external_id)),
            email=row.email,
            name=row.name,
            currency=Currency(row.currency) if row.currency else None,
            delinquent=row.delinquent,
            created_at=row.created,
        )


@private
class Viewer(Account):
    """The signed-in user or organisation, also one that has bought nothing yet."""

    owner: strawberry.Private[Owner]
    id: strawberry.ID = strawberry.field(description="The id by which the application knows the caller.")
    email: str | None = strawberry.field(description="The e-mail address in the token.")

    @classmethod
    def of(cls, principal: Principal, account: accounts.Account, snapshot: Snapshot) -> "Viewer":
        """Make the viewer from the account of a signed-in user."""
        subject = str(principal.subject)
        return cls(
            owner=Owner(external_id=subject),
            account=account,
            snapshot=snapshot,
            id=strawberry.ID(subject),
            email=principal.email,
        )

    @resolver
    def customer(self) -> Customer | None:
        """The customer at Stripe; null until the first checkout."""
        return Customer.of(self.account, self.snapshot)
