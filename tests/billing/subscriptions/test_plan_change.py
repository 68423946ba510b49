"""What stands against a change, and what quotes say: a table without HTTP and without a database."""

from datetime import timedelta

import pytest

from gateway.billing.subscriptions.pending import PendingChange, renews_with
from gateway.billing.subscriptions.plan_change import (
    billed_before,
    billed_prices,
    check_paid,
    is_unconfirmed,
    preview_of,
)
from gateway.billing.subscriptions.quotes import digest_of, too_old
from gateway.billing.user_errors import Rejected
from gateway.stripe_api.client import StripeResponse
from harness.rows import NOW, item, state

STARTER = item("si_starter", "starter_m", "starter")


@pytest.mark.parametrize(
    ("status", "latest", "paid"),
    [
        ("active", None, True),
        ("active", "paid", True),
        ("active", "void", True),
        ("trialing", "paid", True),
        ("active", "draft", False),  # the renewal's draft hour
        ("active", "open", False),  # a bank debit on its way
        ("active", "uncollectible", False),
        ("past_due", "paid", False),
        ("unpaid", "paid", False),
        ("incomplete", "paid", False),
    ],
)
def test_nobody_changes_out_of_a_debt(status, latest, paid):
    invoice = latest and {"status": latest}
    if paid:
        check_paid(status, invoice)
    else:
        with pytest.raises(Rejected) as refused:
            check_paid(status, invoice)
        (problem,) = refused.value.problems
        assert (problem.code.name, problem.field) == ("INVOICE_UNPAID", "subscriptionId")


def response(obj: dict, as_of: int = 1_000) -> StripeResponse:
    return StripeResponse(obj, as_of, 0, replayed=False)


def subscription(**more) -> dict:
    only = {"id": "si_1", "price": {"id": "starter_m"}, "quantity": 1, "current_period_end": 5}
    return {"id": "sub_1", "status": "active", "items": {"data": [only | more.pop("item", {})]}, **more}


@pytest.mark.parametrize(
    "other",
    [
        {"item": {"quantity": 2}},
        {"item": {"price": {"id": "pro_m"}}},
        {"item": {"current_period_end": 6}},
        {"item": {"id": "si_2"}},
        {"status": "trialing"},
        {"discounts": ["di_1"]},
        {"item": {"discounts": ["di_1"]}},
        {"customer": {"discount": {"id": "di_1"}}},
        {"customer": {"balance": -500}},  # which another subscription may have used up meanwhile
        {"latest_invoice": "in_2"},
    ],
)
def test_a_quote_is_of_one_state(other):
    assert digest_of(subscription()) == digest_of(subscription(customer={"discount": None}, metadata={"a": "b"}))
    assert digest_of(subscription(**other)) != digest_of(subscription())


@pytest.mark.parametrize(("age", "good"), [(0, True), (15 * 60, True), (15 * 60 + 1, False), (-60, True), (-61, False)])
def test_a_quote_is_good_for_minutes_by_stripes_clock(age, good):
    moment = int(NOW.timestamp())
    assert (too_old(NOW - timedelta(seconds=age), response({}, moment)) is None) is good
    assert too_old(NOW - timedelta(days=9), response({"test_clock": "clock_1"}, moment)) is None


def invoice_line(start: int, end: int, amount: int = 0, price: str = "pro_m", *, proration: bool = False) -> dict:
    parent = {"subscription_item_details": {"proration": proration, "subscription_item": "si_1"}}
    line = {"id": "il_1", "description": "x", "amount": amount, "quantity": 1, "period": {"start": start, "end": end}}
    return line | {"parent": parent, "pricing": {"price_details": {"price": price}}}


def previewed(*lines: dict, amount_due: int = 0, total: int = 0, as_of: int = 1_000, **more) -> StripeResponse:
    """Stripe's preview of an invoice, read at a moment."""
    invoice = {"customer": "cus_1", "number": None, "status": "draft", "billing_reason": "x", "currency": "usd"}
    amounts = {"subtotal": total, "total": total, "amount_due": amount_due, "amount_paid": 0, "amount_remaining": 0}
    invoice |= {"attempt_count": 0, "lines": {"data": list(lines)}, "period_start": 0, "period_end": 0, "created": 0}
    invoice |= {"status_transitions": {"finalized_at": None, "paid_at": None}, **amounts, **more}
    return response(invoice, as_of)


@pytest.mark.parametrize(
    ("amount_due", "total", "expected"),
    [(1_500, 1_500, (1_500, 0)), (0, 0, (0, 0)), (0, -1, (0, 1)), (0, -700, (0, 700)), (200, 700, (200, 0))],
)
def test_a_quote_says_what_is_due_and_what_is_left_over(amount_due, total, expected):
    due = previewed(invoice_line(900, 2_000, total, proration=True), amount_due=amount_due, total=total)
    found = preview_of(state(STARTER), {"pro_m"}, as_of=900, due=due, renewal=None)
    assert (found.due_now, found.credit) == expected
    assert (found.currency, [line["amount"] for line in found.lines]) == ("usd", [total])
    assert found.due_at_renewal is None


def seconds(moment) -> int | None:
    """A moment in Unix seconds; what is not in UTC is none."""
    assert moment is None or moment.utcoffset() == timedelta(0)
    return moment and int(moment.timestamp())


SAID = {"parent": {"subscription_details": {"subscription_proration_date": 700}}}
PRORATED, WHOLE = invoice_line(900, 2_000, proration=True), invoice_line(800, 2_000)


@pytest.mark.parametrize(
    ("due", "renewal", "counted_from"),
    [
        (previewed(PRORATED, **SAID), None, 700),  # Stripe says it
        (previewed(PRORATED, parent={"subscription_details": {}}), None, 900),
        (previewed(PRORATED, parent={"quote_details": {}}), None, 900),
        (previewed(PRORATED), previewed(as_of=1_200), 900),
        (previewed(WHOLE, PRORATED, invoice_line(950, 2_000, proration=True)), None, 900),  # where they begin
        (previewed(WHOLE, as_of=1_100), None, 1_100),  # there are none: when it was read
        (previewed(as_of=1_100), previewed(as_of=1_200), 1_100),
        (None, previewed(as_of=1_200), 1_200),
    ],
)
def test_a_quote_counts_from_the_moment_that_stripe_counted_from(due, renewal, counted_from):
    assert (
        seconds(preview_of(state(STARTER), {"pro_m"}, as_of=900, due=due, renewal=renewal).proration_date)
        == counted_from
    )


@pytest.mark.parametrize(
    ("lines", "renews_at"),
    [
        ([invoice_line(1_500, 2_500)], 1_500),  # the period that comes
        ([invoice_line(1_200, 2_500)], 2_500),  # that has begun, as a change of interval does
        ([invoice_line(1_201, 2_500)], 1_201),
        ([invoice_line(900, 2_500)], 2_500),
        ([invoice_line(1_300, 2_500, price="seat_m"), invoice_line(1_500, 2_500)], 1_500),  # that of the plan
        ([invoice_line(1_500, 2_500), invoice_line(1_700, 2_500)], 1_500),
        ([invoice_line(1_500, 2_500, price="seat_m")], 1_500),  # where the plan is not billed then
        ([], None),
    ],
)
def test_a_quote_says_what_a_renewal_costs_and_when_it_comes(lines, renews_at):
    found = preview_of(
        state(STARTER), {"pro_m"}, as_of=900, due=None, renewal=previewed(*lines, total=2_900, as_of=1_200)
    )
    assert (found.due_at_renewal, seconds(found.renews_at)) == (2_900, renews_at)


def test_a_change_that_waits_happens_when_the_renewal_comes():
    renewal = previewed(invoice_line(1_500, 2_500))
    found = preview_of(state(STARTER), {"pro_m"}, as_of=900, due=None, renewal=renewal, at=NOW)
    assert (found.at, found.renews_at) == (NOW, NOW)
    found = preview_of(state(STARTER), {"pro_m"}, as_of=900, due=None, renewal=renewal, at=NOW, renews=False)
    assert (found.at, seconds(found.renews_at)) == (NOW, 1_500)  # only what ends now goes


@pytest.mark.parametrize(
    ("then", "later", "billed"),
    [
        ([("pro_y", 1)], 0, False),  # the disk goes, the year goes on
        ([("pro_y", 1), ("disk", 2)], 0, True),
        ([("pro_y", 1), ("seat", 1)], 0, True),
        ([("pro_y", 2)], 0, True),
        ([("pro_y", 1)], 1, False),  # at another moment than the first end
    ],
)
def test_whether_a_renewal_is_billed_when_a_change_happens(then, later, billed):
    end = NOW + timedelta(days=30)
    year, disk = item("si_year", "pro_y", "pro"), item("si_disk", "disk", "disk")
    year.current_period_end, disk.current_period_end = NOW + timedelta(days=365), end
    assert renews_with(PendingChange(tuple(then), end + timedelta(days=later)), [year, disk]) is billed


def test_a_change_in_a_trial_costs_nothing_now():
    found = preview_of(state(STARTER, status="trialing"), {"pro_m"}, as_of=900, due=None, renewal=None)
    assert (found.due_now, found.credit, found.lines, found.renews_at) == (0, 0, [], None)
    assert seconds(found.proration_date) == 900


def test_the_invoice_of_a_change_that_waits_for_its_payment_is_no_debt():
    assert billed_before({"latest_invoice": {"id": "in_1"}, "pending_update": None}) == {"id": "in_1"}
    assert billed_before({"latest_invoice": {"id": "in_1"}, "pending_update": {"expires_at": 1}}) is None


@pytest.mark.parametrize(
    ("waiting", "wanted", "same"),
    [
        (None, [("pro_m", 1)], False),
        ([("pro_m", 1)], [("pro_m", 1)], True),
        ([("pro_m", 1)], [("pro_m", 2)], False),
        ([("pro_m", 1)], [("pro_y", 1)], False),
        ([("pro_m", 1), ("calls", None)], [("calls", None), ("pro_m", 1)], True),
        ([("pro_m", 1), ("calls", None)], [("pro_m", 1)], False),
    ],
)
def test_a_change_that_waits_already_is_not_asked_for_again(waiting, wanted, same):
    items = [{"price": {"id": price}, "quantity": quantity} for price, quantity in waiting or ()]
    update = {"expires_at": 9, "subscription_items": items} if waiting else None
    assert is_unconfirmed(subscription(pending_update=update), wanted) is same


def test_what_an_invoice_bills():
    assert billed_prices(previewed(invoice_line(1, 2), invoice_line(1, 2, price="seat_m"))) == {"pro_m", "seat_m"}
    assert billed_prices(None) == set()


def test_a_quote_says_until_when_a_trial_goes_on():
    quotes = [preview_of(state(STARTER), set(), as_of=1, due=None, renewal=None, trial_end=end) for end in (NOW, None)]
    assert [quote.trial_end for quote in quotes] == [NOW, None]
