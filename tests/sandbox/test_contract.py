"""The sandbox against Stripe's API description: its operations, and what each of them refuses."""

import re

import httpx
import pytest

from gateway.sandbox.api.routing import match

NO_CASH, NO_CONNECT = "there is no cash balance", "there are no connected accounts"
# Parts of operations of what the sandbox serves, which it does not have, each with the reason.
MISSING = {
    " /v1/accounts": NO_CONNECT,
    "/cash_balance": NO_CASH,
    "/funding_instructions": NO_CASH,
    "/apply_customer_balance": NO_CASH,
    "/sources/{id}/verify": "bank accounts are verified at once",
    "/verify_microdeposits": "bank accounts are verified at once",
    "/amount_details_line_items": "level 3 data is no part of billing",
    "/payouts/{payout}/reverse": NO_CONNECT,
    "/increment_authorization": "there is no terminal",
}


@pytest.fixture(scope="module")
def operations(contracts):
    """All (method, path, operation) of the descriptions, those that are not there left out."""
    paths = {path: methods for contract in contracts for path, methods in contract.document["paths"].items()}
    told = [(method, path, operation) for path, methods in paths.items() for method, operation in methods.items()]
    return [each for each in told if match(each[0].upper(), _named(each[1]))]


def _named(path):
    return re.sub(r"\{\w+\}", "none", path)


@pytest.fixture
def answered(sandbox_server):
    """Sends a request and answers the error with which it is refused, or an empty one."""
    headers = {"Authorization": "Bearer sk_test_1", "Stripe-Version": "2026-10-28.endive"}
    with httpx.Client(base_url=sandbox_server.url, headers=headers) as client:

        def send(method, path, data=None):
            sent = {"data": data} if method == "post" else {"params": data}
            return client.request(method.upper(), _named(path), **sent).json().get("error", {})

        yield send


def test_every_operation_of_what_is_served_is_there_but_those_that_say_why(contracts):
    absent = {
        f"{method} {path}"
        for contract in contracts
        for path, methods in contract.document["paths"].items()
        for method in methods
        if match(method.upper(), _named(path)) is None
    }
    assert {each for each in absent if not any(part in each for part in MISSING)} == set()
    assert {part for part in MISSING if not any(part in each for each in absent)} == set(), "these are there by now"


def test_every_operation_refuses_a_parameter_it_does_not_have(answered, operations):
    uploads = "/v1/files"  # multipart, of which the file is read first
    taken = [
        (method, path, error)
        for method, path, _ in operations
        if path != uploads and (error := answered(method, path, {"unheard_of": "1"})).get("code") != "parameter_unknown"
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
        if not needed:
            continue
        error = answered(method, path)
        if error.get("code") != "parameter_missing" or error.get("param") not in needed:
            forgiven.append((method, path, error))
    assert forgiven == []
