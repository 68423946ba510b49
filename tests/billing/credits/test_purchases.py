"""What paid invoices and one-off checkouts say about credits, read from tables in memory."""

from datetime import timedelta

import pytest
import sqlalchemy as sa

from gateway.billing.credits import purchases
from gateway.billing.credits.prices import unknown_prices
from gateway.billing.credits.purchases import Purchase
from gateway.db.tables import table_for
from gateway.models.mirrored import Charge, CheckoutSession, InvoicePayment, Price
from harness.rows import NOW, at, charge, invoice, item, line, price, product, put, subscription

GRACE = timedelta(hours=2)
HOUR = 1 / 24


def plan(id: str = "month", credits: str = "100", **columns) -> Price:
    """A monthly plan of 9.00 with credits in its metadata."""
    return price(id, columns.pop("product_id", "pro"), **{"meta": {"credits": credits}, **columns})


def pack(id: str = "pack", **columns) -> Price:
    return plan(id, interval=None, interval_count=None, **columns)


def session(id: str = "cs_1", *lines: dict, **columns) -> CheckoutSession:
    given = {"customer_id": "cus_1", "mode": "payment", "ui_mode": "hosted", "status": "complete", "as_of": 0}
    given |= {"payment_status": "paid", "created": at(-1), "expires_at": at(1), "amount_total": 500}
    return CheckoutSession(id=id, line_items=list(lines), **{**given, **columns})


def sold(price_id: str | None = "pack", quantity: int | None = 1, **metadata: str) -> dict:
    """A line item of a checkout, as Stripe gives it: with its price whole."""
    return {"id": "li_1", "quantity": quantity, "price": price_id and {"id": price_id, "metadata": metadata}}


BY = {"id": "inpay_1", "as_of": 0, "invoice_id": "in_2", "payment_intent_id": "pi_1", "status": "paid"}


def read(connection, *ids: str) -> list[Purchase]:
    return purchases.read(connection, ids or ("in_1",), GRACE)


def brought(connection, *rows, ids: tuple[str, ...] = ("in_1",)) -> list[tuple[int, int, float | None]]:
    """Of each line of what was bought: its credits of a full period, those granted, in how many days they run out."""
    put(connection, *rows)
    grants = [grant for purchase in read(connection, *ids) for grant in purchase.grants]
    return [
        (each.units, each.granted, each.expires_at and round((each.expires_at - NOW) / timedelta(days=1), 6))
        for each in grants
    ]


END = round(27 + 2 * HOUR, 6)
"""When the credits of a month that began three days ago run out: at its end, and the time of the renewal's draft."""
MONTH = line(-3, 27)
TRIAL = {"trial_start": at(-3), "trial_end": at(11)}
TIERS = {
    "tiers_mode": "graduated",
    "tiers": [{"up_to": 5, "unit_amount": 100, "flat_amount": 500}, {"up_to": None, "unit_amount": 50}],
}

LINES = {
    "a month": ([MONTH], [plan()], [(100, 100, END)]),
    "three of it": ([line(-3, 27, 2700, quantity=3)], [plan()], [(300, 300, END)]),
    "no quantity, as of metered use": ([line(-3, 27, quantity=None)], [plan()], []),
    "no credits": ([MONTH], [plan(meta={})], []),
    "of the product": ([MONTH], [plan(meta={}), product("pro", meta={"credits": "7"})], [(7, 7, END)]),
    "of the product of a price that is billed by use": (
        [line(-3, 27, quantity=500)],
        [plan(meta={}, usage_type="metered"), product("pro", meta={"credits": "7"})],
        [],
    ),
    "of such a price itself": (
        [line(-3, 27, quantity=500)],
        [plan(credits="2", usage_type="metered"), product("pro", meta={"credits_rollover": "true"})],
        [(1000, 1000, END)],
    ),
    "of the price before the product": ([MONTH], [plan(), product("pro", meta={"credits": "7"})], [(100, 100, END)]),
    "both together": (
        [MONTH],
        [plan(), product("pro", meta={"credits_rollover": "true"})],
        [(100, 100, None)],
    ),
    "no number": ([MONTH], [plan(credits="many")], []),
    "a number of another script": ([MONTH], [plan(credits="٣")], []),
    "a number with a fraction": ([MONTH], [plan(credits="1.5")], []),
    "less than nothing": ([MONTH], [plan(credits="-5")], []),
    "the largest number": ([MONTH], [plan(credits="999999999")], [(999999999, 999999999, END)]),
    "a larger one": ([MONTH], [plan(credits="1000000000")], []),
    "one": ([MONTH], [plan(credits="1")], [(1, 1, END)]),
    "an unknown price": ([MONTH], [], []),
    "no price": ([line(-3, 27, price=None)], [plan()], []),
    "rolls over": ([MONTH], [plan(meta={"credits": "100", "credits_rollover": "True"})], [(100, 100, None)]),
    "does not": ([MONTH], [plan(meta={"credits": "100", "credits_rollover": "yes"})], [(100, 100, END)]),
    "expires in days": ([MONTH], [plan(meta={"credits": "100", "credits_expire_days": "5"})], [(100, 100, 2)]),
    "in more days than the period has": (
        [MONTH],
        [plan(meta={"credits": "100", "credits_expire_days": "50"})],
        [(100, 100, END)],
    ),
    "rolls over for some days": (
        [MONTH],
        [plan(meta={"credits": "100", "credits_rollover": "true", "credits_expire_days": "50"})],
        [(100, 100, 47)],
    ),
    "in a thousand years": (
        [MONTH],
        [plan(meta={"credits": "1", "credits_rollover": "true", "credits_expire_days": "365000"})],
        [(1, 1, 36497)],
    ),
    "a pack on a subscription's invoice": ([line(-3, 27, price="pack")], [pack()], [(100, 100, None)]),
    "a pack for some days": (
        [line(-3, -3, price="pack", quantity=2)],
        [pack(meta={"credits": "9", "credits_expire_days": "5"})],
        [(18, 18, 2)],
    ),
    "a plan without time": ([line(-3, -3)], [plan()], []),
    "a plan on an invoice of several subscriptions": ([MONTH], [plan()], [], {"subscription_id": None}),
    "a pack on a one-off invoice": (
        [line(-3, -3, price="pack")],
        [pack()],
        [(100, 100, None)],
        {"subscription_id": None},
    ),
    "a pack given away": ([line(-3, -3, 0, price="pack")], [pack()], [(100, 100, None)]),
    "a pack that is given back": ([line(-3, -3, -500, price="pack")], [pack()], []),
    "a pack whose line names what it gives back": (
        [line(-3, -3, 0, price="pack", credited=["il_1"])],
        [pack()],
        [],
    ),
    "a pack without a quantity": ([line(-3, -3, price="pack", quantity=None)], [pack()], []),
    "a free plan": ([line(-3, 27, 0)], [plan(unit_amount=0)], [(100, 100, END)]),
    "a plan that costs nothing but has a cost": ([line(-3, 27, 0)], [plan()], []),
    "half a cent rounds to one": ([line(-3, 27, 0)], [plan(unit_amount=None, unit_amount_decimal="0.5")], []),
    "less does not": (
        [line(-3, 27, 0)],
        [plan(unit_amount=None, unit_amount_decimal="0.49")],
        [(100, 100, END)],
    ),
    "one cent for all": ([line(-3, 27, 1)], [plan()], [(100, 100, END)]),
    "a free plan in a trial": ([line(-3, 11, 0)], [plan(unit_amount=0), subscription(**TRIAL)], []),
    "a free plan at a trial's end": (
        [line(11, 41, 0)],
        [plan(unit_amount=0), subscription(**TRIAL)],
        [(100, 100, round(41 + 2 * HOUR, 6))],
    ),
    "a free plan before a trial": (
        [line(-4, 26, 0)],
        [plan(unit_amount=0), subscription(**TRIAL)],
        [(100, 100, round(26 + 2 * HOUR, 6))],
    ),
    "a free plan, a trial whose end is not known": (
        [line(-3, 27, 0)],
        [plan(unit_amount=0), subscription(trial_start=at(-3))],
        [(100, 100, END)],
    ),
    "a free plan, a trial whose start is not known": (
        [line(-3, 27, 0)],
        [plan(unit_amount=0), subscription(trial_end=at(11))],
        [(100, 100, END)],
    ),
    "paid for in a trial": ([line(-3, 27)], [plan(), subscription(**TRIAL)], [(100, 100, END)]),
    "half a month": (
        [line(12, 27, 450, proration=True)],
        [plan(interval="day", interval_count=30)],
        [(100, 50, END)],
    ),
    "half a month of a price that does not say how many": (
        [line(12, 27, 450, proration=True)],
        [plan(interval_count=None)],
        [(100, 50, END)],
    ),
    "half a month, more seats": (
        [
            MONTH,
            line(12, 27, -450, proration=True, id="il_b"),
            line(12, 27, 1350, proration=True, quantity=3, id="il_c"),
        ],
        [plan(interval="day", interval_count=30)],
        [(100, 100, END), (300, 150, END)],
    ),
    "what is given back brings nothing": ([line(-3, 27, -900)], [plan()], []),
    "tiers, the flat fee is no unit": (
        [
            line(-3, 27, 500, id="il_a"),
            line(-3, 27, 500, quantity=5, id="il_b"),
            line(-3, 27, 100, quantity=2, id="il_c"),
        ],
        [plan(unit_amount=None, **TIERS)],
        [(700, 700, END)],
    ),
    "tiers, of two answers that of the item": (
        [line(-3, 27, 500, id="il_a"), line(-3, 27, 0, quantity=3, id="il_b")],
        [
            plan(unit_amount=None, tiers_mode="graduated", tiers=[{"up_to": None, "flat_amount": 500}]),
            *(item("si_1", "month", "pro", 4), subscription()),
        ],
        [(400, 400, END)],
    ),
    "tiers of another currency": (
        [line(-3, 27, 500, id="il_a"), line(-3, 27, 500, quantity=5, id="il_b")],
        [plan(currency="eur", unit_amount=700, currency_options={"usd": TIERS})],
        [(500, 500, END)],
    ),
    "tiers of its own currency": (
        [line(-3, 27, 500, id="il_a"), line(-3, 27, 500, quantity=5, id="il_b")],
        [plan(unit_amount=None, currency_options={"usd": {"unit_amount": 7}}, **TIERS)],
        [(500, 500, END)],
    ),
    "no options for the currency": (
        [line(-3, 27, 500, id="il_a"), line(-3, 27, 500, quantity=5, id="il_b")],
        [plan(currency="eur", unit_amount=None, currency_options={"gbp": {"unit_amount": 7}}, **TIERS)],
        [(500, 500, END)],
    ),
    "several lines of a simple price": (
        [line(-3, 27, 900, id="il_a"), line(-3, 27, 1800, quantity=2, id="il_b")],
        [plan()],
        [(300, 300, END)],
    ),
    "of several prorations the last": (
        [
            line(12, 27, 450, proration=True, quantity=1, id="il_a"),
            line(12, 27, 450, proration=True, quantity=2, id="il_b"),
        ],
        [plan(interval="day", interval_count=30)],
        [(200, 100, END)],
    ),
    "two items of one price": (
        [line(-3, 27, id="il_a"), line(-3, 27, id="il_b", subscription_item="si_2")],
        [plan()],
        [(100, 100, END), (100, 100, END)],
    ),
    "two periods": (
        [line(-33, -3, id="il_a"), line(-3, 27, id="il_b")],
        [plan()],
        [(100, 100, -3), (100, 100, END)],
    ),
    "two prices of one item, the later takes over": (
        [line(-3, 27, id="il_a"), line(-3, 27, id="il_b", price="other")],
        [plan(), plan("other", "200")],
        [(100, 100, END), (200, 200, END)],
    ),
    "a line of before items were known": ([line(-3, 27, subscription_item=None)], [plan()], [(100, 100, END)]),
    "a pack of one credit": ([line(-3, -3, price="pack")], [pack(credits="1")], [(1, 1, None)]),
    "a plan beside a trial": (
        [line(-3, 11, 0, id="il_a"), line(-3, 27, id="il_b", subscription_item="si_2")],
        [plan()],
        [(100, 100, END)],
    ),
    "an unknown price of no item is not for time": ([line(-3, 27, subscription_item=None)], [], []),
}  # fmt: skip


def test_a_price_that_is_not_known_yet_takes_its_time(connection):
    put(connection, plan(interval="day", interval_count=30), invoice("in_1", MONTH))
    put(connection, invoice("in_2", line(12, 27, price="other"), days=12))
    (month,) = (grant for purchase in read(connection) for grant in purchase.grants)
    assert month.kept.credits(100) == 50


@pytest.mark.parametrize(("number", "kept"), [("A-9", 0), ("A-11", 100)])
def test_of_two_invoices_of_one_second_the_number_tells_which_is_later(connection, number, kept):
    other = line(-3, 27, id="il_b", price="other")
    put(connection, plan(), invoice("in_1", MONTH, number=number), invoice("in_2", other, number="A-10"))
    (month,) = (grant for purchase in read(connection) for grant in purchase.grants)
    assert month.kept.credits(100) == kept


@pytest.mark.parametrize(
    ("lines", "rows", "expected", "more"), [(*given, {})[:4] for given in LINES.values()], ids=LINES
)
def test_what_the_lines_of_an_invoice_bring(connection, lines, rows, expected, more):
    assert brought(connection, invoice("in_1", *lines, **more), *rows) == expected


ENDED = {
    "paid in time": ([invoice("in_2", line(27, 57), days=27)], {}, 27),
    "paid an hour later": ([invoice("in_2", line(27, 57), days=27, paid_at=at(27 + HOUR))], {}, 27 + HOUR),
    "paid a day later": ([invoice("in_2", line(27, 57), days=27, paid_at=at(28))], {}, 27 + 2 * HOUR),
    "paid before it was due": ([invoice("in_2", line(27, 57), days=20)], {}, 27),
    "not paid": ([invoice("in_2", line(27, 57), days=27, status="open")], {}, 27 + 2 * HOUR),
    "ended in its period": ([], {"ended_at": at(9)}, 27),
    "ended with its period": ([], {"ended_at": at(27)}, 27),
    "ended while the renewal was a draft": ([], {"ended_at": at(27 + HOUR)}, 27 + HOUR),
    "ended later": ([], {"ended_at": at(28)}, 27 + 2 * HOUR),
}  # fmt: skip


@pytest.mark.parametrize(("later", "columns", "days"), ENDED.values(), ids=ENDED)
def test_the_credits_of_a_period_run_out_when_the_next_is_paid(connection, later, columns, days):
    put(connection, invoice("in_1", MONTH), *later, plan(), subscription(**columns))
    (grant, *_) = read(connection)[0].grants
    assert round((grant.expires_at - NOW) / timedelta(days=1), 6) == round(days, 6)


def test_a_purchase_says_whose_it_is_and_what_it_cost(connection):
    put(connection, plan(), subscription(customer_id="cus_9"))
    put(connection, invoice("in_1", MONTH, total=850, paid_at=at(-2)))
    (found,) = read(connection)
    assert (found.id, found.customer_id, found.total, found.paid_at) == ("in_1", "cus_1", 850, at(-2))
    (grant,) = found.grants
    assert (grant.id, grant.kept.line.item, grant.kept.line.price_id) == (MONTH["id"], "si_1", "month")
    assert (grant.kept.line.order, grant.kept.line.paid_at) == ((int(at(-3).timestamp()), 0), int(at(-2).timestamp()))


def test_where_the_payments_moment_is_not_known_the_invoices_counts(connection):
    put(connection, plan(), invoice("in_1", MONTH, paid_at=None))
    assert read(connection)[0].paid_at == at(-3)


@pytest.mark.parametrize(
    "columns", [{"status": "open"}, {"status": "void"}, {"customer_id": None}, {"deleted": True}, {"id": "in_9"}]
)
def test_what_is_not_paid_or_nobodys_is_left_out(connection, columns):
    row = invoice("in_1", MONTH)
    for name, value in columns.items():
        setattr(row, name, value)
    put(connection, plan(), row)
    assert read(connection) == []


def of(id: str, *lines: dict, days: float, **columns):
    return invoice(id, *lines, days=days, **columns)


MET = {
    "itself": ([], ["in_1"]),
    "the next": ([of("in_2", line(27, 57), days=27)], ["in_1", "in_2"]),
    "the one before, whose time ends as it begins": ([of("in_0", line(-33, -3), days=-33)], ["in_0", "in_1"]),
    "not one that has ended before": ([of("in_0", line(-33, -4), days=-33)], ["in_1"]),
    "one whose end is not known": ([of("in_0", line(-33, -4), days=-33, service_end=None)], ["in_0", "in_1"]),
    "one of three years ago": ([of("in_0", line(-1000, 90), days=-1000)], ["in_0", "in_1"]),
    "not one of more": ([of("in_0", line(-1102, 90), days=-1102)], ["in_1"]),
    "just not": ([of("in_0", line(-1101, 90), days=-1101)], ["in_0", "in_1"]),
    "what was made since one that it meets began": (
        [of("in_a", line(-33, 90), days=-33), of("in_b", line(-20, -10), days=-20)],
        ["in_1", "in_a", "in_b"],
    ),
    "and what begins before it by its lines": (
        [of("in_a", line(-40, 90), days=-33), of("in_b", line(-39, -38), days=-39)],
        ["in_1", "in_a", "in_b"],
    ),
    "and so on": (
        [
            of("in_a", line(-33, 90), days=-33),
            of("in_b", line(-50, -10), days=-20),
            of("in_c", line(-49, -45), days=-49),
        ],
        ["in_1", "in_a", "in_b", "in_c"],
    ),
    "not another subscription's": ([of("in_2", line(27, 57), days=27, subscription_id="sub_2")], ["in_1"]),
    "not one that is not paid": ([of("in_2", line(27, 57), days=27, status="open")], ["in_1"]),
}  # fmt: skip


@pytest.mark.parametrize(("others", "ids"), MET.values(), ids=MET)
def test_the_invoices_whose_time_may_meet_are_read_too(connection, others, ids):
    put(connection, plan(), invoice("in_1", MONTH), *others)
    assert [purchase.id for purchase in read(connection)] == ids


def test_what_went_back_in_full_takes_nothing_from_what_was_paid_before(connection):
    part = {"proration": True}
    dearer = invoice("in_2", line(0, 27, -810, **part), line(0, 27, 8100, quantity=9, **part), days=0, total=7290)
    put(
        connection,
        plan(),
        invoice("in_1", MONTH),
        dearer,
        InvoicePayment(**BY),
        charge("ch_1", payment_intent_id="pi_1"),
    )
    kept = {each.id: [grant.kept.credits(100) for grant in each.grants] for each in read(connection, "in_2")}
    assert kept == {"in_1": [10], "in_2": [90]}
    connection.execute(sa.update(table_for(Charge)).values(amount=7290, amount_captured=7290, amount_refunded=7290))
    kept = {each.id: [grant.kept.credits(100) for grant in each.grants] for each in read(connection, "in_2")}
    assert kept == {"in_1": [100], "in_2": [0]}


def test_several_subscriptions_at_once(connection):
    put(connection, plan(), pack(), invoice("in_1", MONTH), invoice("in_2", line(27, 57), days=27))
    theirs = {"subscription_id": "sub_2", "customer_id": "cus_2"}
    put(connection, invoice("in_3", line(-3, 27, subscription_item="si_2"), **theirs))
    put(connection, invoice("in_4", line(27, 57, subscription_item="si_2"), days=27, **theirs))
    put(connection, invoice("in_5", line(-3, -3, price="pack", subscription_item=None), subscription_id=None))
    found = read(connection, "in_1", "in_3", "in_5")
    assert [(each.id, each.customer_id) for each in found] == [
        ("in_1", "cus_1"), ("in_2", "cus_1"), ("in_3", "cus_2"), ("in_4", "cus_2"), ("in_5", "cus_1"),
    ]  # fmt: skip
    assert all(len(each.grants) == 1 for each in found)


def test_within_one_second_the_number_says_which_invoice_came_later(connection):
    first = invoice("in_2", line(-3, 27, id="il_a"), number="A-0001")
    second = invoice(
        "in_1",
        line(-3, 27, -900, id="il_b", proration=True),
        line(-3, 27, 500, id="il_c", price="other"),
        number="A-0002",
    )
    put(connection, plan(), plan("other", "60"), first, second)
    kept = {grant.id: grant.kept.seconds for purchase in read(connection) for grant in purchase.grants}
    assert kept == {"il_a": 0, "il_c": 30 * 86_400}


def test_a_line_that_names_what_it_gives_back_takes_from_that(connection):
    month = invoice("in_1", line(-3, 27, id="il_a"), line(-3, 27, id="il_x", price="other"))
    back = invoice("in_2", line(12, 27, -450, id="il_b", proration=True, credited=["il_a"]), days=12)
    put(connection, plan(), plan("other"), month, back)
    kept = {grant.id: grant.kept.seconds for purchase in read(connection) for grant in purchase.grants}
    assert kept == {"il_a": 0, "il_x": 30 * 86_400}, "the other took over from the beginning, and keeps its time"


SESSIONS = {
    "a pack": (sold(), {}, [pack()], [(100, 100, None)]),
    "one credit": (sold(), {}, [pack(meta={"credits": "1"})], [(1, 1, None)]),
    "two": (sold(quantity=2), {}, [pack()], [(200, 200, None)]),
    "no quantity": (sold(quantity=None), {}, [pack()], []),
    "no credits": (sold(), {}, [pack(meta={})], []),
    "of the product": (sold(), {}, [pack(meta={}), product("pro", meta={"credits": "7"})], [(7, 7, None)]),
    "a price that the mirror does not have yet": (sold(credits="5"), {}, [], [(5, 5, None)]),
    "the mirror's word counts": (sold(credits="5"), {}, [pack()], [(100, 100, None)]),
    "one of which no metadata are told": ({"id": "li_1", "quantity": 1, "price": {"id": "pack"}}, {}, [], []),
    "a price made for this checkout": (sold(None), {}, [pack()], []),
    "expires in days": (sold(), {}, [pack(meta={"credits": "9", "credits_expire_days": "3"})], [(9, 9, 2)]),
    "nothing was to pay": (sold(), {"payment_status": "no_payment_required"}, [pack()], [(100, 100, None)]),
    "not paid": (sold(), {"payment_status": "unpaid"}, [pack()], []),
    "open": (sold(), {"status": "open"}, [pack()], []),
    "expired": (sold(), {"status": "expired"}, [pack()], []),
    "with an invoice, which grants": (sold(), {"invoice_id": "in_1"}, [pack()], []),
    "of a subscription": (sold(), {"mode": "subscription"}, [pack()], []),
    "nobody's": (sold(), {"customer_id": None}, [pack()], []),
}  # fmt: skip


@pytest.mark.parametrize(("sale", "columns", "rows", "expected"), SESSIONS.values(), ids=SESSIONS)
def test_what_a_one_off_checkout_brings(connection, sale, columns, rows, expected):
    assert brought(connection, session("cs_1", sale, **columns), *rows, ids=("cs_1",)) == expected


def test_what_is_bought_of_each_kind_bears_its_name_and_is_owned_once(connection):
    kinds = {"credits": "5", "credits_images": "7", "lifetime": "true"}
    put(connection, pack(meta=kinds), session("cs_1", sold()))
    put(connection, invoice("in_1", line(-3, -3, price="pack", subscription_item=None), subscription_id=None))
    found = read(connection, "cs_1", "in_1")
    told = [(each.id, each.account_id, [(grant.id, grant.granted) for grant in each.grants]) for each in found]
    name = line(-3, -3)["id"]
    assert told == [
        ("cs_1", "cus_1", [("li_1", 5)]),
        ("cs_1 images", "cus_1 images", [("li_1 images", 7)]),
        ("in_1", "cus_1", [(name, 5)]),
        ("in_1 images", "cus_1 images", [(f"{name} images", 7)]),
    ]
    assert [[each.product_id for each in purchase.owned] for purchase in found] == [["pro"], [], ["pro"], []]


def test_a_checkout_without_lines_brings_nothing(connection):
    row = session()
    row.line_items = None
    put(connection, row)
    (found,) = read(connection, "cs_1")
    assert (found.grants, found.total, found.customer_id) == ((), 500, "cus_1")


def test_a_checkout_was_paid_when_its_charge_was(connection):
    put(connection, session("cs_1", sold(), payment_intent_id="pi_1", amount_total=None), pack())
    put(connection, session("cs_2", sold(), payment_intent_id="pi_2"), session("cs_3", sold()))
    put(connection, charge("ch_0", payment_intent_id="pi_1", status="failed", created=at(-0.9)))
    put(connection, charge("ch_1", payment_intent_id="pi_1", created=at(-0.5)))
    put(connection, charge("ch_2", payment_intent_id="pi_1", created=at(-0.2)))
    put(connection, charge("ch_3", created=at(-0.9)))  # of a payment that nobody names
    found = {each.id: each for each in read(connection, "cs_1", "cs_2", "cs_3")}
    assert {name: each.paid_at for name, each in found.items()} == {"cs_1": at(-0.5), "cs_2": at(-1), "cs_3": at(-1)}
    assert [each.total for each in found.values()] == [0, 500, 500]


def test_a_purchase_says_how_much_of_it_went_back(connection):
    put(connection, plan(), invoice("in_1", MONTH), charge("ch_1", 300, invoice_id="in_1"))
    put(connection, session("cs_1", payment_intent_id="pi_1"), session("cs_2"))
    put(connection, charge("ch_2", 5, payment_intent_id="pi_1"))
    found = {each.id: each.returned for each in read(connection, "in_1", "cs_1", "cs_2")}
    assert found == {"cs_1": 5, "cs_2": 0, "in_1": 300}


def test_what_was_paid_by_some_payments(connection):
    for n in (1, 2, 3):
        payment = {"invoice_id": f"in_{n}", "payment_intent_id": f"pi_{n}", "status": "paid"}
        put(connection, InvoicePayment(id=f"inpay_{n}", as_of=0, **payment))
        put(connection, session(f"cs_{n}", payment_intent_id=f"pi_{n}"))
    put(connection, session("cs_9"), charge("ch_1", payment_intent_id="pi_2", invoice_id="in_8"), charge("ch_2"))
    assert purchases.paid_by(connection, {"pi_1"}, ()) == {"in_1", "cs_1"}
    assert purchases.paid_by(connection, (), {"ch_1"}) == {"in_2", "cs_2", "in_8"}
    assert purchases.paid_by(connection, {"pi_1"}, {"ch_1", "ch_2"}) == {"in_1", "cs_1", "in_2", "cs_2", "in_8"}
    assert purchases.paid_by(connection, (), {"ch_2", "ch_9"}) == set()


def test_which_prices_and_products_the_mirror_does_not_have(connection):
    put(connection, product("pro"), plan("known"), plan("orphan", product_id="gone"))
    named = ["b", "known", "orphan", None, "a"]
    found = unknown_prices(connection, [line(0, 1, price=each) for each in named])
    assert found == ["price:a", "price:b", "product:gone"]
    assert unknown_prices(connection, [line(0, 1, price="known")]) == []
