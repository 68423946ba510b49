"""Spend credits, and read the balance and the ledger."""

from collections.abc import Collection
from typing import Any

import sqlalchemy as sa
from sqlmodel import col

from gateway.billing.credits.held import settle_held
from gateway.billing.credits.kinds import bad_kind, with_kind
from gateway.billing.credits.ledger import (
    ACCOUNTS,
    ENTRIES,
    LOTS,
    expire_credits,
    expired,
    expired_accounts,
    is_filled,
    is_open,
    remaining,
)
from gateway.billing.credits.spending import Purses, Spend, entries_of
from gateway.billing.pagination import Order, Pages
from gateway.billing.user_errors import Problem, ProblemCode, Rejected
from gateway.db.clock import now
from gateway.db.database import Database
from gateway.db.queries import PreparedQuery, in_json_array, json_array
from gateway.db.rows import first_row
from gateway.models.columns import UtcDateTime
from gateway.models.credits import CreditEntry
from gateway.models.mirrored import Customer

EXPIRY_SECONDS = 60
MAX_SPEND = 2**53 - 1
MAX_KEY, MAX_REASON, MAX_META = 255, 500, 50


async def spend(database: Database, wanted: Spend) -> CreditEntry:
    """Spend credits, those that run out first before others; all of them or none. Return the entry in the ledger.

    Raises:
        Rejected: what must be fixed; `current` is the account's id then, if there is one.
        DatabaseUnavailable: the database cannot be reached; the same spend can be sent again.
    """
    if problems := _problems(wanted):
        raise Rejected(*problems)
    his = col(Customer.external_id) == wanted.external_id, col(Customer.deleted).is_(False)
    customer = await database.read(lambda connection: first_row(connection, Customer, *his))
    if customer is None:
        message = "this user has bought nothing yet: a first checkout comes before it"
        raise Rejected(Problem(ProblemCode.NO_CUSTOMER, message, "externalId"))
    account_id = with_kind(customer.id, wanted.kind)

    def work(connection: sa.Connection) -> CreditEntry | Problem:
        # the first one also for a kind with a name, so that a key is looked for by one at a time
        purses = Purses(connection, {customer.id, account_id}, [wanted.key])
        on_hold = settle_held(connection, [account_id], now(connection)).get(account_id, 0)
        if problem := purses.spend(account_id, wanted, on_hold):
            return problem
        purses.save()
        (entry,) = entries_of(connection, [customer.id], [wanted.key])
        return CreditEntry(**{name: getattr(entry, name) for name in CreditEntry.model_fields})

    outcome = await database.transaction(work)
    if isinstance(outcome, Problem):
        raise Rejected(outcome, current=account_id)
    return outcome


def _problems(wanted: Spend) -> tuple[Problem, ...]:
    """Return what is wrong with a request, whoever's credits it is about."""
    found = []
    if not 1 <= wanted.amount <= MAX_SPEND:
        found.append(
            Problem(ProblemCode.AMOUNT_INVALID, f"the amount is out of range: spend 1 to {MAX_SPEND} credits", "amount")
        )
    if not 1 <= len(wanted.key) <= MAX_KEY:
        message = f"the key is empty or too long: use 1 to {MAX_KEY} characters, such as a UUID"
        found.append(Problem(ProblemCode.IDEMPOTENCY_KEY_INVALID, message, "idempotencyKey"))
    if problem := bad_kind(wanted.kind):
        found.append(problem)
    if len(wanted.reason or "") > MAX_REASON:
        found.append(
            Problem(ProblemCode.COMMENT_TOO_LONG, f"the reason is too long: at most {MAX_REASON} characters", "reason")
        )
    if len(wanted.meta) > MAX_META or any(len(key) > 40 or len(text) > 500 for key, text in wanted.meta.items()):  # noqa: PLR2004 - Stripe's own limits
        message = (
            f"the metadata are too large: at most {MAX_META} entries, keys up to 40 and values up to 500 characters"
        )
        found.append(Problem(ProblemCode.METADATA_INVALID, message, "metadata"))
    return tuple(found)


async def run_expiry(database: Database) -> None:
    """Expire credits that have run out, until cancelled. It is for the history: they cannot be spent before either."""
    while True:
        while await database.read(expired_accounts):  # without the writer's lock where there is nothing
            await database.transaction(expire_credits)
        await database.clock.sleep(EXPIRY_SECONDS)


def _balances(dialect: str) -> sa.Select[Any]:
    mine = LOTS.c.customer_id == ACCOUNTS.c.customer_id
    over = is_open, is_filled, expired(sa.bindparam("now", type_=UtcDateTime))
    lost = sa.select(sa.func.coalesce(sa.func.sum(remaining), 0)).where(mine, *over).correlate(ACCOUNTS)
    ever = sa.exists().where(mine).correlate(ACCOUNTS)
    total = ACCOUNTS.c.balance - lost.scalar_subquery()
    return sa.select(ACCOUNTS.c.customer_id, total.label("total")).where(
        in_json_array(dialect, ACCOUNTS.c.customer_id, "accounts"), ever
    )


_BALANCES = PreparedQuery(_balances)


def balances(connection: sa.Connection, account_ids: Collection[str]) -> dict[str, int]:
    """Return how many credits are in accounts, without expired ones; where there never were any is left out."""
    rows = _BALANCES.rows(connection, accounts=json_array(account_ids), now=now(connection))
    return {row.customer_id: int(row.total) for row in rows}


PAGES: Pages[CreditEntry] = Pages(ENTRIES.c, Order(ENTRIES.c.id, kind="credit"))
"""The ledger."""
