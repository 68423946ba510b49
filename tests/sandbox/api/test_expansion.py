"""What may be expanded, in which version: the right values are recorded conversations'."""

import httpx
import pytest
import stripe

CURRENT = "2026-10-28.endive"
BEFORE_BASIL = "2024-12-18.acacia"


@pytest.fixture
def call(sandbox_server):
    """Sends a request with form fields under an API version and returns the answer."""

    def send(method, path, version=CURRENT, **fields):
        headers = {"Authorization": "Bearer sk_test_1", "Stripe-Version": version}
        sent = {"data": fields} if method == "POST" else {"params": fields}
        return httpx.request(method, sandbox_server.url + path, headers=headers, **sent)

    return send


@pytest.fixture
def subscribed(stripe_client):
    """A customer with a paid subscription."""
    customer = stripe_client.v1.customers.create(
        {"payment_method": "pm_card_visa", "invoice_settings": {"default_payment_method": "pm_card_visa"}}
    )
    price = stripe_client.v1.prices.create(
        {"currency": "usd", "unit_amount": 900, "recurring": {"interval": "month"}, "product_data": {"name": "Tea"}}
    )
    return stripe_client.v1.subscriptions.create({"customer": customer.id, "items": [{"price": price.id}]})


def test_a_customers_tax_and_credit_expand_whether_or_not_there_is_any(call):
    customer = call("POST", "/v1/customers", **{"expand[0]": "tax", "expand[1]": "invoice_credit_balance"}).json()
    assert customer["tax"] == {
        "automatic_tax": "unrecognized_location",
        "ip_address": None,
        "location": None,
        "provider": "stripe",
    }
    assert customer["invoice_credit_balance"] == {}
    shown = call("GET", f"/v1/customers/{customer['id']}", **{"expand[]": "cash_balance"})
    assert shown.status_code == 200


def test_a_customers_place_is_that_of_the_address(call):
    fields = {"address[country]": "US", "address[state]": "CA", "balance": "-500", "expand[]": "tax"}
    tax = call("POST", "/v1/customers", **fields).json()["tax"]
    assert tax["location"] == {"country": "US", "source": "billing_address", "state": "CA"}


@pytest.mark.parametrize("path", ["a.b.c.d.e", "data.a.b.c.d.e"])
def test_more_than_four_levels_are_too_many(call, path):
    error = call("GET", "/v1/customers", **{"expand[]": path}).json()["error"]
    assert (error["code"], error["type"]) == ("property_expansion_max_depth", "invalid_request_error")


@pytest.mark.parametrize("path", ["email", "nothing"])
def test_what_is_no_object_cannot_be_expanded(stripe_client, path):
    customer = stripe_client.v1.customers.create({"email": "ada@example.com"})
    with pytest.raises(stripe.InvalidRequestError, match=rf"cannot be expanded \({path}\)"):
        stripe_client.v1.customers.retrieve(customer.id, {"expand": [path]})


def test_an_older_version_expands_the_fields_that_it_shows(call, subscribed):
    path = f"/v1/subscriptions/{subscribed.id}"
    shown = call("GET", path, BEFORE_BASIL, **{"expand[]": "latest_invoice.payment_intent"}).json()
    assert shown["latest_invoice"]["payment_intent"]["object"] == "payment_intent"
    assert shown["latest_invoice"]["payment_intent"]["invoice"] == shown["latest_invoice"]["id"]
    invoice = shown["latest_invoice"]["id"]
    for field, kind in (("charge", "charge"), ("subscription", "subscription"), ("payment_intent", "payment_intent")):
        assert (
            call("GET", f"/v1/invoices/{invoice}", BEFORE_BASIL, **{"expand[]": field}).json()[field]["object"] == kind
        )
    refused = call("GET", f"/v1/invoices/{invoice}", CURRENT, **{"expand[]": "payment_intent"})
    assert refused.status_code == 400


def test_an_older_version_shows_discounts_in_full(call, subscribed):
    coupon = call("POST", "/v1/coupons", percent_off="10", duration="forever").json()["id"]
    changed = call("POST", f"/v1/subscriptions/{subscribed.id}", BEFORE_BASIL, coupon=coupon).json()
    assert (changed["discount"]["object"], changed["discount"]["coupon"]["percent_off"]) == ("discount", 10.0)


def test_a_replayed_answer_has_the_shape_of_the_first(sandbox_server, subscribed):
    headers = {"Authorization": "Bearer sk_test_1", "Stripe-Version": BEFORE_BASIL, "Idempotency-Key": "once"}
    url = f"{sandbox_server.url}/v1/subscriptions/{subscribed.id}"
    first, again = (httpx.post(url, headers=headers, data={"metadata[a]": "b"}) for _ in range(2))
    assert again.headers["Idempotent-Replayed"] == "true"
    assert first.json() == again.json()
    assert again.json()["current_period_end"] == subscribed["items"].data[0].current_period_end


def test_every_version_shows_a_subscriptions_plan_and_the_number_of_its_items(call, subscribed):
    for version in (CURRENT, BEFORE_BASIL):
        shown = call("GET", f"/v1/subscriptions/{subscribed.id}", version).json()
        assert (shown["plan"]["amount"], shown["quantity"], shown["items"]["total_count"]) == (900, 1, 1)


def test_a_payment_intent_shows_its_charges_before_november_2022(call):
    fields = {"amount": "500", "currency": "usd", "payment_method": "pm_card_visa", "confirm": "true"}
    made = call("POST", "/v1/payment_intents", "2020-08-27", **fields).json()
    [charge] = made["charges"]["data"]
    assert (charge["amount"], charge["invoice"], charge["refunds"]["total_count"]) == (500, None, 0)
    assert "charges" not in call("GET", f"/v1/payment_intents/{made['id']}", "2022-11-15").json()


@pytest.mark.parametrize(
    ("version", "capture", "automatic"),
    [("2020-08-27", "automatic", False), ("2023-10-16", "automatic", True), (CURRENT, "automatic_async", True)],
)
def test_what_an_intent_takes_for_granted_depends_on_the_version(call, version, capture, automatic):
    made = call("POST", "/v1/payment_intents", version, amount="500", currency="usd").json()
    assert (made["capture_method"], bool(made["automatic_payment_methods"])) == (capture, automatic)


def test_plan_and_quantity_of_older_clients_are_an_item(call, subscribed):
    price = call("GET", f"/v1/subscriptions/{subscribed.id}").json()["plan"]["id"]
    fields = {"customer": subscribed.customer, "plan": price, "quantity": "3"}
    made = call("POST", "/v1/subscriptions", "2020-08-27", **fields).json()
    assert [(item["price"]["id"], item["quantity"]) for item in made["items"]["data"]] == [(price, 3)]
    changed = call("POST", f"/v1/subscriptions/{made['id']}", "2020-08-27", quantity="2").json()
    assert [(item["id"], item["quantity"]) for item in changed["items"]["data"]] == [
        (made["items"]["data"][0]["id"], 2)
    ]
    assert call("POST", "/v1/subscriptions", CURRENT, **fields).json()["error"]["code"] == "parameter_unknown"


def test_older_clients_ask_for_the_upcoming_invoice(call, subscribed):
    error = call("GET", "/v1/invoices/upcoming", "2020-08-27").json()["error"]
    assert (error["type"], error.get("code"), error.get("param")) == ("invalid_request_error", None, None)
    item = subscribed["items"].data[0].id
    fields = {"subscription": subscribed.id, "subscription_items[0][id]": item, "subscription_items[0][quantity]": "2"}
    upcoming = call("GET", "/v1/invoices/upcoming", BEFORE_BASIL, **fields).json()
    lines = call("GET", "/v1/invoices/upcoming/lines", BEFORE_BASIL, **fields).json()["data"]
    assert (upcoming["object"], sum(line["amount"] for line in lines)) == ("invoice", upcoming["subtotal"])
    assert max(line["amount"] for line in lines) == 1800
