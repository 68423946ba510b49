"""The resources that carry little behaviour of their own.

One long file, because each of them has a test or two.
"""

import httpx
import pytest
import stripe

CARD = {"number": "4242424242424242", "exp_month": 12, "exp_year": 2034, "cvc": "314"}


@pytest.fixture
def v1(stripe_client):
    return stripe_client.v1


@pytest.fixture
def customer(v1):
    return v1.customers.create({"email": "ada@example.com", "name": "Ada"})


def types(v1):
    return [event.type for event in v1.events.list({"limit": 100}).data]


# Products, prices, plans


def test_a_recurring_price_is_a_plan_too(v1):
    product = v1.products.create({"name": "A"})
    price = {"product": product.id, "currency": "EUR", "unit_amount": 700, "recurring": {"interval": "month"}}
    made = v1.prices.create(price)
    plan = v1.plans.retrieve(made.id)
    assert (plan.amount, plan.currency, plan.interval, plan.product) == (700, "eur", "month", product.id)
    assert types(v1)[:2] == ["plan.created", "price.created"]


def test_a_plan_may_describe_its_product(v1):
    plan = v1.plans.create({"currency": "usd", "interval": "year", "amount": 100, "product": {"name": "Gold"}})
    assert v1.products.retrieve(plan.product).name == "Gold"
    assert v1.prices.retrieve(plan.id).unit_amount == 100
    assert v1.plans.delete(plan.id).deleted
    assert types(v1)[:2] == ["plan.deleted", "price.deleted"]


def test_a_lookup_key_moves_only_when_told(v1):
    product = v1.products.create({"name": "A"})
    price = {"product": product.id, "currency": "usd", "unit_amount": 1, "lookup_key": "best"}
    first = v1.prices.create(price)
    with pytest.raises(stripe.InvalidRequestError, match="already uses that lookup key"):
        v1.prices.create(price)
    second = v1.prices.create({**price, "transfer_lookup_key": True})
    assert v1.prices.retrieve(first.id).lookup_key is None
    assert [each.id for each in v1.prices.list({"lookup_keys": ["best"]}).data] == [second.id]


@pytest.mark.parametrize(
    ("given", "whole", "exact"),
    [({"unit_amount": 5}, 5, "5"), ({"unit_amount_decimal": "0.25"}, None, "0.25"), ({"unit_amount": 0}, 0, "0")],
)
def test_an_amount_is_shown_whole_where_it_is_and_exact_always(v1, given, whole, exact):
    price = v1.prices.create({"product": v1.products.create({"name": "A"}).id, "currency": "usd", **given})
    assert (price.unit_amount, str(price.unit_amount_decimal)) == (whole, exact)


@pytest.mark.parametrize(
    "wrong",
    [
        {},
        {"unit_amount": -1},
        {"unit_amount": 1, "unit_amount_decimal": "1"},
        {"unit_amount_decimal": "0.1234567890123"},
        {"billing_scheme": "tiered", "tiers_mode": "volume", "tiers": [{"up_to": 3, "unit_amount": 1}]},
        {"billing_scheme": "tiered", "tiers": [{"up_to": "inf", "unit_amount": 1}]},
    ],
)
def test_an_amount_that_makes_no_sense_is_refused(v1, wrong):
    with pytest.raises(stripe.InvalidRequestError):
        v1.prices.create({"product": v1.products.create({"name": "A"}).id, "currency": "usd", **wrong})


def test_a_product_with_prices_stays(v1):
    product = v1.products.create({"name": "A", "default_price_data": {"currency": "usd", "unit_amount": 5}})
    with pytest.raises(stripe.InvalidRequestError, match="cannot be deleted"):
        v1.products.delete(product.id)
    empty = v1.products.create({"name": "B", "id": "gold"})
    assert v1.products.delete(empty.id).deleted
    with pytest.raises(stripe.InvalidRequestError, match="No such product: 'gold'"):
        v1.products.retrieve("gold")


# Payment methods


def test_a_card_shows_its_face_and_never_its_number(v1, customer):
    method = v1.payment_methods.create({"type": "card", "card": CARD, "billing_details": {"name": "Ada"}})
    assert (method.card.brand, method.card.last4, method.card.exp_year) == ("visa", "4242", 2034)
    assert method.billing_details.name == "Ada"
    assert "4242424242424242" not in str(method)
    attached = v1.payment_methods.attach(method.id, {"customer": customer.id})
    assert attached.customer == customer.id
    assert [each.id for each in v1.customers.payment_methods.list(customer.id).data] == [method.id]


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"number": "4242424242424241"}, "incorrect_number"),
        ({"number": "4532015112830366"}, "card_declined"),
        ({"exp_year": 2020}, "invalid_expiry_year"),
        ({"exp_month": 13}, "invalid_expiry_month"),
    ],
)
def test_a_card_that_no_bank_would_take_is_a_card_error(v1, change, code):
    with pytest.raises(stripe.CardError) as caught:
        v1.payment_methods.create({"type": "card", "card": {**CARD, **change}})
    assert (caught.value.http_status, caught.value.code) == (402, code)


@pytest.mark.parametrize(
    ("token", "brand", "last4"),
    [
        ("pm_card_visa", "visa", "4242"),
        ("pm_card_mastercard", "mastercard", "4444"),
        ("pm_card_amex", "amex", "0005"),
        ("tok_visa", "visa", "4242"),
        ("pm_card_chargeCustomerFail", "visa", "0341"),
    ],
)
def test_a_test_token_becomes_a_new_payment_method(v1, customer, token, brand, last4):
    first = v1.payment_methods.attach(token, {"customer": customer.id})
    second = v1.payment_methods.attach(token, {"customer": customer.id})
    assert (first.card.brand, first.card.last4) == (brand, last4)
    assert first.id != second.id
    assert first.card.fingerprint == second.card.fingerprint


def test_a_card_that_always_declines_cannot_be_saved(v1, customer):
    with pytest.raises(stripe.CardError) as caught:
        v1.payment_methods.attach("pm_card_visa_chargeDeclined", {"customer": customer.id})
    assert (caught.value.code, caught.value.error.decline_code) == ("card_declined", "generic_decline")


def test_a_detached_method_leaves_the_customers_default(v1, customer):
    method = v1.payment_methods.attach("pm_card_visa", {"customer": customer.id})
    v1.customers.update(customer.id, {"invoice_settings": {"default_payment_method": method.id}})
    v1.payment_methods.detach(method.id)
    assert v1.customers.retrieve(customer.id).invoice_settings.default_payment_method is None
    with pytest.raises(stripe.InvalidRequestError, match="not attached"):
        v1.payment_methods.detach(method.id)
    assert types(v1)[:2] == ["customer.updated", "payment_method.detached"]


def test_a_default_payment_method_must_be_the_customers_own(v1, customer):
    method = v1.payment_methods.create({"type": "card", "card": CARD})
    with pytest.raises(stripe.InvalidRequestError, match="must be attached"):
        v1.customers.update(customer.id, {"invoice_settings": {"default_payment_method": method.id}})


def test_bank_accounts_show_their_last_four_digits(v1, customer):
    debit = {"type": "sepa_debit", "sepa_debit": {"iban": "DE89370400440532013000"}}
    method = v1.payment_methods.create({**debit, "billing_details": {"name": "Ada", "email": "a@example.com"}})
    assert (method.sepa_debit.last4, method.sepa_debit.country) == ("3000", "DE")
    assert v1.payment_methods.attach("pm_usBankAccount_success", {"customer": customer.id}).type == "us_bank_account"


def test_a_card_token_is_used_once_and_becomes_the_default_source(v1, customer):
    token = v1.tokens.create({"card": {**CARD, "exp_month": "12", "exp_year": "2034"}})
    v1.customers.update(customer.id, {"source": token.id})
    shown = v1.customers.retrieve(customer.id, {"expand": ["default_source", "sources"]})
    assert (shown.default_source.object, shown.default_source.last4) == ("card", "4242")
    assert len(shown.sources.data) == 1
    with pytest.raises(stripe.InvalidRequestError, match="more than once"):
        v1.customers.update(customer.id, {"source": token.id})
    v1.customers.payment_sources.delete(customer.id, shown.default_source.id)
    assert v1.customers.retrieve(customer.id).default_source is None


# Coupons, promotion codes, tax rates


def test_a_coupon_takes_off_a_share_or_an_amount_but_not_both(v1):
    assert v1.coupons.create({"percent_off": 12.5}).duration == "once"
    made = v1.coupons.create({"amount_off": 500, "currency": "usd", "id": "FIVE", "duration": "forever"})
    assert (made.id, made.valid, made.times_redeemed) == ("FIVE", True, 0)
    for wrong in (
        {},
        {"percent_off": 101},
        {"percent_off": 5, "amount_off": 5, "currency": "usd"},
        {"amount_off": 5},
        {"percent_off": 5, "duration": "repeating"},
        {"percent_off": 5, "id": "FIVE"},
    ):
        with pytest.raises(stripe.InvalidRequestError):
            v1.coupons.create(wrong)


def test_an_old_client_may_put_a_coupon_on_a_customer(sandbox_server, v1):
    coupon = v1.coupons.create({"percent_off": 10, "duration": "forever", "max_redemptions": 1})
    headers = {"Authorization": "Bearer sk_test_1"}
    made = httpx.post(f"{sandbox_server.url}/v1/customers", data={"coupon": coupon.id}, headers=headers).json()
    assert v1.customers.retrieve(made["id"]).discount.source.coupon == coupon.id
    assert not v1.coupons.retrieve(coupon.id).valid
    v1.customers.delete_discount(made["id"])
    assert v1.customers.retrieve(made["id"]).discount is None
    assert types(v1)[0] == "customer.discount.deleted"


def test_a_saved_card_can_be_changed(v1, customer):
    card = v1.customers.payment_sources.create(customer.id, {"source": "tok_mastercard"})
    changed = v1.customers.payment_sources.update(customer.id, card.id, {"exp_year": "2035", "name": "Ada"})
    assert (changed.exp_year, changed.name, changed.brand) == (2035, "Ada", "Mastercard")
    assert types(v1)[0] == "customer.source.updated"


def test_one_test_token_in_two_places_is_one_payment_method(v1):
    settings = {"default_payment_method": "pm_card_visa"}
    made = v1.customers.create({"payment_method": "pm_card_visa", "invoice_settings": settings})
    (method,) = v1.customers.payment_methods.list(made.id).data
    assert made.invoice_settings.default_payment_method == method.id


def test_a_coupon_ends_when_its_time_has_come(v1, sandbox_server):
    coupon = v1.coupons.create({"percent_off": 5, "redeem_by": sandbox_server.sandbox.now() + 3600})
    sandbox_server.advance(3700)
    assert not v1.coupons.retrieve(coupon.id).valid


def test_a_promotion_code_is_found_in_any_case_and_is_unique_while_active(v1):
    coupon = v1.coupons.create({"percent_off": 5})
    given = {"promotion": {"type": "coupon", "coupon": coupon.id}, "code": "Hello"}
    code = v1.promotion_codes.create(given)
    assert [each.id for each in v1.promotion_codes.list({"code": "HELLO"}).data] == [code.id]
    with pytest.raises(stripe.InvalidRequestError, match="already exists"):
        v1.promotion_codes.create({**given, "code": "hello"})
    v1.promotion_codes.update(code.id, {"active": False})
    again = v1.promotion_codes.create({**given, "code": "hello", "expand": ["promotion.coupon"]})
    assert again.promotion.coupon.percent_off == 5


def test_a_tax_rate_can_be_archived(v1):
    rate = v1.tax_rates.create({"display_name": "VAT", "percentage": 19.5, "inclusive": False, "country": "DE"})
    v1.tax_rates.update(rate.id, {"active": False})
    assert v1.tax_rates.list({"active": True}).data == []
    assert v1.tax_rates.retrieve(rate.id).percentage == 19.5


# Meters, credits, entitlements


def use(v1, customer, value, **more):
    payload = {"stripe_customer_id": customer.id, "value": value}
    return v1.billing.meter_events.create({"event_name": "calls", "payload": payload, **more})


@pytest.mark.parametrize(("formula", "total"), [("sum", 30), ("count", 2), ("last", 5)])
def test_a_meter_makes_one_figure_of_its_events(v1, customer, sandbox_server, formula, total):
    meter = v1.billing.meters.create(
        {"display_name": "Calls", "event_name": "calls", "default_aggregation": {"formula": formula}}
    )
    now = sandbox_server.sandbox.now()
    use(v1, customer, "25", timestamp=now - 20)
    use(v1, customer, "5", timestamp=now - 10)
    start = now // 60 * 60 - 60
    period = {"customer": customer.id, "start_time": start, "end_time": start + 180}
    assert v1.billing.meters.event_summaries.list(meter.id, period).data[0].aggregated_value == total


def test_usage_may_come_through_the_v2_api(stripe_client, v1, customer, sandbox_server):
    meter = v1.billing.meters.create(
        {"display_name": "Calls", "event_name": "calls", "default_aggregation": {"formula": "sum"}}
    )
    payload = {"stripe_customer_id": customer.id, "value": "7"}
    event = stripe_client.v2.billing.meter_events.create({"event_name": "calls", "payload": payload})
    assert event.created.endswith("Z")
    start = sandbox_server.sandbox.now() // 60 * 60 - 60
    period = {"customer": customer.id, "start_time": start, "end_time": start + 180}
    assert v1.billing.meters.event_summaries.list(meter.id, period).data[0].aggregated_value == 7


def test_usage_is_counted_once_for_an_identifier_and_can_be_taken_back(v1, customer, sandbox_server):
    aggregation = {"default_aggregation": {"formula": "sum"}}
    meter = v1.billing.meters.create({"display_name": "Calls", "event_name": "calls", **aggregation})
    use(v1, customer, "25", identifier="a")
    with pytest.raises(stripe.InvalidRequestError, match="already exists with identifier a"):
        use(v1, customer, "25", identifier="a")
    v1.billing.meter_event_adjustments.create({"event_name": "calls", "type": "cancel", "cancel": {"identifier": "a"}})
    start = sandbox_server.sandbox.now() // 60 * 60 - 60
    period = {"customer": customer.id, "start_time": start, "end_time": start + 180}
    assert v1.billing.meters.event_summaries.list(meter.id, period).data[0].aggregated_value == 0


def test_a_meter_refuses_what_it_cannot_count(v1, customer):
    with pytest.raises(stripe.InvalidRequestError, match="No active meter"):
        use(v1, customer, "1")
    meter = v1.billing.meters.create(
        {"display_name": "Calls", "event_name": "calls", "default_aggregation": {"formula": "sum"}}
    )
    for wrong in ({"value": "many"}, {"value": "1", "timestamp": 1_000_000_000}):
        with pytest.raises(stripe.InvalidRequestError):
            use(v1, customer, **wrong)
    v1.billing.meters.deactivate(meter.id)
    with pytest.raises(stripe.InvalidRequestError, match="No active meter"):
        use(v1, customer, "1")
    assert v1.billing.meters.reactivate(meter.id).status == "active"


def test_granted_credits_make_a_balance_until_they_expire(v1, customer):
    scope = {"applicability_config": {"scope": {"price_type": "metered"}}}
    amount = {"amount": {"type": "monetary", "monetary": {"currency": "usd", "value": 1000}}}
    grant = v1.billing.credit_grants.create({"customer": customer.id, "name": "Gift", **amount, **scope})

    def balance():
        wanted = {"type": "applicability_scope", "applicability_scope": {"price_type": "metered"}}
        summary = v1.billing.credit_balance_summary.retrieve({"customer": customer.id, "filter": wanted})
        return [each.available_balance.monetary.value for each in summary.balances]

    assert balance() == [1000]
    (entry,) = v1.billing.credit_balance_transactions.list({"customer": customer.id}).data
    assert (entry.type, entry.credit_grant) == ("credit", grant.id)
    v1.billing.credit_grants.expire(grant.id)
    assert balance() == []
    assert "billing.credit_grant.updated" in types(v1)


def test_a_voided_grant_is_worth_nothing(v1, customer):
    scope = {"applicability_config": {"scope": {"price_type": "metered"}}}
    amount = {"amount": {"type": "monetary", "monetary": {"currency": "usd", "value": 1000}}}
    grant = v1.billing.credit_grants.create({"customer": customer.id, **amount, **scope})
    assert v1.billing.credit_grants.void_grant(grant.id).voided_at


def test_a_subscription_entitles_to_the_features_of_its_product(v1, customer):
    feature = v1.entitlements.features.create({"name": "Export", "lookup_key": "export"})
    data = {"currency": "usd", "unit_amount": 500, "recurring": {"interval": "month"}}
    product = v1.products.create({"name": "Pro", "default_price_data": data})
    v1.products.features.create(product.id, {"entitlement_feature": feature.id})
    v1.payment_methods.attach("pm_card_visa", {"customer": customer.id})
    method = v1.customers.payment_methods.list(customer.id).data[0].id
    items = [{"price": product.default_price}]
    subscription = v1.subscriptions.create({"customer": customer.id, "items": items, "default_payment_method": method})
    (held,) = v1.entitlements.active_entitlements.list({"customer": customer.id, "expand": ["data.feature"]}).data
    assert (held.lookup_key, held.feature.name) == ("export", "Export")
    assert "entitlements.active_entitlement_summary.updated" in types(v1)
    v1.subscriptions.cancel(subscription.id)
    assert v1.entitlements.active_entitlements.list({"customer": customer.id}).data == []
    summaries = v1.events.list({"type": "entitlements.active_entitlement_summary.updated"}).data
    assert [len(event.data.object.entitlements.data) for event in summaries] == [0, 1]


def test_features_are_unique_by_lookup_key_and_listed_until_archived(v1):
    feature = v1.entitlements.features.create({"name": "Export", "lookup_key": "export"})
    with pytest.raises(stripe.InvalidRequestError, match="already exists"):
        v1.entitlements.features.create({"name": "B", "lookup_key": "export"})
    v1.entitlements.features.update(feature.id, {"active": False})
    assert v1.entitlements.features.list().data == []
    assert len(v1.entitlements.features.list({"archived": True}).data) == 1


# Portal, balance, tax ids, sessions, account


def test_a_portal_session_leads_to_the_sandboxs_own_page(v1, customer, sandbox_server):
    session = v1.billing_portal.sessions.create({"customer": customer.id, "return_url": "https://example.com"})
    assert session.url == f"{sandbox_server.url}/p/session/{session.id}"
    configuration = v1.billing_portal.configurations.retrieve(session.configuration)
    assert configuration.is_default
    assert configuration.features.subscription_cancel.enabled


def test_a_portal_configuration_allows_only_what_it_says(v1):
    made = v1.billing_portal.configurations.create({"features": {"invoice_history": {"enabled": True}}})
    assert (made.features.invoice_history.enabled, made.features.subscription_update.enabled) == (True, False)
    changed = v1.billing_portal.configurations.update(
        made.id, {"features": {"subscription_cancel": {"enabled": True, "mode": "immediately"}}}
    )
    assert changed.features.subscription_cancel.mode == "immediately"
    assert changed.features.invoice_history.enabled


def test_a_balance_transaction_moves_the_customers_balance(v1, customer):
    v1.customers.balance_transactions.create(customer.id, {"amount": -500, "currency": "usd", "description": "Sorry"})
    entry = v1.customers.balance_transactions.create(customer.id, {"amount": 200, "currency": "usd"})
    assert (entry.ending_balance, v1.customers.retrieve(customer.id).balance) == (-300, -300)
    v1.customers.update(customer.id, {"balance": 0})
    amounts = [each.amount for each in v1.customers.balance_transactions.list(customer.id).data]
    assert amounts == [300, 200, -500]


def test_tax_ids_belong_to_a_customer(v1):
    given = [{"type": "eu_vat", "value": "DE123456789"}]
    customer = v1.customers.create({"tax_id_data": given, "expand": ["tax_ids"]})
    (tax_id,) = customer.tax_ids.data
    assert (tax_id.country, tax_id.verification.status) == ("DE", "pending")
    v1.customers.tax_ids.delete(customer.id, tax_id.id)
    assert v1.customers.tax_ids.list(customer.id).data == []


def test_a_customer_session_shows_which_components_are_on(v1, customer):
    session = v1.customer_sessions.create({"customer": customer.id, "components": {"pricing_table": {"enabled": True}}})
    assert session.components.pricing_table.enabled
    assert not session.components.buy_button.enabled


def test_the_account_of_the_key_can_be_read(v1):
    assert v1.accounts.retrieve_current().charges_enabled


def test_a_customer_needs_an_email_address_that_is_one(v1):
    with pytest.raises(stripe.InvalidRequestError) as caught:
        v1.customers.create({"email": "nobody"})
    assert caught.value.code == "email_invalid"
