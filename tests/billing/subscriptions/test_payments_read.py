"""Which invoices and payments tell about a subscription: read from tables in memory."""

import pytest

from gateway.billing.subscriptions.payments import payments_of
from gateway.models.mirrored import InvoicePayment
from harness.rows import NOW, at, charge, dispute, invoice, line, put, subscription

MONTH = line(-3, 27)


def judged(connection, *rows, status: str = "canceled", now: float = 0):
    put(connection, *rows)
    row = subscription(status=status)
    return payments_of(connection, [(row, at(now))])["sub_1"]


def paid_by(id: str, intent: str | None, invoice_id: str = "in_1") -> InvoicePayment:
    return InvoicePayment(id=id, as_of=0, invoice_id=invoice_id, payment_intent_id=intent, status="paid")


def days(found) -> float | None:
    end = found.paid_until.get("si_1")
    return end and round((end - NOW).total_seconds() / 86_400, 3)


KNOWN = {
    "the present": (invoice("in_1", MONTH), "active", True),
    "the future": (invoice("in_1", line(1, 27)), "active", True),
    "the past": (invoice("in_1", line(-33, -3)), "active", False),
    "just over": (invoice("in_1", line(-33, 0)), "active", False),
    "the past, where something is owed": (invoice("in_1", line(-33, -3)), "past_due", True),
    "the past, after the end": (invoice("in_1", line(-33, -3)), "canceled", False),
    "of which nothing is known": (invoice("in_1", line(-33, -3), service_end=None), "active", True),
    "void": (invoice("in_1", MONTH, status="void"), "active", False),
    "deleted": (invoice("in_1", MONTH, deleted=True), "active", False),
    "open": (invoice("in_1", MONTH, status="open"), "active", True),
    "another's": (invoice("in_1", MONTH, subscription_id="sub_2"), "active", False),
}


@pytest.mark.parametrize(("row", "status", "known"), KNOWN.values(), ids=KNOWN)
def test_the_invoices_that_are_about_now_or_later(connection, row, status, known):
    assert judged(connection, row, status=status).known is known


RETURNED = {
    "nothing": ([paid_by("a", "pi_1"), charge("ch_1", payment_intent_id="pi_1")], 27),
    "all of it": ([paid_by("a", "pi_1"), charge("ch_1", 900, payment_intent_id="pi_1")], None),
    "of a charge that names its invoice": ([charge("ch_1", 900, invoice_id="in_1")], None),
    "both at once is once": (
        [paid_by("a", "pi_1"), charge("ch_1", 450, payment_intent_id="pi_1", invoice_id="in_1")],
        27,
    ),
    "a part": ([charge("ch_1", 899, invoice_id="in_1")], 27),
    "in two charges": ([charge("ch_1", 450, invoice_id="in_1"), charge("ch_2", 450, invoice_id="in_1")], None),
    "what was never taken": ([charge("ch_1", 900, invoice_id="in_1", amount=1800, amount_captured=900)], 27),
    "and the rest": ([charge("ch_1", 1800, invoice_id="in_1", amount=1800, amount_captured=900)], None),
    "one not taken and one refunded": (
        [
            charge("ch_1", 100, invoice_id="in_1", amount=1800, amount_captured=900),
            charge("ch_2", 900, invoice_id="in_1"),
        ],
        None,
    ),
    "a lost dispute": ([charge("ch_1", invoice_id="in_1"), dispute("dp_1", "ch_1", 900)], None),
    "a part that is disputed, and the rest refunded": (
        [charge("ch_1", 500, invoice_id="in_1"), dispute("dp_1", "ch_1", 400)],
        None,
    ),
    "not all of it": ([charge("ch_1", 500, invoice_id="in_1"), dispute("dp_1", "ch_1", 399)], None),
    "half of it": ([charge("ch_1", invoice_id="in_1"), dispute("dp_1", "ch_1", 450)], 12),
    "the rest by the seller": ([charge("ch_1", 225, invoice_id="in_1"), dispute("dp_1", "ch_1", 225)], 12),
    "a dispute that is won": ([charge("ch_1", invoice_id="in_1"), dispute("dp_1", "ch_1", 900, "won")], 27),
    "a dispute of another charge": ([charge("ch_1", invoice_id="in_1"), dispute("dp_1", "ch_2", 900)], 27),
    "of another invoice": ([charge("ch_1", 900, invoice_id="in_2")], 27),
    "by another payment": ([paid_by("a", "pi_2"), charge("ch_1", 900, payment_intent_id="pi_1")], 27),
}


@pytest.mark.parametrize(("rows", "until"), RETURNED.values(), ids=RETURNED)
def test_what_went_back_is_not_kept(connection, rows, until):
    assert days(judged(connection, invoice("in_1", MONTH), *rows)) == until


@pytest.mark.parametrize("status", ["active", "trialing", "past_due", "canceled", "unpaid"])
def test_what_went_back_is_paid_back_in_every_status(connection, status):
    found = judged(connection, invoice("in_1", MONTH), charge("ch_1", 900, invoice_id="in_1"), status=status)
    assert (found.paid_until, found.paid_back) == ({}, {"si_1"})


def test_what_went_back_of_an_open_invoice_changes_nothing(connection):
    found = judged(connection, invoice("in_1", MONTH, status="open"), charge("ch_1", 900, invoice_id="in_1"))
    assert (found.paid_until, found.known) == ({}, True)


def test_several_subscriptions_at_once_each_at_its_own_moment(connection):
    theirs = {"subscription_id": "sub_2"}
    put(
        connection, invoice("in_1", MONTH), invoice("in_2", line(-33, -3, subscription_item="si_2"), days=-33, **theirs)
    )
    put(connection, invoice("in_3", line(-3, 27, subscription_item="si_2"), **theirs))
    put(connection, charge("ch_1", 900, invoice_id="in_3"), charge("ch_2", 900, invoice_id="in_1"))
    rows = [
        (subscription("sub_1", "active"), at(0)),
        (subscription("sub_2", "canceled"), at(-10)),
        (subscription("sub_3", "active"), at(0)),
    ]
    found = payments_of(connection, rows)
    assert {name: each.paid_until for name, each in found.items()} == {
        "sub_1": {}, "sub_2": {"si_2": at(-3)}, "sub_3": {},
    }  # fmt: skip
    assert [each.known for each in found.values()] == [True, True, False]
    assert [each.paid_back for each in found.values()] == [{"si_1"}, set(), set()]
