"""The state: JSON documents, read from memory and written through to one SQLite file.

Documents are kept as bytes, so that every read hands out a fresh object which nobody else can change.
The SQLite file is only there to survive: it is read once at start and written once per transaction (WAL, so a
killed process loses at most the transaction it was in).
"""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Mapping
from contextlib import contextmanager
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import orjson

from gateway.sandbox.core.index import Bounds, Index, Numbered, Ordered, Scalar

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

Obj = dict[str, Any]
Key = tuple[str, str]
Narrowing = Collection[Scalar] | Bounds
NOTHING: Mapping[Any, Any] = MappingProxyType({})
_NO_VALUE: Any = ()
"""Stands for a field's value of a document that is not there."""

_SCHEMA = """
CREATE TABLE IF NOT EXISTS documents (seq INTEGER PRIMARY KEY, kind TEXT NOT NULL, id TEXT NOT NULL, body BLOB NOT NULL)
"""


class Store:
    """Documents by kind (their `object`) and id; lists run from the newest to the oldest."""

    def __init__(self, path: Path | None = None) -> None:
        self.rollbacks = 0
        self._bodies: dict[str, dict[str, bytes]] = {}
        self._seq: dict[Key, int] = {}
        self._indexes: dict[str, dict[str, Index]] = {}  # by kind, then by field
        self._ordered: dict[str, Ordered] = {}
        self._next = 1
        self._depth = 0
        self._before: dict[Key, bytes | None] = {}
        self._file = self._open(path) if path else None

    def _open(self, path: Path) -> sqlite3.Connection:
        path.parent.mkdir(parents=True, exist_ok=True)
        # The app uses the store from one event loop; tests look into it from their own thread in between.
        file = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        file.execute("PRAGMA journal_mode=WAL")
        file.execute("PRAGMA synchronous=NORMAL")
        file.execute(_SCHEMA)
        for seq, kind, doc_id, body in file.execute("SELECT seq, kind, id, body FROM documents ORDER BY seq"):
            self._seq[kind, doc_id] = seq
            self._next = seq + 1
            self._write((kind, doc_id), body)
        return file

    @property
    def sequence(self) -> int:
        """A number that grows with every new document."""
        return self._next

    def close(self) -> None:
        """Close the file; the store must not be used afterwards."""
        if self._file:
            self._file.close()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Keep everything put or deleted inside together or, after an exception, not at all. Nests."""
        self._depth += 1
        try:
            yield
        except BaseException:
            if self._depth == 1:
                self._rollback()
            raise
        else:
            if self._depth == 1:
                self._commit()
        finally:
            self._depth -= 1

    @contextmanager
    def dry_run(self) -> Iterator[None]:
        """Undo everything put or deleted inside at the end: to see what would come of it. Nests."""
        outer, self._before = self._before, {}
        self._depth += 1
        try:
            yield
        finally:
            self._rollback(outer)
            self._before = outer
            self._depth -= 1

    def get(self, kind: str, id: str) -> Obj | None:
        """Return a fresh copy of the document, or None."""
        body = self._bodies.get(kind, {}).get(id)
        return None if body is None else orjson.loads(body)

    def put(self, obj: Obj) -> Obj:
        """Insert or replace the document; its `object` and `id` say where. Return the same object."""
        body = memoryview(orjson.dumps(obj)).tobytes()  # a copy: the serializer's own buffer stays as large as it grew
        self._change((obj["object"], obj["id"]), body)
        return obj

    def delete(self, kind: str, id: str) -> None:
        """Forget the document if there is one."""
        self._change((kind, id), None)

    def find(self, kind: str, **equals: Any) -> list[Obj]:
        """Return all documents of the kind whose top-level fields have these values, newest first."""
        return list(self.scan(kind, **equals))

    def first(self, kind: str, **equals: Any) -> Obj | None:
        """Return the newest such document, or None."""
        return next(self.scan(kind, **equals), None)

    def scan(
        self, kind: str, narrowed: Mapping[str, Narrowing] = NOTHING, /, *, after: str | None = None, **equals: Any
    ) -> Iterator[Obj]:
        """Find as `find` does, but lazily, and only what is older than the document `after`.

        Args:
            kind: of the documents.
            narrowed: what the values of further fields are among, or within. A document of another value may be found
                nevertheless: whoever asks looks again.
            after: the id of one.
            equals: the values of fields.
        """
        for doc_id in self._candidates(kind, after, narrowed, equals):
            obj = self.get(kind, doc_id)
            if obj is not None and all(obj.get(field) == value for field, value in equals.items()):
                yield obj

    def ids(self, kind: str, **equals: Any) -> list[str]:
        """Return ids, newest first; exact for one field with a scalar, otherwise a superset."""
        return list(self._candidates(kind, None, NOTHING, equals))

    def _candidates(
        self, kind: str, after: str | None, narrowed: Mapping[str, Narrowing], equals: Mapping[str, Any]
    ) -> Iterator[str]:
        """Yield ids, newest first: by the one filter that finds the fewest."""
        before = self._next if after is None else self._seq[kind, after]
        exact = {field: [value] for field, value in equals.items() if isinstance(value, Scalar)}
        found = []
        for field, wanted in (*exact.items(), *narrowed.items()):
            index = self._index(kind, field)
            found.append(index.within(wanted, before) if isinstance(wanted, Mapping) else index.among(wanted, before))
        if found:
            fewest = min(found, key=lambda each: each.size)
            yield from (doc_id for _, doc_id in fewest.newest_first)
            return
        yield from (doc_id for _, doc_id in self._newest_first(kind, before))

    def count(self, kind: str) -> int:
        """Return how many documents of the kind there are."""
        return len(self._bodies.get(kind, {}))

    def kinds(self) -> list[str]:
        """Return the kinds of which there are documents."""
        return sorted(kind for kind, bodies in self._bodies.items() if bodies)

    def clear(self) -> None:
        """Forget everything."""
        with self.transaction():
            for kind, doc_id in list(self._seq):
                self.delete(kind, doc_id)

    def _change(self, key: Key, body: bytes | None) -> None:
        if self._depth == 0:
            with self.transaction():
                return self._change(key, body)
        before = self._bodies.get(key[0], {}).get(key[1])
        if before is None and body is None:
            return None
        self._before.setdefault(key, before)
        if key not in self._seq:
            self._seq[key] = self._next
            self._next += 1
        self._write(key, body)
        return None

    def _write(self, key: Key, body: bytes | None) -> None:
        kind, doc_id = key
        number = self._seq[key]
        bodies, indexes = self._bodies.setdefault(kind, {}), self._indexes.get(kind, {})
        old = bodies.pop(doc_id, None) if body is None else bodies.get(doc_id)
        if body is not None:
            bodies[doc_id] = body
        if old is None and body is not None:
            self._ordered.setdefault(kind, Ordered()).add(number, doc_id)
        if old is not None and body is None:
            self._ordered[kind].remove(number)
        if not indexes:
            return
        before, after = (None if each is None else orjson.loads(each) for each in (old, body))
        for field, index in indexes.items():
            was, is_now = (_NO_VALUE if each is None else each.get(field) for each in (before, after))
            if was != is_now:
                index.remove(was, number)
                index.add(is_now, number, doc_id)

    def _index(self, kind: str, field: str) -> Index:
        """Return the documents of a kind by the value of a field; made when it is first asked for."""
        indexes = self._indexes.setdefault(kind, {})
        if field not in indexes:
            index = indexes[field] = Index()
            for number, doc_id in reversed([*self._newest_first(kind)]):
                index.add(orjson.loads(self._bodies[kind][doc_id]).get(field), number, doc_id)
        return indexes[field]

    def _newest_first(self, kind: str, before: int | None = None) -> Iterator[Numbered]:
        """Yield the documents of a kind that are older than that of a number."""
        return self._ordered.get(kind, Ordered()).newest_first(self._next if before is None else before)

    def _commit(self) -> None:
        changed, self._before = self._before, {}
        if self._file and changed:
            self._file.execute("BEGIN IMMEDIATE")
            rows = [(self._seq[key], *key, body) for key in changed if (body := self._bodies[key[0]].get(key[1]))]
            self._file.executemany("INSERT OR REPLACE INTO documents VALUES (?, ?, ?, ?)", rows)
            gone = [(self._seq[key],) for key in changed if key[1] not in self._bodies[key[0]]]
            self._file.executemany("DELETE FROM documents WHERE seq = ?", gone)
            self._file.execute("COMMIT")
        for key in changed:
            if key[1] not in self._bodies[key[0]]:
                del self._seq[key]

    def _rollback(self, outer: Mapping[Key, bytes | None] = NOTHING) -> None:
        """Put everything back; a place that the transaction around it has emptied is kept for its end."""
        changed, self._before = self._before, {}
        self.rollbacks += 1
        for key, body in changed.items():
            self._write(key, body)
            if body is None and key not in outer:
                del self._seq[key]
