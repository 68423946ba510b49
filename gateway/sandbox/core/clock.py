"""The engine of time: jobs that are due at a moment of the sandbox's clock or of a test clock.

The wall clock plus an offset is the sandbox's time; a test clock stands still until it is advanced
(https://docs.stripe.com/billing/testing/test-clocks). While a job runs, its clock shows the moment the job was due,
so whatever it makes carries that time. Jobs are documents, so they survive a restart.
"""

from __future__ import annotations

import asyncio
import heapq
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeAlias

from gateway.sandbox.core.objects import clock_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from gateway.sandbox.core.store import Obj, Store

Job: TypeAlias = "Callable[[str], None]"
"""Called with the id of the object that the job was scheduled for."""
WALL = ""
"""The name of the sandbox's own clock among the test clocks."""


class Clock:
    """Time and the jobs that wait for it. All times are Unix seconds."""

    def __init__(
        self, store: Store, jobs: Mapping[str, Job], *, start: int | None = None, wake: Callable[[], None]
    ) -> None:
        """Take up the time and the jobs that a store holds.

        Args:
            store: The state.
            jobs: What to do for each name that is scheduled.
            start: Where the time of an empty store begins; None is the present.
            wake: Called when a job was scheduled.
        """
        self._store = store
        self._jobs = jobs
        self._wake = wake
        self._start = start
        self._now: tuple[str, int] | None = None
        self.reload()

    def reload(self) -> None:
        """Take up the time and the jobs that the store holds, after it was opened or exchanged."""
        self._heaps: dict[str, list[tuple[int, int, str]]] | None = None
        self._order = max((entry["order"] for entry in self._store.scan("_job")), default=0)
        self._rollbacks = 0
        state = self._store.get("_clock", WALL)
        if state is None:
            offset = 0 if self._start is None else self._start - int(time.time())
            state = self._store.put({"object": "_clock", "id": WALL, "offset": offset})
        self._offset: int = state["offset"]

    def now(self, clock: str | None = None) -> int:
        """Return the time on the sandbox's clock, or on the test clock of that id."""
        name = clock or WALL
        if self._now and self._now[0] == name:
            return self._now[1]
        frozen = clock and self._store.get("test_helpers.test_clock", clock)
        return int(frozen["frozen_time"]) if frozen else int(time.time()) + self._offset

    @property
    def ahead(self) -> int:
        """How many seconds the sandbox's own clock is ahead of the machine's; below zero it is behind."""
        return self._offset

    def now_of(self, owner: Obj | str | None = None) -> int:
        """Return the time that an object (or id) lives in: its or its customer's test clock's, else the sandbox's."""
        return self.now(clock_of(self._store, owner) if owner else None)

    def schedule(self, at: int, name: str, obj: Obj | str, *, clock: str | None = None) -> None:
        """Have the job `name` run for an object at a time, instead of any earlier plan for the two.

        Args:
            at: Unix seconds; a moment in the past runs as soon as the clock is next looked at.
            name: One of the jobs that the clock was given.
            obj: The object or its id; the job gets the id.
            clock: The test clock; by default that of the object (or of its customer).
        """
        if name not in self._jobs:
            raise LookupError(f"No job is called {name}: add a row to `reactions.JOBS`.")
        object_id = obj if isinstance(obj, str) else str(obj["id"])
        clock = clock or clock_of(self._store, obj)
        self._order += 1
        entry: Obj = {
            "object": "_job",
            "id": f"{name}:{object_id}",
            "at": at,
            "order": self._order,
            "job": name,
            "_object": object_id,
            "clock": clock or WALL,
        }
        self._store.put(entry)
        if self._heaps is not None:
            heapq.heappush(self._heaps.setdefault(entry["clock"], []), (at, self._order, entry["id"]))
        self._wake()

    def cancel(self, name: str, obj: Obj | str) -> None:
        """Forget a planned job, if there is one."""
        self._store.delete("_job", f"{name}:{obj if isinstance(obj, str) else obj['id']}")

    def planned(self, obj: Obj | str) -> list[Obj]:
        """Return the jobs that wait for an object: dicts with `at` and `job`, soonest first."""
        object_id = obj if isinstance(obj, str) else obj["id"]
        return sorted(self._store.find("_job", _object=object_id), key=lambda entry: entry["at"])

    def next_job(self, clock: str | None = None) -> Obj | None:
        """Return the next job of a clock: a dict with `at`, `job` and the object's id in `_object`."""
        return self._peek(clock or WALL)

    def next_due(self, clock: str | None = None) -> int | None:
        """Return when the next job of a clock is due."""
        entry = self._peek(clock or WALL)
        return None if entry is None else int(entry["at"])

    def run_due(self, until: int | None = None, clock: str | None = None) -> int:
        """Run all jobs due up to a time (default: now), in order of time; return how many."""
        return sum(1 for _ in self.steps(self.now(clock) if until is None else until, clock))

    def steps(self, until: int, clock: str | None = None) -> Iterator[int]:
        """Run the due jobs one by one, each in its own transaction, yielding the time of each.

        Jobs of one moment run in the order in which they were planned.
        """
        name = clock or WALL
        while (entry := self._peek(name)) and entry["at"] <= until:
            with self.at(entry["at"], clock), self._store.transaction():
                self._store.delete("_job", entry["id"])
                self._jobs[entry["job"]](entry["_object"])
            yield entry["at"]

    def advance(self, to: int) -> int:
        """Move the sandbox's own clock forward to a time, run what is due on the way, and return how many jobs ran."""
        return sum(1 for _ in self._advancing(to))

    async def advance_async(self, to: int) -> int:
        """Advance as `advance` does, letting other work (deliveries, pages) go on in between."""
        count = 0
        for _ in self._advancing(to):
            count += 1
            await asyncio.sleep(0)
        return count

    def _advancing(self, to: int) -> Iterator[int]:
        for moment in self.steps(to):
            self._offset = max(self._offset, moment - int(time.time()))
            yield moment
        self._offset = max(self._offset, to - int(time.time()))
        self._store.put({"object": "_clock", "id": WALL, "offset": self._offset})

    @contextmanager
    def at(self, moment: int, clock: str | None = None) -> Iterator[None]:
        """Let a clock show a moment while something is done."""
        before, self._now = self._now, (clock or WALL, moment)
        try:
            yield
        finally:
            self._now = before

    def _peek(self, name: str) -> Obj | None:
        """Return the soonest job; heap entries are hints which the stored job confirms."""
        if self._heaps is None or self._rollbacks != self._store.rollbacks:
            self._rollbacks, self._heaps = self._store.rollbacks, {}
            for entry in self._store.find("_job"):
                self._heaps.setdefault(entry["clock"], []).append((entry["at"], entry["order"], entry["id"]))
            for heap in self._heaps.values():
                heapq.heapify(heap)
        heap = self._heaps.get(name, [])
        while heap:
            _, order, entry_id = heap[0]
            found = self._store.get("_job", entry_id)
            if found and found["order"] == order:
                return found
            heapq.heappop(heap)
        return None
