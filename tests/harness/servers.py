"""The gateway as it runs in production: a process of its own."""

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator

from harness.waiting import answering, free_port


@contextlib.contextmanager
def serving(environment: dict[str, str], port: int | None = None) -> Iterator[tuple[int, int]]:
    """Run `gateway serve` while the block runs; the port, and the process's id.

    Args:
        environment: its settings.
        port: where; by default one that is free.
    """
    port = port or free_port()
    command = [sys.executable, "-m", "gateway", "serve", "--port", str(port)]
    rest = {name: value for name, value in os.environ.items() if not name.startswith(("GATEWAY_", "STRIPE_", "AUTH_"))}
    process = subprocess.Popen(
        command, env={**rest, **environment}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        answering(f"http://127.0.0.1:{port}/healthz", process)
        yield port, process.pid
    finally:
        process.terminate()
        process.wait(20)
