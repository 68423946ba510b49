"""Live updates: what 2,000 subscriptions that wait cost one process, and what it costs to tell them something.

Run by `make bench`. Every subscriber is a signed-in user on a WebSocket of its own; four follow each customer.
"""

import asyncio
import json
import os
import sys
import time
from pathlib import Path

import jwt
import sqlalchemy as sa
from bench_events import SUBSCRIPTIONS, contestants, databases, deliveries
from runner import Server, line, measure, median, verdict
from websockets.asyncio.client import ClientConnection, connect

CLIENTS = int(os.environ.get("BENCH_CLIENTS", "2000"))
IDLE_SECONDS = float(os.environ.get("BENCH_IDLE", "30"))
AT_ONCE = 50
SIGN_IN = "the-secret-that-signs-the-tokens-of-the-bench"
QUERY = "subscription { viewerUpdated { id subscription { id status currentPeriodEnd } } }"
SETTINGS = {
    "AUTH_HS256_SECRET": SIGN_IN,
    "GATEWAY_WEBSOCKET_PER_ADDRESS": str(CLIENTS),
    "GATEWAY_RATE_LIMIT_REQUESTS": "off",
}


def fill(url: str) -> None:
    """A customer for each subscription of the bench, and whose it is."""
    engine = sa.create_engine(sa.make_url(url).set(drivername="sqlite"))
    row = "('cus_bench' || :n, 'user_' || :n, 1, 0, 1, 0, 0, '{}', '2026-01-01 00:00:00')"
    names = "(id, external_id, as_of, staleness_seconds, revision, deleted, delinquent, meta, created)"
    with engine.begin() as connection:
        statement = sa.text(f"INSERT INTO customer {names} VALUES {row}")  # noqa: S608 - the names are ours
        connection.execute(statement, [{"n": n} for n in range(SUBSCRIPTIONS)])
    engine.dispose()


def memory(server: Server) -> float:
    """The resident memory of the server, in KB."""
    status = Path(f"/proc/{server.process.pid}/status").read_text()
    return float(status.partition("VmRSS:")[2].split()[0])


async def subscribe(port: int, number: int, gate: asyncio.Semaphore) -> ClientConnection:
    """A subscriber who has had the first message."""
    async with gate:
        connection = await connect(
            f"ws://127.0.0.1:{port}/graphql",
            subprotocols=["graphql-transport-ws"],
            compression=None,
            ping_interval=None,
            proxy=None,
            open_timeout=60,
        )
        token = jwt.encode({"sub": f"user_{number}", "exp": int(time.time()) + 3600}, SIGN_IN, algorithm="HS256")
        await connection.send(json.dumps({"type": "connection_init", "payload": {"Authorization": f"Bearer {token}"}}))
        await connection.recv()
        await connection.send(json.dumps({"id": "1", "type": "subscribe", "payload": {"query": QUERY}}))
        first = json.loads(await connection.recv())
        assert first["type"] == "next", first
        return connection


async def told(connection: ClientConnection, began: float) -> float:
    """Seconds until a subscriber hears of the change."""
    message = json.loads(await connection.recv())
    assert message["payload"]["data"]["viewerUpdated"]["subscription"]["status"] == "ACTIVE", message
    return time.monotonic() - began


async def idle(server: Server) -> float:
    """CPU, in percent of one core, over a while in which nothing happens."""
    before, began = server.used()[0], time.monotonic()
    await asyncio.sleep(IDLE_SECONDS)
    return (server.used()[0] - before) / (time.monotonic() - began) * 100


async def run(server: Server) -> bool:
    """One run; whether the limit is met."""
    alone, empty = await idle(server), memory(server)
    gate, began, before = asyncio.Semaphore(AT_ONCE), time.monotonic(), server.used()[0]
    connections = await asyncio.gather(*(subscribe(server.port, n % SUBSCRIPTIONS, gate) for n in range(CLIENTS)))
    opened = time.monotonic() - began
    line("opening, first message included", f"{(server.used()[0] - before) / CLIENTS * 1e6:.0f} µs", f"{opened:.0f} s")
    each = (memory(server) - empty) / CLIENTS
    line(f"{CLIENTS} that wait", f"{each:.1f} KB each", f"{await idle(server):.1f} % CPU", f"alone {alone:.1f} %")
    before, began = server.used()[0], time.monotonic()
    listening = [asyncio.create_task(told(connection, began)) for connection in connections]
    events = await asyncio.to_thread(measure, server, deliveries(SUBSCRIPTIONS, start=1_800_000_000))
    seconds = sorted(await asyncio.gather(*listening))
    cpu = (server.used()[0] - before) * 1e6 / CLIENTS
    line(
        f"{SUBSCRIPTIONS} events at once",
        f"{cpu:.0f} µs a push",
        f"median {median(seconds):.2f} s",
        f"last {seconds[-1]:.2f} s",
    )
    line("events answered meanwhile", f"{events.rate:.0f}/s")
    await asyncio.gather(*(connection.close() for connection in connections))
    return verdict("KB that a waiting subscriber takes", each, 100)


def main() -> int:
    """Print the report; 0 when the limit is met."""
    with databases() as urls:
        url = urls["SQLite"][0]
        fill(url)
        server = next(each for each in contestants(urls) if each.name == "gateway, SQLite")
        server.environment |= SETTINGS
        with server.running():
            return 0 if asyncio.run(run(server)) else 1


if __name__ == "__main__":
    sys.exit(main())
