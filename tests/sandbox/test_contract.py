"""The sandbox against Stripe's API description: its operations, and what each of them refuses."""

import re

import httpx
import pytest

from gateway.sandbox.api.routing import match

# Operations that the description has and the sandbox does not, each with the reason.
MISSING = {
    "get /v1/payment_intents/{id}/amount_details_line_items": "level 3 data is no part of billing",
    "post /v1/payment_intents/{id}/apply_customer_balance": "there is no cash balance",
    "post /v1/payment_intents/{id}/increment_authorization": "there is no terminal",
    "post /v1/payment_intents/{id}/verify_microdeposits": "bank accounts are verified at once",
}


@pytest.fixture(scope="module")
def operations(contract):
    """All (method, path, operation) of the description."""
    if contract is None:
        pytest.skip("Stripe's API description is not at hand (set STRIPE_OPENAPI)")
    paths = contract.document["paths"]
    return [(method, path, operation) for path, methods in paths.items() for method, operation in methods.items()]


@pytest.fixture
def answered(sandbox_server):
    """Sends a request and answers the error with which it is refused, or an empty one."""
    headers = {"Authorization": "Bearer sk_test_1", "Stripe-Version": "2026-10-28.endive"}
    with httpx.Client(base_url=sandbox_server.url, headers=headers) as client:

        def send(method, path, data=None):
            sent = {"data": data} if method == "post" else {"params": data}
            return client.request(method.upper(), re.sub(r"\{\w+\}", "none", path), **sent).json().get("error", {})

        yield send


def test_every_operation_is_there_but_those_that_say_why(sandbox_server, operations):
    absent = {
        f"{method} {path}"
        for method, path, _ in operations
        if match(method.upper(), re.sub(r"\{\w+\}", "x", path)) is None
    }
    assert absent == MISSING.keys()


def test_every_operation_refuses_a_parameter_it_does_not_have(answered, operations):
    taken = [
        (method, path, error)
        for method, path, _ in operations
        if f"{method} {path}" not in MISSING
        and (error := answered(method, path, {"unheard_of": "1"})).get("code") != "parameter_unknown"
    ]
    assert taken == []


def test_every_operation_misses_what_it_needs(answered, operations):
    forgiven = []
    for method, path, operation in operations:
        body = operation.get("requestBody", {}).get("content", {}).get("application/x-www-form-urlencoded", {})
        needed = set(body.get("schema", {}).get("required", []))
        needed |= {
            each["name"] for each in operation.get("parameters", []) if each["in"] == "query" and each["required"]
        }
        if not needed or f"{method} {path}" in MISSING:
            continue
        error = answered(method, path)
        if error.get("code") != "parameter_missing" or error.get("param") not in needed:
            forgiven.append((method, path, error))
    assert forgiven == []
