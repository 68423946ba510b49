"""Thresholds of which the application is told, and what a period's use may cost: on a database, without a server."""

import json

import pytest

from gateway.billing.audit import Action
from gateway.billing.catalog.product_features import UseKind
from gateway.billing.counting.controls import ALERTS, Controls, due, set_controls
from gateway.billing.counting.counters import Counter
from gateway.billing.counting.spend import MeteredPrice, costs_more
from gateway.billing.counting.uses import Consume
from gateway.billing.counting.windows import Window
from gateway.billing.credits.timeline import Tariff
from gateway.billing.metering.usage import Report, report
from gateway.billing.user_errors import Rejected
from gateway.db.database import Database
from gateway.db.notifications import Notifications
from gateway.models.metering import UsageControl, UsageCounter
from gateway.models.outbound import OutboxMessage
from harness.rows import customer, item, price, put, subscription
from harness.till import ADA, CALLS, DAY, METERED, PERIOD, TODAY, Till, place


@pytest.mark.parametrize(
    ("used", "limit", "alerted", "of", "expected"),
    [
        (79, 100, 0, 0, []),
        (80, 100, 0, 0, [80]),
        (100, 100, 0, 0, [80, 100]),
        (100, 100, 80, 100, [100]),
        (150, 100, 100, 100, []),
        (100, 1000, 100, 100, []),
        (100, 101, 80, 101, []),
        (800, 1000, 100, 100, [80]),  # of another limit
        (1, 1, 0, 0, [80, 100]),
        (5, 0, 0, 0, []),
        (5, None, 0, 0, []),
    ],
)
def test_what_is_told_of(used, limit, alerted, of, expected):
    assert due(Counter("sub_1", Window(*PERIOD), used, 0, alerted, of), limit, (100, 80)) == expected


def test_the_lowest_threshold_of_another_limit_is_told_anew():
    assert due(Counter("sub_1", Window(*PERIOD), 1, 0, 50, 60), 100, (1,)) == [1]


def metered(unit="2", currency="usd", **columns) -> MeteredPrice:
    row = price("calls", "pro", None, unit_amount_decimal=unit, **columns).model_dump()
    its = {"event_name": "calls", "formula": "sum", "billed_in": currency, "begins": PERIOD[0], "ends": PERIOD[1]}
    return MeteredPrice.of({**row, **its})


TIERS = [{"up_to": 100, "unit_amount": 0}, {"up_to": None, "unit_amount": 3}]
COSTS = {
    "by the unit": ({}, 7, 14),
    "a fraction": ({"unit": "0.001"}, 999, 0.999),
    "packages": ({"unit": "5", "transform_quantity": {"divide_by": 10, "round": "up"}}, 11, 10),
    "whole packages": ({"unit": "5", "transform_quantity": {"divide_by": 10, "round": "down"}}, 19, 5),
    "graduated": ({"tiers": TIERS, "tiers_mode": "graduated"}, 110, 30),
    "by volume": ({"tiers": TIERS, "tiers_mode": "volume"}, 110, 330),
    "its own, whatever the options say": ({"currency_options": {"usd": {"unit_amount": 4}}}, 3, 6),
    "another currency": ({"currency": "eur", "currency_options": {"eur": {"unit_amount": 4}}}, 3, 12),
}


@pytest.mark.parametrize(("paid", "quantity", "expected"), COSTS.values(), ids=COSTS)
def test_what_a_quantity_costs(paid, quantity, expected):
    assert float(metered(**paid).cost(quantity)) == expected


def test_what_is_under_a_cap():
    paid = [MeteredPrice("calls", "usd", Tariff(unit=2)), MeteredPrice("images", "usd", Tariff(unit=10))]
    assert not costs_more(zip(paid, (5, 1), strict=True), 20, "usd")
    assert costs_more(zip(paid, (5, 1), strict=True), 19, "usd")
    assert costs_more(zip(paid, (1, 0), strict=True), 100, "eur")
    assert not costs_more(zip(paid, (0, 0), strict=True), 0, "eur")


@pytest.fixture
async def till(sqlite_url):
    endpoints = ("https://shop.example/hooks",)
    info = {ALERTS: (80, 100)}
    database = Database(sqlite_url, endpoints=endpoints, on_commit=Notifications(), info=info)
    await database.transaction(lambda connection: put(connection, ADA, CALLS))
    yield Till(database)
    await database.close()


async def notifications(till) -> list[tuple]:
    data = [json.loads(row["payload"])["data"] for row in await till.rows(OutboxMessage)]
    return [(each["feature"], each["threshold"], each["used"], each["limit"]) for each in data]


async def test_the_application_is_told_once_for_each_period_threshold_and_limit(till):
    for amount in (79, 1, 1, 18, 1):
        await till.use(amount, f"k{amount}{len(await notifications(till))}")
    await till.use(1, "refused")
    assert await notifications(till) == [("tokens", 80, 80, 100), ("tokens", 100, 100, 100)]
    message = json.loads((await till.rows(OutboxMessage))[0]["payload"])
    assert (message["type"], message["data"]["resetsAt"]) == ("usage.threshold", PERIOD[1].isoformat())
    (counter,) = await till.rows(UsageCounter)
    assert (counter["alerted"], counter["alerted_of"]) == (100, 100)
    till.place = place(limit=120)
    await till.use(1, "more")
    assert (await notifications(till))[2:] == [("tokens", 80, 101, 120)]
    till.place = place(limit=100)
    await till.use(1, "less")
    assert len(await notifications(till)) == 3  # of this limit it was told
    till.later(86_400 * 28)
    await till.use(100, "next")
    assert (await notifications(till))[3:] == [("tokens", 80, 100, 100), ("tokens", 100, 100, 100)]


async def test_a_customer_has_thresholds_of_their_own(till):
    await till.database.transaction(lambda connection: put(connection, UsageControl(customer_id="cus_1", alerts=[10])))
    await till.use(100)
    assert await notifications(till) == [("tokens", 10, 100, 100)]


async def test_nothing_is_used_that_costs_more_than_the_cap(till):
    plan = item("si_1", "calls", "pro", None)
    plan.current_period_start, plan.current_period_end = PERIOD
    paid = price("calls", "pro", None, unit_amount_decimal="2.5", meter="mtr_1")
    capped = UsageControl(customer_id="cus_1", spend_cap=100, currency="usd")
    await till.database.transaction(lambda connection: put(connection, capped))
    till.place = place(limit=None, **METERED)
    assert await till.use(0) == "0+0 of None, None left"  # which nobody bills yet
    await till.database.transaction(lambda connection: put(connection, subscription(), plan, paid))
    assert await till.use(41, "much") == "SPEND_CAP_REACHED amount"
    assert await till.use(20, "a") == "20+0 of None, None left"
    assert await till.hold(15) == "open 15/None: 20+15 of None, None left"
    assert await till.use(6, "b") == "SPEND_CAP_REACHED amount"
    assert await till.commit(21) == "SPEND_CAP_REACHED actual"
    assert await till.commit(20) == "committed 15/20: 40+0 of None, None left"
    assert await till.use(1, "c") == "SPEND_CAP_REACHED amount"
    till.place = place(limit=None)
    assert await till.use(10**6, "free") == "1000000+0 of None, None left"  # a plain counter costs nothing


async def cap_two_meters(till, formula: str = "sum") -> None:
    """Let Ada pay 2.5 for a call and 10 for an image, and at most 100."""
    images = CALLS.model_copy(update={"id": "mtr_2", "event_name": "images", "formula": formula})
    rows = [item("si_1", "calls", "pro", None), item("si_2", "images", "pro", None)]
    for each in rows:
        each.current_period_start, each.current_period_end = PERIOD
    prices = (("calls", "2.5", "mtr_1"), ("images", "10", "mtr_2"))
    rows += [price(name, "pro", None, unit_amount_decimal=unit, meter=meter) for name, unit, meter in prices]
    capped = UsageControl(customer_id="cus_1", spend_cap=100, currency="usd")
    await till.database.transaction(lambda connection: put(connection, images, subscription(), *rows, capped))


@pytest.mark.parametrize(("first", "second"), [("month", "year"), ("year", "month")])
async def test_one_meter_that_two_prices_bill_counts_in_the_period_of_each(till, first, second):
    begun = {"month": TODAY - 5 * DAY, "year": TODAY - 100 * DAY}
    rows = [item(f"si_{name}", name, "pro", None) for name in (first, second)]
    for each in rows:
        each.current_period_start, each.current_period_end = begun[each.price_id], begun[each.price_id] + 300 * DAY
    rows += [price(name, "pro", None, unit_amount_decimal="1", meter="mtr_1") for name in (first, second)]
    capped = UsageControl(customer_id="cus_1", spend_cap=100, currency="usd")
    await till.database.transaction(lambda connection: put(connection, subscription(), *rows, capped))
    for value, days_ago in ((30, 20), (10, 2)):  # the year's price bills both, the month's the second
        await report(till.database, Report("ada", "calls", value, f"r{days_ago}", TODAY - days_ago * DAY))
    till.place = place(limit=None, **METERED)
    assert await till.use(26) == "SPEND_CAP_REACHED amount"
    assert (await till.use(25)).startswith("35+0")


@pytest.mark.parametrize(
    ("formula", "reported", "left"),
    [("sum", [(4, 0), (5, 1), (500, 10)], 4), ("count", [(700, 0), (700, 1)], 32), ("last", [(9, 0), (700, 1)], 4)],
)
async def test_what_another_meter_was_told_is_under_the_cap_too(till, formula, reported, left):
    """Nobody has asked how that one stands, so that it has no counter."""
    await cap_two_meters(till, formula)
    for number, (value, days_ago) in enumerate(reported):
        moment = TODAY - days_ago * DAY if days_ago else None
        await report(till.database, Report("ada", "images", value, f"r{number}", moment))
    till.place = place(limit=None, **METERED)
    assert await till.use(left + 1) == "SPEND_CAP_REACHED amount"
    assert await till.use(left) == f"{left}+0 of None, None left"


async def test_what_is_used_and_held_of_another_meter_is_under_the_cap_too(till):
    await cap_two_meters(till)
    till.place = place(limit=None, kind=UseKind.METER, name="images")
    await till.use(3, "images")
    await till.hold(5)
    till.place = place(limit=None, **METERED)
    assert await till.use(9) == "SPEND_CAP_REACHED amount"
    assert await till.use(8) == "8+0 of None, None left"


async def test_the_cap_is_of_the_period_in_which_the_use_is_billed(till):
    """The plan that gives the feature is a year's, and its use is billed by the month."""
    await cap_two_meters(till)
    till.place = place(limit=None, period=(TODAY - 90 * DAY, TODAY + 275 * DAY), **METERED)
    await report(till.database, Report("ada", "calls", 40, "before", TODAY - 4 * DAY))
    assert await till.use(41, "a") == "SPEND_CAP_REACHED amount"
    assert await till.hold(20) == "open 20/None: 40+20 of None, None left"
    together = Consume(till.place, 15, "b"), Consume(till.place, 6, "c"), Consume(till.place, 5, "d")
    assert await till.do(*together) == [
        "55+20 of None, None left", "SPEND_CAP_REACHED amount", "60+20 of None, None left",
    ]  # fmt: skip
    assert await till.use(1, "e") == "SPEND_CAP_REACHED amount"
    till.later(28 * 86_400)
    assert await till.use(40, "f") == "100+0 of None, None left"


async def test_controls_are_set_once_for_a_key(till):
    messages = []

    async def setting(actor: str | None = None, key: str = "k", **wanted) -> str:
        controls = Controls(**wanted)
        action = Action("usage.control", "service token 1", controls.input, key, actor, "ada")
        try:
            await set_controls(till.database, customer(external_id="ada", currency="usd"), controls, action)
        except Rejected as rejected:
            messages.append(rejected.problems[0].message)
            return f"{rejected.problems[0].code.name} {rejected.problems[0].field}"
        return "set"

    for bad in ((0,), (1001,), tuple(range(1, 12))):
        assert await setting(alerts=bad) == "AMOUNT_INVALID alertThresholds"
    for bad in (-1, 2**53):
        assert await setting(spend_cap=bad, currency="usd") == "AMOUNT_INVALID spendCap"
    for bad in ({}, {"currency": "eur"}):
        assert await setting(spend_cap=5, **bad) == "CURRENCY_NOT_OFFERED currency"
        assert messages.pop().endswith(": USD"), "a person reads which one to give"
    assert await setting("a" * 201) == "TEXT_TOO_LONG actor"
    assert await setting(key="least", alerts=tuple(range(1, 11)), spend_cap=0, currency="usd") == "set"
    (row,) = await till.rows(UsageControl)
    assert row == {"customer_id": "cus_1", "alerts": list(range(1, 11)), "spend_cap": 0, "currency": "usd"}
    assert await setting(key="most", alerts=(1000,), spend_cap=2**53 - 1, currency="usd") == "set"
    assert await setting(alerts=(50, 90), spend_cap=500, currency="usd") == "set"
    assert await setting(alerts=(50, 90), spend_cap=500, currency="usd") == "set"
    assert await setting(alerts=()) == "IDEMPOTENCY_KEY_REUSED idempotencyKey"
    (row,) = await till.rows(UsageControl)
    assert row == {"customer_id": "cus_1", "alerts": [50, 90], "spend_cap": 500, "currency": "usd"}
