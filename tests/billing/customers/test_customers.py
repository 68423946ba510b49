"""The Stripe customer of a user: made once, adopted only when it is nobody's, made again only at a checkout."""

import asyncio
from concurrent.futures import ThreadPoolExecutor

from gateway.mirror import reconcile
from gateway.runtime import open_runtime
from harness.checkout import CREATE, ask, at_stripe, buy, codes, opened, pay
from harness.databases import both_databases
from harness.gateway import SERVICE, make_world
from harness.subscriptions import applied

ADA = {"email": "ada@example.com", "email_verified": True}


def owner_of(world, customer_id):
    """Whose customer the gateway holds it for."""
    return world.rows("customer", id=customer_id)[0]["external_id"]


@both_databases
def test_ten_first_requests_at_one_instant_on_two_machines_make_one_customer(world):
    """Each request is another user's tab with another product, so that none is answered by another's session."""
    headers = world.token("user_1", **ADA)
    lines = ["credits_100", "credits_500"]
    with world.twin() as twin, ThreadPoolExecutor(10) as pool:
        asked = [
            pool.submit(ask, (world, twin)[number % 2], headers, {"lookupKey": lines[number % 2], "quantity": number})
            for number in range(1, 11)
        ]
        answers = [each.result() for each in asked]

    assert all(answer["session"] for answer in answers)
    (customer,) = at_stripe(world, "customers")
    assert customer["metadata"] == {"external_id": "user_1"}
    assert customer["email"] == "ada@example.com"
    assert owner_of(world, customer["id"]) == "user_1"
    sessions = at_stripe(world, "checkout/sessions")
    assert [session["status"] for session in sessions].count("open") == 1
    assert {session["customer"] for session in sessions} == {customer["id"]}


def test_every_purchase_of_a_user_is_the_same_customers(world):
    headers = world.token("user_1")
    buy(world, headers, "credits_100")
    buy(world, headers, "credits_500")
    buy(world, world.token("user_2"), "credits_100")

    mine, other = sorted({session["customer"] for session in at_stripe(world, "checkout/sessions")})
    assert {owner_of(world, mine), owner_of(world, other)} == {"user_1", "user_2"}


def test_a_crash_after_stripe_has_made_the_customer_leaves_no_second_one(world):
    """The claim stands, the answer was lost: the next request asks with the same key and gets the same customer."""
    headers = world.token("user_1", **ADA)
    opened(world, headers, "credits_100")
    world._execute("UPDATE customer_claim SET customer_id = NULL")
    world._execute("DELETE FROM customer")

    opened(world, world.token("user_1", email="new@example.com"), "credits_500")

    (customer,) = at_stripe(world, "customers")
    assert owner_of(world, customer["id"]) == "user_1"


def test_a_verified_email_takes_over_the_customer_that_is_nobodys(world):
    made = world.stripe("POST", "/v1/customers", email="ada@example.com")

    opened(world, world.token("user_1", **ADA), "credits_100")

    (customer,) = at_stripe(world, "customers")
    assert customer["id"] == made["id"]
    assert customer["metadata"] == {"external_id": "user_1"}
    assert owner_of(world, made["id"]) == "user_1"


def test_an_email_that_is_not_verified_takes_over_nothing(world):
    made = world.stripe("POST", "/v1/customers", email="ada@example.com")

    opened(world, world.token("user_1", email="ada@example.com"), "credits_100")

    assert len(at_stripe(world, "customers")) == 2
    assert owner_of(world, made["id"]) is None


def test_a_customer_of_somebody_is_not_taken_over(world):
    opened(world, world.token("user_1", **ADA), "credits_100")
    opened(world, world.token("user_2", **ADA), "credits_100")
    world.stripe("POST", "/v1/customers", email="eve@example.com", **{"metadata[external_id]": "user_of_another_app"})
    opened(world, world.token("user_3", email="eve@example.com", email_verified=True), "credits_100")

    customers = at_stripe(world, "customers")
    assert len(customers) == 4
    assert sorted(found["metadata"]["external_id"] for found in customers) == [
        "user_1",
        "user_2",
        "user_3",
        "user_of_another_app",
    ]


def test_of_two_customers_with_one_email_none_is_taken_over(world):
    for _ in range(2):
        world.stripe("POST", "/v1/customers", email="ada@example.com")
    world.eventually(lambda: len(world.rows("customer", email="ada@example.com")), 2)  # one alone would be the user's
    opened(world, world.token("user_1", **ADA), "credits_100")
    assert len(at_stripe(world, "customers")) == 3


@both_databases
def test_two_users_with_one_verified_email_never_share_a_customer(world):
    world.stripe("POST", "/v1/customers", email="ada@example.com")
    with world.twin() as twin, ThreadPoolExecutor(6) as pool:
        asked = [
            pool.submit(opened, (world, twin)[number % 2], world.token(f"user_{number}", **ADA), "credits_100")
            for number in range(6)
        ]
        for each in asked:
            each.result()

    claims = world.rows("customer_claim")
    assert len({claim["customer_id"] for claim in claims}) == len(claims) == 6
    assert len(at_stripe(world, "customers")) == 6


def test_where_the_settings_say_so_nothing_is_taken_over(sqlite_url):
    with make_world(sqlite_url, link_customers_by_email=False) as world:
        world.stripe("POST", "/v1/customers", email="ada@example.com")
        opened(world, world.token("user_1", **ADA), "credits_100")
        assert len(at_stripe(world, "customers")) == 2


@both_databases
def test_a_customer_belongs_to_the_user_in_its_metadata_where_the_user_has_no_other(world):
    made = world.stripe("POST", "/v1/customers", **{"metadata[external_id]": "user_1"})
    world.eventually(lambda: [row["external_id"] for row in world.rows("customer", id=made["id"])], ["user_1"])
    other = world.stripe("POST", "/v1/customers", **{"metadata[external_id]": "user_1"})
    world.eventually(lambda: world.rows("customer", id=other["id"]))
    world.eventually(lambda: world.rows("event", status="pending"), [])
    assert (owner_of(world, made["id"]), owner_of(world, other["id"])) == ("user_1", None)

    session = opened(world, world.token("user_1"), "credits_100")
    assert world.stripe("GET", f"/v1/checkout/sessions/{session['id']}")["customer"] == made["id"]

    world.stripe("POST", f"/v1/customers/{made['id']}", **{"metadata[external_id]": "user_2"})
    world.eventually(lambda: "user_2" in str(world.rows("customer", id=made["id"])[0]["meta"]))
    assert owner_of(world, made["id"]) == "user_1"  # whoever has it keeps it


@both_databases
def test_after_lost_commits_a_paying_user_has_his_customer_again_and_what_is_left_is_reported(world):
    buy(world, world.token("user_1"), "starter_monthly")
    applied(world, "user_1")  # a late event would show the user again
    (customer,) = at_stripe(world, "customers")
    world._execute("UPDATE customer SET external_id = NULL")
    world._execute("DELETE FROM customer_claim")

    async def compared():
        async with open_runtime(world.settings) as runtime:
            steps = reconcile.compare(runtime.database, runtime.require_stripe(), second_look=0)
            found = [each async for step in steps for each in step.differences]
            await reconcile.repair(runtime.mirror, runtime.require_stripe(), found)
        return {str(each) for each in found if each.kind == "customer"}  # sessions show it again

    assert asyncio.run(compared()) == {f'customer {customer["id"]}: external_id is null here and "user_1" at Stripe'}
    assert owner_of(world, customer["id"]) == "user_1"
    assert asyncio.run(compared()) == set()
    refused = ask(world, world.token("user_1"), "starter_monthly")
    assert codes(refused) == ["ALREADY_SUBSCRIBED"]

    world._execute("UPDATE customer SET external_id = 'user_9'")
    for _ in range(2):  # nothing takes it from user_9
        assert asyncio.run(compared()) == {
            f'customer {customer["id"]}: external_id is "user_9" here and "user_1" at Stripe'
        }


@both_databases
def test_a_customer_that_was_deleted_at_stripe_is_made_again_at_the_next_checkout(world):
    headers = world.token("user_1", **ADA)
    buy(world, headers, "pro_monthly")
    applied(world, "user_1")
    (first,) = at_stripe(world, "customers")
    world.stripe("DELETE", f"/v1/customers/{first['id']}")

    opened(world, headers, "credits_100")
    opened(world, headers, "credits_500")

    (second,) = at_stripe(world, "customers")
    assert second["id"] != first["id"]
    assert (owner_of(world, first["id"]), owner_of(world, second["id"])) == (None, "user_1")
    again = opened(world, headers, "pro_monthly")
    assert again["amountTotal"]["amount"] > 0, "the trial was used up with the first customer"


def test_a_customer_that_vanished_without_a_word_is_noticed_at_the_checkout(sqlite_url):
    """No webhook tells; Stripe's refusal does, and only once another customer is made."""
    with make_world(sqlite_url, stripe_webhook_secrets="whsec_that_nobody_signs_with") as world:
        headers = world.token("user_1")
        session = opened(world, headers, "credits_100")
        pay(world, session)
        (first,) = at_stripe(world, "customers")
        world.stripe("DELETE", f"/v1/customers/{first['id']}")

        for line in ("credits_500", "starter_monthly"):
            answer = ask(world, headers, line)
            if codes(answer) == ["EARLIER_SESSION_PAID"]:  # nobody has told of the payment either
                answer = ask(world, headers, line)
            assert answer["session"]["status"] == "OPEN"

        (second,) = at_stripe(world, "customers")
        assert world.rows("customer", id=first["id"])[0]["deleted"]
        assert owner_of(world, second["id"]) == "user_1"


def test_the_back_end_buys_for_a_user_and_a_user_for_nobody_else(world):
    session = opened(world, SERVICE, "credits_100", externalId="user_1", customerEmail="ada@example.com")
    (customer,) = at_stripe(world, "customers")
    assert (customer["email"], owner_of(world, customer["id"])) == ("ada@example.com", "user_1")
    assert opened(world, world.token("user_1"), "credits_100")["id"] == session["id"]

    given = {"lineItems": [{"lookupKey": "credits_100"}], "successUrl": "https://shop.example/", "externalId": "user_1"}
    for headers in (world.token("user_2"), None):
        answer = world.graphql(CREATE, {"input": given}, headers).json()
        assert answer["errors"][0]["extensions"]["code"] == "FORBIDDEN"
    for name in ("", "x" * 201, "a\nb"):
        answer = world.graphql(CREATE, {"input": {**given, "externalId": name}}, SERVICE).json()
        assert answer["errors"][0]["extensions"]["code"] == "BAD_USER_INPUT"


def test_a_user_may_have_any_name(world):
    for subject in ("sub_like_a_subscription", "cus_like_a_customer", "auth0|ada", "org:1/ü", "' OR 1=1 --", "x" * 200):
        session = opened(world, world.token(subject), "credits_100")
        assert world.rows("checkout_session", id=session["id"])[0]["external_id"] == subject
