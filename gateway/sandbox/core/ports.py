"""What the parts of the offline Stripe know of the whole: one account, as a protocol, and one request to it.

`instance.OfflineStripe` is the only implementation; nothing but `app.py` names it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    from gateway.sandbox.core.clock import Clock
    from gateway.sandbox.core.store import Obj, Store
    from gateway.sandbox.options import SandboxOptions


@dataclass(frozen=True)
class Request:
    """One API request after decoding and validation.

    `params` holds coerced values (`"5"` became 5) without `expand`. `version` is None when the client named no
    API version (the Stripe CLI does not).
    """

    method: str
    path: str
    params: Obj = field(default_factory=dict)
    expand: tuple[str, ...] = ()
    version: str | None = None
    id: str | None = None
    idempotency_key: str | None = None
    base_url: str = "http://localhost"


@dataclass(frozen=True)
class Download:
    """What a handler answers instead of an object: a file, with its media type."""

    content: bytes
    type: str = "application/octet-stream"


class Chaos(Protocol):
    """What goes wrong on purpose between Stripe and its clients."""

    def settings(self) -> dict[str, float]:
        """Return the present settings, every one with its value."""

    def configure(self, changes: dict[str, float]) -> dict[str, float]:
        """Change some settings and return all of them."""


class Listener(Protocol):
    """A client that is connected and gets events as they happen (`stripe listen`)."""

    endpoint: Obj

    async def carry(self, conversation: str, body: bytes, headers: dict[str, str]) -> Obj:
        """Send an event and return the outcome of the attempt: `status`, `error`, `answer`."""


class Deliveries(Protocol):
    """Which endpoint got which event, and how."""

    def redeliver(self, event: Obj, endpoint_id: str | None = None) -> list[Obj]:
        """Send an event once more, to one endpoint or to all that want it, and return the new deliveries."""

    def find(self, **equals: Any) -> list[Obj]:
        """Return deliveries, newest first."""

    async def settled(self, object_id: str, timeout: float = 10.0) -> None:  # noqa: ASYNC109 -- gives up in silence
        """Wait until every event about an object was tried once, at most `timeout` seconds."""

    def new_secret(self) -> str:
        """Return a new signing secret."""

    def listening_secret(self) -> str:
        """Return what events for `stripe listen` are signed with."""

    def listening(self, listener: Listener) -> AbstractContextManager[None]:
        """Send every event to a listener as well, as long as it is connected."""


class Sandbox(Protocol):
    """One offline Stripe account."""

    options: SandboxOptions
    store: Store
    clock: Clock
    unknown_paths: Counter[str]

    @property
    def chaos(self) -> Chaos:
        """What goes wrong on purpose."""

    @property
    def deliveries(self) -> Deliveries:
        """Which endpoint got which event."""

    @property
    def base_url(self) -> str:
        """Where the hosted pages are, without a final slash."""

    def now(self, owner: Obj | str | None = None) -> int:
        """Return Unix seconds on the clock of an object (or id): its or its customer's test clock, else the own."""

    def new_id(self, prefix: str) -> str:
        """Return a new id in Stripe's form."""

    def choices(self, alphabet: str, length: int) -> str:
        """Return a random string."""

    def find(self, kind: str, id: str) -> Obj | None:
        """Return the object, or `{"deleted": true}` for a deleted one of a kind that leaves such a trace, or None."""

    def need(self, kind: str, id: str, param: str = "id") -> Obj:
        """Return the object, or refuse with `resource_missing` (404 for an id of the URL, 400 for a parameter's)."""

    def create(self, obj: Obj, event: str | None = None) -> Obj:
        """Store a new object, completed with id, `created` and the empty fields of its kind; emit an event."""

    def update(self, obj: Obj, event: str | None = None) -> Obj:
        """Store a changed object; emit an event with `previous_attributes` if anything visible changed."""

    def remove(self, obj: Obj, event: str | None = None) -> Obj:
        """Delete an object and return what Stripe answers."""

    def emit(self, type: str, obj: Obj, previous: Obj | None = None) -> Obj:
        """Record an event about an object as it is now, plan its deliveries, and do what follows from it."""

    def follow(self, outcome: str, obj: Obj) -> None:
        """Do what follows from an outcome of a payment, an invoice or a period (see `reactions.OUTCOMES`)."""

    def present(self, obj: Obj, expand_paths: tuple[str, ...] = (), version: str | None = None) -> Obj:
        """Return the object as an API version shows it (None: the current one), with the given paths expanded."""

    def serving(self, request: Request) -> AbstractContextManager[None]:
        """Serve one API request: a transaction, and the source of the events made in it."""

    def call(
        self,
        method: str,
        path: str,
        params: Obj | None = None,
        expand_paths: tuple[str, ...] = (),
        base_url: str | None = None,
    ) -> Obj:
        """Do from within what a request to the API does, and return what it would answer."""

    def reset(self) -> None:
        """Forget everything and fill the account as at its first start."""

    def reopen(self) -> None:
        """Take up the state of the store after it was exchanged."""

    def wake(self) -> None:
        """Tell the background tasks that there is work."""

    def on_wake(self, wake: Callable[[], object]) -> None:
        """Have a function called whenever there is something to deliver or to wait for."""

    def off_wake(self, wake: Callable[[], object]) -> None:
        """Undo `on_wake`."""
