"""`gateway sandbox` as a process of its own, as the programs of other people meet it."""

import contextlib
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass

import httpx
import stripe

from harness.waiting import answering, free_port

KEY = "sk_test_123456789012345678901234"
ACCOUNT = "acct_1SandboxSandbox00"


@dataclass(frozen=True)
class OfflineStripe:
    """A running offline Stripe: its address, and its levers."""

    url: str

    @property
    def port(self) -> int:
        """Return the port it listens on."""
        return int(self.url.rpartition(":")[2])

    def client(self) -> stripe.StripeClient:
        """Return the SDK of this project's version, pointed at it."""
        return stripe.StripeClient(KEY, base_addresses={"api": self.url}, max_network_retries=0)

    def lever(self, path: str, **body: object) -> dict:
        """Pull a lever under `/_sandbox/`."""
        answer = httpx.post(f"{self.url}/_sandbox/{path}", json=body, timeout=60)
        assert answer.is_success, answer.text
        return answer.json()

    def state(self) -> dict:
        """Return the time, how many objects there are, and what was asked for that is not there."""
        return httpx.get(f"{self.url}/_sandbox/state").json()

    def everything(self, path: str, version: str | None = None, **parameters: str) -> list[dict]:
        """Return all pages of one of its lists, by default in the newest API version."""
        headers = {"Stripe-Version": version} if version else {}
        found: list[dict] = []
        page = {"has_more": True}
        while page["has_more"]:
            after = {"starting_after": found[-1]["id"]} if found else {}
            query = {"limit": "100", **parameters, **after}
            answer = httpx.get(f"{self.url}/v1/{path}", params=query, headers=headers, auth=(KEY, ""))
            assert answer.is_success, answer.text
            page = answer.json()
            found += page["data"]
        return found


@contextlib.contextmanager
def offline_stripe(*arguments: str) -> Iterator[OfflineStripe]:
    """Run `gateway sandbox` on a free port while the block runs.

    Args:
        arguments: further options of the command.
    """
    port = free_port()
    command = [sys.executable, "-m", "gateway", "sandbox", "--empty", "--port", str(port), *arguments]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    running = OfflineStripe(f"http://127.0.0.1:{port}")
    try:
        answering(f"{running.url}/_sandbox/state", process)
        yield running
    finally:
        process.terminate()
        process.wait(20)
