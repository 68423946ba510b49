"""The ledger follows the mirror: what is granted, taken back and given back, on tables in memory."""

from datetime import timedelta

import pytest
import sqlalchemy as sa

from gateway.billing.credits import settlement
from gateway.billing.credits.ledger import ACCOUNTS, ENTRIES, LOTS
from gateway.db.tables import table_for
from gateway.mirror.effects import Written
from gateway.models.credits import CreditLot
from gateway.models.mirrored import Charge, CheckoutSession, Dispute, Invoice, InvoicePayment, Subscription
from harness.databases import both_connections
from harness.rows import at, charge, dispute, invoice, line, price, put, subscription

CHARGES, INVOICES = table_for(Charge), table_for(Invoice)
DAYS = {"interval": "day", "interval_count": 30, "meta": {"credits": "100"}}
MONTH = price("month", "pro", **DAYS)


def entries(connection: sa.Connection) -> list[tuple[str, int, int, str, str]]:
    rows = connection.execute(sa.select(ENTRIES).order_by(ENTRIES.c.id))
    return [(row.kind, row.amount, row.balance, row.lot_id, row.purchase_id) for row in rows]


def amounts(connection: sa.Connection) -> list[tuple[str, int]]:
    return [(kind, amount) for kind, amount, *_ in entries(connection)]


def lots(connection: sa.Connection) -> dict[str, CreditLot]:
    return {row["id"]: CreditLot(**row) for row in connection.execute(sa.select(LOTS)).mappings()}


def change(connection: sa.Connection, table: sa.Table, id: str, **columns) -> None:
    connection.execute(sa.update(table).where(table.c.id == id).values(**columns))


def month(id: str = "in_1", start: float = -3, **columns) -> Invoice:
    """A paid invoice of 30 days, whose line is `il_` and its id."""
    return invoice(id, line(start, start + 30, id=f"il_{id}"), days=start, **columns)


@pytest.fixture(autouse=True)
def two_hours(connection):
    connection.info[settlement.RENEWAL_GRACE] = timedelta(hours=2)


def settled(connection: sa.Connection, *ids: str) -> list[tuple[str, int]]:
    settlement.settle(connection, ids or ("in_1",))
    return amounts(connection)


def test_a_paid_line_is_granted_once(connection):
    put(connection, MONTH, month(paid_at=at(-2)))
    settled(connection)
    assert entries(connection) == [("grant", 100, 100, "il_in_1", "in_1")]
    (lot,) = lots(connection).values()
    assert lot.model_dump(exclude={"expires_at"}) == {
        "id": "il_in_1", "customer_id": "cus_1", "purchase_id": "in_1", "granted": 100, "units": 100,
        "revoked": 0, "spent": 0, "expired": 0, "debts": {}, "granted_at": at(-2),
    }  # fmt: skip
    assert lot.expires_at == at(27) + timedelta(hours=2)
    assert connection.execute(sa.select(ACCOUNTS.c.clock)).scalar() == at(-2)
    assert settled(connection) == [("grant", 100)], "a copy of the event, a replay"
    (again,) = lots(connection).values()
    assert again == lot


def test_nothing_is_written_where_no_line_has_credits(connection):
    put(connection, month())
    assert settled(connection) == []
    assert connection.execute(sa.select(ACCOUNTS)).all() == []


def test_what_is_not_paid_is_passed_over(connection):
    put(connection, MONTH, month(status="open"))
    assert settled(connection) == []


def test_a_line_for_no_time_at_all_grants_nothing_yet(connection):
    put(connection, MONTH, invoice("in_1", line(-3, -3 + 0.2, 5, id="il_1", proration=True)))
    assert settled(connection) == []
    assert lots(connection) == {}


def test_a_line_that_brings_nothing_keeps_no_other_from_it(connection):
    little = line(-3, -3 + 0.2, 5, id="il_1", proration=True)
    put(connection, MONTH, invoice("in_1", little, line(-3, 27, id="il_2", subscription_item="si_2")))
    assert settled(connection) == [("grant", 100)]


def test_one_credit_is_granted(connection):
    put(connection, MONTH, invoice("in_1", line(-3, -3 + 0.3, 5, id="il_1", proration=True)))
    assert settled(connection) == [("grant", 1)]


FREE = price("free", "pro", 0, **DAYS)
AGAIN = {
    "at once": ({}, {}, {"il_in_1": 90, "il_in_2": 0}),
    "before the first has ended": ({"ended_at": at(3)}, {}, {"il_in_1": 80, "il_in_2": 0}),
    "while the first goes on": ({"ended_at": None, "status": "active"}, {}, {"il_in_1": 0, "il_in_2": 0}),
    "as the first has run out": ({"ended_at": at(27)}, {"days": 27}, {"il_in_1": 0, "il_in_2": 0}),
    "by a coupon": ({}, {"amount": 900, "discount": 900}, {"il_in_1": 90, "il_in_2": 0}),
    "for money": ({}, {"amount": 900, "discount": 899}, {"il_in_1": 0, "il_in_2": 0}),
    "of another product": ({}, {"price": "other"}, {"il_in_1": 0, "il_in_2": 0}),
    "by another customer": ({}, {"customer_id": "cus_2"}, {"il_in_1": 0, "il_in_2": 0}),
}


@pytest.mark.parametrize(("first", "second", "revoked"), AGAIN.values(), ids=AGAIN)
def test_free_time_that_is_ended_and_taken_again_is_granted_once(connection, first, second, revoked):
    put(connection, FREE, price("other", "else", 0, **DAYS), subscription("sub_2"))
    put(connection, subscription(**{"status": "canceled", "ended_at": at(-1), **first}))
    second = dict(second)
    days, customer_id = second.pop("days", 0), second.pop("customer_id", "cus_1")
    lines = {"price": "free", "subscription_item": "si_1"}, {"price": "free", "subscription_item": "si_2", **second}
    bought = {"subscription_id": "sub_2", "customer_id": customer_id, "total": 0, "days": days}
    put(connection, invoice("in_1", line(-3, 27, 0, id="il_in_1", **lines[0]), total=0))
    settled(connection)
    its = {"amount": 0, **lines[1]}
    put(connection, invoice("in_2", line(days, days + 30, id="il_in_2", **its), **bought))
    for ids in (("in_2",), ("in_1",)):
        settled(connection, *ids)
        assert {name: lot.revoked for name, lot in lots(connection).items()} == revoked


def test_free_time_that_is_taken_again_gives_nothing_back_to_what_was_there_before_it(connection):
    put(connection, MONTH, FREE, subscription(status="canceled", ended_at=at(1)), subscription("sub_2"), month())
    put(connection, invoice("in_2", line(0, 30, 0, id="il_in_2", price="free"), total=0, days=0))
    again = line(1, 31, 0, id="il_in_3", price="free", subscription_item="si_2")
    put(connection, invoice("in_3", again, total=0, days=1, subscription_id="sub_2"))
    settled(connection, "in_3")
    assert {name: lot.revoked for name, lot in lots(connection).items()} == {"il_in_1": 90, "il_in_2": 97, "il_in_3": 0}


def test_the_grace_of_a_renewal_is_given(connection):
    put(connection, MONTH, month())
    connection.info[settlement.RENEWAL_GRACE] = timedelta(hours=5)
    settled(connection)
    assert lots(connection)["il_in_1"].expires_at == at(27) + timedelta(hours=5)


def test_without_a_setting_there_is_none(connection):
    del connection.info[settlement.RENEWAL_GRACE]
    put(connection, MONTH, month())
    settled(connection)
    assert lots(connection)["il_in_1"].expires_at == at(27)


def test_a_renewal_ends_the_credits_of_the_period_before(connection):
    put(connection, MONTH, month())
    settled(connection)
    put(connection, month("in_2", 27))
    settled(connection, "in_2")
    assert {name: lot.expires_at for name, lot in lots(connection).items()} == {
        "il_in_1": at(27), "il_in_2": at(57) + timedelta(hours=2),
    }  # fmt: skip


def test_the_accounts_clock_is_the_latest_payments(connection):
    put(connection, MONTH, month(), month("in_2", 27), month("in_3", -33))
    settled(connection, "in_1", "in_2", "in_3")
    assert connection.execute(sa.select(ACCOUNTS.c.clock)).scalar() == at(27)


@pytest.mark.parametrize(
    ("refunded", "total", "expected"),
    [
        (900, 900, [("revoke", -100)]),
        (450, 900, [("revoke", -50)]),
        (449, 900, [("revoke", -49)]),
        (8, 900, []),  # less than a credit
        (9, 900, [("revoke", -1)]),
        (899, 900, [("revoke", -99)]),
        (300, 1, [("revoke", -100)]),  # no more than was paid
        (300, 0, []),
        (290, 2900, [("revoke", -10)]),  # the rest was paid from the balance
    ],
)
def test_a_refund_takes_back_the_share_of_the_total(connection, refunded, total, expected):
    put(connection, MONTH, month(total=total), charge("ch_1", invoice_id="in_1"))
    settled(connection)
    change(connection, CHARGES, "ch_1", amount_refunded=refunded)
    assert settled(connection) == [("grant", 100), *expected]
    assert settled(connection) == [("grant", 100), *expected]
    assert [(kind, lot, purchase) for kind, _, _, lot, purchase in entries(connection)] == [
        (kind, "il_in_1", "in_1") for kind in ("grant", *(kind for kind, _ in expected))
    ]


@both_connections
def test_what_is_refunded_later_adds_up_and_a_failed_refund_gives_back(connection):
    put(connection, MONTH, month(), charge("ch_1", invoice_id="in_1"))
    for refunded in (0, 300, 600, 100):
        change(connection, CHARGES, "ch_1", amount_refunded=refunded)
        settled(connection)
    assert entries(connection) == [
        ("grant", 100, 100, "il_in_1", "in_1"),
        ("revoke", -33, 67, "il_in_1", "in_1"),
        ("revoke", -33, 34, "il_in_1", "in_1"),
        ("restore", 55, 89, "il_in_1", "in_1"),
    ]
    assert lots(connection)["il_in_1"].revoked == 11


def test_a_refund_before_its_payment_ends_the_same(connection):
    put(connection, MONTH, month(), charge("ch_1", 450, invoice_id="in_1"))
    assert settled(connection) == [("grant", 100), ("revoke", -50)]


def test_each_line_of_a_refunded_invoice_loses_its_share(connection):
    put(
        connection,
        MONTH,
        price("pack", "pro", interval=None, meta={"credits": "10"}),
        charge("ch_1", 450, invoice_id="in_1"),
    )
    put(connection, invoice("in_1", line(-3, 27, id="il_b"), line(-3, -3, id="il_a", price="pack")))
    settled(connection)
    assert {name: (lot.granted, lot.revoked) for name, lot in lots(connection).items()} == {
        "il_b": (100, 50),
        "il_a": (10, 5),
    }
    assert [(kind, lot) for kind, _, _, lot, _ in entries(connection)] == [
        ("grant", "il_a"), ("grant", "il_b"), ("revoke", "il_a"), ("revoke", "il_b"),
    ]  # fmt: skip


def test_unused_time_is_taken_back(connection):
    put(connection, MONTH, month())
    settled(connection)
    put(connection, invoice("in_2", line(12, 27, -450, id="il_2", proration=True), days=12, total=-450))
    assert settled(connection, "in_2") == [("grant", 100), ("revoke", -50)]


def test_time_and_payment_that_went_back_take_all_at_most(connection):
    put(connection, MONTH, month(), charge("ch_1", 600, invoice_id="in_1"))
    put(connection, invoice("in_2", line(12, 27, -450, id="il_2", proration=True), days=12, total=-450))
    assert settled(connection) == [("grant", 100), ("revoke", -100)]


def test_a_change_grants_the_rest_of_the_period_and_takes_it_from_before(connection):
    put(connection, MONTH, price("other", "pro", **{**DAYS, "meta": {"credits": "1000"}}), month())
    settled(connection)
    change_ = [
        line(12, 27, -450, id="il_b", proration=True),
        line(12, 27, 4500, id="il_c", proration=True, price="other"),
    ]
    put(connection, invoice("in_2", *change_, days=12))
    assert sorted(settled(connection, "in_2")) == [("grant", 100), ("grant", 500), ("revoke", -50)]
    assert {name: lot.units for name, lot in lots(connection).items()} == {"il_in_1": 100, "il_c": 1000}


def test_what_a_line_has_granted_stays_however_its_price_changes(connection):
    put(connection, MONTH, month(), charge("ch_1", invoice_id="in_1"))
    settled(connection)
    prices = table_for(type(MONTH))
    change(connection, prices, "month", meta={"credits": "7"})
    assert settled(connection) == [("grant", 100)]
    change(connection, prices, "month", meta={})
    change(connection, CHARGES, "ch_1", amount_refunded=450)
    assert settled(connection) == [("grant", 100), ("revoke", -50)]


def test_a_lot_of_an_early_version_is_of_a_full_period(connection):
    put(connection, MONTH, month())
    settled(connection)
    connection.execute(sa.update(LOTS).values(units=None, granted=60))
    connection.execute(sa.update(ACCOUNTS).values(balance=60))
    put(connection, invoice("in_2", line(12, 27, -450, id="il_2", proration=True), days=12, total=-450))
    assert settled(connection, "in_2") == [("grant", 100), ("revoke", -30)]


def test_a_pack_is_not_for_time(connection):
    put(connection, price("pack", "pro", interval=None, meta={"credits": "10"}))
    put(connection, invoice("in_1", line(-3, 27, price="pack"), line(12, 27, -450, id="il_2", price="pack")))
    assert settled(connection) == [("grant", 10)]


def test_a_refund_of_what_was_spent_is_a_debt_that_the_next_grant_pays(connection):
    put(connection, MONTH, month(), charge("ch_1", invoice_id="in_1"))
    settled(connection)
    connection.execute(sa.update(LOTS).values(spent=100))
    connection.execute(sa.update(ACCOUNTS).values(balance=0))
    change(connection, CHARGES, "ch_1", amount_refunded=450)
    put(connection, month("in_2", 27))
    settled(connection, "in_1", "in_2")
    assert {name: (lot.spent, lot.debts) for name, lot in lots(connection).items()} == {
        "il_in_1": (50, {}), "il_in_2": (50, {"il_in_1": 50}),
    }  # fmt: skip


def test_each_customers_account_is_its_own(connection):
    put(connection, MONTH, month(), charge("ch_1", 450, invoice_id="in_1"))
    theirs = {"customer_id": "cus_2", "subscription_id": "sub_2"}
    put(connection, invoice("in_2", line(-3, 27, id="il_in_2", subscription_item="si_2"), **theirs))
    settled(connection, "in_1", "in_2")
    found = connection.execute(sa.select(ACCOUNTS.c.customer_id, ACCOUNTS.c.balance)).all()
    assert dict(found) == {"cus_1": 50, "cus_2": 100}
    assert {name: lot.customer_id for name, lot in lots(connection).items()} == {"il_in_1": "cus_1", "il_in_2": "cus_2"}


# --- What makes the ledger look ---------------------------------------------------------------------------------

PAID = {"status": "paid"}


def booked(connection: sa.Connection, kind: str, id: str, *, created: bool = False, **columns) -> list[tuple[str, int]]:
    settlement.on_write(connection, [Written(kind, id, columns, created)])
    return amounts(connection)


@pytest.fixture
def bought(connection):
    """A month that was paid by `pi_1`, and a pack by `pi_2`, of which the ledger knows nothing yet."""
    put(connection, MONTH, price("pack", "pro", interval=None, meta={"credits": "10"}), month())
    put(connection, InvoicePayment(id="inpay_1", as_of=0, invoice_id="in_1", payment_intent_id="pi_1", status="paid"))
    session = {"customer_id": "cus_1", "mode": "payment", "ui_mode": "hosted", "status": "complete", "as_of": 0}
    session |= {"payment_status": "paid", "created": at(-1), "expires_at": at(1), "payment_intent_id": "pi_2"}
    lines = [{"id": "li_1", "quantity": 1, "price": {"id": "pack", "metadata": {}}}]
    put(connection, CheckoutSession(id="cs_1", amount_total=500, line_items=lines, **session))
    put(connection, charge("ch_1", payment_intent_id="pi_1"), charge("ch_2", payment_intent_id="pi_2"))
    return connection


MONTHS, PACK = [("grant", 100)], [("grant", 10)]


@pytest.mark.parametrize(
    ("kind", "id", "columns", "granted"),
    [
        ("invoice", "in_1", PAID, MONTHS),
        ("invoice", "in_1", {"status": "open"}, []),
        ("checkout.session", "cs_1", {"status": "complete", "payment_intent_id": None}, PACK),
        ("checkout.session", "cs_1", {"status": "open", "payment_intent_id": None}, []),
        ("invoice_payment", "inpay_1", {"invoice_id": "in_1", "payment_intent_id": "pi_1"}, MONTHS),
        ("charge", "ch_1", {"payment_intent_id": "pi_1"}, MONTHS),
        ("charge", "ch_2", {"payment_intent_id": None}, PACK),
        ("charge", "ch_9", {"payment_intent_id": "pi_2"}, PACK),
        ("charge", "ch_9", {"payment_intent_id": "pi_9"}, []),
        ("dispute", "dp_1", {"charge_id": "ch_1", "payment_intent_id": None}, MONTHS),
        ("dispute", "dp_1", {"charge_id": "ch_9", "payment_intent_id": "pi_2"}, PACK),
        ("dispute", "ch_1", {"charge_id": "ch_9", "payment_intent_id": None}, []),
        ("credit_note", "cn_1", {"invoice_id": "in_1"}, MONTHS),
        ("product", "in_1", PAID, []),
    ],
)
def test_what_is_written_settles_the_purchases_that_it_is_about(bought, kind, id, columns, granted):
    assert booked(bought, kind, id, **columns) == granted


def test_what_else_a_payment_has_paid_has_its_share_of_what_went_back(bought):
    change(bought, CHARGES, "ch_1", amount_refunded=900)
    bought.execute(sa.update(settlement.purchases.PAYMENTS).values(amount_paid=300))
    put(bought, month("in_2", 27), InvoicePayment(id="inpay_2", as_of=0, invoice_id="in_2", status="open"))
    assert booked(bought, "invoice", "in_1", **PAID) == [*MONTHS, *MONTHS, ("revoke", -100)]
    both = {"invoice_id": "in_2", "payment_intent_id": "pi_1", "status": "paid", "amount_paid": 600}
    change(bought, settlement.purchases.PAYMENTS, "inpay_2", **both)
    booked(bought, "invoice_payment", "inpay_2", **both)
    assert {name: lot.revoked for name, lot in lots(bought).items()} == {"il_in_1": 33, "il_in_2": 66}


def test_several_rows_at_once(bought):
    dispute_ = Written("dispute", "dp_1", {"charge_id": "ch_1", "payment_intent_id": None}, True)
    session = Written("checkout.session", "cs_1", {"status": "complete", "payment_intent_id": "pi_2"}, True)
    settlement.on_write(bought, [dispute_, session])
    assert sorted(amounts(bought)) == [*PACK, *MONTHS]


def test_a_charge_beside_another_purchase(bought):
    month = Written("invoice", "in_1", PAID, True)
    settlement.on_write(bought, [month, Written("charge", "ch_2", {"payment_intent_id": "pi_2"}, True)])
    assert sorted(amounts(bought)) == [*PACK, *MONTHS]


def test_nothing_is_nothing(bought):
    settlement.on_write(bought, [])
    assert amounts(bought) == []


def test_a_lost_dispute_takes_back(bought):
    booked(bought, "invoice", "in_1", **PAID)
    put(bought, dispute("dp_1", "ch_1", 900))
    assert booked(bought, "dispute", "dp_1", charge_id="ch_1", payment_intent_id=None) == [*MONTHS, ("revoke", -100)]
    change(bought, table_for(Dispute), "dp_1", status="won")
    found = booked(bought, "dispute", "dp_1", charge_id="ch_1", payment_intent_id=None)
    assert found == [*MONTHS, ("revoke", -100), ("restore", 100)]


@pytest.mark.parametrize(
    ("columns", "created", "looks"),
    [
        ({"status": "canceled", "trial_end": None}, False, True),
        ({"status": "incomplete_expired", "trial_end": None}, False, True),
        ({"status": "active", "trial_end": None}, False, False),
        ({"status": "active", "trial_end": at(3)}, False, False),
        ({"status": "active", "trial_end": None}, True, False),
        ({"status": "active", "trial_end": at(3)}, True, True),
    ],
)
def test_a_subscription_that_has_ended_or_begins_with_a_trial_settles_its_last_invoice(bought, columns, created, looks):
    assert booked(bought, "subscription", "sub_1", created=created, **columns) == (MONTHS if looks else [])


def test_of_a_subscription_the_invoice_that_was_made_last_counts(connection):
    """The others are those whose time cannot meet its own, so that they are not read with it."""
    put(
        connection, MONTH, month("in_a", -300), month("in_b", -3), month("in_c", -300), month("in_9", 27, status="open")
    )
    put(connection, invoice("in_d", line(-3, 27, subscription_item="si_2"), days=-2, subscription_id="sub_2"))
    ended = {"customer_id": "cus_1", "currency": "usd", "created": at(-300), "start_date": at(-300)}
    put(connection, Subscription(id="sub_1", as_of=0, status="canceled", ended_at=at(27.01), **ended))
    assert booked(connection, "subscription", "sub_1", status="canceled", trial_end=None) == MONTHS
    assert list(lots(connection)) == ["il_in_b"]
    assert lots(connection)["il_in_b"].expires_at == at(27.01)
