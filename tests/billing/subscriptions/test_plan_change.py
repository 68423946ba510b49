"""Which item becomes what, and what stands against a change: a table without HTTP and without a database."""

from datetime import timedelta

import pytest

from gateway.billing.subscriptions.plan_change import PlanChange, already_applied, check_paid, plan_items, preview_of
from gateway.billing.subscriptions.quotes import digest_of, too_old
from gateway.billing.user_errors import Rejected
from gateway.stripe_api.client import StripeResponse
from harness.rows import NOW, item, price, product, snapshot, state

CATALOG = snapshot(
    product("starter"),
    product("pro"),
    product("seats", meta={"addon": "true"}),
    product("storage", meta={"group": "storage"}),
    product("disk", meta={"group": "storage"}),
    product("gone", active=False),
    price("starter_m", "starter"),
    price("starter_y", "starter", 9000, interval="year"),
    price("starter_old", "starter", active=False),
    price("pro_m", "pro", 2900),
    price("pro_eur", "pro", 2900, currency="eur"),
    price("seat_m", "seats", 500),
    price("storage_m", "storage", 100),
    price("disk_m", "disk", 200),
    price("calls", "pro", None, usage_type="metered"),
    price("pack", "pro", 500, interval=None, interval_count=None, usage_type=None),
    price("gone_m", "gone"),
)
STARTER, SEATS = item("si_starter", "starter_m", "starter"), item("si_seats", "seat_m", "seats", 3)
STORAGE, CALLS = item("si_storage", "storage_m", "storage"), item("si_calls", "calls", "pro", None)
OLD = item("si_old", "starter_old", "starter", 7)


def planned(change: PlanChange, *items):
    """The item that changes with its price and quantity, or the code and field of what stands against it."""
    try:
        (target,) = plan_items(change, state(*items), CATALOG, 10)
    except Rejected as rejected:
        (problem,) = rejected.problems
        return problem.code.name, problem.field
    return target["id"], target["price"], target.get("quantity")


NEEDED = ("SUBSCRIPTION_ITEM_NEEDED", "subscriptionItemId")
QUANTITY = ("QUANTITY_INVALID", "quantity")


@pytest.mark.parametrize(
    ("change", "items", "expected"),
    [
        (PlanChange("pro_m"), [STARTER], ("si_starter", "pro_m", 1)),
        (PlanChange("starter_y"), [STARTER], ("si_starter", "starter_y", 1)),
        (PlanChange("pro_m"), [OLD], ("si_old", "pro_m", 7)),  # keeps the quantity
        (PlanChange("pro_m", 2), [OLD], ("si_old", "pro_m", 2)),
        (PlanChange("pro_m"), [CALLS], ("si_calls", "pro_m", 1)),  # a metered item has none to keep
        (PlanChange("storage_m"), [STARTER], ("si_starter", "storage_m", 1)),  # the only one there is
        (PlanChange("calls"), [STARTER], ("si_starter", "calls", None)),
        (PlanChange("calls", 1), [STARTER], QUANTITY),
        (PlanChange("pro_m", 0), [STARTER], QUANTITY),
        (PlanChange("pro_m", 1), [STARTER], ("si_starter", "pro_m", 1)),
        (PlanChange("pro_m", 10), [STARTER], ("si_starter", "pro_m", 10)),
        (PlanChange("pro_m", 11), [STARTER], QUANTITY),
        # of several items
        (PlanChange("pro_m"), [SEATS, STARTER], ("si_starter", "pro_m", 1)),  # the plan, not the add-on
        (PlanChange("pro_m"), [STARTER, SEATS], ("si_starter", "pro_m", 1)),
        (PlanChange("seat_m", 5), [STARTER, SEATS], ("si_seats", "seat_m", 5)),
        (PlanChange("disk_m"), [STARTER, STORAGE], ("si_storage", "disk_m", 1)),
        (PlanChange("starter_y"), [STORAGE, STARTER], ("si_starter", "starter_y", 1)),  # of the same product
        (PlanChange("pro_m"), [STARTER, CALLS], ("si_calls", "pro_m", 1)),  # of the same product, before the group
        (PlanChange("pro_m", item_id="si_starter"), [STARTER, CALLS], ("si_starter", "pro_m", 1)),
        (PlanChange("pro_m", item_id="si_seats"), [STARTER, SEATS], ("si_seats", "pro_m", 3)),
        (PlanChange("pro_m", item_id="si_other"), [STARTER, SEATS], NEEDED),
        (PlanChange("pro_m", item_id="si_other"), [STARTER], NEEDED),
        (PlanChange("pro_m"), [STARTER, OLD], NEEDED),  # two of its group
        (PlanChange("starter_y"), [STARTER, OLD], NEEDED),  # two of its product
        (PlanChange("starter_m", 2), [STARTER, OLD], ("si_starter", "starter_m", 2)),  # one of its price
        (PlanChange("pro_m"), [SEATS, STORAGE], NEEDED),  # none of its group
        (PlanChange("seat_m"), [STARTER, STORAGE], NEEDED),
        (PlanChange("storage_m"), [STARTER, STORAGE], ("si_storage", "storage_m", 1)),  # whichever comes first
        (PlanChange("storage_m"), [STORAGE, STARTER], ("si_storage", "storage_m", 1)),
        # prices
        (PlanChange("nothing"), [STARTER], ("PRICE_NOT_FOUND", "priceId")),
        (PlanChange("pack"), [STARTER], ("PRICE_NOT_RECURRING", "priceId")),
        (PlanChange("gone_m"), [STARTER], ("PRICE_NOT_ON_SALE", "priceId")),  # its product is not
        (PlanChange("starter_old"), [STARTER], ("PRICE_NOT_ON_SALE", "priceId")),
        (PlanChange("starter_old", 2), [OLD], ("si_old", "starter_old", 2)),  # who has it may keep it
        (PlanChange("pro_eur"), [STARTER], ("CURRENCY_NOT_OFFERED", "priceId")),
    ],
)
def test_which_item_becomes_what(change, items, expected):
    assert planned(change, *items) == expected


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


@pytest.mark.parametrize(
    ("target", "applied"),
    [
        ({"id": "si_starter", "price": "starter_m", "quantity": 1}, True),
        ({"id": "si_starter", "price": "starter_m", "quantity": 2}, False),
        ({"id": "si_starter", "price": "pro_m", "quantity": 1}, False),
        ({"id": "si_seats", "price": "starter_m", "quantity": 1}, False),
        ({"id": "si_calls", "price": "calls"}, True),
    ],
)
def test_what_is_so_already_needs_no_change(target, applied):
    assert already_applied(state(STARTER, SEATS, CALLS), [target]) is applied


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
    ],
)
def test_a_quote_is_of_one_state(other):
    assert digest_of(subscription()) == digest_of(subscription(latest_invoice="in_2", metadata={"a": "b"}))
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
    found = preview_of(state(STARTER), "pro_m", as_of=900, due=due, renewal=None)
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
        seconds(preview_of(state(STARTER), "pro_m", as_of=900, due=due, renewal=renewal).proration_date) == counted_from
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
        ([invoice_line(1_500, 2_500, price="seat_m")], None),
        ([], None),
    ],
)
def test_a_quote_says_what_a_renewal_costs_and_when_it_comes(lines, renews_at):
    found = preview_of(
        state(STARTER), "pro_m", as_of=900, due=None, renewal=previewed(*lines, total=2_900, as_of=1_200)
    )
    assert (found.due_at_renewal, seconds(found.renews_at)) == (2_900, renews_at)


def test_a_change_in_a_trial_costs_nothing_now():
    found = preview_of(state(STARTER, status="trialing"), "pro_m", as_of=900, due=None, renewal=None)
    assert (found.due_now, found.credit, found.lines, found.renews_at) == (0, 0, [], None)
    assert seconds(found.proration_date) == 900
