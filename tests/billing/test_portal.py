"""The customer portal: opened for one's own customer, with one thing to do or all, and the way back to the shop."""

import pytest
import structlog

from gateway.auth.principal import Principal
from gateway.billing.customers.service import Customers
from gateway.billing.portal import Portal, PortalFlow, PortalRequest
from gateway.billing.user_errors import Rejected
from gateway.db.rows import row_by_id
from gateway.errors import Forbidden, NotFound
from gateway.models.mirrored import Customer
from gateway.settings import Settings
from harness.checkout import at_stripe, buy
from harness.databases import postgres_later
from harness.gateway import SERVICE, make_world
from harness.rejected import codes
from harness.rows import customer, subscription

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


@postgres_later
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


# --- Asked of a Stripe that is scripted ---------------------------------------------------------------------------

ADA, PATH = Principal(subject="ada"), "/v1/billing_portal/sessions"


@pytest.fixture
async def portal(database, mirror, stripe, fill, scripted):
    """Ada is a customer; makes the service."""
    await fill(customer(external_id="ada", meta={"external_id": "ada"}))
    scripted.answer("POST", PATH, {"id": "bps_1", "object": "billing_portal.session", "url": "https://portal.example/"})

    def make(**settings) -> Portal:
        given = {"stripe_secret_key": "sk_test_tests", "stripe_api_base": scripted.url, **settings}
        chosen = Settings.load(redirect_origins="https://shop.example", **given)
        return Portal(chosen, database, stripe, Customers(chosen, mirror, stripe))

    return make


FLOW = {"flow_data[after_completion][type]": "redirect", "flow_data[after_completion][redirect][return_url]": HOME}
FLOWS = {
    "all": ({}, {}),
    "in a language": ({"locale": "de-AT"}, {"locale": "de"}),
    "in one that Stripe does not know": ({"locale": "tlh"}, {}),
    "a card": (
        {"flow": PortalFlow.PAYMENT_METHOD_UPDATE}, {**FLOW, "flow_data[type]": "payment_method_update"},
    ),
    "the only live subscription": (
        {"flow": PortalFlow.SUBSCRIPTION_CANCEL},
        {**FLOW, "flow_data[type]": "subscription_cancel", "flow_data[subscription_cancel][subscription]": "sub_1"},
    ),
    "a named one": (
        {"flow": PortalFlow.SUBSCRIPTION_UPDATE, "subscription_id": "sub_1"},
        {**FLOW, "flow_data[type]": "subscription_update", "flow_data[subscription_update][subscription]": "sub_1"},
    ),
}  # fmt: skip


@pytest.mark.parametrize(("asked", "sent"), FLOWS.values(), ids=FLOWS)
async def test_what_the_portal_opens_with(portal, fill, scripted, asked, sent):
    await fill(subscription(), subscription("sub_0", "canceled"), subscription("sub_2", customer_id="cus_2"))
    assert await portal().open(ADA, PortalRequest(HOME, **asked)) == "https://portal.example/"
    assert scripted.calls == [("POST", PATH, {"customer": "cus_1", "return_url": HOME, **sent})]
    await portal(portal_configuration="bpc_1").open(ADA, PortalRequest(HOME))
    assert scripted.calls[1][2] == {"customer": "cus_1", "return_url": HOME, "configuration": "bpc_1"}
    assert len(set(scripted.keys)) == 2


NEEDED = ("SUBSCRIPTION_NEEDED", "subscriptionId")
CANNOT = {
    "somewhere else": (ADA, PortalRequest("https://evil.example/"), ("REDIRECT_NOT_ALLOWED", "returnUrl")),
    "for who bought nothing": (Principal(subject="bob"), PortalRequest(HOME), ("NO_CUSTOMER", None)),
    "about a subscription, all": (ADA, PortalRequest(HOME, subscription_id="sub_1"), NEEDED),
    "about a subscription, a card": (ADA, PortalRequest(HOME, PortalFlow.PAYMENT_METHOD_UPDATE, "sub_1"), NEEDED),
    "none of several": (ADA, PortalRequest(HOME, PortalFlow.SUBSCRIPTION_CANCEL), NEEDED),
    "one that has ended": (ADA, PortalRequest(HOME, PortalFlow.SUBSCRIPTION_CANCEL, "sub_0"), NEEDED),
}


@pytest.mark.parametrize(("who", "asked", "expected"), CANNOT.values(), ids=CANNOT)
async def test_what_the_portal_does_not_open_with(portal, fill, scripted, who, asked, expected):
    await fill(subscription(), subscription("sub_0", "canceled"), subscription("sub_2"))
    assert await codes(portal().open(who, asked)) == [expected]
    assert scripted.calls == []


@pytest.mark.parametrize(("live", "says"), [((), "no subscription"), (("sub_1", "sub_2"), "several")])
async def test_why_a_subscription_must_be_named(portal, fill, live, says):
    await fill(*map(subscription, live))
    with pytest.raises(Rejected, match=says):
        await portal().open(ADA, PortalRequest(HOME, PortalFlow.SUBSCRIPTION_CANCEL))


async def test_nobodys_portal_and_anothers_subscription(portal, fill, scripted):
    await fill(subscription(customer_id="cus_2"))
    with pytest.raises(Forbidden, match="for whom the portal is"):
        await portal().open(Principal(is_service=True), PortalRequest(HOME))
    with pytest.raises(Forbidden):
        await portal().open(ADA, PortalRequest(HOME, external_id="bob"))
    with pytest.raises(NotFound, match="no such object"):
        await portal().open(ADA, PortalRequest(HOME, PortalFlow.SUBSCRIPTION_CANCEL, "sub_1"))
    assert scripted.calls == []
    await portal().open(Principal(is_service=True), PortalRequest(HOME, external_id="ada"))
    assert scripted.calls[0][2]["customer"] == "cus_1"


async def test_the_portal_opens_without_a_strangers_cards(portal, fill, scripted, database):
    await fill(customer("cus_2", "eve", meta={"external_id": "eve"}, payer_unverified=True))
    scripted.list("/v1/customers/cus_2/payment_methods", [])
    await portal().open(Principal(subject="eve"), PortalRequest(HOME))
    assert [call[1] for call in scripted.calls] == ["/v1/customers/cus_2/payment_methods", PATH]
    hers = await database.read(lambda connection: row_by_id(connection, Customer, "cus_2"))
    assert not hers.payer_unverified  # what is there now is hers


async def test_the_portal_tells_stripe_an_address_that_has_changed(portal, scripted):
    scripted.refuse("POST", "/v1/customers/cus_1", "no")
    ada = Principal(subject="ada", email="ada@example.com", email_verified=True)
    with structlog.testing.capture_logs():
        await portal().open(ada, PortalRequest(HOME))
    assert scripted.calls[0] == ("POST", "/v1/customers/cus_1", {"email": "ada@example.com"})


@pytest.mark.parametrize(("gone", "expected"), [(True, ("NO_CUSTOMER", None)), (False, ("STRIPE_REFUSED", "locale"))])
async def test_whether_the_customer_is_gone_or_something_else_is_wrong(portal, scripted, gone, expected):
    error = {"type": "invalid_request_error", "message": "Stripe's words", "param": "locale"}
    scripted.forget()
    scripted.answer("POST", PATH, {"error": error}, status=400)
    alive = {"id": "cus_1", "object": "customer", "email": None, "metadata": {}, "created": 1}
    scripted.answer("GET", "/v1/customers/cus_1", {**alive, "deleted": True} if gone else alive)
    with pytest.raises(Rejected, match="no longer has this customer" if gone else "Stripe's words") as raised:
        await portal().open(ADA, PortalRequest(HOME))
    assert [(problem.code.name, problem.field) for problem in raised.value.problems] == [expected]
