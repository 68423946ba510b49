"""Blocking engines of both databases."""

import os
import re
from typing import Any, Protocol
from urllib.parse import quote

import orjson
import sqlalchemy as sa
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

from gateway.errors import SettingsError

DRIVERS = {"sqlite": "sqlite", "postgresql": "postgresql+psycopg", "postgres": "postgresql+psycopg"}
_OPTIONS: dict[str, Any] = {
    "hide_parameters": True,  # errors do not quote what was written
    "json_serializer": lambda value: orjson.dumps(value).decode(),
    "json_deserializer": orjson.loads,
}


def database_url(text: str) -> URL:
    """Return `DATABASE_URL` with the driver that the gateway uses.

    Args:
        text: as SQLAlchemy writes it, or with several hosts as libpq does (`postgresql://host1:5432,host2:5433/name`).

    Raises:
        SettingsError: it is no URL, or of a database that is not supported.
    """
    try:
        url = make_url(_SEVERAL_HOSTS.sub(_hosts_as_parameters, text))
        driver = DRIVERS.get(url.drivername.split("+")[0])
        if driver is None:
            raise SettingsError(f"DATABASE_URL: {url.drivername} is not supported; use sqlite:/// or postgresql://")
        url = url.set(drivername=driver)
        if driver != "sqlite":
            connect_arguments(url)
    except (ArgumentError, ValueError):
        raise SettingsError(
            "DATABASE_URL: not a database URL; use sqlite:///path or postgresql://user:password@host/name"
        ) from None
    return url


_SEVERAL_HOSTS = re.compile(r"(postgres\w*://(?:[^@/?]*@)?)(?![^/?]*@)([^/?]*,[^/?]*)(/[^?]*)?(?:\?(.*))?")


def _hosts_as_parameters(found: re.Match[str]) -> str:
    """Return a URL with several hosts as SQLAlchemy writes it, whose parser knows one port."""
    start, hosts, name, parameters = found.groups(default="")
    if ":" not in hosts:
        return found[0]
    listed = [f"host={quote(host)}" for host in hosts.split(",")]
    return f"{start}{name or '/'}?{'&'.join(filter(None, [parameters, *listed]))}"


DEFAULTS: dict[str, int | str] = {
    "client_encoding": "utf8",  # whatever PGCLIENTENCODING or the role's settings are
    "connect_timeout": 5,
    "keepalives_idle": 5,
    "keepalives_interval": 5,
    "keepalives_count": 2,
    "tcp_user_timeout": 15_000,
}
"""What holds unless `DATABASE_URL` says so. A host that is gone without a word is given up after 15 s, where a system
waits for a quarter of an hour. Source: https://www.postgresql.org/docs/current/libpq-connect.html."""


def connect_arguments(url: URL) -> dict[str, Any]:
    """Return the arguments with which psycopg connects to a database, as SQLAlchemy gives them to it."""
    _, arguments = url.get_dialect()().create_connect_args(url)
    return {**_defaults(url), **arguments}


def _defaults(url: URL) -> dict[str, int | str]:
    """Return the arguments of `DEFAULTS` that the URL does not give.

    Whatever `DateStyle` the server or the role has, psycopg reads times in ISO's alone; libpq has no keyword for it.
    """
    if os.environ.get("PGDATESTYLE") != "ISO":
        os.environ["PGDATESTYLE"] = "ISO"
    return {name: value for name, value in DEFAULTS.items() if name not in url.query}


class Engines(Protocol):
    """What makes the engines of a database, as `create_engines` does."""

    def __call__(self, url: URL, *, readers: int, writers: int) -> tuple[sa.Engine, sa.Engine]:
        """Return an engine for readings and one for transactions."""


def create_engines(url: URL, *, readers: int, writers: int) -> tuple[sa.Engine, sa.Engine]:
    """Return an engine for readings and one for transactions.

    A reading has no use for a transaction: each of its statements sees what is committed, as PostgreSQL has it within
    one too. BEGIN and ROLLBACK around one SELECT would be two more round trips.

    Args:
        url: of `database_url`.
        readers: the most connections that read.
        writers: the most connections that write; SQLite has one writer in any case.
    """
    if url.drivername == "sqlite":
        from gateway.db.sqlite import create_engine

        return create_engine(url, readers, None, **_OPTIONS), create_engine(url, 1, "BEGIN IMMEDIATE", **_OPTIONS)
    options = {**_OPTIONS, "max_overflow": 0, "pool_use_lifo": True, "connect_args": _defaults(url)}
    reads = {"isolation_level": "AUTOCOMMIT", "skip_autocommit_rollback": True}
    return (
        sa.create_engine(url, **options, **reads, pool_size=readers),
        sa.create_engine(url, **options, pool_size=writers),
    )
