"""The figures of some months, from sums: as tables, and what is read for them from a database."""

from dataclasses import asdict
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from gateway.billing.figures import report
from gateway.billing.figures.report import Cohort, Month
from gateway.errors import BadInput
from gateway.models.credits import CreditAccount
from gateway.models.figures import CustomerFigures, Figure
from gateway.models.metering import UsageRecord

SUMS = {
    ("2025-12", "eur"): {"new": (1000, 2), "paid": (1500, 3), "started": (0, 4), "active": (0, 3), "trialing": (0, 1)},
    ("2026-01", "eur"): {
        "new": (50, 1),
        "expansion": (300, 1),
        "contraction": (120, 1),
        "churn": (400, 1),
        "paid": (700, 5),
        "failed": (90, 6),
        "recovered": (80, 7),
        "started": (0, 2),
        "ended": (0, 1),
        "active": (0, -2),
        "trialing": (0, 1),
        "trials": (0, 8),
        "trials_ended": (0, 4),
        "converted": (0, 1),
    },
    ("2026-01", "usd"): {"new": (200, 1)},
}
NOTHING = dict.fromkeys(Month.__slots__, 0)
JANUARY = {
    "month": "2026-01",
    "currency": "eur",
    "mrr": 830,
    "new": 50,
    "expansion": 300,
    "contraction": 120,
    "churn": 400,
    "customers": 2,
    "new_customers": 1,
    "churned_customers": 1,
    "customers_before": 2,
    "paid": 700,
    "paid_invoices": 5,
    "failed": 90,
    "failed_invoices": 6,
    "recovered": 80,
    "recovered_invoices": 7,
    "started": 2,
    "ended": 1,
    "subscriptions": 5,
    "active": 1,
    "trialing": 2,
    "trials": 8,
    "trials_ended": 4,
    "converted": 1,
}
STANDS = {"mrr": 830, "customers": 2, "customers_before": 2, "subscriptions": 5, "active": 1, "trialing": 2}


def test_what_was_before_the_wanted_months_counts_and_goes_on_after_them():
    found = [asdict(each) for each in report.months(SUMS, ["2026-01", "2026-02"])]
    american = NOTHING | {"currency": "usd", "mrr": 200, "customers": 1}
    assert found == [
        JANUARY,
        NOTHING | STANDS | {"month": "2026-02", "currency": "eur"},
        american | {"month": "2026-01", "new": 200, "new_customers": 1},
        american | {"month": "2026-02", "customers_before": 1},
    ]


@pytest.mark.parametrize(
    ("mrr", "customers", "arpa"), [(5, 2, 3), (1, 3, 0), (2, 3, 1), (4, 3, 1), (900, 1, 900), (0, 0, 0)]
)
def test_the_mrr_for_each_customer_is_rounded(mrr, customers, arpa):
    assert Month(**JANUARY | {"mrr": mrr, "customers": customers}).arpa == arpa


def test_a_share_of_nobody_is_none():
    assert (Month(**JANUARY).churn_rate, Month(**JANUARY).trial_conversion) == (0.5, 0.25)
    assert (Month(**NOTHING).churn_rate, Month(**NOTHING).trial_conversion) == (None, None)


def test_the_table_has_major_units_and_nothing_where_there_is_no_share():
    yen = NOTHING | {"month": "2026-01", "currency": "jpy", "mrr": 830}
    assert report.csv_of([Month(**JANUARY), Month(**yen)]).split("\r\n") == [
        ",".join((*Month.__slots__, "arpa", "churn_rate", "trial_conversion")),
        "2026-01,EUR,8.30,0.50,3.00,1.20,4.00,2,1,1,2,7.00,5,0.90,6,0.80,7,2,1,5,1,2,8,4,1,4.15,0.5,0.25",
        "2026-01,JPY,830,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,,",
        "",
    ]


def test_in_one_currency_amounts_are_at_their_rates_and_counts_are_added():
    euros, yen = Month(**JANUARY), Month(**JANUARY | {"currency": "jpy", "mrr": 101, "paid": 7})
    later = Month(**JANUARY | {"month": "2026-02", "currency": "jpy", "mrr": 1})
    rates = {"eur": Decimal(1), "jpy": Decimal("0.005")}  # a yen is half a cent
    first, second = report.in_one([later, euros, yen], rates, "eur")
    assert (first.month, first.currency, second.month, second.currency) == ("2026-01", "eur", "2026-02", "eur")
    assert (first.mrr, first.paid, first.new, first.churn) == (830 + 51, 700 + 4, 50 + 25, 400 + 200)  # halves up
    assert (first.customers, first.paid_invoices, first.converted) == (4, 10, 2)
    assert (second.mrr, second.customers) == (1, 2)
    with pytest.raises(BadInput, match=r"rate for JPY.* GATEWAY_FIGURES_RATES$"):
        report.in_one([euros, yen], {"eur": Decimal(1)}, "eur")


@pytest.mark.parametrize(
    ("first", "last", "months"),
    [
        ("2025-11", "2026-02", ["2025-11", "2025-12", "2026-01", "2026-02"]),
        ("2026-02", "2026-02", ["2026-02"]),
        ("0999-12", "0999-12", ["0999-12"]),
        ("2026-02", "2026-01", None),
        ("2026-02", "2036-02", None),
        ("2026-13", "2026-12", None),
        ("2026-01", "now", None),
    ],
)
def test_the_months_from_one_to_another(first, last, months):
    if months is None:
        with pytest.raises(BadInput):
            report.months_between(first, last)
    else:
        assert report.months_between(first, last) == months


def test_ten_years_are_the_most():
    assert len(report.months_between("2026-02", "2036-01")) == 120


def test_the_month_that_follows():
    assert [report.month_after(each) for each in ("2026-11", "2026-12", "0099-01")] == ["2026-12", "2027-01", "0099-02"]


def test_a_cohort_is_told_in_the_wanted_months_since_it_began():
    january, march = "cohort 2026-01", "cohort 2026-03"
    sums = {
        ("2025-12", "eur"): {"cohort 2025-12": (0, 7)},
        ("2026-03", "eur"): {january: (0, -2), march: (0, 1), "new": (900, 1)},
        ("2026-01", "eur"): {january: (0, 5), "new": (100, 5)},
        ("2026-04", "eur"): {january: (0, -1)},
        ("2026-01", "usd"): {january: (0, 4)},
    }
    assert report.cohorts(sums, ["2026-01", "2026-02", "2026-03"]) == [
        Cohort("2026-01", "eur", {"2026-01": 5, "2026-02": 5, "2026-03": 3}),
        Cohort("2026-01", "usd", {"2026-01": 4, "2026-02": 4, "2026-03": 4}),
        Cohort("2026-03", "eur", {"2026-03": 1}),
    ]


async def test_what_is_read(database, fill):
    since, until = (datetime(2026, month, 1, tzinfo=UTC) for month in (1, 2))

    def used(value: int, at: datetime, name: str = "calls") -> UsageRecord:
        columns = {"customer_id": "cus_1", "event_name": name, "value": value, "fingerprint": "", "status": "sent"}
        return UsageRecord(id=f"{value}", **columns, timestamp=at, created=at)

    await fill(
        Figure(month="2026-01", currency="eur", name="new", amount=900, count=1),
        Figure(month="2026-01", currency="eur", name="churn", amount=100, count=2),
        Figure(month="2026-02", currency="eur", name="new", amount=800, count=3),
        Figure(month="now", currency="usd", name="status trialing", count=1),
        Figure(month="now", currency="eur", name="status active", count=5),
        Figure(month="now", currency="eur", name="status past_due", count=0),
        CustomerFigures(customer_id="cus_1", due=True),
        CustomerFigures(customer_id="cus_2", due=False),
        used(1, since),
        used(2, until),
        used(4, until.replace(month=1, day=31)),
        used(8, since.replace(year=2025)),
        used(16, since, "bytes"),
    )
    assert await report.credits_outstanding(database) == 0
    accounts = {"cus_1": 70, "cus_1 ai": 30, "cus_2": -40, "cus_3": 1}
    await fill(*(CreditAccount(customer_id=name, balance=balance, clock=since) for name, balance in accounts.items()))
    assert await report.read_sums(database, "2026-01") == {("2026-01", "eur"): {"new": (900, 1), "churn": (100, 2)}}
    assert (await report.read_sums(database, "2026-12")).keys() == {("2026-01", "eur"), ("2026-02", "eur")}
    assert await report.now_by_status(database) == [("eur", "active", 5), ("usd", "trialing", 1)]
    assert await report.credits_outstanding(database) == 101
    assert await report.usage_between(database, since, until) == [("bytes", 16), ("calls", 5)]
    assert await report.waiting(database) == 1
