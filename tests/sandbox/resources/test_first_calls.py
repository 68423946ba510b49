"""What programs ask a fresh account for before anything else."""

import httpx
import pytest

from gateway.sandbox.resources.not_begun import NOT_BEGUN

AUTH = {"Authorization": "Bearer sk_test_1", "Stripe-Version": "2023-10-16"}


@pytest.fixture
def call(sandbox_server):
    """Sends a request with form fields and returns the answer."""

    def send(method, path, **fields):
        sent = {"data": fields} if method == "POST" else {"params": fields}
        return httpx.request(method, sandbox_server.url + path, headers=AUTH, **sent)

    return send


def test_an_ephemeral_key_lasts_an_hour_and_shows_its_secret_once(call):
    customer = call("POST", "/v1/customers").json()["id"]
    key = call("POST", "/v1/ephemeral_keys", customer=customer).json()
    assert key["associated_objects"] == [{"id": customer, "type": "customer"}]
    assert (key["expires"] - key["created"], key["secret"].startswith("ek_test_")) == (3600, True)
    assert "secret" not in call("DELETE", f"/v1/ephemeral_keys/{key['id']}").json()


def test_a_domain_is_registered_once(call):
    first = call("POST", "/v1/payment_method_domains", domain_name="shop.test").json()
    assert (first["apple_pay"], first["enabled"]) == ({"status": "active"}, True)
    assert call("POST", "/v1/payment_method_domains", domain_name="shop.test").json()["id"] == first["id"]
    found = call("GET", "/v1/payment_method_domains", domain_name="shop.test").json()["data"]
    assert [each["id"] for each in found] == [first["id"]]
    assert call("POST", f"/v1/payment_method_domains/{first['id']}", enabled="false").json()["enabled"] is False


@pytest.mark.parametrize("path", [path for _, _, path, _ in NOT_BEGUN] + ["accounts", "tax_ids", "shipping_rates"])
def test_a_fresh_account_has_none_of_it(call, path):
    needed = {"setup_intent": "seti_none"} if path == "setup_attempts" else {}
    assert call("GET", f"/v1/{path}", **needed).json()["data"] == []
    if path != "accounts":
        assert call("GET", f"/v1/{path}/none").json()["error"]["code"] == "resource_missing"


def test_a_tax_id_belongs_to_a_customer_or_to_the_account(call):
    customer = call("POST", "/v1/customers").json()["id"]
    owner = {"owner[type]": "customer", "owner[customer]": customer}
    theirs = call("POST", "/v1/tax_ids", type="eu_vat", value="DE123456789", **owner).json()
    own = call("POST", "/v1/tax_ids", type="us_ein", value="12-3456789").json()
    assert (theirs["owner"]["type"], own["owner"]["type"]) == ("customer", "self")
    assert [each["id"] for each in call("GET", "/v1/tax_ids", **owner).json()["data"]] == [theirs["id"]]
    assert [each["id"] for each in call("GET", "/v1/tax_ids").json()["data"]] == [own["id"]]
    assert call("DELETE", f"/v1/tax_ids/{own['id']}").json()["deleted"] is True


def test_an_intents_methods_come_from_the_accounts_configuration(call):
    [default] = call("GET", "/v1/payment_method_configurations").json()["data"]
    intent = call("POST", "/v1/payment_intents", amount="900", currency="eur").json()
    assert intent["payment_method_configuration_details"] == {"id": default["id"], "parent": None}
    by_type = call("POST", "/v1/setup_intents", **{"payment_method_types[]": "card"}).json()
    assert by_type["payment_method_configuration_details"] is None
    assert call("GET", f"/v1/payment_method_configurations/{default['id']}").json()["card"]["available"] is True


def test_a_shipping_rate_and_a_tax_code_are_found_again(call):
    fields = {"display_name": "Post", "fixed_amount[amount]": "500", "fixed_amount[currency]": "eur"}
    rate = call("POST", "/v1/shipping_rates", **fields).json()
    assert call("POST", f"/v1/shipping_rates/{rate['id']}", active="false").json()["active"] is False
    assert call("GET", "/v1/shipping_rates").json()["data"][0]["fixed_amount"]["amount"] == 500
    codes = call("GET", "/v1/tax_codes").json()["data"]
    assert call("GET", f"/v1/tax_codes/{codes[0]['id']}").json() == codes[0]


@pytest.mark.parametrize("path", ["subscriptions", "invoices", "payment_intents", "payment_methods", "charges"])
def test_a_list_of_an_unknown_customer_is_refused(call, path):
    answer = call("GET", f"/v1/{path}", customer="cus_none")
    error = answer.json()["error"]
    assert (answer.status_code, error["code"], error["param"]) == (400, "resource_missing", "customer")


def test_an_invoice_of_a_subscription_with_nothing_pending_is_an_empty_draft(call):
    price = {"items[0][price_data][currency]": "eur", "items[0][price_data][unit_amount]": "900"}
    price |= {"items[0][price_data][recurring][interval]": "month"}
    price["items[0][price_data][product]"] = call("POST", "/v1/products", name="Tea").json()["id"]
    customer = call("POST", "/v1/customers", payment_method="pm_card_visa").json()["id"]
    method = call("GET", f"/v1/customers/{customer}/payment_methods").json()["data"][0]["id"]
    fields = {"customer": customer, "default_payment_method": method, **price}
    subscription = call("POST", "/v1/subscriptions", **fields).json()["id"]
    draft = call("POST", "/v1/invoices", customer=customer, subscription=subscription).json()
    assert (draft["status"], draft["total"], draft["lines"]["data"]) == ("draft", 0, [])


def test_a_shipping_rate_without_other_currencies_says_nothing_of_them(stripe_client):
    """Stripe's description has `currency_options` as a field to include, never null; its library for Python reads that
    as a hash.
    """
    cost = {"amount": 400, "currency": "usd"}
    rate = stripe_client.v1.shipping_rates.create(
        {"display_name": "Post", "type": "fixed_amount", "fixed_amount": cost}
    )
    assert rate.fixed_amount.to_dict() == cost
