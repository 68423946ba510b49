"""A pooler before PostgreSQL: the distribution's own PgBouncer."""

import contextlib
import os
import pwd
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import sqlalchemy as sa

from harness.fronts import installed, wait_for
from harness.waiting import free_port

CONFIGURATION = """
[databases]
* = host={folder} user=postgres
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = any
pool_mode = {mode}
default_pool_size = 10
server_login_retry = 1
"""
"""A login that a busy server refused is tried again soon: for its default of 15 s everybody would be refused."""


@contextlib.contextmanager
def pgbouncer(database: str, mode: str) -> Iterator[str]:
    """Run PgBouncer before a server of `harness.postgres`; the URL of a database through it.

    Args:
        database: the URL without it.
        mode: `session`, `transaction` or `statement`.
    """
    program, port, url = installed("pgbouncer"), free_port(), sa.make_url(database)
    sockets = Path(str(url.query["host"]))
    with tempfile.TemporaryDirectory(prefix="gateway-pooler-") as folder:
        Path(folder).chmod(0o755)
        configuration = Path(folder) / "pgbouncer.ini"
        configuration.write_text(CONFIGURATION.format(folder=sockets, port=port, mode=mode))
        # It runs as root no more than the server does, whose folder is closed to everybody else.
        user = ["-u", pwd.getpwuid(sockets.stat().st_uid).pw_name] if os.getuid() == 0 else []
        process = subprocess.Popen([program, *user, str(configuration)], stderr=subprocess.PIPE)
        try:
            wait_for(port, process)
            yield f"postgresql://postgres@127.0.0.1:{port}/{url.database}"
        finally:
            process.terminate()
            process.communicate(timeout=10)
