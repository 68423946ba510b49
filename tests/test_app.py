"""What runs beside the requests survives its failures, and ends with the gateway."""

import asyncio

import structlog.testing

from gateway.app import supervise, supervised
from gateway.errors import DatabaseUnavailable


async def test_a_task_begins_again_whatever_ends_it_and_each_end_is_logged():
    ends, again = [ValueError("odd"), DatabaseUnavailable("it is away"), asyncio.CancelledError()], asyncio.Event()

    async def run():
        if ends:
            raise ends.pop(0)
        again.set()
        await asyncio.Event().wait()

    with structlog.testing.capture_logs() as logged:
        async with supervised({"odd": lambda: supervise("odd", run, restart_seconds=0)}), asyncio.timeout(5):
            await again.wait()
    assert [(line["event"], line["log_level"], line["task"]) for line in logged] == [
        ("background_task_ended", "error", "odd"),
        ("background_task_waits", "warning", "odd"),
        ("background_task_ended", "error", "odd"),
    ]


async def test_a_task_that_has_nothing_to_do_ends_and_one_that_runs_is_cancelled_with_the_block():
    runs, cancelled = [], asyncio.Event()

    async def nothing():
        runs.append("nothing")

    async def forever():
        runs.append("forever")
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()

    async with supervised({"nothing": nothing, "forever": forever}):
        await asyncio.sleep(0)
        await asyncio.sleep(0)
    assert runs == ["nothing", "forever"]
    assert cancelled.is_set()


async def test_a_task_whose_end_fails_does_not_begin_again():
    runs = []

    async def run():
        runs.append("run")
        try:
            await asyncio.sleep(3600)
        finally:
            raise DatabaseUnavailable("the lease cannot be given back")

    async with asyncio.timeout(5):
        async with supervised({"odd": lambda: supervise("odd", run, restart_seconds=0)}):
            await asyncio.sleep(0)
            await asyncio.sleep(0)
    assert runs == ["run"]
