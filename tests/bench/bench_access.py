"""Access checks: `GET /access/{externalId}/{feature}` by the back end and by signed-in users, beside ready bytes.

The growth is that of one user's page: a check, the entitlements and the subscription that counts of a user with few
subscriptions and with many, running and ended. Run by `make bench`; see docs/performance.md.
"""

import asyncio
import contextlib
import os
import sys
import tempfile
import time
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import jwt
import sqlalchemy as sa
from bench_engine import CUSTOMERS, NOW, SECRET, fill
from bench_events import databases
from runner import Gateway, Round, Server, family, line, measure, median, ratios, request, verdict

from gateway.db.tables import table_for
from gateway.models import mirrored as models
from gateway.runtime import compose
from gateway.settings import Settings

ROUNDS = int(os.environ.get("BENCH_ROUNDS", "7"))
REQUESTS = int(os.environ.get("BENCH_REQUESTS", "20000"))
SERVICE = {"Authorization": "Bearer the-token-of-the-back-end-of-the-bench"}
PAGE = "{ viewer { entitlements { feature limit } subscription { id } } }"
SIZES = (1, 10, 100, 1000)


def user(subject: str) -> dict[str, str]:
    """The headers of a signed-in user, with a token of the usual length."""
    claims = {"sub": subject, "exp": int(time.time()) + 3600, "name": "x" * 500}
    return {"Authorization": f"Bearer {jwt.encode(claims, SECRET, algorithm='HS256')}"}


def checks(*, signed_in: bool) -> list[bytes]:
    """Requests about all customers in turn."""
    made = [
        request(f"/access/user_{number}/sso", headers=user(f"user_{number}") if signed_in else SERVICE, method="GET")
        for number in range(CUSTOMERS)
    ]
    return [made[number % CUSTOMERS] for number in range(REQUESTS)]


def compare(servers: dict[str, tuple[Server, list[bytes]]]) -> dict[str, list[Round]]:
    """Alternating rounds, the first of which warms up."""
    results: dict[str, list[Round]] = {name: [] for name in servers}
    for number in range(ROUNDS + 1):
        for name, (server, load) in servers.items():
            found = measure(server, load)
            if number:
                results[name].append(found)
    (ready, *_) = results.values()
    for name, rounds in results.items():
        cpu, rate = ([getattr(each, what) for each in rounds] for what in ("cpu", "rate"))
        against = ratios(cpu, [each.cpu for each in ready])
        p99 = median([each.percentile(0.99) for each in rounds]) * 1e3
        line(name, f"{median(cpu):.1f}", f"{median(rate):.0f}", f"{against:.2f}", f"{p99:.1f}")
    return results


async def fill_many(url: str) -> None:
    """Add users with ended subscriptions, and users with running ones, as many as `SIZES` says."""
    rows: dict[type, list[dict[str, Any]]] = {}
    end = datetime.now(UTC).replace(microsecond=0) + timedelta(days=20)
    for size in SIZES:
        for kind, status in (("ended", "canceled"), ("running", "active")):
            name = f"{kind}_{size}"
            rows.setdefault(models.Customer, []).append({"id": f"cus_{name}", "external_id": name, "created": NOW})
            for number in range(size):
                made = NOW - timedelta(days=number)
                rows.setdefault(models.Subscription, []).append(
                    {
                        "id": f"sub_{name}_{number}",
                        "customer_id": f"cus_{name}",
                        "status": status,
                        "currency": "usd",
                        "created": made,
                        "start_date": made,
                    }
                )
                rows.setdefault(models.SubscriptionItem, []).append(
                    {
                        "id": f"si_{name}_{number}",
                        "subscription_id": f"sub_{name}_{number}",
                        "price_id": "price_1_0",
                        "product_id": f"prod_{number % 20}",
                        "quantity": 1,
                        "current_period_start": made,
                        "current_period_end": end,
                        "created": made,
                    }
                )
    database = compose(Settings.load(database_url=url)).database

    def write(connection: sa.Connection) -> None:
        for model, its in rows.items():
            values = [model(**{"as_of": 1, **row}).model_dump() for row in its]
            connection.execute(sa.insert(table_for(model)), values)

    await database.transaction(write)
    await database.close()


def growth(server: Server) -> None:
    """Print what one page costs, for each size; nothing of it comes from memory."""
    line(f"{server.name}, CPU µs", *SIZES)
    for kind in ("ended", "running"):
        figures = []
        for size in SIZES:
            body = f'{{"query": "{PAGE}"}}'.encode()
            load = [request("/graphql", body, {"Content-Type": "application/json", **user(f"{kind}_{size}")})]
            figures.append(f"{measure(server, load * max(20, 1000 // size), connections=4).cpu:.0f}")
        line(f"viewer, {kind} subscriptions", *figures)


def environment(url: str) -> dict[str, str]:
    """The settings of a gateway."""
    return {
        "DATABASE_URL": url,
        "AUTH_HS256_SECRET": SECRET,
        "GATEWAY_SERVICE_TOKEN": SERVICE["Authorization"].removeprefix("Bearer "),
        "STRIPE_SECRET_KEY": "sk_test_bench",
        "STRIPE_API_BASE": "http://127.0.0.1:9",
        "GATEWAY_EVENT_CATCH_UP_MINUTES": "0",
        "GATEWAY_RATE_LIMIT_REQUESTS": "off",
    }


def whole(server: Server, headers: dict[str, str]) -> bytes:
    """One answer, which must allow."""
    answer = httpx.get(f"http://127.0.0.1:{server.port}/access/user_7/sso", headers=headers)
    assert answer.status_code == 200, answer.text
    return answer.content


def contestants(gateways: Iterable[tuple[str, Server]], raw: Server) -> dict[str, tuple[Server, list[bytes]]]:
    """Ready bytes, and each gateway asked by the back end and by users."""
    service, users = checks(signed_in=False), checks(signed_in=True)
    found = {"ready bytes": (raw, service)}
    for name, server in gateways:
        found[f"back end, {name}"] = server, service
        found[f"signed in, {name}"] = server, users
    return found


def main() -> int:
    """Print the report; 0 when every limit is met."""
    good = True
    with databases() as urls, tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
        gateways = {}
        for name, (url, pid) in urls.items():
            asyncio.run(fill(url))
            asyncio.run(fill_many(url))
            others = (lambda pid=pid: family(pid)) if pid else tuple
            server = Gateway(f"gateway, {name}", "", environment(url), True, others)
            gateways[name] = stack.enter_context(server.running())
        for server in gateways.values():
            body = whole(server, SERVICE)
            assert body == whole(server, user("user_7"))
        (Path(folder) / "answer").write_bytes(body)
        raw = Server("ready bytes", "engine_contestants:ready", {"READY_BYTES": f"{folder}/answer"}, True)
        stack.enter_context(raw.running())
        line("access check", "CPU µs", "requests/s", "x ready", "p99 ms")
        results = compare(contestants(gateways.items(), raw))
        for name, rounds in results.items():
            if name != "ready bytes":
                good &= verdict(f"CPU µs of a check, {name}", median([each.cpu for each in rounds]), 40)
                good &= verdict(f"10,000 a second, {name}", 10_000 / median([each.rate for each in rounds]), 1)
        for server in gateways.values():
            growth(server)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
