"""Kinds of credits: `credits_ai: 500` in a product's metadata brings credits of the kind `ai`.

A customer has an account for each kind, with a balance of its own. That of the kind without a name has the customer's
id, another's has the customer's id, a blank and the kind; Stripe's ids have no blank. What a purchase brings of a kind
bears its name in the same way (the lots' ids and `purchase_id`). So each rule about credits is a rule about one
account, and knows no kinds; and a process of the version before, which asks by Stripe's ids, touches none of these.
"""

from collections.abc import Collection

import sqlalchemy as sa

from gateway.billing.catalog.credit_kinds import is_kind
from gateway.billing.user_errors import Problem, ProblemCode
from gateway.db.queries import PreparedQuery, in_json_array, json_array
from gateway.db.tables import table_for
from gateway.models.credits import CreditAccount

ACCOUNTS = table_for(CreditAccount)


def bad_kind(kind: str) -> Problem | None:
    """Return what is wrong with a kind that somebody names; nothing with the one without a name."""
    if not kind or is_kind(kind):
        return None
    message = "a kind is 1 to 32 of a-z, 0-9 and `_`, and ends with neither `_rollover` nor `_expire_days`"
    return Problem(ProblemCode.CREDIT_KIND_INVALID, message, "kind")


def with_kind(id: str, kind: str) -> str:
    """Return the id of what is about a kind: of an account, by the customer's, of a lot, or of a purchase."""
    return f"{id} {kind}" if kind else id


def split(id: str) -> tuple[str, str]:
    """Return the id of the customer (or of the line, or purchase) and the kind that such an id is about."""
    plain, _, kind = id.partition(" ")
    return plain, kind


_OWNED = PreparedQuery(
    lambda dialect: sa.select(ACCOUNTS.c.customer_id, ACCOUNTS.c.owner_id).where(
        in_json_array(dialect, ACCOUNTS.c.owner_id, "customers")
    )
)


def read_kinds(connection: sa.Connection, customer_ids: Collection[str]) -> dict[str, list[str]]:
    """Return the kinds with a name of which customers have, or had, credits; who never had any is left out."""
    found: dict[str, list[str]] = {}
    for row in _OWNED.rows(connection, customers=json_array(customer_ids)):
        found.setdefault(row.owner_id, []).append(split(row.customer_id)[1])
    return {customer_id: sorted(kinds) for customer_id, kinds in found.items()}
