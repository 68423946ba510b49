"""What operators let the gateway do again: each once for an idempotency key, and kept in the audit log.

What is to be done again is made due, and done by the tasks that run beside the requests.
"""

from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from typing import Final

from gateway.billing.audit import Action, Attempt, AuditLog, Json
from gateway.operators.events import failed_ids, ids_of_range
from gateway.operators.messages import deliver_again
from gateway.operators.usage import reopen
from gateway.runtime import Runtime
from gateway.webhooks.inbox import Inbox

MOST_EVENTS: Final = 10_000
"""So many events are replayed at most by one call."""
TOGETHER: Final = 500

Do = Callable[..., Action]
"""Makes an action of its `name` and `input`."""


class OperatorDesk:
    """Lets the gateway do again what has failed.

    Args:
        runtime: what the queues are in.
        audit: keeps what was done.
    """

    def __init__(self, runtime: Runtime, audit: AuditLog) -> None:
        self.runtime = runtime
        self._database = runtime.database
        self._audit = audit

    async def retry_events(self, ids: Sequence[str] | None, action: Do) -> int:
        """Try failed events and dead letters again, all of them without `ids`; how many there were.

        Raises:
            Rejected: the key was used for something else.
        """

        async def work(_: Attempt) -> Json:
            return {"count": await self._reopen(await failed_ids(self._database, ids))}

        return await self._once(action(name="events.retry", input={"ids": _input_of(ids)}), work)

    async def replay_events(self, since: datetime, until: datetime, action: Do) -> int:
        """Apply the events of a range again; what is known better already stays as it is. How many there were.

        Raises:
            BadInput: there are too many.
            Rejected: the key was used for something else.
        """

        async def work(_: Attempt) -> Json:
            return {"count": await self._reopen(await ids_of_range(self._database, since, until, most=MOST_EVENTS))}

        asked = {"since": since.isoformat(), "until": until.isoformat()}
        return await self._once(action(name="events.replay", input=asked), work)

    async def retry_messages(self, ids: Sequence[str] | None, action: Do) -> int:
        """Deliver messages again under the same `webhook-id`, all dead ones without `ids`; how many deliveries.

        Raises:
            Rejected: the key was used for something else.
        """

        async def work(_: Attempt) -> Json:
            return {"count": await deliver_again(self._database, ids)}

        return await self._once(action(name="messages.retry", input={"ids": _input_of(ids)}), work)

    async def retry_usage(self, ids: Sequence[str] | None, action: Do) -> int:
        """Send usage again that Stripe refused, all of it without `ids`; how many records.

        Raises:
            Rejected: the key was used for something else.
        """

        async def work(_: Attempt) -> Json:
            return {"count": await reopen(self._database, ids)}

        return await self._once(action(name="usage.retry", input={"ids": _input_of(ids)}), work)

    async def _reopen(self, ids: Sequence[str]) -> int:
        inbox = Inbox.of(self.runtime)
        return sum([await inbox.reopen(ids[start : start + TOGETHER]) for start in range(0, len(ids), TOGETHER)])

    async def _once(self, action: Action, work: Callable[[Attempt], Awaitable[Json]]) -> int:
        return int((await self._audit.once(action, work))["count"])


def _input_of(ids: Sequence[str] | None) -> list[str] | None:
    return None if ids is None else list(ids)
