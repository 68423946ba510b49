"""What a change costs: several checkouts of the repository under the same load, in alternating rounds of one run.

    BASELINE=/path/to/checkout make bench

Each checkout runs its own code by its own `.venv` (`make .venv/runtime`; without one by this one), on a database of its
own that it migrates and fills itself. Several are named with a blank between them, such as the commits before and after
each step of a long change: every line then shows what each costs beside the first. There are no limits here: a figure
that has one has its own bench.
"""

import contextlib
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import sqlalchemy as sa
from bench_engine import CUSTOMERS, VIEWER, ask, posts
from bench_engine import SECRET as TOKENS
from bench_events import SECRET, databases, deliveries
from bench_graphql import PAGE, UNCACHED, post, start_once
from runner import Gateway, family, line, measure, median, ratios

ROUNDS = int(os.environ.get("BENCH_ROUNDS", "9"))
REQUESTS = int(os.environ.get("BENCH_REQUESTS", "500"))
EVENTS = int(os.environ.get("BENCH_EVENTS", "1000"))
STARTS = int(os.environ.get("BENCH_STARTS", "5"))
HERE = Path(__file__).parents[2]

FILL = "import asyncio, sys, bench_engine; asyncio.run(bench_engine.fill(sys.argv[1]))"


class Checkout(Gateway):
    """The gateway of a checkout on one database."""

    @property
    def python(self) -> str:
        own = self.folder / ".venv/bin/python"
        return str(own) if own.exists() else sys.executable

    def command(self) -> list[str]:
        return [self.python, "-m", "gateway", "serve", "--port", str(self.port)]

    def prepare(self) -> None:
        """Migrate and fill the database."""
        environment = {**os.environ, **self.environment, "PYTHONPATH": str(self.folder / "tests/bench")}
        for command in (["-m", "gateway", "db", "upgrade"], ["-c", FILL, self.environment["DATABASE_URL"]]):
            subprocess.run([self.python, *command], cwd=self.folder, env=environment, check=True, capture_output=True)


def environment(url: str) -> dict[str, str]:
    """Settings under their present names and those of before 0.2."""
    return {
        "DATABASE_URL": url,
        "STRIPE_SECRET_KEY": "sk_test_bench",
        "STRIPE_API_BASE": "http://127.0.0.1:9",
        "STRIPE_WEBHOOK_SECRET": SECRET,
        "AUTH_HS256_SECRET": TOKENS,
        **dict.fromkeys(("GATEWAY_EVENT_CATCH_UP_MINUTES", "GATEWAY_RECONCILE_MINUTES"), "0"),
        **dict.fromkeys(("GATEWAY_RATE_LIMIT_REQUESTS", "GATEWAY_RATE_REQUESTS"), "off"),
    }


@contextlib.contextmanager
def filled(folders: dict[str, Path], kind: str) -> Iterator[list[Checkout]]:
    """The checkouts, each with a database of a kind of its own."""
    with databases() as urls, tempfile.TemporaryDirectory() as files:
        url, pid = urls[kind]
        found = []
        for number, (name, folder) in enumerate(folders.items()):
            if kind == "SQLite":
                own = f"sqlite:///{files}/{number}.db"
            else:
                engine = sa.create_engine(sa.make_url(url).set(drivername="postgresql+psycopg"))
                with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
                    connection.execute(sa.text(f"CREATE DATABASE bench_{number}"))
                engine.dispose()
                own = sa.make_url(url).set(database=f"bench_{number}").render_as_string(hide_password=False)
            others = (lambda pid=pid: family(pid)) if pid else tuple
            found.append(Checkout(name, "", environment(own), others=others, folder=folder))
            found[-1].prepare()
        yield found


def loads() -> dict[str, Callable[[int], list[bytes]]]:
    """What is sent in a round, by what it is called; the rounds are numbered."""

    def events(number: int) -> list[bytes]:
        return deliveries(EVENTS, start=1_750_000_000 + 100 * number, among=CUSTOMERS)

    return {
        "event": events,
        "pricing, cached": lambda _: [post(PAGE)] * REQUESTS,
        "pricing, uncached": lambda _: [post(PAGE, UNCACHED)] * REQUESTS,
        "account page": lambda number: posts(VIEWER, REQUESTS, signed_in=True, start=number * REQUESTS),
    }


def report(what: str, figures: dict[str, list[float]], digits: int = 0) -> None:
    """Say the median of each checkout, and of the rounds' ratios to the first."""
    first = next(iter(figures.values()))
    shown = [f"{median(each):.{digits}f} ({ratios(each, first):.2f})" for each in figures.values()]
    line(what, *shown)


def compare(folders: dict[str, Path], kind: str) -> None:
    """Print the CPU of each request, by checkout."""
    with filled(folders, kind) as checkouts, contextlib.ExitStack() as stack:
        for each in checkouts:
            stack.enter_context(each.running())
        answers = {ask(each, VIEWER, signed_in=True) for each in checkouts}
        if len(answers) > 1:
            line("the account pages differ")
        for what, load in loads().items():
            figures: dict[str, list[float]] = {each.name: [] for each in checkouts}
            for number in range(ROUNDS + 1):  # the first warms up
                for each in checkouts:
                    done = measure(each, load(number))
                    figures[each.name].append(done.cpu + done.database)
            report(f"{what}, {kind}, CPU µs", {name: each[1:] for name, each in figures.items()})


def starts(folders: dict[str, Path]) -> None:
    """Print what a start takes until the first answer, and the memory then."""
    with filled(folders, "SQLite") as checkouts:
        found = {each.name: [] for each in checkouts}
        for _ in range(STARTS):
            for each in checkouts:
                found[each.name].append(start_once(each.python, each.folder, each.environment))
    report("start, CPU s", {name: [cpu for cpu, _ in runs] for name, runs in found.items()}, 2)
    report("memory then, MB", {name: [memory for _, memory in runs] for name, runs in found.items()})


def main() -> int:
    """Print the report."""
    folders = {Path(each).name: Path(each).resolve() for each in os.environ["BASELINE"].split()} | {"present": HERE}
    line("the median (x the first)", *folders)
    for kind in ("SQLite", "PostgreSQL"):
        compare(folders, kind)
    starts(folders)
    return 0


if __name__ == "__main__":
    sys.exit(main())
