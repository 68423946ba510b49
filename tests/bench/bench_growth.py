"""What grows: each thing that runs for a request, an event or by the clock, at three sizes a factor of ten apart.

Run by `make bench`, and printed as one table in Markdown. A figure of a database is CPU time of this process and of the
database for one of them; the exponent tells how it grows with the size: 0 not at all, 1 as much. Marked is what may
grow: with its own customer's open things, or because it is the very things that are more.
"""

import asyncio
import math
import os
import sys
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager

import sqlalchemy as sa
from bench_events import databases
from growth_cases import CASES, ENDPOINT, SIGNING, Case, fill
from growth_processes import ROWS, WORKERS, supervisor
from runner import cpu_seconds, family, name_of

from gateway.db.database import Database
from gateway.runtime import compose
from gateway.settings import Settings

ROUNDS = int(os.environ.get("BENCH_ROUNDS", "3"))
SCALE = int(os.environ.get("BENCH_SCALE", "1"))  # divides every size
ONLY = os.environ.get("BENCH_ONLY", "")  # a part of the name of the rows that are wanted
ROUND_SECONDS = 0.2
LIMIT = 1.5
MAY_GROW = {
    "start of the offline Stripe, events": "its own state",
    "memory of a catch-up, events": "the ids that it tells",
    "memory then, prices": "its own catalogue",
}


@asynccontextmanager
async def opened(url: str) -> AsyncIterator[Database]:
    """The database, with an endpoint to tell."""
    settings = Settings.load(database_url=url, outbound_endpoints=f"{ENDPOINT} {SIGNING}")
    database = compose(settings).database
    yield database
    await database.close()


def used(pid: int | None) -> dict[int, float]:
    """CPU seconds so far of this process and of PostgreSQL's, without its autovacuum, which comes when it likes."""
    others = [each for each in family(pid) if b"autovacuum" not in name_of(each)] if pid else []
    return {0: time.process_time(), **{each: cpu_seconds([each]) for each in others}}


def between(before: dict[int, float], after: dict[int, float]) -> float:
    """CPU seconds from one moment to another; who has ended between them is left out."""
    return sum(seconds - before.get(each, 0.0) for each, seconds in after.items())


def tidy(url: str, case: Case, size: int = 0) -> None:
    """Fill the tables of a case; without a size do what autovacuum does within a minute."""
    address = sa.make_url(url)
    is_sqlite = address.get_backend_name() == "sqlite"
    engine = sa.create_engine(address if is_sqlite else address.set(drivername="postgresql+psycopg"))
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        if size:
            fill(connection, case.rows, size)
        for table in case.rows:
            connection.exec_driver_sql("ANALYZE" if is_sqlite else f'VACUUM ANALYZE "{table}"')
    engine.dispose()


async def cost(case: Case, url: str, pid: int | None, size: int) -> float:
    """CPU microseconds of one, the least of some rounds."""
    tidy(url, case, size)
    async with opened(url) as database:
        work = await case.prepare(database, size)
        await work()
        await asyncio.to_thread(tidy, url, case)
        await work()
        figures = []
        for _ in range(ROUNDS):
            before, began, times = used(pid), time.monotonic(), 0
            while times < 2 or (time.monotonic() - began < ROUND_SECONDS and not case.is_used_up):
                await work()
                times += 1
            figures.append(between(before, used(pid)) / times * 1e6)
    return min(figures)


def cells(sizes: Sequence[int], measured: Callable[[int], float]) -> tuple[list[str], float, float]:
    """The three figures and their exponent as they are shown, the last in relation to the first, and the exponent."""
    figures = [measured(size) for size in sizes]
    grown = figures[-1] / figures[0]
    slope = math.log(grown) / math.log(sizes[-1] / sizes[0])
    shown = ", ".join(f"{each:,.0f}" if each >= 100 else f"{each:.3g}" for each in figures)
    return [shown, f"{slope:.2f}"], grown, slope


def row(name: str, sizes: Sequence[int], measured: Sequence[Callable[[int], float]], may_grow: str) -> bool:
    """Print a row; whether it does not grow, or may."""
    found = [cells(sizes, each) for each in measured]
    most = max(grown for _, grown, _ in found)
    good = bool(may_grow) or most <= LIMIT
    shown = [each for cell, _, _ in found for each in cell] + ["", ""] * (2 - len(found))
    verdict = may_grow or (f"x {most:.2f}" if good else f"MISS: x {most:.2f}")
    print("| " + " | ".join([f"{name}, {sizes[0]:,} to {sizes[-1]:,}", *shown, verdict]) + " |", flush=True)  # noqa: T201
    return good


def scaled(smallest: int) -> tuple[int, int, int]:
    """Three sizes."""
    least = max(1, smallest // SCALE)
    return least, 10 * least, 100 * least


def main() -> int:
    """Print the table; 0 when nothing grows that may not."""
    good = True
    heads = ["what, and of how many", "SQLite or alone", "exponent", "PostgreSQL", "exponent", f"most x, limit {LIMIT}"]
    print(f"| {' | '.join(heads)} |\n|{'---|' * len(heads)}", flush=True)  # noqa: T201
    with databases() as urls:
        for case in CASES:
            if ONLY in case.name:
                of = [lambda size, case=case, to=to: asyncio.run(cost(case, *to, size)) for to in urls.values()]
                good &= row(f"{case.name}: CPU µs", scaled(case.sizes[0]), of, case.may_grow)
    for name, unit, smallest, measured in ROWS:
        if ONLY in name:
            good &= row(f"{name}: {unit}", scaled(smallest), [measured], MAY_GROW.get(name, ""))
    if ONLY in "memory of the supervisor":
        good &= row("memory of the supervisor, workers: MB", WORKERS, [supervisor], "")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
