"""What a customer may do with each plan: a table without HTTP and without a database."""

from dataclasses import replace

import pytest

from gateway.billing.subscriptions.change_request import ChangeTime
from gateway.billing.subscriptions.pending import PendingChange, Planned
from gateway.billing.subscriptions.plan_actions import PlanOffer, currency_of, offer_of
from gateway.billing.subscriptions.state import current
from harness.rows import NOW, at, customer, item, price, product, snapshot, state

CATALOG = snapshot(
    product("starter"),
    product("pro"),
    product("twin"),
    product("seats", meta={"addon": "true"}),
    product("storage", meta={"group": "storage"}),
    product("gone", active=False),
    price("starter_m", "starter"),
    price("starter_y", "starter", 9000, interval="year"),
    price("starter_old", "starter", active=False),
    price("pro_m", "pro", 2900),
    price("pro_eur", "pro", 2900, currency="eur"),
    price("seat_m", "seats", 500),
    price("seat_y", "seats", 5000, interval="year"),
    price("storage_m", "storage", 100),
    price("calls", "pro", None, usage_type="metered"),
    price("gone_m", "gone"),
    price("abroad_m", "twin", 100, currency_options={"eur": {"unit_amount": 99_000}}),
    price("level_m", "twin", 900),
)
STARTER, PRO = item("si_1", "starter_m", "starter"), item("si_1", "pro_m", "pro")
SEATS, STORAGE = item("si_2", "seat_m", "seats"), item("si_3", "storage_m", "storage")
OLD = item("si_1", "starter_old", "starter")


def on(*items, pending: str | None = None, fixed: bool = False, ends: bool = False, **columns):
    made = state(*items, **columns)
    change = PendingChange(((pending, 1),), at(27)) if pending else None
    return replace(made, planned=Planned(change, at(27) if ends else None, sellers=fixed, fixed=fixed))


@pytest.mark.parametrize(
    ("plan", "states", "expected"),
    [
        ("pro_m", [], ("SUBSCRIBE", None)),
        ("gone_m", [], ("UNAVAILABLE", "PRICE_NOT_ON_SALE")),
        ("starter_old", [], ("UNAVAILABLE", "PRICE_NOT_ON_SALE")),
        ("starter_old", [on(OLD)], ("CURRENT", None)),  # who has it keeps it
        ("pro_m", [on(PRO)], ("CURRENT", None)),
        ("pro_m", [on(PRO, status="past_due")], ("CURRENT", None)),
        ("pro_m", [on(PRO, pending="starter_m")], ("CURRENT", None)),
        ("starter_m", [on(PRO, pending="starter_m")], ("SCHEDULED", None)),
        ("starter_y", [on(PRO, pending="starter_m")], ("DOWNGRADE", None)),
        ("starter_y", [on(PRO, pending="starter_m", fixed=True)], ("UNAVAILABLE", "PLANNED_BY_SELLER")),
        ("pro_m", [on(PRO, cancel_at_period_end=True)], ("RESUME", None)),
        ("pro_m", [on(PRO, ends=True)], ("RESUME", None)),
        ("pro_m", [on(PRO, ends=True, fixed=True, cancel_at=at(27))], ("CURRENT", None)),
        ("pro_m", [on(PRO, ends=True, fixed=True, pause_behavior="void")], ("RESUME", None)),
        ("pro_m", [on(PRO, cancel_at=at(27))], ("RESUME", None)),
        ("pro_m", [on(PRO, status="paused")], ("RESUME", None)),
        ("pro_m", [on(PRO, pause_behavior="void")], ("RESUME", None)),
        ("pro_m", [on(PRO, status="canceled", ended_at=NOW)], ("SUBSCRIBE", None)),
        ("pro_m", [on(PRO, status="incomplete")], ("SUBSCRIBE", None)),
        ("pro_m", [on(STARTER)], ("UPGRADE", None)),
        ("pro_m", [on(item("si_1", "starter_m", "starter", 5))], ("UPGRADE", None)),  # of as many
        ("pro_m", [on(item("si_1", "starter_m", "starter", 0))], ("UPGRADE", None)),  # of one
        ("starter_m", [on(PRO)], ("DOWNGRADE", None)),
        ("starter_y", [on(PRO)], ("DOWNGRADE", None)),
        ("starter_y", [on(STARTER)], ("SWITCH", None)),
        ("starter_m", [on(item("si_1", "starter_y", "starter"))], ("SWITCH", None)),
        ("calls", [on(STARTER)], ("SWITCH", None)),  # nobody knows what it costs
        ("starter_m", [on(item("si_1", "forgotten", "pro"))], ("SWITCH", None)),
        ("pro_m", [on(SEATS, STARTER)], ("UPGRADE", None)),  # of the plan, not of the add-on
        ("pro_m", [on(STARTER, status="past_due")], ("UNAVAILABLE", "INVOICE_UNPAID")),
        ("pro_m", [on(STARTER, status="paused")], ("UNAVAILABLE", "SUBSCRIPTION_PAUSED")),
        ("pro_m", [on(STARTER, status="unpaid")], ("UNAVAILABLE", "INVOICE_UNPAID")),
        ("pro_m", [on(STARTER, pause_behavior="void")], ("UNAVAILABLE", "SUBSCRIPTION_PAUSED")),
        ("pro_eur", [on(STARTER)], ("UNAVAILABLE", "CURRENCY_NOT_OFFERED")),
        ("seat_m", [on(STARTER)], ("SUBSCRIBE", None)),
        ("seat_y", [on(STARTER, SEATS)], ("SWITCH", None)),
        ("abroad_m", [on(STARTER)], ("DOWNGRADE", None)),
        ("abroad_m", [on(STARTER, currency="eur")], ("UPGRADE", None)),
        ("level_m", [on(STARTER)], ("SWITCH", None)),
        ("storage_m", [on(STARTER)], ("SUBSCRIBE", None)),
        ("starter_m", [on(STORAGE)], ("SUBSCRIBE", None)),
    ],
)
def test_what_a_customer_may_do(plan, states, expected):
    found = offer_of(CATALOG.prices[plan], customer("cus_1"), states, CATALOG)
    assert (found.action.name, found.reason and found.reason.name) == expected
    about = states[0] if states and expected[0] != "SUBSCRIBE" else None
    assert found.state is about
    assert (found.item is not None) is (found.action.name in {"UPGRADE", "DOWNGRADE", "SWITCH"})


NOT_KEPT = {"unkept": {"si_1"}}, {"disputed": True}


@pytest.mark.parametrize(
    ("known", "at_once", "later"),
    [
        ({}, "UPGRADE", "DOWNGRADE"),
        *((each, "INVOICE_UNPAID", "DOWNGRADE") for each in NOT_KEPT),
        ({"owes": True}, "INVOICE_UNPAID", "INVOICE_UNPAID"),
    ],
)
def test_a_change_that_would_be_refused_as_unpaid_is_not_offered(known, at_once, later):
    def told(plan, have, when=ChangeTime.AUTOMATIC):
        found = offer_of(CATALOG.prices[plan], None, [replace(on(have), **known)], CATALOG, when=when)
        assert found.state is not None
        return (found.reason or found.action).name

    assert [told("pro_m", STARTER), told("starter_m", PRO)] == [at_once, later]
    assert told("starter_m", PRO, ChangeTime.NOW) == at_once.replace("UPGRADE", "DOWNGRADE")
    assert told("pro_m", STARTER, ChangeTime.AT_PERIOD_END) == later.replace("DOWNGRADE", "UPGRADE")


def test_what_else_stands_against_a_change_and_what_the_seller_allows():
    plan, stranger = CATALOG.prices["pro_m"], customer("cus_1", payer_unverified=True)
    assert offer_of(plan, stranger, [on(STARTER)], CATALOG).reason.name == "PAYMENT_METHOD_NEEDED"
    assert offer_of(plan, customer("cus_1", currency="eur"), [], CATALOG).reason.name == "CURRENCY_NOT_OFFERED"
    assert offer_of(plan, stranger, [], CATALOG).action.name == "SUBSCRIBE"
    assert offer_of(plan, None, [], CATALOG) == PlanOffer(found := offer_of(plan, None, [], CATALOG).action)
    assert found.name == "SUBSCRIBE"
    assert offer_of(plan, customer("cus_1"), [on(STARTER)], CATALOG, multiple=True).action.name == "SUBSCRIBE"


@pytest.mark.parametrize(
    ("who", "states", "expected"),
    [
        (None, [], None),
        (customer("cus_1"), [], None),
        (customer("cus_1", currency="eur"), [], "eur"),
        (customer("cus_1", currency="eur"), [on(PRO, currency="usd")], "usd"),
        (customer("cus_1", currency="eur"), [on(PRO, currency="usd", status="canceled")], "eur"),
    ],
)
def test_which_currency_a_customer_is_bound_to(who, states, expected):
    assert currency_of(who, states) == expected


@pytest.mark.parametrize(
    ("better", "other"),
    [
        ([PRO], [STARTER]),  # which stands before it in the catalogue
        ([item("si_1", "starter_y", "starter")], [STARTER]),
        ([OLD], [STARTER]),  # as dear, and its id comes later
        ([STARTER], [STORAGE]),
        ([STORAGE], [SEATS]),
        ([SEATS], [item("si_1", "forgotten", "pro")]),
        ([SEATS, PRO], [STARTER]),
        ([PRO], [PRO]),  # the older one
    ],
)
def test_the_better_plan_counts_and_never_the_newest(better, other):
    counts, newest = on(*better, id="sub_old", created=at(-9)), on(*other, id="sub_new", created=at(-1))
    for states in ([counts, newest], [newest, counts]):
        assert current(states, CATALOG) is counts
