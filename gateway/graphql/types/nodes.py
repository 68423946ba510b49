"""Objects by their ids, whatever their kind."""

from collections.abc import Collection

from sqlmodel import col

from gateway.billing.customers.ownership import Owner
from gateway.billing.invoices import has_old_links
from gateway.billing.subscriptions.state import read_subscription
from gateway.db.rows import all_rows
from gateway.graphql.base.arguments import Id
from gateway.graphql.base.context import Context, Info
from gateway.graphql.base.decorators import object_type, resolver
from gateway.graphql.base.lookahead import asks_for_links
from gateway.graphql.base.node import Node
from gateway.graphql.types.catalog_objects import catalog_objects_of
from gateway.graphql.types.invoices import Invoice
from gateway.graphql.types.subscriptions import BillingSubscription
from gateway.models import mirrored as models


@object_type
class NodeQueries:
    """Queries by an id alone."""

    @resolver
    async def node(self, info: Info, id: Id) -> Node | None:
        """A product, plan, subscription or invoice by its id; null when there is none, or it is not the caller's."""
        context, catalog = info.context, catalog_objects_of(await info.context.services.catalog.snapshot())
        if sold := catalog.product(id) or catalog.plan(id):
            return sold
        if id.startswith("sub_"):
            found = await read_subscription(context.services.database, id, context.services.settings.grace)
            return BillingSubscription.of(found, catalog) if found else None
        invoices = await invoices_of(context, [id], links=asks_for_links(info)) if id.startswith("in_") else {}
        return Invoice.of(invoices[id], catalog) if id in invoices else None


async def invoices_of(context: Context, ids: Collection[str], *, links: bool) -> dict[str, models.Invoice]:
    """Return those invoices that the caller may see and that are no drafts, by their ids.

    Args:
        context: of the request.
        ids: of invoices, or of nothing.
        links: whether their links must work.
    """
    database = context.services.database
    shown = (
        col(models.Invoice.id).in_(ids),
        col(models.Invoice.deleted).is_(False),
        col(models.Invoice.status).is_not(None),
        col(models.Invoice.status) != "draft",
    )

    async def read() -> list[models.Invoice]:
        rows = await database.read(lambda connection: all_rows(connection, models.Invoice, *shown))
        seen = await context.ownership.seen(Owner(customer_id=row.customer_id) for row in rows)
        return [row for row in rows if Owner(customer_id=row.customer_id) in seen]

    rows = await read()
    moment = database.clock.now()
    if old := [row.id for row in rows if links and has_old_links(row, moment)]:
        await context.refresh_links(old)
        rows = await read()
    return {row.id: row for row in rows}
