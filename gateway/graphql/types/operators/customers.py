"""One customer as an operator sees it, and why access is as it is."""

from typing import Annotated

import strawberry

from gateway.billing.counting.service import place_of, with_count
from gateway.billing.invoices import PAGES
from gateway.billing.pagination import PageRequest
from gateway.billing.subscriptions.access import Reason, Step
from gateway.billing.subscriptions.change_request import PlanChange
from gateway.billing.user_errors import Rejected
from gateway.graphql.base.arguments import After, First
from gateway.graphql.base.connection import Connection
from gateway.graphql.base.context import Info
from gateway.graphql.base.decorators import object_type, resolver
from gateway.graphql.types.audit import AuditEntry
from gateway.graphql.types.catalog_objects import catalog_objects_of
from gateway.graphql.types.change_inputs import To, ToPrice, ToQuantity, plan_change, problems_at
from gateway.graphql.types.counting import FeatureCount
from gateway.graphql.types.credits import CreditAccount, Kind
from gateway.graphql.types.customers import ChangeMoment
from gateway.graphql.types.directory import ListedCustomer
from gateway.graphql.types.invoices import Invoice
from gateway.graphql.types.operators.queues import ReportedUsage, page_of
from gateway.graphql.types.subscription_changes import ChangePreview, ChangeQuote
from gateway.graphql.types.subscriptions import Access, BillingSubscription
from gateway.operators.customers import CustomerPage
from gateway.operators.usage import list_usage

Feature = Annotated[str, strawberry.argument(description="Its key: Stripe's lookup key, or as in the metadata.")]


@object_type
class AccessStep:
    """One step of a decision on access."""

    about: str = strawberry.field(description="What was looked at: a subscription's id, or the feature.")
    rule: str = strawberry.field(description="What was asked.")
    finding: str = strawberry.field(description="What was found.")
    holds: bool = strawberry.field(description="Whether what the rule asks is so.")

    @classmethod
    def of(cls, step: Step) -> "AccessStep":
        """Make a step as the rules have told it."""
        about = step.about or "bought for life"
        return cls(about=about, rule=step.rule, finding=step.finding, holds=step.holds)


@object_type
class AccessExplanation:
    """A decision on a feature, by the rules that decide it everywhere, with each step."""

    feature: str = strawberry.field(description="Its key.")
    access: Access = strawberry.field(description="The decision.")
    count: FeatureCount | None = strawberry.field(description="How its use stands; null where nothing counts it.")
    steps: list[AccessStep] = strawberry.field(description="How it came about, in order.")


@object_type
class OperatorCustomer:
    """A customer at Stripe, also one that is no user's, with all that is known here."""

    page: strawberry.Private[CustomerPage]
    listed: ListedCustomer = strawberry.field(description="Who it is.")

    @classmethod
    def of(cls, page: CustomerPage) -> "OperatorCustomer":
        """Make one of what was read."""
        return cls(page=page, listed=ListedCustomer.of(page.row))

    @resolver
    async def subscriptions(self, info: Info) -> list[BillingSubscription]:
        """Those that go on, those of which something is still paid, and the ten that ended last; the newest first."""
        catalog = catalog_objects_of(await info.context.services.catalog.snapshot())
        return [BillingSubscription.of(each, catalog) for each in self.page.account.subscriptions]

    @resolver
    async def invoices(self, info: Info, first: First = 20, after: After = None) -> Connection[Invoice]:
        """The invoices, the newest first, without drafts."""
        services, wanted = info.context.services, PageRequest(self.page.row.id, first, after)
        page = (await services.database.read(lambda connection: PAGES.read(connection, [wanted])))[wanted]
        catalog = catalog_objects_of(await services.catalog.snapshot())
        return Connection.of(page, lambda row: Invoice.of(row, catalog))

    @resolver
    def credits(self, kind: Kind = None) -> CreditAccount:
        """The credits of a kind, and the ledger."""
        return CreditAccount.of(self.page.row.id, kind)

    @resolver
    async def credit_kinds(self, info: Info) -> list[CreditAccount]:
        """The credits of each kind with a name that the customer has or had, by name."""
        kinds = await info.context.loaders.credit_kinds.load(self.page.row.id)
        return [CreditAccount.of(self.page.row.id, kind) for kind in kinds]

    @resolver
    async def usage(self, info: Info, first: First = 20, after: After = None) -> Connection[ReportedUsage]:
        """The usage that was reported, the latest report first."""
        page = await list_usage(info.context.services.database, None, self.page.row.id, first, after)
        return page_of(page, ReportedUsage)

    @resolver
    async def features(self, info: Info) -> list[AccessExplanation]:
        """The decision on every feature that the catalogue knows or the customer has, by name."""
        offers = (await info.context.services.catalog.snapshot()).features
        names = sorted({*offers.names, *self.page.account.features})
        return [await self._explained(info, name) for name in names]

    @resolver
    async def why(self, info: Info, feature: Feature) -> AccessExplanation:
        """The decision on one feature, step by step."""
        return await self._explained(info, feature)

    @resolver
    async def quote_change(
        self,
        info: Info,
        *,
        subscription_id: Annotated[strawberry.ID, strawberry.argument(description="A subscription of the customer.")],
        to: To = None,
        price_id: ToPrice = None,
        quantity: ToQuantity = None,
        when: ChangeMoment = None,
    ) -> ChangeQuote:
        """What a change would cost, as Stripe computes it, or why it cannot be made. It changes nothing."""
        services, short = info.context.services, PlanChange(price_id, quantity)
        customer = info.context.principal.acting_for(self.page.row.id)
        try:
            with problems_at(to):
                change = plan_change(to, short, when=when)
                preview = await services.subscriptions.preview(customer, subscription_id, change)
        except Rejected as rejected:
            return ChangeQuote.rejected(rejected, info)
        return ChangeQuote(preview=ChangePreview.of(preview, catalog_objects_of(await services.catalog.snapshot())))

    @resolver
    async def audit_log(self, info: Info, first: First = 20, after: After = None) -> Connection[AuditEntry]:
        """What was done for the user, or to the customer while it was no user's, and by whom."""
        row = self.page.row
        page = await info.context.services.audit.page_of_customer(first, after, row.id, row.external_id)
        return Connection.of(page, AuditEntry.of)

    async def _explained(self, info: Info, feature: str) -> AccessExplanation:
        snapshot = await info.context.services.catalog.snapshot()
        grant, steps = self.page.why(feature, snapshot.features)
        count = None
        if grant.counted:
            count = await info.context.loaders.counts.load(place_of(self.page.row.id, grant))
            grant, count = with_count(grant, count)
        if grant.access.reason is Reason.LIMIT_REACHED:
            asked = "Something of it is left in this period"
            steps.append(Step(feature, asked, grant.access.reason.value, holds=False))
        catalog = catalog_objects_of(snapshot)
        return AccessExplanation(
            feature=feature,
            access=Access.of(grant.access, grant.state, catalog, limit=grant.limit, count=count),
            count=FeatureCount.of(count) if count else None,
            steps=[AccessStep.of(each) for each in steps],
        )
