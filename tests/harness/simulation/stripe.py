"""The offline Stripe in the simulation: its calls, its hosted page, its time, and a postman whom nobody can rely on."""

import asyncio
import random
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import orjson
from starlette.applications import Starlette
from starlette.routing import Route

from gateway.http.request import Request, Response
from gateway.sandbox import SandboxOptions, create_sandbox
from gateway.sandbox.api.pipeline import Api, time_headers
from gateway.sandbox.billing.checkout import links, submit
from gateway.sandbox.control import control_routes
from gateway.sandbox.events.endpoints import payload, secrets_of, signature
from gateway.sandbox.events.thin import thin
from gateway.sandbox.instance import OfflineStripe
from gateway.webhooks.handlers import HANDLERS
from harness.gateway import SECRET
from harness.simulation.chance import Troubles
from harness.simulation.loop import copy_context_outside
from harness.simulation.process import Process
from harness.simulation.wire import asgi_server

Json = dict[str, Any]
CARD = {"type": "card", "card": {"number": "4242424242424242", "exp_month": 12, "exp_year": 2034, "cvc": "123"}}
BAD_CARD = {"type": "card", "card": {"number": "4000000000000341", "exp_month": 12, "exp_year": 2034, "cvc": "123"}}
ON_THE_WAY, LATE, AGAIN = (0.01, 0.04), (0.3, 4.0), (1.0, 4.0)
TRIES = 4
KNOWN = 60.0
"""Who is told the time by Stripe's answers is not further off."""
SCATTERED = 0.3
"""How often events of one moment come one by one, and not together."""
create_sandbox().state.sandbox.close()  # the first one brings what can be asked of each


class SimulatedStripe:
    """The offline Stripe, whose requests are served at one moment each.

    Args:
        seed: of the history.
        catalog: the file of what it sells.
    """

    def __init__(self, seed: int, catalog: Path | None) -> None:
        options = SandboxOptions(
            forward_to="http://gateway.test/webhooks/stripe",
            webhook_secret=SECRET,
            random_seed=seed,
            catalog=False,
            events=tuple(HANDLERS),
            seed=catalog,
        )
        self.sandbox = OfflineStripe(options)
        self.sandbox.populate()
        self._serve = asgi_server(_application(self.sandbox))

    async def serve(self, request: httpx.Request) -> httpx.Response:
        """Answer a request to the API."""
        return await self._serve(request)

    def time_headers(self) -> dict[str, str]:
        """Return what an answer of this moment says of the time."""
        return copy_context_outside().run(time_headers, self.sandbox)

    def now(self) -> int:
        """Return its present."""
        return int(self.sandbox.now())

    def call(self, method: str, path: str, **params: Any) -> Json:
        """Call it as the seller's dashboard does, at once."""
        found: Json = self.sandbox.call(method, path, params)
        return found

    def stored(self, kind: str, **equals: Any) -> list[Json]:
        """Return its objects of a kind as it keeps them, newest first: to show each takes longer."""
        found: list[Json] = self.sandbox.store.find(kind, **equals)
        return found

    def find(self, kind: str, **equals: Any) -> list[Json]:
        """Return its objects of a kind, as it shows them, newest first."""
        return [self.sandbox.present(each) for each in self.sandbox.store.find(kind, **equals)]

    def pay(self, session_id: str, *, good: bool = True, email: str | None = None) -> str:
        """Fill in the hosted page and press the button; what became of it."""
        return submit.complete(
            self.sandbox, session_id, CARD if good else BAD_CARD, email=email or "b@example.com"
        ).status

    def open_link(self, price: str, user: str) -> str:
        """Open a payment link that names a user; the id of its checkout."""
        link = self.call("POST", "/v1/payment_links", line_items=[{"price": price, "quantity": 1}])
        stored = self.sandbox.store.get("payment_link", link["id"])
        found: Json = links.open_session(self.sandbox, stored, {"client_reference_id": user}, "https://shop.example")
        return str(found["id"])

    def advance(self, seconds: int) -> None:
        """Let its time pass, with all that is due on the way."""
        self.sandbox.clock.advance(self.now() + seconds)

    def close(self) -> None:
        """Forget it."""
        self.sandbox.close()


def _application(sandbox: OfflineStripe) -> Starlette:
    """Return what `gateway.sandbox.create_sandbox` does without its pages, which take longer to make than to use."""
    api = Route("/v1/{path:path}", Api(sandbox).handle, methods=["GET", "POST", "DELETE"])
    app = Starlette(routes=[api, *control_routes()])
    app.state.sandbox = sandbox
    return app


class Postman:
    """Brings events to the processes: late, twice, in another order, or never.

    Args:
        stripe: whose events.
        dice: of the history.
        troubles: how likely what is.
        processes: returns those that may be chosen from.
        is_thin: whether it brings them without their objects, as an event destination may have them.

    Attributes:
        refused: what was said to deliveries that were refused, by who had been told by Stripe what time it is.
    """

    def __init__(
        self,
        stripe: SimulatedStripe,
        dice: random.Random,
        troubles: Troubles,
        processes: Callable[[], list[Process]],
        *,
        is_thin: bool = False,
    ) -> None:
        self._is_thin = is_thin
        self.refused: list[str] = []
        self._stripe, self._dice, self._troubles, self._processes = stripe, dice, troubles, processes
        self._looks = False
        stripe.sandbox.on_wake(self._wake)

    def _wake(self) -> None:
        if not self._looks:
            self._looks = True
            asyncio.get_running_loop().call_soon(self._look)

    def _look(self) -> None:
        self._looks = False
        store, dice, troubles = self._stripe.sandbox.store, self._dice, self._troubles
        together = None if dice.random() < SCATTERED else dice.uniform(*ON_THE_WAY)
        for delivery in reversed(store.find("_delivery", status="pending")):
            store.put({**delivery, "status": "delivered"})
            if dice.random() < troubles.event_lost:
                continue
            for _ in range(2 if dice.random() < troubles.event_twice else 1):
                if dice.random() < troubles.event_late:
                    self._send(delivery, dice.uniform(*LATE), TRIES)
                else:
                    self._send(delivery, together or dice.uniform(*ON_THE_WAY), TRIES)

    def _send(self, delivery: Json, seconds: float, tries: int) -> None:
        loop = asyncio.get_running_loop()
        loop.call_later(seconds, self._deliver, delivery, tries, context=copy_context_outside())  # by Stripe's clock

    def _deliver(self, delivery: Json, tries: int) -> None:
        store = self._stripe.sandbox.store
        endpoint, event = store.get("webhook_endpoint", delivery["endpoint"]), store.get("event", delivery["event"])
        alive = self._processes()
        if not alive:
            self._again(delivery, tries)
            return
        body = orjson.dumps(thin(event) if self._is_thin else payload(event, endpoint, store))
        headers = [
            (b"stripe-signature", signature(body, secrets_of(endpoint, frozenset())).encode()),
            (b"offline-stripe-ahead", str(self._stripe.sandbox.clock.ahead).encode()),
        ]
        request = Request("POST", b"/webhooks/stripe", headers, body=body, client="10.0.0.2", scheme="http")
        taken: list[int] = []

        def respond(response: Response) -> None:
            taken.append(response.status)
            ahead = process.services.stripe.clock.now() - copy_context_outside().run(time.time)
            if 400 <= response.status < 500 and abs(ahead) < KNOWN:
                self.refused.append(response.body.decode())
            if response.status != 200:
                self._again(delivery, tries)

        process = alive[int(asyncio.get_running_loop().time() * 50) % len(alive)]  # what comes together comes to one
        process.deliver(request, respond)
        asyncio.get_running_loop().call_later(10.0, lambda: taken or process.host.alive or self._again(delivery, tries))

    def _again(self, delivery: Json, tries: int) -> None:
        if tries:
            self._send(delivery, self._dice.uniform(*AGAIN), tries - 1)
