"""What the documentation says is missing is what is missing."""

from sandbox import missing_calls


def test_the_sdk_s_services_are_walked():
    found = missing_calls.calls()
    assert {("POST", "/v1/checkout/sessions"), ("POST", "/v2/billing/meter_event_stream")} <= found
    assert ("DELETE", "/v1/subscriptions/{subscription_exposed_id}") in found


def test_the_documentation_lists_the_calls_that_answer_404():
    assert missing_calls.written() == missing_calls.table(), "run python tests/sandbox/missing_calls.py"
