"""Checkout for signed-in users: one open session, no plan of a product twice, one trial, and what the settings add."""

import random
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest

from harness.checkout import BACK, CREATE, ask, at_stripe, buy, codes, look, opened, pay
from harness.databases import both_databases, postgres_later
from harness.gateway import SERVICE, listening, make_world


@pytest.fixture
def ada(world):
    return world.sign_in("ada@example.com")


def statuses(world):
    return sorted(session["status"] for session in at_stripe(world, "checkout/sessions"))


@postgres_later
def test_the_same_request_again_gives_the_same_open_session_without_any_key(world, ada):
    first = opened(world, ada, "starter_monthly", locale="de")
    with world.twin() as twin, ThreadPoolExecutor(6) as pool:
        again = pool.map(
            lambda number: opened((world, twin)[number % 2], ada, "starter_monthly", locale="de"), range(6)
        )
        assert {session["id"] for session in again} == {first["id"]}
    assert statuses(world) == ["open"]


@both_databases
def test_ten_different_requests_at_one_instant_leave_one_open_session(world, ada):
    with world.twin() as twin, ThreadPoolExecutor(10) as pool:
        list(
            pool.map(
                lambda number: opened((world, twin)[number % 2], ada, {"lookupKey": "credits_100", "quantity": number}),
                range(1, 11),
            )
        )
    assert statuses(world).count("open") == 1


def test_a_different_request_closes_the_earlier_session_first(world, ada):
    first = opened(world, ada, "starter_monthly")
    second = opened(world, ada, "pro_monthly")
    assert look(world, ada, first)["status"] == "EXPIRED"
    assert look(world, ada, second)["status"] == "OPEN"


def test_one_users_checkout_leaves_anothers_alone(world, ada):
    grace = world.sign_in("grace@example.com")
    hers = opened(world, grace, "starter_monthly")
    mine = opened(world, ada, "starter_monthly")
    assert mine["id"] != hers["id"]
    assert statuses(world) == ["open", "open"]


@pytest.mark.parametrize("line", ["credits_100", "credits_500"])
def test_an_earlier_session_that_was_paid_a_moment_ago_is_the_answer(sqlite_url, line):
    """No webhook has told yet; whether the same is asked or something else, nobody pays twice by a double click."""
    with make_world(sqlite_url, stripe_webhook_secrets="whsec_that_nobody_signs_with") as world:
        ada = world.sign_in("ada@example.com")
        first = opened(world, ada, "credits_100")
        pay(world, first)

        answer = ask(world, ada, line)

        assert codes(answer) == ["EARLIER_SESSION_PAID"]
        assert (answer["session"]["id"], answer["session"]["status"]) == (first["id"], "COMPLETE")
        assert opened(world, ada, line)["id"] != first["id"]


@postgres_later
def test_another_plan_of_the_same_offer_is_refused_with_the_way_to_change_it(world, ada):
    bought = buy(world, ada, "starter_monthly")

    answer = ask(world, ada, "credits_100", "starter_yearly", currency="USD")

    (error,) = answer["userErrors"]
    assert (error["code"], error["field"]) == ("ALREADY_SUBSCRIBED", "lineItems.1")
    assert bought["subscription"]["id"] in error["message"]
    assert "changeSubscription" in error["message"]
    assert codes(ask(world, ada, "pro_yearly")) == ["ALREADY_SUBSCRIBED"]  # a tier of the same offer
    assert opened(world, ada, "api_calls_metered")["status"] == "OPEN"  # an add-on
    assert opened(world, world.sign_in("grace@example.com"), "starter_yearly")["status"] == "OPEN"


def test_that_holds_before_any_webhook_has_arrived_and_after_the_end_no_longer(sqlite_url):
    with make_world(sqlite_url, stripe_webhook_secrets="whsec_that_nobody_signs_with") as world:
        ada = world.sign_in("ada@example.com")
        session = opened(world, ada, "starter_monthly")
        pay(world, session)
        world._execute("UPDATE checkout_session SET status = 'expired'")  # the mirror knows of nothing
        assert codes(ask(world, ada, "starter_yearly")) == ["ALREADY_SUBSCRIBED"]
        assert "open" not in {found["status"] for found in at_stripe(world, "checkout/sessions")}

        (subscription,) = at_stripe(world, "subscriptions")
        world.stripe("DELETE", f"/v1/subscriptions/{subscription['id']}")
        assert opened(world, ada, "starter_yearly")["status"] == "OPEN"


@both_databases
def test_two_tabs_that_race_end_with_one_subscription(world, ada):
    """Two tabs on two machines open checkouts of one product and pay whatever they have got, over and over."""
    with world.twin() as twin, ThreadPoolExecutor(2) as pool:

        def tab(number):
            dice = random.Random(number)  # noqa: S311 - any order will do, the same each time
            for _ in range(4):
                answer = ask((world, twin)[number], ada, dice.choice(["starter_monthly", "starter_yearly"]))
                session = answer["session"]
                if session and session["url"]:
                    world.client.post(
                        session["url"],
                        data={
                            "email": "ada@example.com",
                            "card_number": "4242424242424242",
                            "card_expiry": "12 / 34",
                            "card_cvc": "123",
                            "name": "Ada",
                            "action": "pay",
                        },
                        headers={"Origin": world.stripe_url},
                    )

        list(pool.map(tab, range(2)))

    live = [found for found in at_stripe(world, "subscriptions") if found["status"] in {"active", "trialing"}]
    assert len(live) == 1


def test_where_the_settings_say_so_a_user_may_have_two(sqlite_url):
    with make_world(sqlite_url, allow_multiple_subscriptions=True) as world:
        ada = world.sign_in("ada@example.com")
        buy(world, ada, "starter_monthly")
        assert opened(world, ada, "starter_yearly")["status"] == "OPEN"


def test_a_trial_is_for_the_first_time_only(world, ada):
    bought = buy(world, ada, "pro_monthly")
    assert bought["subscription"]["status"] == "TRIALING"
    world.stripe("DELETE", f"/v1/subscriptions/{bought['subscription']['id']}")

    again = opened(world, ada, "pro_monthly")

    assert again["amountTotal"]["amount"] > 0
    pay(world, again)
    assert look(world, ada, again)["subscription"]["status"] == "ACTIVE"
    assert opened(world, world.sign_in("grace@example.com"), "pro_monthly")["amountTotal"]["amount"] == 0


def test_where_the_settings_say_so_a_trial_comes_again(sqlite_url):
    with make_world(sqlite_url, allow_repeat_trials=True) as world:
        ada = world.sign_in("ada@example.com")
        bought = buy(world, ada, "pro_monthly")
        world.stripe("DELETE", f"/v1/subscriptions/{bought['subscription']['id']}")
        assert opened(world, ada, "pro_monthly")["amountTotal"]["amount"] == 0


def test_what_is_asked_reaches_stripe_with_the_user_and_on_the_subscription(world, ada):
    asked = {"locale": "de", "currency": "EUR", "allowPromotionCodes": True, "customerEmail": "eve@example.com"}
    session = opened(world, ada, "starter_monthly", **asked, metadata=[{"key": "cart", "value": "7"}])
    assert session["amountTotal"]["currency"] == "EUR"

    (there,) = at_stripe(world, "checkout/sessions")
    (customer,) = at_stripe(world, "customers")
    assert (there["customer"], there["client_reference_id"]) == (customer["id"], "user_ada")
    assert (there["customer_email"], customer["email"]) == (None, "ada@example.com")
    assert (there["locale"], there["allow_promotion_codes"], there["metadata"]) == ("de", True, {"cart": "7"})

    pay(world, session)
    (subscription,) = at_stripe(world, "subscriptions")
    assert subscription["metadata"] == {"cart": "7"}


def test_metadata_reaches_a_payment_too(world, ada):
    pay(world, opened(world, ada, "credits_100", metadata=[{"key": "cart", "value": "7"}]))
    (payment,) = at_stripe(world, "payment_intents")
    assert payment["metadata"] == {"cart": "7"}


def test_seats_may_be_changed_by_the_buyer_within_bounds(world, ada):
    seats = {"lookupKey": "credits_100", "quantity": 3, "adjustableQuantity": {"minimum": 2, "maximum": 10}}
    opened(world, ada, seats)
    (there,) = at_stripe(world, "checkout/sessions")
    lines = world.stripe("GET", f"/v1/checkout/sessions/{there['id']}/line_items")["data"]
    assert [line["quantity"] for line in lines] == [3]
    for bounds in ({"minimum": 4, "maximum": 9}, {"minimum": 1, "maximum": 2}, {"minimum": -1, "maximum": 9}):
        answer = ask(world, ada, {**seats, "adjustableQuantity": bounds})
        assert codes(answer) == ["QUANTITY_INVALID"]
    assert codes(ask(world, ada, {**seats, "adjustableQuantity": {"maximum": 5000}})) == ["QUANTITY_INVALID"]
    metered = {"lookupKey": "api_calls_metered", "adjustableQuantity": {"maximum": 5}}
    assert codes(ask(world, ada, metered)) == ["QUANTITY_INVALID"]


def test_the_embedded_form_is_opened_again_by_its_owner_alone(world, ada):
    asked = {"uiMode": "EMBEDDED", "successUrl": None, "returnUrl": BACK}
    session = opened(world, ada, "starter_monthly", **asked)
    assert session["clientSecret"].startswith(session["id"])
    assert session["url"] is None
    query = "query($id: ID!) { session(id: $id) { clientSecret } }"
    assert world.data(query, {"id": session["id"]}, ada)["session"]["clientSecret"] == session["clientSecret"]
    assert world.data(query, {"id": session["id"]}, world.sign_in("grace@example.com")) == {"session": None}


def test_a_set_up_keeps_a_way_to_pay_and_costs_nothing(world, ada):
    session = opened(world, ada, setup=True)
    assert (session["mode"], session["amountTotal"]) == ("SETUP", None)
    pay(world, session)
    done = look(world, ada, session)
    assert (done["status"], done["paymentStatus"]) == ("COMPLETE", "NO_PAYMENT_REQUIRED")
    (customer,) = at_stripe(world, "customers")
    world.eventually(
        lambda: [row["last4"] for row in world.rows("payment_method", customer_id=customer["id"])], ["4242"]
    )


def test_a_set_up_is_for_somebody_and_buys_nothing(world, ada):
    assert codes(ask(world, ada, "credits_100", setup=True)) == ["LINE_ITEMS_INVALID"]
    assert codes(ask(world, ada, setup=True, allowPromotionCodes=True)) == ["PROMOTION_CODE_INVALID"]
    given = {"lineItems": [], "setup": True, "successUrl": BACK}
    answer = world.graphql(CREATE, {"input": given}).json()
    assert answer["errors"][0]["extensions"]["code"] == "UNAUTHENTICATED"


def test_a_promotion_code_is_anybodys_and_a_coupon_the_back_ends(world, ada):
    coupon = world.stripe("POST", "/v1/coupons", percent_off=50, duration="once", id="HALF")
    world.stripe(
        "POST", "/v1/promotion_codes", code="SPRING", **{"promotion[type]": "coupon", "promotion[coupon]": coupon["id"]}
    )
    assert opened(world, ada, "starter_monthly", promotionCode="SPRING")["amountTotal"]["amount"] == 450
    assert codes(ask(world, ada, "starter_monthly", promotionCode="NONE")) == ["PROMOTION_CODE_INVALID"]

    granted = opened(world, SERVICE, "starter_monthly", coupon="HALF", externalId="user_ada")
    assert granted["amountTotal"]["amount"] == 450
    unknown = ask(world, SERVICE, "starter_monthly", coupon="NONE", externalId="user_ada")
    assert [(error["code"], error["field"]) for error in unknown["userErrors"]] == [
        ("PROMOTION_CODE_INVALID", "coupon")
    ]
    both = ask(world, SERVICE, "starter_monthly", coupon="HALF", promotionCode="SPRING", externalId="user_ada")
    assert codes(both) == ["PROMOTION_CODE_INVALID"]
    given = {"lineItems": [{"lookupKey": "starter_monthly"}], "coupon": "HALF", "successUrl": BACK}
    answer = world.graphql(CREATE, {"input": given}, ada).json()
    assert answer["errors"][0]["extensions"]["code"] == "FORBIDDEN"


def test_taxes_and_addresses_are_the_merchants_to_decide(sqlite_url):
    with make_world(sqlite_url, automatic_tax=True, tax_id_collection=True, billing_address="required") as world:
        opened(world, world.sign_in("ada@example.com"), "credits_100")
        opened(world, None, "credits_100")
        for session in at_stripe(world, "checkout/sessions"):
            assert session["automatic_tax"]["enabled"] is True
            assert session["tax_id_collection"]["enabled"] is True
            assert session["billing_address_collection"] == "required"


def test_a_key_gives_the_same_session_even_after_it_was_paid(world, ada):
    session = opened(world, ada, "credits_100", idempotencyKey="1")
    pay(world, session)
    assert opened(world, ada, "credits_100", idempotencyKey="1")["id"] == session["id"]
    assert codes(ask(world, ada, "credits_500", idempotencyKey="1")) == ["IDEMPOTENCY_KEY_REUSED"]
    other = opened(world, world.sign_in("grace@example.com"), "credits_500", idempotencyKey="1")
    assert other["id"] != session["id"]


def test_a_session_is_its_users_from_its_first_moment(world, ada):
    """What a webhook brings before the answer is written, or after a crash, is nobody's to see."""
    session = opened(world, ada, "credits_100")
    world._execute("DELETE FROM checkout_session")
    world.stripe("POST", f"/v1/checkout/sessions/{session['id']}/expire")
    world.eventually(lambda: world.rows("checkout_session", id=session["id"]))

    query = "query($id: ID!) { session(id: $id) { status } }"
    for headers in (None, world.sign_in("grace@example.com")):
        assert world.data(query, {"id": session["id"]}, headers) == {"session": None}
    assert world.data(query, {"id": session["id"]}, ada)["session"]["status"] == "EXPIRED"  # by the customer


def test_while_stripe_is_away_a_user_is_told_so_and_is_served_when_it_is_back(world, database_url):
    listener, nowhere = listening()
    listener.close()
    asked = {"input": {"lineItems": [{"lookupKey": "credits_100"}], "successUrl": BACK}}
    headers = world.token("user_1", email="ada@example.com")
    with make_world(database_url, fill=False, stripe_api_base=nowhere, stripe_timeout=1) as cut_off:
        answer = cut_off.graphql(CREATE, asked, headers).json()
        assert answer["errors"][0]["extensions"]["code"] == "STRIPE_UNAVAILABLE"
        assert cut_off.rows("lease") == []

    assert opened(world, headers, "credits_100")["status"] == "OPEN"
    assert len(at_stripe(world, "customers")) == 1


def test_a_lock_that_a_dead_process_holds_runs_out(world, ada):
    """Until then others wait, and are told so rather than served twice."""
    held = "INSERT INTO lease (name, holder, until) VALUES ('owner:user_ada', 'somebody dead', :until)"
    now = datetime.now(UTC).replace(tzinfo=None)
    world._execute(held, {"until": str(now + timedelta(seconds=2))})
    began = time.monotonic()
    assert opened(world, ada, "credits_100")["status"] == "OPEN"
    assert time.monotonic() - began > 1


def test_a_plan_that_the_customers_balance_pays_is_bought(sqlite_url):
    with make_world(sqlite_url) as world:
        ada = world.token("ada")
        session = opened(world, ada, "starter_monthly")
        (row,) = world.rows("customer", external_id="ada")
        world.stripe("POST", f"/v1/customers/{row['id']}/balance_transactions", amount=-5000, currency="usd")
        pay(world, session)
        seen = look(world, ada, session)
        assert (seen["status"], seen["paymentStatus"]) == ("COMPLETE", "PAID")
        assert seen["subscription"]["status"] == "ACTIVE"
