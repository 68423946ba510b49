"""One customer as an operator sees it: also one that is no user's, and why access is as it is."""

from dataclasses import dataclass, field
from datetime import timedelta

import sqlalchemy as sa
from sqlmodel import col

from gateway.billing.customers.account import Account
from gateway.billing.subscriptions import state
from gateway.billing.subscriptions.access import Step
from gateway.billing.subscriptions.entitlements import Grant, Offers, decide
from gateway.db.database import Database
from gateway.db.rows import first_row, row_by_id
from gateway.models.mirrored import Customer, EntitlementSummary


@dataclass(frozen=True, slots=True)
class CustomerPage:
    """What decides about one customer.

    Attributes:
        row: the customer.
        account: with its subscriptions that count, the newest first.
        steps: how the access of each subscription was decided.
    """

    row: Customer
    account: Account
    steps: list[Step] = field(default_factory=list)

    def why(self, feature: str, offers: Offers) -> tuple[Grant, list[Step]]:
        """Return the decision on a feature, and its steps.

        Args:
            feature: its key.
            offers: the catalogue's features.
        """
        steps = list(self.steps)
        return decide(feature, self.account.giving, self.account.features, offers, steps), steps


async def read_customer(database: Database, id: str, grace: timedelta) -> CustomerPage | None:
    """Return a customer by Stripe's id, or by the application's own.

    Args:
        database: the mirror.
        id: `cus_…`, or the user's.
        grace: how long access goes on after a failed charge.
    """

    def read(connection: sa.Connection) -> CustomerPage | None:
        row = row_by_id(connection, Customer, id)
        if row is None:
            row = first_row(connection, Customer, col(Customer.external_id) == id)
        if row is None:
            return None
        steps: list[Step] = []
        held = state.of_customers(connection, [row.id], grace, steps).get(row.id, [])
        summary = row_by_id(connection, EntitlementSummary, row.id)
        features = summary.features if summary and not summary.deleted else ()
        return CustomerPage(row, Account(row, held, features), steps)

    return await database.read(read)
