"""The customer portal: opened for one's own customer, with one thing to do or all, and the way back to the shop."""

import pytest

from harness.checkout import at_stripe, buy
from harness.databases import both_databases
from harness.gateway import SERVICE, make_world

OPEN = """mutation($input: CreatePortalSessionInput!) { createPortalSession(input: $input) {
    url userErrors { code message field } } }"""
HOME = "https://shop.example/account"


def ask(world, headers, **input_):
    """What opening the portal answers."""
    given = {"returnUrl": HOME, **input_}
    return world.data(OPEN, {"input": given}, headers)["createPortalSession"]


def errors(answer):
    assert answer["url"] is None
    return [(error["code"], error["field"]) for error in answer["userErrors"]]


def refused(world, headers, **input_):
    """The code with which the whole call is refused."""
    answer = world.graphql(OPEN, {"input": {"returnUrl": HOME, **input_}}, headers).json()
    assert answer["data"] is None
    return answer["errors"][0]["extensions"]["code"]


@pytest.fixture
def ada(world):
    return world.sign_in("ada@example.com")


@both_databases
def test_the_portal_is_the_users_own_and_leads_back(world, ada):
    bought = buy(world, ada, "starter_monthly")
    buy(world, world.sign_in("grace@example.com"), "pro_monthly")

    answer = ask(world, ada, locale="de")

    assert answer["userErrors"] == []
    page = world.client.get(answer["url"])
    assert page.status_code == 200
    assert HOME in page.text
    session = world.sandbox.store.get("billing_portal.session", answer["url"].rsplit("/", 1)[1])
    (customer,) = (row["id"] for row in world.rows("customer", external_id="user_ada"))
    assert (session["customer"], session["locale"]) == (customer, "de")
    assert bought["subscription"]["status"] == "ACTIVE"


@pytest.mark.parametrize("flow", ["PAYMENT_METHOD_UPDATE", "SUBSCRIPTION_CANCEL", "SUBSCRIPTION_UPDATE"])
def test_a_flow_is_for_one_thing_and_goes_back_to_the_shop_when_it_is_done(world, ada, flow):
    bought = buy(world, ada, "starter_monthly")

    answer = ask(world, ada, flow=flow)

    session = world.sandbox.store.get("billing_portal.session", answer["url"].rsplit("/", 1)[1])
    assert session["flow"]["type"] == flow.lower()
    after = session["flow"]["after_completion"]
    assert (after["type"], after["redirect"]) == ("redirect", {"return_url": HOME})
    about = session["flow"].get(flow.lower()) or {}
    assert about.get("subscription") == (None if flow == "PAYMENT_METHOD_UPDATE" else bought["subscription"]["id"])
    assert world.client.get(answer["url"], follow_redirects=True).status_code == 200


def test_one_of_several_subscriptions_is_named(world, ada):
    first = buy(world, ada, "starter_monthly")["subscription"]["id"]
    second = buy(world, ada, "api_calls_metered")["subscription"]["id"]

    assert errors(ask(world, ada, flow="SUBSCRIPTION_CANCEL")) == [("SUBSCRIPTION_NEEDED", "subscriptionId")]
    for each in (first, second):
        assert ask(world, ada, flow="SUBSCRIPTION_CANCEL", subscriptionId=each)["url"]

    world.stripe("DELETE", f"/v1/subscriptions/{first}")
    world.eventually(lambda: world.rows("subscription", id=first)[0]["status"], "canceled")
    assert ask(world, ada, flow="SUBSCRIPTION_CANCEL")["url"]
    ended = ask(world, ada, flow="SUBSCRIPTION_CANCEL", subscriptionId=first)
    assert errors(ended) == [("SUBSCRIPTION_NEEDED", "subscriptionId")]


def test_a_flow_that_is_about_no_subscription_takes_none_and_without_one_there_is_nothing_to_cancel(world, ada):
    buy(world, ada, "credits_100")
    assert errors(ask(world, ada, flow="SUBSCRIPTION_UPDATE")) == [("SUBSCRIPTION_NEEDED", "subscriptionId")]
    mine = buy(world, ada, "starter_monthly")["subscription"]["id"]
    for flow in ("OVERVIEW", "PAYMENT_METHOD_UPDATE"):
        assert errors(ask(world, ada, flow=flow, subscriptionId=mine)) == [("SUBSCRIPTION_NEEDED", "subscriptionId")]


def test_who_has_bought_nothing_has_no_portal_and_gets_no_customer_by_asking(world, ada):
    assert errors(ask(world, ada)) == [("NO_CUSTOMER", None)]
    assert at_stripe(world, "customers") == []


@pytest.mark.parametrize("told", [True, False])
def test_a_vanished_customer_is_not_silently_made_again(sqlite_url, told):
    secret = {} if told else {"stripe_webhook_secrets": "whsec_that_nobody_signs_with"}
    with make_world(sqlite_url, **secret) as world:
        ada = world.sign_in("ada@example.com")
        buy(world, ada, "credits_100")
        (customer,) = at_stripe(world, "customers")
        world.stripe("DELETE", f"/v1/customers/{customer['id']}")
        if told:
            world.eventually(lambda: [row["deleted"] for row in world.rows("customer", id=customer["id"])], [True])

        assert errors(ask(world, ada)) == [("NO_CUSTOMER", None)]

        assert at_stripe(world, "customers") == []
        assert world.rows("customer", id=customer["id"])[0]["deleted"]


def test_anothers_subscription_is_as_unknown_as_one_that_does_not_exist(world, ada):
    grace = world.sign_in("grace@example.com")
    buy(world, ada, "starter_monthly")
    hers = buy(world, grace, "starter_monthly")["subscription"]["id"]
    for id_ in (hers, "sub_0000000000000000"):
        assert refused(world, ada, flow="SUBSCRIPTION_CANCEL", subscriptionId=id_) == "NOT_FOUND"
    back_end = {"flow": "SUBSCRIPTION_CANCEL", "subscriptionId": hers, "externalId": "user_ada"}
    assert refused(world, SERVICE, **back_end) == "NOT_FOUND"


def test_the_back_end_says_for_whom_and_nobody_else_may(world, ada):
    buy(world, ada, "credits_100")
    assert ask(world, SERVICE, externalId="user_ada")["url"]
    assert refused(world, SERVICE) == "FORBIDDEN"
    assert refused(world, world.sign_in("grace@example.com"), externalId="user_ada") == "FORBIDDEN"
    assert refused(world, None) == "UNAUTHENTICATED"


def test_the_settings_choose_the_portals_configuration(sqlite_url):
    with make_world(sqlite_url) as world:
        configuration = world.stripe(
            "POST",
            "/v1/billing_portal/configurations",
            **{"features[invoice_history][enabled]": "true"},
        )
        ada = world.sign_in("ada@example.com")
        buy(world, ada, "credits_100")
        with make_world(
            sqlite_url, fill=False, stripe_api_base=world.stripe_url, portal_configuration=configuration["id"]
        ) as other:
            url = ask(other, ada)["url"]
        session = world.sandbox.store.get("billing_portal.session", url.rsplit("/", 1)[1])
        assert session["configuration"] == configuration["id"]


def test_what_stripe_refuses_comes_back_in_its_words(world, ada, sqlite_url):
    buy(world, ada, "credits_100")
    absent = {"stripe_api_base": world.stripe_url, "portal_configuration": "bpc_absent"}
    with make_world(sqlite_url, fill=False, **absent) as other:
        assert errors(ask(other, ada)) == [("STRIPE_REFUSED", "configuration")]


def test_an_unknown_language_opens_the_portal_in_the_browsers(world, ada):
    buy(world, ada, "credits_100")
    assert ask(world, ada, locale="tlh")["url"]
