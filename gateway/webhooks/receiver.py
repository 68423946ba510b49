"""Deliveries in a bounded queue, recorded group by group: the longer a commit takes, the more share the next one."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field

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


@dataclass(slots=True)
class _Waiting:
    """A delivery whose sender waits for the commit."""

    delivery: Delivery
    done: asyncio.Future[bool] = field(default_factory=lambda: asyncio.get_running_loop().create_future())


class Receiver:
    """Takes deliveries in.

    Args:
        inbox: where they are recorded.
    """

    def __init__(self, inbox: Inbox) -> None:
        self._inbox = inbox
        self._queue: asyncio.Queue[_Waiting] = asyncio.Queue(QUEUE_LIMIT)

    async def receive(self, delivery: Delivery) -> bool:
        """Record an event and apply it, together with whatever else arrives at this moment.

        Returns:
            whether it was new; a duplicate changes nothing.

        Raises:
            DatabaseUnavailable: it could not be recorded (in time), and Stripe must deliver it again.
        """
        waiting = _Waiting(delivery)
        try:
            self._queue.put_nowait(waiting)
        except asyncio.QueueFull:
            raise DatabaseUnavailable("more events wait than can be recorded in time") from None
        with metrics.QUEUE.track_inprogress():
            try:
                async with asyncio.timeout(PATIENCE_SECONDS):
                    return await waiting.done
            except TimeoutError:
                raise DatabaseUnavailable("the database takes too long") from None

    async def run(self) -> None:
        """Serve `receive`, group by group, until cancelled."""
        crowded = False
        while True:
            group = [await self._queue.get()]
            if crowded:  # those whom the last commit set free send again at once: let them come into one group
                await asyncio.sleep(LINGER_SECONDS)
            while len(group) < GROUP_LIMIT and not self._queue.empty():
                group.append(self._queue.get_nowait())
            crowded = len(group) > 1
            # who has hung up or lost patience was not told 2xx: Stripe delivers it again
            await self._answer([waiting for waiting in group if not waiting.done.done()])

    async def _answer(self, group: Sequence[_Waiting]) -> None:
        """Record a group, and tell each sender what became of its delivery."""
        metrics.DELIVERIES.inc(len(group))
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
        for waiting in group:
            event_id = waiting.delivery.event["id"]
            if not waiting.done.done():
                waiting.done.set_result(event_id in new)
            if event_id not in new:
                metrics.EVENTS.labels("duplicate").inc()
            new.discard(event_id)  # its copy in the same group is the duplicate
