"""The sandbox's pages in a real Chromium: what the scripts add, and that nothing breaks without them."""

import asyncio
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from playwright.async_api import expect

from harness.chromium import checked_page, chromium  # noqa: F401 - a fixture

pytestmark = [pytest.mark.browser, pytest.mark.soak]


@pytest.fixture
async def page(chromium, sandbox_server):  # noqa: F811
    async with checked_page(chromium, sandbox_server.url) as page:
        yield page


@pytest.fixture
def sessions(sandbox_server, stripe_client):
    """Makes checkout sessions that come back to a page of the sandbox's own."""
    team = stripe_client.v1.prices.create(
        {
            "currency": "usd",
            "unit_amount": 2900,
            "recurring": {"interval": "month"},
            "product_data": {"name": "Team"},
        }
    )

    def create(**more):
        params = {
            "mode": "subscription",
            "success_url": f"{sandbox_server.url}/checkouts?q={{CHECKOUT_SESSION_ID}}",
            "cancel_url": f"{sandbox_server.url}/products",
            "line_items": [{"price": team.id, "quantity": 1}],
        }
        return stripe_client.v1.checkout.sessions.create({**params, **more})

    return create


async def test_typed_digits_are_grouped_and_the_caret_stays(page, sessions):
    await page.goto(sessions().url)
    number, expiry = page.locator("#card_number"), page.locator("#card_expiry")
    await number.press_sequentially("378282246310005")
    await expect(number).to_have_value("3782 822463 10005")
    await expect(page.locator("#card-brand")).to_have_text("American Express")
    await number.fill("")
    await number.press_sequentially("4242424242424242")
    await expect(number).to_have_value("4242 4242 4242 4242")
    await number.press("Home")
    for _ in range(5):
        await number.press("ArrowRight")
    await number.press("Backspace")
    await number.press("Backspace")
    await number.press_sequentially("2")
    await expect(number).to_have_value("4242 4242 4242 4242")
    await expiry.press_sequentially("934")
    await expect(expiry).to_have_value("09 / 34")
    for _ in range(4):
        await expiry.press("Backspace")
    await expiry.press_sequentially("1230")
    await expect(expiry).to_have_value("12 / 30")


async def test_an_error_is_shown_at_its_field_without_asking_the_server(page, sessions):
    await page.goto(sessions().url)
    asked = []
    page.on("request", lambda request: asked.append(request.url) if request.is_navigation_request() else None)
    await page.get_by_test_id("pay").click()
    await expect(page.locator("#email")).to_be_focused()
    await expect(page.locator("#email-error")).to_contain_text("you@example.com")
    await expect(page.locator("#card_number")).to_have_attribute("aria-invalid", "true")
    await expect(page.get_by_role("alert")).to_have_text("Please check the marked fields.")
    assert asked == []


async def test_a_test_card_is_one_click_and_the_keyboard_suffices_for_the_rest(page, sessions, sandbox_server):
    session = sessions()
    await page.goto(session.url)
    await page.get_by_role("button", name="Succeeds").click()
    await expect(page.locator("#email")).to_be_focused()
    await page.keyboard.type("ada@example.com")
    await page.keyboard.press("Enter")
    await page.wait_for_url(f"{sandbox_server.url}/checkouts**{session.id}")
    await expect(page.get_by_text("Complete", exact=True)).to_be_visible()


async def test_a_double_click_pays_once(page, sessions, stripe_client, sandbox_server):
    await page.goto(sessions().url)
    await page.get_by_role("button", name="Succeeds").click()
    await page.locator("#email").fill("ada@example.com")
    await page.get_by_test_id("pay").dblclick()
    await page.wait_for_url(f"{sandbox_server.url}/checkouts**")
    charges = await asyncio.to_thread(stripe_client.v1.charges.list)
    assert len(charges.data) == 1


async def test_a_declined_buyer_tries_again_and_answers_the_bank(page, sessions, sandbox_server):
    await page.goto(sessions().url)
    await page.locator("#email").fill("ada@example.com")
    await page.get_by_test_id("decline").click()
    await expect(page.get_by_test_id("error")).to_have_text("Your card was declined.")
    await page.get_by_role("button", name="3-D Secure").click()
    await page.get_by_test_id("pay").click()
    await page.get_by_test_id("3ds-fail").click()
    await expect(page.get_by_test_id("error")).to_contain_text("authenticate")
    await page.get_by_role("button", name="3-D Secure").click()
    await page.get_by_test_id("pay").click()
    await page.get_by_test_id("3ds-approve").click()
    await page.wait_for_url(f"{sandbox_server.url}/checkouts**")


async def test_the_way_back_to_the_shop_leaves_the_session_open(page, sessions, stripe_client, sandbox_server):
    session = sessions()
    await page.goto(session.url)
    await page.get_by_test_id("cancel").click()
    await page.wait_for_url(f"{sandbox_server.url}/products")
    found = await asyncio.to_thread(stripe_client.v1.checkout.sessions.retrieve, session.id)
    assert found.status == "open"


async def test_a_changed_quantity_changes_the_total_at_once(page, sessions):
    session = sessions(
        line_items=[
            {
                "price_data": {
                    "currency": "usd",
                    "unit_amount": 1000,
                    "recurring": {"interval": "month"},
                    "product_data": {"name": "Seat"},
                },
                "quantity": 1,
                "adjustable_quantity": {"enabled": True, "minimum": 1, "maximum": 20},
            }
        ]
    )
    await page.goto(session.url)
    await page.get_by_label("Quantity").fill("7")
    await page.get_by_label("Quantity").press("Tab")
    await expect(page.get_by_test_id("due-today")).to_have_text("$70.00")


async def test_paying_needs_no_script(chromium, sessions, sandbox_server):  # noqa: F811
    async with checked_page(chromium, sandbox_server.url, java_script_enabled=False) as page:
        await page.goto(sessions().url)
        await page.locator("#email").fill("ada@example.com")
        await page.get_by_role("button", name="Succeeds").click()
        await page.get_by_test_id("pay").click()
        await page.wait_for_url(f"{sandbox_server.url}/checkouts**")


@pytest.fixture
def shop():
    """A merchant's page on a server of its own: answers every GET with its `body`."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write(self.server.body.encode())

        def log_message(self, *_):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        server.url = f"http://127.0.0.1:{server.server_port}/"
        yield server
        server.shutdown()


async def test_an_embedded_page_pays_in_its_frame_and_takes_the_window_back(chromium, sessions, sandbox_server, shop):  # noqa: F811
    returned = f"{sandbox_server.url}/products"
    session = sessions(ui_mode="embedded_page", success_url=None, cancel_url=None, return_url=returned)
    shop.body = f'<iframe src="{sandbox_server.url}/c/pay/{session.id}" width="1200" height="850"></iframe>'
    async with checked_page(chromium, sandbox_server.url, shop.url) as page:
        await page.goto(shop.url)
        embedded = page.frame_locator("iframe")
        await embedded.get_by_role("button", name="Succeeds").click()
        await embedded.locator("#email").fill("ada@example.com")
        await embedded.get_by_test_id("pay").click()
        await page.wait_for_url(returned)


async def test_the_dashboard_shows_what_happens_while_one_looks_on(page, sandbox_server, stripe_client):
    await page.goto(sandbox_server.url)
    await asyncio.to_thread(stripe_client.v1.customers.create, {"email": "ada@example.com"})
    await expect(page.get_by_role("link", name="ada@example.com").first).to_be_visible(timeout=8000)


async def test_the_whole_life_of_a_subscription_is_played_by_hand(page, sessions, sandbox_server, stripe_client):
    await page.goto(sessions(subscription_data={"trial_period_days": 7}).url)
    await expect(page.get_by_test_id("headline")).to_have_text("7 days free")
    await page.get_by_role("button", name="Succeeds").click()
    await page.locator("#email").fill("ada@example.com")
    await page.get_by_test_id("pay").click()
    await page.wait_for_url(f"{sandbox_server.url}/checkouts**")

    await page.goto(f"{sandbox_server.url}/subscriptions")
    await page.get_by_role("link", name="Team").click()
    await expect(page.locator("#status")).to_have_text("Trialing")
    await page.get_by_role("button", name="Jump to").click()
    await page.get_by_role("button", name="+ 1 day").click()
    await expect(page.locator("#status")).to_have_text("Active")
    await expect(page.locator("#timeline")).to_contain_text("Trialing → Active")
    await expect(page.locator("#invoices")).to_contain_text("$29.00")

    await page.get_by_role("link", name="ada@example.com").first.click()
    await page.get_by_role("button", name="Open customer portal").click()
    await page.get_by_test_id("update").click()
    await page.get_by_label("Quantity").fill("3")
    await page.get_by_test_id("continue").click()
    await expect(page.get_by_test_id("preview-total")).to_contain_text("$")
    await page.get_by_test_id("confirm").click()
    await expect(page.get_by_test_id("flash")).to_have_text("Your plan has been changed.")
    await page.get_by_test_id("cancel").click()
    await page.get_by_label("I do not use it enough").check()
    await page.get_by_test_id("confirm").click()
    await expect(page.get_by_test_id("subscription")).to_contain_text("Cancels")
    await page.get_by_test_id("resume").click()
    await expect(page.get_by_test_id("subscription")).to_contain_text("Active")
    await page.get_by_test_id("cancel").click()
    await page.get_by_test_id("confirm").click()
    await page.get_by_test_id("return").click()

    await page.get_by_role("link", name="Team").first.click()
    await page.get_by_role("button", name="Jump to").click()
    await expect(page.locator("#status")).to_have_text("Canceled")
    await expect(page.locator("#timeline")).to_contain_text("Subscription ended")


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_no_page_is_wider_than_its_window(chromium, sandbox_server, sessions, scheme):  # noqa: F811
    async with checked_page(chromium, sandbox_server.url, color_scheme=scheme) as page:
        for url in (sessions(allow_promotion_codes=True).url, *("/", "/customers", "/products", "/prices", "/events")):
            await page.goto(url if url.startswith("http") else f"{sandbox_server.url}{url}")
            for width in (360, 1280):
                await page.set_viewport_size({"width": width, "height": 800})
                assert await page.evaluate("document.documentElement.scrollWidth") <= width, url


async def test_a_scene_is_one_click_and_about_the_customer_on_whose_page_it_is(page, stripe_client, sandbox_server):
    await page.goto(sandbox_server.url)
    await page.get_by_test_id("scene-trial_ends").click()
    await expect(page.get_by_test_id("flash")).to_contain_text("The scene was played")
    await expect(page.locator("#status")).to_contain_text("Trial")
    await page.get_by_role("link", name="scene@example.com").click()
    await page.get_by_test_id("scene-downgrade_waits").click()
    await expect(page.locator("#status")).to_contain_text("Trial")
    (schedule,) = (await asyncio.to_thread(stripe_client.v1.subscription_schedules.list)).data
    assert page.url.partition("?")[0].endswith(schedule.subscription)


async def test_events_are_filtered_by_type_by_choosing_it(page, stripe_client, sandbox_server):
    await asyncio.to_thread(stripe_client.v1.customers.create, {"email": "ada@example.com"})
    await asyncio.to_thread(stripe_client.v1.products.create, {"name": "Tea"})
    await page.goto(f"{sandbox_server.url}/events")
    await expect(page.locator("tbody tr")).to_have_count(2)
    await page.get_by_label("Type").select_option("product.created")
    await page.wait_for_url("**type=product.created")
    await expect(page.locator("tbody tr")).to_have_count(1)
    await expect(page.locator("tbody")).to_contain_text("Tea")


async def test_a_signing_secret_is_copied(chromium, sandbox_server, stripe_client):  # noqa: F811
    hook = {"url": "http://127.0.0.1:9/", "enabled_events": ["charge.captured"]}
    secret = (await asyncio.to_thread(stripe_client.v1.webhook_endpoints.create, hook)).secret
    async with checked_page(chromium, sandbox_server.url) as page:
        await page.context.grant_permissions(["clipboard-read", "clipboard-write"])
        await page.goto(sandbox_server.url)
        await page.get_by_role("button", name="Copy").click()
        await expect(page.get_by_role("button", name="Copied")).to_be_visible()
        assert await page.evaluate("navigator.clipboard.readText()") == secret
