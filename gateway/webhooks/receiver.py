"""Deliveries in a bounded queue, recorded group by group: the longer a commit takes, the more share the next one."""

import asyncio
from collections import Counter, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import structlog

from gateway.errors import DatabaseUnavailable, GatewayError
from gateway.observability import metrics, tracing
from gateway.stripe_api.client import Delivery
from gateway.webhooks.inbox import Inbox

log = structlog.get_logger()

GROUP_LIMIT = 100
QUEUE_LIMIT = 2_000
LINGER_SECONDS = 0.002
PATIENCE_SECONDS = 10.0  # Stripe gives an endpoint longer; whoever waits this long is better off trying again
WATCH_SECONDS = 1.0


Outcome = bool | GatewayError
"""Whether an event was new, or why it was not recorded."""


@dataclass(slots=True)
class _Waiting:
    """A delivery whose sender waits for the commit, since a moment on the event loop's clock."""

    delivery: Delivery
    answer: Callable[[Outcome], None]
    since: float
    answered: bool = False

    def tell(self, outcome: Outcome) -> None:
        """Tell its sender what became of it, if nothing was told before."""
        if not self.answered:
            self.answered = True
            try:
                self.answer(outcome)
            except Exception:  # one who cannot be told must not keep the others from being told
                log.exception("sender_not_told")


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

    def take(self, delivery: Delivery, answer: Callable[[Outcome], None]) -> None:
        """Record an event and apply it, together with whatever else arrives at this moment.

        Args:
            delivery: the event.
            answer: is told, once, whether it was new (a duplicate changes nothing), or why it could not be recorded (in
                time), so that Stripe must deliver it again.
        """
        if len(self._queue) >= QUEUE_LIMIT:
            answer(DatabaseUnavailable("more events wait than can be recorded in time"))
            return
        self._queue.append(_Waiting(delivery, answer, asyncio.get_running_loop().time()))
        if len(self._queue) >= self._wanted:
            self._arrived.set()

    async def receive(self, delivery: Delivery) -> Outcome:
        """The same for whoever can wait: what `answer` would be told."""
        done: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        self.take(delivery, lambda outcome: None if done.done() else done.set_result(outcome))
        return await done

    async def run(self) -> None:
        """Serve `take`, group by group, until cancelled."""
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
                waiting.tell(DatabaseUnavailable("the database takes too long"))
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
            # whose patience was at its end was not told 2xx: Stripe delivers it again
            self._group = [waiting for waiting in group if not waiting.answered]
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
                waiting.tell(reason)
            if not isinstance(error, Exception):
                raise
            metrics.EVENTS.labels("not_recorded").inc(len(group))
            log.warning("events_not_recorded", count=len(group), error=type(error).__name__)
            return
        if copies := len(group) - len(new):
            metrics.EVENTS.labels("duplicate").inc(copies)
        for waiting in group:
            event_id = waiting.delivery.event["id"]
            waiting.tell(event_id in new)
            new.discard(event_id)  # its copy in the same group is the duplicate
