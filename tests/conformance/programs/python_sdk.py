"""Live through a subscription with whatever version of Stripe's library for Python stands on the path.

Run as `python python_sdk.py URL`; any disagreement raises. The library finds the offline Stripe by its own options.
"""

import hashlib
import hmac
import json
import sys
import time

import stripe

URL = sys.argv[1]
MAJOR = int(stripe.VERSION.split(".")[0])
BASIL = MAJOR >= 12  # its API version moved the period to the items, and the payment behind `payments`
# Without types for it, an object of version 15 is no `dict` any more.
plain = (lambda found: found.to_dict()) if MAJOR >= 15 else (lambda found: found.to_dict_recursive())

stripe.api_key = "sk_test_1234567890123456"
stripe.api_base = URL

product = stripe.Product.create(name="Tea", metadata={"sort_order": "1"})
price = stripe.Price.create(
    product=product.id, currency="usd", unit_amount=1200, recurring={"interval": "month"}, lookup_key="tea"
)
customer = stripe.Customer.create(
    email="ada@example.com",
    payment_method="pm_card_visa",
    invoice_settings={"default_payment_method": "pm_card_visa"},
)
payment = "latest_invoice.payments" if BASIL else "latest_invoice.payment_intent"
subscription = stripe.Subscription.create(
    customer=customer.id, items=[{"price": price.id, "quantity": 2}], expand=[payment], metadata={"a": "b"}
)
invoice = subscription.latest_invoice
assert (subscription.status, invoice.status, invoice.total) == ("active", "paid", 2400)
timed = plain(subscription)
month = timed["items"]["data"][0] if BASIL else timed
assert 28 <= (month["current_period_end"] - month["current_period_start"]) / 86400 <= 31
paid = plain(invoice)
if BASIL:
    assert paid["payments"]["data"][0]["status"] == "paid"
    assert paid["parent"]["subscription_details"]["subscription"] == subscription.id
    assert "payment_intent" not in paid
else:
    assert (paid["payment_intent"]["status"], paid["subscription"], paid["paid"]) == (
        "succeeded",
        subscription.id,
        True,
    )
    assert paid["payment_intent"]["amount_received"] == 2400
assert [found.id for found in stripe.Invoice.list(customer=customer.id)] == [invoice.id]
lines = invoice.lines.data
assert [(line.amount, line.quantity) for line in lines] == [(2400, 2)]

subscription = stripe.Subscription.modify(subscription.id, cancel_at_period_end=True, metadata={"a": ""})
assert subscription.cancel_at_period_end is True
assert plain(subscription.metadata) == {}
assert stripe.Subscription.modify(subscription.id, cancel_at_period_end=False).cancel_at is None
assert stripe.Subscription.cancel(subscription.id).status == "canceled"

session = stripe.checkout.Session.create(
    mode="subscription",
    customer=customer.id,
    line_items=[{"price": price.id, "quantity": 1}],
    success_url="https://shop.example/ok",
)
assert (session.status, session.payment_status, session.amount_total) == ("open", "unpaid", 1200)
assert session.url.startswith(URL)
assert [each.price.id for each in stripe.checkout.Session.list_line_items(session.id)] == [price.id]
assert stripe.checkout.Session.expire(session.id).status == "expired"
assert stripe.billing_portal.Session.create(customer=customer.id, return_url="https://shop.example").url

intent = stripe.PaymentIntent.create(
    amount=500,
    currency="usd",
    customer=customer.id,
    payment_method="pm_card_visa",
    confirm=True,
    automatic_payment_methods={"enabled": True, "allow_redirects": "never"},
    expand=["latest_charge"],
)
assert (intent.status, intent.latest_charge.paid) == ("succeeded", True)
refund = stripe.Refund.create(payment_intent=intent.id, amount=200)
assert (refund.status, refund.charge) == ("succeeded", intent.latest_charge.id)

for number in range(5):
    stripe.Product.create(name=f"Tea {number}")
names = [found.name for found in stripe.Product.list(limit=2).auto_paging_iter()]
assert names == ["Tea 4", "Tea 3", "Tea 2", "Tea 1", "Tea 0", "Tea"], names
found = stripe.Customer.search(query="email:'ada@example.com'")
assert [each.id for each in found.auto_paging_iter()] == [customer.id]
assert [each.id for each in stripe.Price.list(lookup_keys=["tea"], active=True)] == [price.id]

once = {"email": "b@example.com", "idempotency_key": "the-same-key"}
assert stripe.Customer.create(**once).id == stripe.Customer.create(**once).id


def refused(kind, call, **fields):
    """Assert that a call raises this error with these fields."""
    try:
        call()
    except kind as raised:
        error = raised
    else:
        raise AssertionError(f"{kind} was expected")
    assert {name: getattr(error, name) for name in fields} == fields, vars(error)
    assert error.request_id


wrong = stripe.InvalidRequestError
refused(wrong, lambda: stripe.Customer.retrieve("cus_nobody"), code="resource_missing", param="id", http_status=404)
refused(wrong, lambda: stripe.Customer.create(colour="blue"), code="parameter_unknown", param="colour", http_status=400)
declined = {"amount": 500, "currency": "usd", "confirm": True, "return_url": "https://shop.example"}
refused(
    stripe.CardError,
    lambda: stripe.PaymentIntent.create(**declined, payment_method="pm_card_chargeDeclinedInsufficientFunds"),
    code="card_declined",
    http_status=402,
)
refused(
    stripe.IdempotencyError,
    lambda: stripe.Customer.create(email="c@example.com", idempotency_key="the-same-key"),
    http_status=400,
)
refused(stripe.AuthenticationError, lambda: stripe.Customer.list(api_key="wrong"), http_status=401)

client = stripe.StripeClient("sk_test_1234567890123456", base_addresses={"api": URL})
services = client if MAJOR < 13 else client.v1
assert services.customers.retrieve(customer.id).email == "ada@example.com"
changed = services.customers.update(customer.id, params={"name": "Ada"})
assert changed.name == "Ada"
events = services.events.list(params={"type": "customer.subscription.deleted"})
assert [event.data.object.id for event in events.data] == [subscription.id]
assert services.subscriptions.list(params={"status": "all", "customer": customer.id}).data[0].id == subscription.id

body = json.dumps(plain(events.data[0]), default=str)
moment = int(time.time())
signature = hmac.new(b"whsec_x", f"{moment}.{body}".encode(), hashlib.sha256).hexdigest()
event = stripe.Webhook.construct_event(body, f"t={moment},v1={signature}", "whsec_x")
assert (event.type, event.data.object.id) == ("customer.subscription.deleted", subscription.id)
sys.stdout.write("content\n")
