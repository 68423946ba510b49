"""Credits follow what was paid for and kept: no change, trial, pack, refund or debt brings or takes more."""

from datetime import datetime, timedelta

import pytest

from harness.databases import both_databases, postgres_later
from harness.gateway import SERVICE
from harness.subscriptions import applied, customer, settled

DAY = 86_400
CHANGE = """mutation($input: ChangeSubscriptionInput!) { changeSubscription(input: $input) {
    subscription { id plan { id } } userErrors { code message } } }"""
CREDITS = """query($id: ID!) { customer(externalId: $id) { credits { balance
    entries { nodes { kind amount } } } } }"""
SPEND = """mutation($input: SpendCreditsInput!) { spendCredits(input: $input) {
    credits { balance } userErrors { code } } }"""


def account(world, subject: str = "ada"):
    return world.data(CREDITS, {"id": subject}, SERVICE)["customer"]["credits"]


def balance(world, subject: str = "ada") -> int:
    return account(world, subject)["balance"]


def kinds(world) -> list[tuple[str, int]]:
    """The ledger, from the first entry to the last."""
    return [(each["kind"], each["amount"]) for each in reversed(account(world)["entries"]["nodes"])]


def spend(world, amount: int, key: str, subject: str = "ada"):
    given = {"externalId": subject, "amount": amount, "idempotencyKey": key}
    return world.data(SPEND, {"input": given}, SERVICE)["spendCredits"]


def price(world, product: str, credits: int, interval: str | None = "month", **terms) -> str:
    given = {"product": product, "currency": "usd", "metadata[credits]": credits, **terms}
    if interval:
        given["recurring[interval]"] = interval
    made = world.stripe("POST", "/v1/prices", **given)
    world.eventually(lambda: world.rows("price", id=made["id"]))
    return made["id"]


@pytest.fixture
def product(world) -> str:
    return world.stripe("POST", "/v1/products", name="Plan")["id"]


@pytest.fixture
def ada(world) -> str:
    return customer(world, "ada")


def buy(world, who: str, price_id: str, **more):
    """A subscription that the gateway knows."""
    (method, *_) = world.stripe("GET", "/v1/payment_methods", customer=who)["data"]
    given = {"default_payment_method": method["id"], "items[0][price]": price_id, **more}
    made = world.stripe("POST", "/v1/subscriptions", customer=who, **given)
    settled(world, made["id"])
    return made


def change(world, subscription: str, price_id: str) -> None:
    given = {"subscriptionId": subscription, "priceId": price_id}
    answer = world.data(CHANGE, {"input": given}, world.token("ada"))["changeSubscription"]
    assert answer["userErrors"] == []
    settled(world, subscription)


def advance(world, seconds: int) -> None:
    world.client.post(f"{world.stripe_url}/_sandbox/clock/advance", json={"by": seconds}, timeout=60)


@both_databases
def test_switching_the_interval_back_and_forth_mints_no_credits(world, ada, product):
    month = price(world, product, 1000, unit_amount=1000)
    year = price(world, product, 10_000, "year", unit_amount=10_000)
    bought = buy(world, ada, month)
    world.eventually(lambda: balance(world), 1000)
    for each in (year, month, year, month):
        change(world, bought["id"], each)
        applied(world, "ada")
    assert 990 <= balance(world) <= 1010, "a month's credits, and those of the seconds before"


def test_a_free_plan_left_and_taken_again_grants_once(world, ada, product):
    free = price(world, product, 50, unit_amount=0)
    paid = price(world, product, 100, unit_amount=1000)
    bought = buy(world, ada, free)
    world.eventually(lambda: balance(world), 50)
    for each in (paid, free, paid, free):
        change(world, bought["id"], each)
        applied(world, "ada")
    assert balance(world) in {49, 50}, "rounding down, as a change takes a second"


@pytest.mark.parametrize(
    "terms",
    [
        {"unit_amount_decimal": "99.5"},
        {"unit_amount_decimal": "0.5"},
        {
            "billing_scheme": "tiered",
            "tiers_mode": "graduated",
            "tiers[0][up_to]": "inf",
            "tiers[0][unit_amount]": 900,
        },
        {"unit_amount": 0},
    ],
    ids=["decimal", "half a cent", "tiers", "free"],
)
def test_a_trial_grants_nothing_whatever_the_form_of_its_price(world, ada, product, terms):
    buy(world, ada, price(world, product, 100, **terms), trial_period_days=14)
    applied(world, "ada")
    assert account(world) == {"balance": 0, "entries": {"nodes": []}}


def test_a_pack_bought_with_a_plan_stays_when_the_period_ends(world, ada, product):
    pack = price(world, product, 50, None, unit_amount=500)
    plan = price(world, product, 0, unit_amount=1000)
    bought = buy(world, ada, plan, **{"add_invoice_items[0][price]": pack})
    world.eventually(lambda: balance(world), 50)
    advance(world, 32 * DAY)
    settled(world, bought["id"])
    applied(world, "ada")
    assert (balance(world), kinds(world)) == (50, [("GRANT", 50)])


def test_what_an_invoice_by_hand_bills_of_a_change_is_for_its_time(world, ada, product):
    bought = buy(world, ada, price(world, product, 100, unit_amount=1000))
    world.eventually(lambda: balance(world), 100)
    made = world.stripe("POST", "/v1/invoices", customer=ada, default_payment_method=bought["default_payment_method"])
    world.eventually(lambda: world.rows("invoice", id=made["id"]))
    seats = {"items[0][id]": bought["items"]["data"][0]["id"], "items[0][quantity]": 3}
    world.stripe("POST", f"/v1/subscriptions/{bought['id']}", **seats)  # waits for the next invoice
    waiting = world.stripe("GET", "/v1/invoiceitems", customer=ada, pending="true")["data"]
    lines = {f"lines[{place}][invoice_item]": each["id"] for place, each in enumerate(waiting)}
    world.stripe("POST", f"/v1/invoices/{made['id']}/add_lines", **lines)
    assert world.stripe("POST", f"/v1/invoices/{made['id']}/pay")["parent"] is None
    world.eventually(lambda: world.rows("invoice", id=made["id"], status="paid"))
    applied(world, "ada")
    assert 298 <= balance(world) <= 300, "three seats, and none of the first beside them"
    advance(world, 32 * DAY)
    settled(world, bought["id"])
    world.eventually(lambda: balance(world), 300)


def test_a_debt_after_a_refund_is_paid_once(world, ada, product):
    bought = buy(world, ada, price(world, product, 100, unit_amount=1000))
    world.eventually(lambda: balance(world), 100)
    assert spend(world, 100, "all")["credits"] == {"balance": 0}
    (charge,) = world.stripe("GET", "/v1/charges", customer=ada)["data"]
    world.stripe("POST", "/v1/refunds", charge=charge["id"], amount=500)
    world.eventually(lambda: balance(world), -50)
    for expected in (50, 100, 100):
        advance(world, 32 * DAY)
        settled(world, bought["id"])
        world.eventually(lambda: balance(world), expected)


def test_a_dispute_won_after_its_debt_was_paid_gives_back_what_can_be_spent(world, product):
    ada = customer(world, "ada", card="pm_card_createDispute")
    bought = buy(world, ada, price(world, product, 100, unit_amount=1000))
    applied(world, "ada")
    spend(world, 100, "all")
    (dispute,) = world.stripe("GET", "/v1/disputes")["data"]
    lost = {"evidence[uncategorized_text]": "losing_evidence"}
    world.stripe("POST", f"/v1/disputes/{dispute['id']}", **lost)
    world.eventually(lambda: balance(world), -100)
    world.stripe("POST", "/v1/payment_methods/pm_card_visa/attach", customer=ada)
    pack = price(world, product, 300, None, unit_amount=500)
    (good,) = [
        each["id"]
        for each in world.stripe("GET", "/v1/payment_methods", customer=ada)["data"]
        if each["id"] != bought["default_payment_method"]
    ]
    invoice = world.stripe("POST", "/v1/invoices", customer=ada)["id"]
    world.stripe("POST", "/v1/invoiceitems", customer=ada, invoice=invoice, **{"pricing[price]": pack})
    world.stripe("POST", f"/v1/invoices/{invoice}/finalize")
    world.stripe("POST", f"/v1/invoices/{invoice}/pay", payment_method=good)
    world.eventually(lambda: balance(world), 200)
    won = {**world.stripe("GET", f"/v1/disputes/{dispute['id']}"), "status": "won"}
    assert world.deliver(world.event("charge.dispute.closed", won, created=won["created"] + 90 * DAY)).is_success
    world.eventually(lambda: balance(world), 300)
    assert spend(world, 300, "more")["credits"] == {"balance": 0}


def test_a_refund_takes_back_its_share_of_the_total_and_not_of_the_card_s_part(world, ada, product):
    world.stripe("POST", f"/v1/customers/{ada}/balance_transactions", amount=-2610, currency="usd")
    buy(world, ada, price(world, product, 100, unit_amount=2900))
    world.eventually(lambda: balance(world), 100)
    (charge,) = world.stripe("GET", "/v1/charges", customer=ada)["data"]
    assert charge["amount"] == 290
    world.stripe("POST", "/v1/refunds", charge=charge["id"])
    world.eventually(lambda: balance(world), 90)


@postgres_later
def test_a_credit_note_takes_back_credits_as_a_refund_does(world, ada, product):
    buy(world, ada, price(world, product, 100, unit_amount=1000))
    world.eventually(lambda: balance(world), 100)
    (invoice,) = world.stripe("GET", "/v1/invoices", customer=ada)["data"]
    parts = {"refund_amount": 100, "credit_amount": 150, "out_of_band_amount": 50}
    world.stripe("POST", "/v1/credit_notes", invoice=invoice["id"], amount=300, **parts)
    world.eventually(lambda: balance(world), 70)  # the part that is refunded counts once
    (charge,) = world.stripe("GET", "/v1/charges", customer=ada)["data"]
    world.stripe("POST", "/v1/refunds", charge=charge["id"], amount=200)
    world.eventually(lambda: balance(world), 50)


def test_what_a_credit_note_takes_off_an_open_invoice_brings_no_credits_until_it_is_voided(world, ada, product):
    given = {"collection_method": "send_invoice", "days_until_due": 30}
    made = world.stripe(
        "POST",
        "/v1/subscriptions",
        customer=ada,
        **given,
        **{"items[0][price]": price(world, product, 100, unit_amount=1000)},
    )
    invoice = made["latest_invoice"]
    world.stripe("POST", f"/v1/invoices/{invoice}/finalize")
    notes = [world.stripe("POST", "/v1/credit_notes", invoice=invoice, amount=each) for each in (400, 100)]
    world.stripe("POST", f"/v1/credit_notes/{notes[1]['id']}/void")
    world.stripe("POST", f"/v1/invoices/{invoice}/pay", paid_out_of_band=True)
    world.eventually(lambda: balance(world), 60)


def test_a_flat_fee_is_no_unit(world, ada, product):
    tiers = {
        "billing_scheme": "tiered",
        "tiers_mode": "graduated",
        "tiers[0][up_to]": 5,
        "tiers[0][unit_amount]": 100,
        "tiers[0][flat_amount]": 500,
        "tiers[1][up_to]": "inf",
        "tiers[1][unit_amount]": 50,
    }
    buy(world, ada, price(world, product, 10, **tiers), **{"items[0][quantity]": 7})
    world.eventually(lambda: balance(world), 70)


@postgres_later
def test_a_change_to_a_year_in_flexible_billing_grants_the_year(world, ada, product):
    """The lines are those of a recorded conversation (2025-10-29.clover): both are prorations, on the old anchor."""
    month = price(world, product, 100, unit_amount=2500)
    year = price(world, product, 1200, "year", unit_amount=25_000)
    bought = buy(world, ada, month)
    world.eventually(lambda: balance(world), 100)
    invoice = world.stripe("GET", f"/v1/invoices/{bought['latest_invoice']}")
    (line,) = invoice["lines"]["data"]
    start, end = line["period"]["start"], line["period"]["end"]

    def prorated(name: str, amount: int, price_id: str, until: int, credited):
        details = line["parent"]["subscription_item_details"]
        details = {**details, "proration": True, "proration_details": {"credited_items": credited}}
        return {
            **line,
            "id": f"il_{name}",
            "amount": amount,
            "period": {"start": start + 4, "end": until},
            "parent": {**line["parent"], "subscription_item_details": details},
            "pricing": {**line["pricing"], "price_details": {"price": price_id, "product": product}},
        }

    credited = {"invoice": invoice["id"], "invoice_line_items": [line["id"]]}
    lines = [
        prorated("unused", -2500, month, end, credited),
        prorated("remaining", 25_000, year, start + 365 * DAY, None),
    ]
    later = {**invoice, "id": "in_flexible", "created": start + 4, "total": 22_500, "lines": {"data": lines}}
    assert world.deliver(world.event("invoice.paid", later)).is_success
    world.eventually(lambda: balance(world), 1199)
    assert kinds(world)[0] == ("GRANT", 100)


def test_days_count_from_the_payment_and_not_from_the_opening(world, product):
    from harness.checkout import opened, pay  # noqa: PLC0415 - only here

    pack = price(world, product, 40, None, unit_amount=500, **{"metadata[credits_expire_days]": 1})
    headers = world.token("ada", email="ada@example.com")
    session = opened(world, headers, {"priceId": pack})
    advance(world, 20 * 3600)
    pay(world, session)
    world.eventually(lambda: balance(world), 40)
    (lot,) = world.rows("credit_lot")
    (charge,) = world.rows("charge")
    expires, charged = (datetime.fromisoformat(str(each)) for each in (lot["expires_at"], charge["created"]))
    assert expires - charged == timedelta(days=1)


def test_the_credits_of_a_period_stay_until_the_next_is_paid_and_end_then(world, ada, product):
    bought = buy(world, ada, price(world, product, 100, unit_amount=1000))
    world.eventually(lambda: balance(world), 100)
    end = bought["items"]["data"][0]["current_period_end"]
    world.advance(to=end + 60)  # the renewal's invoice is a draft for an hour
    applied(world, "ada")
    assert [row["expired"] for row in world.rows("credit_lot")] == [0]
    world.advance(to=end + 3600 + 120)  # now it is paid
    world.eventually(lambda: kinds(world)[-2:], [("GRANT", 100), ("EXPIRE", -100)])
    assert balance(world) == 100


def test_credits_end_with_the_period_when_the_subscription_does(world, ada, product):
    bought = buy(world, ada, price(world, product, 100, unit_amount=1000))
    world.eventually(lambda: balance(world), 100)
    world.stripe("POST", f"/v1/subscriptions/{bought['id']}", cancel_at_period_end="true")
    end = bought["items"]["data"][0]["current_period_end"]
    world.advance(to=end + 60)
    world.eventually(lambda: [row["status"] for row in world.rows("subscription", id=bought["id"])], ["canceled"])
    applied(world, "ada")
    (lot,) = world.rows("credit_lot")
    (subscription,) = world.rows("subscription", id=bought["id"])
    assert lot["expires_at"] == subscription["ended_at"]
