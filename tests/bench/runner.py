"""The bench: real server processes, the same load, CPU seconds of each, in alternating rounds of one run.

A figure is a ratio between contestants of the same run, the median of the rounds: what else the machine does at the
time hits all of them alike. `make bench` runs every `bench_*.py` beside this file.
"""

import asyncio
import contextlib
import os
import re
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import uvloop

LENGTH = re.compile(rb"(?i)\r\ncontent-length: (\d+)")


def cpu_seconds(pids: Iterable[int]) -> float:
    """CPU seconds that living processes have used, to the microsecond (the clock ticks of `stat` are too coarse)."""
    total = 0
    for pid in pids:
        with contextlib.suppress(OSError):
            for task in Path(f"/proc/{pid}/task").iterdir():
                total += int((task / "schedstat").read_text().split()[0])
    return total / 1e9


def family(pid: int) -> list[int]:
    """A process and its living descendants."""
    parents: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
                parents.setdefault(int(fields[1]), []).append(int(entry.name))
    found = [pid]
    for each in found:
        found += parents.get(each, [])
    return found


def name_of(pid: int) -> bytes:
    """The command of a process, as it shows itself; empty when it has ended."""
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    return b""


def resident(pid: int) -> float:
    """Megabytes (of 10^6 bytes) that a process has in memory."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass
class Server:
    """A server process under test.

    Attributes:
        name: how the report calls it.
        app: what uvicorn serves (`module:app`, or with `factory` a function).
        environment: its environment variables beside ours.
        others: processes whose CPU is counted as `database`.
        folder: where it is started.
        port: where it listens; a free one when it is 0.
    """

    name: str
    app: str
    environment: dict[str, str] = field(default_factory=dict)
    factory: bool = False
    others: Callable[[], Sequence[int]] = tuple
    folder: Path = Path(__file__).parents[2]
    port: int = 0
    process: subprocess.Popen[bytes] | None = None

    @contextlib.contextmanager
    def running(self) -> Iterator["Server"]:
        """Start it, and stop it at the end."""
        self.port = self.port or free_port()
        environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parent), **self.environment}
        with tempfile.TemporaryFile() as log:  # a file, as in production: what is logged has its price
            self.process = subprocess.Popen(self.command(), cwd=self.folder, env=environment, stdout=log, stderr=log)
            try:
                self._wait()
                yield self
            finally:
                self.process.terminate()
                self.process.wait(20)

    def command(self) -> list[str]:
        """How it is started on its port."""
        command = [sys.executable, "-m", "uvicorn", self.app, "--port", str(self.port), "--no-access-log"]
        command += ["--loop", "uvloop", "--http", "httptools", "--log-level", "warning"]
        command += ["--ws", "websockets-sansio", "--ws-per-message-deflate", "false"]
        return command + (["--factory"] if self.factory else [])

    def _wait(self) -> None:
        deadline = time.monotonic() + 30
        while True:
            with contextlib.suppress(httpx.HTTPError):
                httpx.get(f"http://127.0.0.1:{self.port}/healthz", timeout=2)
                return
            assert self.process is not None
            assert self.process.poll() is None, f"{self.name} did not start"
            assert time.monotonic() < deadline, f"{self.name} does not answer"
            time.sleep(0.05)

    def used(self) -> tuple[float, float]:
        """CPU seconds so far: the server's and the database's."""
        assert self.process is not None
        return cpu_seconds(family(self.process.pid)), cpu_seconds(self.others())


class Gateway(Server):
    """The gateway as it runs in production, its own server included."""

    def command(self) -> list[str]:
        return [sys.executable, "-m", "gateway", "serve", "--port", str(self.port)]


NGINX = """daemon off; worker_processes 1; pid {folder}/nginx.pid; error_log {folder}/error.log;
events {{ worker_connections 1024; }}
http {{
  access_log off; sendfile on; tcp_nopush on; keepalive_requests 10000000;
  client_body_temp_path {folder}; proxy_temp_path {folder};
  fastcgi_temp_path {folder}; uwsgi_temp_path {folder}; scgi_temp_path {folder};
  server {{
    listen 127.0.0.1:{port};
    location / {{ root {folder}; default_type application/json; error_page 405 =200 $uri; }}
  }}
}}
"""


@dataclass
class Nginx(Server):
    """nginx of the distribution, one worker, which serves files; to a POST as well, whose body it reads and forgets.

    Attributes:
        files: the bytes of each path.
    """

    files: dict[str, bytes] = field(default_factory=dict)

    @staticmethod
    def is_there() -> bool:
        """Whether the machine has one."""
        return shutil.which("nginx") is not None

    @contextlib.contextmanager
    def running(self) -> Iterator["Server"]:
        """Start it, and stop it at the end."""
        self.port = self.port or free_port()
        with tempfile.TemporaryDirectory() as folder:
            Path(folder).chmod(0o755)  # its worker is another user
            for path, content in {"/healthz": b"", **self.files}.items():
                (Path(folder) / path.strip("/")).write_bytes(content)
            self._configuration = Path(folder) / "nginx.conf"
            self._configuration.write_text(NGINX.format(folder=folder, port=self.port))
            with super().running():
                yield self

    def command(self) -> list[str]:
        return ["nginx", "-c", str(self._configuration)]


@dataclass(frozen=True)
class Round:
    """One round of one contestant.

    Attributes:
        requests: how many.
        seconds: of wall time.
        cpu: CPU microseconds of the server for each request.
        database: the same of the database.
        latencies: seconds of each request, sorted.
    """

    requests: int
    seconds: float
    cpu: float
    database: float
    latencies: list[float]

    @property
    def rate(self) -> float:
        return self.requests / self.seconds

    def percentile(self, share: float) -> float:
        """The latency that a share of the requests stays below."""
        return self.latencies[min(len(self.latencies) - 1, int(share * len(self.latencies)))]


def request(path: str, body: bytes = b"", headers: dict[str, str] | None = None, method: str = "POST") -> bytes:
    """A whole HTTP request, ready to be sent again and again."""
    lines = [f"{method} {path} HTTP/1.1", "Host: bench", f"Content-Length: {len(body)}"]
    lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
    return "\r\n".join([*lines, "", ""]).encode() + body


def measure(server: Server, requests: Sequence[bytes], *, connections: int = 32, rate: float | None = None) -> Round:
    """Send every request once over some connections, as fast as the server answers or at a rate a second."""
    before = server.used()
    started = time.monotonic()
    latencies = uvloop.run(_fire(server.port, requests, connections, rate))
    seconds = time.monotonic() - started
    cpu, database = ((after - start) / len(requests) * 1e6 for after, start in zip(server.used(), before, strict=True))
    return Round(len(requests), seconds, cpu, database, sorted(latencies))


async def _fire(port: int, requests: Sequence[bytes], connections: int, rate: float | None) -> list[float]:
    load = _Load(requests, rate)
    loop = asyncio.get_running_loop()
    for _ in range(connections):
        await loop.create_connection(lambda: _Connection(load), "127.0.0.1", port)
    load.begin()
    await load.done
    return load.latencies


class _Load:
    """Requests on their way, over whichever connection is free.

    It shares the machine with the server, so that it must be light: no streams, no tasks.

    Args:
        requests: each is sent once.
        rate: how many a second; without one, as fast as they are answered.
    """

    def __init__(self, requests: Sequence[bytes], rate: float | None) -> None:
        self._waiting, self._rate = enumerate(requests), rate
        self._left = len(requests)
        self._loop = asyncio.get_running_loop()
        self._began = 0.0
        self.connections: list[_Connection] = []
        self.latencies: list[float] = []
        self.done = self._loop.create_future()

    def begin(self) -> None:
        """Give every connection its first request."""
        self._began = time.monotonic()
        for connection in self.connections:
            self.send(connection)

    def send(self, connection: "_Connection") -> None:
        """Give a connection the next request, when its time has come."""
        if (following := next(self._waiting, None)) is None:
            return
        place, request = following
        now = time.monotonic()
        due = self._began + place / self._rate if self._rate else now
        if due > now:
            self._loop.call_later(due - now, connection.send, request, due)
        else:
            connection.send(request, due)

    def answered(self, connection: "_Connection", seconds: float) -> None:
        """A connection is free again."""
        self.latencies.append(seconds)
        self._left -= 1
        if self._left:
            self.send(connection)
        elif not self.done.done():
            self.done.set_result(None)

    def failed(self, why: str) -> None:
        """One was not answered as it should be."""
        if not self.done.done():
            self.done.set_exception(AssertionError(why))


class _Connection(asyncio.Protocol):
    """A connection to the server, with one request at a time."""

    def __init__(self, load: _Load) -> None:
        self._load, self._received, self._due = load, b"", 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport
        self._load.connections.append(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self._load.failed(f"the connection ended: {exc}")

    def send(self, request: bytes, due: float) -> None:
        """Send a request that was due at a moment."""
        self._due = due
        self._transport.write(request)  # type: ignore[attr-defined]

    def data_received(self, data: bytes) -> None:
        self._received += data
        head, end, body = self._received.partition(b"\r\n\r\n")
        length = LENGTH.search(head)
        if not end or len(body) < int(length[1] if length else 0):
            return
        self._received = b""
        if not b"200" <= head[9:12] < b"400":
            self._load.failed(f"answered {head[9:12].decode()}")
        self._load.answered(self, time.monotonic() - self._due)


def median(rounds: Sequence[float]) -> float:
    return statistics.median(rounds)


def ratios(of: Sequence[float], to: Sequence[float]) -> float:
    """The median, over the rounds, of one contestant's figure in relation to another's."""
    return statistics.median(one / other for one, other in zip(of, to, strict=True))


def line(*columns: object) -> None:
    """A line of the report, at once."""
    name, *rest = columns
    print(f"{name!s:<34}" + "".join(f"{column!s:>14}" for column in rest), flush=True)  # noqa: T201 - a report


def verdict(what: str, value: float, limit: float) -> bool:
    """Hold a ratio against its limit, and say so."""
    good = value <= limit
    line(f"{'ok  ' if good else 'MISS'} {what}", f"{value:.2f}", f"limit {limit:g}")
    return good
