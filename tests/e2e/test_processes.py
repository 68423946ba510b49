"""`gateway dev` and `gateway serve` as real processes, started and stopped as people do."""

import contextlib
import os
import re
import signal
import socket
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from gateway.settings import Settings
from harness.databases import postgres_later
from harness.gateway import SECRET, SIGN_IN_SECRET, World
from harness.waiting import answering, eventually, free_port

BUY = """mutation($to: String!) {
  createCheckoutSession(input: {lineItems: [{lookupKey: "starter_monthly"}], successUrl: $to}) {
    session { id url }
    userErrors { code message }
  }
}"""


def guarded(port):
    """Whether the server ends what has no end, which uvicorn alone does not."""
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection, contextlib.suppress(ConnectionError):
        connection.sendall(b"GET / HTTP/1.1\r\nx-long: ")
        for _ in range(100):
            connection.sendall(b"x" * 10_000)
            time.sleep(0.001)  # so that what is refused is refused in the middle
        return connection.recv(12) == b"HTTP/1.1 431"
    return True  # the end overtook the answer


@contextlib.contextmanager
def running(cwd, *arguments, ready, logs="output.txt", **environment):
    """The real program, from when it answers at `ready` until it is told to stop."""
    output = (cwd / logs).open("w")
    process = subprocess.Popen(
        [sys.executable, "-m", "gateway", *arguments],
        cwd=cwd,
        env={"PATH": os.environ["PATH"], "COLUMNS": "120", **environment},
        stdout=output,
        stderr=subprocess.STDOUT,
    )
    try:
        answering(ready, process, (cwd / logs).read_text)
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(10)
        finally:
            process.kill()
            output.close()


def printed(output, expected):
    """What a command has printed, once everything expected is there: it answers before it has said all."""
    eventually(lambda: [each for each in expected if each not in output.read_text()], [])
    return output.read_text()


@pytest.mark.timeout(180)
@pytest.mark.soak
def test_gateway_dev_tells_where_everything_is_keeps_its_state_and_starts_over_when_asked(tmp_path):
    port, stripe_port = free_port(), free_port()
    url, ports = f"http://127.0.0.1:{port}", ("--port", str(port), "--stripe-port", str(stripe_port))

    with running(tmp_path, "dev", *ports, ready=f"{url}/readyz") as process:
        expected = (f"{url}/demo", f"{url}/graphql", f"http://127.0.0.1:{stripe_port}", "dev.env", "4242")
        welcome = printed(tmp_path / "output.txt", expected)
        bought = httpx.post(f"{url}/graphql", json={"query": BUY, "variables": {"to": f"{url}/demo"}}).json()
        session = bought["data"]["createCheckoutSession"]["session"]["id"]
        assert httpx.get(f"{url}/demo").status_code == 200
        assert guarded(port)
        assert httpx.get(f"http://127.0.0.1:{stripe_port}/").status_code == 200
        secrets = (tmp_path / ".gateway/dev.env").read_text()
        found = re.search(
            r"STRIPE_WEBHOOK_SECRET=whsec_\w+\nAUTH_HS256_SECRET=\w+\nGATEWAY_SERVICE_TOKEN=(\w+)\n", secrets
        )
        asked = {"Authorization": f"Bearer {found[1]}", "Origin": "http://localhost:5174"}
        answer = httpx.get(f"{url}/access/user_ada/automation", headers=asked)
        assert answer.json()["reason"] == "NO_SUBSCRIPTION"
        assert answer.headers["access-control-allow-origin"] == "http://localhost:5174"
        assert not re.search(rf"whsec_|\x1b|{found[1]}", welcome)
    assert process.returncode == 0

    ask = {"query": "query($id: ID!) { session(id: $id) { status } }", "variables": {"id": session}}
    with running(tmp_path, "dev", *ports, ready=f"{url}/readyz"):
        assert httpx.post(f"{url}/graphql", json=ask).json()["data"]["session"] == {"status": "OPEN"}
        assert (tmp_path / ".gateway/dev.env").read_text() == secrets

    with running(tmp_path, "dev", *ports, "--fresh", ready=f"{url}/readyz"):
        assert httpx.post(f"{url}/graphql", json=ask).json()["data"]["session"] is None


@pytest.mark.soak
def test_gateway_dev_says_in_one_line_that_a_port_is_taken(tmp_path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        result = subprocess.run(
            [sys.executable, "-m", "gateway", "dev", "--port", str(port), "--stripe-port", str(free_port())],
            cwd=tmp_path,
            env={"PATH": os.environ["PATH"], "COLUMNS": "200"},
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
    assert result.returncode == 1
    assert f"port {port}" in result.stderr
    assert "--port" in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1


@postgres_later
def test_gateway_serve_waits_on_an_empty_database_says_so_and_answers_once_it_is_migrated(
    tmp_path, request, database_url
):
    if database_url.startswith("sqlite"):
        database_url, workers = f"sqlite:///{tmp_path}/empty.db", "1"
    else:
        database_url, workers = request.getfixturevalue("empty_postgres_url"), "2"
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    environment = {
        "STRIPE_SECRET_KEY": "sk_live_51NotARealKeyButOneThatLooksLikeIt",
        "STRIPE_WEBHOOK_SECRET": "whsec_0123456789abcdef",
        "DATABASE_URL": database_url,
        "GATEWAY_REDIRECT_ORIGINS": "https://app.example.com",
        "GATEWAY_CORS_ORIGINS": "https://app.example.com",
    }
    started = ("serve", "--port", str(port), "--workers", workers, "--wait-for-migration", "60")

    def migrate_once_it_waits():
        eventually(lambda: "run `gateway db upgrade`" in (tmp_path / "output.txt").read_text(), seconds=30)
        command = [sys.executable, "-m", "gateway", "db", "upgrade"]
        settings = {"PATH": os.environ["PATH"], **environment}
        subprocess.run(command, cwd=tmp_path, env=settings, check=True, capture_output=True, timeout=60)

    (tmp_path / "output.txt").touch()
    with ThreadPoolExecutor(1) as pool:
        migrated = pool.submit(migrate_once_it_waits)
        with running(tmp_path, *started, ready=f"{url}/healthz", **environment) as process:
            migrated.result()
            assert httpx.get(f"{url}/readyz").json() == {"status": "ok"}
            answer = httpx.post(
                f"{url}/graphql", json={"query": "{ pricing { products { product { name } } } }"}
            ).json()
            assert answer == {"data": {"pricing": {"products": []}}}
            page = httpx.get(f"{url}/graphql", headers={"Accept": "text/html"})
            assert page.status_code >= 400, "GraphiQL is off in production unless it is switched on"
            assert httpx.get(f"{url}/demo").status_code == 404
            assert "gateway_" in httpx.get(f"{url}/metrics").text
            assert guarded(port)
    assert process.returncode in {0, -signal.SIGTERM}  # uvicorn ends in good order, then by the signal itself
    assert "sk_live" not in (tmp_path / "output.txt").read_text()


@pytest.mark.soak
def test_logs_that_cannot_be_written_lose_no_event(tmp_path, sqlite_url):
    url = f"http://127.0.0.1:{(port := free_port())}"
    environment = {
        "STRIPE_SECRET_KEY": "sk_test_tests",
        "STRIPE_API_BASE": "http://127.0.0.1:9",
        "STRIPE_WEBHOOK_SECRET": SECRET,
        "DATABASE_URL": sqlite_url,
    }
    with running(tmp_path, "serve", "--port", str(port), ready=f"{url}/healthz", logs="/dev/full", **environment):
        with httpx.Client(timeout=20) as client:
            world = World(url, "", None, Settings.load(database_url=sqlite_url), client)
            events = [world.event("customer.created", {"id": f"cus_{n}", "object": "customer"}) for n in range(3)]
            assert [world.deliver(event).status_code for event in events] == [200, 200, 200]
        assert {row["id"] for row in world.rows("event")} == {event["id"] for event in events}
        assert float(re.search(r"gateway_log_lines_lost_total ([\d.]+)", httpx.get(f"{url}/metrics").text)[1]) >= 3


ALONE = "import gateway.__main__; from gateway.app import from_environment"
AS_ONE_OF_SEVERAL = "from gateway.cli.worker import from_environment"
START = """
import asyncio, sys

async def start():
    told, ready = asyncio.Queue(), asyncio.Event()
    async def send(message):
        print(message["type"])
        ready.set()
    running = asyncio.create_task(from_environment()({"type": "lifespan", "state": {}}, told.get, send))
    told.put_nowait({"type": "lifespan.startup"})
    await ready.wait()
    await asyncio.sleep(0.3)  # what runs beside the requests has looked for work
    from gateway.models.mirrored import Product
    print(*filter(sys.modules.get, sys.modules), *["mapped"] * hasattr(Product, "__mapper__"), sep="\\n")
    told.put_nowait({"type": "lifespan.shutdown"})
    await running

asyncio.run(start())
"""


@pytest.mark.soak
@pytest.mark.parametrize("imports", [ALONE, AS_ONE_OF_SEVERAL])
def test_a_start_takes_nothing_that_only_other_gateways_or_later_moments_need(tmp_path, sqlite_url, imports):
    done = subprocess.run(
        [sys.executable, "-c", imports + START],
        cwd=tmp_path,
        env={"STRIPE_SECRET_KEY": "sk_test_tests", "DATABASE_URL": sqlite_url}  # of Stripe itself: none is offline
        | {"GATEWAY_RATE_LIMIT_REQUESTS": "9/minute", "GATEWAY_EVENT_CATCH_UP_MINUTES": "0"},
        capture_output=True,
        text=True,
        check=True,
    )
    imported = set(done.stdout.split())
    assert {"gateway.app", "sqlalchemy.dialects.sqlite", "fastapi", "lifespan.startup.complete"} <= imported
    for other in (
        "sqlalchemy.dialects.postgresql psycopg redis opentelemetry.sdk",  # what is not configured
        "stripe httpx jwt cryptography standardwebhooks",  # what the first call, token or message imports
        "limits",  # what the first mutation needs: exact counts
        "mapped sqlalchemy.orm.mapper",  # what nothing does: the ORM, and tables for it
        "pydantic.v1",  # what FastAPI imports for a route with a model
        "alembic gateway.sandbox.app gateway.cli.dev gateway.cli.doctor jinja2",  # what other commands are for
        "tarfile rich pygments greenlet",  # the same, of the libraries
    ):
        assert imported & set(other.split()) == set()


@pytest.mark.soak
@pytest.mark.parametrize("proof", ["AUTH_JWKS_URL", "GATEWAY_OPERATOR_JWKS_URL", "AUTH_HS256_SECRET"])
def test_what_verifies_published_keys_is_there_where_keys_are_published_and_nowhere_else(tmp_path, sqlite_url, proof):
    value = SIGN_IN_SECRET if proof == "AUTH_HS256_SECRET" else "https://sign-in.example/keys"
    others = {f"GATEWAY_OPERATOR_{name}": "console" for name in ("ISSUER", "AUDIENCE")}
    program = "import gateway.app; gateway.app.from_environment(); import jwt; print(*jwt.PyJWS().get_algorithms())"
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=tmp_path,
        env={"STRIPE_SECRET_KEY": "sk_test_tests", "DATABASE_URL": sqlite_url, proof: value, **others},
        capture_output=True,
        text=True,
        check=True,
    )
    algorithms = set(done.stdout.split())
    assert "HS256" in algorithms
    assert ({"RS256", "ES256", "EdDSA"} <= algorithms) == (proof != "AUTH_HS256_SECRET")
