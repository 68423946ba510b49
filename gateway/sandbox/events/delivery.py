"""Webhooks: which endpoint gets which event, signed and delivered until it is taken.

Source: https://docs.stripe.com/webhooks. Deliveries live in wall time, not on the sandbox's clock: they go to a real
server. One endpoint gets its events one after the other; a failed delivery steps aside and is tried again later.
"""

from __future__ import annotations

import asyncio
import heapq
import logging
import time
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import httpx
import orjson

from gateway.sandbox.core.errors import resource_missing
from gateway.sandbox.core.registry import KINDS
from gateway.sandbox.core.templates import complete
from gateway.sandbox.events.endpoints import payload, secrets_of, signature, wants

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Iterator

    from gateway.sandbox.core.clock import Clock
    from gateway.sandbox.core.ids import Ids
    from gateway.sandbox.core.ports import Listener
    from gateway.sandbox.core.store import Obj, Store
    from gateway.sandbox.events.chaos import Chaos
    from gateway.sandbox.options import SandboxOptions

_log = logging.getLogger(__name__)
_HOUR = 3600
# Stripe tries for up to three days with growing waits (https://docs.stripe.com/webhooks#retries).
RETRY_WAITS = (300, 1800, 2 * _HOUR, 5 * _HOUR, 10 * _HOUR, *[12 * _HOUR] * 4)
_ANSWER_LENGTH = 500


class WebhookDeliveries:
    """Plans deliveries inside a request's transaction and makes them in the background."""

    def __init__(
        self, store: Store, ids: Ids, clock: Clock, chaos: Chaos, options: SandboxOptions, *, wake: Callable[[], None]
    ) -> None:
        """Deliver the events of a store.

        Args:
            store: Where events, endpoints and deliveries are.
            ids: Where ids come from.
            clock: The time in which endpoints are made; deliveries live in wall time.
            chaos: What goes wrong on purpose.
            options: The signing secret, the destination and the waits.
            wake: Called when a delivery was planned.
        """
        self._store = store
        self._ids = ids
        self._clock = clock
        self._chaos = chaos
        self._options = options
        self._wake = wake
        self._queues: dict[str, list[tuple[float, int, str]]] = {}
        self._workers: dict[str, asyncio.Task[None]] = {}
        self._listeners: dict[str, Listener] = {}
        self._order = 0
        self.reload()

    def reload(self) -> None:
        """Take up the deliveries that the store says are pending."""
        for queue in self._queues.values():
            queue.clear()
        for endpoint in self._store.find("webhook_endpoint", _listener=True):
            if endpoint["id"] not in self._listeners:  # of a CLI that is long gone
                self._store.delete("webhook_endpoint", endpoint["id"])
        for delivery in reversed(self._store.find("_delivery", status="pending")):
            self._enqueue(delivery)

    # Planning --------------------------------------------------------------------------------------------------

    def ensure_destination(self) -> None:
        """Make or update the endpoint that `forward_to` asks for, and those of the CLIs that listen."""
        for listener in self._listeners.values():
            self._put_endpoint(listener.endpoint)
        options = self._options
        if not options.forward_to:
            return
        found = self._store.first("webhook_endpoint", _forward=True)
        secret = options.webhook_secret or (found and found["_secret"]) or self.new_secret()
        endpoint = found or {"object": "webhook_endpoint", "id": "we_sandbox_forward", "status": "enabled"}
        endpoint |= {
            "url": options.forward_to,
            "enabled_events": list(options.events),
            "api_version": options.api_version,
            "_secret": secret,
            "_forward": True,
        }
        self._put_endpoint(endpoint)

    def _put_endpoint(self, endpoint: Obj) -> Obj:
        return self._store.put(complete({"created": self._clock.now(), **endpoint}))

    def new_secret(self) -> str:
        """Return a new signing secret in Stripe's form."""
        return self._ids.new("whsec").replace("whsec_1", "whsec_0") + self._ids.new("x")[2:10]

    def listening_secret(self) -> str:
        """Return what events for `stripe listen` are signed with: that of `forward_to`, or one that stays the same."""
        if self._options.webhook_secret:
            return self._options.webhook_secret
        stored = self._store.get("_cli_secret", "") or {"object": "_cli_secret", "id": "", "secret": self.new_secret()}
        return str(self._store.put(stored)["secret"])

    @contextmanager
    def listening(self, listener: Listener) -> Iterator[None]:
        """Send every event through the WebSocket of a CLI as well, as long as it is open."""
        endpoint_id = self._put_endpoint(listener.endpoint)["id"]
        self._listeners[endpoint_id] = listener
        try:
            yield
        finally:
            del self._listeners[endpoint_id]
            self._store.delete("webhook_endpoint", endpoint_id)

    def plan(self, event: Obj) -> int:
        """Plan the deliveries of a new event; return to how many endpoints it goes."""
        endpoints = [each for each in self._store.scan("webhook_endpoint") if wants(each, event)]
        for endpoint in endpoints:
            self._plan(event, endpoint, self._chaos.draw_faults())
        return len(endpoints)

    def redeliver(self, event: Obj, endpoint_id: str | None = None) -> list[Obj]:
        """Send an event once more, to one endpoint or to all that want it; return the new deliveries."""
        if endpoint_id:
            endpoint = self._store.get("webhook_endpoint", endpoint_id)
            if endpoint is None:
                raise resource_missing(KINDS["webhook_endpoint"].noun, endpoint_id, "webhook_endpoint")
            endpoints = [endpoint]
        else:
            endpoints = [each for each in self._store.scan("webhook_endpoint") if wants(each, event)]
        return [self._plan(event, each, frozenset()) for each in endpoints]

    def find(self, **equals: Any) -> list[Obj]:
        """Return deliveries, newest first: `event`, `endpoint`, `status`, `attempts` (with `at`, `status`, `error`)."""
        return self._store.find("_delivery", **equals)

    def _plan(self, event: Obj, endpoint: Obj, faults: frozenset[str]) -> Obj:
        delivery = {
            "object": "_delivery",
            "id": self._ids.new("whd"),
            "event": event["id"],
            "type": event["type"],
            "endpoint": endpoint["id"],
            "status": "dropped" if "drop" in faults else "pending",
            "next_attempt": time.time() + self._chaos.lateness(faults),
            "troubles": sorted(faults),
            "attempts": [],
            "_object": event["_object"],
        }
        self._store.put(delivery)
        self._enqueue(delivery)
        return delivery

    def _enqueue(self, delivery: Obj) -> None:
        if delivery["status"] == "pending":
            self._order += 1
            queue = self._queues.setdefault(delivery["endpoint"], [])
            heapq.heappush(queue, (delivery["next_attempt"], self._order, delivery["id"]))
            self._wake()

    # Sending ---------------------------------------------------------------------------------------------------

    async def run(self, wake: asyncio.Event) -> None:
        """Deliver for ever; `wake` says that something new is there."""
        timeout = httpx.Timeout(self._options.delivery_timeout)
        client = httpx.AsyncClient(timeout=timeout, trust_env=False, verify=_authorities())
        async with client, asyncio.TaskGroup() as group:
            while True:
                wake.clear()
                for endpoint, queue in self._queues.items():
                    worker = self._workers.get(endpoint)
                    if queue and (worker is None or worker.done()):
                        self._workers[endpoint] = group.create_task(self._work(endpoint, client))
                await wake.wait()

    async def settled(self, object_id: str, timeout: float = 10.0) -> None:  # noqa: ASYNC109 -- gives up in silence
        """Wait until every event about an object was tried once, at most `timeout` seconds.

        Stripe does so with `checkout.session.completed` before it redirects the buyer.
        """
        deadline = time.monotonic() + timeout
        while time.monotonic() < deadline:
            waiting = self._store.find("_delivery", _object=object_id, status="pending")
            if all(delivery["attempts"] for delivery in waiting):
                return
            await asyncio.sleep(0.01)

    async def _work(self, endpoint_id: str, client: httpx.AsyncClient) -> None:
        """Make the deliveries of one endpoint until none is left, each at its time."""
        queue = self._queues[endpoint_id]
        while queue:
            due, order, delivery_id = heapq.heappop(queue)
            if due > time.time():
                heapq.heappush(queue, (due, order, delivery_id))
                # Short naps, because an earlier delivery may be planned meanwhile.
                await asyncio.sleep(min(due - time.time(), 0.05))
                continue
            delivery = self._store.get("_delivery", delivery_id)
            if delivery and delivery["status"] == "pending":
                try:
                    await self._attempt(delivery, client)
                except Exception:  # noqa: BLE001 -- a fault must be seen and must not stop other deliveries
                    _log.exception("the event %s could not be delivered", delivery["event"])

    async def _attempt(self, delivery: Obj, client: httpx.AsyncClient) -> None:
        endpoint = self._store.get("webhook_endpoint", delivery["endpoint"])
        event = self._store.get("event", delivery["event"])
        if endpoint is None or event is None:
            self._store.delete("_delivery", delivery["id"])
            return
        faults = frozenset() if delivery["attempts"] else frozenset(delivery["troubles"])
        body = orjson.dumps(payload(event, endpoint, self._store), option=orjson.OPT_INDENT_2)
        headers = {
            "Content-Type": "application/json; charset=utf-8",
            "User-Agent": "Stripe/1.0 (+https://stripe.com/docs/webhooks)",
            "Stripe-Signature": signature(body, secrets_of(endpoint, faults)),
            "Offline-Stripe-Ahead": str(self._clock.ahead),
        }
        started = time.time()
        listener = self._listeners.get(endpoint["id"])
        if listener:
            outcome = await listener.carry(delivery["id"], body, headers)
        else:
            outcome = await self._send(client, endpoint["url"], body, headers, faults)
        self._record(delivery["id"], {"at": started, "ms": round((time.time() - started) * 1000), **outcome})

    async def _send(
        self, client: httpx.AsyncClient, url: str, body: bytes, headers: dict[str, str], faults: frozenset[str]
    ) -> Obj:
        try:
            if "cut" in faults:
                await _cut(url, body, headers)
                return {"status": None, "error": "connection cut on purpose (chaos)", "answer": ""}
            for _ in range(2 if "duplicate" in faults else 1):
                answer = await client.post(url, content=body, headers=headers)
        except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
            return {"status": None, "error": str(error) or type(error).__name__, "answer": ""}
        ok = answer.is_success
        return {
            "status": answer.status_code,
            "error": None if ok else f"HTTP {answer.status_code}",
            "answer": answer.text[:_ANSWER_LENGTH],
        }

    def _record(self, id: str, attempt: Obj) -> None:
        with self._store.transaction():
            delivery = self._store.get("_delivery", id)
            if delivery is None:  # the state was reset meanwhile
                return
            tried = len(delivery["attempts"])
            delivery["attempts"].append(attempt)
            if attempt["error"] is None:
                delivery["status"] = "delivered"
                self._took(delivery["event"])
            elif tried >= len(RETRY_WAITS):
                delivery["status"] = "failed"
            else:
                factor = self._options.retry_factor
                delivery["next_attempt"] = time.time() + RETRY_WAITS[tried] * factor
            self._store.put(delivery)
            self._enqueue(delivery)

    def _took(self, event_id: str) -> None:
        event = self._store.get("event", event_id)
        if event and event["pending_webhooks"]:
            event["pending_webhooks"] -= 1
            self._store.put(event)


@cache
def _authorities() -> ssl.SSLContext:
    """Return whom an HTTPS destination is trusted by, kept: reading the list takes longer than starting a sandbox."""
    return httpx.create_ssl_context(trust_env=False)


async def _cut(url: str, body: bytes, headers: dict[str, str]) -> None:
    """Begin a request by hand and hang up in the middle of its body."""
    target = urlsplit(url)
    port = target.port or (443 if target.scheme == "https" else 80)
    _, writer = await asyncio.open_connection(target.hostname, port, ssl=target.scheme == "https" or None)
    lines = [f"POST {target.path or '/'} HTTP/1.1", f"Host: {target.netloc}", f"Content-Length: {len(body)}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    writer.write("\r\n".join([*lines, "", ""]).encode() + body[: len(body) // 2])
    await writer.drain()
    writer.close()
