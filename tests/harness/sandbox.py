"""A running sandbox for tests: a real server on a real socket, every answer and event of which is checked.

A folder of tests that uses these fixtures imports them in its `conftest.py`.
"""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass

import httpx
import pytest
import stripe

from gateway.sandbox import SandboxOptions, create_sandbox
from gateway.sandbox.instance import OfflineStripe
from harness import receiver as receivers
from harness.gateway import listening, serve
from harness.stripe_contract import Contract, Recorder
from harness.waiting import eventually


@dataclass
class Server:
    """A sandbox under test: its address, and its inside for what the API cannot show."""

    url: str
    sandbox: OfflineStripe
    recorder: Recorder

    def advance(self, seconds: int) -> None:
        """Let its time go on, over HTTP: its state belongs to its own loop."""
        answer = httpx.post(f"{self.url}/_sandbox/clock/advance", json={"by": seconds}, timeout=60)
        assert answer.is_success, answer.text

    def deliveries(self, **filters: str) -> list[dict]:
        """What it has sent, or tries to, and what came of it."""
        return httpx.get(f"{self.url}/_sandbox/deliveries", params=filters).json()["data"]

    def settled(self, **filters: str) -> list[dict]:
        """The same, once nothing is on its way: what has arrived is noted when its answer has come back."""
        eventually(lambda: [each for each in self.deliveries(**filters) if each["status"] == "pending"], [])
        return self.deliveries(**filters)

    def client(self, key: str = "sk_test_123", **options) -> stripe.StripeClient:
        """The real SDK, only with another base address."""
        options.setdefault("max_network_retries", 0)
        return stripe.StripeClient(key, base_addresses={"api": self.url}, **options)


@pytest.fixture(scope="session")
def contracts() -> list[Contract]:
    create_sandbox()  # which registers what is served
    return Contract.load()


@pytest.fixture
def sandbox_factory(contracts) -> Iterator:
    """Starts sandboxes with options of the test's own; all are stopped and checked at its end."""
    running = []

    with contextlib.ExitStack() as servers:

        def start(**options) -> Server:
            options.setdefault("catalog", False)
            app = create_sandbox(SandboxOptions(**options))
            recorder = Recorder(app)
            listener, url = listening()
            servers.enter_context(serve(recorder, listener, date_header=False, timeout_graceful_shutdown=1))
            running.append((recorder, app.state.sandbox))
            return Server(url, app.state.sandbox, recorder)

        yield start
        complaints = []
        for recorder, sandbox in running:
            for contract in contracts:
                complaints += contract.complaints(recorder.answers, sandbox.store.find("event"))
    assert not complaints, "\n".join(complaints)


@pytest.fixture
def sandbox_server(sandbox_factory) -> Server:
    """An empty sandbox in memory."""
    return sandbox_factory()


@pytest.fixture
def stripe_client(sandbox_server) -> stripe.StripeClient:
    """The real SDK pointed at `sandbox_server`."""
    return sandbox_server.client()


@pytest.fixture
def receiver():
    """A webhook destination."""
    found, server = receivers.start()
    yield found
    server.shutdown()
    server.server_close()


@pytest.fixture(autouse=True)
def quiet_sdk(monkeypatch):
    """The SDK writes no file into the home directory, and no notice."""
    monkeypatch.setattr(stripe, "enable_telemetry", False)
    monkeypatch.setenv("STRIPE_SUPPRESS_NOTICES", "true")
