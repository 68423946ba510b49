"""The application's users as customers, and what one of them may do: for whoever asks by the application's own ids."""

from collections.abc import Collection

from sqlmodel import col, select

from gateway.billing import subscriptions
from gateway.billing.catalog import Catalog
from gateway.billing.entitlements import Grant, active_features, decide
from gateway.database import Database
from gateway.models import Customer
from gateway.settings import Settings


async def by_external_id(database: Database, external_ids: Collection[str]) -> dict[str, Customer]:
    """The customers of the application's users, by the users' ids; who has bought nothing yet is left out.

    Raises:
        DatabaseUnavailable: the database cannot be reached.
    """
    query = select(Customer).where(col(Customer.external_id).in_(external_ids), col(Customer.deleted).is_(False))
    async with database.read() as session:
        return {str(row.external_id): row for row in (await session.exec(query)).all()}


async def decision(settings: Settings, database: Database, catalog: Catalog, external_id: str, feature: str) -> Grant:
    """Whether a user may use a feature; a user that nobody has heard of may not.

    Raises:
        DatabaseUnavailable: the database cannot be reached.
    """
    products = (await catalog.snapshot()).products
    customer = (await by_external_id(database, [external_id])).get(external_id)
    if customer is None:
        return decide(feature, (), (), products)
    standings = await subscriptions.of_customers(database, [customer.id], settings.grace)
    active = await active_features(database, [customer.id])
    return decide(feature, standings.get(customer.id, ()), active.get(customer.id, ()), products)
