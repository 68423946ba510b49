"""The pages by task: their commands, settings and queries, as they stand there."""

import re
import shlex

import pytest

from gateway.auth.authenticator import Authenticator
from gateway.errors import Unauthenticated
from gateway.settings import Settings
from harness.gateway import SERVICE, SERVICE_TOKEN, make_world
from harness.oidc_provider import running_provider
from harness.pages import blocks
from harness.providers import PROVIDERS
from harness.subscriptions import customer, subscribe


@pytest.fixture(scope="module")
def provider():
    with running_provider() as running:
        for algorithm in ("RS256", "EdDSA"):
            running.add(algorithm, algorithm)
        running.add("ES256")
        yield running


@pytest.mark.parametrize("name", PROVIDERS)
async def test_the_settings_of_a_provider_prove_its_tokens_and_no_others(provider, name):
    algorithm, claims = PROVIDERS[name]
    (block,) = blocks("sign-in", "sh", name)
    given = dict(line.split("=", 1) for line in block.splitlines())
    assert given.pop("AUTH_JWKS_URL").startswith("https://")
    settings = Settings.load(
        auth_jwks_url=provider.url, auth_issuer=given["AUTH_ISSUER"], auth_audience=given.get("AUTH_AUDIENCE")
    )
    authenticator = Authenticator(settings)
    claims = {"iss": given["AUTH_ISSUER"], **claims}

    async def who(**changed):
        return await authenticator.authenticate(provider.sign(algorithm, **claims | changed)["Authorization"])

    assert (await who()).subject == claims["sub"]
    assert not (await who()).email_verified
    wrong = [{"iss": "https://elsewhere.example"}, {"exp": 1}]
    for changed in [*wrong, {"aud": "another"}] if "AUTH_AUDIENCE" in given else wrong:
        with pytest.raises(Unauthenticated):
            await who(**changed)
    await authenticator.close()


async def test_an_organisation_is_the_customer_and_who_has_none_is_refused(provider):
    (line,) = blocks("seats", "sh", "Who is the customer")
    (claim,) = re.findall(r"AUTH_SUBJECT_CLAIM=(\w+)", line)
    authenticator = Authenticator(Settings.load(auth_jwks_url=provider.url, auth_subject_claim=claim))
    assert (await authenticator.authenticate(provider.sign(org_id="org_1")["Authorization"])).subject == "org_1"
    with pytest.raises(Unauthenticated, match="org_id"):
        await authenticator.authenticate(provider.sign()["Authorization"])
    await authenticator.close()


@pytest.fixture
def world(new_sqlite):
    """A world of the test's own: the time moves."""
    with make_world(new_sqlite()) as made:
        yield made


def curl(world, command, **places):
    """What a command of a page asks, asked: status and answer."""
    servers = {"http://127.0.0.1:12111": world.stripe_url, "http://127.0.0.1:8000": world.url}
    for place, value in {**servers, **places}.items():
        command = command.replace(place, value)
    words = iter(word for word in shlex.split(command) if word != "-i")
    assert next(words) == "curl"
    url, headers, method, body = next(words), {}, "GET", None
    for word in words:
        if word == "-H":
            name, _, headers[name] = next(words).partition(": ")
        elif word == "-d":
            method, body = "POST", next(words)
            headers.setdefault("Content-Type", "application/x-www-form-urlencoded")  # as curl does
        elif word == "-X":
            method = next(words)
    answer = world.client.request(method, url, headers=headers, content=body, timeout=60)
    return answer.status_code, answer.json()


def now(world, user):
    """The customer's subscription, as the page asks for it."""
    (query,) = blocks("testing", "graphql")
    return world.data(query, {"user": user}, SERVICE)["customer"]["subscription"]


def says(world, user, *expected):
    """Wait until status, permission and reason are these."""
    asked = lambda: (found := now(world, user)) and (found["status"], *list(found["access"].values())[:2])  # noqa: E731
    world.eventually(asked, expected)


@pytest.mark.soak  # two months pass; `make judges`
def test_a_card_that_fails_a_trial_and_a_dispute_go_as_the_page_says(world):
    ada, eve, bob = (customer(world, name) for name in ("ada", "eve", "bob"))
    (dispute, lose) = blocks("testing", "sh", "A dispute")
    assert curl(world, dispute, **{"cus_…": bob})[0] == 200
    says(world, "bob", "ACTIVE", True, "ACTIVE")
    (disputed,) = world.stripe("GET", "/v1/disputes")["data"]
    assert curl(world, lose, **{"du_…": disputed["id"]})[0] == 200
    says(world, "bob", "ACTIVE", False, "PAID_BACK")

    (trial, later) = blocks("testing", "sh", "A trial that ends")
    assert curl(world, trial, **{"cus_…": eve})[0] == 200
    says(world, "eve", "TRIALING", True, "TRIALING")
    assert curl(world, later)[0] == 200
    says(world, "eve", "ACTIVE", True, "ACTIVE")

    subscribe(world, ada, "pro_monthly")
    (fails, eight_days, given_up) = blocks("testing", "sh", "A card that fails")
    assert curl(world, fails, **{"cus_…": ada})[0] == 200
    says(world, "ada", "PAST_DUE", True, "GRACE_PERIOD")
    assert curl(world, eight_days)[0] == 200
    says(world, "ada", "PAST_DUE", False, "PAST_DUE")
    assert curl(world, given_up)[0] == 200
    world.eventually(lambda: now(world, "ada") is None)

    (chaos,) = blocks("testing", "sh", "Deliveries that go wrong")
    assert curl(world, chaos)[0] == 200


@pytest.mark.soak
def test_an_organisations_seats_and_customers_from_before(shop, monkeypatch):
    organisation = customer(shop, "org_1")
    seats = subscribe(shop, organisation, "team_monthly", **{"items[0][quantity]": 5})
    (change,), (room,) = blocks("seats", "graphql", "When somebody joins")[:1], blocks("seats", "graphql")[1:]
    given = {
        "organisation": "org_1",
        "subscription": seats["id"],
        "price": seats["items"]["data"][0]["price"]["id"],
        "seats": 6,
        "key": "joined-7",
    }
    changed = shop.data(change, given, SERVICE)["changeSubscription"]
    assert (changed["userErrors"], changed["subscription"]["quantity"]) == ([], 6)
    assert shop.data(room, {"organisation": "org_1"}, SERVICE)["customer"]["access"]["allowed"]

    before = shop.stripe("POST", "/v1/customers", email="old@example.com")["id"]
    monkeypatch.setenv("STRIPE_URL", shop.stripe_url)
    page: dict = {}
    exec(blocks("moving-in", "python")[0], page)  # noqa: S102 - the page's own
    page["give"]({before: "old_user"})
    shop.eventually(lambda: [row["id"] for row in shop.rows("customer", external_id="old_user")], [before])


@pytest.mark.soak
def test_the_gated_feature_is_refused_and_let_in_as_the_page_says(shop):
    (asked,) = blocks("gate-a-feature", "sh", "3. Your back end")
    ask = asked.partition("\n")[2]  # its first line finds the token of `make dev`
    where = {"user_ada": "gated", "$GATEWAY_SERVICE_TOKEN": SERVICE_TOKEN, "exports": "automation"}
    status, refused = curl(shop, ask, **where)
    assert (status, refused["reason"]) == (403, "NO_SUBSCRIPTION")
    subscribe(shop, customer(shop, "gated"), "pro_monthly", trial_period_days=14)
    shop.eventually(lambda: curl(shop, ask, **where)[0], 200)
    assert curl(shop, ask, **where)[1]["reason"] == "TRIALING"
    (give,) = blocks("gate-a-feature", "sh", "4. The feature")
    del where["exports"]
    assert curl(shop, ask, **where)[0] == 403
    assert curl(shop, give)[0] == 200
    shop.eventually(lambda: curl(shop, ask, **where)[0], 200)
