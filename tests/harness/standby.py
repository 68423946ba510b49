"""A standby of a PostgreSQL server of the tests: copied by `pg_basebackup`, following it, promoted when it is lost."""

import contextlib
import pwd
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import sqlalchemy as sa

from harness.waiting import eventually

NAME = "standby"
START = ("-w", "-l", "log", "-o")


@dataclass
class Pair:
    """A server that answers, and one that follows it.

    Attributes:
        primary: the server of `harness.postgres`.
        folder: the standby's data and its socket.
    """

    primary: Any
    folder: Path

    def url(self, database: str) -> str:
        """The URL of a database of the pair: whichever of them can be written."""
        primary, standby = sa.make_url(self.primary.get_uri()).query["host"], str(self.folder)
        query = {"host": (str(primary), standby), "target_session_attrs": "read-write"}
        url = sa.URL.create("postgresql", "postgres", database=database, query=query)
        return url.render_as_string(hide_password=False)

    def run(self, program: str, *words: str) -> None:
        """Run one of PostgreSQL's programs as the user whose servers these are."""
        user = self.primary.system_user
        command = [self.primary.bin_path / program, *words]
        subprocess.run(command, user=user, cwd=self.folder, check=True, stdout=subprocess.DEVNULL)

    def at_primary(self, statement: str) -> list[tuple[Any, ...]]:
        """Run a statement at the server that answers."""
        return self._at(self.primary.get_uri(), statement)

    def at_standby(self, statement: str) -> list[tuple[Any, ...]]:
        """Run a statement at the server that follows."""
        return self._at(f"postgresql://postgres@/postgres?host={self.folder}", statement)

    def _at(self, url: str, statement: str) -> list[tuple[Any, ...]]:
        with psycopg.connect(url, autocommit=True) as connection:
            cursor = connection.execute(statement)
            return cursor.fetchall() if cursor.description else []

    def be_synchronous(self) -> None:
        """Let each commit wait for the standby."""
        self.at_primary(f"ALTER SYSTEM SET synchronous_standby_names = '{NAME}'")
        self.at_primary("ALTER SYSTEM SET synchronous_commit = on")
        self.at_primary("SELECT pg_reload_conf()")
        eventually(lambda: self.at_primary("SELECT sync_state FROM pg_stat_replication"), [("sync",)])

    def cut(self) -> None:
        """Let the standby follow no more, as when the network between the two is gone."""
        self.at_standby("ALTER SYSTEM SET primary_conninfo = 'host=/nowhere'")
        self.at_standby("SELECT pg_reload_conf()")
        eventually(lambda: self.at_standby("SELECT count(*) FROM pg_stat_wal_receiver"), [(0,)])

    def fail_over(self) -> None:
        """Lose the primary, as in a crash, and let the standby take its place."""
        self.run("pg_ctl", "-D", str(self.primary.pgdata), "-m", "immediate", "-w", "stop")
        self.at_standby("SELECT pg_promote()")


@contextlib.contextmanager
def standby_of(primary: Any) -> Iterator[Pair]:
    """Copy a server and let the copy follow it, while the block runs."""
    with tempfile.TemporaryDirectory(prefix="gateway-standby-", ignore_cleanup_errors=True) as folder:
        pair = Pair(primary, Path(folder))
        if primary.system_user:
            found = pwd.getpwnam(primary.system_user)
            subprocess.run(["chown", f"{found.pw_uid}:{found.pw_gid}", folder], check=True)
        data, host = str(Path(folder) / "data"), sa.make_url(primary.get_uri()).query["host"]
        pair.run(
            "pg_basebackup", "-D", data, "-R", "-c", "fast", "-d", f"host={host} user=postgres application_name={NAME}"
        )
        pair.run("pg_ctl", "-D", data, *START, f'-h "" -k {folder}', "start")
        try:
            eventually(lambda: pair.at_primary("SELECT state FROM pg_stat_replication"), [("streaming",)])
            yield pair
        finally:
            pair.run("pg_ctl", "-D", data, "-m", "immediate", "-w", "stop")
