"""A client of GraphQL over server-sent events."""

import contextlib
import json
from collections.abc import Iterator
from typing import Any

import httpx

from harness.gateway import World

EVENTS = "text/event-stream"


class Stream:
    """One response, event by event."""

    def __init__(self, response: httpx.Response) -> None:
        self.response = response
        self._lines = response.iter_lines()

    def receive(self) -> tuple[str, Any] | None:
        """The next event with its data; None where the response has ended."""
        event: dict[str, str] = {}
        for line in self._lines:
            name, colon, value = line.partition(":")
            if name and colon:
                event[name] = value.strip()
            elif not line and event:
                return event["event"], json.loads(event["data"] or "null")
        return None

    def next(self) -> Any:
        """The data of the next answer."""
        kind, payload = self.receive() or ("end", None)
        assert kind == "next", payload
        assert "errors" not in payload, payload
        return payload["data"]

    def codes(self) -> list[str]:
        """The codes of the errors with which an operation ends, which it does."""
        kind, payload = self.receive() or ("end", None)
        assert (kind, self.receive()) == ("next", ("complete", None))
        return [error["extensions"]["code"] for error in payload["errors"]]


@contextlib.contextmanager
def streamed(
    world: World,
    query: str,
    variables: dict[str, Any] | None = None,
    headers: dict[str, str] | None = None,
    *,
    method: str = "POST",
    accept: str = EVENTS,
) -> Iterator[Stream]:
    """A request by somebody who takes events."""
    asked = {"query": query, "variables": variables or {}}
    sent = {"json": asked} if method == "POST" else {"params": {**asked, "variables": json.dumps(variables or {})}}
    headers = {"Accept": accept, **(headers or {})}
    with (
        httpx.Client(trust_env=False, timeout=10) as client,
        client.stream(method, f"{world.url}/graphql", headers=headers, **sent) as response,
    ):
        yield Stream(response)
