"""Access is what was paid for and kept: what a dishonest buyer tries, seen through the public API."""

import time
from datetime import datetime

import pytest

from harness.databases import both_databases, postgres_later
from harness.gateway import SERVICE, make_world
from harness.subscriptions import customer, price_id, settled, subscribe

DAY = 86_400
CANCEL = """mutation($input: CancelSubscriptionInput!) { cancelSubscription(input: $input) {
    subscription { access { allowed until } } userErrors { code } } }"""
CHANGE = """mutation($input: ChangeSubscriptionInput!) { changeSubscription(input: $input) {
    subscription { id } userErrors { code field message } } }"""
ACCESS = (
    """query($id: ID!) { customer(externalId: $id) { subscriptions { status access { allowed reason until } } } }"""
)
FEATURE = """query($id: ID!, $feature: String!) { customer(externalId: $id) {
    access(feature: $feature) { allowed reason limit } entitlements { feature limit } } }"""
BILLING_MODES = pytest.mark.parametrize("mode", ["classic", "flexible"])


def access(world, subject: str = "ann") -> dict:
    (only,) = world.data(ACCESS, {"id": subject}, SERVICE)["customer"]["subscriptions"]
    return only["access"]


def decision(world, subject: str = "ann") -> tuple[bool, str]:
    found = access(world, subject)
    return found["allowed"], found["reason"]


def moment(text: str) -> int:
    return int(datetime.fromisoformat(text).timestamp())


def cancel_now(world, subscription: dict) -> dict:
    given = {"input": {"subscriptionId": subscription["id"], "when": "NOW"}}
    done = world.data(CANCEL, given, world.token("ann"))["cancelSubscription"]
    assert done["userErrors"] == []
    settled(world, subscription["id"])
    return done["subscription"]["access"]


def change(world, subscription: dict, lookup_key: str, **more) -> list[str]:
    given = {"subscriptionId": subscription["id"], "priceId": price_id(world, lookup_key), **more}
    answer = world.data(CHANGE, {"input": given}, world.token("ann"))["changeSubscription"]
    return [error["code"] for error in answer["userErrors"]]


def charge_of(world, customer_id: str) -> dict:
    """The only charge of a customer."""
    (charge,) = world.stripe("GET", "/v1/charges", customer=customer_id)["data"]
    return charge


@both_databases
def test_who_cancels_a_year_and_gets_it_back_has_no_access(world):
    ann = customer(world, "ann")
    bought = subscribe(world, ann, "starter_yearly")
    assert cancel_now(world, bought)["allowed"] is True
    charge = charge_of(world, ann)

    world.stripe("POST", "/v1/refunds", charge=charge["id"], amount=charge["amount"] - 1)
    world.eventually(lambda: world.rows("charge", id=charge["id"])[0]["amount_refunded"], charge["amount"] - 1)
    assert decision(world) == (True, "CANCELED")  # a part of it changes nothing

    world.stripe("POST", "/v1/refunds", charge=charge["id"], amount=1)
    world.eventually(lambda: decision(world), (False, "CANCELED"))


def test_who_cancels_a_year_and_wins_a_dispute_about_it_has_no_access(world):
    ann = customer(world, "ann", card="pm_card_createDispute")
    bought = subscribe(world, ann, "starter_yearly")
    (dispute,) = world.eventually(lambda: world.stripe("GET", "/v1/disputes")["data"])
    world.eventually(lambda: world.rows("dispute", id=dispute["id"]))
    assert change(world, bought, "starter_monthly") == ["INVOICE_UNPAID"]  # the rest of the year would be credited
    cancel_now(world, bought)
    assert decision(world) == (True, "CANCELED")  # nobody has lost it yet

    world.stripe("POST", f"/v1/disputes/{dispute['id']}", **{"evidence[uncategorized_text]": "losing_evidence"})
    world.eventually(lambda: decision(world), (False, "CANCELED"))


@postgres_later
@BILLING_MODES
def test_who_gets_a_part_back_has_no_more_credited_than_was_kept(world, mode):
    ann = customer(world, "ann")
    bought = subscribe(world, ann, "business_yearly", **{"billing_mode[type]": mode})
    charge = charge_of(world, ann)
    world.stripe("POST", "/v1/refunds", charge=charge["id"], amount=charge["amount"] // 2)
    world.eventually(lambda: world.rows("charge", id=charge["id"])[0]["amount_refunded"], charge["amount"] // 2)
    for later, codes in (({}, ["INVOICE_UNPAID"]), ({"when": "AT_PERIOD_END"}, [])):
        assert change(world, bought, "starter_monthly", **{"when": "NOW", **later}) == codes
    world.eventually(lambda: access(world)["allowed"])
    assert world.stripe("GET", f"/v1/customers/{ann}")["balance"] == 0


def test_who_gets_a_part_back_goes_up_and_not_down_again(world):
    ann = customer(world, "ann")
    bought = subscribe(world, ann, "starter_yearly")
    charge = charge_of(world, ann)
    world.stripe("POST", "/v1/refunds", charge=charge["id"], amount=charge["amount"] // 2)
    world.eventually(lambda: world.rows("charge", id=charge["id"])[0]["amount_refunded"], charge["amount"] // 2)
    assert change(world, bought, "business_yearly") == []
    settled(world, bought["id"])
    assert change(world, bought, "business_monthly", when="NOW") == []  # what was paid for the other is kept
    settled(world, bought["id"])
    left = -world.stripe("GET", f"/v1/customers/{ann}")["balance"]
    charges = world.stripe("GET", "/v1/charges", customer=ann)["data"]
    assert left <= sum(each["amount"] - each["amount_refunded"] for each in charges)


def test_who_gets_the_price_of_an_upgrade_back_has_what_there_was_before(world):
    ann = customer(world, "ann")
    bought = subscribe(world, ann, "starter_yearly")
    assert change(world, bought, "business_yearly") == []
    settled(world, bought["id"])
    premium = {"id": "ann", "feature": "sso"}
    world.eventually(lambda: world.data(FEATURE, premium, SERVICE)["customer"]["access"]["allowed"])
    dearest = max(world.stripe("GET", "/v1/charges", customer=ann)["data"], key=lambda charge: charge["amount"])
    world.stripe("POST", "/v1/refunds", charge=dearest["id"])
    world.eventually(lambda: world.data(FEATURE, premium, SERVICE)["customer"]["access"]["allowed"], False)
    assert decision(world) == (True, "ACTIVE")  # the starter's year
    assert change(world, bought, "starter_yearly") == ["INVOICE_UNPAID"]  # it would credit the dearer one


@postgres_later
def test_who_gets_a_running_year_back_has_no_access_until_something_is_paid_again(world):
    ann = customer(world, "ann")
    bought = subscribe(world, ann, "starter_yearly")
    charge = charge_of(world, ann)
    assert decision(world) == (True, "ACTIVE")

    world.stripe("POST", "/v1/refunds", charge=charge["id"], amount=charge["amount"] - 1)
    world.eventually(lambda: world.rows("charge", id=charge["id"])[0]["amount_refunded"], charge["amount"] - 1)
    assert decision(world) == (True, "ACTIVE")

    world.stripe("POST", "/v1/refunds", charge=charge["id"], amount=1)
    world.eventually(lambda: decision(world), (False, "PAID_BACK"))
    assert access(world)["until"] is None
    assert change(world, bought, "starter_monthly") == ["INVOICE_UNPAID"]

    (item,) = bought["items"]["data"]
    dearer = {"items[0][id]": item["id"], "items[0][price]": price_id(world, "business_yearly")}
    world.stripe("POST", f"/v1/subscriptions/{bought['id']}", **dearer, proration_behavior="always_invoice")
    world.eventually(lambda: decision(world), (True, "ACTIVE"))


def test_a_credit_note_over_the_whole_invoice_takes_the_access_that_it_paid_for(world):
    ann = customer(world, "ann")
    bought = subscribe(world, ann, "starter_yearly")
    (invoice,) = world.stripe("GET", "/v1/invoices", customer=ann)["data"]
    for amount, expected in ((invoice["total"] - 1, (True, "ACTIVE")), (1, (False, "PAID_BACK"))):
        note = world.stripe("POST", "/v1/credit_notes", invoice=invoice["id"], amount=amount, credit_amount=amount)
        world.eventually(lambda note=note: world.rows("credit_note", id=note["id"]))
        assert decision(world) == expected
    assert cancel_now(world, bought)["allowed"] is False


@postgres_later
@BILLING_MODES
def test_who_turns_a_year_into_a_month_and_cancels_has_the_month(world, mode):
    ann = customer(world, "ann")
    bought = subscribe(world, ann, "business_yearly", **{"billing_mode[type]": mode})
    assert change(world, bought, "business_monthly") == []
    settled(world, bought["id"])

    left = cancel_now(world, bought)

    assert left["allowed"] is True
    assert moment(left["until"]) < time.time() + 32 * DAY


def world_of_the_past(database_url: str, days: int):
    """A world whose Stripe lives some days ago, so that its present can come to ours."""
    return make_world(database_url, clock=int(time.time()) - days * DAY)


def by_invoice(world, subject: str, days_until_due: int) -> dict:
    """A subscription whose customer is sent invoices and never pays one."""
    given = {"items[0][price]": price_id(world, "starter_monthly"), "collection_method": "send_invoice"}
    made = world.stripe(
        "POST", "/v1/subscriptions", customer=customer(world, subject), days_until_due=days_until_due, **given
    )
    settled(world, made["id"])
    return made


@postgres_later
@pytest.mark.parametrize(
    ("past", "due", "expected"),
    [(34, 30, (True, "GRACE_PERIOD")), (38, 30, (False, "PAST_DUE")), (75, 10, (False, "PAST_DUE"))],
)
def test_who_is_sent_invoices_and_never_pays_has_one_grace_period(database_url, past, due, expected):
    with world_of_the_past(database_url, past) as world:
        made = by_invoice(world, "ann", due)
        world.advance(to=int(time.time()) - 60)
        assert settled(world, made["id"])["status"] == "past_due"
        world.eventually(lambda: decision(world), expected)
        if expected[0]:
            begun = made["created"] + (due + 7) * DAY
            assert abs(moment(access(world)["until"]) - begun) < 2 * 3600


def test_whose_first_bank_debit_bounces_has_no_grace_period(world):
    ann = customer(world, "ann", card="pm_usBankAccount_insufficientFunds")
    bought = subscribe(world, ann)
    assert bought["status"] == "active"  # while the debit is on its way
    world.advance(to=world.sandbox.now() + 3 * DAY)  # a grace period would have seven
    assert settled(world, bought["id"])["status"] == "past_due"
    world.eventually(lambda: decision(world), (False, "PAST_DUE"))


def test_a_planned_end_far_ahead_gives_no_more_than_is_paid(world):
    bought = subscribe(world, customer(world, "ann"))
    period_end = bought["items"]["data"][0]["current_period_end"]
    world.stripe("POST", f"/v1/subscriptions/{bought['id']}", cancel_at=world.sandbox.now() + 300 * DAY)
    world.eventually(lambda: world.rows("subscription", id=bought["id"])[0]["cancel_at"])
    assert moment(access(world)["until"]) <= period_end


def give(world, lookup_key: str, **metadata: str) -> str:
    """Name features in the metadata of a plan's product, once the gateway serves them; the product."""
    product = world.stripe("GET", f"/v1/prices/{price_id(world, lookup_key)}")["product"]
    world.stripe("POST", f"/v1/products/{product}", **{f"metadata[{key}]": text for key, text in metadata.items()})
    query = "query($id: ID!) { product(id: $id) { metadata { key value } } }"

    def served():
        entries = world.data(query, {"id": product})["product"]["metadata"]
        return metadata.items() <= {entry["key"]: entry["value"] for entry in entries}.items()

    world.eventually(served)
    return product


def feature(world, name: str, subject: str = "ann") -> tuple[bool, int | None]:
    found = world.data(FEATURE, {"id": subject, "feature": name}, SERVICE)["customer"]["access"]
    return found["allowed"], found["limit"]


@postgres_later
def test_quantity_0_gives_nothing(world):
    give(world, "team_monthly", features="boards")
    bought = subscribe(world, customer(world, "ann"), "team_monthly", **{"items[0][quantity]": 3})
    assert feature(world, "boards") == (True, None)
    (item,) = bought["items"]["data"]
    world.stripe("POST", f"/v1/subscription_items/{item['id']}", quantity=0)
    world.eventually(lambda: world.rows("subscription_item", id=item["id"])[0]["quantity"], 0)
    assert feature(world, "boards") == (False, None)
    assert decision(world)[0] is False


@postgres_later
def test_an_add_ons_limit_never_narrows_a_plan_and_counts_each_unit_where_it_says_so(world):
    give(world, "business_monthly", features="boards")
    give(world, "starter_monthly", features="boards", limit_boards="5")
    give(world, "team_monthly", features="boards", limit_boards="10", limit_boards_per_unit="true")
    ann, bob = customer(world, "ann"), customer(world, "bob")
    add_on = {"items[1][price]": price_id(world, "team_monthly"), "items[1][quantity]": 3}
    subscribe(world, ann, "business_monthly", **add_on)
    subscribe(world, bob, "starter_monthly", **add_on)
    assert feature(world, "boards", "ann") == (True, None)
    assert feature(world, "boards", "bob") == (True, 35)
