"""One simulated process of the gateway: everything that `gateway serve` runs, but for HTTP's edge and GraphQL."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Coroutine
from functools import partial
from typing import Any, TypeVar

from gateway.app import background_tasks, compose_services, supervised
from gateway.db.engines import Engines
from gateway.db.worker_threads import CLOSE_SECONDS
from gateway.errors import DatabaseUnavailable
from gateway.http.request import Request, Response
from gateway.runtime import compose
from gateway.settings import Settings
from gateway.webhooks.inbox import Inbox
from gateway.webhooks.receiver import Receiver
from gateway.webhooks.route import WebhookRoute
from harness.simulation.crossings import Crossings
from harness.simulation.loop import HOST, copy_context_outside
from harness.simulation.threads import SimulatedThreads
from harness.simulation.wire import Server, SimulatedWire

T = TypeVar("T")
GRACE_SECONDS = 4.0
"""How long a process that ends waits for its answers, as `gateway serve` does, before it breaks them off."""

LOOK_SECONDS = 0.05


class Died(Exception):
    """The process died while it was asked: whoever asked does not know what was done."""


class Process:
    """A process, from its start to its death or its end.

    Args:
        settings: of the gateway.
        crossings: what becomes of what it asks of others.
        servers: who serves which host.
        engines: what it reaches the database by.
        background: whether its background tasks run; a command has none.
    """

    def __init__(
        self,
        settings: Settings,
        crossings: Crossings,
        servers: dict[str, Server],
        engines: Engines,
        *,
        background: bool = True,
    ) -> None:
        self.host, self.crossings = crossings.host, crossings
        self.runtime = compose(
            settings,
            threads=partial(SimulatedThreads, crossings),
            engines=engines,
            transport=SimulatedWire(crossings, servers),
        )
        self.services = compose_services(self.runtime)
        self.inbox = Inbox.of(self.runtime)
        self.receiver = Receiver(self.inbox)
        stripe = self.services.stripe
        self.webhooks = WebhookRoute(settings, self.receiver, stripe.offline_time, stripe.clock)
        self.access = self.services.access
        self._serves, self._stop = asyncio.Event(), asyncio.Event()
        self._asked: set[asyncio.Task[Any]] = set()
        self._running = self._create_task(self._run(background=background))

    def _create_task(self, coro: Coroutine[Any, Any, T]) -> "asyncio.Task[T]":
        context = copy_context_outside()
        context.run(HOST.set, self.host)
        return asyncio.get_running_loop().create_task(coro, context=context)

    async def _run(self, *, background: bool) -> None:
        """Run until it is told to end. As with `create_app`, nobody is served before the others were heard."""
        tasks = background_tasks(self.runtime, self.inbox, self.receiver) if background else {}
        tasks.pop("Stripe's clock", None)  # asks past the simulated wire
        async with supervised({**tasks, "failover": self.services.failover.run} if background else {}):
            if background:
                await self.runtime.notifications.listening()
                with contextlib.suppress(DatabaseUnavailable):
                    await self.services.catalog.snapshot()
            self._serves.set()
            await self._stop.wait()

    async def ask(self, work: Callable[["Process"], Awaitable[T]]) -> T:
        """Have the process do something, as a client's request would.

        Raises:
            Died: it died meanwhile, or ended before it had answered.
        """
        task = self._create_task(self._serve(work))
        self._asked.add(task)
        await asyncio.wait([task])
        self._asked.discard(task)
        if task.cancelled():
            raise Died
        return task.result()

    def deliver(self, request: Request, respond: Callable[[Response], None]) -> None:
        """Have the process take a delivery; a dead one answers nothing."""

        async def take(_: "Process") -> None:
            self.webhooks.take(request, respond)

        self._create_task(self._serve(take))

    async def _serve(self, work: Callable[["Process"], Awaitable[T]]) -> T:
        await self._serves.wait()
        return await work(self)

    async def stop(self) -> bool:
        """End it in good order, unless it is dead: what it was asked for is answered, unless that takes too long.

        Returns:
            whether nothing was broken off by it.
        """
        if self._asked:
            _, late = await asyncio.wait(self._asked, timeout=GRACE_SECONDS)
            for task in late:
                task.cancel()
        self._stop.set()
        await asyncio.wait([self._running])
        while self.host.tasks:
            await asyncio.wait(list(self.host.tasks))
        is_done = await self._end_threads()
        self.host.alive = False
        await self.runtime.close()
        return is_done

    async def _end_threads(self) -> bool:
        """Wait as `WorkerThreads.close` does for what the database is doing; whether that ended in time."""
        deadline = asyncio.get_running_loop().time() + CLOSE_SECONDS
        while self.host.alive and self.crossings.unfinished:
            if asyncio.get_running_loop().time() > deadline:
                return False
            await asyncio.sleep(LOOK_SECONDS)
        return True
