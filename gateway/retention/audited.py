"""Take out of the audit log who somebody is: that something was done stays, and that it was done under its key.

A key that is asked for again must not do it once more, so that a digest of it is left. What was typed may say who it
was about: the key itself, the name of the actor, the input, and the problems that it was answered with.
"""

import json
from collections.abc import Collection
from hashlib import sha256
from typing import Final

import orjson
import sqlalchemy as sa

from gateway.db.tables import table_for
from gateway.models.audit import AuditEntry

ENTRIES = table_for(AuditEntry)
FORGOTTEN: Final = "erased"
"""The fingerprint of an entry about somebody who was erased, and how its key begins."""


def forget(connection: sa.Connection, external_ids: Collection[str], objects: Collection[str]) -> int:
    """Take a user out of the entries; of how many.

    Args:
        connection: the transaction.
        external_ids: the user's. Where entries about others name one of them, what was typed goes, and no more.
        objects: what is the user's at Stripe.
    """
    theirs = ENTRIES.c.external_id.in_(external_ids) | ENTRIES.c.target.in_(objects)
    spelled = {text for each in external_ids for text in (json.dumps(each), orjson.dumps(each).decode())}
    named = (sa.cast(ENTRIES.c.input, sa.Text).contains(text, autoescape=True) for text in spelled)
    query = sa.select(ENTRIES.c.id, ENTRIES.c.key, theirs.label("is_theirs")).where(sa.or_(theirs, *named))
    found = connection.execute(query.where(ENTRIES.c.fingerprint != FORGOTTEN)).all()
    for row in found:
        who = {"key": forgotten(row.key), "fingerprint": FORGOTTEN, "external_id": None, "actor": None}
        entry = sa.update(ENTRIES).where(ENTRIES.c.id == row.id)
        connection.execute(entry.values(input={}, problems=None, **(who if row.is_theirs else {})))
    return len(found)


def forgotten(key: str) -> str:
    """Return what is left of an idempotency key."""
    return f"{FORGOTTEN} {sha256(key.encode(errors='surrogatepass')).hexdigest()}"
