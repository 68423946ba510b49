"""The public edge: what a GraphQL query costs beside a raw ASGI application that sends the same bytes.

Run by `make bench`. The limits are those of the project's goals; see docs/performance.md.
"""

import asyncio
import contextlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlencode

import httpx
import jwt
from runner import (
    Gateway,
    Nginx,
    Server,
    cpu_seconds,
    family,
    free_port,
    line,
    measure,
    median,
    ratios,
    request,
    resident,
    verdict,
)
from sqlalchemy import Connection, insert

from gateway import migrations
from gateway.db.tables import table_for
from gateway.models.mirrored import Price, Product
from gateway.runtime import compose
from gateway.settings import Settings

ROUNDS = int(os.environ.get("BENCH_ROUNDS", "20"))  # many and short: what else the machine does changes within a second
REQUESTS = int(os.environ.get("BENCH_REQUESTS", "500"))
STARTS = 5
WITHOUT_CACHE = {"uncached", "signed in"}
PRICES_EACH = 4
SECRET = "the-secret-that-signs-the-tokens-of-the-bench"

PAGE = """{ pricing { currency currencies products {
  product { id name description features }
  plans { id nickname interval intervalCount amount { amount currency formatted } }
} } }"""
ONE = '{ product(id: "prod_7") { id name plans { id amount { formatted } } } }'

JSON = {"Content-Type": "application/json", "Origin": "https://shop.example", "Accept": "*/*"}
UNCACHED = {**JSON, "Cookie": "visited=1"}  # whoever sends a cookie is answered by the engine


@contextlib.contextmanager
def catalog(products: int) -> Iterator[str]:
    """A migrated SQLite file with a catalogue, four prices for each product; its URL."""
    with tempfile.TemporaryDirectory() as folder:
        url = f"sqlite:///{folder}/gateway.db"
        asyncio.run(_fill(url, products))
        yield url


async def _fill(url: str, products: int) -> None:
    database = compose(Settings.load(database_url=url)).database
    await migrations.upgrade(database)
    now = datetime.now(UTC)
    common = {"as_of": 1_750_000_000, "active": True, "created": now}
    rows = [
        {"id": f"prod_{n}", "name": f"Product {n}", "description": "For teams of any size", "updated": now, **common}
        for n in range(products)
    ]
    features = {"features": ["Projects without limit", "Support by e-mail", "Exports"]}
    amounts = {"currency": "usd", "billing_scheme": "per_unit", "tax_behavior": "exclusive"}
    terms = {"interval_count": 1, "usage_type": "licensed", **amounts, **common}
    prices = [
        {"id": f"price_{n}_{m}", "product_id": f"prod_{n}", "nickname": f"Plan {m}", "unit_amount": 900 + 100 * m}
        | {"interval": "year" if m % 2 else "month", **terms}
        for n in range(products)
        for m in range(PRICES_EACH)
    ]

    def write(connection: Connection) -> None:
        connection.execute(insert(table_for(Product)), [{**row, **features} for row in rows])
        connection.execute(insert(table_for(Price)), prices)

    await database.transaction(write)
    await database.close()


def gateway(name: str, url: str) -> Server:
    """The gateway, with limits that the bench does not reach."""
    return Gateway(name, "gateway", environment(url))


def environment(url: str) -> dict[str, str]:
    return {
        "DATABASE_URL": url,
        "STRIPE_SECRET_KEY": "sk_test_bench",
        "STRIPE_API_BASE": "http://127.0.0.1:9",
        "AUTH_HS256_SECRET": SECRET,
        "GATEWAY_CORS_ORIGINS": "https://shop.example",
        "GATEWAY_RATE_LIMIT_REQUESTS": "1000000000/minute",
        "GATEWAY_EVENT_CATCH_UP_MINUTES": "0",
    }


@dataclass(frozen=True)
class Load:
    """Requests to one server, always the same one.

    Attributes:
        name: how the report calls it.
        server: who answers.
        each: the request.
    """

    name: str
    server: Server
    each: bytes


def post(query: str, headers: dict[str, str] = JSON) -> bytes:
    return request("/graphql", json.dumps({"query": query}).encode(), headers)


def get(query: str, **headers: str) -> bytes:
    return request(f"/graphql?{urlencode({'query': query})}", headers={**JSON, **headers}, method="GET")


def etag(server: Server) -> str:
    """What a cache in front would ask with."""
    url = f"http://127.0.0.1:{server.port}/graphql"
    return str(httpx.get(url, params={"query": PAGE}, headers=JSON).headers["etag"])


def compare(loads: list[Load]) -> dict[str, list[float]]:
    """CPU microseconds of a request, in alternating rounds: every load once a round, in turn.

    All send as many requests, because opening the connections is a part of every round: of fewer it were a larger one.
    """
    found: dict[str, list[float]] = {load.name: [] for load in loads}
    for _ in range(ROUNDS + 1):  # the first warms up
        for load in loads:
            found[load.name].append(measure(load.server, [load.each] * REQUESTS).cpu)
    return {name: rounds[1:] for name, rounds in found.items()}


def page() -> bool:
    """The pricing page of 20 products with 80 prices."""
    token = jwt.encode({"sub": "ada", "exp": int(time.time()) + 3600}, SECRET, algorithm="HS256")
    with catalog(20) as url, tempfile.NamedTemporaryFile() as ready, gateway("gateway", url).running() as server:
        body = httpx.post(f"http://127.0.0.1:{server.port}/graphql", json={"query": PAGE}).content
        Path(ready.name).write_bytes(body)
        with contextlib.ExitStack() as stack:
            raw = stack.enter_context(Server("raw", "contestants:ready", {"BENCH_ANSWER": ready.name}).running())
            loads = [
                Load("raw ASGI, the same bytes, POST", raw, post(PAGE)),
                Load("cached POST", server, post(PAGE)),
                Load("raw ASGI, the same bytes, GET", raw, get(PAGE)),
                Load("cached GET", server, get(PAGE)),
                Load("304", server, get(PAGE, **{"If-None-Match": etag(server)})),
                Load("uncached", server, post(PAGE, UNCACHED)),
                Load("signed in", server, post(PAGE, {**JSON, "Authorization": f"Bearer {token}"})),
            ]
            if Nginx.is_there():
                loads += of_nginx(stack.enter_context(Nginx("nginx", "", files={"/graphql": body}).running()))
            results = compare(loads)
    line(f"{len(body):,} bytes", "CPU µs", "x raw", "lowest", "highest")
    against = {
        name: results[f"raw ASGI, the same bytes, {'POST' if 'POST' in name or name in WITHOUT_CACHE else 'GET'}"]
        for name in results
    }
    for name, rounds in results.items():
        each = [one / other for one, other in zip(rounds, against[name], strict=True)]
        line(name, f"{median(rounds):.0f}", *(f"{value:.2f}" for value in (median(each), min(each), max(each))))
    limits = {"cached POST": 1.3, "cached GET": 1.3, "304": 1, "uncached": 5, "signed in": 5}
    good = True
    for name, limit in limits.items():
        good &= verdict(f"{name}, x raw", ratios(results[name], against[name]), limit)
    if not Nginx.is_there():
        line("nginx is not installed: `apt-get install nginx-light`")
        return good
    for name in ("cached POST", "cached GET", "304"):
        good &= verdict(f"{name}, x nginx", ratios(results[name], results[f"nginx, {name.split()[-1]}"]), 1.5)
    return good


def of_nginx(server: Server) -> list[Load]:
    """The same bytes as a file."""
    known = httpx.get(f"http://127.0.0.1:{server.port}/graphql").headers["etag"]
    return [
        Load("nginx, POST", server, post(PAGE)),
        Load("nginx, GET", server, get(PAGE)),
        Load("nginx, 304", server, get(PAGE, **{"If-None-Match": known})),
    ]


def growth() -> bool:
    """One product of a catalogue of 100 prices and of one of 10,000, without the cache."""
    with contextlib.ExitStack() as stack:
        servers = [
            stack.enter_context(gateway(name, stack.enter_context(catalog(prices // PRICES_EACH))).running())
            for name, prices in (("100", 100), ("10,000", 10_000))
        ]
        results = compare([Load(each.name, each, post(ONE, UNCACHED)) for each in servers])
    return verdict("one of 10,000 prices, x one of 100", ratios(results["10,000"], results["100"]), 1.2)


def start() -> bool:
    """CPU seconds and memory from the command to its first answer."""
    with catalog(20) as url:
        runs = [start_once(sys.executable, Path.cwd(), environment(url)) for _ in range(STARTS)]
    good = verdict("start to first answer, CPU s", median([cpu for cpu, _ in runs]), 1)
    return verdict("memory then, MB", median([memory for _, memory in runs]), 120) and good


def start_once(python: str, folder: Path, settings: dict[str, str], query: str = PAGE) -> tuple[float, float]:
    """CPU seconds, and then megabytes, of a gateway that starts and answers once.

    Args:
        python: which runs it.
        folder: the checkout.
        settings: its environment variables beside ours.
        query: what it answers.
    """
    port = free_port()
    command = [python, "-m", "gateway", "serve", "--port", str(port)]
    variables = {**os.environ, **settings}
    process = subprocess.Popen(command, cwd=folder, env=variables, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        while True:
            assert process.poll() is None, "it did not start"
            try:
                httpx.post(f"http://127.0.0.1:{port}/graphql", json={"query": query}, timeout=10).raise_for_status()
            except httpx.TransportError:
                time.sleep(0.01)
            else:
                return cpu_seconds(family(process.pid)), sum(resident(pid) for pid in family(process.pid))
    finally:
        process.terminate()
        process.wait(10)


def main() -> int:
    """Print the report; 0 when every limit is met."""
    good = page()
    good &= growth()
    good &= start()
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
