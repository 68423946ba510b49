"""The inbox: every event is written down once before it is answered, and applied in the same transaction.

Deliveries that arrive together share one transaction: recorded, applied, marked, committed, and only then answered.
What fails, or needs a fetch from Stripe, stays in the table, which is the queue of `webhooks/worker.py`: no transaction
ever waits for the network.
"""

import asyncio
import random
import time
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import lru_cache, partial
from typing import Any

import sqlalchemy as sa
import structlog

from gateway.db.database import Database
from gateway.db.errors import unavailability_reason
from gateway.db.statements import insert_rows, write_rows
from gateway.db.tables import insert, table_for
from gateway.errors import DatabaseUnavailable
from gateway.models.columns import utc
from gateway.models.inbox import UNFINISHED, Event
from gateway.models.infra import WebhookSecretUse
from gateway.observability import metrics, tracing
from gateway.stripe_api.client import Delivery, event_of
from gateway.webhooks.handlers import HANDLERS, Effect, Json, apply, follow, need_of

log = structlog.get_logger()

FIRST_PAUSE_SECONDS = 5
LONGEST_PAUSE_SECONDS = 4 * 3600
MOST_ATTEMPTS = 17  # 5 s, doubled up to 4 h: the last try is about a day after the first
SECRET_USE_SECONDS = 60.0
EVENTS = table_for(Event)
SECRET_USES = table_for(WebhookSecretUse)
RECORDED = [column.name for column in EVENTS.c if column.name not in {"next_attempt_at", "last_error"}]
_ID = (EVENTS.c.id,)
EXPECTED = Effect("applied", "updated")
"""What becomes of most events: they are recorded as that, and those that come out differently are marked."""
FOREIGN = Effect("ignored", "of a connected account that GATEWAY_CONNECT_ACCOUNTS does not name")


class Inbox:
    """Records events, applies them and remembers what became of each.

    Args:
        database: where they are kept.
        accounts: the connected accounts whose events are applied beside our own.
    """

    def __init__(self, database: Database, accounts: Collection[str] = ()) -> None:
        self.database = database
        self.due = asyncio.Event()
        """Set when there may be work for the worker."""
        self._accounts = frozenset(accounts)
        self._secrets_seen: dict[str, float] = {}

    async def record(self, deliveries: Sequence[Delivery], *, source: str) -> set[str]:
        """Record and apply a group of events in one transaction; the ids of those that were new.

        Args:
            deliveries: genuine events, possibly with copies among them.
            source: how they came: `webhook`, or `list` when they were read from Stripe's list.

        Raises:
            DatabaseUnavailable: nothing was recorded.
        """
        started = time.monotonic()
        # one order for all processes, so that two of them with the same events wait in turn and do not block
        events = {delivery.event["id"]: delivery for delivery in sorted(deliveries, key=lambda d: str(d.event["id"]))}

        def work(connection: sa.Connection, *, one_by_one: bool = False) -> dict[str, Effect | Exception]:
            guesses = {key: self._guess(delivery.event) for key, delivery in events.items()}
            common = {"source": source, "needs": [], "attempts": 0, "received_at": datetime.now(UTC)}
            rows = [_row(delivery, guesses[key], common) for key, delivery in events.items()]
            dialect = connection.dialect.name
            new = {key for (key,) in write_rows(connection, _record_statement(dialect), rows, _ID)}
            fresh = [delivery.event for key, delivery in events.items() if key in new]
            effects = self._apply(connection, fresh, one_by_one=one_by_one)
            marks = {key: effect for key, effect in effects.items() if effect != guesses[key]}
            mark(connection, marks, dict.fromkeys(marks, 0))
            self._remember_secrets(connection, deliveries)
            return effects

        try:
            effects = await self.database.transact(work)
        except DatabaseUnavailable:
            raise
        except Exception as error:  # noqa: BLE001 - one of them is bad; each by itself, it takes no neighbour along
            log.warning("events_one_by_one", count=len(events), error=type(error).__name__)
            effects = await self.database.transact(partial(work, one_by_one=True))
        if any(isinstance(effect, Exception) or effect.needs for effect in effects.values()):
            self.due.set()
        report(
            [(events[key].event, effect, 0) for key, effect in effects.items()],
            time.monotonic() - started,
            {key: delivery.secret_label for key, delivery in events.items()},
        )
        return set(effects)

    async def apply_again(self, event: dict[str, Any], attempts: int) -> None:
        """Apply a recorded event once more, from its payload, and mark it.

        Args:
            event: the event.
            attempts: how often it has failed so far.
        """
        started = time.monotonic()

        def work(connection: sa.Connection) -> Effect | Exception:
            effect = self._apply(connection, [event], one_by_one=True)[event["id"]]
            mark(connection, {event["id"]: effect}, {event["id"]: attempts})
            return effect

        effect = await self.database.transact(work)
        report([(event, effect, attempts)], time.monotonic() - started)

    async def finish(self, rows: Sequence[Event], fetched: Mapping[str, Json], started: float) -> None:
        """Mark events whose objects were fetched, and let their effects follow once more: a thin one only can
        have them now, and what was fetched may show what else is missing, such as the product of a price.

        Args:
            rows: the events.
            fetched: what was fetched, by `kind:id`.
            started: when that began, on the monotonic clock.
        """
        events = {row.id: event_of(row.payload) for row in rows}

        def work(connection: sa.Connection) -> dict[str, Effect | Exception]:
            effects: dict[str, Effect | Exception] = {}
            for row in rows:
                effect, event = Effect("applied", row.outcome or "fetched"), events[row.id]
                whole = fetched.get(need_of(event["data"]["object"]))
                if whole is not None:
                    event = {**event, "data": {"object": whole}}
                if whole is not None or not event.get("thin"):
                    effect = follow(connection, event, effect)
                # the same once more brings nothing new: it is not at Stripe either
                effects[row.id] = effect._replace(needs=() if {*effect.needs} <= {*row.needs} else effect.needs)
            mark(connection, effects, {})
            return effects

        effects = await self.database.transact(work)
        report([(events[row.id], effects[row.id], row.attempts) for row in rows], time.monotonic() - started)

    async def give_back(self, rows: Sequence[Event], error: Exception, started: float) -> None:
        """Mark events as failed: they are tried again later, or given up."""
        errors, attempts = {row.id: error for row in rows}, {row.id: row.attempts for row in rows}
        await self.database.transact(lambda connection: mark(connection, errors, attempts))
        report([(event_of(row.payload), error, row.attempts) for row in rows], time.monotonic() - started)

    async def reopen(self, event_ids: Sequence[str]) -> int:
        """Put recorded events back into the queue, due now, with a fresh count of attempts; how many were found."""
        async with self.database.write() as connection:
            result = await connection.execute(
                sa.update(EVENTS)
                .where(EVENTS.c.id.in_(event_ids))
                .values(status="pending", needs=[], attempts=0, next_attempt_at=datetime.now(UTC), last_error=None)
            )
        self.due.set()
        return result.rowcount

    def _apply(
        self, connection: sa.Connection, events: Sequence[dict[str, Any]], *, one_by_one: bool
    ) -> dict[str, Effect | Exception]:
        """Apply new events: together, which raises when one is bad; or each within a savepoint."""
        effects: dict[str, Effect | Exception] = {event["id"]: FOREIGN for event in events}
        ours = [event for event in events if self._is_ours(event)]
        if not one_by_one:
            done = apply(connection, ours)
            return effects | {event["id"]: effect for event, effect in zip(ours, done, strict=True)}
        for event in ours:
            try:
                with connection.begin_nested():
                    (effects[event["id"]],) = apply(connection, [event])
            except Exception as error:
                if unavailability_reason(error):  # the database is at fault, not the event: Stripe tries again
                    raise
                effects[event["id"]] = error
        return effects

    def _remember_secrets(self, connection: sa.Connection, deliveries: Sequence[Delivery]) -> None:
        """Keep when each signing secret was last used, once a minute at most."""
        now = time.monotonic()
        for label in sorted({delivery.secret_label for delivery in deliveries if delivery.secret_label}):
            if now - self._secrets_seen.get(label, -SECRET_USE_SECONDS) >= SECRET_USE_SECONDS:
                self._secrets_seen[label] = now
                use = {"label": label, "last_used_at": datetime.now(UTC)}
                statement = insert(connection, SECRET_USES).values(use)
                connection.execute(statement.on_conflict_do_update(index_elements=["label"], set_=use))

    def _is_ours(self, event: dict[str, Any]) -> bool:
        return not event.get("account") or event["account"] in self._accounts

    def _guess(self, event: dict[str, Any]) -> Effect:
        """What will surely or mostly become of an event, so that it need not be written twice."""
        if not self._is_ours(event):
            return FOREIGN
        return EXPECTED if event["type"] in HANDLERS else Effect("ignored", "")


def _row(delivery: Delivery, guess: Effect, common: Json) -> Json:
    """The event as it is recorded, with what is expected to become of it in this transaction.

    Args:
        delivery: the event.
        guess: what is expected.
        common: the columns that are the same for the whole group.
    """
    event = delivery.event
    return {
        **common,
        "id": event["id"],
        "type": event["type"],
        "api_version": _text(event.get("api_version")),
        "account": _text(event.get("account")),
        "livemode": bool(event.get("livemode")),
        "created": utc(event["created"]),
        "object_id": _text(event["data"]["object"].get("id")),
        "payload": delivery.payload,
        "status": guess.status,
        "outcome": guess.outcome,
        "processed_at": common["received_at"],
    }


@lru_cache
def _record_statement(dialect: str) -> Any:
    """INSERT what is new."""
    return insert_rows(dialect, EVENTS, RECORDED).on_conflict_do_nothing()


def _text(value: Any) -> str | None:
    """A string that any database can hold, or nothing: an odd field must not cost the record of its event."""
    return value[:255].replace("\0", "") if isinstance(value, str) else None


def mark(connection: sa.Connection, effects: Mapping[str, Effect | Exception], attempts: Mapping[str, int]) -> None:
    """Write down what became of some events.

    One with needs is pending, due at once. One that failed is kept with its error and due after a growing pause; after
    the last try it is a dead letter, which waits for an operator.

    Args:
        connection: the transaction that applied them.
        effects: what became of each.
        attempts: how often each has failed before.
    """
    alike: defaultdict[tuple[Any, ...], list[str]] = defaultdict(list)
    for event_id, effect in effects.items():
        if isinstance(effect, Exception):
            values = failure(effect, attempts[event_id])
            connection.execute(sa.update(EVENTS).where(EVENTS.c.id == event_id).values(**values))
        else:
            alike[effect.status, effect.outcome, effect.needs].append(event_id)
    now = datetime.now(UTC)
    for (status, outcome, needs), event_ids in alike.items():
        connection.execute(
            sa.update(EVENTS)
            .where(EVENTS.c.id.in_(event_ids))
            .values(
                status="pending" if needs else status,
                outcome=outcome,
                needs=list(needs),
                next_attempt_at=now if needs else None,
                processed_at=None if needs else now,
                last_error=None,
            )
        )


def failure(error: Exception, attempts: int) -> dict[str, Any]:
    """The columns of an event that failed once more, after `attempts` failures."""
    pause = min(FIRST_PAUSE_SECONDS * 2**attempts, LONGEST_PAUSE_SECONDS) * random.uniform(0.8, 1.2)  # noqa: S311
    dead = _is_last(attempts)
    return {
        "status": "dead" if dead else "failed",
        "attempts": attempts + 1,
        "next_attempt_at": None if dead else datetime.now(UTC) + timedelta(seconds=pause),
        "processed_at": None,
        "last_error": f"{type(error).__name__}: {error}"[:2000].replace("\0", ""),
    }


def _is_last(attempts: int) -> bool:
    return attempts + 1 >= MOST_ATTEMPTS


def report(
    handled: Iterable[tuple[Json, Effect | Exception, int]], seconds: float, secrets: Mapping[str, str] | None = None
) -> None:
    """Count and log what became of some events, once that is committed.

    Args:
        handled: each event, what became of it, and how often it had failed before.
        seconds: how long that took here.
        secrets: by event, the label of the secret that signed its delivery, if that is what brought it now.
    """
    statuses: Counter[str] = Counter()
    now, ms, traced = time.time(), round(seconds * 1000, 1), tracing.active()
    for event, effect, attempts in handled:
        failed = isinstance(effect, Exception)
        if isinstance(effect, Exception):
            status = "dead" if _is_last(attempts) else "failed"
            outcome = type(effect).__name__  # not its words, which may quote what no log may hold
        else:
            status, outcome = "pending" if effect.needs else effect.status, effect.outcome
        statuses[status] += 1
        if status == "applied":
            metrics.EVENT_LAG.observe(max(0.0, now - event["created"]))
        line = {
            "id": event["id"],
            "type": event["type"],
            "object": event["data"]["object"].get("id"),
            "status": status,
            "outcome": outcome,
            "ms": ms,
        }
        if secrets and (label := secrets.get(event["id"])):
            line["secret"] = label
        if failed:
            log.warning("event_failed", **line)
        else:
            log.info("event_handled", **line)
        if traced:
            told = {"id": event["id"], "type": event["type"], "status": status, "tries": attempts}
            tracing.past("event", seconds, **told, error=outcome if failed else None)
    for status, count in statuses.items():
        metrics.EVENTS.labels(status).inc(count)


async def open_events(database: Database) -> dict[str, int]:
    """How many events are not finished, by status.

    Raises:
        DatabaseUnavailable: they cannot be counted.
    """
    query = sa.select(EVENTS.c.status, sa.func.count()).where(sa.text(UNFINISHED)).group_by(EVENTS.c.status)
    async with database.read() as session:
        counts: dict[str, int] = dict((await (await session.connection()).execute(query)).all())
    return {status: counts.get(status, 0) for status in ("pending", "failed", "dead")}
