"""What follows from a change of the copy, written down in the same transaction and never altered.

`on_write` is called by the guarded write (`mirror/upsert.py`) with the rows that it has written, whatever brought
them: an event, an answer of Stripe, a repair. So no path can forget the consequences.
"""

from collections.abc import Sequence

import sqlalchemy as sa

from gateway.billing.credits import settlement as credit_ledger
from gateway.mirror.effects import Written
from gateway.outbound import access_watch as watch
from gateway.outbound import outbox


def on_write(connection: sa.Connection, written: Sequence[Written]) -> None:
    """Write what follows from these rows.

    Args:
        connection: the transaction that wrote them.
        written: the rows, as they are now.
    """
    outbox.on_write(connection, written)
    watch.on_write(connection, written)
    credit_ledger.on_write(connection, written)
