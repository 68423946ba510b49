"""Checkout over GraphQL: the guards, the session at Stripe, and the truth when the buyer comes back.

One long file, because the checkout has that many guards.
"""

import time
import uuid
from concurrent.futures import ThreadPoolExecutor

import pytest

from harness.catalog import stock
from harness.databases import both_databases
from harness.gateway import SERVICE_TOKEN, listening, make_world

CREATE = """mutation($input: CreateCheckoutSessionInput!) { createCheckoutSession(input: $input) {
    session { id url clientSecret status paymentStatus mode customerEmail amountTotal { amount currency }
              lineItems { quantity description price { lookupKey } amountTotal { amount } } }
    userErrors { code message field } } }"""
SESSION = """query($id: ID!) { session(id: $id) { id status paymentStatus url clientSecret customerEmail
    amountTotal { decimal } lineItems { quantity }
    subscription { status willCancel quantity plan { price { lookupKey } } items { quantity }
                   access { allowed reason until subscription { id } } currentPeriodEnd } } }"""
EXPIRE = """mutation($id: ID!) { expireCheckoutSession(input: {id: $id}) {
    session { status url } userErrors { code field } } }"""
BACK = "https://shop.example/thanks?session={CHECKOUT_SESSION_ID}"
CARD = {"card_number": "4242 4242 4242 4242", "card_expiry": "12 / 34", "card_cvc": "123", "name": "Ada Lovelace"}
BACK_END = {"Authorization": f"Bearer {SERVICE_TOKEN}"}


def ask(world, *lines, headers=None, **input_):
    """Create a session; lines are lookup keys or line items."""
    lines = [{"lookupKey": line} if isinstance(line, str) else line for line in lines]
    given = {"lineItems": lines, "successUrl": BACK, **input_}
    return world.data(CREATE, {"input": given}, headers)["createCheckoutSession"]


def opened(world, *lines, **input_):
    answer = ask(world, *lines, **input_)
    assert answer["userErrors"] == []
    return answer["session"]


def errors(answer):
    assert answer["session"] is None
    return [(error["code"], error["field"]) for error in answer["userErrors"]]


def look(world, session, headers=None):
    return world.data(SESSION, {"id": session["id"]}, headers)["session"]


def pay(world, session, **form):
    """Fill in the hosted page as a browser without JavaScript does."""
    origin = {"Origin": world.stripe_url}
    fields = {"email": "ada@example.com", **CARD, "action": "pay", **form}
    return world.client.post(session["url"], data=fields, headers=origin)


def at_stripe(world):
    return world.stripe("GET", "/v1/checkout/sessions", limit=100)["data"]


@both_databases
def test_a_guest_buys_a_plan_and_sees_it_when_coming_back(world):
    session = opened(world, "starter_monthly")
    assert (session["status"], session["paymentStatus"], session["mode"]) == ("OPEN", "UNPAID", "SUBSCRIPTION")
    assert session["amountTotal"] == {"amount": 900, "currency": "USD"}

    page = pay(world, session)
    assert page.headers["location"] == BACK.replace("{CHECKOUT_SESSION_ID}", session["id"])

    bought = look(world, session)
    assert (bought["status"], bought["paymentStatus"], bought["url"]) == ("COMPLETE", "PAID", None)
    subscription = bought["subscription"]
    assert subscription["plan"]["price"]["lookupKey"] == "starter_monthly"
    assert (subscription["status"], subscription["quantity"], subscription["willCancel"]) == ("ACTIVE", 1, False)
    assert subscription["access"]["allowed"] is True
    assert subscription["access"]["reason"] == "ACTIVE"
    assert subscription["access"]["until"] == subscription["currentPeriodEnd"]


def test_the_truth_is_told_at_once_when_no_webhook_arrives(sqlite_url):
    with make_world(sqlite_url, stripe_webhook_secrets="whsec_that_nobody_signs_with") as world:
        session = opened(world, "starter_monthly")
        pay(world, session)

        bought = look(world, session)

        assert (bought["status"], bought["paymentStatus"]) == ("COMPLETE", "PAID")
        assert bought["subscription"]["status"] == "ACTIVE"
        assert bought["lineItems"] == [{"quantity": 1}]
        assert world.rows("event") == []


def test_the_subscription_of_a_paid_session_has_begun_though_its_own_event_is_still_on_its_way(sqlite_url):
    with make_world(sqlite_url, stripe_webhook_secrets=(secret := "whsec_that_nobody_signs_with")) as world:
        session = opened(world, "starter_monthly")
        pay(world, session)
        (event,) = world.stripe("GET", "/v1/events", type="checkout.session.completed")["data"]
        world.deliver(event, secret=secret)
        world.eventually(lambda: world.status_of(event), "applied")
        world._execute("UPDATE subscription SET status = 'incomplete'")

        bought = look(world, session)

        assert (bought["status"], bought["paymentStatus"]) == ("COMPLETE", "PAID")
        assert bought["subscription"]["status"] == "ACTIVE"


def test_a_one_off_purchase_is_a_payment(world):
    session = opened(world, {"lookupKey": "credits_100", "quantity": 3})
    assert session["mode"] == "PAYMENT"
    assert session["lineItems"] == [
        {
            "quantity": 3,
            "description": "100 credits",
            "price": {"lookupKey": "credits_100"},
            "amountTotal": {"amount": 1500},
        }
    ]

    pay(world, session)

    bought = look(world, session)
    assert (bought["status"], bought["paymentStatus"], bought["subscription"]) == ("COMPLETE", "PAID", None)
    assert world.stripe("GET", f"/v1/checkout/sessions/{session['id']}")["customer"]


def test_a_plan_with_a_trial_starts_free(world):
    session = opened(world, "pro_monthly")
    assert session["amountTotal"]["amount"] == 0

    pay(world, session)

    bought = look(world, session)
    assert bought["paymentStatus"] == "NO_PAYMENT_REQUIRED"
    assert bought["subscription"]["status"] == "TRIALING"
    assert bought["subscription"]["access"]["reason"] == "TRIALING"


def test_a_plan_one_off_lines_and_another_currency_go_together(world):
    session = opened(world, "starter_monthly", currency="EUR")
    assert session["amountTotal"]["currency"] == "EUR"
    mixed = opened(world, "starter_monthly", "credits_100")
    assert mixed["mode"] == "SUBSCRIPTION"
    assert [line["quantity"] for line in mixed["lineItems"]] == [1, 1]


def test_a_metered_price_goes_to_stripe_without_a_quantity(world):
    session = opened(world, "api_calls_metered")
    assert session["mode"] == "SUBSCRIPTION"
    refused = ask(world, {"lookupKey": "api_calls_metered", "quantity": 2})
    assert errors(refused) == [("QUANTITY_INVALID", "lineItems.0.quantity")]


def test_the_embedded_form_gets_a_client_secret_that_only_its_creator_is_given(world):
    asked = {"uiMode": "EMBEDDED", "successUrl": None, "returnUrl": BACK}
    session = opened(world, "starter_monthly", **asked)

    assert session["clientSecret"].startswith(session["id"])
    assert session["url"] is None
    assert look(world, session)["clientSecret"] is None


def test_a_guests_email_is_filled_in_and_never_told_to_who_knows_the_id(world):
    session = opened(world, "starter_monthly", customerEmail="ada@example.com")

    assert session["customerEmail"] is None
    assert at_stripe(world)[0]["customer_email"] == "ada@example.com"
    pay(world, session)
    assert look(world, session)["customerEmail"] is None
    assert look(world, session, BACK_END)["customerEmail"] == "ada@example.com"


def test_what_is_asked_reaches_stripe(world):
    opened(
        world,
        "starter_monthly",
        cancelUrl="https://shop.example/pricing",
        locale="de",
        allowPromotionCodes=True,
        metadata=[{"key": "cart", "value": "7"}],
    )

    [session] = at_stripe(world)

    assert session["success_url"] == BACK
    assert session["cancel_url"] == "https://shop.example/pricing"
    assert (session["locale"], session["allow_promotion_codes"], session["metadata"]) == ("de", True, {"cart": "7"})
    assert session["client_reference_id"] is None


@pytest.fixture(scope="module")
def shop(new_sqlite):
    """A world whose catalogue also has what cannot be bought; for requests that are refused before Stripe is asked."""
    with make_world(new_sqlite()) as world:
        world.ids = stock(world)
        yield world
        assert at_stripe(world) == []
        assert world.rows("checkout_intent") == []


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ([], [("LINE_ITEMS_INVALID", "lineItems")]),
        (["starter_monthly"] * 21, [("LINE_ITEMS_INVALID", "lineItems")]),
        ([{}], [("LINE_ITEMS_INVALID", "lineItems.0")]),
        ([{"lookupKey": "starter_monthly", "priceId": "x"}], [("LINE_ITEMS_INVALID", "lineItems.0")]),
        ([{"lookupKey": "x", "price": {"lookupKey": "x"}}], [("LINE_ITEMS_INVALID", "lineItems.0")]),
        ([{"price": {"lookupKey": "nothing"}}], [("PRICE_NOT_FOUND", "lineItems.0.price.lookupKey")]),
        ([{"price": {"id": ""}}], [("PRICE_NOT_FOUND", "lineItems.0.price.id")]),
        (["nothing"], [("PRICE_NOT_FOUND", "lineItems.0.lookupKey")]),
        (["starter_monthly", {"priceId": "price_nothing"}], [("PRICE_NOT_FOUND", "lineItems.1.priceId")]),
        ([{"priceId": ""}], [("PRICE_NOT_FOUND", "lineItems.0.priceId")]),
        (["inactive"], [("PRICE_NOT_ON_SALE", "lineItems.0.priceId")]),
        (["gone_month"], [("PRICE_NOT_ON_SALE", "lineItems.0.priceId")]),
        ([{"lookupKey": "starter_monthly", "quantity": 0}], [("QUANTITY_INVALID", "lineItems.0.quantity")]),
        ([{"lookupKey": "starter_monthly", "quantity": -1}], [("QUANTITY_INVALID", "lineItems.0.quantity")]),
        ([{"lookupKey": "starter_monthly", "quantity": 1001}], [("QUANTITY_INVALID", "lineItems.0.quantity")]),
        ([{"lookupKey": "starter_monthly", "quantity": 1_000_000}], [("QUANTITY_INVALID", "lineItems.0.quantity")]),
        (["starter_monthly", "starter_monthly"], [("DUPLICATE_PRICE", "lineItems.1")]),
        (["starter_monthly", "starter_yearly"], [("INTERVALS_MIXED", "lineItems")]),
        (["starter_monthly", {"price": {"lookupKey": "starter_yearly"}}], [("INTERVALS_MIXED", "lineItems")]),
        (["team_dinar", "setup"], [("CURRENCY_NOT_OFFERED", "currency")]),
    ],
)
def test_lines_that_cannot_be_bought_are_refused_before_stripe_is_asked(shop, lines, expected):
    by_name = [{"priceId": shop.ids[line]} if str(line) in shop.ids else line for line in lines]
    assert errors(ask(shop, *by_name)) == expected


@pytest.mark.parametrize("price", [{}, {"id": "x", "lookupKey": "x"}, {"id": None}, {"id": "x", "lookupKey": None}])
def test_a_price_that_is_not_named_by_exactly_one_name_is_refused_by_the_schema(shop, price):
    mutation = "mutation($i: CreateCheckoutSessionInput!) { createCheckoutSession(input: $i) { userErrors { code } } }"
    (error,) = shop.graphql(mutation, {"i": {"lineItems": [{"price": price}]}}).json()["errors"]
    assert error["extensions"]["code"] == "BAD_USER_INPUT"


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ({"successUrl": None}, [("URL_REQUIRED", "successUrl")]),
        ({"uiMode": "EMBEDDED", "successUrl": None}, [("URL_REQUIRED", "returnUrl")]),
        ({"uiMode": "EMBEDDED", "returnUrl": BACK}, [("URL_UNUSED", "successUrl")]),
        ({"returnUrl": BACK}, [("URL_UNUSED", "returnUrl")]),
        ({"cancelUrl": "https://evil.example/"}, [("REDIRECT_NOT_ALLOWED", "cancelUrl")]),
        ({"currency": "XAF"}, [("CURRENCY_NOT_OFFERED", "lineItems.0")]),
        ({"customerEmail": "nobody"}, [("EMAIL_INVALID", "customerEmail")]),
        ({"customerEmail": "a@b"}, [("EMAIL_INVALID", "customerEmail")]),
        ({"customerEmail": "a b@c.de"}, [("EMAIL_INVALID", "customerEmail")]),
        ({"customerEmail": "a@b.de\r\nBcc: c@d.ef"}, [("EMAIL_INVALID", "customerEmail")]),
        ({"customerEmail": "a@" + "b" * 250 + ".de"}, [("EMAIL_INVALID", "customerEmail")]),
        ({"promotionCode": "X", "allowPromotionCodes": True}, [("PROMOTION_CODE_INVALID", "promotionCode")]),
        ({"idempotencyKey": "1"}, [("IDEMPOTENCY_KEY_INVALID", "idempotencyKey")]),
        ({"idempotencyKey": "k" * 300}, [("IDEMPOTENCY_KEY_INVALID", "idempotencyKey")]),
        ({"metadata": [{"key": "", "value": "x"}]}, [("METADATA_INVALID", "metadata")]),
        ({"metadata": [{"key": "k" * 41, "value": "x"}]}, [("METADATA_INVALID", "metadata")]),
        ({"metadata": [{"key": "a[b]", "value": "x"}]}, [("METADATA_INVALID", "metadata")]),
        ({"metadata": [{"key": "k", "value": "x" * 501}]}, [("METADATA_INVALID", "metadata")]),
        ({"metadata": [{"key": "k", "value": "x"}] * 2}, [("METADATA_INVALID", "metadata")]),
        ({"metadata": [{"key": "gateway_user", "value": "x"}]}, [("METADATA_INVALID", "metadata")]),
        ({"metadata": [{"key": f"k{n}", "value": "x"} for n in range(51)]}, [("METADATA_INVALID", "metadata")]),
    ],
)
def test_a_request_that_cannot_be_is_refused_before_stripe_is_asked(shop, asked, expected):
    assert errors(ask(shop, "starter_monthly", **asked)) == expected


def test_everything_that_must_be_mended_is_told_at_once(shop):
    answer = ask(shop, "starter_monthly", "starter_yearly", successUrl="javascript:alert(1)", customerEmail="x")
    assert [error[0] for error in errors(answer)] == ["INTERVALS_MIXED", "REDIRECT_NOT_ALLOWED", "EMAIL_INVALID"]


@pytest.mark.parametrize(
    "url",
    [
        "https://shop.example",
        "https://shop.example:443/a",
        "HTTPS://SHOP.EXAMPLE/a",
        "https://shop.example/a?next=//evil.example#@evil.example",
        "https://shop.example/#/thanks/{CHECKOUT_SESSION_ID}",
    ],
)
def test_every_way_of_writing_an_allowed_origin_is_allowed(world, url):
    assert opened(world, "starter_monthly", successUrl=url)["url"]


def test_without_an_allowed_origin_no_checkout_opens(sqlite_url):
    with make_world(sqlite_url, redirect_origins="") as world:
        assert errors(ask(world, "starter_monthly")) == [("REDIRECT_NOT_ALLOWED", "successUrl")]


@both_databases
def test_ten_parallel_requests_with_one_key_open_one_session(world):
    key = str(uuid.uuid4())
    with ThreadPoolExecutor(10) as pool:
        sessions = list(pool.map(lambda _: opened(world, "starter_monthly", idempotencyKey=key), range(10)))

    assert len({session["id"] for session in sessions}) == 1
    assert len(at_stripe(world)) == 1


def test_the_same_key_for_another_request_is_refused(world):
    key = str(uuid.uuid4())
    first = opened(world, "starter_monthly", idempotencyKey=key)

    assert errors(ask(world, "starter_yearly", idempotencyKey=key)) == [("IDEMPOTENCY_KEY_REUSED", "idempotencyKey")]
    assert opened(world, "starter_monthly", idempotencyKey=key)["id"] == first["id"]


def test_the_back_end_and_a_guest_do_not_share_a_key(world):
    key = str(uuid.uuid4())
    guest = opened(world, "starter_monthly", idempotencyKey=key)
    back_end = opened(world, "starter_monthly", idempotencyKey=key, headers=BACK_END)
    assert guest["id"] != back_end["id"]


def test_without_a_key_every_request_is_a_new_one(world):
    assert opened(world, "starter_monthly")["id"] != opened(world, "starter_monthly")["id"]


def test_a_promotion_code_is_applied_by_its_name(world):
    coupon = world.stripe("POST", "/v1/coupons", percent_off=50, duration="once")
    world.stripe(
        "POST", "/v1/promotion_codes", code="HALF", **{"promotion[type]": "coupon", "promotion[coupon]": coupon["id"]}
    )

    assert opened(world, "credits_100", promotionCode="HALF")["amountTotal"]["amount"] == 250
    refused = ask(world, "credits_100", promotionCode="NONE")
    assert errors(refused) == [("PROMOTION_CODE_INVALID", "promotionCode")]


def test_what_only_stripe_can_judge_comes_back_with_stripes_sentence(world):
    (price,) = world.rows("price", lookup_key="starter_monthly")
    stored = world.sandbox.store.get("price", price["id"])
    world.sandbox.store.put({**stored, "active": False})  # the mirror has not heard of it
    answer = ask(world, "starter_monthly")
    assert errors(answer) == [("STRIPE_REFUSED", "lineItems.0.lookupKey")]
    assert "inactive" in answer["userErrors"][0]["message"]


@pytest.mark.parametrize(
    ("tag", "stored"),
    [("de-DE", "de"), ("en-US", "en"), ("fr-FR", "fr"), ("zh-CN", "zh"), ("no", "nb"), ("xx", None), ("-", None)],
)
def test_every_language_tag_opens_a_checkout_in_the_nearest_language(world, tag, stored):
    session = opened(world, "starter_monthly", locale=tag)
    assert world.sandbox.store.get("checkout.session", session["id"])["locale"] == stored


def test_an_open_session_can_be_closed_once(world):
    session = opened(world, "starter_monthly")

    closed = world.data(EXPIRE, {"id": session["id"]})["expireCheckoutSession"]
    assert closed == {"session": {"status": "EXPIRED", "url": None}, "userErrors": []}
    again = world.data(EXPIRE, {"id": session["id"]})["expireCheckoutSession"]
    assert again["userErrors"] == [{"code": "SESSION_NOT_OPEN", "field": "id"}]


def test_a_session_that_was_paid_a_moment_ago_is_not_closed_but_shown(sqlite_url):
    with make_world(sqlite_url, stripe_webhook_secrets="whsec_that_nobody_signs_with") as world:
        session = opened(world, "starter_monthly")
        pay(world, session)

        answer = world.data(EXPIRE, {"id": session["id"]})["expireCheckoutSession"]

        assert answer["session"]["status"] == "COMPLETE"
        assert answer["userErrors"][0]["code"] == "SESSION_NOT_OPEN"


@pytest.mark.parametrize(
    "id", ["cs_test_nothing", "cs_live_nothing", "", "x", "../v1/charges", "cs_test_a/expire", "ä"]
)
def test_a_session_that_does_not_exist_is_null_and_cannot_be_closed(shop, id):
    assert look(shop, {"id": id}) is None
    refused = shop.graphql(EXPIRE, {"id": id}).json()["errors"][0]
    assert refused["extensions"]["code"] == "NOT_FOUND"


def test_a_declined_card_leaves_the_session_open(world):
    session = opened(world, "starter_monthly")
    pay(world, session, card_number="4000 0000 0000 0002")
    assert look(world, session)["status"] == "OPEN"


def test_a_session_that_is_asked_for_all_the_time_is_read_from_stripe_about_once_a_second(world):
    session = opened(world, "starter_monthly")
    before = _reads(world)
    until = time.monotonic() + 1.5
    asked = 0
    with ThreadPoolExecutor(8) as pool:
        while time.monotonic() < until:
            asked += len(list(pool.map(lambda _: look(world, session), range(8))))

    assert asked > 20
    assert _reads(world) - before <= 3


def _reads(world):
    """How often the gateway has read something from Stripe, by its own metrics."""
    lines = world.client.get(f"{world.url}/metrics").text.splitlines()
    return sum(
        float(line.rsplit(" ", 1)[1])
        for line in lines
        if line.startswith("gateway_stripe_calls_total") and "get" in line
    )


def test_while_stripe_is_away_checkout_says_so_and_the_rest_goes_on(sqlite_url):
    listener, nowhere = listening()
    listener.close()
    with make_world(sqlite_url) as world:
        session = opened(world, "starter_monthly")
    with make_world(sqlite_url, fill=False, stripe_api_base=nowhere, stripe_timeout=3) as world:
        started = time.monotonic()
        answer = world.graphql(
            CREATE, {"input": {"lineItems": [{"lookupKey": "starter_monthly"}], "successUrl": BACK}}
        ).json()
        assert answer["errors"][0]["extensions"]["code"] == "STRIPE_UNAVAILABLE"
        assert time.monotonic() - started < 10
        assert nowhere not in str(answer)

        assert world.data("{ plans(first: 1) { nodes { id } } }")["plans"]["nodes"]
        assert look(world, session)["status"] == "OPEN"


def test_a_request_that_failed_for_stripes_absence_succeeds_later_with_the_same_key(world, database_url):
    listener, nowhere = listening()
    listener.close()
    key = str(uuid.uuid4())
    asked = {"input": {"lineItems": [{"lookupKey": "starter_monthly"}], "successUrl": BACK, "idempotencyKey": key}}
    with make_world(database_url, fill=False, stripe_api_base=nowhere, stripe_timeout=1) as cut_off:
        assert "errors" in cut_off.graphql(CREATE, asked).json()

    assert world.data(CREATE, asked)["createCheckoutSession"]["session"]["status"] == "OPEN"
    assert len(at_stripe(world)) == 1
