"""What grows: each thing that runs for a request, an event or by the clock, at three sizes a factor of ten apart.

Run by `make bench`. The figure is CPU time of this process and of the database for one of them; the exponent tells how
it grows with the size: 0 not at all, 1 as much. Marked is what may grow: with its own customer's open things.
"""

import asyncio
import json
import math
import os
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from itertools import count
from typing import Any

import sqlalchemy as sa
from bench_events import databases
from pydantic import SecretStr
from runner import cpu_seconds, family, line, verdict
from sqlmodel import SQLModel

from gateway.billing.catalog.service import TOPIC, Catalog
from gateway.billing.credits.ledger import expired_accounts
from gateway.billing.credits.service import Spend, balances, spend
from gateway.billing.customers import account
from gateway.billing.customers.account import AccountSelection
from gateway.billing.metering.usage import current
from gateway.billing.subscriptions.access_changes import AccessChangePublisher
from gateway.billing.subscriptions.entitlements import entitlements
from gateway.db.database import Database
from gateway.db.lease_queue import LeaseQueue
from gateway.mirror.upsert import bump_catalog
from gateway.models.columns import UtcDateTime
from gateway.outbound.delivery import WebhookDispatcher
from gateway.runtime import compose
from gateway.settings import Settings
from gateway.settings.values import OutboundEndpoint

ROUNDS = int(os.environ.get("BENCH_ROUNDS", "3"))
SCALE = int(os.environ.get("BENCH_SCALE", "1"))  # divides every size
ENDPOINT = "http://127.0.0.1:9/"
SIGNING = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLwSw"
LIMIT = 1.5
PAST, FUTURE = "'2026-01-01 00:00:00.000000'", "'2126-01-01 00:00:00.000000'"
CUSTOMER = {"id": "'cus_' || n", "external_id": "'user_' || n"}
LOT = {"id": "'lot_' || n", "customer_id": "'cus_0'", "granted": "10", "expires_at": FUTURE}
SUBSCRIPTION = {"id": "'sub_' || n", "customer_id": "'cus_' || n", "status": "'active'", "created": "@moment"}
ITEM = {"id": "'si_' || n", "subscription_id": "'sub_' || n", "product_id": "'prod_' || (n % 25)"}
ITEM |= {"quantity": "1", "current_period_end": FUTURE}
HIS = "CASE WHEN n % 2 = 0 THEN 'cus_0' ELSE 'cus_' || n END"
ENDED = "CASE WHEN n % 2 = 0 THEN 'canceled' ELSE 'active' END"
"""One customer has half of all, which has ended; each other one has one."""
INVOICE = {"id": "'in_' || n", "customer_id": HIS, "status": "'paid'", "created": "@moment", "service_end": PAST}
INVOICE |= {"subscription_id": "'sub_' || n"}
PRODUCT = {"id": "'prod_' || n", "active": "true"}
PRICE = {"id": "'price_' || n", "product_id": "'prod_' || (n / 4)", "active": "true", "currency": "'usd'"}
PRICE |= {"unit_amount": "900 + n", "interval": "'month'", "interval_count": "1"}
METER = {"id": "'mtr_1'", "event_name": "'calls'", "formula": "'sum'", "status": "'active'"}
RECORD = {"id": "'use_' || n", "customer_id": "'cus_0'", "event_name": "'calls'", "value": "1", "status": "'sent'"}
RECORD |= {"timestamp": "CURRENT_TIMESTAMP"}
MESSAGE = {"id": "n", "message_id": "'msg_' || n"}
DELIVERY = {"id": "n", "endpoint": f"'{ENDPOINT}'", "status": "'pending'", "next_attempt_at": "@moment"}
Work = Callable[[], Awaitable[object]]
Rows = Mapping[str, tuple[Mapping[str, str], float]]


@dataclass(frozen=True)
class Case:
    """Something that runs.

    Attributes:
        name: how the report calls it, with what there are so many of.
        sizes: how many.
        rows: the rows by table: an expression of `n` for each column, and how many for each of the size.
        prepare: returns what is measured.
        may_grow: why it may; empty where it may not.
        times: how often it runs in a round.
    """

    name: str
    sizes: tuple[int, int, int]
    rows: Rows
    prepare: Callable[[Database, int], Awaitable[Work]]
    may_grow: str = ""
    times: int = 30


def fill(connection: sa.Connection, rows: Rows, size: int) -> None:
    """Empty the tables and write the rows; a column that is not named and must be there is as empty as it can be."""
    is_sqlite = connection.dialect.name == "sqlite"
    for name, (given, share) in rows.items():
        columns = {each.name: _empty(each) for each in SQLModel.metadata.tables[name].c if not each.nullable} | given
        numbers = f"VALUES (0) UNION ALL SELECT n + 1 FROM numbers WHERE n < {max(1, math.ceil(size * share)) - 1}"  # noqa: S608
        made = f"WITH RECURSIVE numbers(n) AS ({numbers}) SELECT {', '.join(columns.values())} FROM numbers"  # noqa: S608
        connection.exec_driver_sql(f'DELETE FROM "{name}"')  # noqa: S608 - all ours
        names = ", ".join(f'"{each}"' for each in columns)
        moment = "'2026-01-01 00:00:00.' || (100000 + n % 900000)"  # its microseconds
        made = made.replace("@moment", moment if is_sqlite else f"CAST({moment} AS timestamptz)")
        made = made if is_sqlite else made.replace("%", "%%")  # which is a parameter there
        connection.exec_driver_sql(f'INSERT INTO "{name}" ({names}) {made}')


def _empty(column: sa.Column[Any]) -> str:
    match column.type:
        case sa.Boolean():
            return "false"
        case sa.Integer():
            return "0"
        case UtcDateTime():
            return PAST
        case sa.JSON():
            return "'[]'" if column.default is None else f"'{json.dumps(column.default.arg(None))}'"
        case _:
            return "''"


async def change(database: Database, size: int) -> Work:
    """A change of one price, and the next reader's snapshot."""
    catalog = Catalog(Settings.load(), database)
    await catalog.snapshot()

    def write(connection: sa.Connection) -> None:
        connection.exec_driver_sql("UPDATE price SET unit_amount = unit_amount + 1 WHERE id = 'price_7'")
        bump_catalog(connection, [("price", "price_7")])

    async def work() -> None:
        await database.transaction(write)
        catalog.hear({TOPIC})
        snapshot = await catalog.snapshot()
        snapshot.on_sale.page(20, None)

    return work


def outbox(database: Database) -> LeaseQueue:
    """The queue of one endpoint."""
    endpoint = OutboundEndpoint(ENDPOINT, (SecretStr(SIGNING),))
    return WebhookDispatcher(database, [endpoint]).queue(endpoint, None)  # type: ignore[arg-type]  # nothing is sent


async def claim(database: Database, size: int) -> Work:
    """A claim of as many messages as are claimed at a time; they are given back."""
    queue = outbox(database)

    async def work() -> None:
        for each in await queue.claim():
            await queue.release(each)

    return work


async def look_behind(database: Database, size: int) -> Work:
    """A look for what is due while all messages wait for the first one, which is on its way."""
    queue = outbox(database)
    sent = "UPDATE outbox_delivery SET next_attempt_at = '2126-01-01 00:00:00' WHERE id = 0"
    await database.transaction(lambda connection: connection.exec_driver_sql(sent))
    await queue.claim()  # looks at each once
    return queue.claim


async def read_account(database: Database, size: int) -> Work:
    """What the account page reads, and what the user may use."""
    wanted = AccountSelection("user_0", pages=frozenset({(20, None)}))
    snapshot = await Catalog(Settings.load(), database).snapshot()

    async def work() -> None:
        found = (await database.read(lambda it: account.read(it, [wanted], timedelta(days=3))))[wanted]
        entitlements(found.subscriptions, found.features, snapshot.features)

    return work


async def sweep(database: Database, size: int) -> Work:
    """The look of each minute for credits that have run out."""
    return lambda: database.read(expired_accounts)


async def spend_one(database: Database, size: int) -> Work:
    """A spend of a few credits."""
    keys = count()
    return lambda: spend(database, Spend("user_0", 1, f"key {size} {next(keys)}"))


async def balance(database: Database, size: int) -> Work:
    """The balance."""
    return lambda: database.read(lambda connection: balances(connection, ["cus_0"]))


async def usage(database: Database, size: int) -> Work:
    """The usage of the present period."""
    return lambda: current(database, "cus_0", "calls")


async def watch(database: Database, size: int) -> Work:
    """A page of the customers that nobody watches yet."""
    publisher = AccessChangePublisher(database, timedelta(days=3))
    return publisher._find_page


CASES = (
    Case(
        "a change, prices of the catalogue",
        (100, 1_000, 10_000),
        {"product": (PRODUCT, 0.25), "price": (PRICE, 1)},
        change,
    ),
    Case(
        "a look, messages of one customer",
        (1_000, 10_000, 100_000),
        {
            "outbox_message": (MESSAGE | {"customer_id": "'cus_0'"}, 1),
            "outbox_delivery": (DELIVERY | {"customer_id": "'cus_0'"}, 1),
        },
        look_behind,
    ),
    Case(
        "a claim, customers with one each",
        (1_000, 10_000, 100_000),
        {
            "outbox_message": (MESSAGE | {"customer_id": "'cus_' || n"}, 1),
            "outbox_delivery": (DELIVERY | {"customer_id": "'cus_' || n"}, 1),
        },
        claim,
    ),
    Case(
        "an account, ended subscriptions",
        (10, 100, 1_000),
        {
            "product": (PRODUCT, 0),
            "customer": (CUSTOMER, 6),
            "subscription": (SUBSCRIPTION | {"customer_id": HIS, "status": ENDED}, 2),
            "subscription_item": (ITEM, 2),
            "invoice": (INVOICE, 6),
        },
        read_account,
    ),
    Case(
        "an account, running subscriptions",
        (10, 100, 1_000),
        {
            "product": (PRODUCT | {"meta": """'{"features": "sso"}'"""}, 0.25),
            "customer": (CUSTOMER, 2),
            "subscription": (SUBSCRIPTION | {"customer_id": HIS}, 2),
            "subscription_item": (ITEM, 2),
        },
        read_account,
        "its own open things",
        5,
    ),
    Case(
        "a sweep of credits, lots used up",
        (10_000, 100_000, 1_000_000),
        {
            "credit_account": ({"customer_id": "'cus_' || n"}, 0.01),
            "credit_lot": (LOT | {"customer_id": "'cus_' || (n / 100)", "spent": "10", "expires_at": PAST}, 1),
        },
        sweep,
    ),
    Case(
        "a spend, lots with something left",
        (50, 500, 5_000),
        {
            "customer": (CUSTOMER, 0),
            "credit_entry": ({}, 0),
            "credit_account": ({"customer_id": "'cus_0'", "balance": "1000"}, 0),
            "credit_lot": (LOT, 1),
        },
        spend_one,
    ),
    Case(
        "a balance, lots of the customer",
        (50, 500, 5_000),
        {
            "credit_account": ({"customer_id": "'cus_0'", "balance": "1000"}, 0),
            "credit_lot": (LOT, 1),
        },
        balance,
    ),
    Case(
        "a reading of usage, records",
        (10_000, 100_000, 1_000_000),
        {
            "meter": (METER, 0),
            "subscription": (SUBSCRIPTION, 0),
            "usage_total": ({}, 0),
            "usage_record": (RECORD, 1),
        },
        usage,
    ),
    Case(
        "a look for who is not watched, customers",
        (5_000, 50_000, 500_000),
        {"access_watch": ({}, 0), "subscription": (SUBSCRIPTION, 1)},
        watch,
        times=1,
    ),
)  # fmt: skip


@asynccontextmanager
async def opened(url: str) -> AsyncIterator[Database]:
    """The database, with an endpoint to tell."""
    settings = Settings.load(database_url=url, outbound_endpoints=f"{ENDPOINT} {SIGNING}")
    database = compose(settings).database
    yield database
    await database.close()


async def cost(case: Case, url: str, size: int, pid: int | None) -> float:
    """CPU microseconds of one, the least of some rounds."""
    address = sa.make_url(url)
    engine = sa.create_engine(address.set(drivername="postgresql+psycopg") if pid else address)
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        fill(connection, case.rows, size)
        for table in case.rows:
            connection.exec_driver_sql("ANALYZE" if pid is None else f'VACUUM ANALYZE "{table}"')
    engine.dispose()
    used = lambda: time.process_time() + (cpu_seconds(family(pid)) if pid else 0)  # noqa: E731
    async with opened(url) as database:
        work = await case.prepare(database, size)
        await work()
        figures = []
        for _ in range(ROUNDS):
            before = used()
            for _ in range(case.times):
                await work()
            figures.append((used() - before) / case.times * 1e6)
    return min(figures)


def exponent(sizes: tuple[int, ...], figures: list[float]) -> float:
    """The slope of the figures over the sizes, both as logarithms."""
    return math.log(figures[-1] / figures[0]) / math.log(sizes[-1] / sizes[0])


def main() -> int:
    """Print the table; 0 when nothing grows that may not."""
    good = True
    chosen = [case for case in CASES if os.environ.get("BENCH_ONLY", "") in case.name]
    with databases() as urls:
        for name, (url, pid) in urls.items():
            line(f"growth, {name}, CPU µs", "small", "x 10", "x 100", "exponent")
            for case in chosen:
                sizes = tuple(each // SCALE for each in case.sizes)
                figures = [asyncio.run(cost(case, url, size, pid)) for size in sizes]
                shown = [f"{figure:.0f}" for figure in figures]
                line(f"{case.name} ({sizes[-1]:,})", *shown, f"{exponent(sizes, figures):.2f}", case.may_grow)
                if not case.may_grow:
                    good &= verdict("the largest, x the smallest", figures[-1] / figures[0], LIMIT)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
