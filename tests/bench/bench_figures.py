"""A month's figures over a million subscriptions, as the console asks for them; how fast customers are reckoned.

Run by `make bench`; see docs/performance.md.
"""

import asyncio
import os
import sys
import time
from datetime import UTC, datetime, timedelta

import sqlalchemy as sa
from bench_events import databases
from runner import median

from gateway.billing.figures import report
from gateway.billing.figures.store import Figures, reckon
from gateway.db.tables import table_for
from gateway.models import mirrored
from gateway.runtime import open_runtime
from gateway.settings import Settings

SUBSCRIPTIONS = int(os.environ.get("BENCH_SUBSCRIPTIONS", "1000000"))
RECKONED, ROUNDS = 2_000, 7
MONTHS = report.months_between("2026-01", "2026-12")
SERIES = {
    "sqlite": "WITH RECURSIVE s(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM s WHERE n < {0}) {1} FROM s",
    "postgresql": "{1} FROM generate_series(1, {0}) AS s(n)",
}
MANY = {
    "subscription": """INSERT INTO subscription (id, as_of, staleness_seconds, revision, deleted, customer_id, status,
        currency, cancel_at_period_end, discounts, meta, created, start_date)
        SELECT 'sub_m' || n, 1, 0, 1, {false}, 'cus_m' || n, CASE WHEN n % 10 = 0 THEN 'trialing' ELSE 'active' END,
        CASE WHEN n % 3 = 0 THEN 'eur' ELSE 'usd' END, {false}, '[]', '{{}}', {moment}, {moment}""",
    "credit_account": "INSERT INTO credit_account (customer_id, balance, clock) SELECT 'cus_m' || n, n % 100, {moment}",
    "usage_record": """INSERT INTO usage_record (id, customer_id, event_name, value, timestamp, fingerprint, status,
        attempts, created) SELECT 'use_' || n, 'cus_m' || n, 'calls', n % 10, {moment}, '', 'sent', 1, {moment}""",
}


def fill(connection: sa.Connection) -> None:
    """A million subscriptions, credit accounts and reports of one month; and some customers with a year of invoices."""
    name = connection.dialect.name
    words = {"false": "0" if name == "sqlite" else "false", "moment": "'2026-12-10 00:00:00+00:00'"}
    if name == "sqlite":
        words["moment"] = "'2026-12-10 00:00:00.000000'"
    for statement in MANY.values():
        text = SERIES[name].format(SUBSCRIPTIONS, statement.format(**words))
        connection.execute(sa.text(text.replace(":", r"\:")))
    start = datetime(2026, 1, 10, tzinfo=UTC)
    price = {"product_id": "prod", "active": True, "currency": "usd", "unit_amount": 1000, "interval": "month"}
    made = [mirrored.Price(id="price", as_of=1, interval_count=1, billing_scheme="per_unit", created=start, **price)]
    for customer in range(RECKONED):
        made.append(mirrored.Customer(id=f"cus_{customer}", as_of=1, created=start))
        for number in range(12):
            begins = start + timedelta(days=30 * number)
            ends = begins + timedelta(days=30)
            line = {"price": "price", "amount": 1000, "quantity": 1, "proration": False, "subscription_item": "si"}
            line |= {"period_start": int(begins.timestamp()), "period_end": int(ends.timestamp())}
            amounts = dict.fromkeys(("subtotal", "total", "amount_due", "amount_paid"), 1000)
            told = {"customer_id": f"cus_{customer}", "status": "paid", "currency": "usd", "tax": 0, "lines": [line]}
            told |= {"amount_remaining": 0, "created": begins, "paid_at": begins, **amounts}
            told |= {"period_start": begins, "period_end": ends}
            made.append(mirrored.Invoice(id=f"in_{customer}_{number}", as_of=1, **told))
    by_table: dict[sa.Table, list[dict]] = {}
    for row in made:
        by_table.setdefault(table_for(type(row)), []).append(row.model_dump())
    for table, rows in by_table.items():
        connection.execute(table.insert(), rows)


async def month(runtime) -> None:
    """All that the console's overview asks for."""
    database = runtime.database
    sums = await report.read_sums(database, MONTHS[-1])
    found = report.months(sums, MONTHS)
    assert found[-1].mrr == 1000 * RECKONED
    report.cohorts(sums, MONTHS)
    await report.now_by_status(database)
    await report.credits_outstanding(database)
    since, until = datetime(2026, 12, 1, tzinfo=UTC), datetime(2027, 1, 1, tzinfo=UTC)
    assert await report.usage_between(database, since, until)


async def measure(name: str, url: str) -> None:
    async with open_runtime(Settings.load(database_url=url)) as runtime:
        driver = "sqlite" if runtime.database.is_sqlite else "postgresql+psycopg"
        engine = sa.create_engine(sa.make_url(url).set(drivername=driver))  # which waits for as long as it takes
        with engine.begin() as connection:
            fill(connection)
        with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.execute(sa.text("ANALYZE"))
        engine.dispose()
        began = time.perf_counter()
        await Figures(runtime.database).look_through()
        looked = time.perf_counter() - began
        began = time.perf_counter()
        while await runtime.database.transaction(reckon):
            pass
        reckoned = RECKONED / (time.perf_counter() - began)
        seconds = []
        for _ in range(ROUNDS):
            began = time.perf_counter()
            await month(runtime)
            seconds.append(time.perf_counter() - began)
        sys.stdout.write(
            f"{name}: a month over {SUBSCRIPTIONS:,} subscriptions {median(seconds) * 1000:.0f} ms "
            f"(goal 1,000); {reckoned:,.0f} customers with a year of invoices reckoned a second; "
            f"{RECKONED:,} looked through in {looked:.1f} s\n"
        )


def main() -> None:
    with databases() as found:
        for name, (url, _) in found.items():
            asyncio.run(measure(name, url))


if __name__ == "__main__":
    main()
