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
    theirs = CUSTOMERS.c.external_id == owner
    connection.execute(sa.update(CUSTOMERS).where(theirs, CUSTOMERS.c.deleted).values(external_id=None))
    if connection.execute(sa.select(CUSTOMERS.c.id).where(theirs)).first():
        return
    known = sa.select(CLAIMS.c.generation).where(CLAIMS.c.external_id == owner)  # an open one is to be fulfilled
    claim = {"external_id": owner, "generation": 1, "customer_id": customer_id, "created": datetime.now(UTC)}
    try:
        with connection.begin_nested():
            connection.execute(sa.update(CUSTOMERS).where(CUSTOMERS.c.id == customer_id).values(external_id=owner))
            if connection.execute(known.limit(1)).first() is None:
                connection.execute(insert(connection, CLAIMS).values(**claim).on_conflict_do_nothing())
    except IntegrityError:  # another process gave the user another customer a moment ago
        return
    publish(connection, f"user:{owner}")
