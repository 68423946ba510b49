"""How subscriptions stand with their items: read from tables in memory."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from gateway.billing.customers import account as accounts
from gateway.billing.customers.account import AccountSelection
from gateway.billing.subscriptions.access import Access, Reason, Step, described
from gateway.billing.subscriptions.pending import Planned, plan_of
from gateway.billing.subscriptions.state import current, of_customers, read_subscription
from gateway.mirror.schedules import digest_of, subscription_schedule
from gateway.models.mirrored import SubscriptionSchedule
from harness.databases import both_databases
from harness.rows import (
    DAY,
    at,
    charge,
    customer,
    invoice,
    item,
    line,
    price,
    product,
    put,
    snapshot,
    state,
    subscription,
)

GRACE = 7 * DAY


def now(days: float = 0) -> int:
    """A moment on Stripe's clock, which is later than ours."""
    return int(at(days).timestamp())


def its(connection, *rows, customers: tuple[str, ...] = ("cus_1",)):
    put(connection, *rows)
    return of_customers(connection, customers, GRACE)


def moved(id: str, **columns):
    row = item(id, "month", "pro")
    for name, value in columns.items():
        setattr(row, name, value)
    return row


def test_the_newest_comes_first_and_its_items_as_stripe_lists_them(connection):
    found = its(
        connection,
        subscription("sub_1", created=at(-9)),
        subscription("sub_2", created=at(-2)),
        subscription("sub_3", created=at(-2)),
        subscription("sub_4", customer_id="cus_2"),
        subscription("sub_5", customer_id="cus_3"),
        subscription("sub_6", deleted=True),
        moved("si_c", position=1),
        moved("si_b", position=2),
        moved("si_a", position=2, created=at(1)),
        moved("si_x", subscription_id="sub_4"),
        customers=("cus_1", "cus_2", "cus_9"),
    )
    assert {owner: [each.subscription.id for each in some] for owner, some in found.items()} == {
        "cus_1": ["sub_3", "sub_2", "sub_1"], "cus_2": ["sub_4"],
    }  # fmt: skip
    assert [each.id for each in found["cus_1"][2].items] == ["si_c", "si_b", "si_a"]
    assert [found["cus_1"][0].items, [each.id for each in found["cus_2"][0].items]] == [(), ["si_x"]]


def test_all_are_read_where_those_that_have_ended_are_wanted_too(connection):
    ended = [subscription(f"sub_{number:02}", "canceled", created=at(-number)) for number in range(1, 13)]
    gone = subscription("sub_gone", "canceled", deleted=True, created=at(-90))
    others = gone, subscription("sub_bobs", customer_id="cus_2")
    put(connection, customer(external_id="ada"), *ended, *others)
    for wanted, count in ((AccountSelection("ada", ended=True), 12), (AccountSelection("ada"), 10)):
        found = accounts.read(connection, [wanted], GRACE)[wanted].subscriptions
        assert [each.subscription.id for each in found] == [row.id for row in ended[:count]]


UNKEPT = {
    "paid": (invoice("in_1", line(-3, 27)), "active", set()),
    "let pass": (invoice("in_1", line(-3, 27), status="void"), "active", {"si_1"}),
    "written off": (invoice("in_1", line(-3, 27), status="uncollectible"), "active", {"si_1"}),
    "let pass, of a change that was not made": (
        invoice("in_1", line(-3, 27, price="year"), status="void"),
        "active",
        set(),
    ),
    "or of more of it": (invoice("in_1", line(-3, 27, quantity=2), status="void"), "active", set()),
    "ended": (invoice("in_1", line(-3, 27), status="void"), "canceled", set()),
}


@pytest.mark.parametrize(("billed", "status", "unkept"), UNKEPT.values(), ids=UNKEPT)
def test_of_which_items_the_present_was_not_paid(connection, billed, status, unkept):
    ((found,),) = its(
        connection, subscription(status=status, as_of=now()), item("si_1", "month", "pro"), billed
    ).values()
    assert found.unkept == unkept


def test_of_which_items_the_present_was_paid_back(connection):
    rows = invoice("in_1", line(-3, 27)), charge("ch_1", 900, invoice_id="in_1")
    ((found,),) = its(connection, subscription(as_of=now()), item("si_1", "month", "pro"), *rows).values()
    assert found.unkept == {"si_1"}


def test_how_each_was_decided_is_told_to_who_asks(connection):
    rows = subscription(as_of=now()), item("si_1", "month", "pro"), invoice("in_1", line(-3, 27))
    steps: list[Step] = []
    put(connection, *rows)
    (found,) = of_customers(connection, ["cus_1"], GRACE, steps)["cus_1"]
    assert found == of_customers(connection, ["cus_1"], GRACE)["cus_1"][0]
    assert {each.about for each in steps} == {"sub_1"}
    assert len({each.rule for each in steps}) == 3, "what is known, and the rules up to the second"
    assert steps[-1].finding == described(found.access)


AWAY = {"status": "void", "days": -2, "paid_at": None}
RESTS = {
    "a pause has left it unpaid": ({}, AWAY, {"si_1"}, True),
    "it was the seller's": ({"meta": {}}, AWAY, set(), False),
    "it was paid": ({}, {"status": "paid"}, set(), False),
    "it has ended": ({"status": "canceled"}, AWAY, set(), False),
    "it is paused": ({"pause_behavior": "void"}, {"status": "paid"}, set(), True),
    "Stripe has paused it": ({"status": "paused"}, {"status": "paid"}, set(), True),
}


@pytest.mark.parametrize(("columns", "billed", "unpaid", "rests"), RESTS.values(), ids=RESTS)
def test_what_a_pause_has_left_unpaid_rests(connection, columns, billed, unpaid, rests):
    own = {f"paused_by_customer_until_{now()}": str(now(-10))}
    rows = subscription(**{"as_of": now(), "meta": own, **columns}), item("si_1", "month", "pro")
    (found,) = its(connection, *rows, invoice("in_1", line(-2, 28), **billed))["cus_1"]
    assert (found.unpaid, found.rests) == (unpaid, rests)


@both_databases
async def test_which_of_a_customers_subscriptions_count_however_many_have_ended(database, fill):
    """Those that live, those of which something may be paid still, and the ten newest of the others."""
    ended = [subscription(f"sub_{number:02}", "canceled", created=at(-number)) for number in range(1, 13)]
    old = {"status": "canceled", "created": at(-90)}
    others = {"sub_live": {"created": at(-99)}, "sub_paid": old, "sub_unsaid": old, "sub_over": old}
    others |= {"sub_gone": {"deleted": True}, "sub_bobs": {"customer_id": "cus_2"}}
    await fill(*ended, *(subscription(name, **columns) for name, columns in others.items()))
    past = datetime(2020, 1, 1, tzinfo=UTC)
    said = {"sub_paid": {"service_end": at(1)}, "sub_unsaid": {"service_end": None}, "sub_over": {"service_end": past}}
    await fill(*(invoice(f"in_{name}", subscription_id=name, **columns) for name, columns in said.items()))
    found = await database.read(lambda connection: of_customers(connection, ["cus_1", "cus_2", "cus_3"], GRACE))
    assert {owner: {each.subscription.id for each in some} for owner, some in found.items()} == {
        "cus_1": {"sub_live", "sub_paid", "sub_unsaid", *(f"sub_{number:02}" for number in range(1, 11))},
        "cus_2": {"sub_bobs"},
    }


DECIDED = {
    "active": (subscription(as_of=now()), [], (True, Reason.ACTIVE, at(27))),
    "paid for longer": (subscription(as_of=now()), [invoice("in_1", line(-3, 99))], (True, Reason.ACTIVE, at(99))),
    "not in a trial": (
        subscription(status="trialing", as_of=now()),
        [invoice("in_1", line(-3, 99))],
        (True, Reason.TRIALING, at(27)),
    ),
    "in its grace period": (subscription(status="past_due", as_of=now()), [], (True, Reason.GRACE_PERIOD, at(4))),
    "after it": (subscription(status="past_due", as_of=now(4)), [], (False, Reason.PAST_DUE, None)),
    "never paid": (
        subscription(status="past_due", as_of=now()),
        [invoice("in_1", line(-3, 27), status="open", attempt_count=1)],
        (False, Reason.PAST_DUE, None),
    ),
    "paid before its end": (
        subscription(status="canceled", as_of=now()),
        [invoice("in_1", line(-3, 27))],
        (True, Reason.CANCELED, at(27)),
    ),
    "at the end of that": (
        subscription(status="canceled", as_of=now(27)),
        [invoice("in_1", line(-3, 27))],
        (False, Reason.CANCELED, None),
    ),
}


@pytest.mark.parametrize(("row", "invoices", "expected"), DECIDED.values(), ids=DECIDED)
def test_what_it_gives_right_to_by_its_invoices(connection, row, invoices, expected):
    (found,) = its(connection, row, item("si_1", "month", "pro"), *invoices)["cus_1"]
    assert (found.access.allowed, found.access.reason, found.access.until) == expected
    assert [each.id for each in found.giving] == (["si_1"] if expected[0] else [])
    assert expected[1] is not Reason.GRACE_PERIOD or found.changes_at == expected[2]


def test_after_the_end_only_what_was_paid_gives_something(connection):
    rows = subscription(status="canceled", as_of=now()), item("si_1", "month", "pro"), item("si_2", "seats", "seats")
    (found,) = its(connection, *rows, invoice("in_1", line(-3, 27)))["cus_1"]
    assert ([each.id for each in found.items], [each.id for each in found.giving]) == (["si_1", "si_2"], ["si_1"])


def test_the_present_is_not_before_our_own_clock(connection):
    today = datetime.now(UTC)
    row = moved("si_1", current_period_start=today - 8 * DAY, current_period_end=today + DAY)
    (found,) = its(connection, subscription(status="past_due", as_of=0), row)["cus_1"]
    assert found.access == Access(allowed=False, reason=Reason.PAST_DUE)
    row = moved("si_2", subscription_id="sub_2", current_period_start=today - 6 * DAY, current_period_end=today + DAY)
    found = its(connection, subscription("sub_2", "past_due", as_of=0, customer_id="cus_2"), row, customers=("cus_2",))
    assert found["cus_2"][0].access.until == pytest.approx(today + DAY, abs=timedelta(seconds=1))


NO = Access(allowed=False, reason=Reason.PAST_DUE)
COUNTS = {
    "none": ([], None),
    "the only one": ([state(id="a")], "a"),
    "the oldest": ([state(id="a", created=at(-2)), state(id="b", created=at(-3)), state(id="c", created=at(-1))], "b"),
    "the older one where no plan is known": (
        [state(id="a", created=at(-1)), state(item("si_1", "unknown", "unknown"), id="b", created=at(-2))],
        "b",
    ),
    "one with access": ([state(id="a", access=NO, created=at(9)), state(id="b", created=at(-1))], "b"),
    "one without that has not ended": ([state(id="a", status="past_due", access=NO)], "a"),
    "none that has ended": ([state(id="a", status="canceled", access=NO)], None),
    "none that was never paid": ([state(id="a", status="incomplete_expired", access=NO)], None),
    "an ended one whose rest is paid": ([state(id="a", status="canceled")], "a"),
}


@pytest.mark.parametrize(("states", "expected"), COUNTS.values(), ids=COUNTS)
def test_which_subscription_counts(states, expected):
    found = current(states, snapshot())
    assert (found and found.subscription.id) == expected


def test_of_several_the_later_plan_of_the_catalogue_counts():
    catalog = snapshot(product("starter"), product("pro"), price("small", "starter", 100), price("big", "pro", 900))
    small, big = (
        state(item(f"si_{name}", name, name), id=name, created=at(day)) for name, day in (("small", -9), ("big", -1))
    )
    assert current([small, big], catalog) is big


def phase(days: float, price_id: str, quantity: int = 1) -> dict:
    return {"start": now(days), "items": [[price_id, quantity]]}


GOES_ON, YEAR = phase(-3, "month"), phase(27, "year")
PLANNED = {
    "the next": ([phase(57, "week"), YEAR, GOES_ON], {}, {}, (("year", 1),)),
    "more of it": ([phase(27, "month", 2)], {}, {}, (("month", 2),)),
    "nothing else": ([GOES_ON, phase(27, "month")], {}, {}, None),
    "what begins now": ([phase(0, "year")], {}, {}, None),
    "what has begun": ([phase(-1, "year")], {}, {}, None),
    "nothing at all": ([], {}, {}, None),
    "of what has ended": ([YEAR], {"status": "canceled"}, {}, None),
    "by the schedule that Stripe told of last": ([YEAR], {}, {"as_of": now()}, (("year", 1),)),
    "by what was released": ([YEAR], {}, {"status": "released"}, None),
    "by what was deleted": ([YEAR], {}, {"deleted": True}, None),
    "for another": ([YEAR], {}, {"subscription_id": "sub_2"}, None),
}


@pytest.mark.parametrize(("phases", "columns", "schedule", "expected"), PLANNED.values(), ids=PLANNED)
def test_what_a_schedule_plans(connection, phases, columns, schedule, expected):
    given = {"id": "sched_1", "as_of": 0, "subscription_id": "sub_1", "status": "active", "phases": phases}
    rows = subscription(**{"as_of": now(), **columns}), item("si_1", "month", "pro")
    if schedule.get("as_of"):
        rows += tuple(SubscriptionSchedule(**given | {"id": each, "phases": []}) for each in ("sched_0", "sched_2"))
    (found,) = its(connection, *rows, SubscriptionSchedule(**given | schedule), invoice("in_1", line(-3, 27)))["cus_1"]
    assert (found.pending and found.pending.items) == expected
    assert found.changes_at == at(27)
    assert expected is None or found.pending.at == at(27)


@pytest.mark.parametrize(
    ("phases", "end", "fixed"),
    [
        ([GOES_ON], None, False),
        ([GOES_ON, YEAR], None, True),  # nobody has said whose it is
        ([GOES_ON, phase(27, "month")], None, True),  # other discounts, perhaps
        ([{**each, "fixed": False} for each in (GOES_ON, YEAR)], None, False),
        ([GOES_ON, {"start": now(27), "items": [], "fixed": True}], 27, True),
        ([GOES_ON, {"start": now(27), "items": [], "fixed": False}], 27, False),
        ([{"start": now(-1), "items": [], "fixed": True}], None, False),
        ([{"start": now(-1), "items": [], "fixed": True, "begun": False}], -1, True),  # Stripe is late
        ([{"start": now(27), "items": [], "fixed": True, "begun": True}], None, False),  # our clock is
    ],
)
def test_whose_plan_it_is_and_whether_it_is_an_end(phases, end, fixed):
    found = plan_of(phases, [item("si_1", "month", "pro")], at(0))
    assert (found.end, found.fixed) == (end and at(end), fixed)


@pytest.mark.parametrize(
    ("phases", "sellers", "left", "last"),
    [
        ([GOES_ON, {**YEAR, "fixed": False}], False, False, ()),
        ([{**YEAR, "fixed": False, "sellers": True}], True, False, ()),
        ([{**YEAR, "fixed": True}], True, False, ()),
        ([{"start": now(27), "items": [], "fixed": False, "left": True}], False, True, (("month", 1),)),
        ([{**YEAR, "fixed": False}, {"start": now(57), "items": [], "fixed": False}], False, False, (("year", 1),)),
    ],
)
def test_what_binds_is_told_with_what_there_is_in_the_end(phases, sellers, left, last):
    found = plan_of(phases, [item("si_1", "month", "pro")], at(0))
    assert (found.sellers, found.left, found.last) == (sellers, left, last)


def test_what_comes_after_an_end_is_still_looked_at():
    ends, comes = {"start": now(27), "items": [], "fixed": False}, {**phase(57, "week"), "fixed": False}
    found = plan_of([ends, comes], [item("si_1", "month", "pro")], at(0))
    assert (found.end, found.change and found.change.items, found.last) == (at(27), (("week", 1),), (("week", 1),))


@pytest.mark.parametrize(
    ("said", "whose"),
    [
        (None, "seller seller"),
        ("true", "customer customer"),
        (str(now(27)), "customer seller"),  # whoever adds to the gateway's schedule is the seller
        (str(now(27) - 1), "seller seller"),
        *((each, "seller seller") for each in ("True", "soon", "-1", "²", "")),
        *((each, "bound bound") for each in ("false", "False")),
    ],
)
def test_what_a_schedules_metadata_says_of_whose_it_is(said, whose):
    told = _kept([_phase(27)], end_behavior="cancel", metadata={"customer_may_change": said} if said else None)
    words = {(False, False): "customer", (True, False): "seller", (True, True): "bound"}
    assert " ".join(words[each["sellers"], each["fixed"]] for each in told) == whose
    assert [each["start"] for each in told] == [now(27), now(57)]


@pytest.mark.parametrize(
    "change",
    [
        {"items": [{"price": "month", "quantity": 2}]},
        {"items": [{"price": "year", "quantity": 1}]},
        {"items": [{"price": "month", "quantity": 1, "tax_rates": ["txr_1"]}]},
        {"discounts": []},
        {"default_tax_rates": [{"id": "txr_1"}]},
        {"automatic_tax": {"enabled": True}},
        {"add_invoice_items": [{"price": "fee", "quantity": 1}]},
        {"start_date": now(26)},
    ],
)
def test_what_the_seller_makes_of_a_phase_that_was_planned_here_is_the_sellers(change):
    here = _phase(27, items=[{"price": "month", "quantity": 1}], discounts=[{"coupon": "HALF"}])
    mark = {"customer_may_change": str(now(27)), "customer_planned": digest_of(here)}
    same = {**here, "items": [{"price": {"id": "month"}, "quantity": 1, "tax_rates": []}], "add_invoice_items": []}
    found = [_kept([_phase(-3), each], metadata=mark)[1]["sellers"] for each in (here, same, {**here, **change})]
    assert found == [False, False, True]


def _phase(start: int, **said) -> dict:
    return {"start_date": now(start), "end_date": now(start + 30), "items": [], **said}


def _kept(phases: list[dict], **said) -> list[dict]:
    """The phases of a schedule as the mirror keeps them."""
    schedule = {"customer": "cus_1", "subscription": "sub_1", "status": "active", "phases": phases}
    return subscription_schedule({**schedule, "current_phase": {"start_date": phases[0]["start_date"]}, **said})[
        "phases"
    ]


HALF, TENTH, VAT = {"coupon": "HALF"}, {"discount": "di_1", "coupon": None}, {"id": "txr_1"}
ITEMS = [{"price": "month", "discounts": [HALF], "tax_rates": []}]


@pytest.mark.parametrize(
    ("present", "later", "binds"),
    [
        ({}, {}, False),
        ({"discounts": [TENTH]}, {"discounts": [TENTH]}, False),
        (
            {},
            {"discounts": [HALF], "trial_end": now(40), "description": "A present"},
            False,
        ),  # which only the buyer loses
        ({"discounts": [HALF]}, {}, True),  # it would never end
        ({"discounts": [HALF, TENTH]}, {"discounts": [HALF]}, True),
        ({"coupon": "HALF"}, {}, True),
        ({"items": ITEMS}, {"items": [{**ITEMS[0], "discounts": []}]}, True),
        ({"items": ITEMS}, {"items": ITEMS}, False),
        ({"default_tax_rates": [VAT]}, {}, False),
        ({}, {"default_tax_rates": [VAT]}, True),
        ({}, {"items": [{"price": "month", "tax_rates": [VAT]}]}, True),
        ({"automatic_tax": {"enabled": False}}, {"automatic_tax": {"enabled": True}}, True),
        ({"add_invoice_items": [{"price": "fee"}]}, {}, False),
        ({}, {"add_invoice_items": [{"price": "fee"}]}, True),
    ],
)
def test_what_binds_because_more_than_items_would_be_spared(present, later, binds):
    told = _kept([_phase(-3, **present), _phase(27, **later)])
    assert [each["fixed"] for each in told] == [False, binds]
    assert told == _kept([_phase(-3, **present), _phase(27, **later)], metadata={"feedback": "unused"})


@pytest.mark.parametrize(("present", "binds"), [({}, False), ({"discounts": [HALF]}, True), ({"items": ITEMS}, True)])
def test_an_end_binds_where_a_discount_would_go_on(present, binds):
    told = _kept([_phase(-3, **present)], end_behavior="cancel")
    assert [each["fixed"] for each in told] == [False, binds]
    left = _kept([_phase(-3, **present)], end_behavior="cancel", metadata={"ended_by_customer": str(now(27))})
    assert (left[1]["sellers"], left[1]["fixed"], left[1]["left"]) == (False, False, True)
    (_, another) = _kept([_phase(-3)], end_behavior="cancel", metadata={"ended_by_customer": str(now(26))})
    assert another["sellers"] is True
    assert "left" not in another


SOLD = snapshot(
    product("pro"),
    product("old", active=False),
    price("month", "pro", currency_options={"eur": {"unit_amount": 900}}),
    price("five", "pro", meta={"min_quantity": "5"}),
    price("legacy", "pro", active=False),
    price("gone", "old"),
)


@pytest.mark.parametrize(
    ("have", "last", "currency", "binds"),
    [
        ([("month", 1)], (), "usd", False),
        ([("month", 1)], (), "eur", False),
        ([("month", 1)], (), "gbp", True),
        ([("legacy", 1)], (), "usd", True),
        ([("gone", 1)], (), "usd", True),
        ([("unknown", 1)], (), "usd", True),
        ([("month", 1), ("legacy", 1)], (), "usd", True),
        ([("month", 1)], (("legacy", 1),), "usd", True),
        ([("five", 5)], (), "usd", False),
        ([("five", 4)], (), "usd", True),  # nobody can buy so few
        ([("five", None)], (), "usd", False),
    ],
)
def test_who_undoes_what_the_seller_plans_keeps_what_is_sold(have, last, currency, binds):
    items = [item(f"si_{n}", each, "pro", quantity=quantity) for n, (each, quantity) in enumerate(have)]
    planned = Planned(sellers=True, last=last)
    assert planned.binds(items, currency, SOLD, always=False) is binds
    assert planned.binds(items, currency, SOLD, always=True) is True
    assert replace(planned, fixed=True).binds(items, currency, SOLD, always=False) is True
    assert replace(planned, sellers=False).binds(items, currency, SOLD, always=True) is False


async def test_one_subscription_by_its_id(database, fill):
    rows = [subscription("sub_1", "past_due", as_of=now()), subscription("sub_2"), subscription("sub_3", deleted=True)]
    await fill(*rows, item("si_1", "month", "pro"))
    found = await read_subscription(database, "sub_1", GRACE)
    assert (found.subscription.id, [each.id for each in found.items], found.access.allowed) == ("sub_1", ["si_1"], True)
    assert not (await read_subscription(database, "sub_1", DAY)).access.allowed
    assert [await read_subscription(database, each, GRACE) for each in ("sub_3", "sub_4")] == [None, None]
