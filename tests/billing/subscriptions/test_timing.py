"""When a change happens, and the phases that make it then: a table without HTTP and without a database."""

from datetime import UTC, datetime

import pytest

from gateway.billing.subscriptions.change_request import ChangeTime
from gateway.billing.subscriptions.timing import cannot_wait, ends_apart, mixes_later, phases, planned, waits
from harness.rows import NOW, at, item, price, product, snapshot, state

CATALOG = snapshot(
    product("starter"),
    product("pro"),
    price("starter_m", "starter"),
    price("pro_m", "pro", 2900),
    price("calls", "pro", None, usage_type="metered"),
)
PRO = item("si_1", "pro_m", "pro")
NOW_, LATER, AUTOMATIC = ChangeTime.NOW, ChangeTime.AT_PERIOD_END, ChangeTime.AUTOMATIC
DOWN, UP, METERED = ({"id": "si_1", "price": price, "quantity": 1} for price in ("starter_m", "pro_m", "calls"))


@pytest.mark.parametrize(
    ("when", "have", "target", "status", "expected"),
    [
        (NOW_, "pro_m", DOWN, "active", False),
        (LATER, "starter_m", UP, "active", True),
        (AUTOMATIC, "pro_m", DOWN, "active", True),
        (AUTOMATIC, "starter_m", UP, "active", False),
        (AUTOMATIC, "pro_m", UP, "active", False),  # as much
        (AUTOMATIC, "pro_m", DOWN, "trialing", False),  # nothing is paid for
        (AUTOMATIC, "pro_m", {**DOWN, "quantity": 5}, "active", False),  # more of what costs less
        (AUTOMATIC, "pro_m", METERED, "active", True),  # nobody knows what it costs
        (AUTOMATIC, "calls", UP, "active", True),
        (AUTOMATIC, "not_in_the_catalogue", UP, "active", True),
        (LATER, "pro_m", DOWN, "trialing", True),
    ],
)
def test_when_a_change_happens(when, have, target, status, expected):
    assert waits(when, state(item("si_1", have, "pro"), status=status), [target], CATALOG) is expected


@pytest.mark.parametrize(
    ("columns", "code"),
    [
        ({}, None),
        ({"status": "trialing"}, None),
        ({"status": "paused"}, "SUBSCRIPTION_PAUSED"),
        ({"cancel_at_period_end": True}, "SUBSCRIPTION_ENDING"),
        ({"cancel_at": NOW}, "SUBSCRIPTION_ENDING"),
    ],
)
def test_what_cannot_wait(columns, code):
    for named, field in (({}, "when"), ({"field": "priceId"}, "priceId")):
        problem = cannot_wait(state(PRO, **columns), **named)
        assert (problem and (problem.code.name, problem.field)) == (code and (code, field))


def test_what_is_planned_of_several_items():
    found = planned(state(PRO, item("si_2", "calls", "pro", None)), [DOWN])
    assert (found.items, found.at) == ((("starter_m", 1), ("calls", None)), PRO.current_period_end)


def test_both_phases_say_all_that_the_subscription_says():
    tax = {"id": "txr_1"}
    plan = {"id": "si_1", "price": {"id": "pro_m"}, "quantity": 2, "metadata": {"a": "b"}, "tax_rates": [tax]}
    plan["discounts"] = [{"id": "di_2"}]
    subscription = {
        "items": {"data": [plan, {"id": "si_2", "price": {"id": "calls"}, "metadata": {}, "tax_rates": []}]},
        "schedule": {"current_phase": None, "phases": [{"start_date": 500}, {"start_date": 900}]},
        "status": "trialing",
        "trial_end": 1_000,
        "discounts": ["di_1"],
        "default_tax_rates": [tax],
        "default_payment_method": "pm_1",
        "description": "For you",
        "metadata": {"c": "d"},
        "collection_method": "send_invoice",
        "days_until_due": 10,
    }
    shared = {
        "proration_behavior": "none",
        "discounts": [{"discount": "di_1"}],
        "default_tax_rates": ["txr_1"],
        "default_payment_method": "pm_1",
        "description": "For you",
        "metadata": {"c": "d"},
        "collection_method": "send_invoice",
        "invoice_settings": {"days_until_due": 10},
    }
    kept = {"quantity": 2, "discounts": [{"discount": "di_2"}], "metadata": {"a": "b"}, "tax_rates": ["txr_1"]}
    calls = {"price": "calls"}
    moment = datetime.fromtimestamp(1_000, UTC)
    first, then = phases(subscription, [DOWN], moment, {"starter_m": price("starter_m", "starter", interval_count=3)})
    assert first == {
        **shared,
        "items": [{"price": "pro_m", **kept}, calls],
        "start_date": 500,
        "end_date": 1_000,
        "trial_end": 1_000,
    }
    duration = {"interval": "month", "interval_count": 3}
    assert then == {**shared, "items": [{**kept, "price": "starter_m", "quantity": 1}, calls], "duration": duration}
    _, metered = phases(subscription, [{"id": "si_1", "price": "calls"}], moment, CATALOG.prices)
    assert "quantity" not in metered["items"][0]
    _, several = phases(
        subscription, [{"id": "si_1", "deleted": True}, {"price": "pro_m", "quantity": 4}], moment, CATALOG.prices
    )
    assert several["items"] == [calls, {"price": "pro_m", "quantity": 4}]


SEATS = item("si_2", "starter_m", "starter", 3)
SEAT_MORE, SEATS_GONE = {"id": "si_2", "price": "starter_m", "quantity": 4}, {"id": "si_2", "deleted": True}


@pytest.mark.parametrize(
    ("targets", "later"),
    [
        ([{"price": "pro_m", "quantity": 1}], False),  # something comes
        ([{"price": "calls"}], False),
        ([SEATS_GONE], True),
        ([UP, SEAT_MORE], False),
        ([DOWN, SEAT_MORE], True),  # 2,900 down and 900 up
        ([{**UP, "quantity": 2}, SEATS_GONE], False),  # 2,900 up and 2,700 down
        ([UP, SEATS_GONE], True),
        ([METERED, SEAT_MORE], True),
    ],
)
def test_when_several_changes_happen(targets, later):
    assert waits(AUTOMATIC, state(PRO, SEATS), targets, CATALOG) is later
    assert waits(NOW_, state(PRO, SEATS), targets, CATALOG) is False


def test_another_interval_comes_beside_the_others_at_once_only():
    catalog = snapshot(
        product("starter"),
        price("month", "starter"),
        price("year", "starter", interval="year"),
        price("more", "starter"),
    )
    month = state(item("si_1", "month", "starter"))
    both = state(item("si_1", "month", "starter"), item("si_2", "more", "starter"))
    yearly = {"id": "si_1", "price": "year", "quantity": 1}
    assert mixes_later(month, [{"price": "year", "quantity": 1}], catalog).code.name == "INTERVALS_MIXED"
    assert mixes_later(both, [yearly], catalog).code.name == "INTERVALS_MIXED"
    assert mixes_later(month, [yearly], catalog) is None
    assert mixes_later(month, [{"price": "more", "quantity": 1}], catalog) is None
    assert mixes_later(both, [yearly, {"id": "si_2", "deleted": True}], catalog) is None


def test_what_is_billed_by_use_goes_with_its_period():
    calls = item("si_2", "calls", "pro", None)
    assert waits(AUTOMATIC, state(PRO, calls), [{"id": "si_2", "deleted": True}], CATALOG) is True


def test_several_changes_wait_for_one_moment():
    yearly = item("si_2", "starter_m", "starter", 3)
    yearly.current_period_end = at(300)
    both = state(PRO, yearly)
    assert ends_apart(both, [DOWN, SEATS_GONE]).code.name == "INTERVALS_MIXED"
    assert ends_apart(both, [SEATS_GONE]) is None
    assert planned(both, [SEATS_GONE]).at == at(300)
    assert planned(both, [{"price": "calls"}]).at == PRO.current_period_end
    assert planned(both, [{"price": "calls"}]).items == (("pro_m", 1), ("starter_m", 3), ("calls", None))
