"""What counting costs: one mutation of a process that knows a few users, and of one that knows 100,000.

Run by `make bench`. A rate library whose memory walks through every key it knows took 104 ms of CPU for a mutation with
1,000 users known; see `docs/decisions/0009-own-rate-counters-in-memory.md`.
"""

import json
import sys
from collections.abc import Iterator

from bench_graphql import JSON, REQUESTS, ROUNDS, catalog, environment
from runner import Gateway, line, measure, median, ratios, request, verdict

KNOWN = 100_000
MUTATION = 'mutation { cancelSubscription(input: {subscriptionId: "sub_1"}) { userErrors { code } } }'
"""Counted before its caller, a guest, is refused: no database and no Stripe, so that little hides the counting."""

SETTINGS = {"GATEWAY_TRUSTED_PROXIES": "127.0.0.1", "GATEWAY_RATE_LIMIT_MUTATIONS": "100000000/day"}


def mutations(first: int, count: int) -> Iterator[bytes]:
    """Mutations of as many guests, each from an address of its own."""
    body = json.dumps({"query": MUTATION}).encode()
    for number in range(first, first + count):
        address = f"10.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}"
        yield request("/graphql", body, {**JSON, "X-Forwarded-For": address})


def main() -> int:
    """Print the report; 0 when the limit is met."""
    found: dict[str, list[float]] = {"few known": [], "100,000 known": []}
    with catalog(1) as url:
        few, many = (Gateway(name, "gateway", {**environment(url), **SETTINGS}) for name in found)
        with few.running(), many.running():
            measure(many, list(mutations(0, KNOWN)))
            for turn in range(ROUNDS + 1):  # the first warms up
                for server in (few, many):
                    cpu = measure(server, list(mutations(KNOWN - REQUESTS, REQUESTS))).cpu
                    if turn:
                        found[server.name].append(cpu)
    line("one mutation", "CPU µs")
    for name, rounds in found.items():
        line(name, f"{median(rounds):.0f}")
    return 0 if verdict("100,000 known, x few", ratios(found["100,000 known"], found["few known"]), 1.2) else 1


if __name__ == "__main__":
    sys.exit(main())
