"""Counters as they are stored and as they stand now: on tables in memory."""

from dataclasses import replace

import pytest

from gateway.billing.catalog.product_features import UseKind
from gateway.billing.counting.counters import Counter, as_stored, settled, stored
from gateway.billing.counting.windows import Window
from gateway.models.metering import UsageCounter, UsageHold, UsageRecord
from gateway.models.mirrored import Invoice
from harness.rows import at, invoice, item, line, put, subscription
from harness.till import DAY, PERIOD, TODAY, place

NAME, WINDOW = "counter:tokens", Window(*PERIOD)


def counter(customer_id: str = "cus_1", name: str = NAME) -> UsageCounter:
    period = {"period_start": PERIOD[0], "period_end": PERIOD[1]}
    its = {"subscription_id": "sub_1", "used": 40, "alerted": 80, "alerted_of": 50, **period}
    return UsageCounter(customer_id=customer_id, name=name, **its)


def hold(amount: int, expires: float, **columns) -> UsageHold:
    its = {"customer_id": "cus_1", "external_id": "ada", "feature": "tokens", "name": NAME, "status": "open"}
    ends = {"expires_at": at(expires), "created": TODAY}
    return UsageHold(
        **{**its, "id": f"hold_{amount}", "key": str(amount), "amount": amount, "fingerprint": "", **ends, **columns}
    )


HELD = {
    "nothing": ([], 0, 0),
    "what lives": ([hold(5, 0.001), hold(7, 1)], 12, 0),
    "what ends now, and what has": ([hold(5, 0), hold(7, -1), hold(9, 1)], 9, 2),
    "nothing lives": ([hold(7, -1)], 0, 1),
    "what has ended otherwise": ([hold(5, 1, status="released"), hold(7, -1, status="lapsed")], 0, 0),
    "of another": ([hold(5, 1, customer_id="cus_2"), hold(7, -1, name="counter:notes")], 0, 0),
}


@pytest.mark.parametrize(("holds", "held", "lapsed"), HELD.values(), ids=HELD)
def test_what_is_held_beside_a_counter(connection, holds, held, lapsed):
    put(connection, counter(), *holds)
    (row,) = stored(connection, [("cus_1", NAME)], at(0)).values()
    assert (row.held, row.lapsed) == (held, lapsed)
    assert as_stored(row) == Counter("sub_1", WINDOW, 40, held, 80, 50)


def test_only_the_counters_that_are_asked_for_are_read(connection):
    put(connection, counter(), counter(name="counter:notes"), counter("cus_2"), counter("cus_3", "counter:notes"))
    assert set(stored(connection, [("cus_1", NAME)], TODAY)) == {("cus_1", NAME)}


@pytest.mark.parametrize(("moment", "holds"), [(0, True), (-0.001, False), (29.999, True), (30, False)])
def test_a_counter_counts_from_its_windows_start_up_to_its_end(moment, holds):
    assert Counter("sub_1", WINDOW, 0, 0).holds(PERIOD[0] + moment * DAY) is holds


WAS = Counter("sub_1", WINDOW, 40, 5, 80, 50)
LATER = PERIOD[0] + DAY, PERIOD[1] + DAY
BEGUN_LATER = replace(WAS, window=Window(*LATER))
STANDS = {
    "nothing was counted": (None, PERIOD, (Counter("sub_1", WINDOW, 7, 0), True)),
    "the same period": (WAS, PERIOD, (WAS, False)),
    "one that is longer": (WAS, (PERIOD[0], LATER[1]), (replace(WAS, window=Window(PERIOD[0], LATER[1])), False)),
    "one that began earlier": (BEGUN_LATER, PERIOD, (BEGUN_LATER, False)),
    "the next": (
        replace(WAS, window=Window(PERIOD[0] - 30 * DAY, PERIOD[0])), PERIOD, (Counter("sub_1", WINDOW, 7, 5), True),
    ),
}  # fmt: skip


@pytest.mark.parametrize(("was", "period", "expected"), STANDS.values(), ids=STANDS)
def test_how_a_counter_stands_now(connection, was, period, expected):
    used = {"customer_id": "cus_1", "event_name": NAME, "status": "counted", "fingerprint": "", "created": TODAY}
    records = (UsageRecord(id=str(n), value=7, timestamp=TODAY - n * 4 * DAY, **used) for n in (0, 1))
    put(connection, *records)
    assert settled(connection, place(period=period), was, TODAY) == expected


def billed(amount: int, start: int, item_id: str = "si_0", **columns) -> dict:
    period = {"period_start": int((PERIOD[0] + start * DAY).timestamp()), "period_end": int(PERIOD[1].timestamp())}
    return line(0, 30, amount, id=f"il_{amount}_{item_id}", subscription_item=item_id, **period, **columns)


BOUGHT = invoice("in_1", total=1, subscription_id="sub_2")
FIRST = invoice("in_0", billed(900, 0), days=-4, subscription_id="sub_1")
BACK = {"proration": True, "credited": ["il_900_si_0"]}
TRIAL = {"after_trial": True, "subscription_id": "sub_1"}
ANEW = {
    "another, paid for": ({}, [BOUGHT, FIRST], True),
    "another, for nothing": ({}, [FIRST], False),
    "of which the rest was credited": ({}, [BOUGHT, FIRST, invoice("in_2", billed(-870, 1, **BACK), days=1)], False),
    "with the next one's invoice": (
        {},
        [invoice("in_1", billed(-870, 1, **BACK), subscription_id="sub_2"), FIRST],
        False,
    ),
    "or that of another": ({}, [BOUGHT, FIRST, invoice("in_2", billed(-870, 1, "si_9", proration=True), days=1)], True),
    "or that of the plan before": (
        {},
        [BOUGHT, FIRST, invoice("in_2", billed(-870, 1, **BACK), billed(950, 1), days=1)],
        True,
    ),
    "a trial that was ended": (TRIAL, [FIRST], True),
    "to which nothing was paid": (TRIAL, [invoice("in_0", billed(0, 0), total=0)], False),
    "no trial": ({"subscription_id": "sub_1"}, [FIRST], False),
}


@pytest.mark.parametrize(("counted", "invoices", "is_new"), ANEW.values(), ids=ANEW)
def test_what_begins_anew_before_the_end_of_a_period(connection, counted, invoices, is_new):
    put(connection, subscription(), item("si_0", "month", "pro"))
    put(connection, *(Invoice(**each.model_dump() | {"service_end": PERIOD[1]}) for each in invoices))
    its = place(period=LATER, **{"subscription_id": "sub_2", **counted})
    assert settled(connection, its, WAS, TODAY)[1] is is_new


@pytest.mark.parametrize(
    ("kind", "name", "expected"),
    [
        (UseKind.METER, "calls", ("calls", {"calls"}, None)),
        (UseKind.METER, "credits:ai", ("credits:ai", {"credits:ai"}, None)),  # a meter may be called so
        (UseKind.CREDITS, "ai", ("credits:ai", set(), "cus_1 ai")),
        (UseKind.CREDITS, "", ("credits:", set(), "cus_1")),
        (UseKind.COUNTER, "", (NAME, set(), None)),
    ],
)
def test_by_what_a_feature_is_counted_and_paid(kind, name, expected):
    its = place(kind=kind, name=name)
    assert (its.name, its.meters, its.account_id) == expected
