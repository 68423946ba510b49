"""What Stripe is asked when money goes back, as tables: a Stripe that answers what is written down."""

from functools import partial

import pytest
import sqlalchemy as sa

from gateway.billing.audit import ENTRIES, Action, AuditLog
from gateway.billing.refunds import MoneyBack, Refunds
from gateway.billing.user_errors import Rejected
from gateway.db.tables import table_for
from gateway.errors import NotFound
from gateway.models.mirrored import Charge, CreditNote, Invoice, InvoicePayment
from harness import rows

REFUND, CREDIT = ("POST", "/v1/refunds"), ("POST", "/v1/credit_notes")
AT = 1_700_000_000


def invoice(**columns) -> dict:
    """A paid invoice over 900."""
    obj = {"id": "in_1", "object": "invoice", "customer": "cus_1", "number": "A-1", "status": "paid", "currency": "usd"}
    obj |= dict.fromkeys(("subtotal", "total", "amount_due", "amount_paid"), 900) | {"amount_remaining": 0}
    obj |= {"billing_reason": "manual", "attempt_count": 1, "period_start": AT, "period_end": AT, "created": AT}
    return obj | {"lines": {"data": []}, "status_transitions": {"paid_at": AT}, **columns}


def payment(number: int, amount: int = 900, **charge) -> tuple[dict, dict]:
    """One payment of the invoice, and its intent with its charge."""
    paid = {"id": f"inpay_{number}", "object": "invoice_payment", "invoice": "in_1", "status": "paid"}
    paid |= {"payment": {"type": "payment_intent", "payment_intent": f"pi_{number}"}, "amount_paid": amount}
    obj = {"id": f"ch_{number}", "object": "charge", "customer": "cus_1", "payment_intent": f"pi_{number}"}
    obj |= dict.fromkeys(("amount", "amount_captured"), amount) | {"amount_refunded": 0, "currency": "usd"}
    obj |= {"status": "succeeded", "created": AT + number, "disputed": False, **charge}
    return paid, {"id": f"pi_{number}", "object": "payment_intent", "latest_charge": obj}


def refund(number: int, amount: int, charge: str | None = None, **metadata) -> dict:
    obj = {"id": f"re_{number}", "object": "refund", "amount": amount, "currency": "usd", "status": "succeeded"}
    return obj | {"charge": charge or f"ch_{number}", "metadata": metadata}


def answered(*numbers: tuple[int, int]) -> dict:
    """The answer of refunds, each by its number and amount."""
    each = [{"id": f"re_{n}", "amount": amount, "currency": "usd", "status": "succeeded"} for n, amount in numbers]
    return each[0] | ({"refunds": each} if len(each) > 1 else {})


@pytest.fixture
def ask(mirror, stripe, scripted, database):
    """Gives money back; the answer, or the codes and fields of what stands against it."""

    def prepare(theirs: dict, *payments: tuple[dict, dict]) -> None:
        scripted.answer("GET", "/v1/invoices/in_1", theirs)
        scripted.list("/v1/invoice_payments", [paid for paid, _ in payments])
        for _, intent in payments:
            scripted.answer("GET", f"/v1/payment_intents/{intent['id']}", intent)
            if charge := intent["latest_charge"]:
                scripted.answer("GET", f"/v1/charges/{charge['id']}", charge)

    async def ask(kind: str = "refund", **wanted):
        action = partial(Action, by="test", key="k")
        refunds = Refunds(mirror, stripe, AuditLog(database))
        try:
            return await getattr(refunds, kind)(MoneyBack("in_1", **wanted), action)
        except Rejected as rejected:
            return [(each.code.name, each.field) for each in rejected.problems]

    ask.prepare = prepare
    return ask


async def reference_of(database) -> str:
    """The gateway's own name of the action."""
    return await database.read(lambda one: one.execute(sa.select(ENTRIES.c.reference)).scalar())


def parts(scripted, path: str = "/v1/refunds") -> list[dict]:
    """What Stripe was asked to do, without the action's reference, which must be the same in all of it."""
    asked = [params for method, its, params in scripted.calls if (method, its) == ("POST", path)]
    assert len({each.pop("metadata[gateway_action]") for each in asked}) <= 1
    return asked


def pi(number: int, amount: int, **more: str) -> dict[str, str]:
    return {"payment_intent": f"pi_{number}", "amount": f"{amount}", **more}


CASH = {"id": "inpay_9", "object": "invoice_payment", "invoice": "in_1", "status": "paid", "amount_paid": 50}
CASH |= {"payment": {"type": "out_of_band"}}
GONE = payment(1)[0], {"id": "pi_1", "object": "payment_intent", "latest_charge": None}
BAD, NOT = [("AMOUNT_INVALID", "amount")], [("INVOICE_NOT_REFUNDABLE", "invoiceId")]
WAYS = {
    "all": ([payment(1)], {}, {}, [pi(1, 900)]),
    "a part, for a reason": ([payment(1)], {}, {"amount": 1, "reason": "fraudulent"}, [pi(1, 1, reason="fraudulent")]),
    "all of it by its amount": ([payment(1)], {}, {"amount": 900}, [pi(1, 900)]),
    "more": ([payment(1)], {}, {"amount": 901}, BAD),
    "nothing": ([payment(1)], {}, {"amount": 0}, BAD),
    "what is left of a charge": ([payment(1, amount_refunded=200)], {}, {}, [pi(1, 700)]),
    "more than is left of it": ([payment(1, amount_refunded=200)], {}, {"amount": 701}, BAD),
    "when nothing is left": ([payment(1, amount_refunded=900)], {}, {}, BAD),
    "not what the payment paid for another invoice": ([payment(1, amount=1200), payment(2, 0)], {}, {}, [pi(1, 900)]),
    "no more than was paid by these payments": ([payment(1, 400)], {}, {}, [pi(1, 400)]),
    "more than these payments": ([payment(1, 400)], {}, {"amount": 401}, BAD),
    "the newest first": ([payment(1, 400), payment(2, 500)], {}, {"amount": 600}, [pi(2, 500), pi(1, 100)]),
    "a disputed one last": (
        [payment(1, 400), payment(2, 500, disputed=True)],
        {},
        {"amount": 600},
        [pi(1, 400), pi(2, 200)],
    ),
    "of one second by their names": (
        [payment(1, 400, created=AT), payment(2, 500, created=AT)],
        {},
        {"amount": 501},
        [pi(2, 500), pi(1, 1)],
    ),
    "what is left of the newest first": (
        [payment(2, 400, amount_refunded=100), payment(1, 500)],
        {},
        {"amount": 450},
        [pi(2, 300), pi(1, 150)],
    ),
    "not what was paid in cash": ([payment(1, 850), (CASH, {"id": "x", "latest_charge": None})], {}, {}, [pi(1, 850)]),
    "cash alone": ([(CASH, {"id": "x", "latest_charge": None})], {}, {}, NOT),
    "without any payment": ([], {}, {}, NOT),
    "a payment without a charge": ([GONE, payment(2, 500)], {}, {}, [pi(2, 500)]),
    "no more than the invoice was paid with": ([payment(1)], {"amount_paid": 300}, {}, [pi(1, 300)]),
    "and what was taken off before": (
        [payment(1, 300)],
        {"amount_paid": 300, "pre_payment_credit_notes_amount": 200},
        {},
        [pi(1, 300)],
    ),
}


@pytest.mark.parametrize(("payments", "theirs", "wanted", "expected"), WAYS.values(), ids=WAYS)
async def test_which_payments_are_refunded(ask, scripted, database, payments, theirs, wanted, expected):
    ask.prepare(invoice(**theirs), *payments)
    made = [each for each in expected if isinstance(each, dict)]
    amounts = [(int(each["payment_intent"][3:]), int(each["amount"])) for each in made]
    for number, amount in amounts:
        scripted.answer(*REFUND, refund(number, amount))
    answer = await ask(**wanted)
    if made:
        assert (answer, parts(scripted)) == (answered(*amounts), expected)
        reference = await reference_of(database)
        assert scripted.keys == [f"action-{reference}{each['payment_intent']}" for each in made]
        asked = [params for _, path, params in scripted.calls if path.startswith("/v1/payment_intents/")]
        assert asked == [{"expand[0]": "latest_charge"}] * len(asked)
        read = sorted(path for _, path, _ in scripted.calls if path.startswith("/v1/charges"))
        assert read == sorted(f"/v1/charges/ch_{number}" for number, _ in amounts)
    else:
        assert (answer, parts(scripted)) == (expected, [])
    listed = [params for _, path, params in scripted.calls if path == "/v1/invoice_payments"]
    assert listed in ([], [{"invoice": "in_1", "status": "paid", "limit": "100"}])


async def test_what_is_paid_back_is_in_the_copy_with_the_answer(ask, scripted, database):
    ask.prepare(invoice(), payment(1))
    gone = payment(1, amount_refunded=100)[1]["latest_charge"]
    scripted.forget("GET", "/v1/charges/ch_1")
    scripted.answer("GET", "/v1/charges/ch_1", gone)
    scripted.answer(*REFUND, refund(1, 100))
    await ask(amount=100)
    tables = [table_for(each) for each in (Charge, Invoice, InvoicePayment)]
    found = await database.read(lambda one: [one.execute(sa.select(each.c.id)).scalar() for each in tables])
    assert found == ["ch_1", "in_1", "inpay_1"]
    back = sa.select(table_for(Charge).c.amount_refunded)
    assert await database.read(lambda one: one.execute(back).scalar()) == 100


@pytest.mark.parametrize(("first", "code"), [(True, NOT), (False, [("STRIPE_REFUSED", None)])])
async def test_stripe_refuses_a_part(ask, scripted, first, code):
    ask.prepare(invoice(), payment(1, 400), payment(2, 500))
    if first:
        scripted.answer(*REFUND, refund(2, 500))
    scripted.refuse(*REFUND, "charge_disputed")
    assert await ask() == code


@pytest.mark.parametrize(
    ("amount", "there", "then", "answer"),
    [
        (None, [], [pi(2, 500), pi(1, 400)], answered((2, 500), (1, 400))),
        (None, [2], [pi(1, 400)], answered((2, 500), (1, 400))),
        (None, [2, 1], [], answered((2, 500), (1, 400))),
        (600, [2], [pi(1, 100)], answered((2, 500), (1, 100))),
        (500, [2], [], answered((2, 500))),
    ],
)
async def test_who_was_killed_does_only_what_is_missing(ask, scripted, database, amount, there, then, answer):
    """Stripe may know the keys no longer: what an earlier try has done stands in its lists, by its metadata."""
    ask.prepare(invoice(), payment(1, 400), payment(2, 500))
    scripted.answer(*REFUND, {"error": {"type": "api_error", "message": "down"}}, status=500)
    with pytest.raises(Exception, match="Stripe"):
        await ask(amount=amount)
    reference = await reference_of(database)
    scripted.calls.clear()
    scripted.forget(*REFUND)
    others = [refund(7, 5), refund(8, 5, gateway_action="other")]
    for number, gone in ((2, 500), (1, 400)):
        mine = refund(number, gone, gateway_action=reference)
        scripted.list("/v1/refunds", [*others, mine] if number in there else others)
    for each in then:
        scripted.answer(*REFUND, refund(int(each["payment_intent"][3:]), int(each["amount"])))
    assert (await ask(amount=amount), parts(scripted)) == (answer, then)
    asked = [params for method, path, params in scripted.calls if (method, path) == ("GET", "/v1/refunds")]
    assert asked == [{"limit": "100", "payment_intent": f"pi_{number}"} for number in (2, 1)]


NOTE = {"id": "cn_1", "object": "credit_note", "number": "CN-1", "amount": 100, "currency": "usd", "status": "issued"}
NOTE |= {"customer": "cus_1", "invoice": "in_1", "refunds": [], "metadata": {}}
OPEN = {"status": "open", "amount_paid": 0, "amount_remaining": 600, "pre_payment_credit_notes_amount": 300}
IN = {"invoice": "in_1"}
CREDITS = {
    "of a paid invoice": ([payment(1)], {}, {"amount": 100}, IN | {"amount": "100", "credit_amount": "100"}),
    "all of it": ([payment(1)], {}, {}, IN | {"amount": "900", "credit_amount": "900"}),
    "with words": (
        [payment(1)],
        {},
        {"amount": 1, "memo": "m" * 500, "reason": "order_change"},
        IN | {"amount": "1", "credit_amount": "1", "memo": "m" * 500, "reason": "order_change"},
    ),
    "more": ([payment(1)], {}, {"amount": 901}, BAD),
    "a long memo": ([payment(1)], {}, {"memo": "m" * 501}, [("TEXT_TOO_LONG", "memo")]),
    "what went back of a payment": (
        [payment(1, amount_refunded=200)],
        {},
        {},
        IN | {"amount": "700", "credit_amount": "700"},
    ),
    "of one that was paid with nothing": ([], {"amount_paid": 0}, {}, BAD),
    "of one that a balance has paid": (
        [],
        {"amount_paid": 0, "amount_due": 0},
        {},
        IN | {"amount": "900", "credit_amount": "900"},
    ),
    "of one that a balance has paid in part": (
        [payment(1, 500)],
        {"amount_paid": 500, "amount_due": 500},
        {},
        IN | {"amount": "900", "credit_amount": "900"},
    ),
    "of one that was paid outside of Stripe": ([], {}, {"amount": 100}, IN | {"amount": "100", "credit_amount": "100"}),
    "of an open one": ([], OPEN, {}, IN | {"amount": "600"}),
    "more than is open": ([], OPEN, {"amount": 601}, BAD),
    "of an open one of which a payment went back": (
        [payment(1, amount_refunded=200)],
        OPEN,
        {},
        IN | {"amount": "600"},
    ),
}


@pytest.mark.parametrize(("payments", "theirs", "wanted", "expected"), CREDITS.values(), ids=CREDITS)
async def test_what_is_credited(ask, scripted, database, payments, theirs, wanted, expected):
    ask.prepare(invoice(**theirs), *payments)
    scripted.answer(*CREDIT, NOTE)
    scripted.answer("GET", "/v1/credit_notes/cn_1", NOTE)
    answer, asked = await ask("credit", **wanted), parts(scripted, "/v1/credit_notes")
    if isinstance(expected, dict):
        assert (asked, scripted.keys) == ([expected], [f"action-{await reference_of(database)}"])
        assert answer == {"id": "cn_1", "number": "CN-1", "amount": 100, "currency": "usd"}
        assert [path for _, path, _ in scripted.calls].count("/v1/invoices/in_1") == 3  # at first, then, and at last
        note = sa.select(table_for(CreditNote).c.amount)
        assert await database.read(lambda one: one.execute(note).scalar()) == 100
    else:
        assert (answer, asked) == (expected, [])
    listed = [params for _, path, params in scripted.calls if path == "/v1/invoice_payments"]
    assert listed in ([], [{"invoice": "in_1", "status": "paid", "limit": "100"}])


@pytest.mark.parametrize(
    ("kind", "theirs", "amount"), [("refund", {}, 700), ("credit", {}, 700), ("credit", OPEN, 600)]
)
async def test_what_was_credited_before_goes_back_no_more(ask, scripted, fill, kind, theirs, amount):
    off = {"invoice_id": "in_1", "amount": 200, "refunded": 0, "status": "issued", "currency": "usd"}
    await fill(CreditNote(id="cn_0", customer_id="cus_1", as_of=0, **off))
    ask.prepare(invoice(**theirs), payment(1))
    scripted.answer(*REFUND, refund(1, amount))
    scripted.answer(*CREDIT, NOTE)
    scripted.answer("GET", "/v1/credit_notes/cn_1", NOTE)
    await ask(kind)
    made = parts(scripted, "/v1/refunds" if kind == "refund" else "/v1/credit_notes")
    assert [each["amount"] for each in made] == [f"{amount}"]


async def test_what_was_taken_off_before_it_was_paid_is_gone_and_no_part_of_what_was_paid(ask, scripted, fill):
    off = {"invoice_id": "in_1", "amount": 300, "refunded": 0, "status": "issued", "currency": "usd"}
    await fill(CreditNote(id="cn_0", customer_id="cus_1", as_of=0, **off))
    ask.prepare(invoice(amount_paid=600, pre_payment_credit_notes_amount=300), payment(1, 600))
    scripted.answer(*CREDIT, NOTE)
    scripted.answer("GET", "/v1/credit_notes/cn_1", NOTE)
    await ask("credit")
    assert parts(scripted, "/v1/credit_notes") == [IN | {"amount": "600", "credit_amount": "600"}]


async def test_who_was_killed_behind_a_credit_note_makes_no_second(ask, scripted, database):
    ask.prepare(invoice(), payment(1))
    scripted.answer(*CREDIT, NOTE)
    scripted.answer("GET", "/v1/credit_notes/cn_1", NOTE)
    answer = await ask("credit", amount=100)
    update = sa.update(ENTRIES).values(status="pending", result=None)
    await database.transaction(lambda one: one.execute(update))
    reference = await reference_of(database)
    scripted.list("/v1/credit_notes", [NOTE | {"id": "cn_2"}, NOTE | {"metadata": {"gateway_action": reference}}])
    assert await ask("credit", amount=100) == answer
    assert len(parts(scripted, "/v1/credit_notes")) == 1
    assert ("GET", "/v1/credit_notes", {"invoice": "in_1", "limit": "100"}) in scripted.calls


@pytest.mark.parametrize("wanted", [{"amount": 0}, {"amount": -5}, {"memo": "m" * 501}])
async def test_of_what_can_never_be_stripe_hears_nothing(ask, scripted, wanted):
    await ask(**wanted)
    assert scripted.calls == []


@pytest.mark.parametrize("is_in_the_copy", [True, False])
@pytest.mark.parametrize("kind", ["refund", "credit"])
async def test_whose_and_what_it_was_is_in_the_log(ask, scripted, database, fill, kind, is_in_the_copy):
    ask.prepare(invoice(), payment(1))
    scripted.answer(*REFUND, refund(1, 100))
    scripted.answer(*CREDIT, NOTE)
    scripted.answer("GET", "/v1/credit_notes/cn_1", NOTE)
    await fill(rows.customer(external_id="ada"), *([rows.invoice("in_1")] if is_in_the_copy else []))
    await ask(kind, amount=100, reason="duplicate", memo="m")
    read = [path for _, path, _ in scripted.calls].count("/v1/invoices/in_1")
    assert read == {"refund": 1, "credit": 2}[kind] + (not is_in_the_copy)
    entry = await database.read(lambda one: one.execute(sa.select(ENTRIES)).one())
    assert (entry.action, entry.external_id, entry.target, entry.status) == (f"invoice.{kind}", "ada", "in_1", "done")
    assert entry.input == {"amount": 100, "reason": "duplicate", "memo": "m"}
    assert await ask(kind, amount=101) == [("IDEMPOTENCY_KEY_REUSED", "idempotencyKey")]


@pytest.mark.parametrize("name", ["in_2", "in_", "in_1/../in_2", "xin_1", "in_" + "x" * 251])
async def test_an_invoice_that_is_not_there(mirror, stripe, scripted, database, name):
    scripted.refuse("GET", f"/v1/invoices/{name}", "resource_missing", status=404)
    with pytest.raises(NotFound):
        await Refunds(mirror, stripe, AuditLog(database)).refund(MoneyBack(name), partial(Action, by="test", key="k"))
    assert len(scripted.calls) == (name == "in_2")
