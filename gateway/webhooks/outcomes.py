"""What became of an event: saved in the inbox, counted and logged."""

import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import sqlalchemy as sa
import structlog

from gateway.db.lease_queue import Backoff
from gateway.db.tables import table_for
from gateway.models.inbox import Event
from gateway.observability import metrics, tracing
from gateway.observability.logging import info_lines, written_at_once
from gateway.webhooks.event import StripeEvent

log = structlog.get_logger()

EVENTS = table_for(Event)
_SAVED = sa.update(EVENTS).where(EVENTS.c.id.in_(sa.bindparam("ids", expanding=True)))
RETRIES = Backoff(first_seconds=5, longest_seconds=4 * 3600, attempts=17)  # the last is about a day after the first
TIE_WAIT_SECONDS = 0.5
"""How long a tie waits for the other events of its second, before Stripe is asked."""
TIE_WAIT = timedelta(seconds=TIE_WAIT_SECONDS)


class Outcome(NamedTuple):
    """What became of an event.

    Args:
        status: the event's status in the inbox: `applied`, `stale`, `ignored`, or `pending` to be applied once more.
        detail: a word or a sentence for the operator.
        pending_fetches: what must still be fetched, as `kind:id`.
    """

    status: str
    detail: str
    pending_fetches: tuple[str, ...] = ()


def save_outcomes(
    connection: sa.Connection,
    outcomes: Mapping[str, Outcome | Exception],
    attempts: Mapping[str, int],
    held: sa.ColumnElement[bool] | None = None,
) -> None:
    """Save what became of some events.

    An event with pending fetches is due at once, one that waits for others a moment later. One that failed is kept with
    its error and due after a growing pause; after the last attempt it is a dead letter, which waits for an operator.

    Args:
        connection: the transaction that applied them.
        outcomes: what became of each.
        attempts: how often each has failed before.
        held: the condition under which a worker still has its lease on them; None: they were recorded just now.
    """
    saved = _SAVED if held is None else _SAVED.where(held)
    alike: defaultdict[Outcome, list[str]] = defaultdict(list)
    for event_id, outcome in outcomes.items():
        if isinstance(outcome, Exception):
            values = failure_columns(outcome, attempts[event_id])
            connection.execute(saved, {"ids": [event_id], **values})
        else:
            alike[_storable(outcome)].append(event_id)
    now = datetime.now(UTC)
    for (status, detail, fetches), event_ids in alike.items():
        due = now if fetches else now + TIE_WAIT if status == "pending" else None
        values = {
            "ids": event_ids,
            "status": "pending" if fetches else status,
            "outcome": detail,
            "pending_fetches": list(fetches),
            "next_attempt_at": due,
            "processed_at": None if due else now,
            "last_error": None,
        }
        connection.execute(saved, values)


def _storable(outcome: Outcome) -> Outcome:
    """Return an outcome that any database can hold: it quotes its event, and must not cost the record of others."""
    fetches = tuple(each.replace("\0", "") for each in outcome.pending_fetches)
    return outcome._replace(detail=outcome.detail[:2000].replace("\0", ""), pending_fetches=fetches)


def failure_columns(error: Exception, attempts: int) -> dict[str, Any]:
    """Return the columns of an event that failed once more, after `attempts` failures."""
    return {
        "status": "dead" if RETRIES.is_last(attempts) else "failed",
        "attempts": attempts + 1,
        "next_attempt_at": RETRIES.next_attempt(attempts),
        "processed_at": None,
        "last_error": f"{type(error).__name__}: {error}"[:2000].replace("\0", ""),
    }


def report_outcomes(
    handled: Iterable[tuple[StripeEvent, Outcome | Exception, int]],
    seconds: float,
    secrets: Mapping[str, str] | None = None,
) -> None:
    """Count and log what became of some events, once that is committed.

    Args:
        handled: each event, what became of it, and how often it had failed before.
        seconds: how long that took here.
        secrets: by event, the label of the secret that signed its delivery, if that is what brought it now.
    """
    statuses: Counter[str] = Counter()
    done: list[dict[str, Any]] = []
    now, ms, traced = time.time(), round(seconds * 1000, 1), tracing.active()
    with written_at_once():
        for event, outcome, attempts in handled:
            failed = isinstance(outcome, Exception)
            if isinstance(outcome, Exception):
                status = "dead" if RETRIES.is_last(attempts) else "failed"
                detail = type(outcome).__name__  # not its words, which may quote what no log may hold
            else:
                status, detail = "pending" if outcome.pending_fetches else outcome.status, outcome.detail
            statuses[status] += 1
            if status == "applied":
                metrics.EVENT_LAG.observe(max(0.0, now - event.created))
            line = {
                "id": event.id,
                "type": event.type,
                "object": event.object_id,
                "status": status,
                "outcome": detail,
                "ms": ms,
            }
            if secrets and (label := secrets.get(event.id)):
                line["secret"] = label
            if failed:
                log.warning("event_failed", **line)
            else:
                done.append(line)
            if traced:
                error = detail if failed else None
                tracing.past("event", seconds, id=event.id, type=event.type, status=status, tries=attempts, error=error)
        info_lines("event_handled", done)
    for status, count in statuses.items():
        metrics.EVENTS.labels(status).inc(count)
