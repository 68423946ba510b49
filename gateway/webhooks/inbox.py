"""The inbox: every event is recorded once before it is acknowledged, and applied in the same transaction.

Deliveries that arrive together share one transaction: recorded, applied, their outcomes saved, committed, and only then
acknowledged. What fails, or needs a fetch from Stripe, stays in the table, which is the queue of `webhooks/worker.py`:
no transaction ever waits for the network.
"""

import asyncio
import time
from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime
from functools import lru_cache, partial
from typing import Any, Self

import sqlalchemy as sa
import structlog

from gateway.db.errors import unavailability_reason
from gateway.db.lease_queue import count_by_status
from gateway.db.statements import insert_rows, write_rows
from gateway.db.tables import insert, table_for
from gateway.errors import DatabaseUnavailable
from gateway.mirror.mapping import Json
from gateway.mirror.sync import Mirror
from gateway.models.columns import utc
from gateway.models.inbox import OPEN_EVENTS_PREDICATE, Event
from gateway.models.infra import WebhookSecretUse
from gateway.runtime import Runtime
from gateway.webhooks.event import Delivery, StripeEvent
from gateway.webhooks.handlers import HANDLERS, TIED, apply, run_after, subject_key
from gateway.webhooks.outcomes import EVENTS, TIE_WAIT_SECONDS, Outcome, report_outcomes, save_outcomes

log = structlog.get_logger()

SECRET_USE_SECONDS = 60.0
SECRET_USES = table_for(WebhookSecretUse)
RECORDED = [column.name for column in EVENTS.c if column.name not in {"next_attempt_at", "last_error"}]
_ID = (EVENTS.c.id,)
DEFAULT_OUTCOME = Outcome("applied", "updated")
"""What becomes of most events: they are recorded with it, and only a different outcome is written again."""
WAITING = Outcome("pending", "same second as the known state, waits for the other events of that second")
"""What becomes of a tie at first: the events that are on their way may prove an order, which spares a call."""
OTHER_ACCOUNT = Outcome("ignored", "of a connected account that GATEWAY_CONNECT_ACCOUNTS does not name")
OTHER_MODE = {
    livemode: Outcome("ignored", f"of {'live' if livemode else 'test'} mode, which STRIPE_SECRET_KEY is not of")
    for livemode in (True, False)
}


class Inbox:
    """Records events, applies them and remembers what became of each.

    Args:
        mirror: what they change; they are kept in the same database.
        accounts: the connected accounts whose events are applied, apart from our own.
        own_account: the id of our own account, by which an organisation's endpoint names it.
        livemode: whether events of live mode are applied, or those of test mode; None where that is not known.
    """

    def __init__(
        self,
        mirror: Mirror,
        accounts: Collection[str] = (),
        *,
        own_account: str | None = None,
        livemode: bool | None = None,
    ) -> None:
        self.mirror = mirror
        self.database = mirror.database
        self.due = asyncio.Event()
        """Set when there may be work for the worker."""
        self._accounts = frozenset(accounts)
        self._own_account = own_account
        self._livemode = livemode
        self._secrets_seen: dict[str, float] = {}

    @classmethod
    def of(cls, runtime: Runtime) -> Self:
        """Return the inbox of a runtime, with what its settings say of accounts and mode."""
        settings = runtime.settings
        livemode = None if runtime.stripe is None else runtime.stripe.livemode
        return cls(runtime.mirror, settings.connect_accounts, own_account=settings.stripe_account, livemode=livemode)

    async def record(self, deliveries: Sequence[Delivery], *, source: str) -> set[str]:
        """Record and apply a batch of events in one transaction, and return the ids of those that were new.

        Args:
            deliveries: genuine events, possibly with duplicates among them.
            source: how they came: `webhook`, or `list` when they were read from Stripe's list.

        Raises:
            DatabaseUnavailable: nothing was recorded.
        """
        started = time.monotonic()
        # one order for all processes, so that two of them with the same events wait in turn and do not block
        secrets = {delivery.event.id: delivery.secret_label for delivery in deliveries}
        events = {event.id: self._own(event) for event in sorted((each.event for each in deliveries), key=_id)}

        def work(connection: sa.Connection, *, one_by_one: bool = False) -> dict[str, Outcome | Exception]:
            expected = {key: self._optimistic_outcome(event) for key, event in events.items()}
            common = {"source": source, "pending_fetches": [], "attempts": 0, "received_at": datetime.now(UTC)}
            rows = [_row(event, expected[key], common) for key, event in events.items()]
            dialect = connection.dialect.name
            new = {key for (key,) in write_rows(connection, _record_statement(dialect), rows, _ID)}
            fresh = [event for key, event in events.items() if key in new]
            outcomes = self._apply(connection, fresh, one_by_one=one_by_one)
            outcomes = {key: _waiting(outcome) for key, outcome in outcomes.items()}
            marks = {key: outcome for key, outcome in outcomes.items() if outcome != expected[key]}
            save_outcomes(connection, marks, dict.fromkeys(marks, 0))
            self._remember_secrets(connection, deliveries)
            return outcomes

        try:
            outcomes = await self.database.transaction(work)
        except DatabaseUnavailable:
            raise
        except Exception as error:  # noqa: BLE001 - one of them is bad; each by itself, it takes no neighbour along
            log.warning("events_one_by_one", count=len(events), error=type(error).__name__)
            outcomes = await self.database.transaction(partial(work, one_by_one=True))
        if any(isinstance(outcome, Exception) or outcome.pending_fetches for outcome in outcomes.values()):
            self.due.set()
        elif WAITING in outcomes.values():
            asyncio.get_running_loop().call_later(TIE_WAIT_SECONDS, self.due.set)
        handled = [(events[key], outcome, 0) for key, outcome in outcomes.items()]
        report_outcomes(handled, time.monotonic() - started, secrets)
        return set(outcomes)

    async def apply_again(self, event: StripeEvent, attempts: int, held: sa.ColumnElement[bool]) -> None:
        """Apply a recorded event once more, from its payload, and save its outcome.

        Args:
            event: the event.
            attempts: how often it has failed so far.
            held: the condition under which the worker still has its lease on the event.
        """
        started, event = time.monotonic(), self._own(event)

        def work(connection: sa.Connection) -> Outcome | Exception:
            outcome = self._apply(connection, [event], one_by_one=True)[event.id]
            save_outcomes(connection, {event.id: outcome}, {event.id: attempts}, held)
            return outcome

        outcome = await self.database.transaction(work)
        if isinstance(outcome, Outcome) and outcome.pending_fetches:
            self.due.set()
        report_outcomes([(event, outcome, attempts)], time.monotonic() - started)

    async def complete(
        self, rows: Sequence[Event], fetched: Mapping[str, Json], started: float, held: sa.ColumnElement[bool]
    ) -> None:
        """Complete events whose objects were fetched, and run what follows from them once more.

        Only now can a thin event have consequences, and what was fetched may show what else is missing, such as the
        product of a price.

        Args:
            rows: the events.
            fetched: what was fetched, by `kind:id`.
            started: when that began, on the monotonic clock.
            held: the condition under which the worker still has its lease on the events.
        """
        events = {row.id: self._own(StripeEvent.parse(row.payload)) for row in rows}

        def work(connection: sa.Connection) -> dict[str, Outcome | Exception]:
            outcomes: dict[str, Outcome | Exception] = {}
            for row in rows:
                outcome, event = Outcome("applied", row.outcome or "fetched"), events[row.id]
                whole = fetched.get(subject_key(event))
                if whole is not None:
                    event = event._replace(object=whole, previous_attributes=None)
                if whole is not None or not event.thin:
                    outcome = run_after(connection, event, outcome)
                if {*outcome.pending_fetches} <= {
                    *row.pending_fetches
                }:  # fetching them once more would bring nothing new
                    outcome = outcome._replace(pending_fetches=())
                outcomes[row.id] = outcome
            save_outcomes(connection, outcomes, {}, held)
            return outcomes

        outcomes = await self.database.transaction(work)
        report_outcomes([(events[row.id], outcomes[row.id], row.attempts) for row in rows], time.monotonic() - started)

    async def fail(self, rows: Sequence[Event], error: Exception, started: float, held: sa.ColumnElement[bool]) -> None:
        """Save that events failed, where the lease still holds: they are retried later, or are dead letters."""
        errors, attempts = {row.id: error for row in rows}, {row.id: row.attempts for row in rows}
        await self.database.transaction(lambda connection: save_outcomes(connection, errors, attempts, held))
        report_outcomes(
            [(StripeEvent.parse(row.payload), error, row.attempts) for row in rows], time.monotonic() - started
        )

    async def reopen(self, event_ids: Sequence[str]) -> int:
        """Put recorded events back into the queue, due now, with a fresh count of attempts; how many were found."""
        fresh = {"status": "pending", "pending_fetches": [], "attempts": 0, "last_error": None}
        update = sa.update(EVENTS).where(EVENTS.c.id.in_(event_ids)).values(**fresh, next_attempt_at=datetime.now(UTC))
        count = await self.database.transaction(lambda connection: connection.execute(update).rowcount)
        self.due.set()
        return count

    def _apply(
        self, connection: sa.Connection, events: Sequence[StripeEvent], *, one_by_one: bool
    ) -> dict[str, Outcome | Exception]:
        """Apply new events: together, which raises when one is bad; or each within a savepoint."""
        outcomes: dict[str, Outcome | Exception] = {}
        ours = []
        for event in events:
            if refused := self._refused(event):
                outcomes[event.id] = refused
            else:
                ours.append(event)
        if not one_by_one:
            done = apply(self.mirror, connection, ours)
            return outcomes | {event.id: outcome for event, outcome in zip(ours, done, strict=True)}
        for event in ours:
            try:
                with connection.begin_nested():
                    (outcomes[event.id],) = apply(self.mirror, connection, [event])
            except Exception as error:
                if unavailability_reason(error):  # the database is at fault, not the event: Stripe tries again
                    raise
                outcomes[event.id] = error
        return outcomes

    def _remember_secrets(self, connection: sa.Connection, deliveries: Sequence[Delivery]) -> None:
        """Keep when each signing secret was last used, once a minute at most."""
        now = time.monotonic()
        for label in sorted({delivery.secret_label for delivery in deliveries if delivery.secret_label}):
            if now - self._secrets_seen.get(label, -SECRET_USE_SECONDS) >= SECRET_USE_SECONDS:
                self._secrets_seen[label] = now
                use = {"label": label, "last_used_at": datetime.now(UTC)}
                statement = insert(connection, SECRET_USES).values(use)
                connection.execute(statement.on_conflict_do_update(index_elements=["label"], set_=use))

    def _own(self, event: StripeEvent) -> StripeEvent:
        """Return the event with no account where it is from our own."""
        return event._replace(account=None) if event.account and event.account == self._own_account else event

    def _refused(self, event: StripeEvent) -> Outcome | None:
        """Return the outcome of an event of another account or of the other mode.

        Test events of connected accounts reach live endpoints too: https://docs.stripe.com/connect/webhooks.
        """
        if event.account and event.account not in self._accounts:
            return OTHER_ACCOUNT
        if self._livemode is not None and event.livemode is not self._livemode:
            return OTHER_MODE[event.livemode]
        return None

    def _optimistic_outcome(self, event: StripeEvent) -> Outcome:
        """Return what will surely or mostly become of an event, so that its row need not be written twice."""
        if refused := self._refused(event):
            return refused
        return DEFAULT_OUTCOME if event.type in HANDLERS else Outcome("ignored", "")


def _id(event: StripeEvent) -> str:
    return event.id


def _waiting(outcome: Outcome | Exception) -> Outcome | Exception:
    """Return the outcome of an event that has just been recorded: a tie waits for a moment."""
    return WAITING if isinstance(outcome, Outcome) and outcome.detail == TIED else outcome


def _row(event: StripeEvent, outcome: Outcome, common: Json) -> Json:
    """Return the row of an event, with what is expected to become of it in this transaction.

    Args:
        event: the event.
        outcome: what is expected.
        common: the columns that are the same for the whole group.
    """
    return {
        **common,
        "id": event.id,
        "type": event.type,
        "api_version": event.api_version,
        "account": event.account,
        "livemode": event.livemode,
        "created": utc(event.created),
        "object_id": event.object_id,
        "payload": event.payload,
        "status": outcome.status,
        "outcome": outcome.detail,
        "processed_at": common["received_at"],
    }


@lru_cache
def _record_statement(dialect: str) -> Any:
    """Return the INSERT of what is new."""
    return insert_rows(dialect, EVENTS, RECORDED).on_conflict_do_nothing()


def count_open_events(connection: sa.Connection) -> dict[str, int]:
    """Count the events that are not finished, by status."""
    return count_by_status(connection, EVENTS.c.status, sa.text(OPEN_EVENTS_PREDICATE), ("pending", "failed", "dead"))
