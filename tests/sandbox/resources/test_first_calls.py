"""What programs ask a fresh account for before anything else."""

import httpx
import pytest

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
