"""When a change happens, and the phases that make it then: a table without HTTP and without a database."""

from datetime import UTC, datetime

import pytest
from stripe.params import SubscriptionScheduleUpdateParamsPhase

from gateway.billing.subscriptions.change_request import ChangeTime
from gateway.billing.subscriptions.timing import (
    cannot_wait,
    ends_apart,
    mixes_later,
    phases,
    planned,
    present_phase,
    waits,
)
from harness.rows import NOW, at, item, price, product, snapshot, state

CATALOG = snapshot(
    product("starter"),
    product("pro"),
    price("starter_m", "starter"),
    price("pro_m", "pro", 2900),
    price("pro_y", "pro", 20_000, interval="year"),
    price("calls", "pro", None, usage_type="metered"),
    price("more", "starter", 300, currency_options={"eur": {"unit_amount": 30}}),
    price("most", "starter", 400, currency_options={"eur": {"unit_amount": 20}}),
    price("seat", "starter", 2000),
    price("gift", "starter", 0),
    price("cent_y", "pro", 20_001, interval="year"),
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


def to(price_id: str, quantity: int | None = 1, *, of: str | None = None) -> dict:
    """An item becomes this, or it is added."""
    target = {"price": price_id} if quantity is None else {"price": price_id, "quantity": quantity}
    return target if of is None else {"id": of, **target}


GONE = [{"id": "si_1", "deleted": True}, {"id": "si_2", "deleted": True}]


@pytest.mark.parametrize(
    ("have", "targets", "waits_for_the_end"),
    [
        (["pro_m", "more"], [GONE[1]], True),
        (["pro_m"], [to("more")], False),
        (["pro_m"], [to("calls", None)], False),  # what is billed by use and comes is more
        (["pro_m", "calls"], [GONE[1]], True),
        (["pro_m", "calls"], [GONE[1], to("seat", 9)], True),  # its usage is billed as it was agreed
        (["pro_m", "more"], [to("starter_m", of="si_1"), to("seat", of="si_2")], True),  # -20.00 and +17.00 a month
        (["pro_m", "more"], [to("starter_m", of="si_1"), to("seat", 2, of="si_2")], False),
        (["pro_m"], [to("starter_m", of="si_1"), to("seat")], False),  # -20.00 and +20.00: as much
        (["pro_m"], [to("starter_m", of="si_1"), to("more", 6)], True),  # -20.00 and +18.00
        (["pro_m", "seat"], [to("pro_m", 2, of="si_1"), GONE[1]], False),  # +29.00 and -20.00
        (["pro_y"], [to("pro_m", of="si_1")], True),  # though twelve months cost more: it is paid for
        (["pro_y"], [to("pro_y", of="si_1")], False),
        (["cent_y"], [to("pro_y", of="si_1"), to("gift")], True),  # a cent a year less, and something for nothing
        (["pro_m", "gone"], [to("more"), GONE[1]], True),  # nobody knows what it costs
    ],
)
def test_when_several_changes_happen_by_themselves(have, targets, waits_for_the_end):
    """Up at once, down as the period ends; the sum decides where some is up and some down."""
    quantity = {"calls": None}
    items = [item(f"si_{n}", price_id, "pro", quantity.get(price_id, 1)) for n, price_id in enumerate(have, 1)]
    assert waits(AUTOMATIC, state(*items), targets, CATALOG) is waits_for_the_end


@pytest.mark.parametrize(("currency", "waits_for_the_end"), [("usd", False), ("eur", True)])
def test_the_subscriptions_currency_says_what_is_more(currency, waits_for_the_end):
    present = state(item("si_1", "more", "starter"), currency=currency)
    assert waits(AUTOMATIC, present, [to("most", of="si_1")], CATALOG) is waits_for_the_end
    several = state(item("si_1", "more", "starter"), item("si_2", "more", "starter", 20), currency=currency)
    targets = [to("more", 2, of="si_1"), to("most", 18, of="si_2")]  # in dollars +3.00 and +12.00
    assert waits(AUTOMATIC, several, targets, CATALOG) is waits_for_the_end
    targets = [to("more", 2, of="si_1"), to("most", 29, of="si_2")]  # in euros +0.30 and -0.20
    assert waits(AUTOMATIC, several, targets, CATALOG) is False


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
    plan |= {"discounts": [{"id": "di_2"}], "billing_thresholds": {"usage_gte": 5}}
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
    connect = {"application_fee_percent": 2.5, "on_behalf_of": "acct_1", "transfer_data": {"destination": "acct_1"}}
    terms = {"automatic_tax": {"enabled": True, "liability": {"type": "self"}}, "billing_thresholds": {"amount_gte": 9}}
    subscription |= connect | terms | {"on_behalf_of": {"id": "acct_1"}}
    subscription["automatic_tax"] = terms["automatic_tax"] | {"disabled_reason": None}
    subscription["invoice_settings"] = {"account_tax_ids": None, "issuer": {"type": "account", "account": "acct_1"}}
    shared = {
        **connect,
        **terms,
        "proration_behavior": "none",
        "discounts": [{"discount": "di_1"}],
        "default_tax_rates": ["txr_1"],
        "default_payment_method": "pm_1",
        "description": "For you",
        "metadata": {"c": "d"},
        "collection_method": "send_invoice",
        "invoice_settings": {"days_until_due": 10, "issuer": {"type": "account", "account": "acct_1"}},
    }
    kept = {"quantity": 2, "discounts": [{"discount": "di_2"}], "metadata": {"a": "b"}, "tax_rates": ["txr_1"]}
    kept |= {"billing_thresholds": {"usage_gte": 5}}
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
    assert set(SubscriptionScheduleUpdateParamsPhase.__annotations__) - set(first) == NOT_CARRIED
    duration = {"interval": "month", "interval_count": 3}
    assert then == {**shared, "items": [{**kept, "price": "starter_m", "quantity": 1}, calls], "duration": duration}
    own = {"interval": "week", "interval_count": 2}  # of a price that the catalogue does not have any more
    kept_on = {**subscription, "items": {"data": [plan | {"price": {"id": "gone", "recurring": own}}]}}
    _, later = phases(kept_on, [{"id": "si_1", "price": "gone", "quantity": 5}], moment, CATALOG.prices)
    assert (later["items"][0]["quantity"], later["duration"]) == (5, own)
    monthly = {"pro_m": price("pro_m", "pro", interval_count=None)}
    _, later = phases(subscription, [{"id": "si_1", "price": "pro_m", "quantity": 1}], moment, monthly)
    assert later["duration"] == {"interval": "month", "interval_count": 1}
    plain = {name: said for name, said in subscription.items() if name != "invoice_settings"}
    assert present_phase(plain, moment)["invoice_settings"] == {"days_until_due": 10}
    assert "trial_end" not in present_phase({**plain, "status": "active"}, moment)  # of a trial that is over
    _, metered = phases(subscription, [{"id": "si_1", "price": "calls"}], moment, CATALOG.prices)
    assert "quantity" not in metered["items"][0]
    _, several = phases(
        subscription, [{"id": "si_1", "deleted": True}, {"price": "pro_m", "quantity": 4}], moment, CATALOG.prices
    )
    assert several["items"] == [calls, {"price": "pro_m", "quantity": 4}]


NOT_CARRIED = {"add_invoice_items", "billing_cycle_anchor", "currency", "duration", "trial"}
"""Parameters of a phase, by Stripe's SDK, that are not the subscription's."""
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


INTERVALS = snapshot(
    product("starter"),
    price("month", "starter"),
    price("more", "starter"),
    price("quarter", "starter", interval_count=3),
    price("year", "starter", interval="year"),
)
YEARLY = to("year", of="si_1")


@pytest.mark.parametrize(
    ("have", "targets", "mixes"),
    [
        (["month"], [to("year")], True),
        (["month"], [to("quarter")], True),
        (["gone"], [to("month")], True),  # nobody knows its interval
        (["month"], [to("more")], False),
        (["month"], [YEARLY], False),
        (["month", "more"], [YEARLY], True),
        (["month", "more"], [YEARLY, GONE[1]], False),
        (["month", "more"], [YEARLY, to("year", of="si_2")], False),
        (["month", "year"], [to("more", 5, of="si_1")], False),  # they are apart already, and stay so
        (["month", "year", "more"], [GONE[0]], False),
        (["month", "year"], [to("more")], True),
        (["month", "year"], [YEARLY], False),
    ],
)
def test_another_interval_comes_beside_the_others_at_once_only(have, targets, mixes):
    present = state(*(item(f"si_{n}", price_id, "starter") for n, price_id in enumerate(have, 1)))
    problem = mixes_later(present, targets, INTERVALS)
    assert (problem and (problem.code.name, problem.field)) == (("INTERVALS_MIXED", "when") if mixes else None)


def test_another_interval_does_not_come_beside_a_period_that_goes_on():
    backup = item("si_2", "year", "starter")
    backup.current_period_end = at(300)
    beside = state(item("si_1", "month", "starter"), backup)  # the plan would be free until then
    problem = mixes_later(beside, [YEARLY], INTERVALS)
    assert (problem.code.name, problem.field) == ("INTERVALS_MIXED", "when")
    assert mixes_later(beside, [YEARLY, GONE[1]], INTERVALS) is None
    assert mixes_later(beside, [to("more", of="si_1")], INTERVALS) is None


def test_what_is_billed_by_use_goes_with_its_period():
    calls = item("si_2", "calls", "pro", None)
    assert waits(AUTOMATIC, state(PRO, calls), [{"id": "si_2", "deleted": True}], CATALOG) is True


def test_several_changes_wait_for_one_moment():
    yearly = item("si_2", "starter_m", "starter", 3)
    yearly.current_period_end = at(300)
    both = state(PRO, yearly)
    apart = ends_apart(both, [DOWN, SEATS_GONE])
    assert (apart.code.name, apart.field) == ("INTERVALS_MIXED", "items")
    assert ends_apart(both, [SEATS_GONE]) is None
    assert planned(both, [SEATS_GONE]).at == at(300)
    assert planned(both, [{"price": "calls"}]).at == PRO.current_period_end
    assert planned(both, [{"price": "calls"}]).items == (("pro_m", 1), ("starter_m", 3), ("calls", None))
