"""Give many customers to the users who had them elsewhere: looked at first, then linked one by one.

Nothing is taken from anybody: a customer of another user, here or by its metadata at Stripe, a user with another
customer, and a pair that contradicts another one of the same list are told and left; so is a customer that was taken
from its user before, because an old list undoes no operator's decision. What is done is done by `CustomerDesk.link`,
and kept in the audit log; who runs it again finds the pairs of the first run already linked.
"""

from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from enum import StrEnum
from typing import Any, NamedTuple

import sqlalchemy as sa

from gateway.auth.principal import is_subject
from gateway.billing.audit import Action
from gateway.billing.customers import linking
from gateway.billing.customers.directory import CUSTOMER_ID, CustomerDesk
from gateway.billing.user_errors import Rejected
from gateway.db.database import Database
from gateway.db.tables import table_for
from gateway.errors import StripeMissing
from gateway.mirror.reader import Reader
from gateway.models.checkout import CustomerClaim
from gateway.models.mirrored import Customer

CUSTOMERS, CLAIMS = table_for(Customer), table_for(CustomerClaim)
BATCH_SIZE = 400


class Pair(NamedTuple):
    """Who has which customer, by what the other system says."""

    external_id: str
    customer_id: str


class Outcome(StrEnum):
    """What became of a pair."""

    LINKED = "linked"
    WOULD_LINK = "would be linked"
    ALREADY = "already linked"
    CONFLICT = "conflict"
    NOT_FOUND = "not found at Stripe"
    INVALID = "invalid"


class Result(NamedTuple):
    """A pair, what became of it, and why where that is not plain."""

    pair: Pair
    outcome: Outcome
    why: str = ""


class Known(NamedTuple):
    """What the database says of a batch.

    Attributes:
        owners: whose the customers are.
        metadata: what they have at Stripe.
        claimed: those that are a user's, or were.
    """

    owners: dict[str, str | None]
    metadata: dict[str, dict[str, Any]]
    claimed: frozenset[str]


async def move_in(
    pairs: Sequence[Pair],
    desk: CustomerDesk,
    database: Database,
    stripe: Reader,
    action: Callable[..., Action] | None,
    *,
    batch_size: int = BATCH_SIZE,
) -> AsyncIterator[Result]:
    """Link every pair that contradicts nothing, and yield what became of each.

    Args:
        pairs: in the order in which they are told.
        desk: links.
        database: the mirror.
        stripe: is asked for customers that the mirror does not have.
        action: makes the entry of the audit log; None only looks.
        batch_size: how many are looked up in the mirror at once.

    Raises:
        StripeUnavailable: Stripe cannot be reached; a second run goes on from there.
    """
    distinct = list(dict.fromkeys(pairs))
    whose = Counter(pair.customer_id for pair in distinct), Counter(pair.external_id for pair in distinct)
    for start in range(0, len(distinct), batch_size):
        batch = distinct[start : start + batch_size]
        known = await _known(database, batch)
        for pair in batch:
            found = _contradiction(pair, *whose) or _as_known(pair, known.owners)
            yield found or await _barred(pair, known, stripe) or await _link(pair, desk, action)


def _contradiction(pair: Pair, customers: Counter[str], users: Counter[str]) -> Result | None:
    """Return what is wrong with a pair by itself, and beside the others of its list."""
    if CUSTOMER_ID.fullmatch(pair.customer_id) is None:
        return Result(pair, Outcome.INVALID, "this is no customer's id (cus_…)")
    if not is_subject(pair.external_id):  # nobody could sign in as this user
        return Result(pair, Outcome.INVALID, "this is no user's id")
    if customers[pair.customer_id] > 1:
        return Result(pair, Outcome.CONFLICT, "the list gives this customer to several users")
    if users[pair.external_id] > 1:
        return Result(pair, Outcome.CONFLICT, "the list gives this user several customers")
    return None


def _as_known(pair: Pair, known: dict[str, str | None]) -> Result | None:
    """Return what the mirror says of a pair; None where it may be linked."""
    owner = known.get(pair.customer_id)
    if owner == pair.external_id:
        return Result(pair, Outcome.ALREADY)
    if owner is not None:
        return Result(pair, Outcome.CONFLICT, f"it is the customer of {owner}")
    theirs = next((customer for customer, user in known.items() if user == pair.external_id), None)
    return Result(pair, Outcome.CONFLICT, f"this user has {theirs}") if theirs else None


async def _barred(pair: Pair, known: Known, stripe: Reader) -> Result | None:
    """Return why a customer that is nobody's is not the user's; None where it may be linked."""
    metadata = known.metadata.get(pair.customer_id)
    if metadata is None:
        metadata = await _at_stripe(stripe, pair.customer_id)
    if metadata is None:
        return Result(pair, Outcome.NOT_FOUND)
    why = linking.bar(pair.external_id, metadata, claimed=pair.customer_id in known.claimed)
    return Result(pair, Outcome.CONFLICT, why) if why else None


async def _link(pair: Pair, desk: CustomerDesk, action: Callable[..., Action] | None) -> Result:
    if action is None:
        return Result(pair, Outcome.WOULD_LINK)
    try:
        await desk.link(*pair, action, relink=False)
    except Rejected as error:  # somebody else was faster, or Stripe has it no more
        return Result(pair, Outcome.CONFLICT, str(error))
    return Result(pair, Outcome.LINKED)


async def _at_stripe(stripe: Reader, customer_id: str) -> dict[str, Any] | None:
    """Return the metadata of a customer that the mirror does not have; None where Stripe has none either."""
    try:
        found = (await stripe.get(f"/v1/customers/{customer_id}")).object
    except StripeMissing:
        return None
    return None if found.get("deleted") else found.get("metadata") or {}


async def _known(database: Database, pairs: Sequence[Pair]) -> Known:
    """Read whose the customers of some pairs are and were, and which customers their users have."""
    ids, users = [pair.customer_id for pair in pairs], [pair.external_id for pair in pairs]
    query = sa.select(CUSTOMERS.c.id, CUSTOMERS.c.external_id, CUSTOMERS.c.meta).where(
        CUSTOMERS.c.deleted.is_(False), sa.or_(CUSTOMERS.c.id.in_(ids), CUSTOMERS.c.external_id.in_(users))
    )
    claims = sa.select(CLAIMS.c.customer_id).where(CLAIMS.c.customer_id.in_(ids))

    def read(connection: sa.Connection) -> Known:
        rows = connection.execute(query).all()
        claimed = frozenset(connection.execute(claims).scalars())
        return Known({row.id: row.external_id for row in rows}, {row.id: row.meta for row in rows}, claimed)

    return await database.read(read)
