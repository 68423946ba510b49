"""How much of a payment went back to the buyer: read from tables in memory."""

import pytest
import sqlalchemy as sa

from gateway.billing import returns
from gateway.db.tables import table_for
from gateway.models.mirrored import CreditNote, Invoice, InvoicePayment
from harness.databases import both_connections
from harness.rows import NOW, at, charge, dispute, invoice, put

INVOICES = table_for(Invoice)


def note(id: str, amount: int, refunded: int = 0, **columns) -> CreditNote:
    given = {"invoice_id": "in_1", "status": "issued", "currency": "usd", "as_of": 0, "customer_id": "cus_1", **columns}
    return CreditNote(id=id, amount=amount, refunded=refunded, **given)


def paid_by(id: str, intent: str | None, invoice_id: str = "in_1", **columns) -> InvoicePayment:
    given = {"status": "paid", "as_of": 0, "payment_intent_id": intent, **columns}
    return InvoicePayment(id=id, invoice_id=invoice_id, **given)


PAID = {"payment_intent_id": "pi_1"}
NAMED = {"invoice_id": "in_1"}
PART = {"amount_captured": 600}  # of 900
RETURNED = {
    "nothing": ([charge("ch_1", **PAID)], 0, 0),
    "a refund": ([charge("ch_1", 300, **PAID)], 300, 300),
    "of a charge that names its invoice": ([charge("ch_1", 300, **NAMED)], 300, 0),
    "that is known by both names": ([charge("ch_1", 300, **PAID, **NAMED)], 300, 300),
    "of another": ([charge("ch_1", 300, payment_intent_id="pi_2"), charge("ch_2", 300, invoice_id="in_2")], 0, 0),
    "of several": ([charge("ch_1", 300, **PAID), charge("ch_2", 5, **NAMED), charge("ch_3", 1, **PAID)], 306, 301),
    "what was never taken": ([charge("ch_1", 300, **PAID, **PART)], 0, 0),
    "one of it is a refund": ([charge("ch_1", 301, **PAID, **PART)], 1, 1),
    "less than that": ([charge("ch_1", 200, **PAID, **PART), charge("ch_2", 50, **PAID)], 50, 50),
    "a lost dispute": ([charge("ch_1", **PAID), dispute("dp_1", "ch_1", 400)], 400, 400),
    "that is told in another currency": (
        [charge("ch_1", **PAID), dispute("dp_1", "ch_1", 9, currency="eur")],
        900,
        900,
    ),
    "one that is won": ([charge("ch_1", **PAID), dispute("dp_1", "ch_1", 400, "won")], 0, 0),
    "one that is open": ([charge("ch_1", **PAID), dispute("dp_1", "ch_1", 400, "needs_response")], 0, 0),
    "two": ([charge("ch_1", **PAID), *(dispute(f"dp_{n}", "ch_1", 100) for n in range(2))], 200, 200),
    "of another charge": ([charge("ch_1", **PAID), dispute("dp_1", "ch_2", 400)], 0, 0),
    "a refund and a dispute": ([charge("ch_1", 300, **PAID), dispute("dp_1", "ch_1", 400)], 700, 700),
    "a credit note": ([note("cn_1", 400)], 400, 0),
    "that is a refund": ([note("cn_1", 400, 400)], 0, 0),
    "in part": ([note("cn_1", 400, 150), note("cn_2", 50)], 300, 0),
    "that is void": ([note("cn_1", 400, status="void")], 0, 0),
    "of another invoice": ([note("cn_1", 400, invoice_id="in_2")], 0, 0),
    "beside a refund": ([note("cn_1", 400, 300), charge("ch_1", 300, **PAID)], 400, 300),
    "of a payment that pays nothing of it any more": (
        [charge("ch_1", 300, payment_intent_id="pi_2"), paid_by("d", "pi_2", status="canceled")],
        0,
        0,
    ),
    "of a charge without a payment intent": ([charge("ch_1", 300), paid_by("d", None, charge_id="ch_1")], 300, 0),
    "that names its invoice as well": ([charge("ch_1", 300, **NAMED), paid_by("d", None, charge_id="ch_1")], 300, 0),
}


@pytest.mark.parametrize(("rows", "of_invoice", "of_payment"), RETURNED.values(), ids=RETURNED)
def test_how_much_went_back(connection, rows, of_invoice, of_payment):
    put(connection, invoice("in_1"), paid_by("a", "pi_1"), paid_by("b", None), paid_by("c", "pi_9", "in_9"), *rows)
    its = sa.select(returns.of_invoice(INVOICES.c.id)).where(INVOICES.c.id == "in_1")
    assert connection.execute(its).scalar() == of_invoice
    assert connection.execute(sa.select(returns.of_payment(sa.literal("pi_1")))).scalar() == of_payment


SHARES = {
    "a part": (100, (300, 300, 300), (33, 34, 33)),
    "all": (900, (500, 300, 100), (500, 300, 100)),
    "a cent": (1, (500, 300, 100), (1, 0, 0)),
    "nothing": (0, (500, 300, 100), (0, 0, 0)),
    "more than 64 bits, multiplied": (9 * 10**11, (5 * 10**11, 3 * 10**11, 10**11), (5 * 10**11, 3 * 10**11, 10**11)),
    "of what was paid before it was kept": (100, (500, None, 100), (100, 100, 100)),
}


@both_connections
def test_a_refund_is_shared_by_the_invoices_that_the_payment_has_paid(connection):
    invoices = [f"in_{place}" for place in range(3)]
    put(connection, *map(invoice, invoices))
    for number, (refunded, amounts, _) in enumerate(SHARES.values()):
        intent = f"pi_{number}"
        put(connection, charge(f"ch_{number}", refunded, payment_intent_id=intent, amount=10**12))
        for name, amount in zip(invoices, amounts, strict=True):
            put(connection, paid_by(f"{name}_{number}", intent, name, amount_paid=amount))
        put(connection, paid_by(f"x_{number}", intent, "in_x", amount_paid=None, status="open"))
        found = returns.of_invoices(connection, invoices)
        connection.execute(sa.delete(returns.CHARGES))
        assert tuple(found[name] for name in invoices) == [*SHARES.values()][number][2], [*SHARES][number]


DISPUTED = {
    "open": ({}, {}, True),
    "evidence is there": ({"status": "under_review"}, {}, True),
    "an inquiry": ({"status": "warning_needs_response"}, {}, False),
    "lost": ({"status": "lost"}, {}, False),
    "of another charge": ({"charge_id": "ch_2"}, {}, False),
    "of another subscription": ({}, {"subscription_id": "sub_2"}, False),
    "of what is over": ({}, {"service_end": NOW}, False),
}


@pytest.mark.parametrize(("theirs", "columns", "expected"), DISPUTED.values(), ids=DISPUTED)
@pytest.mark.parametrize("named", [PAID, NAMED])
def test_whether_a_payment_of_the_present_is_disputed(connection, named, theirs, columns, expected):
    put(
        connection, invoice("in_1", **{"service_end": at(27), **columns}), paid_by("a", "pi_1"), charge("ch_1", **named)
    )
    put(connection, dispute("dp_1", **{"charge_id": "ch_1", "amount": 900, "status": "needs_response", **theirs}))
    assert returns.is_disputed("sub_1", NOW, connection) is expected


@both_connections
def test_each_invoice_has_its_own(connection):
    put(
        connection,
        invoice("in_1"),
        invoice("in_2"),
        invoice("in_3"),
        paid_by("a", "pi_1"),
        paid_by("b", "pi_2", "in_2"),
    )
    put(connection, charge("ch_1", 10, **PAID), charge("ch_2", 7, payment_intent_id="pi_2"), note("cn_1", 3))
    put(connection, charge("ch_3", 2, invoice_id="in_3"))
    its = sa.select(INVOICES.c.id, returns.of_invoice(INVOICES.c.id))
    found = dict(connection.execute(its).all())
    assert {type(each) for each in found.values()} == {int}
    assert found == {"in_1": 13, "in_2": 7, "in_3": 2}
    assert returns.of_invoices(connection, ["in_1", "in_3", "in_9"]) == {"in_1": 13, "in_3": 2}
