"""The world that the tests live in: a real offline Stripe and a real gateway, each on a port of its own."""

import asyncio
import atexit
import contextlib
import functools
import hashlib
import hmac
import json
import os
import shutil
import socket
import sqlite3
import ssl
import tempfile
import threading
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cachetools
import httpx
import jwt
import sqlalchemy as sa
import uvicorn
from prometheus_client.parser import text_string_to_metric_families
from sqlmodel import SQLModel

from gateway import migrations
from gateway.app import create_app
from gateway.cli.dev import RATES
from gateway.db.tables import table_for
from gateway.http.options import OPTIONS
from gateway.mirror.backfill import backfill
from gateway.models.mirrored import Product
from gateway.runtime import open_runtime
from gateway.sandbox import SandboxOptions, create_sandbox
from gateway.settings import Settings
from gateway.web.demo import demo_routes
from gateway.web.demo.sign_in import sign_in_routes
from harness.waiting import eventually

SECRET = "whsec_of_the_tests"
SERVICE_TOKEN = "the-token-of-the-back-end-000000"
SERVICE = {"Authorization": f"Bearer {SERVICE_TOKEN}"}
SIGN_IN_SECRET = "the-secret-that-signs-the-tokens-of-the-tests"
SCENE = "SCENE_FOLDER"
"""Names the folder of a scene that was made before."""
NO_TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
"""For the clients of all worlds: each would make one of its own, which takes longer than a request."""


class QuickServer(uvicorn.Server):
    """Uvicorn that ends as soon as it is told, and not with its next tick of a tenth of a second."""

    _is_told = False

    def stop(self) -> None:
        """End; to be called from another thread, and again without effect: the loop may be closing by then."""
        if not self._is_told:
            self._is_told = True
            with contextlib.suppress(RuntimeError):  # it has ended by itself
                self._loop.call_soon_threadsafe(self._end)

    def _end(self) -> None:
        self.should_exit = True
        self._told.set()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        self._loop, self._told = asyncio.get_running_loop(), asyncio.Event()
        await super().startup(sockets)

    async def main_loop(self) -> None:
        ticking, told = asyncio.ensure_future(super().main_loop()), asyncio.ensure_future(self._told.wait())
        await asyncio.wait((ticking, told), return_when=asyncio.FIRST_COMPLETED)
        ticking.cancel()
        told.cancel()


@contextlib.contextmanager
def serve(app: Any, listener: socket.socket, **options: Any) -> Iterator[QuickServer]:
    """Serve an app on a real socket, from a thread of its own, while the block runs."""
    config = uvicorn.Config(app, **{**OPTIONS, "timeout_graceful_shutdown": 2, **options})
    server = QuickServer(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    while not server.started:
        if not thread.is_alive():
            raise RuntimeError("the server did not start")
        time.sleep(0.005)
    try:
        yield server
    finally:
        server.stop()
        thread.join(timeout=10)
        listener.close()


def listening() -> tuple[socket.socket, str]:
    """A free port, taken, and the address of the server that will get it."""
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    return listener, f"http://127.0.0.1:{listener.getsockname()[1]}"


def stripe_signature(body: bytes, secret: str = SECRET, at: int | None = None) -> str:
    """The header with which Stripe signs a body, by default now."""
    moment = int(time.time()) if at is None else at
    return f"t={moment},v1={hmac.new(secret.encode(), b'%d.%b' % (moment, body), hashlib.sha256).hexdigest()}"


@dataclass
class World:
    """One gateway and its offline Stripe.

    Attributes:
        url: the gateway's address.
        stripe_url: the offline Stripe's address.
        sandbox: the offline Stripe's own state (`gateway.sandbox.instance.OfflineStripe`).
        settings: what the gateway runs with.
        client: asks it; whoever made it closes it.
    """

    url: str
    stripe_url: str
    sandbox: Any
    settings: Settings
    client: httpx.Client

    @property
    def gateway_url(self) -> str:
        return self.url

    def graphql(self, query: str, variables: dict[str, Any] | None = None, headers: dict[str, str] | None = None):
        """POST a GraphQL operation; the raw response."""
        return self.client.post(
            f"{self.url}/graphql", json={"query": query, "variables": variables or {}}, headers=headers
        )

    def data(self, query: str, variables: dict[str, Any] | None = None, headers: dict[str, str] | None = None) -> Any:
        """The `data` of a GraphQL operation that must not fail."""
        answer = self.graphql(query, variables, headers).json()
        assert "errors" not in answer, answer["errors"]
        return answer["data"]

    @contextlib.contextmanager
    def twin(self) -> Iterator["World"]:
        """Another gateway on the same database and the same Stripe, as a second machine would run it."""
        listener, url = listening()
        with serve(create_app(self.settings), listener), httpx.Client(timeout=20, verify=NO_TLS) as client:
            yield World(url, self.stripe_url, self.sandbox, self.settings, client)

    def sign_in(self, email: str) -> dict[str, str]:
        """The headers of a sample user who has signed in as `gateway dev` lets them."""
        answer = self.client.post(f"{self.url}/dev/sign-in", json={"email": email})
        assert answer.is_success, answer.text
        return {"Authorization": f"Bearer {answer.json()['token']}"}

    def token(self, subject: str, **claims: Any) -> dict[str, str]:
        """The headers of any user."""
        claims = {"sub": subject, "exp": int(time.time()) + 600, **claims}
        return {"Authorization": f"Bearer {jwt.encode(claims, SIGN_IN_SECRET, algorithm='HS256')}"}

    def stripe(self, method: str, path: str, **form: Any) -> Any:
        """Call the offline Stripe's API; the JSON of a call that must not fail."""
        answer = self.client.request(
            method,
            f"{self.stripe_url}{path}",
            headers={"Authorization": "Bearer sk_test_tests"},
            **({"params": form} if method == "GET" else {"data": form}),
        )
        assert answer.is_success, answer.text
        return answer.json()

    def advance(self, *, to: int) -> None:
        """Let the offline Stripe's time come to a moment (Unix seconds), with all that is due on the way.

        Over HTTP: whoever touched its state from this thread would meet its own loop there, and lose events.
        """
        answer = self.client.post(f"{self.stripe_url}/_sandbox/clock/advance", json={"to": to}, timeout=60)
        assert answer.is_success, answer.text

    def event(self, kind: str, obj: dict[str, Any], *, created: int | None = None, **more: Any) -> dict[str, Any]:
        """An event as Stripe sends it, about `obj`; by default just created."""
        return {
            "id": f"evt_{uuid.uuid4().hex}",
            "object": "event",
            "api_version": "2026-10-28.endive",
            "created": int(time.time()) if created is None else created,
            "livemode": False,
            "pending_webhooks": 1,
            "request": {"id": None, "idempotency_key": None},
            "type": kind,
            "data": {"object": obj},
            **more,
        }

    def deliver(
        self, event: Any, *, secret: str = SECRET, at: int | None = None, url: str | None = None
    ) -> httpx.Response:
        """Post an event (or any raw body) to the gateway (or another at `url`), signed as Stripe signs."""
        body = event if isinstance(event, bytes) else json.dumps(event, indent=2).encode()
        return self.client.post(
            f"{url or self.url}/webhooks/stripe",
            content=body,
            headers={"Stripe-Signature": stripe_signature(body, secret, at), "Content-Type": "application/json"},
        )

    def metrics(self) -> dict[tuple[Any, ...], float]:
        """Every sample of `/metrics`: name and labels to value."""
        text = self.client.get(f"{self.url}/metrics").text
        families = text_string_to_metric_families(text)
        samples = [sample for family in families for sample in family.samples]
        return {(sample.name, *sorted(sample.labels.items())): sample.value for sample in samples}

    def environment(self) -> dict[str, str]:
        """What an operator of this world would have set for a command."""
        return {
            "STRIPE_SECRET_KEY": "sk_test_tests",
            "STRIPE_API_BASE": self.stripe_url,
            "STRIPE_WEBHOOK_SECRET": SECRET,
            "DATABASE_URL": self.settings.database_url.get_secret_value(),
            "GATEWAY_REDIRECT_ORIGINS": "https://shop.example",
        }

    def status_of(self, event: dict[str, Any]) -> str | None:
        """What the inbox says has become of an event."""
        found = self.rows("event", id=event["id"])
        return found[0]["status"] if found else None

    def rows(self, table: str, **equals: Any) -> list[dict[str, Any]]:
        """Rows of a table, as the database holds them."""
        where = " AND ".join(f"{name} = :{name}" for name in equals) or "1 = 1"
        query = f"SELECT * FROM {table} WHERE {where}"  # noqa: S608 - the names are the tests' own
        url = sa.make_url(self.settings.database_url.get_secret_value())
        if url.drivername != "sqlite" or not url.database:
            return [dict(row) for row in self._execute(query, equals).mappings()]
        # By the driver alone: a test looks again and again until something is there.
        with contextlib.closing(sqlite3.connect(url.database)) as connection:
            connection.row_factory = sqlite3.Row
            return [dict(row) for row in connection.execute(query, equals)]

    def _execute(self, statement: str, parameters: dict[str, Any] | None = None) -> sa.CursorResult[Any]:
        with connected(self.settings.database_url.get_secret_value()) as connection:
            result = connection.execute(sa.text(statement), parameters or {})
            return result.freeze()() if result.returns_rows else result

    @contextlib.contextmanager
    def renamed(self, table: str, other: str) -> Iterator[None]:
        """Take a table away while the block runs, so that the database refuses what needs it."""
        self._execute(f"ALTER TABLE {table} RENAME TO {other}")
        try:
            yield
        finally:
            self._execute(f"ALTER TABLE {other} RENAME TO {table}")

    def eventually(self, probe, expected: Any = True, seconds: float = 10) -> Any:
        """Wait until `probe()` gives what is expected (or anything true); fail with the last value after a while."""
        return eventually(probe, expected, seconds)


@contextlib.contextmanager
def make_world(database_url: str, *, fill: bool = True, clock: int | None = None, **overrides: Any) -> Iterator[World]:
    """Start an offline Stripe and a gateway.

    Args:
        database_url: a migrated database.
        fill: whether the mirror is filled before the gateway starts.
        clock: where the offline Stripe's time begins, Unix seconds; None is the present.
        overrides: settings by field name.
    """
    stripe_listener, stripe_url = listening()
    listener, url = listening()
    seed, rows = scene() if fill and clock is None else (None, {})
    sandbox = create_sandbox(
        SandboxOptions(forward_to=f"{url}/webhooks/stripe", webhook_secret=SECRET, clock=clock, seed=seed)
    )
    settings = Settings.load(
        **{
            "stripe_secret_key": "sk_test_tests",
            "stripe_api_base": stripe_url,
            "stripe_webhook_secrets": SECRET,
            "database_url": database_url,
            "redirect_origins": f"{url},https://shop.example",
            "cors_origins": "https://shop.example",
            "service_tokens": SERVICE_TOKEN,
            "auth_hs256_secret": SIGN_IN_SECRET,
            "graphiql": True,
            **dict.fromkeys(RATES, "off"),
            **overrides,
        }
    )
    with serve(sandbox, stripe_listener, date_header=False) as offline:
        if fill and not put_rows(database_url, rows):
            asyncio.run(fill_mirror(settings))
        gateway = create_app(settings, pages=(*demo_routes(stripe_url), *sign_in_routes(settings)))
        with serve(gateway, listener), httpx.Client(timeout=20, verify=NO_TLS) as client:
            try:
                yield World(url, stripe_url, sandbox.state.sandbox, settings, client)
            finally:
                offline.stop()  # each takes a tenth of a second: both at a time


@functools.cache
def scene() -> tuple[Path, dict[sa.Table, list[dict[str, Any]]]]:
    """The sample catalogue at one moment: what seeds the offline Stripe of a test, and the rows of its mirror."""
    if made := os.environ.get(SCENE):
        folder = Path(made)
    else:
        folder = Path(tempfile.mkdtemp(prefix="gateway-scene-"))
        atexit.register(shutil.rmtree, folder, ignore_errors=True)
        make_scene(folder)
    with connected(f"sqlite:///{folder}/filled.db") as connection:
        tables = [table for table in SQLModel.metadata.sorted_tables if table.name != "notification"]
        rows = {table: [dict(row) for row in connection.execute(table.select()).mappings()] for table in tables}
    return folder / "seed.json", {table: found for table, found in rows.items() if found}


def make_scene(folder: Path) -> None:
    """Make the files of it: `empty.db` with the tables alone, `seed.json`, and `filled.db` with the mirror's rows."""
    migrate(f"sqlite:///{folder}/empty.db")
    shutil.copy(folder / "empty.db", folder / "filled.db")
    url = f"sqlite:///{folder}/filled.db"
    listener, stripe_url = listening()
    with serve(create_sandbox(SandboxOptions()), listener, date_header=False):
        (folder / "seed.json").write_bytes(httpx.get(f"{stripe_url}/_sandbox/export").content)
        settings = Settings.load(stripe_secret_key="sk_test_tests", stripe_api_base=stripe_url, database_url=url)
        asyncio.run(fill_mirror(settings))


def put_rows(url: str, rows: dict[sa.Table, list[dict[str, Any]]]) -> bool:
    """Fill a mirror without asking Stripe; whether there was something to put into one that is empty."""
    with connected(url) as connection:
        if not rows or connection.execute(sa.select(sa.exists(sa.select(table_for(Product))))).scalar():
            return False
        for table, found in rows.items():
            connection.execute(table.delete())
            connection.execute(table.insert(), found)
        return True


@contextlib.contextmanager
def connected(url: str) -> Iterator[sa.Connection]:
    """A transaction of the test's own."""
    with _engine(url).begin() as connection:
        yield connection


class _Engines(cachetools.LRUCache[str, sa.Engine]):
    """Closes the connections of what it forgets."""

    def __delitem__(self, url: str) -> None:
        self[url].dispose()
        super().__delitem__(url)


ENGINES = _Engines(maxsize=4)
"""By the database's URL."""
atexit.register(ENGINES.clear)


@cachetools.cached(ENGINES, key=str, lock=threading.Lock())
def _engine(url: str) -> sa.Engine:
    """An engine, which takes longer to make than most that it is asked for.

    On PostgreSQL it keeps a connection: a new one takes the server a process, and a test asks fifteen times.
    """
    parsed = sa.make_url(url)
    if parsed.drivername == "sqlite":
        return sa.create_engine(parsed, poolclass=sa.NullPool)
    return sa.create_engine(parsed.set(drivername="postgresql+psycopg"), pool_size=1, pool_pre_ping=True)


async def fill_mirror(settings: Settings) -> None:
    """What `gateway sync` does."""
    async with open_runtime(settings) as runtime:
        async for _ in backfill(runtime.mirror, runtime.require_stripe()):
            pass


def migrate(url: str) -> None:
    """Make an empty database one of the gateway's."""

    async def upgrade() -> None:
        async with open_runtime(Settings.load(database_url=url)) as runtime:
            await migrations.upgrade(runtime.database)

    asyncio.run(upgrade())
