"""Mark customers whose access may have changed, for `gateway/billing/subscriptions/access_changes.py`.

Access follows from several rows at once, and from time alone. So a change decides nothing here: it marks its customer
as due, in its own transaction, and the check that follows finds everything that was committed.
"""

from collections.abc import Collection, Sequence
from functools import lru_cache
from typing import Any

import sqlalchemy as sa

from gateway.db.clock import now
from gateway.db.database import ENDPOINTS
from gateway.db.notifications import publish
from gateway.db.tables import insert, table_for
from gateway.mirror.effects import Written
from gateway.models.mirrored import Charge, Invoice
from gateway.models.outbound import AccessWatch

WATCHES, CHARGES, INVOICES = table_for(AccessWatch), table_for(Charge), table_for(Invoice)

KINDS = frozenset({"subscription", "invoice", "checkout.session", "charge", "credit_note"})
"""Of objects whose changes are told to the application, or change access."""

NO_ACCESS = ""
"""What is kept of a customer without access, whatever the reason."""


def on_write(connection: sa.Connection, written: Sequence[Written]) -> None:
    """Tell whose access these rows are about, and mark them; the latter only where an endpoint is configured.

    The rows stay locked until the commit, so that the ids of one customer's messages are in the order of their commits.
    """
    due = {row.columns["customer_id"] for row in written if row.kind in KINDS}
    due |= {row.id for row in written if row.kind == "customer"}
    if disputed := {row.columns["charge_id"] for row in written if row.kind == "dispute"}:
        due.update(connection.execute(sa.select(CHARGES.c.customer_id).where(CHARGES.c.id.in_(disputed))).scalars())
    if paid := {
        row.columns["invoice_id"] for row in written if row.kind == "invoice_payment"
    }:  # its charge may be back
        due.update(connection.execute(sa.select(INVOICES.c.customer_id).where(INVOICES.c.id.in_(paid))).scalars())
    due.discard(None)
    publish(connection, *(f"customer:{each}" for each in due))  # a dispute names no customer
    new = {row.columns["customer_id"] for row in written if row.kind == "subscription" and row.created}
    mark(connection, due, new)


def mark(connection: sa.Connection, customer_ids: Collection[str], new: Collection[str] = ()) -> None:
    """Have the access of some customers checked after the commit.

    A check holds the row meanwhile: this waits for it, and has it done again.

    Args:
        connection: the transaction of the change.
        customer_ids: whose.
        new: those of them with a subscription that was not there before. Where nothing is kept of them, they had no
            access; of others nobody knows, so that the first check is silent.
    """
    if not customer_ids or not connection.info.get(ENDPOINTS):
        return
    present = now(connection)
    connection.execute(
        _due(connection.dialect.name),
        [
            {"customer_id": each, "check_at": present, "last_notified": NO_ACCESS if each in new else None}
            for each in sorted(customer_ids)  # one order for all, so that two of them wait in turn and do not block
        ],
    )


@lru_cache
def _due(dialect: str) -> Any:
    """INSERT whose access is due to be checked, or UPDATE it; what the application was told last stays."""
    new = insert(dialect, WATCHES)
    last_notified = sa.func.coalesce(WATCHES.c.last_notified, new.excluded.last_notified)
    due = {"check_at": new.excluded.check_at, "last_notified": last_notified}
    return new.on_conflict_do_update(index_elements=["customer_id"], set_=due)
