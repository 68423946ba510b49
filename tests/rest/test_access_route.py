"""`/access/{externalId}/{feature}` at its edges; what it decides is tested with the rules of access."""

import pytest

from harness.gateway import SERVICE, make_world

WRONG = {"Authorization": "Bearer the-token-of-somebody-else-0000"}


@pytest.fixture(scope="module")
def world(new_sqlite):
    with make_world(new_sqlite(), fill=False, trusted_proxies="127.0.0.1") as made:
        yield made


def ask(world, path="/access/ada/projects", headers=SERVICE, method="GET"):
    return world.client.request(method, f"{world.url}{path}", headers=headers)


def test_wrong_tokens_are_limited_by_their_address_and_right_ones_are_not(world):
    attacker = {**WRONG, "X-Forwarded-For": "203.0.113.7"}
    answers = [ask(world, headers=attacker) for _ in range(35)]
    assert [answer.status_code for answer in answers] == [401] * 30 + [429] * 5
    assert answers[-1].json()["error"]["code"] == "RATE_LIMITED"
    assert 0 < int(answers[-1].headers["retry-after"]) <= 60
    assert ask(world, headers={**SERVICE, "X-Forwarded-For": "203.0.113.7"}).status_code == 403
    assert ask(world, headers={**WRONG, "X-Forwarded-For": "203.0.113.8"}).status_code == 401


@pytest.mark.parametrize(
    ("path", "method", "status"),
    [
        ("/access/", "GET", 404),
        ("/access/ada", "GET", 200),
        ("/access/ada/", "GET", 200),
        ("/access/auth0/ada/", "GET", 200),
        ("/access/ada?features=" + ",".join(f"f{n}" for n in range(100)), "GET", 200),
        ("/access/ada?features=" + ",".join(f"f{n}" for n in range(101)), "GET", 400),
        ("/access/ada/projects", "POST", 405),
        ("/access/ada/projects", "HEAD", 403),
        ("/access/auth0%7Cada/projects", "GET", 403),
        ("/access/auth0/ada/projects", "GET", 403),
    ],
)
def test_what_is_asked_must_be_a_customer_and_a_feature(world, path, method, status):
    answer = ask(world, path, method=method)
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/json"
    assert bool(answer.content) == (method != "HEAD")


def test_the_description_names_the_route_and_all_its_answers(world):
    description = world.client.get(f"{world.url}/openapi.json").json()
    route = description["paths"]["/access/{external_id}/{feature}"]["get"]
    assert set(route["responses"]) == {"200", "304", "400", "401", "403", "429", "503"}
    assert set(description["paths"]["/access/{external_id}"]["get"]["responses"]) == set(route["responses"]) - {"403"}
    assert {"AccessView", "FeaturesView", "Refusal", "Status"} <= set(description["components"]["schemas"])
    assert "/graphql" not in description["paths"]
