"""The root of all queries."""

from typing import Annotated

import strawberry

from gateway.auth.principal import Principal
from gateway.billing.catalog.currencies import choose_currency
from gateway.graphql.base.arguments import After, First, Id
from gateway.graphql.base.connection import Connection
from gateway.graphql.base.context import Info, account_of
from gateway.graphql.base.decorators import object_type, resolver
from gateway.graphql.base.lookahead import selection_of
from gateway.graphql.base.scalars import Currency
from gateway.graphql.types.audit import AuditQueries
from gateway.graphql.types.catalog import Plan, Product
from gateway.graphql.types.catalog_objects import catalog_objects_of
from gateway.graphql.types.checkout import CheckoutSession
from gateway.graphql.types.customers import Customer, Viewer
from gateway.graphql.types.directory import DirectoryQueries
from gateway.graphql.types.nodes import NodeQueries
from gateway.graphql.types.operators.root import OperatorQueries
from gateway.graphql.types.price_parts import BillingInterval
from gateway.graphql.types.pricing import Pricing

Strict = Annotated[
    bool,
    strawberry.argument(
        description="Whether a currency in which nothing is on sale is an error; otherwise the answer is in another "
        "one, and its `note` says so."
    ),
]
InCurrency = Annotated[Currency | None, strawberry.argument(description="Only what can be bought in this currency.")]
ByInterval = Annotated[BillingInterval | None, strawberry.argument(description="Only plans billed by this interval.")]


@object_type
class PlanConnection(Connection[Plan]):
    """A page of plans."""

    note: str | None = strawberry.field(
        default=None, description="Why they are not in the currency that was asked for; null when they are."
    )


@object_type
class Query(AuditQueries, DirectoryQueries, NodeQueries, OperatorQueries):
    """The queries."""

    @resolver
    async def pricing(
        self,
        info: Info,
        *,
        currency: Annotated[
            Currency | None,
            strawberry.argument(
                description="The currency; left out, the one to which the signed-in user is bound, else that of the "
                "country, else the default."
            ),
        ] = None,
        country: Annotated[
            str | None,
            strawberry.argument(description="The buyer's country, such as CH; what is no country counts as left out."),
        ] = None,
        interval: ByInterval = None,
        strict: Strict = False,
    ) -> Pricing:
        """A whole pricing page: what is on sale in one currency, in display order."""
        snapshot, _ = await info.context.show(lambda snapshot: snapshot)
        catalog, name = catalog_objects_of(snapshot), _name(interval)
        if currency is not None and (strict or currency in snapshot.currencies):
            return catalog.pricing(currency, name)
        # where there is one currency alone, whose the buyer is makes no difference, and costs a reading
        bound = await info.context.bound_currency() if len(snapshot.currencies) > 1 else None
        found = choose_currency(snapshot, requested=currency, bound=bound, country=country)
        return catalog.chosen(found, name)

    @resolver
    async def plans(
        self,
        info: Info,
        *,
        first: First = 50,
        after: After = None,
        product_id: Annotated[
            strawberry.ID | None, strawberry.argument(description="Only plans of this product.")
        ] = None,
        interval: ByInterval = None,
        currency: InCurrency = None,
        strict: Strict = False,
    ) -> PlanConnection:
        """The plans on sale, in display order; without a currency each in its own."""
        wanted = {"product_id": product_id, "interval": _name(interval)}
        note = None
        if not (strict or currency in {None, *(await info.context.services.catalog.snapshot()).currencies}):
            snapshot, _ = await info.context.show(lambda snapshot: snapshot)
            found = choose_currency(snapshot, requested=currency, bound=await info.context.bound_currency())
            currency, note = Currency(found.code), found.note
        snapshot, page = await info.context.show(
            lambda snapshot: snapshot.plans(**wanted, currency=currency).page(first, after)
        )
        catalog = catalog_objects_of(snapshot)
        plans = Connection.of(page, lambda row: catalog.plan(row.id, currency))
        return PlanConnection(**vars(plans), note=note)

    @resolver
    async def plan(self, info: Info, id: Id) -> Plan | None:
        """A plan, also one that is no longer on sale."""
        snapshot, _ = await info.context.show(lambda snapshot: snapshot.product_of(id))
        return catalog_objects_of(snapshot).plan(id)

    @resolver
    async def products(self, info: Info, first: First = 50, after: After = None) -> Connection[Product]:
        """The products on sale, in display order."""
        snapshot, page = await info.context.show(lambda snapshot: snapshot.on_sale.page(first, after))
        catalog = catalog_objects_of(snapshot)
        return Connection.of(page, lambda row: catalog.product(row.id))

    @resolver
    async def product(self, info: Info, id: Id) -> Product | None:
        """A product, also one that is no longer sold."""
        snapshot, _ = await info.context.show(lambda snapshot: snapshot.by_product.get(id))
        return catalog_objects_of(snapshot).product(id)

    @resolver
    async def session(self, info: Info, id: Id) -> CheckoutSession | None:
        """A checkout as it is at Stripe; null when there is none, or it is not the caller's."""
        principal = info.context.principal
        row = await info.context.services.checkout.session(id)
        return CheckoutSession.of(row, principal) if row else None

    @resolver
    async def viewer(self, info: Info) -> Viewer | None:
        """The signed-in user's own account; null when nobody is signed in."""
        principal = info.context.principal
        if principal.subject is None:
            return None
        account, snapshot = await account_of(info.context, principal, selection_of(info, principal.subject))
        if account.customer:
            info.context.ownership.recognise(account.customer)
        return Viewer.of(principal, account, snapshot)

    @resolver
    async def customer(
        self,
        info: Info,
        external_id: Annotated[
            strawberry.ID, strawberry.argument(description="The id by which the application knows the customer.")
        ],
    ) -> Customer | None:
        """Any user's account, for the application's own back end; null when there is none."""
        its = selection_of(info, external_id)
        return Customer.of(*await account_of(info.context, Principal(subject=external_id), its))


def _name(interval: BillingInterval | None) -> str | None:
    """Return Stripe's name of an interval."""
    return None if interval is None else str(interval.value)
