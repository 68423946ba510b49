"""Objects by their ids, whatever their kind."""

from gateway.billing.invoices import has_old_links
from gateway.billing.subscriptions.state import read_subscription
from gateway.db.rows import row_by_id
from gateway.graphql.base.arguments import Id
from gateway.graphql.base.context import Context, Info
from gateway.graphql.base.decorators import object_type, resolver
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
        invoice = await _invoice(context, id) if id.startswith("in_") else None
        return Invoice.of(invoice, catalog) if invoice else None


async def _invoice(context: Context, id: str) -> models.Invoice | None:
    """Return an invoice that is no draft, with links that work."""
    database = context.services.database

    async def read() -> models.Invoice | None:
        return await database.read(lambda connection: row_by_id(connection, models.Invoice, id))

    row = await read()
    if row is None or row.deleted or row.status in {None, "draft"}:
        return None
    if has_old_links(row, database.clock.now()):
        await context.refresh_links([id])
        row = await read()
    return row
