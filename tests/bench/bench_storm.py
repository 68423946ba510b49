"""A storm that goes on, a mirror that has grown, reading beside it: what an event costs must depend on none of them.

Run by `make bench`. The mirror of a million subscriptions is made by SQL, in half a minute; `BENCH_MIRROR` makes it
another size.
"""

import os
import sys
import time
from contextlib import ExitStack
from threading import Thread

import orjson
import sqlalchemy as sa
from bench_events import EVENTS, ROUNDS, SUBSCRIPTIONS, contestants, databases, deliveries, delivery, price
from runner import Server, line, measure, median, request, verdict

MIRROR = int(os.environ.get("BENCH_MIRROR", "1000000"))
STORM, PART = 10_000, 1_000
RATE, SECONDS, READS = 150, 20, 50
PLANS = 20
LONG_AGO = "'2026-01-01 00:00:00.000000'"
FILL = {
    "subscription": {
        "id": "'sub_bench' || n",
        "customer_id": "'cus_bench' || n",
        "status": "'active'",
        "currency": "'usd'",
        "meta": "'{}'",
        **dict.fromkeys(("staleness_seconds", "as_of", "revision"), "1"),
        **dict.fromkeys(("deleted", "cancel_at_period_end"), "false"),
        **dict.fromkeys(("created", "start_date"), LONG_AGO),
    },
    "subscription_item": {
        "id": "'si_bench' || n",
        "subscription_id": "'sub_bench' || n",
        "price_id": "'price_bench'",
        "product_id": "'prod_bench'",
        "quantity": "1",
        **dict.fromkeys(("created", "current_period_start", "current_period_end"), LONG_AGO),
    },
}
READING = "{ plans { nodes { id nickname interval amount { currency } product { name } } } }"


class Costs:
    """What an event costs a gateway and its database, as a multiple of the bare check beside it.

    Args:
        server: the gateway.
        bare: the bare check.
    """

    def __init__(self, server: Server, bare: Server) -> None:
        self._server, self._bare, self._moment = server, bare, 1_760_000_000

    def of(self, count: int, among: int = SUBSCRIPTIONS) -> float:
        """The cost of so many new events."""
        self._moment += 100
        found = measure(self._server, deliveries(count, start=self._moment, among=among))
        return (found.cpu + found.database) / measure(self._bare, deliveries(PART, start=self._moment)).cpu

    def of_rounds(self, among: int) -> float:
        """The median of some rounds; the first warms up."""
        return median([self.of(EVENTS, among) for _ in range(ROUNDS + 1)][1:])


def flat(costs: Costs) -> float:
    """What the last events of a storm cost in relation to the first."""
    costs.of(PART)  # connections are open, statements prepared
    parts = [costs.of(PART) for _ in range(STORM // PART)]
    return median(parts[-3:]) / median(parts[:3])


def grow(url: str) -> None:
    """Fill the mirror up, and have the database look at what it holds."""
    address = sa.make_url(url)
    is_sqlite = address.drivername == "sqlite"
    engine = sa.create_engine(address if is_sqlite else address.set(drivername="postgresql+psycopg"))
    numbers = f"VALUES ({SUBSCRIPTIONS}) UNION ALL SELECT n + 1 FROM numbers WHERE n < {MIRROR - 1}"  # noqa: S608
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        for table, columns in FILL.items():
            names, values = ", ".join(columns), ", ".join(columns.values())
            rows = f"WITH RECURSIVE numbers(n) AS ({numbers}) SELECT {values} FROM numbers"  # noqa: S608 - all ours
            connection.exec_driver_sql(f"INSERT INTO {table} ({names}) {rows}")
            connection.exec_driver_sql("ANALYZE" if is_sqlite else f"VACUUM ANALYZE {table}")
    engine.dispose()


def stock(server: Server) -> None:
    """Put a product and some plans on sale, as events bring them."""
    now = int(time.time())
    product = {"id": "prod_bench", "object": "product", "name": "Pro", "description": None, "active": True}
    product |= {"images": [], "metadata": {}, "created": now, "updated": now}
    whole = {"tiers": None, "currency_options": None}  # nothing is left to fetch
    plans = [{**price(f"price_{n}"), **whole, "lookup_key": f"plan_{n}"} for n in range(PLANS)]
    told = [delivery(product, now, now, "product.created")]
    told += [delivery(plan, now, now, "price.created") for plan in plans]
    measure(server, told)


def acknowledged(server: Server) -> float:
    """Seconds within which 99 of 100 deliveries are acknowledged, beside ordinary reading."""
    stock(server)
    read = request("/graphql", orjson.dumps({"query": READING}), {"Content-Type": "application/json"})
    load = {"connections": 4, "rate": READS}
    reading = Thread(target=measure, args=(server, [read] * (READS * SECONDS)), kwargs=load)
    reading.start()
    found = measure(server, deliveries(RATE * SECONDS, start=1_790_000_000), rate=RATE)
    reading.join()
    return found.percentile(0.99)


def main() -> int:
    """Print the report; 0 when every limit is met."""
    good = True
    with databases() as urls, ExitStack() as running:
        bare, *gateways = contestants(urls, peers=False)
        for server in (bare, *gateways):
            running.enter_context(server.running())
        for name, server in zip(urls, gateways, strict=True):
            costs = Costs(server, bare)
            good &= verdict(f"the last of {STORM} events, x the first, {name}", flat(costs), 1.25)
            small = costs.of_rounds(SUBSCRIPTIONS)
            started = time.monotonic()
            grow(urls[name][0])
            line(f"     {MIRROR} subscriptions", f"{time.monotonic() - started:.0f} s")
            good &= verdict(f"in that mirror, x in a small one, {name}", costs.of_rounds(MIRROR) / small, 1.5)
            good &= verdict(f"p99 at {RATE}/s beside {READS} reads/s, ms, {name}", acknowledged(server) * 1000, 250)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
