"""One offline Stripe account, composed of its parts: store, ids, clock, chaos, deliveries, event log."""

from __future__ import annotations

from collections import Counter
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING

from gateway.sandbox import fixtures, reactions
from gateway.sandbox.api.routing import match
from gateway.sandbox.billing import hosted_links
from gateway.sandbox.core import expand, objects
from gateway.sandbox.core.clock import Clock
from gateway.sandbox.core.errors import resource_missing, unrecognized_url
from gateway.sandbox.core.ids import Ids
from gateway.sandbox.core.ports import Request
from gateway.sandbox.core.registry import KINDS
from gateway.sandbox.core.store import Obj, Store
from gateway.sandbox.core.templates import complete, has
from gateway.sandbox.core.versions import render
from gateway.sandbox.events.chaos import Chaos
from gateway.sandbox.events.delivery import WebhookDeliveries
from gateway.sandbox.events.log import EventLog
from gateway.sandbox.options import SandboxOptions

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


class OfflineStripe:
    """The account that everything else knows as `core.ports.Sandbox`, whose docstrings say what each method does."""

    def __init__(self, options: SandboxOptions | None = None) -> None:
        """Open an account.

        Raises:
            OSError: The state file cannot be opened.
        """
        self.options = options or SandboxOptions()
        self.store = Store(self.options.path)
        self.unknown_paths: Counter[str] = Counter()
        self._request: Request | None = None
        self._base_url = "http://127.0.0.1:12111"
        self._wakers: list[Callable[[], object]] = []
        # Ids must be new after a restart, so a given seed is mixed with how much is already there.
        seed = self.options.random_seed
        self._ids = Ids(None if seed is None else f"{seed}:{self.store.sequence}")
        jobs = {name: partial(reaction, self) for name, reaction in reactions.JOBS.items()}
        self.clock = Clock(self.store, jobs, start=self.options.clock, wake=self.wake)
        self.chaos = Chaos(self.store, self.options)
        self.deliveries = WebhookDeliveries(self.store, self._ids, self.clock, self.chaos, self.options, wake=self.wake)
        self._log = EventLog(self.store, self._ids, self.clock, self.deliveries.plan)

    # Objects ---------------------------------------------------------------------------------------------------

    def now(self, owner: Obj | str | None = None) -> int:  # noqa: D102 -- see the protocol
        return self.clock.now_of(owner)

    def new_id(self, prefix: str) -> str:  # noqa: D102
        return self._ids.new(prefix)

    def choices(self, alphabet: str, length: int) -> str:  # noqa: D102
        return self._ids.choices(alphabet, length)

    def find(self, kind: str, id: str) -> Obj | None:  # noqa: D102
        return objects.find(self.store, kind, id)

    def need(self, kind: str, id: str, param: str = "id") -> Obj:  # noqa: D102
        found = self.find(kind, id) if param == "id" else self.store.get(kind, id)
        if found is None:
            known = KINDS[kind]
            if param == "id":
                raise resource_missing(known.noun, id, known.path, 404)
            raise resource_missing(known.noun, id, param, 400)
        return found

    def create(self, obj: Obj, event: str | None = None) -> Obj:  # noqa: D102
        kind = KINDS[obj["object"]]
        given = {"id": self.new_id(kind.prefix), **obj}
        if has(kind.name, "created"):
            given.setdefault("created", self.now(obj))
        done = self.store.put(complete(given))
        if event:
            self.emit(event, done)
        return done

    def update(self, obj: Obj, event: str | None = None) -> Obj:  # noqa: D102
        before = self.store.get(obj["object"], obj["id"])
        # A hash that is new in it (an address of one line) gets its empty fields too.
        obj = self.store.put(complete(obj))
        if event and before is not None and expand.public(before) != expand.public(obj):
            self.emit(event, obj, before)
        return obj

    def remove(self, obj: Obj, event: str | None = None) -> Obj:  # noqa: D102
        answer = objects.delete(self.store, obj["object"], obj["id"])
        if event:
            self.emit(event, obj)
        return answer

    def present(self, obj: Obj, expand_paths: tuple[str, ...] = (), version: str | None = None) -> Obj:  # noqa: D102
        def shape(each: Obj) -> Obj:
            return render(hosted_links.renewed(each, self.now), version, self.store)

        return expand.present(self, obj, expand_paths, shape)

    # What follows ----------------------------------------------------------------------------------------------

    def emit(self, type: str, obj: Obj, previous: Obj | None = None) -> Obj:  # noqa: D102
        event = self._log.record(type, obj, previous, self._request)
        for prefix, reaction in reactions.EVENTS:
            if type.startswith(prefix):
                reaction(self, obj)
        return event

    def follow(self, outcome: str, obj: Obj) -> None:  # noqa: D102
        for reaction in reactions.OUTCOMES[outcome]:
            reaction(self, self.need(obj["object"], obj["id"]))

    # Requests --------------------------------------------------------------------------------------------------

    @property
    def base_url(self) -> str:  # noqa: D102
        return (self.options.public_url or self._base_url).rstrip("/")

    @contextmanager
    def serving(self, request: Request) -> Iterator[None]:  # noqa: D102
        self._request = request
        self._base_url = request.base_url
        try:
            with self.store.transaction():
                yield
        finally:
            self._request = None

    def call(
        self,
        method: str,
        path: str,
        params: Obj | None = None,
        expand_paths: tuple[str, ...] = (),
        base_url: str | None = None,
    ) -> Obj:
        """Do from within what a request to the API does, and return what it would answer.

        Args:
            method: Its method.
            path: Its path.
            params: Its parameters.
            expand_paths: What is expanded in the answer.
            base_url: Where the pages are that it links to; None is where they were last.

        Raises:
            StripeError: The operation refuses.
        """
        found = match(method, path)
        if found is None:
            raise unrecognized_url(method, path)
        operation, named = found
        checked = operation.checked(params or {}, None)
        request = Request(method=method, path=path, params=checked, base_url=base_url or self.base_url)
        with self.serving(request):
            return self.present(operation.handler(self, request, **named), expand_paths)

    # The whole -------------------------------------------------------------------------------------------------

    def reset(self) -> None:  # noqa: D102
        with self.store.transaction():
            self.store.clear()
            self.unknown_paths.clear()
            self.reopen()
            self.populate()

    def reopen(self) -> None:  # noqa: D102
        self.clock.reload()
        self.chaos.configure({})
        self.deliveries.reload()

    def populate(self) -> None:
        """Give the account its webhook destination and, while it is empty, its seed or the sample catalogue."""
        with self.store.transaction():
            if self.store.count("product") or self.store.count("customer"):
                pass
            elif self.options.seed:
                fixtures.load_file(self, self.options.seed)
            elif self.options.catalog:
                # The same ids from one start to the next, so that examples stay true.
                with self._ids.seeded("catalog"):
                    fixtures.load_catalog(self)
            # Last, because what was there before a destination is no news to it.
            self.deliveries.ensure_destination()

    def on_wake(self, wake: Callable[[], object]) -> None:  # noqa: D102
        self._wakers.append(wake)

    def off_wake(self, wake: Callable[[], object]) -> None:  # noqa: D102
        self._wakers.remove(wake)

    def wake(self) -> None:  # noqa: D102
        for wake in self._wakers:
            wake()

    def close(self) -> None:
        """Close the state file."""
        self.store.close()
