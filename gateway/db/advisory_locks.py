"""One at a time about the same payment or purchase, so that nobody overlooks what another is just writing.

A refund and the payment it belongs to may arrive at the same instant on two processes. Each would look for the other
and find it not committed yet. So both first wait for whoever is at work on the same id, and then see what was written.
"""

from collections.abc import Collection

import sqlalchemy as sa

_LOCK = sa.text(
    "SELECT pg_advisory_xact_lock(key) FROM (SELECT DISTINCT hashtextextended(id, 0) AS key "
    "FROM unnest(CAST(:ids AS text[])) AS id ORDER BY key) AS keys"
)


def one_at_a_time(connection: sa.Connection, ids: Collection[str]) -> None:
    """Wait until nobody else is at work on these ids, and keep others waiting until the transaction ends.

    Nothing to do on SQLite, which has one writer. Whoever locks payments and purchases locks the payments first.
    """
    if ids and connection.dialect.name == "postgresql":
        connection.execute(_LOCK, {"ids": sorted(ids)})
