"""One history: some buyers, two gateways, what goes wrong, the healing, and the judgement."""

import asyncio
import gc
import logging
import os
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Any
from unittest import mock

import httpx
import sqlalchemy as sa
import stripe
import structlog

from gateway.billing.metering.forwarder import UsageForwarder
from gateway.billing.subscriptions.access_changes import AccessChangePublisher
from gateway.db.lease_queue import LeaseQueue
from gateway.mirror.reader import Reader
from gateway.outbound.delivery import WebhookDispatcher
from gateway.webhooks.catch_up import catch_up
from gateway.webhooks.worker import Worker
from harness.simulation.buyers import Buyer, act
from harness.simulation.judge import Judge
from harness.simulation.looking import Lost, watch
from harness.simulation.loop import simulated
from harness.simulation.process import Process
from harness.simulation.seller import Seller
from harness.simulation.shop import Shop
from harness.simulation.world import NAMES, WRONG, World

ALONE = 0.3
"""In how many histories there is one process only."""
LEASES_END = 90.0
"""After how many seconds everything is due again that a dead process has held."""
BY_ITSELF = 7.0
"""After how many seconds all has come right that needs nobody: deliveries, and what is tried a second time."""
PASSES = 0.5
"""In how many of the histories in which nothing fails days pass before that, so that trials end and plans renew."""
ROUNDS = 30
STEPS = 1, 1, 2
"""How many things somebody does in a history."""
EDITS = 1, 2, 3
"""How many the seller does."""
WATCHED, BUSY = 0.2, 0.3
"""In how many histories a buyer's access is asked for all the time, and the seller acts beside the buyers."""


@dataclass(frozen=True)
class Outcome:
    """How a history ended.

    Attributes:
        seed: of it.
        problem: what does not hold; None when everything does.
        story: what happened.
        where: the stack of what broke off, if something did.
    """

    seed: int
    problem: str | None
    story: list[str]
    where: str = ""


@contextmanager
def without_garbage() -> Iterator[None]:
    """Look for garbage once in some dozens of histories, keep their logs to themselves, and hide the environment."""
    thresholds, configured = gc.get_threshold(), structlog.get_config()
    gc.collect()
    gc.freeze()
    gc.set_threshold(100_000, 20, 100)
    tell_of_call, stripe._util.logfmt = stripe._util.logfmt, lambda _: ""  # the SDK writes its lines before it asks
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    logging.disable(logging.CRITICAL)
    try:
        with mock.patch.dict(os.environ, clear=True):  # every client of httpx reads all of it for proxies
            yield
    finally:
        logging.disable(logging.NOTSET)
        stripe._util.logfmt = tell_of_call
        structlog.configure(**configured)
        gc.set_threshold(*thresholds)
        gc.unfreeze()


def play(shop: Shop, seed: int) -> Outcome:
    """Play the history of a number: the same one each time."""
    with simulated(seed) as loop:
        world = World(shop, seed)
        try:
            loop.run_until_complete(_live(world))
        except Exception as error:  # noqa: BLE001 - whatever it is, the history has failed
            problem = str(error) if isinstance(error, AssertionError) else f"{type(error).__name__}: {error}"
            return Outcome(seed, problem, world.story, traceback.format_exc())
        finally:
            loop.run_until_complete(world.end())
        return Outcome(seed, None, world.story)


async def _live(world: World) -> None:
    troubles, is_alone = world.troubles, world.dice.random() < ALONE
    is_gentle = troubles.is_gentle
    given_up = troubles.database_slow and troubles.slowest  # who waits no longer does not know what he holds
    is_calm = not any((troubles.database_away, troubles.database_fails, given_up, troubles.clock_wrong))
    buyers = [Buyer(world, f"user_{place}") for place in range(world.dice.choice([1, 1, 1, 1, 1, 2]))]
    if is_calm:
        world.between = lambda: world.crashes or Judge(world, buyers).check_stopped()
    for name in NAMES[:1] if is_alone or troubles.clock_wrong else NAMES:  # leases need clocks that are nearly right
        world.start(name)
    watching = [watch(buyer) for buyer in buyers if world.dice.random() < WATCHED]
    await asyncio.gather(_act(world, buyers), *watching)
    if is_gentle:
        if world.dice.random() < PASSES:
            await world.pass_time(86_400 * world.dice.choice([12, 32]))
        await asyncio.sleep(BY_ITSELF)
    world.troubles.end(slow=world.dice.choice([0.0] * 4 + [0.2]))
    await world.stop()
    world.between()
    if is_gentle:
        Judge(world, buyers).check()
    if world.outlasts:
        await world.pass_time(86_400 * world.dice.choice([2, 32]))
    await asyncio.sleep(LEASES_END + WRONG)
    healer = world.start("healer", background=False)
    for buyer in buyers:
        await buyer.settle(healer)
    await healer.ask(_heal)
    if new := [buyer for buyer in buyers if buyer.customer() is None]:
        for buyer in new:
            await buyer.check_served(healer)
        await healer.ask(_work_off)  # what that made known is told
    await Judge(world, buyers).check_access(healer)
    await world.stop()
    Judge(world, buyers).check()


async def _act(world: World, buyers: list[Buyer]) -> None:
    """Do what people do, all at once."""
    steps, is_busy = world.dice.choice(EDITS), world.dice.random() < BUSY
    buying = asyncio.gather(*(act(buyer, world.dice.choice(STEPS)) for buyer in buyers))
    await asyncio.gather(buying, *([Seller(world).act(buyers, steps, buying.done)] if is_busy else []))
    world.is_acting = False


async def _heal(it: Process) -> None:
    """Do what operators do after an outage: catch up, and work on what is due until nothing is left."""
    await catch_up(it.inbox, Reader(it.runtime.require_stripe()))
    await _work_off(it)
    await it.services.customers.delete_leftovers()


async def _work_off(it: Process) -> None:
    """Work on what is due until nothing is left."""
    runtime, stripe = it.runtime, it.runtime.require_stripe()
    dispatcher = WebhookDispatcher(runtime.database, runtime.settings.outbound_endpoints, transport=runtime.transport)
    async with httpx.AsyncClient(transport=runtime.transport) as client:
        queues = [
            Worker.of(it.inbox, runtime).queue,
            UsageForwarder(runtime.database, stripe).queue,
            AccessChangePublisher(runtime.database, runtime.settings.grace).queue,
            *(dispatcher.queue(endpoint, client) for endpoint in runtime.settings.outbound_endpoints),
        ]
        for _ in range(ROUNDS):
            if not sum([await _drain(queue) for queue in queues]) and not await _wait_for_next(it, queues):
                break


async def _drain(queue: LeaseQueue) -> int:
    """Work on what is due until nothing is; the number of rows.

    Raises:
        Lost: something still is.
    """
    rows = _dues(queue.key, queue.due_at, queue.scope)
    before = await queue.database.read(lambda connection: connection.execute(rows).all())
    if (claimed := await queue.drain()) and "status" in queue.key.table.c:  # what is due by what is written may be new
        left = queue.due(queue.now()).where(queue.scope, queue.key.in_([key for key, _ in before]))
        for found in await queue.database.read(lambda connection: connection.execute(left).mappings().all()):
            if (found[queue.key.name], found[queue.due_at.name]) not in before:  # otherwise its moment has come since
                raise Lost(f"the queue {queue.name} was taken for empty, and {found[queue.key.name]} is due")
    return claimed


@lru_cache
def _dues(key: sa.Column[Any], due_at: sa.Column[Any], scope: sa.ColumnElement[bool]) -> sa.Select[Any]:
    """Return the query of the rows of a queue, which takes longer to make than to run."""
    return sa.select(key, due_at).where(scope)


async def _wait_for_next(it: Process, queues: list[LeaseQueue]) -> bool:
    """Sleep until something is due that has been tried; whether there is anything."""

    def next_due(connection: sa.Connection) -> float | None:
        dues = [connection.execute(_first_due(each.due_at)).scalar() for each in queues if "status" in each.key.table.c]
        waits = [(due - queues[0].now()).total_seconds() for due in dues if due is not None]
        return min(waits, default=None)

    wait = await it.runtime.database.read(next_due)
    if wait is None:
        return False
    await asyncio.sleep(max(0.0, wait) + 0.01)
    return True


@cache
def _first_due(due_at: sa.Column[Any]) -> sa.Select[Any]:
    """Return the query of when the first row of a queue is due."""
    return sa.select(sa.func.min(due_at)).where(due_at.table.c.status == "pending")
