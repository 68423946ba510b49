"""What older clients call otherwise, or what newer versions have no more.

Sources: docs.stripe.com/api/usage_records?api-version=2024-06-20 and .../subscription-items/usage-record-summaries;
a missing plan as recorded (pay, 2020-08-27).
"""

import httpx
import pytest

DAY = 24 * 3600


@pytest.fixture
def call(sandbox_server):
    """Sends a request of version 2020-08-27 and returns the answer's body."""

    def send(method, path, version="2020-08-27", **fields):
        sent = {"data": fields} if method == "POST" else {"params": fields}
        headers = {"Authorization": "Bearer sk_test_1", "Stripe-Version": version}
        return httpx.request(method, f"{sandbox_server.url}/v1/{path}", headers=headers, **sent).json()

    return send


@pytest.fixture
def item(call):
    """Makes a metered item of a new subscription, at 10 cents a unit; keywords go to the plan."""

    def make(**plan):
        fields = {"currency": "usd", "interval": "month", "amount": "10", "product[name]": "Calls", **plan}
        made = call("POST", "plans", usage_type="metered", **fields)["id"]
        customer = call("POST", "customers", source="tok_visa")["id"]
        return call("POST", "subscriptions", customer=customer, plan=made)["items"]["data"][0]

    return make


def _report(call, item, quantity, **fields):
    return call("POST", f"subscription_items/{item['id']}/usage_records", quantity=quantity, **fields)


def test_recorded_usage_is_billed_at_the_period_s_end(sandbox_server, call, item):
    item = item()
    first = _report(call, item, "5", timestamp=item["created"])
    assert (first["object"], first["quantity"], first["timestamp"]) == ("usage_record", 5, item["created"])
    assert _report(call, item, "3", timestamp=item["created"])["quantity"] == 8
    assert _report(call, item, "6", timestamp=item["created"], action="set")["quantity"] == 6
    [present] = call("GET", f"subscription_items/{item['id']}/usage_record_summaries")["data"]
    assert (present["object"], present["total_usage"], present["invoice"]) == ("usage_record_summary", 6, None)
    sandbox_server.advance(32 * DAY)
    invoice = call("GET", "invoices", subscription=item["subscription"], limit="1")["data"][0]
    assert (invoice["total"], invoice["lines"]["data"][0]["quantity"]) == (60, 6)
    now, past = call("GET", f"subscription_items/{item['id']}/usage_record_summaries", limit="2")["data"]
    assert (now["total_usage"], past["total_usage"], past["invoice"]) == (0, 6, invoice["id"])


@pytest.mark.parametrize(("aggregate", "total"), [("sum", 12), ("max", 7), ("last_during_period", 5), ("last_ever", 5)])
def test_a_plan_says_what_its_records_come_to(sandbox_server, call, item, aggregate, total):
    item = item(aggregate_usage=aggregate)
    sandbox_server.advance(DAY)
    _report(call, item, "7", timestamp=item["created"] + 60)
    _report(call, item, "5", timestamp=item["created"] + 120)
    assert call("GET", f"subscription_items/{item['id']}/usage_record_summaries")["data"][0]["total_usage"] == total


def test_usage_records_are_refused_where_they_make_no_sense(call, item):
    item = item()
    assert _report(call, item, "1", timestamp=item["created"] - DAY)["error"]["param"] == "timestamp"
    assert _report(call, item, "x")["error"]["code"] == "parameter_invalid_integer"
    assert _report(call, item, "1", version="2025-03-31.basil")["error"]["message"].startswith("Unrecognized request")


def test_a_metered_price_needs_a_meter_since_basil(call):
    """docs.stripe.com/changelog/basil: legacy usage-based billing was removed."""
    fields = {"currency": "usd", "interval": "month", "amount": "10", "product[name]": "Calls", "usage_type": "metered"}
    assert call("POST", "plans", "2025-02-24.acacia", **fields)["object"] == "plan"
    assert call("POST", "plans", "2025-03-31.basil", **fields)["error"]["param"] == "meter"


def test_a_card_is_a_source(call):
    customer = call("POST", "customers", card="tok_visa")
    assert customer["default_source"].startswith("card_")
    assert call("POST", f"customers/{customer['id']}/sources", card="tok_mastercard")["brand"] == "Mastercard"
    charge = call("POST", "charges", amount="500", currency="usd", card="tok_visa")
    assert (charge["object"], charge["status"]) == ("charge", "succeeded")
    assert call("POST", "customers", "2026-10-28.endive", card="tok_visa")["error"]["code"] == "parameter_unknown"


def test_a_plan_that_does_not_exist_is_called_plan(call):
    customer = call("POST", "customers", source="tok_visa")["id"]
    for fields in ({"plan": "invalid"}, {"items[0][plan]": "invalid"}):
        error = call("POST", "subscriptions", customer=customer, **fields)["error"]
        assert (error["param"], error["message"]) == ("plan", "No such plan: 'invalid'")


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("subscriptions", "price"),
        ("subscriptions", "plan"),
        ("setup_intents", "payment_method"),
        ("invoices", "customer"),
    ],
)
def test_a_list_by_what_does_not_exist_is_refused(call, path, name):
    error = call("GET", path, **{name: "none"})["error"]
    assert (error["code"], error["param"]) == ("resource_missing", name)
