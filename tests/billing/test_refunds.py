"""Money back by the application's back end: once for a key, never more than was paid, the credits with it."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from billing.credits.test_credits import balance, bill

from gateway.billing.refunds import Payment, shared
from harness.databases import both_databases, postgres_later
from harness.gateway import SERVICE
from harness.subscriptions import customer

REFUND = """mutation($input: RefundInvoiceInput!) { refundInvoice(input: $input) {
    refund { ...Back } refunds { ...Back } invoice { id status } userErrors { code field message } } }"""
REFUND += "fragment Back on Refund { id status amount { amount currency } }"
CREDIT = """mutation($input: CreditInvoiceInput!) { creditInvoice(input: $input) {
    creditNote { id number amount { amount } } invoice { id amountRemaining { amount } }
    userErrors { code field message } } }"""
LOG = """query($user: ID) { auditLog(externalId: $user) { nodes {
    action status by actor externalId target input result problems idempotencyKey } } }"""


def ask(world, query: str, invoice: str, key: str = "k", **wanted) -> dict:
    wanted = {"invoiceId": invoice, "idempotencyKey": key, **wanted}
    (answer,) = world.data(query, {"input": wanted}, SERVICE).values()
    return answer


def codes(answer: dict) -> list[str]:
    return [each["code"] for each in answer["userErrors"]]


def refunds(world) -> list[int]:
    return [each["amount"] for each in world.stripe("GET", "/v1/refunds", limit=100)["data"]]


def forget_keys(world) -> None:
    """Have the offline Stripe forget the idempotency keys, as Stripe does after a day."""
    control = f"{world.stripe_url}/_sandbox"
    state = world.client.get(f"{control}/export").json()
    state["objects"] = [each for each in state["objects"] if each["object"] != "_idempotency"]
    assert world.client.post(f"{control}/import", json=state).is_success


@both_databases
def test_a_refund_is_made_once_for_a_key_and_takes_the_credits_back(world):
    paid = bill(world, customer(world, "ada"), quantity=3, credits=100)["id"]
    world.eventually(lambda: balance(world, "ada"), 300)
    wanted = {"amount": 1000, "reason": "REQUESTED_BY_CUSTOMER", "actor": "agent 7"}
    with world.twin() as other, ThreadPoolExecutor(3) as threads:  # on two machines
        answers = list(threads.map(lambda each: ask(each, REFUND, paid, **wanted), (world, other, world)))
    assert answers[0] == answers[1] == answers[2]
    assert answers[0]["refund"]["amount"] == {"amount": 1000, "currency": "USD"}
    assert answers[0]["invoice"] == {"id": paid, "status": "PAID"}
    assert refunds(world) == [1000]
    assert balance(world, "ada") == 200  # with the answer, before any event

    assert codes(ask(world, REFUND, paid, amount=999)) == ["IDEMPOTENCY_KEY_REUSED"]
    assert codes(ask(world, REFUND, paid, "too much", amount=2001)) == ["AMOUNT_INVALID"]
    assert codes(ask(world, REFUND, paid, "nothing", amount=0)) == ["AMOUNT_INVALID"]
    assert ask(world, REFUND, paid, "the rest")["refund"]["amount"]["amount"] == 2000
    assert balance(world, "ada") == 0
    assert codes(ask(world, REFUND, paid, "once more")) == ["AMOUNT_INVALID"]
    assert codes(ask(world, CREDIT, paid, "as credit, too")) == ["AMOUNT_INVALID"]
    assert refunds(world) == [2000, 1000]

    entries = world.data(LOG, {"user": "ada"}, SERVICE)["auditLog"]["nodes"]
    assert [(each["action"], each["status"]) for each in entries] == [
        ("invoice.credit", "REFUSED"),
        ("invoice.refund", "REFUSED"),
        ("invoice.refund", "DONE"),
        ("invoice.refund", "REFUSED"),
        ("invoice.refund", "DONE"),
    ]
    assert (entries[-1]["by"], entries[-1]["actor"], entries[-1]["target"]) == ("service token 1", "agent 7", paid)


@both_databases
def test_a_process_that_was_killed_behind_stripe_has_refunded_once(world):
    paid = bill(world, customer(world, "ada"))["id"]
    first = ask(world, REFUND, paid, amount=400)
    world._execute("UPDATE audit_entry SET status = 'pending', result = NULL, finished = NULL")
    (at_stripe,) = world.stripe("GET", "/v1/refunds")["data"]
    forget_keys(world)
    assert ask(world, REFUND, paid, amount=400) == first
    assert refunds(world) == [400]
    (entry,) = world.data(LOG, {}, SERVICE)["auditLog"]["nodes"]
    assert (entry["status"], at_stripe["id"] in entry["result"]) == ("DONE", True)


@pytest.mark.parametrize(
    ("amount", "lefts", "parts"),
    [
        (500, [600, 400], [("p0", 500)]),
        (600, [600, 400], [("p0", 600)]),
        (601, [600, 400], [("p0", 600), ("p1", 1)]),
        (1000, [600, 400], [("p0", 600), ("p1", 400)]),
        (100, [0, 400], [("p1", 100)]),
    ],
)
def test_which_payments_go_back(amount, lefts, parts):
    payments = [Payment(f"p{number}", left) for number, left in enumerate(lefts)]
    assert [(payment.intent, share) for payment, share in shared(amount, payments)] == parts


def paid_in_parts(world, who: str, *amounts: int) -> str:
    """An invoice over 100 credits a dollar that several payments have paid, in this order; its id."""
    made = world.stripe("POST", "/v1/products", name="Pack")
    form = {"currency": "usd", "unit_amount": 100, "metadata[credits]": 100}
    price = world.stripe("POST", "/v1/prices", product=made["id"], **form)["id"]
    invoice = world.stripe("POST", "/v1/invoices", customer=who)["id"]
    line = {"customer": who, "invoice": invoice, "pricing[price]": price, "quantity": sum(amounts) // 100}
    world.stripe("POST", "/v1/invoiceitems", **line)
    world.stripe("POST", f"/v1/invoices/{invoice}/finalize", auto_advance="false")
    for amount in amounts:
        how = {"amount": amount, "currency": "usd", "payment_method": "pm_card_visa", "confirm": "true"}
        intent = world.stripe("POST", "/v1/payment_intents", customer=who, **how, **{"payment_method_types[0]": "card"})
        world.stripe("POST", f"/v1/invoices/{invoice}/attach_payment", payment_intent=intent["id"])
        world.advance(to=world.sandbox.now() + 60)
    return invoice


@postgres_later
def test_several_payments_of_an_invoice_go_back_the_newest_first_and_once(world):
    paid = paid_in_parts(world, customer(world, "ada"), 400, 600)
    world.eventually(lambda: balance(world, "ada"), 1000)
    first = ask(world, REFUND, paid, amount=700)
    assert [each["amount"]["amount"] for each in first["refunds"]] == [600, 100]
    assert (first["refund"], refunds(world), balance(world, "ada")) == (first["refunds"][0], [100, 600], 300)
    assert codes(ask(world, REFUND, paid, "too much", amount=301)) == ["AMOUNT_INVALID"]

    world._execute("UPDATE audit_entry SET status = 'pending', result = NULL WHERE key = 'k'")
    forget_keys(world)
    assert ask(world, REFUND, paid, amount=700) == first  # killed after both
    assert refunds(world) == [100, 600]
    assert ask(world, REFUND, paid, "the rest")["refund"]["amount"]["amount"] == 300
    assert (refunds(world), balance(world, "ada")) == ([300, 100, 600], 0)


def test_a_credit_is_for_later_invoices_and_takes_the_credits_back(world):
    ada = customer(world, "ada")
    paid = bill(world, ada, quantity=2, credits=100)["id"]
    world.eventually(lambda: balance(world, "ada"), 200)
    answer = ask(world, CREDIT, paid, amount=1000, reason="ORDER_CHANGE", memo="As we said")
    assert answer == ask(world, CREDIT, paid, amount=1000, reason="ORDER_CHANGE", memo="As we said")
    assert answer["creditNote"]["amount"] == {"amount": 1000}
    assert balance(world, "ada") == 100
    assert world.stripe("GET", f"/v1/customers/{ada}")["balance"] == -1000
    assert codes(ask(world, REFUND, paid, "both", amount=1001)) == ["AMOUNT_INVALID"]
    world._execute("UPDATE audit_entry SET status = 'pending', result = NULL WHERE key = 'k'")
    forget_keys(world)
    assert ask(world, CREDIT, paid, amount=1000, reason="ORDER_CHANGE", memo="As we said") == answer
    assert len(world.stripe("GET", "/v1/credit_notes")["data"]) == 1


def test_what_a_balance_has_paid_is_credited_once_and_not_refunded(world):
    ada = customer(world, "ada")
    world.stripe("POST", f"/v1/customers/{ada}", balance=-400)
    paid = bill(world, ada, credits=100)["id"]
    world.eventually(lambda: balance(world, "ada"), 100)
    assert codes(ask(world, REFUND, paid, "too much", amount=601)) == ["AMOUNT_INVALID"]
    assert ask(world, REFUND, paid)["refund"]["amount"]["amount"] == 600
    assert ask(world, CREDIT, paid, "rest")["creditNote"]["amount"] == {"amount": 400}
    assert (balance(world, "ada"), world.stripe("GET", f"/v1/customers/{ada}")["balance"]) == (0, -400)
    assert codes(ask(world, CREDIT, paid, "again")) == ["AMOUNT_INVALID"]


def test_of_an_open_invoice_less_is_to_be_paid_and_what_no_payment_has_paid_is_not_refunded(world):
    ada = customer(world, "ada")
    invoice = world.stripe("POST", "/v1/invoices", customer=ada)
    line = {"customer": ada, "invoice": invoice["id"], "amount": 900, "currency": "usd"}
    world.stripe("POST", "/v1/invoiceitems", **line)
    world.stripe("POST", f"/v1/invoices/{invoice['id']}/finalize")
    assert codes(ask(world, REFUND, invoice["id"])) == ["INVOICE_NOT_REFUNDABLE"]
    answer = ask(world, CREDIT, invoice["id"], "c", amount=300)
    assert answer["invoice"]["amountRemaining"] == {"amount": 600}
    (method, *_) = world.stripe("GET", "/v1/payment_methods", customer=ada)["data"]
    world.stripe("POST", f"/v1/invoices/{invoice['id']}/pay", payment_method=method["id"])
    assert codes(ask(world, CREDIT, invoice["id"], "more", amount=601)) == ["AMOUNT_INVALID"]
    assert ask(world, CREDIT, invoice["id"], "later", amount=100)["userErrors"] == []
    assert codes(ask(world, REFUND, invoice["id"], "too much", amount=501)) == ["AMOUNT_INVALID"]
    assert ask(world, REFUND, invoice["id"], "rest")["refund"]["amount"]["amount"] == 500  # all that was paid is back


@pytest.mark.parametrize("query", [REFUND, CREDIT])
def test_money_goes_back_by_the_back_end_alone(shop, query):
    wanted = {"input": {"invoiceId": "in_1", "idempotencyKey": "k"}}
    for headers, code in ((None, "UNAUTHENTICATED"), (shop.token("ada"), "FORBIDDEN"), (SERVICE, "NOT_FOUND")):
        (error,) = shop.graphql(query, wanted, headers).json()["errors"]
        assert error["extensions"]["code"] == code
    sneaky = {"input": {"invoiceId": "in_1/../../customers/cus_1", "idempotencyKey": "k"}}
    assert shop.graphql(query, sneaky, SERVICE).json()["errors"][0]["extensions"]["code"] == "NOT_FOUND"
