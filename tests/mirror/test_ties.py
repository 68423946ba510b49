"""Which of two states within one second is the later one: pure rules, and any order of arrival."""

import itertools
import os

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.mirror.ties import EventStates, Order, before, comparable, decide

LATER, EARLIER, OPEN = Order.LATER, Order.EARLIER, Order.OPEN


def name(text):
    return {"name": text}


TABLE = {
    "it follows what is known": (EventStates(name("b"), name("a")), "a", [], LATER),
    "it precedes an event that has arrived": (
        EventStates(name("b"), name("a")),
        "c",
        [EventStates(name("c"), name("b"))],
        EARLIER,
    ),
    "there and back: it may be either": (
        EventStates(name("b"), name("a")),
        "a",
        [EventStates(name("a"), name("b"))],
        OPEN,
    ),
    "something between them is missing": (EventStates(name("c"), name("b")), "a", [], OPEN),
    "it does not say what was before": (EventStates(name("b")), "a", [], OPEN),
    "the creation comes before all": (EventStates(name("a"), created=True), "b", [], EARLIER),
    "all comes after the creation": (
        EventStates(name("c"), name("b")),
        "a",
        [EventStates(name("a"), created=True)],
        LATER,
    ),
    "what changes nothing that is kept is left out": (
        EventStates(name("b"), name("a")),
        "a",
        [EventStates(name("b"), name("b"))],
        LATER,
    ),
}


@pytest.mark.parametrize(("told", "known", "others", "order"), list(TABLE.values()), ids=list(TABLE))
def test_previous_attributes_and_the_creation_prove_an_order(told, known, others, order):
    assert decide("customer", told, name(known), others) is order


def test_an_event_that_seems_to_follow_an_answer_may_be_older_and_proves_nothing():
    """A subscription is canceled and resumed within a second: the event of the first may come after the answer."""
    canceled = EventStates(name("b"), name("a"))
    assert decide("customer", canceled, name("a"), answered=True) is OPEN


def test_of_a_state_that_comes_back_nobody_knows_where_between_two_events_an_answer_was():
    """Canceled and resumed, and the answer is the end; or resumed and canceled, and it is from between the two."""
    canceled, resumed = EventStates(name("b"), name("a")), EventStates(name("a"), name("b"))
    assert decide("customer", canceled, name("a"), [resumed], answered=True) is OPEN


INVOICE = {"status": "open", "attempt_count": 0, "finalized_at": 1, "paid_at": None}
SUBSCRIPTION = {"status": "active", "_items": {"si_1": {"id": "si_1", "current_period_start": 5}}}
ONE_WAY = {
    "a draft is finalized": ("invoice", {**INVOICE, "status": "draft", "finalized_at": None}, INVOICE),
    "an open invoice is paid": ("invoice", INVOICE, {**INVOICE, "status": "paid", "paid_at": 2}),
    "a charge is tried again": ("invoice", INVOICE, {**INVOICE, "attempt_count": 1}),
    "an invoice is written off, then paid": (
        "invoice",
        {**INVOICE, "status": "uncollectible"},
        {**INVOICE, "status": "paid", "paid_at": 2},
    ),
    "a subscription begins": ("subscription", {**SUBSCRIPTION, "status": "incomplete"}, SUBSCRIPTION),
    "a period begins": (
        "subscription",
        SUBSCRIPTION,
        {**SUBSCRIPTION, "_items": {"si_1": {"id": "si_1", "current_period_start": 9}}},
    ),
    "a bank debit arrives": (
        "charge",
        {"status": "pending", "amount_captured": 5},
        {"status": "succeeded", "amount_captured": 5},
    ),
    "a checkout ends": (
        "checkout.session",
        {"status": "open", "payment_status": "unpaid"},
        {"status": "complete", "payment_status": "unpaid"},
    ),
    "an invoice payment is made": ("invoice_payment", {"status": "open"}, {"status": "paid"}),
    "a dispute is closed": ("dispute", {"status": "under_review"}, {"status": "lost"}),
}


@pytest.mark.parametrize(("kind", "old", "new"), list(ONE_WAY.values()), ids=list(ONE_WAY))
def test_facts_that_only_go_one_way_prove_an_order(kind, old, new):
    assert decide(kind, EventStates(new), old) is LATER
    assert decide(kind, EventStates(old), new) is EARLIER


def test_facts_that_contradict_each_other_prove_nothing():
    assert decide("invoice", EventStates({**INVOICE, "status": "draft", "attempt_count": 1}), INVOICE) is OPEN


@pytest.mark.parametrize("status", ["active", "trialing", "past_due", "unpaid", "paused"])
def test_a_subscription_may_come_back_to_any_status_but_incomplete(status):
    assert (
        decide("subscription", EventStates({**SUBSCRIPTION, "status": status}), {**SUBSCRIPTION, "status": "canceled"})
        is OPEN
    )


def test_an_item_that_only_one_state_has_proves_nothing():
    more = {"si_1": {"id": "si_1", "current_period_start": 5}, "si_2": {"id": "si_2", "current_period_start": 9}}
    assert decide("subscription", EventStates({**SUBSCRIPTION, "_items": more}), SUBSCRIPTION) is OPEN


@pytest.mark.parametrize(
    ("columns", "expected"),
    [
        ({"a": 1}, {"a": 1}),
        ({"a": 1, "_items": []}, {"a": 1, "_items": {}}),
        ({"_items": [{"id": "b", "n": 2}, {"id": "a"}]}, {"_items": {"b": {"id": "b", "n": 2}, "a": {"id": "a"}}}),
    ],
)
def test_items_are_compared_by_id(columns, expected):
    assert comparable(columns) == expected


PATCHES = {
    "a value": ({"name": "b", "email": "x"}, {"name": "a"}, {"name": "a", "email": "x"}),
    "a value within": ({"a": {"b": 1, "c": 2}}, {"a": {"b": 0}}, {"a": {"b": 0, "c": 2}}),
    "a list as a whole": ({"a": {"data": [1, 2]}}, {"a": {"data": [1]}}, {"a": {"data": [1]}}),
    "metadata that were not there": (
        {"metadata": {"a": "1", "b": "2"}},
        {"metadata": {"b": None}},
        {"metadata": {"a": "1"}},
    ),
    "what was null": ({"a": {"b": 1}}, {"a": None}, {"a": None}),
}


@pytest.mark.parametrize(("now", "previous", "then"), list(PATCHES.values()), ids=list(PATCHES))
def test_an_object_as_it_was_before_an_event(now, previous, then):
    assert before(now, previous) == then


@st.composite
def seconds(draw):
    """A walk of an object's state within one second, the events in the order of their arrival, and who says what."""
    states = draw(st.lists(st.sampled_from("abcd"), min_size=2, max_size=6))
    events = [EventStates(name(states[0]), created=True)] if draw(st.booleans()) else []
    events += [EventStates(name(new), name(old)) for old, new in itertools.pairwise(states)]
    return states, draw(st.permutations(events))


@settings(max_examples=500 * int(os.environ.get("TIMES", "1")), deadline=None)
@given(seconds(), st.booleans())
def test_whatever_the_order_of_arrival_the_last_state_of_a_second_is_known_in_the_end(walk, known_before):
    states, arrivals = walk
    creation = any(change.created for change in arrivals)
    row = None if creation or not known_before else name(states[0])
    tied = row is None  # what was known before is of an earlier second
    reads = 0
    for place, change in enumerate(arrivals):
        if row is None or (not tied and known_before):
            row, tied, known_before = change.after, True, False
            continue
        if row == change.after:
            continue
        order = decide("customer", change, row, arrivals[:place])
        if order is OPEN:
            row, reads = name(states[-1]), reads + 1
        elif order is LATER:
            row = change.after
    if len(set(states)) == len(states) and len(arrivals) == 2:
        assert reads == 0
    assert row == name(states[-1])
