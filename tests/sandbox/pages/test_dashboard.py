"""The dashboard over HTTP: what it shows, what its buttons do, and whom it refuses."""

import json
import re
from html import unescape

import httpx
import pytest


@pytest.fixture
def browser(sandbox_server):
    """A client that behaves as a browser on the dashboard's own pages does."""
    headers = {"Origin": sandbox_server.url, "Sec-Fetch-Site": "same-origin", "Accept-Language": "en-US"}
    with httpx.Client(base_url=sandbox_server.url, headers=headers, follow_redirects=True) as client:
        yield client


def text_of(response: httpx.Response) -> str:
    """The words of a page, without tags."""
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", response.text)).split())


def test_the_overview_counts_what_is_held(browser, stripe_client):
    stripe_client.v1.customers.create({"email": "ada@example.com"})
    stripe_client.v1.products.create({"name": "Analytical Engine"})
    shown = text_of(browser.get("/"))
    assert "1 Customers" in shown
    assert "1 Products" in shown
    assert "customer.created ada@example.com" in shown


def test_a_customer_is_found_by_any_word_and_leads_to_the_customer_s_page(browser, stripe_client):
    ada = stripe_client.v1.customers.create({"email": "ada@example.com", "name": "Ada Lovelace"})
    stripe_client.v1.customers.create({"email": "charles@example.com"})
    found = text_of(browser.get("/customers", params={"q": "lovelace"}))
    assert "ada@example.com" in found
    assert "charles@example.com" not in found
    assert "Ada Lovelace" in text_of(browser.get(f"/customers/{ada.id}"))
    assert "Nothing matches" in text_of(browser.get("/customers", params={"q": "babbage"}))


def test_meters_and_their_events_are_listed(browser, stripe_client):
    ada = stripe_client.v1.customers.create({"email": "ada@example.com"})
    given = {"display_name": "Answers", "event_name": "tokens", "default_aggregation": {"formula": "sum"}}
    meter = stripe_client.v1.billing.meters.create({**given, "value_settings": {"event_payload_key": "tokens"}})
    for identifier in ("first", "wrong"):
        told = {"event_name": "tokens", "identifier": identifier}
        told["payload"] = {"stripe_customer_id": ada.id, "tokens": "1234"}
        stripe_client.v1.billing.meter_events.create(told)
    back = {"event_name": "tokens", "type": "cancel", "cancel": {"identifier": "wrong"}}
    stripe_client.v1.billing.meter_event_adjustments.create(back)
    meters = browser.get("/meters")
    assert "Answers tokens Sum 2 Active" in text_of(meters)
    assert f'href="/objects/{meter.id}"' in meters.text
    assert "Answers" in text_of(browser.get(f"/objects/{meter.id}"))
    said = text_of(browser.get("/meter-events", params={"q": "tokens"}))
    assert re.search("tokens ada@example.com 1234 .* Canceled wrong tokens ada@example.com 1234 .* Counted first", said)
    assert "Nothing matches" in text_of(browser.get("/meter-events", params={"q": "babbage"}))


def test_a_long_list_goes_on_on_a_second_page(browser, stripe_client):
    for number in range(53):
        stripe_client.v1.products.create({"name": f"Product number {number:02}"})
    first = browser.get("/products")
    older = re.search(r'href="(\?[^"]+)">Older', first.text)
    second = browser.get("/products" + unescape(older[1]))
    assert "Product number 52" in first.text
    assert "Product number 02" not in first.text
    assert "Product number 02" in second.text
    assert "Older" not in second.text


def test_what_the_api_was_told_is_shown_as_text_and_never_as_markup(browser, stripe_client):
    attack = "<script>alert(1)</script>"
    customer = stripe_client.v1.customers.create({"name": attack, "metadata": {attack: attack}})
    event = stripe_client.v1.events.list().data[0]
    for path in ("/", "/customers", f"/customers/{customer.id}", f"/objects/{customer.id}", f"/events/{event.id}"):
        page = browser.get(path)
        assert "<script>alert" not in page.text, path
        assert attack in text_of(page).replace("</ script>", "</script>") or "&lt;script&gt;" in page.text, path


def test_every_page_forbids_inline_scripts_and_other_hosts(browser, stripe_client):
    customer = stripe_client.v1.customers.create({})
    for path in ("/", "/events", f"/customers/{customer.id}", "/objects/nothing"):
        page = browser.get(path)
        policy = page.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "script-src 'self';" in policy
        assert "unsafe" not in policy
        assert not re.search(r"<script(?![^>]*\bsrc=)|\sstyle=|\son[a-z]+=", page.text), path
        assert not re.search(r'(?:src|href)="(?:https?:)?//', page.text), path


def test_the_ids_in_an_object_s_json_lead_to_their_objects(browser, stripe_client):
    product = stripe_client.v1.products.create({"name": "Engine"})
    price = stripe_client.v1.prices.create({"product": product.id, "currency": "usd", "unit_amount": 100})
    page = browser.get(f"/objects/{price.id}")
    assert f'href="/objects/{product.id}"' in page.text
    assert "Engine" in text_of(browser.get(f"/objects/{product.id}"))


@pytest.mark.parametrize("path", ["/customers/cus_none", "/objects/cus_none", "/objects/x", "/events/evt_x", "/i/in_x"])
def test_what_is_not_there_answers_with_a_page_that_says_so(browser, path):
    page = browser.get(path)
    assert page.status_code == 404
    assert "Nothing is here" in text_of(page)


def test_a_path_that_stripe_does_not_have_is_counted(browser, sandbox_server):
    headers = {"Authorization": "Bearer sk_test_123"}
    for _ in range(3):
        browser.get("/v1/flying_carpets", headers=headers)
    assert "GET /v1/flying_carpets 3" in text_of(browser.get("/"))


@pytest.mark.parametrize(
    ("jump", "days"), [("day", (1, 1)), ("week", (7, 7)), ("month", (28, 31)), ("year", (365, 366))]
)
def test_the_clock_jumps(browser, sandbox_server, jump, days):
    before = sandbox_server.sandbox.now()
    page = browser.post("/dashboard/clock", data={"jump": jump})
    assert "The clock was moved" in text_of(page)
    moved = sandbox_server.sandbox.now() - before
    assert days[0] * 86_400 <= moved <= days[1] * 86_400 + 5


@pytest.mark.parametrize("form", [{"jump": "century"}, {"to": "1"}, {"to": "99999999999"}, {"to": "soon"}, {}])
def test_a_jump_that_makes_no_sense_moves_nothing(browser, sandbox_server, form):
    before = sandbox_server.sandbox.now()
    assert browser.post("/dashboard/clock", data=form).status_code == 400
    assert sandbox_server.sandbox.now() - before < 5


def test_chaos_is_set_in_percent_and_switched_off(browser, sandbox_server):
    chaos = sandbox_server.sandbox.chaos
    page = browser.post("/dashboard/chaos", data={"action": "set", "duplicate": "25", "drop": "0.5"})
    assert "The chaos settings are in force" in text_of(page)
    assert chaos.settings()["duplicate"] == 0.25
    assert chaos.settings()["drop"] == 0.005
    browser.post("/dashboard/chaos", data={"action": "off"})
    assert chaos.settings()["duplicate"] == 0


@pytest.mark.parametrize("value", ["101", "-1", "nan", "many"])
def test_a_chaos_setting_outside_of_0_to_100_is_refused(browser, value):
    assert browser.post("/dashboard/chaos", data={"duplicate": value}).status_code == 400


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Origin": "http://127.0.0.1:1"},
    ],
)
def test_another_site_cannot_press_a_button(sandbox_server, headers):
    before = sandbox_server.sandbox.now()
    answer = httpx.post(f"{sandbox_server.url}/dashboard/clock", data={"jump": "year"}, headers=headers)
    assert answer.status_code == 403
    assert sandbox_server.sandbox.now() - before < 5


def test_a_jump_never_leads_to_another_site(browser):
    for back in ("//evil.example", "/\\evil.example", "https://evil.example", ""):
        answer = browser.post("/dashboard/clock", data={"jump": "day", "back": back}, follow_redirects=False)
        assert answer.headers["location"] == "/?done=clock"


def test_an_event_shows_its_deliveries_and_is_sent_again_on_request(browser, sandbox_server, stripe_client, receiver):
    stripe_client.v1.webhook_endpoints.create({"url": receiver.url, "enabled_events": ["customer.created"]})
    stripe_client.v1.customers.create({"email": "ada@example.com"})
    event = stripe_client.v1.events.list({"type": "customer.created"}).data[0]
    sandbox_server.settled(event=event.id)
    page = browser.get(f"/events/{event.id}")
    assert receiver.url in page.text
    assert "200 in" in text_of(page)
    assert "is on its way again" in text_of(browser.post(f"/dashboard/events/{event.id}/resend"))
    receiver.wait_for(2)
    assert [json.loads(body)["id"] for body, _ in receiver.arrived] == [event.id, event.id]


def test_a_jump_to_the_next_renewal_renews(browser, sandbox_server, stripe_client):
    v1 = stripe_client.v1
    customer = v1.customers.create({"email": "ada@example.com"})
    card = v1.payment_methods.attach("pm_card_visa", {"customer": customer.id})
    params = {"currency": "usd", "unit_amount": 2900, "recurring": {"interval": "month"}}
    price = v1.prices.create({**params, "product_data": {"name": "Team"}})
    items = {"customer": customer.id, "items": [{"price": price.id}], "default_payment_method": card.id}
    subscription = v1.subscriptions.create(items)
    assert browser.post("/dashboard/clock", data={"jump": "renewal"}).status_code == 200
    browser.post("/dashboard/clock", data={"jump": "day"})
    shown = text_of(browser.get(f"/subscriptions/{subscription.id}"))
    assert shown.count("$29.00 Paid") == 2
    assert "runs until" in shown


def test_without_a_subscription_there_is_no_renewal_to_jump_to(browser):
    assert re.search(r'value="renewal"[^>]* disabled', browser.get("/").text)
    assert browser.post("/dashboard/clock", data={"jump": "renewal"}).status_code == 400


def test_the_dashboard_shows_the_secret_that_a_receiver_needs(browser, stripe_client):
    endpoint = stripe_client.v1.webhook_endpoints.create({"url": "http://127.0.0.1:9/hook", "enabled_events": ["*"]})
    assert endpoint.secret in text_of(browser.get("/"))


def test_where_nothing_is_a_browser_gets_a_page_and_a_program_an_error(browser, sandbox_server):
    page = browser.get("/nowhere", headers={"Accept": "text/html"})
    assert (page.status_code, "Nothing is here" in text_of(page)) == (404, True)
    error = httpx.get(f"{sandbox_server.url}/_sandbox/nothing")
    assert (error.status_code, error.json()["error"]["message"]) == (404, "There is nothing at /_sandbox/nothing.")


def test_a_scene_that_cannot_be_played_is_told_and_one_that_can_leads_to_its_subscription(browser):
    refused = browser.post("/dashboard/scenes", data={"scene": "dispute", "customer": "cus_x"})
    assert (refused.status_code, "No such customer" in text_of(refused)) == (400, True)
    played = browser.post("/dashboard/scenes", data={"scene": "dispute"})
    assert (played.status_code, "Subscription created" in text_of(played)) == (200, True)


def test_what_runs_beside_it_is_linked(sandbox_factory):
    server = sandbox_factory(links=(("Demo shop", "http://127.0.0.1:8000/demo"),))
    assert '<a class="beside" href="http://127.0.0.1:8000/demo">Demo shop</a>' in httpx.get(server.url).text
