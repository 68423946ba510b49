"""What the table "growth" measures within this process: statements on both databases (`bench_growth.py`)."""

import json
import math
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from itertools import count
from typing import Any

import sqlalchemy as sa
from pydantic import SecretStr
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
from gateway.settings import Settings
from gateway.settings.values import OutboundEndpoint

ENDPOINT = "http://127.0.0.1:9/"
SIGNING = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLwSw"
PAST, FUTURE = "'2026-01-01 00:00:00.000000'", "'2126-01-01 00:00:00.000000'"
CUSTOMER = {"id": "'cus_' || n", "external_id": "'user_' || n"}
LOT = {"id": "'lot_' || n", "customer_id": "'cus_0'", "granted": "10", "expires_at": FUTURE}
ENTRY = {"id": "-1 - n", "customer_id": "'cus_0'", "kind": "'spend'", "amount": "-1", "key": "'earlier ' || n"}
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
        is_used_up: whether there is less to do each time, so that it runs only twice a round.
    """

    name: str
    sizes: tuple[int, int, int]
    rows: Rows
    prepare: Callable[[Database, int], Awaitable[Work]]
    may_grow: str = ""
    is_used_up: bool = False


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
        "change of the catalogue, prices",
        (100, 1_000, 10_000),
        {"product": (PRODUCT, 0.25), "price": (PRICE, 1)},
        change,
    ),
    Case(
        "look into the outbox, messages that wait for one",
        (1_000, 10_000, 100_000),
        {
            "outbox_message": (MESSAGE | {"customer_id": "'cus_0'"}, 1),
            "outbox_delivery": (DELIVERY | {"customer_id": "'cus_0'"}, 1),
        },
        look_behind,
    ),
    Case(
        "claim of 50 messages, customers with one each",
        (1_000, 10_000, 100_000),
        {
            "outbox_message": (MESSAGE | {"customer_id": "'cus_' || n"}, 1),
            "outbox_delivery": (DELIVERY | {"customer_id": "'cus_' || n"}, 1),
        },
        claim,
    ),
    Case(
        "account page's reading, ended subscriptions",
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
        "account page's reading, running subscriptions",
        (10, 100, 1_000),
        {
            "product": (PRODUCT | {"meta": """'{"features": "sso"}'"""}, 0.25),
            "customer": (CUSTOMER, 2),
            "subscription": (SUBSCRIPTION | {"customer_id": HIS}, 2),
            "subscription_item": (ITEM, 2),
        },
        read_account,
        "its own open things",
    ),
    Case(
        "sweep of credits, lots used up",
        (10_000, 100_000, 1_000_000),
        {
            "credit_account": ({"customer_id": "'cus_' || n"}, 0.01),
            "credit_lot": (LOT | {"customer_id": "'cus_' || (n / 100)", "spent": "10", "expires_at": PAST}, 1),
        },
        sweep,
    ),
    Case(
        "spend, lots with something left",
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
        "spend, what the customer has spent before",
        (1_000, 10_000, 100_000),
        {
            "customer": (CUSTOMER, 0),
            "credit_entry": (ENTRY, 1),
            "credit_account": ({"customer_id": "'cus_0'", "balance": "1000"}, 0),
            "credit_lot": (LOT, 0.05),
        },
        spend_one,
    ),
    Case(
        "balance, lots with something left",
        (50, 500, 5_000),
        {
            "credit_account": ({"customer_id": "'cus_0'", "balance": "1000"}, 0),
            "credit_lot": (LOT, 1),
        },
        balance,
    ),
    Case(
        "reading of usage, records",
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
        "page of who is not watched, customers",
        (10_000, 100_000, 1_000_000),
        {"access_watch": ({}, 0), "subscription": (SUBSCRIPTION, 1)},
        watch,
        is_used_up=True,
    ),
)  # fmt: skip
