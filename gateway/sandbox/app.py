"""The sandbox as an ASGI application: API, pages, and the tasks that run beside them."""

from __future__ import annotations

import asyncio
import logging
import pkgutil
from contextlib import asynccontextmanager, contextmanager, suppress
from importlib import import_module
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.routing import Route

from gateway.sandbox import resources
from gateway.sandbox.api.pipeline import Api
from gateway.sandbox.control import control_routes
from gateway.sandbox.events.cli_listener import listening_routes
from gateway.sandbox.guard import Guard
from gateway.sandbox.instance import OfflineStripe
from gateway.sandbox.pages import page_routes, site
from gateway.sandbox.resources import test_clocks

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from gateway.sandbox.options import SandboxOptions

_log = logging.getLogger(__name__)
_IDLE = 1.0
"""Seconds between looks at the clock when nothing is due sooner."""
_AFTER_FAULT = 5.0
"""Seconds before a job that failed is tried again."""


def create_sandbox(options: SandboxOptions | None = None) -> Starlette:
    """Build the offline Stripe; the state is at `app.state.sandbox`.

    Args:
        options: See `SandboxOptions`; the defaults keep everything in memory.

    Raises:
        OSError: The state file cannot be opened.
    """
    for module in pkgutil.iter_modules(resources.__path__):  # being imported, they register their routes
        import_module(f"{resources.__name__}.{module.name}")
    sandbox = OfflineStripe(options)
    sandbox.populate()
    api = Api(sandbox)

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(_deliver(sandbox)), group.create_task(_keep_time(sandbox))]
            yield
            for task in tasks:
                task.cancel()
        sandbox.close()

    routes = [
        Route("/v1/{path:path}", api.handle, methods=["GET", "POST", "DELETE"]),
        Route("/v2/{path:path}", api.handle, methods=["GET", "POST", "DELETE"]),
        *listening_routes(),
        *control_routes(),
        *page_routes(),
    ]
    options = sandbox.options
    names = (*options.allowed_hosts, urlsplit(options.public_url or "").hostname or "")
    app = Starlette(
        routes=routes,
        lifespan=lifespan,
        middleware=[Middleware(Guard, names)],
        exception_handlers={404: site.nowhere},
    )
    app.state.sandbox = sandbox
    return app


@contextmanager
def _alarm(sandbox: OfflineStripe) -> Iterator[asyncio.Event]:
    """Yield an event that is set whenever the sandbox has something new to do, from whichever thread."""
    event, loop = asyncio.Event(), asyncio.get_running_loop()

    def ring() -> None:
        loop.call_soon_threadsafe(event.set)

    sandbox.on_wake(ring)
    try:
        yield event
    finally:
        sandbox.off_wake(ring)


async def _deliver(sandbox: OfflineStripe) -> None:
    with _alarm(sandbox) as wake:
        await sandbox.deliveries.run(wake)


async def _keep_time(sandbox: OfflineStripe) -> None:
    """Run jobs as real time makes them due, and advance the test clocks that were told to."""
    with _alarm(sandbox) as wake:
        while True:
            wake.clear()
            try:
                await _catch_up(sandbox)
            except Exception:  # noqa: BLE001 -- a fault must be seen and must not stop the time
                _log.exception("a job of the sandbox failed; it stays planned")
                await asyncio.sleep(_AFTER_FAULT)
            due = sandbox.clock.next_due()
            wait = _IDLE if due is None else min(max(due - sandbox.now(), 0.05), _IDLE)
            with suppress(TimeoutError):
                async with asyncio.timeout(wait):  # Python 3.11's `wait_for` may swallow that the task is cancelled
                    await wake.wait()


async def _catch_up(sandbox: OfflineStripe) -> None:
    for _ in sandbox.clock.steps(sandbox.now()):
        await asyncio.sleep(0)
    for clock in sandbox.store.find("test_helpers.test_clock", status="advancing"):
        target = clock["status_details"]["advancing"]["target_frozen_time"]
        try:
            for _ in sandbox.clock.steps(target, clock["id"]):
                await asyncio.sleep(0)
        except Exception:
            test_clocks.fail(sandbox, clock["id"])
            raise
        test_clocks.arrive(sandbox, clock["id"])
