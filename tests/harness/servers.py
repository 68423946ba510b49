"""The gateway as it runs in production: a process of its own."""

import contextlib
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator

import httpx


@contextlib.contextmanager
def serving(environment: dict[str, str]) -> Iterator[tuple[int, int]]:
    """Run `gateway serve` on a free port while the block runs; the port, and the process's id.

    Args:
        environment: its settings.
    """
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "gateway", "serve", "--port", str(port)]
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("GATEWAY_", "STRIPE_", "AUTH_"))}
    process = subprocess.Popen(
        command, env={**kept, **environment}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        deadline = time.monotonic() + 60
        while True:
            with contextlib.suppress(httpx.TransportError):
                httpx.get(f"http://127.0.0.1:{port}/healthz", timeout=5)
                break
            assert process.poll() is None, "the gateway did not start"
            assert time.monotonic() < deadline, "the gateway does not answer"
            time.sleep(0.05)
        yield port, process.pid
    finally:
        process.terminate()
        process.wait(20)
