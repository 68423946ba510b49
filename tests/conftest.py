"""The fixtures: databases, empty and migrated, and the world on them (`world.py`)."""

import atexit
import contextlib
import functools
import gc
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import hypothesis
import pytest
import sqlalchemy as sa
from sqlmodel import SQLModel

from gateway.db.database import ENDPOINTS, PUBLISHED
from gateway.db.engines import create_engines
from gateway.db.engines import database_url as database_url_of
from gateway.graphql.ide import assets
from harness.gateway import World, make_world, migrate
from harness.postgres import PostgresDatabases, postgres_server
from harness.shared_caches import log_plain_tracebacks, share_caches

# Nobody here speaks TLS, and every new client would read the whole list of authorities: a fortieth of a second each.
os.environ.pop("SSL_CERT_FILE", None)
os.environ["SSL_CERT_DIR"] = os.devnull
share_caches()
log_plain_tracebacks()


LONGEST = (
    *("test_outbox", "test_histories", "test_processes", "test_simulation", "test_erase", "test_serve"),
    *("test_changes_are_heard", "test_usage", "test_stripe_away", "test_sync"),
    *("test_document_cache", "test_ties", "test_both_ways", "test_mirror"),
)
"""Files whose tests take longest, the longest first: begun at the start, none of them is waited for in the end."""


TEMPLATE, SERVER = "SQLITE_TEMPLATE", "POSTGRES_SERVER"
"""Name what was made before: `make mutants` runs the tests in a process of its own for each mutant."""

# How long it takes to think an example up says something of the machine, and nothing of the code.
hypothesis.settings.register_profile(
    "unhurried", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("unhurried")


SERVERS = {
    "world",
    "shop",
    "database_url",
    "new_sqlite",
    "sqlite_template",
    "postgres",
    "own_postgres",
    "sandbox_factory",
}
"""The fixtures that start something, or stand for a database; `make quick` runs what needs none of them."""
SLOW = {"e2e", "soak", "conformance", "cli", "ide", "test_command", "test_document_cache", "test_memory", "test_server"}
SLOW |= {"test_smuggling", "test_stripe_away"}
"""Folders and files whose tests start processes, or wait."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add `--quick`: only the tests that start no server, no database, no browser and no process."""
    parser.addoption("--quick", action="store_true", help="only what starts nothing: the pure rules")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Keep what `--quick` wants; have each worker begin with its share of the longest tests."""
    if config.getoption("--quick"):
        items[:] = [item for item in items if _starts_nothing(item)]
    items[:] = _in_shares(items, int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1")))


def _in_shares(items: list[pytest.Item], workers: int) -> list[pytest.Item]:
    """Order tests by who begins with them: `--dist worksteal` gives each worker as many of them as they come.

    Three workers begin with those that mostly wait, for a minute each. One has those that need a browser, whose start
    takes seconds of CPU for each file, and those that hold the offline Stripe against Stripe's description, which takes
    as many seconds to make. The others begin with the longest.
    """
    if workers < 5:
        return items
    kinds: dict[str, list[pytest.Item]] = {"paced": [], "described": [], "long": [], "other": []}
    for item in items:
        kinds[_kind(item)].append(item)
    long = sorted(kinds["long"], key=lambda item: LONGEST.index(item.path.stem))
    shares = [
        *(kinds["paced"][worker::3] for worker in range(3)),
        kinds["described"],
        *(long[worker :: workers - 4] for worker in range(workers - 4)),
    ]
    each, others = -(-len(items) // workers), iter(kinds["other"])
    filled = [[*share, *islice(others, max(0, each - len(share)))] for share in shares]
    return [item for share in filled for item in share]


def _kind(item: pytest.Item) -> str:
    """Return what a test asks of its worker."""
    if item.get_closest_marker("paced"):
        return "paced"
    if item.get_closest_marker("browser") or "contracts" in getattr(item, "fixturenames", ()):
        return "described"
    return "long" if item.path.stem in LONGEST else "other"


def _starts_nothing(item: pytest.Item) -> bool:
    fixtures = set(getattr(item, "fixturenames", ()))
    if item.get_closest_marker("postgres"):
        return False
    return not fixtures & SERVERS and not SLOW & {*item.path.parts, item.path.stem}


def pytest_collection_finish() -> None:
    """Look for garbage less often than Python does by default: a fifth of the time went there."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 50, 100)


def pytest_sessionfinish() -> None:
    """Look for what nobody awaited or closed until nothing more is found; pytest does it five times, whatever is found,
    over all that the tests have left.
    """
    for _ in range(5):
        if not gc.collect():
            break
    gc.freeze()


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    """The gateway runs on asyncio alone."""
    return "asyncio"


@pytest.fixture
def far_west(monkeypatch) -> Iterator[None]:
    """A machine whose clock is nine hours behind UTC."""
    with monkeypatch.context() as patched:
        patched.setenv("TZ", "XXX9")
        time.tzset()
        yield
    time.tzset()


@pytest.fixture(scope="session")
def graphiql_files():
    """GraphiQL's files, which `make` fetches before the tests."""
    try:
        assets.install()
    except assets.AssetsUnavailable as error:
        if "CI" in os.environ:
            pytest.fail(str(error))
        pytest.skip(str(error))


@pytest.fixture(scope="session")
def sqlite_template() -> Path:
    """A migrated, empty database to copy."""
    return _migrated()


@functools.cache
def _migrated() -> Path:
    if made := os.environ.get(TEMPLATE):
        return Path(made)
    folder = tempfile.TemporaryDirectory(prefix="gateway-template-")
    atexit.register(folder.cleanup)
    path = Path(folder.name) / "gateway.db"
    migrate(f"sqlite:///{path}")
    return path


@pytest.fixture(scope="session")
def new_sqlite(sqlite_template: Path, tmp_path_factory) -> Callable[[], str]:
    """Makes an empty, migrated SQLite database, for what the tests of a module share; its URL."""
    return lambda: _sqlite_copy(sqlite_template, tmp_path_factory.mktemp("shared") / "gateway.db")


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresDatabases]:
    """A real PostgreSQL server and its databases."""
    with contextlib.ExitStack() as stack:
        made = os.environ.get(SERVER)
        uri = made or stack.enter_context(postgres_server()).get_uri()
        yield stack.enter_context(contextlib.closing(PostgresDatabases(uri, templated=made is not None)))


@pytest.fixture
def own_postgres() -> Iterator[tuple[Any, str]]:
    """A PostgreSQL server that the test may stop, and the URL of a migrated database on it."""
    with postgres_server() as server:
        with contextlib.closing(PostgresDatabases(server.get_uri())) as databases:
            url = databases.url(databases.create())
        yield server, url


@pytest.fixture
def sqlite_url(sqlite_template: Path, tmp_path: Path) -> str:
    """An empty, migrated SQLite database of the test's own."""
    return _sqlite_copy(sqlite_template, tmp_path / "gateway.db")


def _sqlite_copy(template: Path, path: Path) -> str:
    shutil.copy(template, path)
    return f"sqlite:///{path}"


@pytest.fixture
def postgres_url(postgres: PostgresDatabases) -> Iterator[str]:
    """An empty, migrated PostgreSQL database of the test's own."""
    with postgres.migrated() as url:
        yield url


@pytest.fixture
def empty_postgres_url(postgres: PostgresDatabases) -> Iterator[str]:
    """A PostgreSQL database of the test's own with no tables in it."""
    with postgres.without_tables() as url:
        yield url


@pytest.fixture(scope="session")
def tables() -> sa.Engine:
    """SQLite in memory with every table, empty."""
    return in_memory()


@functools.cache
def in_memory() -> sa.Engine:
    """Make it, or give the one that was made: `make mutants` makes it once for all of its processes."""
    _, engine = create_engines(sa.make_url("sqlite://"), readers=1, writers=1)
    SQLModel.metadata.create_all(engine)
    atexit.register(engine.dispose)
    return engine


@pytest.fixture
def connection(request) -> Iterator[sa.Connection]:
    """A transaction as `Database.transaction` gives it, undone afterwards: for rules that are statements.

    On SQLite in memory, unless the test is parametrised with `both_connections`.
    """
    with contextlib.ExitStack() as stack:
        if getattr(request, "param", "sqlite") == "sqlite":
            engine = request.getfixturevalue("tables")
        else:
            _, engine = create_engines(database_url_of(request.getfixturevalue("postgres_url")), readers=1, writers=1)
            stack.callback(engine.dispose)
        connection = stack.enter_context(engine.connect())
        transaction = stack.enter_context(connection.begin())
        connection.info.update({PUBLISHED: set(), ENDPOINTS: ("https://shop.example/hooks",)})
        yield connection
        transaction.rollback()


@pytest.fixture
def another_database_url(database_url: str, request, tmp_path: Path) -> Iterator[str]:
    """One more empty, migrated database of the kind of `database_url`."""
    if database_url.startswith("sqlite"):
        yield _sqlite_copy(request.getfixturevalue("sqlite_template"), tmp_path / "another.db")
    else:
        with request.getfixturevalue("postgres").migrated() as url:
            yield url


@pytest.fixture
def database_url(request) -> str:
    """SQLite, unless the test is parametrised with `both_databases`."""
    return request.getfixturevalue(getattr(request, "param", "sqlite_url"))


@pytest.fixture
def world(database_url: str) -> Iterator[World]:
    """A gateway and an offline Stripe of the test's own, wired to each other, with the sample catalogue."""
    with make_world(database_url) as made:
        yield made


@pytest.fixture(scope="module")
def shop(new_sqlite: Callable[[], str]) -> Iterator[World]:
    """The same on SQLite for all the tests of a module, which mind each other."""
    with make_world(new_sqlite()) as made:
        yield made


@pytest.fixture
def gateway_dev(world: World) -> World:
    """The same, by the name that the browser tests know."""
    return world
