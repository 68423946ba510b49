"""What goes wrong inside is told to nobody outside, and what is secret to no log: a gateway as in production."""

import json
import re
import sqlite3

import httpx
import pytest
from e2e.test_processes import free_port, running

from gateway.observability.logging import redact_secrets
from harness.gateway import SIGN_IN_SECRET, make_world

PASSWORD, SERVICE_TOKEN = "hunter2hunter2", "service-token-hunter2"
KEY, WEBHOOK_SECRET = "sk_test_hunter2hunter2", "whsec_hunter2hunter2"
INSIDE = re.compile(
    r"traceback|\.py\b|\bline \d|sqlalchemy|sqlite|psycopg|select |insert |valueerror|python", re.IGNORECASE
)
MAIL = "someone@private.example"
BUY = """mutation($input: CreateCheckoutSessionInput!) {
    createCheckoutSession(input: $input) { session { id } userErrors { code message } } }"""


@pytest.fixture(scope="module")
def answered(sqlite_template, tmp_path_factory):
    """Every answer of a run in which everything goes wrong, by what went wrong, and the log of that run."""
    folder = tmp_path_factory.mktemp("production")
    path = folder / "gateway.db"
    path.write_bytes(sqlite_template.read_bytes())
    with make_world(f"sqlite:///{path}") as world:
        session = world.data(BUY, purchase())["createCheckoutSession"]["session"]["id"]
        port = free_port()
        environment = {
            "STRIPE_SECRET_KEY": KEY,
            "STRIPE_API_BASE": world.stripe_url,
            "STRIPE_WEBHOOK_SECRET": WEBHOOK_SECRET,
            "DATABASE_URL": f"sqlite:///{path}",
            "GATEWAY_REDIRECT_ORIGINS": "https://shop.example",
            "GATEWAY_SERVICE_TOKEN": SERVICE_TOKEN,
            "GATEWAY_RATE_LIMIT_STORAGE": f"redis://:{PASSWORD}@127.0.0.1:1/0",
            "AUTH_HS256_SECRET": SIGN_IN_SECRET,
        }
        url = f"http://127.0.0.1:{port}"
        with running(folder, "serve", "--port", str(port), ready=f"{url}/healthz", **environment):
            token = world.token("user_1", email=MAIL)
            answers = provoke(url, session, token, path)
    log = (folder / "output.txt").read_text()
    secrets = [KEY, WEBHOOK_SECRET, PASSWORD, SERVICE_TOKEN, SIGN_IN_SECRET, token["Authorization"].split()[1]]
    return answers, log, secrets


def purchase(**more):
    return {"input": {"lineItems": [{"lookupKey": "starter_monthly"}], "successUrl": "https://shop.example/", **more}}


def provoke(url, session, token, path):
    """Ask for what must fail; the last ones with a database that is broken."""
    with httpx.Client(base_url=url, timeout=20) as client:

        def ask(query, variables=None, headers=None):
            return client.post("/graphql", json={"query": query, "variables": variables}, headers=headers)

        read = {"query": f'{{ session(id: "{session}") {{ id }} }}'}
        answers = {
            "an unknown field": ask("{ pricin }"),
            "introspection": ask("{ __schema { queryType { name } } }"),
            "an unknown enum": ask("query($i: BillingInterval) { pricing(interval: $i) { asOf } }", {"i": "MONT"}),
            "an unknown argument": ask("mutation { createCheckoutSession(inputt: {}) { session { id } } }"),
            "a foreign token": ask("{ viewer { id } }", None, {"Authorization": token["Authorization"] + "x"}),
            "a wrong service token": ask("{ viewer { id } }", None, {"Authorization": f"Bearer {SERVICE_TOKEN}x"}),
            "what Stripe refuses": ask(BUY, purchase(promotionCode="NONE", customerEmail=MAIL), token),
            "an address that is none": ask(BUY, purchase(customerEmail=MAIL + " "), token),
            "a forged event": client.post("/webhooks/stripe", json={}, headers={"Stripe-Signature": "t=1,v1=00"}),
        }
        with sqlite3.connect(path) as database:
            database.execute("UPDATE checkout_session SET status = 'expired', payment_status = 'of no kind'")
        answers["a row that nobody expects"] = client.post("/graphql", json=read)
        with sqlite3.connect(path) as database:
            database.execute("ALTER TABLE checkout_session RENAME COLUMN payment_status TO gone")
        answers["a column that is gone"] = client.post("/graphql", json=read)
        with sqlite3.connect(path) as database:
            database.execute("ALTER TABLE customer RENAME TO gone")
        answers["a table that is gone"] = ask("{ viewer { id customer { id } } }", None, token)
        answers["a decision"] = client.get("/access/user_1/x", headers={"Authorization": f"Bearer {SERVICE_TOKEN}"})
        return answers


def test_no_answer_tells_what_is_inside(answered):
    answers, _, secrets = answered
    for name, answer in answers.items():
        text = answer.text + str(answer.headers)
        assert not INSIDE.search(answer.text), (name, answer.text)
        assert not [secret for secret in secrets if secret in text], name
        assert MAIL not in text, name


def test_what_failed_inside_is_masked_under_the_id_that_the_log_has(answered):
    answers, log, _ = answered
    answer = answers["a row that nobody expects"]
    [error] = answer.json()["errors"]
    assert error["extensions"] == {"code": "INTERNAL", "requestId": answer.headers["x-request-id"]}
    assert answer.headers["x-request-id"] in log
    [gone] = answers["a column that is gone"].json()["errors"]
    assert gone["extensions"] == {"code": "UNAVAILABLE"}


def test_the_log_has_no_secret_no_address_and_of_an_error_its_kind_and_place_alone(answered):
    _, log, secrets = answered
    [line] = [json.loads(line) for line in log.splitlines() if "graphql.internal_error" in line]
    assert line["error"] == "ValueError"
    assert re.fullmatch(r"gateway/\S+\.py:\d+ in \w+", line["at"])
    assert line["at"] in line["stack"]
    assert all(re.fullmatch(r"[\w./-]+\.py:\d+ in [\w<>.]+", place) for place in line["stack"]), line["stack"]
    assert not any(place.startswith("/") for place in line["stack"])
    assert not re.search(r'Traceback|File "|SELECT|no such', log)
    assert [secret for secret in secrets if secret in log] == []
    assert MAIL not in log


def test_in_production_mistakes_are_clear_and_the_schema_is_not_told(answered):
    answers, _, _ = answered
    for name in ("an unknown field", "introspection", "an unknown enum", "an unknown argument"):
        [error, *_] = answers[name].json()["errors"]
        assert error["extensions"]["code"] in {"GRAPHQL_VALIDATION_FAILED", "BAD_USER_INPUT"}
        assert "Did you mean" not in answers[name].text
    assert "Cannot query field 'pricin' on type 'Query'." in answers["an unknown field"].text


@pytest.mark.parametrize(
    "secret",
    [
        "sk_live_51H8hunter2",
        "rk_test_hunter2",
        "whsec_hunter2",
        "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJodW50ZXIyIn0.hunter2",
        "postgresql://gateway:hunter2@database/gateway",
        "redis://:hunter2@cache:6379/0",
    ],
)
@pytest.mark.parametrize("line", ["{}", "could not use {}: it is wrong", "Authorization: Bearer {}", "key={}&x"])
def test_what_looks_like_a_secret_is_struck_from_a_log_line_whoever_wrote_it(line, secret):
    written = redact_secrets(None, "info", {"event": line.format(secret), "exception": f"Error: {secret}", "ms": 7})
    assert "hunter2" not in str(written)
    assert "[secret]" in written["event"]


@pytest.mark.parametrize("line", ["https://api.stripe.com:443/v1", "at 12:30:05 @noon came", "sketchy eyJ", "cus_1"])
def test_what_is_no_secret_stays_in_the_log(line):
    assert redact_secrets(None, "info", {"event": line}) == {"event": line}
