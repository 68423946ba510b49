"""The sandbox as an ASGI application: API, pages, and the tasks that run beside them."""

from __future__ import annotations

import asyncio
import pkgutil
from contextlib import asynccontextmanager, suppress
from importlib import import_module
from typing import TYPE_CHECKING

from starlette.applications import Starlette
from starlette.routing import Route

from gateway.sandbox import resources
from gateway.sandbox.api import Api
from gateway.sandbox.control import control_routes
from gateway.sandbox.pages import page_routes
from gateway.sandbox.resources import test_clocks
from gateway.sandbox.world import Sandbox

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from gateway.sandbox.options import SandboxOptions

_IDLE = 1.0
"""Seconds between looks at the clock when nothing is due sooner."""


def create_sandbox(options: SandboxOptions | None = None) -> Starlette:
    """Build the offline Stripe; the state is at `app.state.sandbox`.

    Args:
        options: See `SandboxOptions`; the defaults keep everything in memory.

    Raises:
        OSError: The state file cannot be opened.
    """
    for module in pkgutil.iter_modules(resources.__path__):  # being imported, they register their routes
        import_module(f"{resources.__name__}.{module.name}")
    sandbox = Sandbox(options)
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
        *control_routes(),
        *page_routes(),
    ]
    app = Starlette(routes=routes, lifespan=lifespan)
    app.state.sandbox = sandbox
    return app


async def _deliver(sandbox: Sandbox) -> None:
    wake, loop = asyncio.Event(), asyncio.get_running_loop()
    sandbox.on_wake(lambda: loop.call_soon_threadsafe(wake.set))
    await sandbox.webhooks.run(wake)


async def _keep_time(sandbox: Sandbox) -> None:
    """Run jobs as real time makes them due, and advance the test clocks that were told to."""
    wake, loop = asyncio.Event(), asyncio.get_running_loop()
    sandbox.on_wake(lambda: loop.call_soon_threadsafe(wake.set))
    while True:
        wake.clear()
        sandbox.clock.run_due()
        for clock in sandbox.store.find("test_helpers.test_clock", status="advancing"):
            target = clock["status_details"]["advancing"]["target_frozen_time"]
            for _ in sandbox.clock.steps(target, clock["id"]):
                await asyncio.sleep(0)
            test_clocks.arrive(sandbox, clock["id"])
        due = sandbox.clock.next_due()
        wait = _IDLE if due is None else min(max(due - sandbox.now(), 0.05), _IDLE)
        with suppress(TimeoutError):
            await asyncio.wait_for(wake.wait(), wait)
