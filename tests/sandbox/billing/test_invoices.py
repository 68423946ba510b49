"""Invoices that no subscription made, over the SDK."""

import httpx
import pytest
import stripe


@pytest.fixture
def client(stripe_client):
    return stripe_client


@pytest.fixture
def customer(client):
    """A customer with a card that pays."""
    made = client.v1.customers.create({"email": "ada@example.com", "name": "Ada"})
    method = client.v1.payment_methods.attach("pm_card_visa", {"customer": made.id})
    client.v1.customers.update(made.id, {"invoice_settings": {"default_payment_method": method.id}})
    return made


@pytest.fixture
def draft(client, customer):
    """A draft with one line of 15 USD."""

    def make(**params):
        invoice = client.v1.invoices.create({"customer": customer.id, "currency": "usd", **params})
        client.v1.invoice_items.create(
            {"customer": customer.id, "invoice": invoice.id, "amount": 1500, "currency": "usd", "description": "Help"}
        )
        return client.v1.invoices.retrieve(invoice.id)

    return make


def test_a_draft_is_finalized_and_paid(client, customer, draft):
    invoice = draft()
    assert (invoice.status, invoice.total, invoice.number) == ("draft", 1500, None)
    opened = client.v1.invoices.finalize_invoice(invoice.id)
    assert (opened.status, opened.amount_due, opened.customer_name) == ("open", 1500, "Ada")
    assert opened.number.endswith("-0001")
    paid = client.v1.invoices.pay(invoice.id, {"expand": ["payments.data.payment.payment_intent"]})
    assert (paid.status, paid.amount_paid, paid.amount_remaining) == ("paid", 1500, 0)
    assert paid.payments.data[0].payment.payment_intent.status == "succeeded"
    [payment] = client.v1.invoice_payments.list({"invoice": invoice.id}).data
    assert (payment.status, payment.amount_paid) == ("paid", 1500)
    assert client.v1.invoices.list({"customer": customer.id, "status": "paid"}).data[0].id == invoice.id


def test_pending_items_go_onto_an_invoice_that_includes_them(client, customer):
    item = client.v1.invoice_items.create({"customer": customer.id, "amount": 700, "currency": "usd"})
    assert client.v1.invoices.create({"customer": customer.id}).total == 0
    invoice = client.v1.invoices.create({"customer": customer.id, "pending_invoice_items_behavior": "include"})
    assert (invoice.total, client.v1.invoice_items.retrieve(item.id).invoice) == (700, invoice.id)


def test_items_and_lines_of_a_draft_change_its_totals(client, draft):
    invoice = draft()
    [line] = client.v1.invoices.line_items.list(invoice.id).data
    item = line.parent.invoice_item_details.invoice_item
    client.v1.invoice_items.update(item, {"amount": 2500})
    assert client.v1.invoices.retrieve(invoice.id).total == 2500
    client.v1.invoices.add_lines(invoice.id, {"lines": [{"amount": 100, "description": "Postage"}]})
    assert client.v1.invoices.retrieve(invoice.id).total == 2600
    client.v1.invoices.line_items.update(invoice.id, line.id, {"amount": 1000})
    assert client.v1.invoices.retrieve(invoice.id).total == 1100
    client.v1.invoices.remove_lines(invoice.id, {"lines": [{"id": line.id, "behavior": "delete"}]})
    assert client.v1.invoices.retrieve(invoice.id).total == 100


def test_an_invoice_takes_discounts_and_taxes(client, draft):
    coupon = client.v1.coupons.create({"percent_off": 20, "duration": "once"})
    rate = client.v1.tax_rates.create({"display_name": "VAT", "percentage": 10, "inclusive": False})
    invoice = draft(discounts=[{"coupon": coupon.id}], default_tax_rates=[rate.id])
    # 15.00 - 20 % = 12.00, + 10 % = 13.20
    assert (invoice.subtotal, invoice.total_discount_amounts[0].amount, invoice.total) == (1500, 300, 1320)
    assert client.v1.coupons.retrieve(coupon.id).times_redeemed == 1


def test_a_credit_balance_pays_first_and_a_debt_is_collected(client, customer, draft):
    client.v1.customers.balance_transactions.create(customer.id, {"amount": -2000, "currency": "usd"})
    first = client.v1.invoices.finalize_invoice(draft().id)
    assert (first.status, first.amount_due, first.ending_balance) == ("paid", 0, -500)
    second = client.v1.invoices.finalize_invoice(draft().id)
    assert (second.status, second.amount_due, second.starting_balance) == ("open", 1000, -500)
    entries = client.v1.customers.balance_transactions.list(customer.id).data
    assert [each.amount for each in entries] == [500, 1500, -2000]


def test_a_declined_invoice_stays_open_and_is_paid_with_another_card(client, draft):
    invoice = client.v1.invoices.finalize_invoice(draft().id)
    with pytest.raises(stripe.CardError) as error:
        client.v1.invoices.pay(invoice.id, {"payment_method": "pm_card_chargeCustomerFail"})
    assert error.value.code == "card_declined"
    assert client.v1.invoices.retrieve(invoice.id).attempt_count == 1
    assert client.v1.invoices.pay(invoice.id, {"payment_method": "pm_card_visa"}).status == "paid"


def test_an_open_invoice_is_voided_or_given_up_and_a_lost_one_can_still_be_paid(client, draft):
    void = client.v1.invoices.void_invoice(client.v1.invoices.finalize_invoice(draft().id).id)
    assert (void.status, void.status_transitions.voided_at is not None) == ("void", True)
    lost = client.v1.invoices.mark_uncollectible(client.v1.invoices.finalize_invoice(draft().id).id)
    assert lost.status == "uncollectible"
    assert client.v1.invoices.pay(lost.id, {"paid_out_of_band": True}).status == "paid"


@pytest.mark.parametrize("balance", [-500, 700])
def test_what_a_voided_invoice_took_from_the_balance_or_collected_of_it_is_given_back(client, customer, draft, balance):
    client.v1.customers.balance_transactions.create(customer.id, {"amount": balance, "currency": "usd"})
    opened = client.v1.invoices.finalize_invoice(draft().id)
    assert (opened.amount_due, client.v1.customers.retrieve(customer.id).balance) == (1500 + balance, 0)
    client.v1.invoices.void_invoice(opened.id)
    assert client.v1.customers.retrieve(customer.id).balance == balance
    back = client.v1.customers.balance_transactions.list(customer.id, {"limit": 1}).data[0]
    assert (back.type, back.amount, back.invoice) == ("unapplied_from_invoice", balance, opened.id)


def test_a_finalized_invoice_cannot_be_edited_or_deleted_and_a_draft_can(client, draft):
    invoice = client.v1.invoices.finalize_invoice(draft().id)
    with pytest.raises(stripe.InvalidRequestError) as error:
        client.v1.invoices.delete(invoice.id)
    assert error.value.code == "invoice_not_editable"
    with pytest.raises(stripe.InvalidRequestError):
        client.v1.invoices.finalize_invoice(invoice.id)
    assert client.v1.invoices.delete(draft().id).deleted


def test_an_automatic_draft_collects_itself_after_an_hour(client, sandbox_server, draft):
    invoice = draft(auto_advance=True)
    httpx.post(f"{sandbox_server.url}/_sandbox/clock/advance", json={"by": 3601}).raise_for_status()
    assert client.v1.invoices.retrieve(invoice.id).status == "paid"


def test_an_invoice_that_is_sent_has_a_due_date_and_a_page(client, draft):
    invoice = draft(collection_method="send_invoice", days_until_due=14)
    sent = client.v1.invoices.send_invoice(invoice.id)
    assert (sent.status, sent.due_date - sent.created) == ("open", 14 * 86_400)
    assert sent.hosted_invoice_url.endswith(f"/i/{sent.id}")


def test_a_preview_of_pending_items_and_of_a_new_subscription_keeps_nothing(client, customer):
    with pytest.raises(stripe.InvalidRequestError) as error:
        client.v1.invoices.create_preview({"customer": customer.id})
    assert error.value.code == "invoice_upcoming_none"
    product = client.v1.products.create({"name": "Team"})
    price = client.v1.prices.create(
        {"product": product.id, "currency": "usd", "unit_amount": 900, "recurring": {"interval": "month"}}
    )
    preview = client.v1.invoices.create_preview(
        {"customer": customer.id, "subscription_details": {"items": [{"price": price.id, "quantity": 2}]}}
    )
    assert preview.total == 1800
    assert client.v1.subscriptions.list().data == []
    assert client.v1.invoices.list().data == []


def test_an_item_s_own_discount_is_in_the_subtotal(client, customer):
    """Recorded: pay, sync_stripe_invoice_discounts_and_coupons."""
    coupon = client.v1.coupons.create({"percent_off": 50, "duration": "forever"})
    invoice = client.v1.invoices.create({"customer": customer.id, "currency": "usd"})
    entry = {"customer": customer.id, "invoice": invoice.id, "amount": 1900, "discounts": [{"coupon": coupon.id}]}
    client.v1.invoice_items.create(entry)
    paid = client.v1.invoices.pay(invoice.id)
    assert (paid.subtotal, paid.subtotal_excluding_tax, paid.total) == (950, 950, 950)
    assert (paid.lines.data[0].amount, paid.total_discount_amounts[0].amount) == (1900, 950)


def test_less_than_can_be_charged_goes_to_the_balance_and_onto_the_next_invoice(client, customer):
    def invoiced(amount):
        invoice = client.v1.invoices.create({"customer": customer.id, "currency": "usd"})
        client.v1.invoice_items.create({"customer": customer.id, "invoice": invoice.id, "amount": amount})
        return client.v1.invoices.finalize_invoice(invoice.id)

    small = invoiced(20)
    assert (small.status, small.total, small.amount_due, small.amount_paid) == ("paid", 20, 0, 0)
    assert (small.ending_balance, client.v1.customers.retrieve(customer.id).balance) == (20, 20)
    [moved] = client.v1.customers.balance_transactions.list(customer.id).data
    assert (moved.type, moved.amount) == ("invoice_too_small", 20)
    assert invoiced(20).ending_balance == 40
    last = invoiced(20)
    assert (last.status, last.amount_due, last.ending_balance) == ("open", 60, 0)
    assert client.v1.customers.retrieve(customer.id).balance == 0


def test_an_amount_without_a_price_gets_the_one_it_always_had(stripe_client):
    """Recorded (pay): test_stripe_can_create_an_invoice #1 to #25 show one price over two years."""
    customer = stripe_client.v1.customers.create()
    given = {"customer": customer.id, "amount": 1000, "currency": "usd", "description": "One-time setup fee"}
    first, second = (stripe_client.v1.invoice_items.create(given).pricing for _ in range(2))
    assert (first.type, str(first.unit_amount_decimal)) == ("price_details", "1000")
    assert first.price_details.price == second.price_details.price
    price = stripe_client.v1.prices.retrieve(first.price_details.price)
    assert (price.active, price.type, price.unit_amount) == (False, "one_time", 1000)
    assert stripe_client.v1.events.list({"type": "price.created"}).data == []


def test_a_line_names_the_unit_of_its_product(stripe_client):
    """Recorded (pay): test_stripe_allows_subscription_quantities #3, test_cancel_now_when_on_trial #3."""
    product = stripe_client.v1.products.create({"name": "Team", "unit_label": "user"}).id
    price = {"product": product, "currency": "usd", "unit_amount": 2500, "recurring": {"interval": "month"}}
    item = {"price": stripe_client.v1.prices.create(price).id, "quantity": 10}
    customer = stripe_client.v1.customers.create({"payment_method": "pm_card_visa"}).id
    given = {"customer": customer, "items": [item], "payment_behavior": "default_incomplete"}
    for trial, description in (
        ({}, "10 user × Team (at $25.00 / month)"),  # noqa: RUF001 -- Stripe's own sign
        ({"trial_period_days": 7}, "Free trial for 10 user × Team"),  # noqa: RUF001
    ):
        made = stripe_client.v1.subscriptions.create({**given, **trial, "expand": ["latest_invoice"]})
        assert made.latest_invoice.lines.data[0].description == description


def test_the_links_of_an_invoice_expire_and_reading_it_gives_good_ones(stripe_client, sandbox_server):
    customer = stripe_client.v1.customers.create({"email": "ada@example.com"}).id
    stripe_client.v1.invoice_items.create({"customer": customer, "amount": 900, "currency": "usd"})
    invoice = stripe_client.v1.invoices.create({"customer": customer, "pending_invoice_items_behavior": "include"}).id
    first = stripe_client.v1.invoices.finalize_invoice(invoice, {"auto_advance": False})

    def good(*links):
        return [httpx.get(link).status_code for link in links]

    assert good(first.hosted_invoice_url, first.invoice_pdf) == [200, 200]
    assert stripe_client.v1.invoices.retrieve(invoice).hosted_invoice_url == first.hosted_invoice_url
    sandbox_server.advance(31 * 86_400)
    read = stripe_client.v1.invoices.list({"customer": customer}).data[0]
    assert good(first.hosted_invoice_url, first.invoice_pdf) == [410, 410]
    assert good(read.hosted_invoice_url, read.invoice_pdf) == [200, 200]
    sandbox_server.advance(9 * 86_400)
    assert good(read.hosted_invoice_url) == [200]
    sandbox_server.advance(3 * 86_400)
    assert good(read.hosted_invoice_url) == [410]


def test_a_preview_for_a_customer_is_of_what_renews_first(stripe_client):
    """docs.stripe.com/api/invoices/create_preview: without `subscription` and items, the customer's next one."""
    v1 = stripe_client.v1
    product = v1.products.create({"name": "Team"}).id
    card = {"payment_method": "pm_card_visa", "invoice_settings": {"default_payment_method": "pm_card_visa"}}
    customer = v1.customers.create(card).id
    for interval, amount in (("year", 9000), ("month", 1000)):
        price = {"product": product, "currency": "usd", "unit_amount": amount, "recurring": {"interval": interval}}
        v1.subscriptions.create({"customer": customer, "items": [{"price": v1.prices.create(price).id}]})
    assert v1.invoices.create_preview({"customer": customer}).total == 1000
    old = stripe_client.raw_request("get", "/v1/invoices/upcoming", customer=customer, stripe_version="2022-11-15")
    assert old.data["total"] == 1000
