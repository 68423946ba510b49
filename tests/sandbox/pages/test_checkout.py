"""The hosted checkout page over HTTP, as a browser without JavaScript uses it."""

import json
import re
import time
from html import unescape

import httpx
import pytest

SUCCESS = "https://shop.example/done?session={CHECKOUT_SESSION_ID}&from=checkout"
CANCEL = "https://shop.example/pricing"
GOOD = {"card_number": "4242 4242 4242 4242", "card_expiry": "12 / 34", "card_cvc": "123", "name": "Ada Lovelace"}


@pytest.fixture
def shop(stripe_client):
    """Makes checkout sessions for a small catalogue."""
    v1 = stripe_client.v1
    product = v1.products.create({"name": "Team", "description": "For growing teams"})
    monthly = v1.prices.create(
        {"product": product.id, "currency": "usd", "unit_amount": 2900, "recurring": {"interval": "month"}}
    )
    once = v1.prices.create({"product": product.id, "currency": "usd", "unit_amount": 25000})

    def create(mode="subscription", quantity=1, line=None, **more):
        price = once if mode == "payment" else monthly
        lines = [{"price": price.id, "quantity": quantity, **(line or {})}] if mode != "setup" else None
        params = {
            "mode": mode,
            "success_url": SUCCESS,
            "cancel_url": CANCEL,
            **({"line_items": lines} if lines else {}),
        }
        if mode == "setup":
            params["currency"] = "usd"
        return v1.checkout.sessions.create({**params, **more})

    return create


@pytest.fixture
def buyer(sandbox_server):
    """A browser without JavaScript: it sends forms and does not leave the sandbox by itself."""
    headers = {"Origin": sandbox_server.url, "Accept-Language": "en-US"}
    with httpx.Client(headers=headers, timeout=20) as client:
        yield client


def pay(buyer, session, action="pay", **form):
    return buyer.post(session.url, data={"email": "ada@example.com", **GOOD, "action": action, **form})


def text_of(response):
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", response.text)).split())


def test_the_summary_says_what_is_bought_and_what_is_due(buyer, shop):
    shown = text_of(buyer.get(shop(quantity=3).url))
    assert "Subscribe to Team $87.00 per month" in shown
    assert "$29.00 each per month" in shown
    assert "Total due today $87.00" in shown
    assert "no real money moves" in shown


def test_a_trial_is_announced_with_what_comes_after_it(buyer, shop):
    shown = text_of(buyer.get(shop(subscription_data={"trial_period_days": 14}).url))
    assert "14 days free Then $29.00 per month" in shown
    assert "Total due today $0.00" in shown
    assert "Start trial" in shown


def test_money_is_written_in_the_session_s_locale(buyer, shop):
    shown = text_of(buyer.get(shop("payment", locale="de").url))
    assert "Total due today 250,00 $" in shown


def test_paying_leads_back_to_the_shop_with_the_session_s_id(buyer, shop, stripe_client):
    session = shop()
    answer = pay(buyer, session)
    assert answer.status_code == 303
    assert answer.headers["location"] == SUCCESS.replace("{CHECKOUT_SESSION_ID}", session.id)
    paid = stripe_client.v1.checkout.sessions.retrieve(session.id, {"expand": ["subscription", "customer"]})
    assert (paid.status, paid.payment_status) == ("complete", "paid")
    assert paid.subscription.status == "active"
    assert (paid.customer.email, paid.customer.name) == ("ada@example.com", "Ada Lovelace")


def test_the_shop_is_told_before_the_buyer_comes_back(buyer, shop, stripe_client, receiver):
    stripe_client.v1.webhook_endpoints.create({"url": receiver.url, "enabled_events": ["checkout.session.completed"]})
    session = shop()
    receiver.pause = 0.5
    pay(buyer, session)
    assert [json.loads(body)["data"]["object"]["id"] for body, _ in receiver.arrived] == [session.id]


@pytest.mark.parametrize(
    ("card", "words"),
    [
        ("4000000000000002", "Your card was declined."),
        ("4000000000009995", "Your card has insufficient funds."),
        ("4000000000000069", "Your card has expired."),
        ("4000000000000127", "Your card's security code is incorrect."),
    ],
)
def test_a_declined_card_says_why_and_the_session_stays_open(buyer, shop, stripe_client, card, words):
    session = shop()
    declined = pay(buyer, session, card_number=card)
    assert declined.status_code == 402
    assert words in text_of(declined)
    assert stripe_client.v1.checkout.sessions.retrieve(session.id).status == "open"
    assert pay(buyer, session).status_code == 303


def test_a_decline_can_be_played_with_an_empty_form(buyer, shop):
    declined = buyer.post(shop().url, data={"action": "decline"})
    assert declined.status_code == 402
    assert "Your card was declined." in text_of(declined)


@pytest.mark.parametrize(
    ("form", "field"),
    [
        ({"email": "ada"}, "email"),
        ({"card_number": "4242 4242 4242 4241"}, "card_number"),
        ({"card_number": ""}, "card_number"),
        ({"card_number": "5454545454545454"}, "card_number"),
        ({"card_expiry": "13 / 34"}, "card_expiry"),
        ({"card_expiry": "01 / 20"}, "card_expiry"),
        ({"card_cvc": "1"}, "card_cvc"),
    ],
)
def test_a_field_that_is_wrong_is_marked_and_nothing_happens(buyer, shop, stripe_client, form, field):
    session = shop()
    answer = pay(buyer, session, **form)
    assert answer.status_code == 422
    marked = re.search(rf'name="{field}"[^>]*>', answer.text)[0]
    assert 'aria-invalid="true"' in marked
    assert f'aria-describedby="{field}-error"' in marked
    assert re.search(rf'id="{field}-error">[^<]+<', answer.text)
    assert stripe_client.v1.payment_intents.list().data == []


@pytest.mark.parametrize("mode", ["subscription", "payment", "setup"])
def test_3d_secure_is_asked_and_approved(buyer, shop, stripe_client, mode):
    session = shop(mode)
    asked = pay(buyer, session, card_number="4000002760003184")
    assert asked.status_code == 303
    challenge = str(httpx.URL(session.url).join(asked.headers["location"]))
    assert "Confirm it is you" in text_of(buyer.get(challenge))
    assert buyer.get(session.url).headers["location"] == asked.headers["location"]
    answer = buyer.post(challenge, data={"action": "approve"})
    assert answer.headers["location"].startswith("https://shop.example/done")
    assert stripe_client.v1.checkout.sessions.retrieve(session.id).status == "complete"


def test_3d_secure_that_fails_leaves_the_session_open(buyer, shop, stripe_client):
    session = shop()
    asked = pay(buyer, session, card_number="4000002760003184")
    challenge = str(httpx.URL(session.url).join(asked.headers["location"]))
    answer = buyer.post(challenge, data={"action": "fail"})
    assert answer.status_code == 402
    assert "authenticate" in text_of(answer)
    assert stripe_client.v1.checkout.sessions.retrieve(session.id).status == "open"
    assert pay(buyer, session).status_code == 303


def test_a_challenge_that_nobody_asked_for_leads_back_to_the_page(buyer, shop):
    session = shop()
    for answer in (buyer.get(f"{session.url}/authenticate"), buyer.post(f"{session.url}/authenticate")):
        assert answer.headers["location"] == httpx.URL(session.url).path


def test_a_bank_debit_completes_at_once_and_is_paid_later(buyer, shop, stripe_client, sandbox_server):
    session = shop("payment", allowed_payment_method_types=["card", "sepa_debit"])
    assert pay(buyer, session, method="bank", bank_account="DE89 3704 0044 0532 0130 00").status_code == 303
    sessions = stripe_client.v1.checkout.sessions
    assert sessions.retrieve(session.id).payment_status == "unpaid"
    assert "on its way" in text_of(buyer.get(session.url or f"{sandbox_server.url}/c/pay/{session.id}"))
    buyer.post(f"{sandbox_server.url}/dashboard/clock", data={"jump": "day"})
    assert sessions.retrieve(session.id).payment_status == "paid"


def test_a_promotion_code_lowers_the_total_and_can_be_taken_off_again(buyer, shop, stripe_client):
    coupon = stripe_client.v1.coupons.create({"percent_off": 20, "duration": "forever"})
    stripe_client.v1.promotion_codes.create({"promotion": {"type": "coupon", "coupon": coupon.id}, "code": "WELCOME20"})
    session = shop(allow_promotion_codes=True)
    wrong = pay(buyer, session, action="promotion", promotion_code="NOPE")
    assert wrong.status_code == 422
    assert "This code is invalid." in text_of(wrong)
    assert 'value="ada@example.com"' in wrong.text
    applied = text_of(pay(buyer, session, action="promotion", promotion_code="welcome20"))
    assert "WELCOME20" in applied
    assert "$23.20 per month" in applied
    assert "Total due today $23.20" in applied
    assert "Total due today $29.00" in text_of(pay(buyer, session, action="remove-promotion"))


def test_a_promotion_code_field_is_only_there_when_the_session_allows_it(buyer, shop):
    assert 'name="promotion_code"' not in buyer.get(shop().url).text
    assert 'name="promotion_code"' in buyer.get(shop(allow_promotion_codes=True).url).text


def test_an_adjustable_quantity_changes_within_its_bounds(buyer, shop, stripe_client):
    session = shop(line={"adjustable_quantity": {"enabled": True, "minimum": 1, "maximum": 10}})
    field = re.search(r'name="(quantity\.[^"]+)"', buyer.get(session.url).text)[1]
    assert "Total due today $145.00" in text_of(pay(buyer, session, action="quantity", **{field: "5"}))
    refused = pay(buyer, session, action="quantity", **{field: "11"})
    assert refused.status_code == 422
    assert "between 1 and 10" in text_of(refused)
    assert pay(buyer, session, **{field: "2"}).status_code == 303
    paid = stripe_client.v1.checkout.sessions.retrieve(session.id)
    assert paid.amount_total == 5800


@pytest.mark.parametrize("quantity", ["-1", "1.5", "many", "", "9" * 40])
def test_a_quantity_that_is_none_is_refused(buyer, shop, quantity):
    session = shop(line={"adjustable_quantity": {"enabled": True, "minimum": 1, "maximum": 10}})
    field = re.search(r'name="(quantity\.[^"]+)"', buyer.get(session.url).text)[1]
    assert pay(buyer, session, **{field: quantity}).status_code == 422


def test_the_e_mail_that_the_merchant_gave_cannot_be_changed(buyer, shop, stripe_client):
    session = shop(customer_email="grace@example.com")
    assert re.search(r'name="email"[^>]*value="grace@example.com"[^>]*readonly', buyer.get(session.url).text)
    pay(buyer, session, email="mallory@example.com")
    paid = stripe_client.v1.checkout.sessions.retrieve(session.id)
    assert paid.customer_details.email == "grace@example.com"


def test_a_trial_that_needs_no_card_asks_for_none(buyer, shop, stripe_client):
    session = shop(subscription_data={"trial_period_days": 7}, payment_method_collection="if_required")
    assert 'name="card_number"' not in buyer.get(session.url).text
    answer = buyer.post(session.url, data={"email": "ada@example.com", "action": "pay"})
    assert answer.status_code == 303
    paid = stripe_client.v1.checkout.sessions.retrieve(session.id, {"expand": ["subscription"]})
    assert paid.subscription.status == "trialing"
    assert paid.payment_status == "no_payment_required"


def test_a_free_plan_and_a_code_for_everything_need_no_card_where_none_is_required(buyer, shop, stripe_client):
    product = stripe_client.v1.products.create({"name": "Free"})
    plan = {"product": product.id, "currency": "usd", "unit_amount": 0, "recurring": {"interval": "month"}}
    free = stripe_client.v1.prices.create(plan)
    coupon = stripe_client.v1.coupons.create({"percent_off": 100, "duration": "once"})
    stripe_client.v1.promotion_codes.create({"promotion": {"type": "coupon", "coupon": coupon.id}, "code": "GIFT"})
    given = shop(payment_method_collection="if_required", line={"price": free.id})
    coded = shop(payment_method_collection="if_required", allow_promotion_codes=True)
    assert 'name="card_number"' in buyer.get(coded.url).text
    pay(buyer, coded, action="promotion", promotion_code="GIFT")
    for session in (given, coded):
        assert 'name="card_number"' not in buyer.get(session.url).text
        assert buyer.post(session.url, data={"email": "ada@example.com", "action": "pay"}).status_code == 303
        done = stripe_client.v1.checkout.sessions.retrieve(session.id, {"expand": ["subscription"]})
        assert (done.subscription.status, done.payment_status) == ("active", "no_payment_required")


def test_a_one_off_order_for_nothing_needs_no_card_either(buyer, shop, stripe_client):
    coupon = stripe_client.v1.coupons.create({"percent_off": 100, "duration": "once"})
    session = shop("payment", discounts=[{"coupon": coupon.id}])
    assert 'name="card_number"' not in buyer.get(session.url).text
    assert buyer.post(session.url, data={"email": "ada@example.com", "action": "pay"}).status_code == 303
    assert stripe_client.v1.checkout.sessions.retrieve(session.id).payment_status == "no_payment_required"


def test_a_phone_number_is_asked_for_where_the_session_collects_it(buyer, shop, stripe_client):
    assert 'name="phone"' not in buyer.get(shop().url).text
    session = shop(phone_number_collection={"enabled": True})
    assert 'name="phone"' in buyer.get(session.url).text
    assert "Enter a phone number" in text_of(pay(buyer, session))
    assert pay(buyer, session, phone="+43 1 234567").status_code == 303
    done = stripe_client.v1.checkout.sessions.retrieve(session.id, {"expand": ["customer"]})
    assert (done.customer_details.phone, done.customer.phone) == ("+43 1 234567", "+43 1 234567")


def test_a_set_up_session_saves_the_card_and_charges_nothing(buyer, shop, stripe_client):
    session = shop("setup")
    assert "No charge today" in text_of(buyer.get(session.url))
    assert pay(buyer, session).status_code == 303
    done = stripe_client.v1.checkout.sessions.retrieve(session.id, {"expand": ["setup_intent"]})
    assert done.setup_intent.status == "succeeded"
    assert stripe_client.v1.charges.list().data == []


def test_an_expired_session_says_so_and_sells_nothing(buyer, shop, stripe_client):
    session = shop()
    stripe_client.v1.checkout.sessions.expire(session.id)
    page = buyer.get(session.url)
    assert "This checkout has expired" in text_of(page)
    assert f'href="{CANCEL}"' in page.text
    assert "card_number" not in page.text
    assert pay(buyer, session).headers["location"] == httpx.URL(session.url).path


def test_a_paid_session_cannot_be_paid_again(buyer, shop, stripe_client):
    session = shop("payment")
    pay(buyer, session)
    assert "You are all done here" in text_of(buyer.get(session.url))
    assert pay(buyer, session).headers["location"] == httpx.URL(session.url).path
    assert len(stripe_client.v1.charges.list().data) == 1


def test_a_test_card_fills_the_form_without_javascript(buyer, shop):
    page = pay(buyer, shop(), action="", fill="4000000000009995")
    assert 'value="4000 0000 0000 9995"' in page.text
    assert 'value="ada@example.com"' in page.text


def test_an_embedded_session_may_stand_in_a_frame_and_takes_the_whole_window_back(buyer, shop, sandbox_server):
    session = shop(
        ui_mode="embedded_page",
        success_url=None,
        cancel_url=None,
        return_url="https://shop.example/back/{CHECKOUT_SESSION_ID}",
    )
    url = f"{sandbox_server.url}/c/pay/{session.id}"
    assert "frame-ancestors *" in buyer.get(url).headers["content-security-policy"]
    done = buyer.post(url, data={"email": "ada@example.com", **GOOD, "action": "pay"})
    assert done.status_code == 200
    assert f'href="https://shop.example/back/{session.id}" target="_top" data-leave' in done.text


def test_a_hosted_session_stands_in_nobody_s_frame(buyer, shop):
    assert "frame-ancestors 'none'" in buyer.get(shop().url).headers["content-security-policy"]


@pytest.mark.parametrize("url", ["javascript://x/%0aalert(1)", "data://text/html,x", "ftp://files.example/x"])
def test_the_buyer_is_never_sent_to_anything_but_a_web_page(buyer, shop, url):
    session = shop(success_url=url, cancel_url=url)
    assert f'href="{url}' not in buyer.get(session.url).text
    done = pay(buyer, session)
    assert done.status_code == 200
    assert url not in unescape(done.text)


def test_what_the_merchant_wrote_is_text(buyer, stripe_client):
    price = stripe_client.v1.prices.create(
        {"currency": "usd", "unit_amount": 100, "product_data": {"name": "<img src=x onerror=alert(1)>"}}
    )
    session = stripe_client.v1.checkout.sessions.create(
        {"mode": "payment", "success_url": SUCCESS, "line_items": [{"price": price.id, "quantity": 1}]}
    )
    assert "<img" not in buyer.get(session.url).text


def test_another_site_cannot_pay_in_the_buyer_s_name(buyer, shop):
    session = shop()
    answer = buyer.post(session.url, data={**GOOD, "email": "a@b.example"}, headers={"Origin": "https://evil.example"})
    assert answer.status_code == 403


def test_a_silent_shop_holds_the_buyer_up_for_no_longer_than_stripe_would(buyer, shop, stripe_client, receiver):
    stripe_client.v1.webhook_endpoints.create({"url": receiver.url, "enabled_events": ["*"]})
    receiver.answers = [500] * 100
    session = shop()
    started = time.monotonic()
    assert pay(buyer, session).status_code == 303
    assert time.monotonic() - started < 5
