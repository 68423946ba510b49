"""Nothing is written in one step: a tool that would write answers with what it would do, and with a token for it.

The token stands for exactly this call, with exactly these arguments and one idempotency key, for five minutes and once.
Only where nobody knows what became of it may it be sent again: the key is the same then.
"""

import secrets
import time
from collections.abc import Callable
from typing import Any, NamedTuple

from gateway.cli.assistants.asking import Failed, Gateway

VALID_SECONDS = 300
MOST_OPEN = 100


class Planned(NamedTuple):
    """A call that waits for its confirmation."""

    document: str
    input: dict[str, Any]
    will: str
    until: float


class Confirmations:
    """The calls that wait, in this process alone.

    Args:
        gateway: does them.
        now: the time, in seconds.
    """

    def __init__(self, gateway: Gateway, now: Callable[[], float] = time.monotonic) -> None:
        self._gateway = gateway
        self._now = now
        self._planned: dict[str, Planned] = {}

    def plan(self, document: str, will: str, present: Any, **wanted: Any) -> dict[str, Any]:
        """Keep a call, and return what the assistant shows to whom it works for.

        Args:
            document: the mutation.
            will: what it would do, in words.
            present: how what it is about stands now.
            wanted: the mutation's input.
        """
        given = {name: value for name, value in wanted.items() if value is not None}
        token = secrets.token_urlsafe(16)
        until = self._now() + VALID_SECONDS
        self._planned = {key: each for key, each in self._planned.items() if each.until > self._now()}
        while len(self._planned) >= MOST_OPEN:
            self._planned.pop(next(iter(self._planned)))
        key = f"mcp-{secrets.token_hex(16)}"
        self._planned[token] = Planned(document, given | {"idempotencyKey": key}, will, until)
        return {
            "nothing_was_changed_yet": True,
            "will": will,
            "present": present,
            "confirmation": token,
            "valid_seconds": VALID_SECONDS,
        }

    async def confirm(self, token: str, will: str) -> dict[str, Any]:
        """Do what a token stands for.

        Args:
            token: of the preview.
            will: what the preview said would be done, so that whoever allows this call reads it there.

        Raises:
            Failed: it stands for nothing (any more) or for something else, or the gateway refuses.
        """
        planned = self._planned.get(token)
        if planned is None or planned.until <= self._now():
            raise Failed("this confirmation is unknown, used or too old: call the tool again, and show what it answers")
        if will != planned.will:
            raise Failed("`will` is not what this confirmation does: give the preview's, word for word")
        done = (await self._gateway.ask(planned.document, input=planned.input))["done"]
        self._planned.pop(token, None)
        if problems := done.pop("userErrors"):
            raise Failed("; ".join(f"{each['message']} ({each['code']})" for each in problems))
        return {"done": planned.will, **done}
