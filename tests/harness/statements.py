"""What a request asks the database."""

import contextlib
import re
from collections.abc import Iterator

import sqlalchemy as sa
import structlog


@contextlib.contextmanager
def statements() -> Iterator[list[str]]:
    """What the gateway asks the database for a request, without what it does beside it: only a request has an id."""
    seen: list[str] = []
    beside = re.compile(r"PRAGMA|^(BEGIN|COMMIT)|\bcatalog_version\b", re.IGNORECASE)

    def note(_connection, _cursor, statement, *_):
        if "request_id" in structlog.contextvars.get_contextvars() and not beside.search(statement):
            seen.append(statement)

    sa.event.listen(sa.Engine, "before_cursor_execute", note)
    try:
        yield seen
    finally:
        sa.event.remove(sa.Engine, "before_cursor_execute", note)
