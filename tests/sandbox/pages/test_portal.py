"""The customer portal over HTTP: what customers see, change, and may not touch."""

import re
from html import unescape

import httpx
import pytest

RETURN = "https://shop.example/account"
GOOD = {"card_number": "4242424242424242", "card_expiry": "12 / 34", "card_cvc": "123"}


@pytest.fixture
def plans(stripe_client):
    """Three monthly plans, by name."""
    made = {}
    for name, amount in (("Starter", 900), ("Team", 2900), ("Business", 9900)):
        params = {"currency": "usd", "unit_amount": amount, "recurring": {"interval": "month"}}
        made[name] = stripe_client.v1.prices.create({**params, "product_data": {"name": name}})
    return made


@pytest.fixture
def ada(stripe_client, plans):
    """A customer who pays for the Team plan by card."""
    customer = stripe_client.v1.customers.create({"email": "ada@example.com", "name": "Ada Lovelace"})
    card = stripe_client.v1.payment_methods.attach("pm_card_visa", {"customer": customer.id})
    stripe_client.v1.customers.update(customer.id, {"invoice_settings": {"default_payment_method": card.id}})
    stripe_client.v1.subscriptions.create(
        {"customer": customer.id, "items": [{"price": plans["Team"].id, "quantity": 2}]}
    )
    return customer


@pytest.fixture
def browser(sandbox_server):
    """A browser that stays in the sandbox: it follows no redirect to the shop."""
    with httpx.Client(base_url=sandbox_server.url, headers={"Origin": sandbox_server.url}) as client:
        yield client


@pytest.fixture
def portal(stripe_client, ada):
    """Opens the portal for Ada; answers its path."""

    def open_portal(**params):
        session = stripe_client.v1.billing_portal.sessions.create({"customer": ada.id, "return_url": RETURN, **params})
        return httpx.URL(session.url).path

    return open_portal


def text_of(response):
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", response.text)).split())


def subscription_of(stripe_client):
    """The one subscription that there is."""
    return stripe_client.v1.subscriptions.list({"status": "all"}).data[-1]


def test_the_first_page_shows_plan_card_details_and_invoices(browser, portal):
    page = browser.get(portal())
    shown = text_of(page)
    assert "Team Active 2 \N{MULTIPLICATION SIGN} $29.00 per month Your plan renews on" in shown
    assert "Visa •••• 4242 expires" in shown
    assert "Ada Lovelace" in shown
    assert "$58.00 Paid" in shown
    assert f'href="{RETURN}"' in page.text


def test_a_plan_is_changed_after_a_preview_of_what_it_costs(browser, portal, stripe_client, plans):
    path = portal()
    subscription = subscription_of(stripe_client)
    page = f"{path}/subscriptions/{subscription.id}"
    assert "Team Current plan $29.00 per month" in text_of(browser.get(f"{page}/update"))
    wanted = {"price": plans["Business"].id, "quantity": "3"}
    preview = text_of(browser.get(f"{page}/confirm", params=wanted))
    assert "3 \N{MULTIPLICATION SIGN} $99.00 per month" in preview
    assert "Unused time" in preview
    done = browser.post(f"{page}/confirm", data=wanted)
    assert done.headers["location"] == f"{path}?done=changed"
    assert "Your plan has been changed." in text_of(browser.get(done.headers["location"]))
    [item] = subscription_of(stripe_client)["items"].data
    assert (item.price.id, item.quantity) == (plans["Business"].id, 3)


@pytest.mark.parametrize(
    "form",
    [
        {"price": "price_of_nobody"},
        {"quantity": "0"},
        {"quantity": "-3"},
        {"quantity": "9999999"},
        {"quantity": "two"},
        {"quantity": "2"},
        {},
    ],
)
def test_a_change_that_makes_no_sense_changes_nothing(browser, portal, stripe_client, plans, form):
    page = f"{portal()}/subscriptions/{subscription_of(stripe_client).id}/confirm"
    assert browser.post(page, data=form).status_code == 400
    [item] = subscription_of(stripe_client)["items"].data
    assert (item.price.id, item.quantity) == (plans["Team"].id, 2)


def test_a_plan_is_canceled_with_a_reason_and_goes_on_again(browser, portal, stripe_client):
    path = portal()
    page = f"{path}/subscriptions/{subscription_of(stripe_client).id}"
    assert "stays available until it ends on" in text_of(browser.get(f"{page}/cancel"))
    browser.post(f"{page}/cancel", data={"feedback": "too_expensive", "comment": "Sorry"})
    canceled = subscription_of(stripe_client)
    # What flexible billing mode gets: docs.stripe.com/billing/subscriptions/billing-mode/compare
    assert (canceled.status, canceled.cancel_at_period_end) == ("active", False)
    assert canceled.cancel_at == canceled["items"].data[0].current_period_end
    assert (canceled.cancellation_details.feedback, canceled.cancellation_details.comment) == ("too_expensive", "Sorry")
    assert "Don\N{RIGHT SINGLE QUOTATION MARK}t cancel" in text_of(browser.get(path))
    browser.post(f"{page}/resume")
    assert subscription_of(stripe_client).cancel_at is None
    assert "Don\N{RIGHT SINGLE QUOTATION MARK}t cancel" not in text_of(browser.get(path))


def test_a_configuration_can_end_plans_at_once(browser, portal, stripe_client):
    features = {"subscription_cancel": {"enabled": True, "mode": "immediately"}}
    configuration = stripe_client.v1.billing_portal.configurations.create({"features": features})
    path = portal(configuration=configuration.id)
    page = f"{path}/subscriptions/{subscription_of(stripe_client).id}/cancel"
    assert "Your plan ends at once." in text_of(browser.get(page))
    browser.post(page)
    assert subscription_of(stripe_client).status == "canceled"
    assert "You have no plan at the moment." in text_of(browser.get(path))


@pytest.mark.parametrize(("name", "waits"), [("Starter", True), ("Business", False)])
def test_a_configuration_can_have_downgrades_wait_for_the_end_of_the_period(
    browser, portal, stripe_client, plans, name, waits
):
    features = {
        "subscription_cancel": {"enabled": True},
        "subscription_update": {
            "enabled": True,
            "default_allowed_updates": ["price"],
            "products": [{"product": price.product, "prices": [price.id]} for price in plans.values()],
            "proration_behavior": "always_invoice",
            "schedule_at_period_end": {"conditions": [{"type": "decreasing_item_amount"}]},
        },
    }
    configuration = stripe_client.v1.billing_portal.configurations.create({"features": features})
    path = portal(configuration=configuration.id)
    subscription = subscription_of(stripe_client)
    page = f"{path}/subscriptions/{subscription.id}"
    shown = text_of(browser.get(f"{page}/confirm", params={"price": plans[name].id}))
    assert ("Unused time" in shown) is not waits
    browser.post(f"{page}/confirm", data={"price": plans[name].id})
    changed = subscription_of(stripe_client)
    assert (changed["items"].data[0].price.id == plans["Team"].id, bool(changed.schedule)) == (waits, waits)
    if waits:
        end = changed["items"].data[0].current_period_end
        httpx.post(f"{browser.base_url}/_sandbox/clock/advance", json={"to": end + 7200}).raise_for_status()
        changed = stripe_client.v1.subscriptions.retrieve(subscription.id, {"expand": ["latest_invoice"]})
        assert changed["items"].data[0].price.id == plans["Starter"].id
        assert (changed.latest_invoice.billing_reason, changed.latest_invoice.total) == ("subscription_cycle", 1800)
    elif changed.schedule is None:  # and a second change does not wait beside another
        for _ in range(2):
            refused = browser.post(f"{page}/confirm", data={"price": plans["Starter"].id})
        assert (refused.status_code, "scheduled already" in text_of(refused)) == (400, True)
        assert "Your plan changes on" in text_of(browser.get(path))
        browser.post(f"{page}/keep")
        assert subscription_of(stripe_client).schedule is None
    browser.post(f"{page}/cancel")
    assert subscription_of(stripe_client).cancel_at


@pytest.mark.parametrize(("behavior", "ends"), [(None, True), ("end_trial", True), ("continue_trial", False)])
def test_a_change_ends_a_trial_unless_the_configuration_says_otherwise(
    browser, portal, stripe_client, plans, behavior, ends
):
    """Source: docs.stripe.com/changelog/clover/2025-09-30/customer-portal-trial-behavior."""
    update = {"enabled": True, "default_allowed_updates": ["price"], "proration_behavior": "always_invoice"}
    update["products"] = [{"product": price.product, "prices": [price.id]} for price in plans.values()]
    update |= {"trial_update_behavior": behavior} if behavior else {}
    configuration = stripe_client.v1.billing_portal.configurations.create({"features": {"subscription_update": update}})
    end = subscription_of(stripe_client).created + 10 * 86_400
    tried = stripe_client.v1.subscriptions.update(
        subscription_of(stripe_client).id, {"trial_end": end, "proration_behavior": "none"}
    )
    page, form = (
        f"{portal(configuration=configuration.id)}/subscriptions/{tried.id}/confirm",
        {"price": plans["Business"].id},
    )
    shown = text_of(browser.get(page, params=form))
    browser.post(page, data=form)
    changed = stripe_client.v1.subscriptions.retrieve(tried.id, {"expand": ["latest_invoice"]})
    found = changed.status, changed.trial_end < end, changed.latest_invoice.total == 19800
    assert found == (("active", True, True) if ends else ("trialing", False, False))
    assert "$198.00" in shown


def test_what_the_configuration_does_not_offer_is_neither_shown_nor_done(browser, portal, stripe_client):
    features = {"invoice_history": {"enabled": False}, "subscription_cancel": {"enabled": False}}
    configuration = stripe_client.v1.billing_portal.configurations.create({"features": features})
    path = portal(configuration=configuration.id)
    shown = text_of(browser.get(path))
    for words in ("Invoices", "Update plan", "Cancel plan", "Add a payment method", "Change billing details"):
        assert words not in shown
    page = f"{path}/subscriptions/{subscription_of(stripe_client).id}"
    for url in (f"{page}/cancel", f"{page}/resume", f"{page}/confirm", f"{path}/payment-method", f"{path}/details"):
        assert browser.post(url).status_code == 403, url
    assert subscription_of(stripe_client).cancel_at is None


def test_a_new_card_becomes_the_one_that_is_charged(browser, portal, stripe_client, ada):
    path = portal()
    done = browser.post(f"{path}/payment-method", data={**GOOD, "card_number": "5555 5555 5555 4444"})
    assert done.headers["location"] == f"{path}?done=method"
    assert "Mastercard •••• 4444" in text_of(browser.get(path))
    customer = stripe_client.v1.customers.retrieve(ada.id, {"expand": ["invoice_settings.default_payment_method"]})
    assert customer.invoice_settings.default_payment_method.card.last4 == "4444"


def test_a_new_card_is_checked_and_a_declined_one_is_not_kept(browser, portal, stripe_client, ada):
    page = f"{portal()}/payment-method"
    assert browser.post(page, data={**GOOD, "card_number": "4242424242424241"}).status_code == 422
    declined = browser.post(page, data={**GOOD, "card_number": "4000000000000002"})
    assert declined.status_code == 402
    assert "Your card was declined." in text_of(declined)
    assert len(stripe_client.v1.customers.payment_methods.list(ada.id).data) == 1


@pytest.mark.parametrize("answer", ["approve", "fail"])
def test_a_card_with_3d_secure_is_kept_when_the_bank_approves(browser, portal, stripe_client, ada, answer):
    path = portal()
    asked = browser.post(f"{path}/payment-method", data={**GOOD, "card_number": "4000002760003184"})
    assert "Confirm it is you" in text_of(browser.get(asked.headers["location"]))
    browser.post(asked.headers["location"], data={"action": answer})
    last4 = [method.card.last4 for method in stripe_client.v1.customers.payment_methods.list(ada.id).data]
    assert ("3184" in last4) is (answer == "approve")
    assert browser.get(asked.headers["location"]).status_code == 404


def test_another_card_is_made_default_and_the_old_one_removed(browser, portal, stripe_client, ada):
    path = portal()
    old = stripe_client.v1.customers.retrieve(ada.id).invoice_settings.default_payment_method
    new = stripe_client.v1.payment_methods.attach("pm_card_mastercard", {"customer": ada.id})
    browser.post(f"{path}/payment-methods/{new.id}/default")
    assert stripe_client.v1.customers.retrieve(ada.id).invoice_settings.default_payment_method == new.id
    browser.post(f"{path}/payment-methods/{old}/remove")
    assert [each.id for each in stripe_client.v1.customers.payment_methods.list(ada.id).data] == [new.id]


def test_billing_details_are_changed_and_checked(browser, portal, stripe_client, ada):
    path = portal()
    form = {
        "name": "Ada King",
        "email": "ada@king.example",
        "line1": "12 St James's Square",
        "city": "London",
        "country": "GB",
    }
    assert browser.post(f"{path}/details", data={**form, "email": "ada"}).status_code == 422
    assert browser.post(f"{path}/details", data={**form, "country": "Britain"}).status_code == 422
    assert browser.post(f"{path}/details", data=form).headers["location"] == f"{path}?done=details"
    customer = stripe_client.v1.customers.retrieve(ada.id)
    assert (customer.name, customer.email, customer.address.city) == ("Ada King", "ada@king.example", "London")


def test_nobody_reaches_another_customer_s_things(browser, portal, stripe_client, plans):
    eve = stripe_client.v1.customers.create({"email": "eve@example.com"})
    card = stripe_client.v1.payment_methods.attach("pm_card_visa", {"customer": eve.id})
    params = {"customer": eve.id, "items": [{"price": plans["Team"].id}], "default_payment_method": card.id}
    foreign = stripe_client.v1.subscriptions.create(params)
    path = portal()
    for url in (
        f"{path}/subscriptions/{foreign.id}/cancel",
        f"{path}/subscriptions/{foreign.id}/resume",
        f"{path}/subscriptions/{foreign.id}/confirm",
        f"{path}/payment-methods/{card.id}/remove",
        f"{path}/payment-methods/{card.id}/default",
    ):
        assert browser.post(url, data={"price": plans["Business"].id}).status_code == 404, url
    assert stripe_client.v1.subscriptions.retrieve(foreign.id).cancel_at is None


def test_another_site_cannot_cancel_a_plan(browser, portal, stripe_client):
    page = f"{portal()}/subscriptions/{subscription_of(stripe_client).id}/cancel"
    assert browser.post(page, headers={"Origin": "https://evil.example"}).status_code == 403
    assert subscription_of(stripe_client).cancel_at is None


def test_a_session_that_does_not_exist_says_so(browser):
    assert browser.get("/p/session/bps_of_nobody").status_code == 404


# Flows: a session opened for one thing -------------------------------------------------------------------------


def flow(kind, subscription=None, after=None, **details):
    data = {
        "type": kind,
        "after_completion": after or {"type": "redirect", "redirect": {"return_url": RETURN + "?flow"}},
    }
    if subscription:
        data[kind] = {"subscription": subscription.id, **details}
    return data


def test_a_flow_for_the_payment_method_leads_back_when_it_is_done(browser, portal):
    path = portal(flow_data=flow("payment_method_update"))
    assert browser.get(path).headers["location"] == f"{path}/payment-method"
    assert browser.post(f"{path}/payment-method", data=GOOD).headers["location"] == RETURN + "?flow"


def test_a_flow_for_canceling_leads_back_when_it_is_done(browser, portal, stripe_client):
    subscription = subscription_of(stripe_client)
    path = portal(flow_data=flow("subscription_cancel", subscription))
    page = browser.get(path).headers["location"]
    assert page == f"{path}/subscriptions/{subscription.id}/cancel"
    assert browser.post(page).headers["location"] == RETURN + "?flow"
    assert subscription_of(stripe_client).cancel_at


def test_a_flow_for_choosing_a_plan_begins_with_the_choice(browser, portal, stripe_client):
    subscription = subscription_of(stripe_client)
    path = portal(flow_data=flow("subscription_update", subscription))
    assert browser.get(path).headers["location"] == f"{path}/subscriptions/{subscription.id}/update"


def test_a_flow_for_a_certain_change_only_asks_for_consent(browser, portal, stripe_client, plans):
    subscription = subscription_of(stripe_client)
    items = [{"id": subscription["items"].data[0].id, "price": plans["Business"].id, "quantity": 5}]
    path = portal(flow_data=flow("subscription_update_confirm", subscription, items=items))
    page = browser.get(path).headers["location"]
    assert "5 \N{MULTIPLICATION SIGN} $99.00 per month" in text_of(browser.get(page))
    assert browser.post(page).headers["location"] == RETURN + "?flow"
    [item] = subscription_of(stripe_client)["items"].data
    assert (item.price.id, item.quantity) == (plans["Business"].id, 5)


def test_a_flow_can_end_with_words_of_the_merchant_s(browser, portal, stripe_client):
    after = {"type": "hosted_confirmation", "hosted_confirmation": {"custom_message": "We will <b>miss</b> you."}}
    path = portal(flow_data=flow("subscription_cancel", subscription_of(stripe_client), after))
    done = browser.post(browser.get(path).headers["location"])
    assert "We will <b>miss</b> you." in unescape(done.text)
    assert "<b>miss" not in done.text


def test_after_its_flow_a_session_shows_the_first_page(browser, portal):
    path = portal(flow_data=flow("payment_method_update", after={"type": "portal_homepage"}))
    done = browser.post(f"{path}/payment-method", data=GOOD)
    assert "Your payment method has been updated." in text_of(browser.get(done.headers["location"]))


# Invoices ------------------------------------------------------------------------------------------------------


def test_an_invoice_can_be_printed(browser, stripe_client, ada):
    [invoice] = stripe_client.v1.invoices.list({"customer": ada.id}).data
    shown = text_of(browser.get(f"/i/{invoice.id}"))
    assert invoice.number in shown
    assert "$58.00 paid" in shown
    assert "Ada Lovelace ada@example.com" in shown
    assert "Amount due $0.00" in shown
    assert "no demand for payment" in shown


def test_an_open_invoice_is_paid_on_its_page_after_a_declined_card_too(browser, stripe_client, ada):
    v1 = stripe_client.v1
    v1.invoice_items.create({"customer": ada.id, "amount": 700, "currency": "usd"})
    draft = v1.invoices.create(
        {
            "customer": ada.id,
            "collection_method": "send_invoice",
            "days_until_due": 7,
            "pending_invoice_items_behavior": "include",
        }
    )
    path = f"/i/{v1.invoices.finalize_invoice(draft.id).id}"
    assert "Pay $7.00" in text_of(browser.get(path))
    assert "Your card number is invalid." in text_of(browser.post(f"{path}/pay", data=GOOD | {"card_number": "1"}))
    declined = browser.post(f"{path}/pay", data=GOOD | {"card_number": "4000000000000002"})
    assert (declined.status_code, "declined" in text_of(declined)) == (402, True)
    assert v1.invoices.retrieve(draft.id).status == "open"
    paid = browser.post(f"{path}/pay", data=GOOD)
    assert (paid.status_code, v1.invoices.retrieve(draft.id).status) == (303, "paid")
    shown = text_of(browser.get(paid.headers["location"]))
    assert ("$7.00 paid" in shown, "Pay $7.00" in shown) == (True, False)
    assert browser.get(f"{path}/pay").status_code == 303  # nothing is left to pay
