"""What follows from a change of the copy, written down in the same transaction and never altered.

`react` is called by the guarded write (`mirror/upsert.py`) with the rows that it has written, whatever brought them: an
event, an answer of Stripe, a repair. So no path can forget the consequences.
"""

from collections.abc import Sequence

import sqlalchemy as sa

from gateway.billing.credits import settlement as credit_ledger
from gateway.mirror.effects import Written
from gateway.outbound import access_watch as watch
from gateway.outbound import outbox


def react(connection: sa.Connection, written: Sequence[Written]) -> None:
    """Write what follows from these rows.

    Args:
        connection: the transaction that wrote them.
        written: the rows, as they are now.
    """
    outbox.react(connection, written)
    watch.react(connection, written)
    credit_ledger.react(connection, written)
