"""The sandbox as resource modules see it: store, clock, ids, events."""

from __future__ import annotations

import random
import string
from collections import Counter
from contextlib import contextmanager
from typing import TYPE_CHECKING

from gateway.sandbox import fixtures
from gateway.sandbox.api.routing import KINDS, Request, match
from gateway.sandbox.core import expand
from gateway.sandbox.core.clock import Clock
from gateway.sandbox.core.errors import resource_missing, unrecognized_url
from gateway.sandbox.core.store import Obj, Store
from gateway.sandbox.core.templates import complete, has
from gateway.sandbox.events import log as events
from gateway.sandbox.events.chaos import Chaos
from gateway.sandbox.events.delivery import Webhooks
from gateway.sandbox.options import SandboxOptions

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_ALPHABET = string.digits + string.ascii_letters
# Stripe's older objects have short ids, sessions very long ones.
_ID_LENGTH = {"prod": 14, "cus": 14, "cs_test_": 58, "si": 14, "re": 24}
_DELETED = "_deleted"


class Sandbox:
    """One offline Stripe account."""

    def __init__(self, options: SandboxOptions | None = None) -> None:
        self.options = options or SandboxOptions()
        self.store = Store(self.options.path)
        self.request: Request | None = None
        self._base_url = "http://127.0.0.1:12111"
        self.unknown_paths: Counter[str] = Counter()
        self._wakers: list[Callable[[], object]] = []
        self._random = self._seeded()
        self.clock = Clock(self, self.options.clock)
        self.chaos = Chaos(self)
        self.webhooks = Webhooks(self)

    def _seeded(self) -> random.Random:
        """Ids must be new after a restart, so a given seed is mixed with how much is already there."""
        if self.options.random_seed is None:
            return random.Random()  # noqa: S311 -- ids need to be new, not secret
        return random.Random(f"{self.options.random_seed}:{self.store.sequence}")  # noqa: S311 -- must repeat

    # Time ------------------------------------------------------------------------------------------------------

    def now(self, owner: Obj | str | None = None) -> int:
        """Unix seconds on the clock of an object (or id): its or its customer's test clock, else the sandbox's."""
        return self.clock.now(self.clock_of(owner) if owner else None)

    def clock_of(self, owner: Obj | str | None) -> str | None:
        """The id of the test clock that an object lives by, or None."""
        obj = expand.lookup(self, owner) if isinstance(owner, str) else owner
        if not obj:
            return None
        if obj.get("test_clock"):
            return str(obj["test_clock"])
        customer = obj.get("customer")
        if isinstance(customer, dict):
            customer = customer.get("id")
        found = self.store.get("customer", customer) if customer else None
        return found.get("test_clock") if found else None

    # Objects ---------------------------------------------------------------------------------------------------

    def new_id(self, prefix: str) -> str:
        """A new id in Stripe's form: `prod_` and 14 characters, most others 24, the first of which is 1."""
        length = _ID_LENGTH.get(prefix, 24)
        body = self.choices(_ALPHABET, length)
        if length == _ID_LENGTH["re"]:
            body = f"1{body[1:]}"
        return f"{prefix}{'' if prefix.endswith('_') else '_'}{body}"

    def choices(self, alphabet: str, length: int) -> str:
        """A random string."""
        return "".join(self._random.choices(alphabet, k=length))

    def find(self, kind: str, id: str) -> Obj | None:
        """The object, or `{"deleted": true}` for a deleted one of a kind that leaves such a trace, or None."""
        found = self.store.get(kind, id)
        if found is None:
            trace = self.store.get(_DELETED, f"{kind}:{id}")
            found = trace and {"id": id, "object": kind, "deleted": True}
        return found

    def need(self, kind: str, id: str, param: str = "id") -> Obj:
        """The object; refuses with `resource_missing` (404 for an id of the URL, 400 for one of a parameter)."""
        found = self.find(kind, id) if param == "id" else self.store.get(kind, id)
        if found is None:
            raise resource_missing(KINDS[kind].noun, id, param)
        return found

    def create(self, obj: Obj, event: str | None = None) -> Obj:
        """Store a new object, completed with id, `created` and the empty fields of its kind; emit an event."""
        kind = KINDS[obj["object"]]
        given = {"id": self.new_id(kind.prefix), **obj}
        if has(kind.name, "created"):
            given.setdefault("created", self.now(obj))
        done = self.store.put(complete(given))
        if event:
            self.emit(event, done)
        return done

    def update(self, obj: Obj, event: str | None = None) -> Obj:
        """Store a changed object; emit an event with `previous_attributes` if anything visible changed."""
        before = self.store.get(obj["object"], obj["id"])
        # A hash that is new in it (an address of one line) gets its empty fields too.
        obj = self.store.put(complete(obj))
        if event and before is not None and expand.public(before) != expand.public(obj):
            self.emit(event, obj, before)
        return obj

    def remove(self, obj: Obj, event: str | None = None) -> Obj:
        """Delete an object; answers what Stripe answers."""
        self.store.delete(obj["object"], obj["id"])
        if KINDS[obj["object"]].deleted_stays:
            self.store.put({"object": _DELETED, "id": f"{obj['object']}:{obj['id']}"})
        if event:
            self.emit(event, obj)
        return {"id": obj["id"], "object": obj["object"], "deleted": True}

    def emit(self, type: str, obj: Obj, previous: Obj | None = None) -> Obj:
        """Record an event about an object as it is now and plan its deliveries.

        Args:
            type: `product.updated` and so on.
            obj: The object after the change.
            previous: The object before the change; makes `previous_attributes`.
        """
        event = events.build(self, type, obj, previous)
        event["pending_webhooks"] = self.webhooks.plan(event)
        self.store.put(event)
        events.notify(self, type, obj)
        return event

    @property
    def base_url(self) -> str:
        """Where the hosted pages are, without a final slash: as configured, or as the last client called it."""
        return (self.options.public_url or self._base_url).rstrip("/")

    def present(self, obj: Obj, expand_paths: tuple[str, ...] = ()) -> Obj:
        """The object as the API shows it, with the given paths expanded."""
        return expand.present(self, obj, expand_paths)

    # Life ------------------------------------------------------------------------------------------------------

    @contextmanager
    def serving(self, request: Request) -> Iterator[None]:
        """One API request: a transaction, and the source of the events made in it."""
        self.request = request
        self._base_url = request.base_url
        try:
            with self.store.transaction():
                yield
        finally:
            self.request = None

    def call(self, method: str, path: str, params: Obj | None = None, expand_paths: tuple[str, ...] = ()) -> Obj:
        """Do from within what a request to the API does; answers what it would answer.

        Raises:
            StripeError: The operation refuses.
        """
        found = match(method, path)
        if found is None:
            raise unrecognized_url(method, path)
        operation, named = found
        checked = operation.checked(params or {}, None)
        request = Request(method=method, path=path, params=checked, base_url=self.options.public_url or "")
        with self.serving(request):
            return self.present(operation.handler(self, request, **named), expand_paths)

    def reset(self) -> None:
        """Forget everything and fill the sandbox as at its first start."""
        with self.store.transaction():
            self.store.clear()
            self.unknown_paths.clear()
            self.reopen()
            self.populate()

    def reopen(self) -> None:
        """Take up the state of the store after it was exchanged."""
        self.clock = Clock(self, self.options.clock)
        self.chaos.configure({})
        self.webhooks.reload()

    def populate(self) -> None:
        """Give the sandbox its webhook destination and, while it is empty, its seed or the sample catalogue."""
        with self.store.transaction():
            if self.store.count("product") or self.store.count("customer"):
                pass
            elif self.options.seed:
                fixtures.load_file(self, self.options.seed)
            elif self.options.catalog:
                # The same ids from one start to the next, so that examples stay true.
                usual, self._random = self._random, random.Random("catalog")  # noqa: S311 -- must repeat
                fixtures.load_catalog(self)
                self._random = usual
            # Last, because what was there before a destination is no news to it.
            self.webhooks.ensure_destination()

    def on_wake(self, wake: Callable[[], object]) -> None:
        """Have a function called whenever there is something to deliver or to wait for."""
        self._wakers.append(wake)

    def off_wake(self, wake: Callable[[], object]) -> None:
        """Undo `on_wake`."""
        self._wakers.remove(wake)

    def wake(self) -> None:
        """Tell the background tasks that there is work."""
        for wake in self._wakers:
            wake()

    def close(self) -> None:
        """Close the state file."""
        self.store.close()
