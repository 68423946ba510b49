"""Deliveries in a bounded queue, recorded group by group: the longer a commit takes, the more share the next one."""

import asyncio
from collections import Counter, deque
from collections.abc import Sequence
from typing import NamedTuple

import structlog

from gateway import metrics, tracing
from gateway.errors import DatabaseUnavailable, GatewayError
from gateway.stripe_client import Delivery
from gateway.webhooks.inbox import Inbox

log = structlog.get_logger()

GROUP_LIMIT = 100
QUEUE_LIMIT = 2_000
LINGER_SECONDS = 0.002
PATIENCE_SECONDS = 10.0  # Stripe gives an endpoint longer; whoever waits this long is better off trying again
WATCH_SECONDS = 1.0


class _Waiting(NamedTuple):
    """A delivery whose sender waits for the commit, since a moment on the event loop's clock."""

    delivery: Delivery
    done: asyncio.Future[bool]
    since: float


class Receiver:
    """Takes deliveries in.

    Args:
        inbox: where they are recorded.
    """

    def __init__(self, inbox: Inbox) -> None:
        self._inbox = inbox
        self._queue: deque[_Waiting] = deque()
        self._group: Sequence[_Waiting] = ()  # those that are being recorded
        self._arrived = asyncio.Event()
        self._wanted = 1  # so many are to have arrived

    async def receive(self, delivery: Delivery) -> bool:
        """Record an event and apply it, together with whatever else arrives at this moment.

        Returns:
            whether it was new; a duplicate changes nothing.

        Raises:
            DatabaseUnavailable: it could not be recorded (in time), and Stripe must deliver it again.
        """
        if len(self._queue) >= QUEUE_LIMIT:
            raise DatabaseUnavailable("more events wait than can be recorded in time")
        loop = asyncio.get_running_loop()
        done = loop.create_future()
        self._queue.append(_Waiting(delivery, done, loop.time()))
        if len(self._queue) >= self._wanted:
            self._arrived.set()
        new: bool = await done
        return new

    async def run(self) -> None:
        """Serve `receive`, group by group, until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._watch())
            tasks.create_task(self._serve())

    async def _watch(self) -> None:
        """Tell those who have waited too long to try again: one look a second, for a timer each costs more."""
        while True:
            metrics.QUEUE.set(len(self._group) + len(self._queue))
            latest = asyncio.get_running_loop().time() - PATIENCE_SECONDS
            for waiting in (*self._group, *self._queue):
                if waiting.since > latest:
                    break  # who comes later has waited less
                if not waiting.done.done():
                    waiting.done.set_exception(DatabaseUnavailable("the database takes too long"))
            await asyncio.sleep(WATCH_SECONDS)

    async def _serve(self) -> None:
        last = 0
        while True:
            await self._arrived.wait()
            if last > 1 and len(self._queue) < last:
                await self._gather(last)
            group = [self._queue.popleft() for _ in range(min(len(self._queue), GROUP_LIMIT))]
            if not self._queue:
                self._arrived.clear()
            last = len(group)
            # who has hung up or lost patience was not told 2xx: Stripe delivers it again
            self._group = [waiting for waiting in group if not waiting.done.done()]
            try:
                await self._answer(self._group)
            finally:
                self._group = ()
                metrics.QUEUE.set(len(self._queue))

    async def _gather(self, wanted: int) -> None:
        """Those whom the last commit set free send again at once: let as many come into one group, for a moment."""
        self._arrived.clear()
        self._wanted = wanted
        try:
            async with asyncio.timeout(LINGER_SECONDS):
                await self._arrived.wait()
        except TimeoutError:
            self._arrived.set()
        finally:
            self._wanted = 1

    async def _answer(self, group: Sequence[_Waiting]) -> None:
        """Record a group, and tell each sender what became of its delivery."""
        metrics.DELIVERIES.inc(len(group))
        for label, count in Counter(waiting.delivery.secret_label for waiting in group).items():
            metrics.WEBHOOK_SECRET_USED.labels(label).inc(count)
            metrics.WEBHOOK_SECRET_LAST_USED.labels(label).set_to_current_time()
        try:
            with metrics.GROUP_SECONDS.time(), tracing.span("webhook deliveries", count=len(group)):
                new = await self._inbox.record([waiting.delivery for waiting in group], source="webhook")
        except BaseException as error:
            reason = error if isinstance(error, GatewayError) else DatabaseUnavailable("the event was not recorded")
            for waiting in group:
                if not waiting.done.done():
                    waiting.done.set_exception(reason)
            if not isinstance(error, Exception):
                raise
            metrics.EVENTS.labels("not_recorded").inc(len(group))
            log.warning("events_not_recorded", count=len(group), error=type(error).__name__)
            return
        if copies := len(group) - len(new):
            metrics.EVENTS.labels("duplicate").inc(copies)
        for waiting in group:
            event_id = waiting.delivery.event["id"]
            if not waiting.done.done():
                waiting.done.set_result(event_id in new)
            new.discard(event_id)  # its copy in the same group is the duplicate
