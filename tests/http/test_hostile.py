"""Texts that no id, cursor or key can be, in every argument that takes one: refused or not found, never a failure."""

import pytest

from harness.databases import both_databases
from harness.gateway import SERVICE

CHECKOUT = """mutation($text: String!) { createCheckoutSession(input: {
    lineItems: [{lookupKey: %s}] successUrl: "https://shop.example/" %s }) { userErrors { code message } } }"""
OPERATIONS = [
    "query($text: ID!) { session(id: $text) { id } product(id: $text) { id } plan(id: $text) { id } }",
    "query($text: ID!) { customer(externalId: $text) { id } }",
    "query($text: ID!) { plans(productId: $text) { nodes { id } } }",
    "query($text: String!) { plans(after: $text) { nodes { id } } }",
    "query($text: String!) { products(after: $text) { nodes { id } } }",
    "query($text: String!) { pricing { products { oneTime { unitAmount { formatted(locale: $text) } } } } }",
    "query($text: String!) { viewer { access(feature: $text) { allowed } } }",
    "query($text: String!) { viewer { usage(eventName: $text) { value } } }",
    "query($text: String!) { viewer { invoices(after: $text) { nodes { id } } } }",
    "query($text: String!) { viewer { credits { entries(after: $text) { nodes { amount } } } } }",
    "query($text: ID!) { viewer { previewChange(subscriptionId: $text, priceId: $text) { prorationDate } } }",
    CHECKOUT % ("$text", ""),
    CHECKOUT % ('"starter_monthly"', "idempotencyKey: $text"),
    CHECKOUT % ('"starter_monthly"', "metadata: [{key: $text, value: $text}]"),
    CHECKOUT % ('"starter_monthly"', 'metadata: [{key: "a", value: $text}]'),
    CHECKOUT % ('"starter_monthly"', "promotionCode: $text"),
    CHECKOUT % ('"starter_monthly"', "customerEmail: $text"),
    CHECKOUT % ('"starter_monthly"', "locale: $text"),
    "mutation($text: ID!) { expireCheckoutSession(input: {id: $text}) { userErrors { code } } }",
    "mutation($text: ID!) { cancelSubscription(input: {subscriptionId: $text}) { userErrors { code } } }",
    """mutation($text: String!) { spendCredits(input: {externalId: "user_1", amount: 1, idempotencyKey: $text}) {
        userErrors { code } } }""",
    """mutation($text: ID!) { spendCredits(input: {externalId: $text, amount: 1, idempotencyKey: "key-of-the-test"}) {
        userErrors { code } } }""",
    """mutation($text: String!) { reportUsage(input: {externalId: "user_1", eventName: $text, identifier: $text,
        value: 1}) { userErrors { code } } }""",
]
TEXTS = ["a\x00b", "x" * 5000, "\U0010ffff\u202e", "'; DROP TABLE customer; --", ""]


@both_databases
def test_no_text_in_any_argument_ends_in_a_failure(world):
    callers = {"nobody": None, "the back end": SERVICE, "a user": world.token("user_1")}
    failures = []
    for query in OPERATIONS:
        for text in TEXTS:
            for caller, headers in callers.items():
                answer = world.graphql(query, {"text": text}, headers)
                codes = {error["extensions"]["code"] for error in answer.json().get("errors", [])}
                if answer.status_code != 200 or codes & {"INTERNAL", "UNAVAILABLE", "GRAPHQL_VALIDATION_FAILED"}:
                    failures.append((query, text[:20], caller, answer.text[:300]))
    assert failures == []
    assert world.rows("customer") == world.rows("customer"), "the table is there"


@both_databases
def test_no_path_of_a_decision_ends_in_a_failure(world):
    for path in (
        "a%00b/x",
        "x/a%00b",
        "%ff/x",
        "x/%ed%a0%80",
        "/x",
        "x" * 9000 + "/y",
        "..%2f..%2fetc/passwd",
        "a/b/c",
    ):
        answer = world.client.get(f"{world.url}/access/{path}", headers=SERVICE)
        assert answer.status_code in {400, 403}, (path, answer.text)


@pytest.mark.parametrize("body", [b"[" * 100_000, b"\xff", b"null", b"1" * 10_000, b'{"email": []}', b""])
def test_no_body_of_a_sign_in_ends_in_a_failure(world, body):
    assert world.client.post(f"{world.url}/dev/sign-in", content=body).status_code == 404
