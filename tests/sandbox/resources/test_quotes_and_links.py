"""Quotes from draft to subscription or invoice, and payment links.

Sources: docs.stripe.com/api/quotes, docs.stripe.com/quotes/overview, docs.stripe.com/api/payment-link,
docs.stripe.com/payment-links/customize.
"""

import httpx
import pytest
import stripe

DAY = 24 * 3600


@pytest.fixture
def v1(stripe_client):
    return stripe_client.v1


@pytest.fixture
def monthly(v1):
    data = {"currency": "usd", "unit_amount": 1000, "recurring": {"interval": "month"}}
    return v1.products.create({"name": "Team", "default_price_data": data}).default_price


@pytest.fixture
def once(v1):
    return v1.products.create(
        {"name": "Setup", "default_price_data": {"currency": "usd", "unit_amount": 500}}
    ).default_price


@pytest.fixture
def customer(v1):
    card = {"payment_method": "pm_card_visa", "invoice_settings": {"default_payment_method": "pm_card_visa"}}
    return v1.customers.create({"email": "ada@example.com", **card}).id


def _types(v1, prefix):
    return [each.type for each in v1.events.list({"limit": 50}).data if each.type.startswith(prefix)]


def test_a_quote_tells_what_is_due_at_once_and_what_comes_again(v1, customer, monthly, once):
    lines = [{"price": monthly, "quantity": 2}, {"price": once}]
    quote = v1.quotes.create({"customer": customer, "line_items": lines})
    assert (quote.status, quote.amount_subtotal, quote.amount_total, quote.number) == ("draft", 2500, 2500, None)
    again = quote.computed.recurring
    assert (again.amount_total, again.interval, again.interval_count) == (2000, "month", 1)
    assert quote.computed.upfront.amount_total == 2500
    assert quote.expires_at == quote.created + 30 * DAY
    assert [each.amount_total for each in v1.quotes.line_items.list(quote.id).data] == [2000, 500]


def test_an_accepted_quote_becomes_a_subscription(v1, customer, monthly, once):
    lines = [{"price": monthly, "quantity": 2}, {"price": once}]
    data = {"metadata": {"deal": "7"}, "description": "As agreed"}
    quote = v1.quotes.create({"customer": customer, "line_items": lines, "subscription_data": data})
    opened = v1.quotes.finalize_quote(quote.id)
    assert (opened.status, opened.number.endswith("-0001-1")) == ("open", True)
    accepted = v1.quotes.accept(quote.id)
    assert accepted.status == "accepted"
    assert accepted.status_transitions.accepted_at >= accepted.status_transitions.finalized_at
    subscription = v1.subscriptions.retrieve(accepted.subscription)
    assert (subscription.status, subscription.metadata["deal"]) == ("active", "7")
    assert v1.invoices.retrieve(accepted.invoice).total == 2500
    assert _types(v1, "quote.") == ["quote.accepted", "quote.finalized", "quote.created"]


def test_an_accepted_quote_of_one_time_prices_becomes_an_invoice(v1, customer, once):
    coupon = v1.coupons.create({"percent_off": 10}).id
    lines = [{"price": once, "quantity": 2}]
    quote = v1.quotes.create({"customer": customer, "line_items": lines, "discounts": [{"coupon": coupon}]})
    assert (quote.amount_subtotal, quote.amount_total) == (1000, 900)
    v1.quotes.finalize_quote(quote.id)
    invoice = v1.invoices.retrieve(v1.quotes.accept(quote.id).invoice)
    assert (invoice.status, invoice.total, invoice.parent.quote_details.quote) == ("draft", 900, quote.id)


def test_a_quote_is_changed_as_a_draft_only_and_a_copy_is_a_draft_again(v1, customer, monthly):
    quote = v1.quotes.create({"customer": customer, "line_items": [{"price": monthly, "quantity": 1}]})
    assert v1.quotes.update(quote.id, {"line_items": [{"price": monthly, "quantity": 3}]}).amount_total == 3000
    v1.quotes.finalize_quote(quote.id)
    with pytest.raises(stripe.InvalidRequestError):
        v1.quotes.update(quote.id, {"line_items": [{"price": monthly, "quantity": 4}]})
    copy = v1.quotes.create({"from_quote": {"quote": quote.id}})
    assert (copy.status, copy.amount_total, copy.from_quote.quote) == ("draft", 3000, quote.id)


def test_a_quote_that_nobody_accepts_is_cancelled_when_it_expires(sandbox_server, v1, customer, monthly):
    quote = v1.quotes.create({"customer": customer, "line_items": [{"price": monthly, "quantity": 1}]})
    v1.quotes.finalize_quote(quote.id)
    sandbox_server.advance(31 * DAY)
    assert v1.quotes.retrieve(quote.id).status == "canceled"
    with pytest.raises(stripe.InvalidRequestError):
        v1.quotes.accept(quote.id)


def test_a_link_says_what_is_taken_for_granted(v1, monthly):
    link = v1.payment_links.create({"line_items": [{"price": monthly, "quantity": 2}]})
    assert (link.active, link.after_completion.type, link.submit_type) == (True, "hosted_confirmation", "auto")
    assert (link.customer_creation, link.payment_method_collection) == ("always", "always")
    assert [each.amount_total for each in v1.payment_links.line_items.list(link.id).data] == [2000]
    assert _types(v1, "payment_link.") == ["payment_link.created"]


def test_whoever_opens_a_link_gets_a_session_of_his_own(v1, monthly):
    link = v1.payment_links.create(
        {"line_items": [{"price": monthly, "quantity": 2}], "metadata": {"shop": "1"}, "allow_promotion_codes": True}
    )
    address = {"client_reference_id": "user-7", "prefilled_email": "ada@example.com"}
    pages = [httpx.get(link.url, params=address) for _ in range(2)]
    assert {page.status_code for page in pages} == {303}
    assert pages[0].headers["location"] != pages[1].headers["location"]
    session = v1.checkout.sessions.list({"payment_link": link.id}).data[0]
    assert (session.mode, session.amount_total, session.payment_link) == ("subscription", 2000, link.id)
    assert (session.client_reference_id, session.customer_email) == ("user-7", "ada@example.com")
    assert (session.metadata["shop"], session.success_url) == ("1", None)


def test_a_link_is_closed_by_hand_or_by_its_limit(stripe_client, v1, once):
    limit = {"completed_sessions": {"limit": 1}}
    link = v1.payment_links.create({"line_items": [{"price": once, "quantity": 1}], "restrictions": limit})
    session = httpx.get(link.url).headers["location"].rpartition("/")[2]
    paid = {"payment_method": v1.payment_methods.create({"type": "card", "card": {"token": "tok_visa"}}).id}
    stripe_client.raw_request("post", f"/v1/payment_pages/{session}/confirm", **paid, expected_amount=500)
    assert v1.payment_links.retrieve(link.id).restrictions.completed_sessions.count == 1
    assert httpx.get(link.url).status_code == 410
    other = v1.payment_links.create({"line_items": [{"price": once, "quantity": 1}], "inactive_message": "Sold out."})
    v1.payment_links.update(other.id, {"active": False})
    assert "Sold out." in httpx.get(other.url).text
