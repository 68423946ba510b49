"""A catalogue that changes all the time: what an event of it costs, and how long a page takes beside it, by its size.

Run by `make bench`. Each event changes one price; each page shows one product. See docs/performance.md.
"""

import os
import sys
import time
from contextlib import ExitStack
from threading import Thread

from bench_events import SECRET, delivery, price
from bench_graphql import JSON, PRICES_EACH, catalog, environment, post
from runner import Gateway, Round, Server, line, measure, median, ratios, verdict

SIZES = (100, 1_000, 10_000)
ROUNDS = int(os.environ.get("BENCH_ROUNDS", "5"))
SECONDS = int(os.environ.get("BENCH_SECONDS", "4"))
CHANGES, READS = 50, 100  # a second
PAGE = '{{ product(id: "prod_{}") {{ id name plans {{ id amount {{ formatted }} }} }} }}'


def changes(size: int, moment: int) -> list[bytes]:
    """Events that each change another price, at one moment of Stripe's after the last."""
    now = int(time.time())
    whole = {"tiers": None, "currency_options": None}  # nothing is left to fetch
    told = []
    for number in range(CHANGES * SECONDS):
        product = (number * 7) % (size // PRICES_EACH)
        row = price(f"price_{product}_{number % PRICES_EACH}") | whole
        row |= {"product": f"prod_{product}", "lookup_key": None, "unit_amount": 900 + (moment + number) % 997}
        told.append(delivery(row, moment + number, now, "price.updated"))
    return told


def pages(size: int) -> list[bytes]:
    """Requests for one product after the other."""
    return [post(PAGE.format((number * 3) % (size // PRICES_EACH)), JSON) for number in range(READS * SECONDS)]


def beside(server: Server, size: int, moment: int) -> tuple[float, Round]:
    """Return the CPU of the server for each change, without that of the same pages alone, and how the pages went."""
    alone = measure(server, pages(size), connections=4, rate=READS)
    found: list[Round] = []
    reading = Thread(target=lambda: found.append(measure(server, pages(size), connections=4, rate=READS)))
    before = sum(server.used())
    reading.start()
    measure(server, changes(size, moment), connections=4, rate=CHANGES)
    reading.join()
    used = (sum(server.used()) - before) * 1e6 - alone.cpu * alone.requests
    return used / (CHANGES * SECONDS), found[0]


def main() -> int:
    """Print the report; 0 when every limit is met."""
    costs: dict[int, list[float]] = {size: [] for size in SIZES}
    slowest: dict[int, list[float]] = {size: [] for size in SIZES}
    with ExitStack() as running:
        servers = {}
        for size in SIZES:
            url = running.enter_context(catalog(size // PRICES_EACH))
            settings = environment(url) | {"STRIPE_WEBHOOK_SECRET": SECRET}
            servers[size] = running.enter_context(Gateway(f"{size} prices", "", settings).running())
        for number in range(ROUNDS + 1):  # the first warms up
            for size, server in servers.items():
                cost, page = beside(server, size, 1_750_001_000 + 1_000 * number)
                costs[size].append(cost)
                slowest[size].append(page.percentile(0.99) * 1000)
    line(f"{CHANGES} changes, {READS} pages a second", "CPU µs a change", "page p99, ms")
    for size in SIZES:
        line(f"of {size:,} prices", f"{median(costs[size][1:]):.0f}", f"{median(slowest[size][1:]):.1f}")
    small, large = SIZES[0], SIZES[-1]
    good = verdict("a change in the largest, x smallest", ratios(costs[large][1:], costs[small][1:]), 1.5)
    good &= verdict("a page of the largest, p99, ms", median(slowest[large][1:]), 10)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
