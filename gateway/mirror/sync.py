"""Keep the mirror true: a guarded write for each way in which an object reaches it.

Every mirrored row says what it knows in Stripe's time: its state includes all that happened before
`as_of - staleness_seconds` and nothing that happened after `as_of`, both in whole seconds of Stripe's clock. From that
follows, whatever order things arrive in:

- an event later than `as_of` is newer: its payload is written;
- one earlier than `as_of - staleness_seconds` is older: the state stays;
- in between the events themselves may prove an order (`mirror/ties.py`); otherwise the object is fetched;
- a deletion, and a final status, is never undone; but where the seller chooses the id (a product's, a coupon's), a new
  object may have it, and Stripe is asked.

`mirror/upsert.py` holds the statements.
"""

from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from functools import cache
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlmodel import select

from gateway.db.database import Database
from gateway.db.notifications import publish
from gateway.db.tables import table_for
from gateway.errors import StripeMissing, StripeUnavailable
from gateway.mirror.accounts import account_of, key_of
from gateway.mirror.effects import Effect
from gateway.mirror.fetch import fetch
from gateway.mirror.mapping import Json
from gateway.mirror.reader import Reader
from gateway.mirror.resources import RESOURCES, Resource, Unreadable
from gateway.mirror.subscription_items import items_of
from gateway.mirror.ties import EventStates, Order, before, comparable, decide
from gateway.mirror.upsert import CATALOG_TABLES, Candidate, Guard, WriteResult, bump_catalog, upsert
from gateway.stripe_api.client import Stripe, StripeResponse

Siblings = Callable[[sa.Connection, "Change", int, int], Iterable["Change"]]
"""Finds the other events of an object that were created from one moment to another, both included."""

REFRESH_TRIES = 5

ExtraWrites = Callable[[sa.Connection], None]
"""Writes what belongs to the same transaction."""


class Change(NamedTuple):
    """What an event says about an object.

    Args:
        resource: how this kind is mirrored.
        object: the event's `data.object`.
        created: the event's `created`, Unix seconds.
        deleted: whether the object is gone.
        account: the connected account that has it; None for our own.
        previous_attributes: the values that changed, as they were before; None where the event does not say.
        is_creation: whether the event is the object's creation.
        event_id: the event.
    """

    resource: Resource
    object: Json
    created: int
    deleted: bool = False
    account: str | None = None
    previous_attributes: Json | None = None
    is_creation: bool = False
    event_id: str = ""


class Mirror:
    """Writes the copy of Stripe.

    Args:
        database: where it is kept.
        effects: what follows from each write, in this order and in the same transaction.

    Attributes:
        database: where it is kept.
    """

    def __init__(self, database: Database, effects: Sequence[Effect]) -> None:
        self.database = database
        self._effects = tuple(effects)

    def store_events(
        self, connection: sa.Connection, changes: Sequence[Change], siblings: Siblings
    ) -> list[WriteResult | Unreadable]:
        """Write the objects that events carry, where they are newer than what is there; a result for each.

        Args:
            connection: the transaction that also marks the events.
            changes: what the events say.
            siblings: finds the other events of an object within some seconds, as far as they have arrived.

        Returns:
            a result for each, or why its payload cannot be read and must be fetched.
        """
        candidates: dict[int, Candidate] = {}
        results: dict[int, WriteResult | Unreadable] = {}
        for place, change in enumerate(changes):
            try:
                candidates[place] = _candidate(change)
            except Unreadable as error:
                results[place] = error
        results |= zip(candidates, upsert(connection, list(candidates.values()), self._effects), strict=True)
        for place, candidate in candidates.items():
            if results[place] is WriteResult.UNCLEAR:
                results[place] = self._settle_tie(connection, changes[place], candidate, siblings)
        return [results[place] for place in range(len(changes))]

    def _settle_tie(
        self, connection: sa.Connection, change: Change, candidate: Candidate, siblings: Siblings
    ) -> WriteResult:
        """Write a state of the second that is known, if the events prove that it is the later one."""
        resource = candidate.resource
        if resource.owner:  # a list, whose events have no object of their own
            return WriteResult.UNCLEAR
        row = dict(connection.execute(_row_of(table_for(resource.table)), {"its": candidate.id}).mappings().one())
        if "_items" in candidate.columns:
            row["_items"] = items_of(connection, [candidate.id]).get(candidate.id, {})
        if row["deleted"]:  # whether it is there again is Stripe's to say
            return WriteResult.UNCLEAR
        others = siblings(connection, change, row["as_of"] - row["staleness_seconds"], row["as_of"])
        states = [_states_of(other) for other in others]
        answered = (
            row["staleness_seconds"] > 0 and row["revision"] > 1
        )  # by the first of all, mostly that to its creation
        match decide(resource.kind, _states_of(change), row, states, answered=answered):
            case Order.EARLIER:
                return WriteResult.STALE
            case Order.LATER:
                (result,) = upsert(connection, [candidate], self._effects, Guard.UNCHANGED, row["revision"])
                return result
            case Order.OPEN:
                return WriteResult.UNCLEAR

    async def store_answer(
        self, stripe: Stripe, answer: StripeResponse, extra_writes: ExtraWrites | None = None
    ) -> None:
        """Write the object that a call to Stripe answered with, and what came expanded within it.

        What has no clear place in time is read again.

        Args:
            stripe: to read again with.
            answer: what Stripe said.
            extra_writes: writes what is the gateway's own about the object, such as whose it is, in the same
                transaction.

        Raises:
            StripeUnavailable: when something had to be read again and Stripe did not answer.
        """
        await self.refresh_all(stripe, await self.store_page(answer, [answer.object], extra_writes))

    async def store_page(
        self, answer: StripeResponse, objects: Iterable[Json], extra_writes: ExtraWrites | None = None
    ) -> list[Json]:
        """Write the objects of an answer, what came expanded within them, and the `extra_writes`, in one transaction.

        Returns:
            those that must be refreshed: something was written within the duration of the call, the payload is not
            whole, or the answer repeats an earlier one.
        """
        candidates, unclear = [], []
        for obj in (each for whole in objects for each in (whole, *RESOURCES[whole["object"]].embedded(whole))):
            try:
                candidates.append((obj, _answered(answer, obj)))
            except Unreadable:
                unclear.append(obj)
        # A replayed answer is as old as the call that it repeats: it may fill a gap, never overwrite.
        guard = Guard.NEVER if answer.replayed else Guard.NEWER

        def write(connection: sa.Connection) -> list[WriteResult]:
            results = upsert(connection, [candidate for _, candidate in candidates], self._effects, guard)
            if extra_writes:
                extra_writes(connection)
            return results

        results = await self.database.transaction(write)
        again = {WriteResult.UNCLEAR, WriteResult.STALE} if answer.replayed else {WriteResult.UNCLEAR}
        wanting = ((obj, result) for (obj, _), result in zip(candidates, results, strict=True) if result in again)
        return unclear + [obj for obj, _ in wanting if RESOURCES[obj["object"]].path]

    async def refresh_all(self, stripe: Stripe | Reader, unclear: Iterable[Json]) -> None:
        """Read again what `store_page` could not place."""
        for obj in unclear:
            with suppress(StripeMissing):  # gone meanwhile, which `refresh` has written down
                await self.refresh(stripe, obj["object"], obj["id"])

    async def refresh(self, stripe: Stripe | Reader, kind: str, id: str) -> Json:
        """Read one object from Stripe and write what it says now; the object.

        The row's `revision` is noted before the call and must be the same after it: otherwise something newer may have
        been written meanwhile, and the object is read again. No transaction is open during the call.

        Raises:
            StripeMissing: Stripe knows no such object; a row of ours is then marked as deleted.
            StripeUnavailable: Stripe cannot be reached, or the object changes faster than it can be read.
            Unreadable: Stripe's answer at the pinned version cannot be read, which is a fault of ours.
        """
        resource, key = RESOURCES[kind], key_of(stripe.account, id)
        for _ in range(REFRESH_TRIES):
            seen = await self._revision(resource, key)
            try:
                answer = await fetch(stripe, resource, id)
            except StripeMissing:
                await self._mark_deleted(resource, key, seen)
                raise
            if answer.object.get("deleted"):
                await self._mark_deleted(resource, key, seen)
                return answer.object
            if await self._store_fetched(answer, seen):
                await self.refresh_all(stripe, await self.store_page(answer, resource.embedded(answer.object)))
                return answer.object
        raise StripeUnavailable(f"{kind} {id} changes faster than it can be read; try again")

    async def _store_fetched(self, answer: StripeResponse, seen: int | None) -> bool:
        """Write a fetched object if the row is still as it was before the fetch; whether it was."""
        candidate = _answered(answer, answer.object)
        guard = Guard.NEVER if seen is None else Guard.UNCHANGED
        (result,) = await self.database.transaction(
            lambda connection: upsert(connection, [candidate], self._effects, guard, seen)
        )
        return result in {WriteResult.CREATED, WriteResult.UPDATED}

    async def _revision(self, resource: Resource, key: str) -> int | None:
        query = select(resource.table.revision).where(resource.table.id == key)
        return await self.database.read(lambda connection: connection.scalars(query).first())

    async def _mark_deleted(self, resource: Resource, key: str, seen: int | None) -> None:
        """Mark a row as deleted, because Stripe says that there is no such object."""
        table = table_for(resource.table)

        def write(connection: sa.Connection) -> None:
            result = connection.execute(
                sa.update(table)
                .where(table.c.id == key, table.c.revision == seen, table.c.deleted.is_(False))
                .values(deleted=True, revision=table.c.revision + 1)
            )
            if not result.rowcount or account_of(key)[0] is not None:
                return
            if table.name in CATALOG_TABLES:
                bump_catalog(connection, [(table.name, key)])
            elif resource.kind == "customer":
                publish(connection, f"customer:{key}")
            elif "customer_id" in table.c:
                customer_id = connection.execute(sa.select(table.c.customer_id).where(table.c.id == key)).scalar()
                publish(connection, f"customer:{customer_id}")

        await self.database.transaction(write)


@cache
def _row_of(table: sa.Table) -> sa.Select[Any]:
    return sa.select(table).where(table.c.id == sa.bindparam("its"))


def _states_of(change: Change) -> EventStates:
    """Return the states of its object that an event shows; a state that cannot be read is left out."""
    previous = change.previous_attributes
    return EventStates(
        _readable(change, change.object),
        None if previous is None else _readable(change, before(change.object, previous)),
        change.is_creation,
    )


def _readable(change: Change, obj: Json) -> Json | None:
    with suppress(Unreadable):
        return comparable(change.resource.read(obj, change.account))
    return None


def _candidate(change: Change) -> Candidate:
    """Make a candidate of what an event says.

    Raises:
        Unreadable: the object must be fetched.
    """
    resource, account = change.resource, change.account
    key, columns = resource.id_of(change.object, account), resource.read(change.object, account)
    return Candidate(resource, key, columns, change.created, 0, change.deleted, account)


def _answered(answer: StripeResponse, obj: Json) -> Candidate:
    """Make a candidate of an object in an answer.

    Raises:
        Unreadable: the object must be fetched by itself.
    """
    resource, account = RESOURCES[obj["object"]], answer.account
    key, columns = resource.id_of(obj, account), resource.read(obj, account)
    return Candidate(resource, key, columns, answer.as_of, answer.staleness_seconds, account=account)
