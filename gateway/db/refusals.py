"""What PostgreSQL, or the way to it, says to who would connect, in words of ours: never the password.

A connection that was refused has no SQLSTATE in libpq, so that its message is read. A server whose `lc_messages` is not
English is answered for in general words.
Sources: the messages of PostgreSQL's `auth.c`, `postinit.c` and `fe-connect.c`.
"""

import re
from typing import NamedTuple

from sqlalchemy.engine import URL

from gateway.db.engines import connect_arguments
from gateway.db.errors import NO_CONNECTION


class Refusal(NamedTuple):
    """What was answered, and what to do."""

    finding: str
    fix: str


RULES = {
    r"password authentication failed|no password supplied": Refusal(
        "PostgreSQL refuses the password of the user {user}", "correct the user and the password in DATABASE_URL"
    ),
    r'role ".*" does not exist': Refusal(
        "PostgreSQL has no user {user}", "CREATE ROLE … LOGIN, or name another user in DATABASE_URL"
    ),
    r'database ".*" does not exist': Refusal(
        "PostgreSQL has no database {database}", "CREATE DATABASE, or name another one in DATABASE_URL"
    ),
    r"permission denied for database|not permitted to log in": Refusal(
        "PostgreSQL lets the user {user} not into the database {database}", "GRANT CONNECT, or name another user"
    ),
    r"no pg_hba\.conf entry|pg_hba\.conf rejects": Refusal(
        "PostgreSQL's pg_hba.conf lets the user {user} not in from here", "add a line for this machine, or use TLS"
    ),
    NO_CONNECTION: Refusal(
        "PostgreSQL has no connection left", "lower GATEWAY_DATABASE_CONNECTIONS, or raise max_connections"
    ),
    r"starting up|shutting down|recovery mode": Refusal(
        "PostgreSQL starts or ends at this moment", "wait, and look again"
    ),
    r"Connection refused|No such file or directory": Refusal(
        "nothing answers as PostgreSQL at {place}", "start it, or correct the host and the port in DATABASE_URL"
    ),
    r"could not translate host name|Name or service not known|failed to resolve|nodename nor servname": Refusal(
        "there is no host {place}", "correct the host in DATABASE_URL"
    ),
    r"timeout expired|timed out|No route to host|unreachable": Refusal(
        "nothing is heard of PostgreSQL at {place}", "look at the network, the firewall and the host in DATABASE_URL"
    ),
    r"SSL|certificate": Refusal(
        "TLS with PostgreSQL fails", "see sslmode and sslrootcert of DATABASE_URL, and the server's certificate"
    ),
}
"""What a message that holds the expression says; the first counts."""


def refusal_of(message: str, url: URL) -> Refusal | None:
    """Return what a message of psycopg's says; None where it is none of the known ones."""
    named = {"user": url.username or "", "database": url.database or "", "place": _place(url)}
    for expression, refusal in RULES.items():
        if re.search(expression, message):
            return Refusal(refusal.finding.format(**named), refusal.fix)
    return None


def _place(url: URL) -> str:
    hosts = url.query.get("host") or url.host or "localhost"
    name = hosts if isinstance(hosts, str) else ", ".join(hosts)
    return f"{name}:{url.port}" if url.port else name


async def refusal(url: URL) -> Refusal | None:
    """Try to connect to PostgreSQL, and return what it answers; None where it lets us in, or says what nobody knows."""
    import psycopg  # noqa: PLC0415 - SQLite needs none of it

    try:
        await (await psycopg.AsyncConnection.connect(**connect_arguments(url))).close()
    except (psycopg.Error, OSError) as error:
        return refusal_of(str(error), url)
    return None
