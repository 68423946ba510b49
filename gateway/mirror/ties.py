"""Which of two states of an object within one second is the later one, by what the events themselves prove.

Stripe's times have whole seconds, and most events of a sign-up or a renewal share one. Three things prove an order:

- facts that only go one way, such as an invoice's status or the number of its attempts;
- `previous_attributes`: an event follows the state that it says was before, and precedes an event that says its state
  was before (https://docs.stripe.com/api/events/object, "previous_attributes");
- the event of an object's creation, before which there was nothing.

All of it is pure. Whatever stays open is read from Stripe. A state may come back within a second; then two proofs
contradict each other, the last of these events to arrive sees it, and Stripe decides.
"""

from collections.abc import Callable, Iterable, Mapping
from enum import StrEnum
from typing import Any, NamedTuple

from gateway.mirror.mapping import Json


class Order(StrEnum):
    """How an event's state lies to the state that is known."""

    LATER = "later"
    EARLIER = "earlier"
    OPEN = "open"


class EventStates(NamedTuple):
    """What an event tells of an object, as columns of its row.

    Args:
        after: the state, as `comparable` columns; None where it cannot be read.
        before: the state that the event changed; None where it does not say.
        created: whether the event is the object's creation.
    """

    after: Json | None
    before: Json | None = None
    created: bool = False


def decide(
    kind: str,
    event: EventStates,
    known: Mapping[str, Any],
    others: Iterable[EventStates] = (),
    *,
    answered: bool = False,
) -> Order:
    """Return whether an event's state is later than the known one of the same second.

    Args:
        kind: Stripe's `object`.
        event: what the event says; not the same as what is known.
        known: the row.
        others: what the other events of the object within that second say, as far as they have arrived.
        answered: whether the known state came with an answer of Stripe about a known object. It may then be later than
            events that seem to follow it, of which the last one has not arrived: what we have just changed would come
            undone for a moment.
    """
    after = event.after
    if after is None:
        return Order.OPEN
    by_facts = _compare(facts(kind, known), facts(kind, after))
    if by_facts is not Order.OPEN:
        return by_facts
    if event.created:
        return Order.EARLIER
    others = tuple(others)
    follows = (event.before is not None and shows(known, event.before)) or any(
        other.created and shows(known, other.after) for other in others if other.after
    )
    precedes = any(
        shows(after, other.before) and not shows(after, other.after)
        for other in others
        if other.before is not None and other.after is not None
    )
    if follows == precedes or (follows and answered):
        return Order.OPEN
    return Order.LATER if follows else Order.EARLIER


def shows(state: Mapping[str, Any], columns: Json) -> bool:
    """Return whether a state has these columns."""
    return all(name in state and state[name] == value for name, value in columns.items())


def comparable(columns: Mapping[str, Any]) -> dict[str, Any]:
    """Return columns with a subscription's items by id, because their order means nothing here."""
    items = {item["id"]: item for item in columns["_items"]} if "_items" in columns else None
    return {**columns, **({} if items is None else {"_items": items})}


def before(obj: Json, previous_attributes: Json) -> Json:
    """Return the object as it was before an event: hashes are merged, lists are there as a whole.

    A key of `metadata` that is new was null before.
    """
    found = {**obj}
    for name, value in previous_attributes.items():
        now = found.get(name)
        found[name] = before(now, value) if isinstance(value, dict) and isinstance(now, dict) else value
    if isinstance(found.get("metadata"), dict):
        found["metadata"] = {name: value for name, value in found["metadata"].items() if value is not None}
    return found


def facts(kind: str, columns: Mapping[str, Any]) -> dict[str, Any]:
    """Return what of an object's state never goes back, by name."""
    read = _FACTS.get(kind)
    return read(columns) if read else {}


def _compare(old: dict[str, Any], new: dict[str, Any]) -> Order:
    pairs = [(old[name], new[name]) for name in old.keys() & new.keys() if None not in {old[name], new[name]}]
    forward, back = any(a < b for a, b in pairs), any(a > b for a, b in pairs)
    if forward == back:
        return Order.OPEN
    return Order.LATER if forward else Order.EARLIER


_INVOICE_RANKS = {"draft": 0, "open": 1, "uncollectible": 2, "paid": 3, "void": 3}


def _invoice(columns: Mapping[str, Any]) -> dict[str, Any]:
    """Return the facts of an invoice, whose status only goes on.

    Source: https://docs.stripe.com/invoicing/overview#workflow-overview.
    """
    return {
        "status": _INVOICE_RANKS.get(columns["status"]),
        "attempts": columns["attempt_count"],
        "finalized": columns["finalized_at"] is not None,
        "paid": columns["paid_at"] is not None,
    }


def _subscription(columns: Mapping[str, Any]) -> dict[str, Any]:
    """Return the facts of a subscription: it is incomplete only at first, and its items' periods begin ever later."""
    starts = {item["id"]: item["current_period_start"] for item in columns["_items"].values()}
    return {"begun": columns["status"] != "incomplete", **starts}


_REFUND_RANKS = {"pending": 0, "requires_action": 0, "succeeded": 1, "canceled": 2, "failed": 2}
"""One may fail after it succeeded: https://docs.stripe.com/refunds#failed-refunds."""

_FACTS: dict[str, Callable[[Mapping[str, Any]], dict[str, Any]]] = {
    "invoice": _invoice,
    "subscription": _subscription,
    "charge": lambda columns: {"decided": columns["status"] != "pending", "captured": columns["amount_captured"]},
    "checkout.session": lambda columns: {
        "closed": columns["status"] != "open",
        "paid": columns["payment_status"] != "unpaid",
    },
    "refund": lambda columns: {"status": _REFUND_RANKS.get(columns["status"])},
    "invoice_payment": lambda columns: {"decided": columns["status"] != "open"},
    "dispute": lambda columns: {"closed": columns["status"] in {"won", "lost", "warning_closed"}},
}
