"""What a user takes up by an e-mail address brings the purchase and not the card of whoever typed the address."""

import pytest

from harness.checkout import BACK, at_stripe, look, opened, pay
from harness.command import run
from harness.databases import both_databases
from harness.gateway import make_world
from harness.subscriptions import price_id

ADA = {"email": "ada@example.com", "email_verified": True}
VIEWER = "{ viewer { customer { id } paymentMethod { last4 } subscription { id status } } }"
PORTAL = """mutation($input: CreatePortalSessionInput!) { createPortalSession(input: $input) {
    url userErrors { code } } }"""
CHANGE = """mutation($input: ChangeSubscriptionInput!) { changeSubscription(input: $input) {
    subscription { id } userErrors { code field } } }"""


def bought_by_a_stranger(world) -> dict:
    """What somebody has bought as a guest with Ada's address, once the mirror knows it."""
    guest = opened(world, None, "starter_monthly")
    pay(world, guest, name="Mallory")
    world.eventually(lambda: [row["last4"] for row in world.rows("payment_method")], ["4242"])
    world.eventually(lambda: world.rows("event", status="pending"), [])
    return look(world, None, guest)


def methods_of(world) -> list[dict]:
    """What the first customer could be charged by."""
    return world.stripe("GET", f"/v1/customers/{world.rows('customer')[0]['id']}/payment_methods")["data"]


def open_portal(world, headers) -> None:
    answer = world.data(PORTAL, {"input": {"returnUrl": BACK.split("?")[0]}}, headers)["createPortalSession"]
    assert (answer["userErrors"], bool(answer["url"])) == ([], True)


@both_databases
def test_a_strangers_purchase_is_taken_up_without_the_card(world):
    bought = bought_by_a_stranger(world)
    ada = world.token("user_ada", **ADA)

    seen = world.data(VIEWER, headers=ada)["viewer"]

    assert seen["subscription"] == {"id": bought["subscription"]["id"], "status": "ACTIVE"}
    assert seen["paymentMethod"] is None
    given = {"subscriptionId": bought["subscription"]["id"], "priceId": price_id(world, "pro_monthly")}
    changed = world.data(CHANGE, {"input": given}, ada)["changeSubscription"]
    assert changed["userErrors"] == [{"code": "PAYMENT_METHOD_NEEDED", "field": "subscriptionId"}]
    opened(world, ada, "credits_100")
    assert [method["allow_redisplay"] for method in methods_of(world)] == ["limited"]
    assert len(at_stripe(world, "charges")) == 1  # and it goes on paying what it was given for
    open_portal(world, ada)
    assert methods_of(world) == []
    world.eventually(lambda: [row["customer_id"] for row in world.rows("payment_method")], [None])
    assert world.data(VIEWER, headers=ada)["viewer"]["subscription"]["status"] == "ACTIVE"


@both_databases
def test_the_users_own_card_stays_when_the_strangers_goes(world):
    bought_by_a_stranger(world)
    ada = world.token("user_ada", **ADA)
    world.advance(to=world.sandbox.clock.now() + 10)
    session = opened(world, ada, "api_calls_metered")
    world.advance(to=world.sandbox.clock.now() + 10)
    pay(world, session, card_number="5555 5555 5555 4444")
    world.eventually(lambda: sorted(row["last4"] for row in world.rows("payment_method")), ["4242", "4444"])
    world.eventually(lambda: world.rows("event", status="pending"), [])

    open_portal(world, ada)

    assert [method["card"]["last4"] for method in methods_of(world)] == ["4444"]
    world.eventually(lambda: world.data(VIEWER, headers=ada)["viewer"]["paymentMethod"], {"last4": "4444"})
    open_portal(world, ada)  # from now on the cards are hers
    assert [method["card"]["last4"] for method in methods_of(world)] == ["4444"]


def test_the_renewal_is_charged_to_the_card_that_was_given_for_it(world):
    bought_by_a_stranger(world)
    world.data(VIEWER, headers=world.token("user_ada", **ADA))
    world.advance(to=world.sandbox.clock.now() + 32 * 86_400)
    world.eventually(lambda: len(at_stripe(world, "charges")), 2)


@pytest.mark.parametrize("trusted", [False, True])
def test_a_payment_links_card_comes_along_only_where_its_reference_is_trusted(sqlite_url, trusted):
    with make_world(sqlite_url, trust_payment_link_references=trusted) as world:
        line = {"line_items[0][price]": price_id(world, "starter_monthly"), "line_items[0][quantity]": 1}
        given = {"mode": "subscription", "success_url": BACK, "client_reference_id": "user_ada", **line}
        pay(world, world.stripe("POST", "/v1/checkout/sessions", **given))
        world.eventually(lambda: [row["last4"] for row in world.rows("payment_method")], ["4242"])
        world.eventually(lambda: world.rows("event", status="pending"), [])
        world._execute("UPDATE checkout_session SET payment_link = 'plink_1'")

        seen = world.data(VIEWER, headers=world.token("user_ada", **ADA))["viewer"]

        assert seen["subscription"]["status"] == "ACTIVE"
        assert (seen["paymentMethod"] is not None) is trusted


def test_what_the_seller_has_made_at_stripe_keeps_its_card(world):
    """An address that the seller has written is not what somebody typed to pay."""
    made = world.stripe("POST", "/v1/customers", email="ada@example.com")
    method = world.stripe("POST", "/v1/payment_methods/pm_card_visa/attach", customer=made["id"])
    price = {"items[0][price]": price_id(world, "starter_monthly"), "default_payment_method": method["id"]}
    world.stripe("POST", "/v1/subscriptions", customer=made["id"], **price)
    world.eventually(lambda: [row["status"] for row in world.rows("subscription")], ["active"])
    world.eventually(lambda: world.rows("event", status="pending"), [])
    ada = world.token("user_ada", **ADA)
    assert world.data(VIEWER, headers=ada)["viewer"]["paymentMethod"] == {"last4": "4242"}
    open_portal(world, ada)
    assert len(methods_of(world)) == 1


def test_the_operator_may_say_that_the_card_is_the_users_too(world, tmp_path):
    bought_by_a_stranger(world)
    ada = world.token("user_ada", **ADA)
    customer = world.data(VIEWER, headers=ada)["viewer"]["customer"]["id"]
    environment = {
        "STRIPE_SECRET_KEY": "sk_test_tests",
        "STRIPE_API_BASE": world.stripe_url,
        "DATABASE_URL": world.settings.database_url.get_secret_value(),
    }
    assert run("customers", "link", "user_ada", customer, cwd=tmp_path, **environment).returncode == 0
    assert world.data(VIEWER, headers=ada)["viewer"]["paymentMethod"] == {"last4": "4242"}
