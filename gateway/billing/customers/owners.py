"""Whose a customer is by what stands at Stripe: an effect of every write of a customer.

The gateway writes `metadata.external_id` on each customer that it makes or links, and only who holds the account's key
can write metadata. So a customer without an owner here, whose metadata name a user who has no other customer, belongs
to that user: after commits were lost, or because the seller said so at Stripe. What somebody else holds already stays
as it is; `gateway reconcile` reports it.
"""

from collections.abc import Sequence
from datetime import UTC, datetime

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from gateway.db.notifications import publish
from gateway.db.statements import execute
from gateway.db.tables import insert, table_for
from gateway.mirror.effects import Written
from gateway.models.checkout import CustomerClaim
from gateway.models.mirrored import Customer

CUSTOMERS, CLAIMS = table_for(Customer), table_for(CustomerClaim)
_FREE = (
    sa.select(CUSTOMERS.c.id)
    .where(CUSTOMERS.c.id.in_(sa.bindparam("ids", expanding=True)))
    .where(CUSTOMERS.c.external_id.is_(None), CUSTOMERS.c.deleted.is_(False))
    .order_by(CUSTOMERS.c.id)
)
_THEIRS = sa.select(CUSTOMERS.c.deleted).where(CUSTOMERS.c.external_id == sa.bindparam("owner"))
_LEAVE = (
    sa.update(CUSTOMERS)
    .where(CUSTOMERS.c.external_id == sa.bindparam("owner"), CUSTOMERS.c.deleted)
    .values(external_id=sa.null())
)
_OWN = (
    sa.update(CUSTOMERS)
    .where(CUSTOMERS.c.id == sa.bindparam("customer"))
    .values(external_id=sa.bindparam("owner", type_=sa.String))
)
_CLAIMED = sa.select(CLAIMS.c.generation, CLAIMS.c.customer_id).where(CLAIMS.c.external_id == sa.bindparam("owner"))


def on_write(connection: sa.Connection, written: Sequence[Written]) -> None:
    """Give customers without an owner to the users that their metadata name."""
    named = {row.id: owner for row in written if row.kind == "customer" and (owner := _named(row))}
    if not named:
        return
    for customer_id in connection.execute(_FREE, {"ids": [*named]}).scalars():
        _give(connection, customer_id, named[customer_id])


def _named(row: Written) -> str | None:
    owner = row.columns["meta"].get("external_id")
    return owner if isinstance(owner, str) and owner else None


def _give(connection: sa.Connection, customer_id: str, owner: str) -> None:
    """Write down an owner, unless the user has another customer."""
    theirs = execute(connection, _THEIRS, {"owner": owner})
    if not all(deleted for (deleted,) in theirs):
        return
    if theirs:
        execute(connection, _LEAVE, {"owner": owner})
    try:
        with connection.begin_nested():
            execute(connection, _OWN, {"owner": owner, "customer": customer_id})
            claimed = dict(execute(connection, _CLAIMED, {"owner": owner}))
            if not {customer_id, None} & {*claimed.values()}:  # an open one is to be fulfilled
                claim = {"external_id": owner, "generation": max(claimed, default=0) + 1, "customer_id": customer_id}
                new = insert(connection, CLAIMS).values(**claim, created=datetime.now(UTC))
                connection.execute(new.on_conflict_do_nothing())
    except IntegrityError:  # another process gave the user another customer a moment ago
        return
    publish(connection, f"user:{owner}")
