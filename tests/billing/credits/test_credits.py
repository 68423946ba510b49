"""Credits: what was paid is granted once, what went back is taken back, and nobody spends what is not there."""

import os
import random
import uuid
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.app import create_app
from gateway.webhooks.handlers import HANDLERS
from harness.checkout import buy
from harness.databases import both_databases, postgres_later
from harness.gateway import SERVICE, listening, make_world, serve
from harness.subscriptions import applied, customer, settled, subscribe

SPEND = """mutation($input: SpendCreditsInput!) { spendCredits(input: $input) {
    entry { id kind amount balance reason metadata { key value } } credits { balance }
    userErrors { code field message } } }"""
CREDITS = """query($id: ID!, $first: Int = 20, $after: String) { customer(externalId: $id) { credits { balance
    entries(first: $first, after: $after) { nodes { kind amount balance purchaseId } pageInfo { hasNextPage endCursor }
    } } } }"""
DAY = 86_400


def credits_of(world, subject: str, **page: Any) -> dict[str, Any]:
    return world.data(CREDITS, {"id": subject, **page}, SERVICE)["customer"]["credits"]


def balance(world, subject: str) -> int:
    return credits_of(world, subject)["balance"]


def spend(world, subject: str, amount: int, key: str, **more: Any) -> dict[str, Any]:
    wanted = {"externalId": subject, "amount": amount, "idempotencyKey": key, **more}
    return world.data(SPEND, {"input": wanted}, SERVICE)["spendCredits"]


def give(world, subject: str, **price: Any) -> tuple[str, dict[str, Any]]:
    """A customer who has paid an invoice for one unit of a price with these metadata; the id and the paid invoice."""
    who = customer(world, subject)
    return who, bill(world, who, **price)


def bill(world, who: str, quantity: int = 1, cents: str = "1000", **meta: Any) -> dict[str, Any]:
    """A paid invoice over a price of so many cents, with these metadata."""
    made = world.stripe("POST", "/v1/products", name="Pack")
    meta = {f"metadata[{key}]": value for key, value in meta.items()}
    price = world.stripe("POST", "/v1/prices", product=made["id"], currency="usd", unit_amount_decimal=cents, **meta)
    invoice = world.stripe("POST", "/v1/invoices", customer=who)
    line = {"customer": who, "invoice": invoice["id"], "pricing[price]": price["id"], "quantity": quantity}
    world.stripe("POST", "/v1/invoiceitems", **line)
    (method, *_) = world.stripe("GET", "/v1/payment_methods", customer=who)["data"]
    world.stripe("POST", f"/v1/invoices/{invoice['id']}/finalize")
    return world.stripe("POST", f"/v1/invoices/{invoice['id']}/pay", payment_method=method["id"])


def intent_of(world, invoice: dict[str, Any]) -> str:
    (payment,) = world.stripe("GET", "/v1/invoice_payments", invoice=invoice["id"])["data"]
    return payment["payment"]["payment_intent"]


@postgres_later
def test_a_renewal_and_a_pack_grant_once_and_a_refund_takes_its_share_back(world):
    ada = customer(world, "ada")
    settled(world, subscribe(world, ada, "business_monthly")["id"])
    world.eventually(lambda: balance(world, "ada"), 10_000)

    paid = bill(world, ada, quantity=3, credits=100)
    world.eventually(lambda: balance(world, "ada"), 10_300)
    for event in world.stripe("GET", "/v1/events", type="invoice.paid")["data"]:
        assert world.deliver({**event, "id": f"{event['id']}_again"}).status_code == 200
    assert balance(world, "ada") == 10_300

    intent = intent_of(world, paid)
    world.stripe("POST", "/v1/refunds", payment_intent=intent, amount=1001)  # a third and a bit: rounded down
    world.eventually(lambda: balance(world, "ada"), 10_200)
    world.stripe("POST", "/v1/refunds", payment_intent=intent)
    world.eventually(lambda: balance(world, "ada"), 10_000)
    kinds = [(each["kind"], each["amount"]) for each in credits_of(world, "ada")["entries"]["nodes"]]
    assert kinds == [("REVOKE", -200), ("REVOKE", -100), ("GRANT", 300), ("GRANT", 10_000)]
    assert credits_of(world, "ada")["entries"]["nodes"][2]["purchaseId"] == paid["id"]


def test_a_pack_that_is_bought_at_a_checkout_grants_once_it_is_paid(world):
    headers = world.token("ada", email="ada@example.com")
    bought = buy(world, headers, {"lookupKey": "credits_500", "quantity": 2})
    assert bought["paymentStatus"] == "PAID"
    world.eventually(lambda: balance(world, "ada"), 1000)
    seen = world.data("{ viewer { credits { balance entries { nodes { kind purchaseId } } } } }", headers=headers)
    assert seen["viewer"]["credits"]["entries"]["nodes"] == [{"kind": "GRANT", "purchaseId": bought["id"]}]


def test_a_trial_grants_nothing_and_somebody_new_has_an_empty_account(world):
    ada = customer(world, "ada")
    settled(world, subscribe(world, ada, "pro_monthly", trial_period_days=14)["id"])
    assert credits_of(world, "ada") == {
        "balance": 0,
        "entries": {"nodes": [], "pageInfo": {"hasNextPage": False, "endCursor": None}},
    }
    new = world.data("{ viewer { credits { balance entries { nodes { id } } } } }", headers=world.token("new"))
    assert new["viewer"]["credits"] == {"balance": 0, "entries": {"nodes": []}}


@both_databases
def test_a_hundred_spends_at_once_spend_what_is_there_and_no_more(world):
    give(world, "ada", credits=70)
    world.eventually(lambda: balance(world, "ada"), 70)
    with ThreadPoolExecutor(25) as pool:
        answers = list(pool.map(lambda key: spend(world, "ada", 1, f"spend-{key}"), range(100)))
    assert sum(answer["entry"] is not None for answer in answers) == 70
    refused = [answer["userErrors"][0]["code"] for answer in answers if answer["entry"] is None]
    assert refused == ["INSUFFICIENT_CREDITS"] * 30
    assert sorted(answer["entry"]["balance"] for answer in answers if answer["entry"]) == list(range(70))
    assert balance(world, "ada") == 0


@both_databases
def test_the_same_key_at_the_same_moment_spends_once(world):
    give(world, "ada", credits=70)
    world.eventually(lambda: balance(world, "ada"), 70)
    details = {"reason": "a picture", "metadata": [{"key": "job", "value": "7"}]}
    with ThreadPoolExecutor(10) as pool:
        answers = list(pool.map(lambda _: spend(world, "ada", 20, "job-7", **details), range(20)))
    assert {answer["entry"]["id"] for answer in answers} == {answers[0]["entry"]["id"]}
    assert answers[0]["entry"] | {"id": ""} == {
        "id": "",
        "kind": "SPEND",
        "amount": -20,
        "balance": 50,
        "reason": "a picture",
        "metadata": [{"key": "job", "value": "7"}],
    }
    assert balance(world, "ada") == 50
    other = spend(world, "ada", 21, "job-7", **details)
    assert (other["entry"], other["userErrors"][0]["code"]) == (None, "IDEMPOTENCY_KEY_REUSED")


@postgres_later
def test_what_runs_out_first_is_spent_first_and_what_has_run_out_is_gone(world):
    ada, _ = give(world, "ada", credits=100)
    bill(world, ada, credits=50, credits_expire_days=10)
    world.eventually(lambda: balance(world, "ada"), 150)
    assert spend(world, "ada", 30, "one")["credits"] == {"balance": 120}
    world.advance(to=world.sandbox.now() + 11 * DAY)
    world.eventually(lambda: balance(world, "ada"), 100)  # nothing was bought or told: by the time alone

    def entries():
        return [(each["kind"], each["amount"]) for each in credits_of(world, "ada")["entries"]["nodes"]]

    world.eventually(lambda: entries()[0], ("EXPIRE", -20))
    bill(world, ada, credits=5)
    world.eventually(lambda: balance(world, "ada"), 105)
    assert entries()[:2] == [("GRANT", 5), ("EXPIRE", -20)]


def test_a_subscriptions_credits_last_a_period_unless_they_roll_over(world):
    product = world.stripe("POST", "/v1/products", name="Plan")["id"]
    terms = {"product": product, "currency": "usd", "unit_amount": 500, "recurring[interval]": "month"}
    plain = world.stripe("POST", "/v1/prices", **terms, **{"metadata[credits]": 10})["id"]
    rolling = {"metadata[credits]": 10, "metadata[credits_rollover]": "true"}
    rolled_over = world.stripe("POST", "/v1/prices", **terms, **rolling)["id"]
    for subject, price in (("ada", plain), ("bob", rolled_over)):
        who = customer(world, subject)
        (method, *_) = world.stripe("GET", "/v1/payment_methods", customer=who)["data"]
        card = {"default_payment_method": method["id"], "items[0][price]": price}
        world.stripe("POST", "/v1/subscriptions", customer=who, **card)
        world.eventually(lambda subject=subject: balance(world, subject), 10)
    world.client.post(f"{world.stripe_url}/_sandbox/clock/advance", json={"by": 32 * DAY})
    world.eventually(lambda: balance(world, "bob"), 20)
    world.eventually(  # the old ones end by time alone, the new ones come by an event
        lambda: sorted(each["kind"] for each in credits_of(world, "ada")["entries"]["nodes"][:2]), ["EXPIRE", "GRANT"]
    )
    assert balance(world, "ada") == 10


def test_credits_that_were_spent_before_a_refund_are_owed_and_the_next_grant_pays_them(world):
    ada, paid = give(world, "ada", credits=100)
    world.eventually(lambda: balance(world, "ada"), 100)
    spend(world, "ada", 80, "one")
    world.stripe("POST", "/v1/refunds", payment_intent=intent_of(world, paid))
    world.eventually(lambda: balance(world, "ada"), -80)
    assert spend(world, "ada", 1, "two")["userErrors"][0]["code"] == "INSUFFICIENT_CREDITS"
    bill(world, ada, credits=100)
    world.eventually(lambda: balance(world, "ada"), 20)
    assert spend(world, "ada", 21, "three")["userErrors"][0]["code"] == "INSUFFICIENT_CREDITS"
    assert spend(world, "ada", 20, "four")["credits"] == {"balance": 0}


@pytest.mark.parametrize(("evidence", "expected"), [("losing_evidence", 0), ("winning_evidence", 100)])
def test_a_lost_dispute_takes_the_credits_and_a_won_one_leaves_them(world, evidence, expected):
    customer(world, "ada", card="pm_card_createDispute")
    (ada,) = [row["id"] for row in world.rows("customer", external_id="ada")]
    bill(world, ada, credits=100)
    world.eventually(lambda: balance(world, "ada"), 100)
    (dispute,) = world.stripe("GET", "/v1/disputes")["data"]
    world.stripe("POST", f"/v1/disputes/{dispute['id']}", **{"evidence[uncategorized_text]": evidence})
    decided = world.stripe("GET", f"/v1/disputes/{dispute['id']}")["status"]
    world.eventually(lambda: [row["status"] for row in world.rows("dispute", id=dispute["id"])], [decided])
    world.eventually(lambda: balance(world, "ada"), expected)
    won = world.event("charge.dispute.closed", {**dispute, "status": "won"}, created=dispute["created"] + 90 * DAY)
    world.deliver(won)
    world.eventually(lambda: balance(world, "ada"), 100)


def test_only_the_back_end_spends_and_what_is_wrong_is_told(world):
    give(world, "ada", credits=10)
    wanted = {"externalId": "ada", "amount": 1, "idempotencyKey": "k"}
    for headers, code in ((world.token("ada"), "FORBIDDEN"), (None, "UNAUTHENTICATED")):
        answer = world.graphql(SPEND, {"input": wanted}, headers).json()
        assert answer["errors"][0]["extensions"]["code"] == code
    assert spend(world, "nobody", 1, "k")["userErrors"][0]["code"] == "NO_CUSTOMER"
    assert spend(world, "ada", 0, "k")["userErrors"][0] | {"message": ""} == {
        "code": "AMOUNT_INVALID",
        "field": "amount",
        "message": "",
    }
    assert spend(world, "ada", 1, "")["userErrors"][0]["code"] == "IDEMPOTENCY_KEY_INVALID"


def test_the_ledger_is_read_in_pages(world):
    give(world, "ada", credits=100)
    world.eventually(lambda: balance(world, "ada"), 100)
    for number in range(4):
        spend(world, "ada", 1, f"k{number}")
    found, page = [], {"first": 2}
    while True:
        entries = credits_of(world, "ada", **page)["entries"]
        found += [each["balance"] for each in entries["nodes"]]
        if not entries["pageInfo"]["hasNextPage"]:
            break
        page["after"] = entries["pageInfo"]["endCursor"]
    assert found == [96, 97, 98, 99, 100]
    wrong = world.graphql(CREDITS, {"id": "ada", "after": "bm9uZQ=="}, SERVICE).json()
    assert wrong["errors"][0]["extensions"]["code"] == "BAD_USER_INPUT"


STEPS = ("buy", "refund", "winning", "losing")


def play(world, who: str, data) -> dict[str, tuple[int, int, str]]:
    """A history of purchases and what became of their payments; by payment intent what was granted and paid."""
    bought: dict[str, tuple[int, int, str]] = {}
    for _ in range(data.draw(st.integers(2, 8))):
        step = data.draw(st.sampled_from(STEPS))
        if step == "buy" or not bought:
            quantity, amount = data.draw(st.integers(1, 3)), data.draw(st.integers(1, 250))
            invoice = bill(world, who, quantity=quantity, credits=amount)
            bought[intent_of(world, invoice)] = (quantity * amount, invoice["amount_paid"], invoice["id"])
            continue
        intent = data.draw(st.sampled_from(sorted(bought)))
        if step == "refund":
            (charge,) = world.stripe("GET", "/v1/charges", payment_intent=intent)["data"]
            if left := 0 if charge["disputed"] else charge["amount_captured"] - charge["amount_refunded"]:
                world.stripe("POST", "/v1/refunds", payment_intent=intent, amount=data.draw(st.integers(1, left)))
        else:
            for dispute in world.stripe("GET", "/v1/disputes", payment_intent=intent)["data"]:
                if dispute["status"] == "needs_response":
                    evidence = {"evidence[uncategorized_text]": f"{step}_evidence"}
                    world.stripe("POST", f"/v1/disputes/{dispute['id']}", **evidence)
    return bought


def said(world, intent: str, granted: int, paid: int) -> int:
    """How many credits a purchase leaves by what Stripe says of its payment."""
    (charge,) = world.stripe("GET", "/v1/charges", payment_intent=intent)["data"]
    disputes = world.stripe("GET", "/v1/disputes", payment_intent=intent)["data"]
    gone = charge["amount_refunded"] + sum(each["amount"] for each in disputes if each["status"] == "lost")
    return granted - granted * min(gone, paid) // paid


@pytest.fixture
def silent_world(database_url):
    """A gateway to which the test alone delivers."""
    with make_world(database_url, event_catch_up_minutes=0) as world:
        yield world


@postgres_later
@settings(max_examples=int(os.environ.get("HISTORIES", "4")), deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_any_history_delivered_in_any_order_with_copies_leaves_what_the_payments_say(silent_world, data):
    world = silent_world
    world.client.post(f"{world.stripe_url}/_sandbox/chaos", json={"drop": 0})
    subject = f"user_{uuid.uuid4().hex}"
    who = customer(world, subject, card=data.draw(st.sampled_from(["pm_card_visa", "pm_card_createDispute"])))
    world.client.post(f"{world.stripe_url}/_sandbox/chaos", json={"drop": 1})
    before = {event["id"] for event in world.stripe("GET", "/v1/events", limit=100)["data"]}
    bought = play(world, who, data)

    events: list[dict[str, Any]] = []
    page: dict[str, Any] = {"data": [], "has_more": True}
    while page["has_more"]:
        after = {"starting_after": page["data"][-1]["id"]} if page["data"] else {}
        page = world.stripe("GET", "/v1/events", limit=100, **after)
        events += page["data"]
    mine = [each for each in events if each["id"] not in before and each["type"] in HANDLERS]
    dice = random.Random(data.draw(st.integers(0, 2**32)))  # noqa: S311 - so that hypothesis need not draw each
    arrivals = [event for event in mine for _ in range(dice.choice([1, 1, 2]))]
    dice.shuffle(arrivals)
    with ThreadPoolExecutor(6) as pool:
        assert {answer.status_code for answer in pool.map(world.deliver, arrivals)} <= {200}
    world.eventually(lambda: world.rows("event", status="pending"), [], seconds=30)
    assert [row["last_error"] for row in world.rows("event") if row["status"] in {"failed", "dead"}] == []

    for intent, (granted, paid, invoice) in bought.items():
        entries = world.rows("credit_entry", purchase_id=invoice)
        assert sum(entry["amount"] for entry in entries) == said(world, intent, granted, paid)
        assert sum(entry["kind"] == "grant" for entry in entries) == 1
    entries = world.rows("credit_entry", customer_id=who)
    (account,) = world.rows("credit_account", customer_id=who) or [{"balance": 0}]
    assert account["balance"] == sum(entry["amount"] for entry in entries) == balance(world, subject)


def test_what_runs_out_with_nobody_looking_is_written_down(world):
    ada, _ = give(world, "ada", credits=100, credits_expire_days=1)
    world.eventually(lambda: balance(world, "ada"), 100)
    applied(world, "ada")
    world._execute("UPDATE credit_lot SET expires_at = '2020-01-01'")
    assert balance(world, "ada") == 0
    listener, _ = listening()
    with serve(create_app(world.settings), listener):
        world.eventually(lambda: [row["amount"] for row in world.rows("credit_entry", kind="expire")], [-100])
    assert world.rows("credit_account", customer_id=ada)[0]["balance"] == 0


def test_a_line_a_balance_and_a_spend_beyond_32_bits_are_exact(world):
    bill(world, customer(world, "ada"), quantity=3_000_000_000, cents="0.000001", credits=1)
    world.eventually(lambda: balance(world, "ada"), 3_000_000_000)
    spent = spend(world, "ada", 2_600_000_000, "much")
    assert (spent["entry"]["amount"], spent["credits"]) == (-2_600_000_000, {"balance": 400_000_000})
    lines = "{ viewer { invoices { nodes { lines { quantity amount { amount } } } } } }"
    (invoice,) = world.data(lines, headers=world.token("ada"))["viewer"]["invoices"]["nodes"]
    assert invoice["lines"] == [{"quantity": 3_000_000_000, "amount": {"amount": 3000}}]
