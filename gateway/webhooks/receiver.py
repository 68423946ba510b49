"""Batch deliveries that arrive together, in a bounded queue: the longer a commit takes, the more share the next one."""

import asyncio
from collections import Counter, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import structlog

from gateway.errors import DatabaseUnavailable, GatewayError
from gateway.observability import metrics, tracing
from gateway.webhooks.event import Delivery
from gateway.webhooks.inbox import Inbox

log = structlog.get_logger()

BATCH_LIMIT = 100
QUEUE_LIMIT = 2_000
BATCH_WAIT_SECONDS = 0.002
DELIVERY_TIMEOUT_SECONDS = 10.0  # Stripe waits longer; after this long a new delivery serves it better
WATCH_SECONDS = 1.0


DeliveryResult = bool | GatewayError
"""Whether an event was new, or why it was not recorded."""


@dataclass(slots=True)
class PendingDelivery:
    """A delivery whose sender waits for the commit; `since` is on the event loop's clock."""

    delivery: Delivery
    answer: Callable[[DeliveryResult], None]
    since: float
    answered: bool = False

    def respond(self, result: DeliveryResult) -> None:
        """Answer the sender, once."""
        if not self.answered:
            self.answered = True
            try:
                self.answer(result)
            except Exception:  # a sender that cannot be answered must not keep the others from being answered
                log.exception("sender_not_answered")


class Receiver:
    """Records deliveries in batches.

    Args:
        inbox: where they are recorded.
        queue_limit: how many may wait beside those that are being recorded.
    """

    def __init__(self, inbox: Inbox, *, queue_limit: int = QUEUE_LIMIT) -> None:
        self._inbox = inbox
        self._queue_limit = queue_limit
        self._queue: deque[PendingDelivery] = deque()
        self._batch: Sequence[PendingDelivery] = ()  # those that are being recorded
        self._arrived = asyncio.Event()
        self._wanted = 1  # how many must have arrived before a batch begins

    def submit(self, delivery: Delivery, answer: Callable[[DeliveryResult], None]) -> None:
        """Record an event and apply it, together with whatever else arrives at this moment.

        Args:
            delivery: the event.
            answer: called once with whether the event was new (a duplicate changes nothing), or with why it was not
                recorded (in time), so that Stripe must deliver it again.
        """
        if len(self._queue) >= self._queue_limit:
            answer(DatabaseUnavailable("more events wait than can be recorded in time"))
            return
        self._queue.append(PendingDelivery(delivery, answer, asyncio.get_running_loop().time()))
        if len(self._queue) >= self._wanted:
            self._arrived.set()

    async def receive(self, delivery: Delivery) -> DeliveryResult:
        """Record an event and return what `submit` would answer."""
        done: asyncio.Future[DeliveryResult] = asyncio.get_running_loop().create_future()
        self.submit(delivery, lambda result: None if done.done() else done.set_result(result))
        return await done

    async def run(self) -> None:
        """Record what is submitted, batch by batch, until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._watch())
            tasks.create_task(self._serve())

    async def _watch(self) -> None:
        """Answer those who have waited too long: one look a second, because a timer for each costs more."""
        while True:
            metrics.QUEUE.set(len(self._batch) + len(self._queue))
            latest = asyncio.get_running_loop().time() - DELIVERY_TIMEOUT_SECONDS
            for pending in (*self._batch, *self._queue):
                if pending.since > latest:
                    break  # later ones have waited less
                pending.respond(DatabaseUnavailable("the database takes too long"))
            await asyncio.sleep(WATCH_SECONDS)

    async def _serve(self) -> None:
        last = 0
        while True:
            await self._arrived.wait()
            if last > 1 and len(self._queue) < last:
                await self._wait_for_batch(last)
            batch = [self._queue.popleft() for _ in range(min(len(self._queue), BATCH_LIMIT))]
            if not self._queue:
                self._arrived.clear()
            last = len(batch)
            # a delivery that timed out was answered 503, and Stripe delivers it again
            self._batch = [pending for pending in batch if not pending.answered]
            try:
                await self._record(self._batch)
            finally:
                self._batch = ()
                metrics.QUEUE.set(len(self._queue))

    async def _wait_for_batch(self, wanted: int) -> None:
        """Wait a moment for the senders that the last commit answered, who send again at once: one batch for all."""
        self._arrived.clear()
        self._wanted = wanted
        try:
            async with asyncio.timeout(BATCH_WAIT_SECONDS):
                await self._arrived.wait()
        except TimeoutError:
            self._arrived.set()
        finally:
            self._wanted = 1

    async def _record(self, batch: Sequence[PendingDelivery]) -> None:
        """Record a batch and answer each sender."""
        metrics.DELIVERIES.inc(len(batch))
        for label, count in Counter(pending.delivery.secret_label for pending in batch).items():
            metrics.WEBHOOK_SECRET_USED.labels(label).inc(count)
            metrics.WEBHOOK_SECRET_LAST_USED.labels(label).set_to_current_time()
        try:
            with metrics.GROUP_SECONDS.time(), tracing.span("webhook deliveries", count=len(batch)):
                new = await self._inbox.record([pending.delivery for pending in batch], source="webhook")
        except BaseException as error:
            reason = error if isinstance(error, GatewayError) else DatabaseUnavailable("the event was not recorded")
            for pending in batch:
                pending.respond(reason)
            if not isinstance(error, Exception):
                raise
            metrics.EVENTS.labels("not_recorded").inc(len(batch))
            log.warning("events_not_recorded", count=len(batch), error=type(error).__name__)
            return
        if copies := len(batch) - len(new):
            metrics.EVENTS.labels("duplicate").inc(copies)
        for pending in batch:
            event_id = pending.delivery.event.id
            pending.respond(event_id in new)
            new.discard(event_id)  # another copy in the batch is a duplicate
