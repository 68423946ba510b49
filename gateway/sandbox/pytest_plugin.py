"""The fixture `offline_stripe` for the tests of applications, in every pytest where this package is installed.

Nothing else is imported, and nothing starts, before a test asks for it.
"""

from __future__ import annotations

import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from gateway.sandbox.options import SandboxOptions

if TYPE_CHECKING:
    from collections.abc import Iterator

    import stripe

_DAY = 86_400
_LEVER_SECONDS = 120.0  # a year of many subscriptions takes a while


class OfflineStripeServer:
    """An offline Stripe that runs on this machine, and its levers.

    Attributes:
        url: Its address, to give to any Stripe library as its API base.
    """

    def __init__(self, url: str) -> None:
        self.url = url

    @property
    def client(self) -> stripe.StripeClient:
        """A client of Stripe's own library that calls it."""
        import stripe

        return stripe.StripeClient("sk_test_offline", base_addresses={"api": self.url})

    def advance(self, *, days: float = 0, seconds: float = 0, to: int | None = None) -> int:
        """Move the time forward; all that is due on the way happens, in order.

        Args:
            days: By how many days.
            seconds: By how many seconds more.
            to: To which moment instead, in Unix seconds.

        Returns:
            The time that it is then, in Unix seconds.
        """
        target = {"by": int(days * _DAY + seconds)} if to is None else {"to": to}
        return int(self.lever("POST", "/clock/advance", target)["now"])

    def reset(self) -> None:
        """Begin again, as at the first start; done before each test."""
        self.lever("POST", "/reset")

    def scene(self, name: str, *, customer: str | None = None) -> dict[str, Any]:
        """Play a scene of `gateway/sandbox/scenes.py`, such as `renewal_fails`.

        Args:
            name: Which one.
            customer: The id of the customer whom it is about; None is somebody new.

        Returns:
            The ids of the `customer` and the `subscription`, and the time: `now`.
        """
        return dict(self.lever("POST", f"/scenes/{name}", {"customer": customer}))

    def chaos(self, **shares: float) -> dict[str, Any]:
        """Say which share of the webhook deliveries goes wrong, such as `duplicate=0.2`; the settings."""
        return dict(self.lever("POST", "/chaos", shares))

    def deliveries(self, **filters: str) -> list[dict[str, Any]]:
        """Return the webhook deliveries with their attempts, newest first, of an `event`, `endpoint` or `status`."""
        query = "&".join(f"{name}={value}" for name, value in filters.items())
        return list(self.lever("GET", f"/deliveries?{query}")["data"])

    def lever(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        """Pull any lever under `/_sandbox`, and return what it answers.

        Raises:
            RuntimeError: It refuses; the message says why.
        """
        import httpx

        url = f"{self.url}/_sandbox{path}"
        with httpx.Client(timeout=_LEVER_SECONDS, trust_env=False) as http:
            answer = http.request(method, url, json=(body or {}) if method == "POST" else None)
        if answer.is_error:
            raise RuntimeError(f"{method} {url}: {answer.json()['error']['message']}")
        return answer.json()


@pytest.fixture(scope="session")
def offline_stripe_options() -> SandboxOptions:
    """How the offline Stripe starts; override it to begin with the sample catalogue or a seed of your own."""
    return SandboxOptions(catalog=False)


@pytest.fixture(scope="session")
def offline_stripe_server(offline_stripe_options: SandboxOptions) -> Iterator[OfflineStripeServer]:
    """An offline Stripe for the whole session, on a free port, in memory; tests use `offline_stripe`."""
    with _running(offline_stripe_options) as server:
        yield server


@pytest.fixture
def offline_stripe(offline_stripe_server: OfflineStripeServer) -> OfflineStripeServer:
    """An offline Stripe without a past: its `url`, a `client`, and levers such as `advance` and `scene`."""
    offline_stripe_server.reset()
    return offline_stripe_server


@contextmanager
def _running(options: SandboxOptions) -> Iterator[OfflineStripeServer]:
    """Serve an offline Stripe from a thread while the block runs.

    Raises:
        RuntimeError: It does not start.
    """
    import uvicorn

    from gateway.sandbox import create_sandbox

    app = create_sandbox(options)
    config = uvicorn.Config(app, port=0, log_level="warning", date_header=False, timeout_graceful_shutdown=1)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, name="offline Stripe", daemon=True)
    thread.start()
    while not server.started:
        thread.join(0.01)
        if not thread.is_alive():
            raise RuntimeError("the offline Stripe did not start")
    try:
        host, port = server.servers[0].sockets[0].getsockname()[:2]
        yield OfflineStripeServer(f"http://{host}:{port}")
    finally:
        server.should_exit = True
        thread.join()
