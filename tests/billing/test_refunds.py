"""Money back by the application's back end: once for a key, never more than was paid, the credits with it."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from billing.credits.test_credits import balance, bill

from harness.databases import both_databases
from harness.gateway import SERVICE
from harness.subscriptions import customer

REFUND = """mutation($input: RefundInvoiceInput!) { refundInvoice(input: $input) {
    refund { id status amount { amount currency } } invoice { id status } userErrors { code field message } } }"""
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


def test_of_an_open_invoice_less_is_to_be_paid_and_what_no_payment_has_paid_is_not_refunded(world):
    ada = customer(world, "ada")
    invoice = world.stripe("POST", "/v1/invoices", customer=ada)
    line = {"customer": ada, "invoice": invoice["id"], "amount": 900, "currency": "usd"}
    world.stripe("POST", "/v1/invoiceitems", **line)
    world.stripe("POST", f"/v1/invoices/{invoice['id']}/finalize")
    assert codes(ask(world, REFUND, invoice["id"])) == ["INVOICE_NOT_REFUNDABLE"]
    answer = ask(world, CREDIT, invoice["id"], "c", amount=300)
    assert answer["invoice"]["amountRemaining"] == {"amount": 600}


@pytest.mark.parametrize("query", [REFUND, CREDIT])
def test_money_goes_back_by_the_back_end_alone(shop, query):
    wanted = {"input": {"invoiceId": "in_1", "idempotencyKey": "k"}}
    for headers, code in ((None, "UNAUTHENTICATED"), (shop.token("ada"), "FORBIDDEN"), (SERVICE, "NOT_FOUND")):
        (error,) = shop.graphql(query, wanted, headers).json()["errors"]
        assert error["extensions"]["code"] == code
    sneaky = {"input": {"invoiceId": "in_1/../../customers/cus_1", "idempotencyKey": "k"}}
    assert shop.graphql(query, sneaky, SERVICE).json()["errors"][0]["extensions"]["code"] == "NOT_FOUND"
