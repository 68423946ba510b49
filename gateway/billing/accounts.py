"""The application's users as customers, and what one of them may do: for whoever asks by the application's own ids."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from enum import Enum, auto

import sqlalchemy as sa

from gateway.billing import payment_methods, subscriptions
from gateway.billing.catalog import Catalog
from gateway.billing.entitlements import Grant, decide
from gateway.billing.invoices import PAGES
from gateway.billing.pages import Page, PageRequest
from gateway.billing.subscriptions import Standing
from gateway.database import Database, table_of
from gateway.errors import BadInput
from gateway.models import Customer, EntitlementSummary, Invoice, PaymentMethod
from gateway.readings import Reading, as_list
from gateway.settings import Settings
from gateway.statements import among

CUSTOMERS, SUMMARIES = table_of(Customer), table_of(EntitlementSummary)
_BY_USER = Reading(
    lambda dialect: (
        sa.select(*CUSTOMERS.c, SUMMARIES.c.features)
        .outerjoin(SUMMARIES, sa.and_(SUMMARIES.c.id == CUSTOMERS.c.id, SUMMARIES.c.deleted.is_(False)))
        .where(among(dialect, CUSTOMERS.c.external_id, "users"), CUSTOMERS.c.deleted.is_(False))
    )
)


class Part(Enum):
    """What an account has, beside the customer, the features, and pages of invoices."""

    SUBSCRIPTIONS = auto()
    PAYMENT_METHODS = auto()


@dataclass(frozen=True, slots=True)
class Wanted:
    """What to read of a user's account.

    Attributes:
        external_id: the user, by the application's own id.
        parts: which of the parts.
        pages: of the invoices, each as how many and the cursor after which it begins.
    """

    external_id: str
    parts: frozenset[Part] = frozenset()
    pages: frozenset[tuple[int, str | None]] = frozenset()


@dataclass(frozen=True, slots=True)
class Account:
    """What was read; what was not wanted is empty.

    Attributes:
        customer: None before the first checkout.
        standings: the subscriptions, the newest first.
        features: what Stripe's entitlements give.
        methods: the payment methods, the newest first.
        pages: of the invoices, or why there cannot be such a page.
    """

    customer: Customer | None = None
    standings: Sequence[Standing] = ()
    features: Sequence[str] = ()
    methods: Sequence[PaymentMethod] = ()
    pages: Mapping[tuple[int, str | None], Page[Invoice] | BadInput] = field(default_factory=dict)

    def invoices(self, first: int, after: str | None) -> Page[Invoice]:
        """A page of the invoices that was wanted.

        Raises:
            BadInput: `first` is out of range, or `after` is no cursor.
        """
        page = self.pages[first, after]
        if isinstance(page, BadInput):
            raise page
        return page


def read(connection: sa.Connection, wanted: Collection[Wanted], grace: timedelta) -> dict[Wanted, Account]:
    """The accounts of many users, in as few queries as one user's.

    Args:
        connection: what is read with.
        wanted: whose, and what of it.
        grace: how long access goes on after a failed charge.
    """
    rows = _BY_USER.rows(connection, users=as_list({each.external_id for each in wanted}))
    customers: dict[str, Customer] = {row.external_id: row for row in rows}
    features = {row.external_id: row.features for row in rows}

    def those(part: Part) -> set[str]:
        asking = (each.external_id for each in wanted if part in each.parts)
        return {customers[external_id].id for external_id in asking if external_id in customers}

    ids = those(Part.SUBSCRIPTIONS)
    standings = subscriptions.of_customers(connection, ids, grace) if ids else {}
    ids = those(Part.PAYMENT_METHODS)
    methods = payment_methods.of_customers(connection, ids) if ids else {}
    pages = {
        kind: _pages(connection, {_id(customers, each) for each in wanted if kind in each.pages}, kind)
        for kind in {kind for each in wanted for kind in each.pages}
    }

    found: dict[Wanted, Account] = {}
    for each in wanted:
        its = _id(customers, each)
        found[each] = Account(
            customers.get(each.external_id),
            standings.get(its, ()),
            features.get(each.external_id) or (),
            methods.get(its, ()),
            {kind: page if isinstance(page := pages[kind], BadInput) else page[its] for kind in each.pages},
        )
    return found


def _id(customers: Mapping[str, Customer], wanted: Wanted) -> str:
    """The customer's id; of nobody there are no invoices, but it is checked whether there can be such a page."""
    customer = customers.get(wanted.external_id)
    return customer.id if customer else ""


def _pages(
    connection: sa.Connection, customer_ids: set[str], kind: tuple[int, str | None]
) -> dict[str, Page[Invoice]] | BadInput:
    try:
        found = PAGES.read(connection, [PageRequest(each, *kind) for each in customer_ids])
    except BadInput as error:
        return error
    return {request.customer_id: page for request, page in found.items()}


async def decision(settings: Settings, database: Database, catalog: Catalog, external_id: str, feature: str) -> Grant:
    """Whether a user may use a feature; a user that nobody has heard of may not.

    Raises:
        DatabaseUnavailable: the database cannot be reached.
    """
    products = (await catalog.snapshot()).products
    wanted = Wanted(external_id, frozenset((Part.SUBSCRIPTIONS,)))
    account = (await database.query(lambda connection: read(connection, [wanted], settings.grace)))[wanted]
    return decide(feature, account.standings, account.features, products)
