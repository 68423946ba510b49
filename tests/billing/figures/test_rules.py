"""What one customer adds to the figures of each month, as tables."""

from datetime import UTC, datetime
from fractions import Fraction

import pytest

from gateway.billing.figures.rules import Invoice, Part, Rate, Subscription, monthly, parts
from gateway.mirror.invoice_mapping import invoice_line

MONTHLY, YEARLY = Rate("month", 1, {"eur": 1000}), Rate("year", 1, {"eur": 12000})
RATES = {"m": MONTHLY, "y": YEARLY, "twice": Rate("month", 1, {"eur": 2000}), "tiered": Rate("month", 1, {})}
RATES["quarterly"] = Rate("month", 3, {})


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def line(start: str, end: str, amount: int = 1000, price: str = "m", **more):
    fields = {"price": price, "amount": amount, "quantity": 1, "proration": False, "subscription_item": "si"}
    fields["description"] = "Starter"
    return {**fields, "period_start": int(at(start).timestamp()), "period_end": int(at(end).timestamp()), **more}


def invoice(*lines, status: str = "paid", **more) -> Invoice:
    paid = sum(each["amount"] for each in lines) if status == "paid" else 0
    fields = {"status": status, "currency": "eur", "total": 1000, "amount_paid": paid, "paid_at": None}
    return Invoice(
        **{
            **fields,
            "first_failed_at": None,
            "subscription_id": "sub",
            "lines": lines,
            "created": at("2026-01-10"),
            **more,
        }
    )


def subscription(status: str = "active", **more) -> Subscription:
    fields = {"id": "sub", "status": status, "currency": "eur", "start": at("2026-01-10"), "ended": None}
    fields |= {"cancel_at": None, "trial_start": None, "trial_end": None, "is_paused": False}
    return Subscription(**{**fields, "items": frozenset({("si", "m")}), **more})


def movements(invoices, subscriptions) -> list[tuple]:
    names = {"new", "expansion", "contraction", "churn"}
    found = parts(invoices, subscriptions, RATES)
    return [(each.month, each.name, each.amount) for each in found if each.name in names]


@pytest.mark.parametrize(
    ("amount", "rate", "expected"),
    [
        (1000, MONTHLY, 1000),
        (1000, Rate("month", 3, {}), 333),
        (1000, Rate("year", 1, {}), 83),
        (1999, Rate("year", 1, {}), 167),
        (-1999, Rate("year", 1, {}), -167),  # a credit takes off what a charge brings
        (18, Rate("year", 1, {}), 2),
        (-18, Rate("year", 1, {}), -2),
        (9, Rate("year", 1, {}), 1),
        (1000, Rate("week", 1, {}), 4345),
        (100, Rate("day", 1, {}), 3042),
        (0, MONTHLY, 0),
    ],
)
def test_an_amount_of_any_interval_is_rounded_to_a_month(amount, rate, expected):
    assert monthly(Fraction(amount), rate) == expected


JANUARY = line("2026-01-10", "2026-02-10")
FEBRUARY = line("2026-02-10", "2026-03-10")
REST, PART = ("2026-01-25T12:00", "2026-02-10"), {"proration": True}
GOES, GONE = subscription(), subscription("canceled", ended=at("2026-03-10"))


@pytest.mark.parametrize(
    ("invoices", "subscriptions", "expected"),
    {
        "one that goes on": ([invoice(JANUARY)], [GOES], [("2026-01", "new", 1000)]),
        "one that ended": (
            [invoice(JANUARY), invoice(FEBRUARY)],
            [GONE],
            [("2026-01", "new", 1000), ("2026-03", "churn", 1000)],
        ),
        "one that ended at once, in a period that was paid": (
            [invoice(JANUARY)],
            [subscription("canceled", ended=at("2026-01-20"))],
            [],
        ),
        "one whose renewal is not paid": (
            [invoice(JANUARY), invoice(FEBRUARY, status="open")],
            [subscription("past_due")],
            [("2026-01", "new", 1000), ("2026-02", "churn", 1000)],
        ),
        "one that is to end": (
            [invoice(JANUARY)],
            [subscription(cancel_at=at("2026-02-10"))],
            [("2026-01", "new", 1000), ("2026-02", "churn", 1000)],
        ),
        "one that is paused": (
            [invoice(JANUARY)],
            [subscription(is_paused=True)],
            [("2026-01", "new", 1000), ("2026-02", "churn", 1000)],
        ),
        "an item that was taken away": (
            [invoice(JANUARY, line("2026-01-10", "2026-02-10", 500, subscription_item="gone"))],
            [GOES],
            [("2026-01", "new", 1500), ("2026-02", "contraction", 500)],
        ),
        "a year": ([invoice(line("2026-01-10", "2027-01-10", 12000, "y"))], [GOES], [("2026-01", "new", 1000)]),
        "a coupon for the first month": (
            [invoice(line("2026-01-10", "2026-02-10", discount=400)), invoice(FEBRUARY)],
            [GOES],
            [("2026-01", "new", 600), ("2026-02", "expansion", 400)],
        ),
        "a change within the month, by its parts": (
            [
                invoice(
                    JANUARY,
                    line("2026-01-25", "2026-02-10", -516, proration=True),
                    line("2026-01-25", "2026-02-10", 1033, proration=True, quantity=2),
                )
            ],
            [GOES],
            [("2026-01", "new", 2000)],
        ),
        "a change of a tiered price, whose part says what a whole period costs": (
            [
                invoice(line("2026-01-10", "2026-02-10", 900, "tiered", id="il_1"), line(*REST, 300, "tiered", **PART)),
                invoice(line(*REST, -450, "tiered", **PART, credited=["il_1"])),
            ],
            [GOES],
            [("2026-01", "new", 600)],
        ),
        "a change of what is not paid, credited without a name": (
            [invoice(JANUARY, status="open"), invoice(line(*REST, -500, **PART), line(*REST, 1000, "twice", **PART))],
            [GOES],
            [("2026-01", "new", 2000)],
        ),
        "another quantity of what is not paid, credited without a name": (
            [
                invoice(JANUARY, status="open"),
                invoice(line(*REST, -500, **PART), line(*REST, 1500, **PART, quantity=3)),
            ],
            [GOES],
            [("2026-01", "new", 3000)],
        ),
        "two changes at once": (
            [
                invoice(line(*REST, 1500, quantity=3, **PART), line(*REST, -1000, "twice", **PART)),
                invoice(JANUARY, line(*REST, 1000, "twice", **PART), line(*REST, -500, **PART)),
            ],
            [GOES],
            [("2026-01", "new", 3000)],
        ),
        "a change of what was changed without an invoice": (
            [invoice(JANUARY, line(*REST, -1000, "twice", **PART), line(*REST, 1500, quantity=3, **PART))],
            [GOES],
            [("2026-01", "new", 3000)],
        ),
        "a change of a line that does not name its item": (
            [
                invoice(JANUARY | {"subscription_item": None}, line(*REST, -500, subscription_item=None, **PART)),
                invoice(JANUARY | {"subscription_item": None}, subscription_id="other"),
            ],
            [GOES],
            [("2026-01", "new", 1000), ("2026-02", "churn", 1000)],
        ),
        "a gap": (
            [invoice(JANUARY), invoice(line("2026-04-10", "2026-05-10"))],
            [subscription("canceled", ended=at("2026-05-10"))],
            [
                (m, n, 1000)
                for m, n in (("2026-01", "new"), ("2026-02", "churn"), ("2026-04", "new"), ("2026-05", "churn"))
            ],
        ),
        "what is billed by use, or once": ([invoice(line("2026-01-10", "2026-02-10", price="used"))], [GOES], []),
        "a period from one month's beginning to the next one's": (
            [invoice(line("2026-01-01", "2026-02-01"))],
            [subscription("canceled", ended=at("2026-02-01"))],
            [("2026-01", "new", 1000), ("2026-02", "churn", 1000)],
        ),
        "nothing is paid": ([invoice(JANUARY, status="open")], [subscription("incomplete")], []),
        "what begins after the end": (
            [invoice(JANUARY | {"subscription_item": "o"}, subscription_id="other"), invoice(FEBRUARY)],
            [
                subscription(id="other", items=frozenset({("o", "m")})),
                subscription("canceled", ended=at("2026-01-20")),
            ],
            [("2026-01", "new", 1000)],
        ),
    }.values(),
)
def test_what_is_paid_monthly_moves(invoices, subscriptions, expected):
    assert movements(invoices, subscriptions) == expected


BEGUN = line("2026-01-10", "2026-02-10", id="il_1", discount=200)
AT_HALF = line("2026-01-10", "2026-02-10", id="il_1", discount=500)
ADDON = line("2026-01-10", "2026-02-10", id="il_2", discount=500, subscription_item="addon")
BACK = line(*REST, -400, **PART, credited=["il_1"])
MONTH, MORE = JANUARY | {"id": "il_1"}, line("2026-01-12", "2026-02-10", 500, **PART, id="il_2")
UNNAMED, NAMES_MONTH, NAMES_MORE = (line(*REST, -500, **PART, credited=its) for its in (None, ["il_1"], ["il_2"]))


@pytest.mark.parametrize(
    ("lines", "expected"),
    {
        "an upgrade, its discount in the amounts": ([BEGUN, BACK, line(*REST, 800, "twice", **PART)], 1600),
        "an upgrade, its discount itemized": (
            [
                BEGUN,
                line(*REST, -500, **PART, credited=["il_1"], discount=-100),
                line(*REST, 1000, "twice", **PART, discount=200),
            ],
            1600,
        ),
        "a credit that names nothing": (
            [BEGUN, line(*REST, -400, **PART), line(*REST, 800, "twice", **PART)],
            1600,
        ),
        "a credit of the present price, as classic billing has it": (
            [BEGUN, line(*REST, -500, **PART), line(*REST, 1000, "twice", **PART)],
            2000,
        ),
        "an add-on at half its price, taken away": (
            [AT_HALF, ADDON, line(*REST, -250, **PART, credited=["il_2"], subscription_item="addon")],
            500,
        ),
        "up and down again within the period": (
            [
                BEGUN,
                BACK,
                line(*REST, 800, "twice", **PART),
                line("2026-01-27", "2026-02-10", -723, "twice", **PART),
                line("2026-01-27", "2026-02-10", 361, **PART),
            ],
            799,  # 361 of 361.29, stretched; the renewal says 800
        ),
        "without a discount, its rounding is known": ([line("2026-01-27", "2026-02-10", 451, **PART)], 1000),
        "the last minutes of a period": ([line("2026-01-31T23:50", "2026-02-01T00:10", 0, **PART)], 1000),
        "the rest of a quarter that began on a 30th": (
            [
                line("2025-11-30", "2026-02-28", 1500, "quarterly", subscription_item="x"),
                line("2026-01-14", "2026-02-28", 400, "quarterly", **PART),
            ],
            500 + 267,
        ),
        "inclusive tax": ([line("2026-01-10", "2026-02-10", 1190, discount=119, inclusive_tax=171)], 900),
        "inclusive tax of a part": ([line(*REST, 595, "tiered", **PART, inclusive_tax=95)], 1000),
        "the rest of a year": ([line("2025-09-01", "2026-03-01", 6000, "y", **PART, discount=600)], 907),
        "a part that ends on a 31st, of a month that began on a 28th": (
            [line("2026-01-17", "2026-03-31", 1420, "tiered", **PART)],
            603,
        ),
        "its rounding allows just for the price": ([line(*REST, 499, **PART)], 1000),
        "two at half their price": ([line(*REST, 500, **PART, quantity=2)], 1000),
        "a credit that names a line before one that does not": ([MONTH, MORE, UNNAMED, NAMES_MONTH], 0),
        "a credit that names the younger": ([MONTH, MORE, NAMES_MORE], 1000),
        "one that names nothing is of the oldest, wherever it stands": ([MORE, MONTH, UNNAMED], 534),
        "of two parts it is of the older alone": (
            [
                line("2026-01-12", "2026-02-10", 100, "tiered", **PART),
                line("2026-01-14", "2026-02-10", 200, "tiered", **PART),
                line(*REST, -100, "tiered", **PART),
            ],
            230,
        ),
        "a line of no time": ([JANUARY, line("2026-01-10", "2026-01-10", 500, **PART)], 1000),
    }.values(),
)
def test_what_is_paid_monthly_as_a_month_of_changes_ends(lines, expected):
    moves = [each for each in movements([invoice(*lines)], [GOES]) if each[0] <= "2026-01"]
    assert sum(amount if name in {"new", "expansion"} else -amount for _, name, amount in moves) == expected


@pytest.mark.parametrize(
    ("taxes", "expected"),
    {
        "since basil": ({"taxes": [{"amount": 190, "tax_behavior": "inclusive"}]}, 1000),
        "since basil, on top": ({"taxes": [{"amount": 190, "tax_behavior": "exclusive"}]}, 1190),
        "before": ({"tax_amounts": [{"amount": 190, "inclusive": True}]}, 1000),
        "before, on top": ({"tax_amounts": [{"amount": 190, "inclusive": False}]}, 1190),
        "none": ({}, 1190),
    }.values(),
)
def test_inclusive_tax_is_not_what_is_paid_monthly(taxes, expected):
    period = {"start": int(at("2026-01-10").timestamp()), "end": int(at("2026-02-10").timestamp())}
    fields = {"id": "il_1", "description": "Starter", "amount": 1190, "quantity": 1, "price": "m", "period": period}
    assert movements([invoice(invoice_line(fields | taxes))], [])[0] == ("2026-01", "new", expected)


@pytest.mark.parametrize(
    ("items", "goes_on"),
    {
        "the same price": ({("si", "m")}, True),
        "another one, whose change is not invoiced yet": ({("si", "twice")}, True),
        "one that is billed by use": ({("si", "used")}, False),
        "another item": ({("other", "m")}, False),
    }.values(),
)
def test_a_line_goes_on_while_its_item_is_billed_beforehand(items, goes_on):
    churn = [] if goes_on else [("2026-02", "churn", 1000)]
    assert movements([invoice(JANUARY)], [subscription(items=frozenset(items))]) == [("2026-01", "new", 1000), *churn]


def test_trials_and_payments_are_counted_where_they_are():
    trial = subscription(trial_start=at("2026-01-10"), trial_end=at("2026-02-10"))
    paid = invoice(FEBRUARY, paid_at=at("2026-02-11"), first_failed_at=at("2026-02-10"))
    free = invoice(line("2026-01-10", "2026-02-10", 0), paid_at=at("2026-01-10"))
    found = parts([free, paid], [trial], RATES)
    assert Part("now", "eur", "status active", 0, 1) in found
    assert [each for each in found if each.month != "now" and not each.name.startswith("cohort")] == [
        Part("2026-01", "eur", "paid", 0, 1),
        Part("2026-01", "eur", "started", 0, 1),
        Part("2026-01", "eur", "trialing", 0, 1),
        Part("2026-01", "eur", "trials", 0, 1),
        Part("2026-02", "eur", "active", 0, 1),
        Part("2026-02", "eur", "converted", 0, 1),
        Part("2026-02", "eur", "failed", 1000, 1),
        Part("2026-02", "eur", "new", 1000, 1),
        Part("2026-02", "eur", "paid", 1000, 1),
        Part("2026-02", "eur", "recovered", 1000, 1),
        Part("2026-02", "eur", "trialing", 0, -1),
        Part("2026-02", "eur", "trials_ended", 0, 1),
    ]
    left = subscription("canceled", trial_start=at("2026-01-10"), trial_end=at("2026-02-10"), ended=at("2026-01-20"))
    assert ("2026-01", "trials_ended") in {(each.month, each.name) for each in parts([free], [left], RATES)}
    assert "converted" not in {each.name for each in parts([free], [left], RATES)}


def test_whose_month_a_customer_is_of_is_told_by_each_that_comes_and_goes():
    gap = [invoice(JANUARY), invoice(line("2026-04-10", "2026-05-10"))]
    found = parts(gap, [subscription("canceled", ended=at("2026-05-10"))], RATES)
    assert [
        (each.month, each.currency, each.amount, each.number) for each in found if each.name == "cohort 2026-01"
    ] == [
        ("2026-01", "eur", 0, 1),
        ("2026-02", "eur", 0, -1),
        ("2026-04", "eur", 0, 1),
        ("2026-05", "eur", 0, -1),
    ]


def test_what_is_paid_twice_in_a_month_is_added_up():
    paid = [invoice(JANUARY, paid_at=at(f"2026-01-1{day}")) for day in range(3)]
    assert Part("2026-01", "eur", "paid", 3000, 3) in parts(paid, [], RATES)


@pytest.mark.parametrize(
    ("status", "expected"),
    [("incomplete", [Part("now", "eur", "status incomplete", 0, 1)]), ("incomplete_expired", [])],
)
def test_what_was_never_paid_has_not_started(status, expected):
    assert parts([], [subscription(status)], RATES) == expected


TRIED = {"trial_start": at("2026-01-10"), "trial_end": at("2026-02-10")}
FREE = invoice(line("2026-02-10", "2026-03-10", 0))


@pytest.mark.parametrize(
    ("invoices", "trial", "expected"),
    {
        "no invoice": ([], TRIED, {"trials", "trials_ended"}),
        "nothing to pay": ([FREE], TRIED, {"trials", "trials_ended"}),
        "a cent": ([invoice(line("2026-02-10", "2026-03-10", 1))], TRIED, {"trials", "trials_ended", "converted"}),
        "money and then nothing": ([invoice(FEBRUARY), FREE], TRIED, {"trials", "trials_ended", "converted"}),
        "no end": ([], {"trial_start": at("2026-01-10")}, set()),
    }.values(),
)
def test_which_trials_go_on_for_money(invoices, trial, expected):
    found = {each.name for each in parts(invoices, [subscription(**trial)], RATES)}
    assert found & {"trials", "trials_ended", "converted"} == expected


def test_months_are_utcs_wherever_the_gateway_runs(far_west):
    rest = invoice(line("2026-02-15", "2026-03-01", 500, "tiered", **PART), paid_at=at("2026-03-01"))
    found = parts([rest], [subscription("canceled", ended=at("2026-03-01"))], RATES)
    moves = [each[:4] for each in found if each.name in {"new", "churn", "paid"}]
    assert moves == [
        ("2026-02", "eur", "new", 1000),
        ("2026-03", "eur", "churn", 1000),
        ("2026-03", "eur", "paid", 500),
    ]


FAILED = {"status": "open", "first_failed_at": at("2026-02-10"), "created": at("2026-02-10")}
PAID_LATE = {**FAILED, "status": "paid", "paid_at": at("2026-04-02")}
TRIAL = {"trial_start": at("2026-01-10"), "trial_end": at("2026-03-01")}
STANDS = {
    "nothing is owed": ([], {}, ["a+01"]),
    "it ended": ([], {"status": "canceled", "ended": at("2026-03-05")}, ["a+01", "a-03"]),
    "it ended as a month did": ([], {"status": "canceled", "ended": at("2026-02-01")}, ["a+01", "a-02"]),
    "it ended in its month": ([], {"status": "canceled", "ended": at("2026-01-31")}, []),
    "a trial to the end of a month": ([], TRIAL, ["a+03", "t+01", "t-03"]),
    "a trial that ended early": (
        [],
        {**TRIAL, "status": "canceled", "ended": at("2026-02-10")},
        ["t+01", "t-02"],
    ),
    "a trial without a card": ([], {**TRIAL, "status": "paused"}, ["t+01", "t-03"]),
    "paid late": ([PAID_LATE], {}, ["a+01", "a-02", "a+04"]),
    "paid late in the same month": ([{**PAID_LATE, "paid_at": at("2026-02-28")}], {}, ["a+01"]),
    "owed still": ([FAILED], {"status": "past_due"}, ["a+01", "a-02"]),
    "given up": ([FAILED], {"status": "canceled", "ended": at("2026-03-05")}, ["a+01", "a-02"]),
    "void by now": ([{**FAILED, "status": "void"}], {}, ["a+01"]),
    "open, and Stripe says active": ([FAILED], {}, ["a+01"]),
    "a later one was paid": (
        [FAILED, {**PAID_LATE, "first_failed_at": None, "created": at("2026-03-10")}],
        {},
        ["a+01", "a-02", "a+04"],
    ),
    "an earlier one was paid": (
        [FAILED, {**PAID_LATE, "first_failed_at": None, "created": at("2026-01-10")}],
        {"status": "unpaid"},
        ["a+01", "a-02"],
    ),
    "by a bill, paid in time": ([{**PAID_LATE, "first_failed_at": None, "due": at("2026-05-01")}], {}, ["a+01"]),
    "by a bill, overdue": (
        [{**FAILED, "first_failed_at": None, "due": at("2026-03-20")}],
        {"status": "past_due"},
        ["a+01", "a-03"],
    ),
    "nobody told why it is past due": (
        [{**FAILED, "first_failed_at": None}],
        {"status": "past_due"},
        ["a+01", "a-02"],
    ),
    "never paid for": ([FAILED], {"status": "incomplete"}, []),
}  # fmt: skip


@pytest.mark.parametrize(("invoices", "columns", "expected"), STANDS.values(), ids=STANDS)
def test_as_which_months_end_a_subscription_is_active_or_on_trial(invoices, columns, expected):
    found = parts([invoice(**each) for each in invoices], [subscription(**columns)], {})
    fields = [each for each in found if each.name in {"active", "trialing"}]
    assert {abs(each.number) for each in fields} <= {1}
    assert sorted(f"{each.name[0]}{'+-'[each.number < 0]}{each.month[5:]}" for each in fields) == sorted(expected)
