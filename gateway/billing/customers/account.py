"""The application's users as customers, and what one of them may do: for whoever asks by the application's own ids."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from typing import Any

import sqlalchemy as sa

from gateway.billing.customers import payment_methods
from gateway.billing.invoices import PAGES, has_old_links
from gateway.billing.pagination import Page, PageRequest
from gateway.billing.subscriptions import state
from gateway.billing.subscriptions.for_life import for_life
from gateway.billing.subscriptions.state import (
    ITEMS,
    NEWEST_FIRST,
    SUBSCRIPTION_COLUMNS,
    SUBSCRIPTIONS,
    SubscriptionState,
    join_subscriptions,
)
from gateway.db.clock import now
from gateway.db.queries import JoinedQuery, in_json_array, json_array
from gateway.db.tables import table_for
from gateway.errors import BadInput
from gateway.models.mirrored import Customer, EntitlementSummary, Invoice, PaymentMethod

CUSTOMERS, SUMMARIES = table_for(Customer), table_for(EntitlementSummary)


def _by_user(dialect: str, *, ended: bool) -> sa.Select[Any]:
    """Return customers, what Stripe's entitlements give them, and their subscriptions.

    Another journey to the database costs more than these do where nobody asks for them.
    """
    customers = (
        sa.select(*CUSTOMERS.c, SUMMARIES.c.features, *SUBSCRIPTION_COLUMNS, *ITEMS.c)
        .select_from(CUSTOMERS)
        .outerjoin(SUMMARIES, sa.and_(SUMMARIES.c.id == CUSTOMERS.c.id, SUMMARIES.c.deleted.is_(False)))
        .where(in_json_array(dialect, CUSTOMERS.c.external_id, "users"), CUSTOMERS.c.deleted.is_(False))
        .order_by(*NEWEST_FIRST)
    )
    held = join_subscriptions(dialect, customers, CUSTOMERS.c.id, ended=ended)
    return held.outerjoin(ITEMS, ITEMS.c.subscription_id == SUBSCRIPTIONS.c.id)


_WIDTHS = len(CUSTOMERS.c) + 1, len(SUBSCRIPTION_COLUMNS), len(ITEMS.c)
_COUNTING, _ALL = (JoinedQuery(partial(_by_user, ended=ended), *_WIDTHS) for ended in (False, True))


@dataclass(frozen=True, slots=True)
class AccountSelection:
    """What to read of a user's account, beside the customer, the features and the subscriptions.

    Attributes:
        external_id: the user, by the application's own id.
        ended: whether all subscriptions that have ended, and not only those that count (`state.join_subscriptions`).
        methods: whether the payment methods.
        pages: of the invoices, each as how many and the cursor after which it begins.
        links: whether the links of these invoices, which expire.
    """

    external_id: str
    ended: bool = False
    methods: bool = False
    pages: frozenset[tuple[int, str | None]] = frozenset()
    links: bool = False


@dataclass(frozen=True, slots=True)
class Account:
    """What was read; what was not wanted is empty.

    Attributes:
        customer: None before the first checkout.
        subscriptions: the subscriptions, the newest first.
        features: what Stripe's entitlements give.
        methods: the payment methods, the newest first.
        pages: of the invoices, or why there cannot be such a page.
    """

    customer: Customer | None = None
    subscriptions: Sequence[SubscriptionState] = ()
    features: Sequence[str] = ()
    methods: Sequence[PaymentMethod] = ()
    pages: Mapping[tuple[int, str | None], Page[Invoice] | BadInput] = field(default_factory=dict)

    @property
    def giving(self) -> Sequence[SubscriptionState]:
        """What gives features: the subscriptions, and what was bought for life."""
        return [*self.subscriptions, *for_life(self.customer.owned if self.customer else None)]

    def invoices_with_old_links(self, moment: datetime) -> Iterator[str]:
        """Yield the ids of the invoices whose links may have expired at a moment."""
        for page in self.pages.values():
            if not isinstance(page, BadInput):
                yield from (invoice.id for invoice in page.rows if has_old_links(invoice, moment))

    def invoices(self, first: int, after: str | None) -> Page[Invoice]:
        """Return a page of the invoices that was wanted.

        Raises:
            BadInput: `first` is out of range, or `after` is no cursor.
        """
        page = self.pages[first, after]
        if isinstance(page, BadInput):
            raise page
        return page


def read(
    connection: sa.Connection, wanted: Collection[AccountSelection], grace: timedelta
) -> dict[AccountSelection, Account]:
    """Return the accounts of many users, in as few queries as one user's.

    Args:
        connection: what is read with.
        wanted: whose, and what of it.
        grace: how long access goes on after a failed charge.
    """
    found: dict[AccountSelection, Account] = {}
    for ended in {each.ended for each in wanted}:  # of who does not want all that have ended none is gone through
        some = [each for each in wanted if each.ended is ended]
        users = json_array({each.external_id for each in some})
        rows = (
            _ALL.rows(connection, users=users)
            if ended
            else _COUNTING.rows(connection, users=users, now=now(connection))
        )
        found |= _accounts(connection, some, rows, grace)
    return found


def _accounts(
    connection: sa.Connection, wanted: Collection[AccountSelection], rows: Sequence[Any], grace: timedelta
) -> dict[AccountSelection, Account]:
    """Return the accounts of rows with a customer, a subscription and an item each, with whatever else is wanted."""
    customers = {customer.external_id: customer for customer, _, _ in rows}
    features = {external_id: customer.features for external_id, customer in customers.items()}
    held = [(subscription, item) for _, subscription, item in rows if subscription]
    subscriptions = state.by_customer(connection, held, grace)
    ids = {its.id for each in wanted if each.methods and (its := customers.get(each.external_id))}
    ids -= {each.id for each in customers.values() if each.payer_unverified}  # whose cards are not the user's
    methods = payment_methods.of_customers(connection, ids) if ids else {}
    pages = {
        kind: _pages(connection, {_id(customers, each) for each in wanted if kind in each.pages}, kind)
        for kind in {kind for each in wanted for kind in each.pages}
    }

    found: dict[AccountSelection, Account] = {}
    for each in wanted:
        its = _id(customers, each)
        found[each] = Account(
            customers.get(each.external_id),
            subscriptions.get(its, ()),
            features.get(each.external_id) or (),
            methods.get(its, ()),
            {kind: page if isinstance(page := pages[kind], BadInput) else page[its] for kind in each.pages},
        )
    return found


def _id(customers: Mapping[str, Customer], wanted: AccountSelection) -> str:
    """Return the customer's id; of nobody there are no invoices, but it is checked whether there can be such a page."""
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
