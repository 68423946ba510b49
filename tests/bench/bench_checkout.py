"""Opening a checkout while every call to Stripe is 0.3 s on its way, as in life: how many such journeys a buyer waits.

Run by `make bench`; see docs/performance.md. The offline Stripe is a process of its own and shares the machine.
"""

import contextlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator

import httpx
import jwt
from bench_events import databases
from runner import Gateway, Server, free_port, line, measure, median, request, resident, verdict

LATENCY_SECONDS = 0.3
BUYERS = int(os.environ.get("BENCH_BUYERS", "20"))
AT_ONCE = 300
SIGN_IN = "the-secret-that-signs-the-tokens-of-the-bench"
MUTATION = """mutation($input: CreateCheckoutSessionInput!) { createCheckoutSession(input: $input) {
    session { id url } userErrors { code message } } }"""


class OfflineStripe(Server):
    """`gateway sandbox`, which sends its events to the gateway.

    Attributes:
        forward_to: where it sends them.
    """

    forward_to = ""

    def command(self) -> list[str]:
        events = ["--forward-to", self.forward_to, "--secret", "whsec_bench"]
        return [sys.executable, "-m", "gateway", "sandbox", "--port", str(self.port), *events]


@contextlib.contextmanager
def servers(url: str) -> Iterator[tuple[Gateway, httpx.Client]]:
    """A gateway with the sample catalogue on a database, and its offline Stripe."""
    gateway = Gateway("gateway", "gateway")
    with contextlib.ExitStack() as stack:
        offline = OfflineStripe("offline Stripe", "gateway", port=free_port())
        gateway.port = free_port()
        offline.forward_to = f"http://127.0.0.1:{gateway.port}/webhooks/stripe"
        gateway.environment = {
            "DATABASE_URL": url,
            "STRIPE_SECRET_KEY": "sk_test_bench",
            "STRIPE_WEBHOOK_SECRET": "whsec_bench",
            "STRIPE_API_BASE": f"http://127.0.0.1:{offline.port}",
            "AUTH_HS256_SECRET": SIGN_IN,
            "GATEWAY_REDIRECT_ORIGINS": "https://shop.example",
            "GATEWAY_RATE_LIMIT_REQUESTS": "off",
        }
        stack.enter_context(offline.running())
        environment = {**os.environ, **gateway.environment}
        command = [sys.executable, "-m", "gateway", "sync"]
        subprocess.run(command, cwd=gateway.folder, env=environment, check=True, capture_output=True)
        stack.enter_context(gateway.running())
        base, key = f"http://127.0.0.1:{offline.port}", {"Authorization": "Bearer sk_test_bench"}
        api = stack.enter_context(httpx.Client(base_url=base, headers=key, timeout=30))
        api.post("/_sandbox/chaos", json={"latency_seconds": LATENCY_SECONDS}).raise_for_status()
        yield gateway, api


def buyer(name: str) -> dict[str, str]:
    """The headers of a signed-in user with a verified address."""
    claims = {"sub": name, "exp": int(time.time()) + 3600, "email": f"{name}@shop.example", "email_verified": True}
    return {"Authorization": f"Bearer {jwt.encode(claims, SIGN_IN, algorithm='HS256')}"}


def body(lookup_key: str) -> bytes:
    given = {"lineItems": [{"lookupKey": lookup_key}], "successUrl": "https://shop.example/thanks"}
    return json.dumps({"query": MUTATION, "variables": {"input": given}}).encode()


def ask(client: httpx.Client, name: str, lookup_key: str) -> float:
    """Seconds until a user has a session."""
    began = time.monotonic()
    headers = {"Content-Type": "application/json", **buyer(name)}
    answer = client.post("/graphql", content=body(lookup_key), headers=headers).json()
    seconds = time.monotonic() - began
    found = answer["data"]["createCheckoutSession"]
    assert found["session"]["url"], found
    return seconds


def one_by_one(gateway: Gateway) -> bool:
    """What one buyer waits, on a process with nothing else to do."""
    waits: dict[str, list[float]] = {"a new user": [], "the same again": [], "another plan": []}
    with httpx.Client(base_url=f"http://127.0.0.1:{gateway.port}", timeout=30) as client:
        ask(client, "the_first", "starter_monthly")  # what is loaded at the first call is not counted in the waits
        good = verdict("memory after the first, MB", resident(gateway.process.pid), 120)
        for number in range(BUYERS):
            for what, plan in zip(waits, ("starter_monthly", "starter_monthly", "pro_monthly"), strict=True):
                waits[what].append(ask(client, f"buyer_{number}", plan))
    for (what, each), limit in zip(waits.items(), (650, 350, 350), strict=True):
        good &= verdict(f"{what}, ms", median(each) * 1000, limit)
        line("  the slowest", f"{max(each) * 1000:.0f}")
    return good


def at_once(gateway: Gateway, api: httpx.Client) -> bool:
    """Many new users at the same moment."""
    before = opened(api)
    headers = {"Content-Type": "application/json"}
    requests = [
        request("/graphql", body("starter_monthly"), {**headers, **buyer(f"one_of_many_{number}")})
        for number in range(AT_ONCE)
    ]
    result = measure(gateway, requests, connections=AT_ONCE)
    line(f"{AT_ONCE} new users at once", f"{result.seconds:.1f} s", f"{result.cpu / 1000:.1f} ms CPU each")
    good = verdict("the 99th percentile, s", result.percentile(0.99), 5)
    return good & verdict("refused", AT_ONCE - (opened(api) - before), 0)


def opened(api: httpx.Client) -> int:
    """How many sessions Stripe has opened."""
    return int(api.get("/_sandbox/state").json()["objects"].get("checkout.session", 0))


def main() -> int:
    """Print the report; 0 when every limit is met."""
    good = True
    with databases() as urls:
        for name, (url, _) in urls.items():
            line(name)
            with servers(url) as (gateway, api):
                good &= one_by_one(gateway)
                good &= at_once(gateway, api)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
