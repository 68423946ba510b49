"""A buyer and a developer in a real Chromium: the demo shop, the hosted checkout, GraphiQL.

Every test also proves that no page asks another host for anything, breaks its Content-Security-Policy, or writes an
error to the console.
"""

import asyncio
import re
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
from playwright.async_api import Page, expect

from harness.checkout import opened
from harness.checkout import pay as pay_without_a_page
from harness.chromium import checked_page, chromium  # noqa: F401 - a fixture

pytestmark = pytest.mark.browser

SESSION = """
query Session($id: ID!) {
  session(id: $id) { status paymentStatus amountTotal { amount formatted } subscription { id status } }
}
"""


@pytest.fixture
async def page(chromium, gateway_dev):  # noqa: F811
    """A page that is checked for foreign requests and errors when the test ends."""
    async with checked_page(chromium, gateway_dev.gateway_url, gateway_dev.stripe_url) as page:
        yield page


@pytest.fixture
async def shop(page, gateway_dev) -> Page:
    """The demo shop with its prices loaded."""
    await page.goto(f"{gateway_dev.gateway_url}/demo")
    await expect(page.get_by_test_id("plan-card").first).to_be_visible()
    return page


async def pay(page: Page, gateway_dev, card: str = "4242424242424242") -> None:
    """Fills the hosted checkout in and pays."""
    await page.wait_for_url(f"{gateway_dev.stripe_url}/**")
    fields = {"card_number": card, "card_expiry": "12 / 34", "card_cvc": "123", "name": "Ada Lovelace"}
    for name, value in fields.items():
        await page.locator(f"input[name={name}]").fill(value)
    email = page.locator("input[name=email]")
    if await email.is_editable():  # it is settled by the first attempt
        await email.fill("ada@example.com")
    await page.get_by_test_id("pay").click()


def session_of(page: Page, gateway_dev) -> dict:
    """What the API says of the session that the address names."""
    (session_id,) = parse_qs(urlsplit(page.url).query)["session_id"]
    return gateway_dev.data(SESSION, {"id": session_id})["session"]


async def test_a_buyer_chooses_a_plan_pays_on_the_hosted_page_and_sees_the_subscription(shop, gateway_dev):
    card = shop.get_by_test_id("plan-card").first
    name = await card.get_by_role("heading").inner_text()
    await card.get_by_test_id("buy").click()
    await pay(shop, gateway_dev)

    confirmation = shop.get_by_test_id("confirmation")
    await expect(confirmation).to_be_visible()
    await expect(confirmation).to_contain_text(name)
    await expect(shop.get_by_test_id("subscription")).to_contain_text("sub_")
    session = session_of(shop, gateway_dev)
    assert (session["status"], session["paymentStatus"]) == ("COMPLETE", "PAID")
    await expect(confirmation).to_contain_text(session["amountTotal"]["formatted"])
    await expect(shop.get_by_test_id("subscription")).to_contain_text(session["subscription"]["id"])


@pytest.mark.soak
async def test_a_one_off_product_is_paid_once_and_starts_no_subscription(shop, gateway_dev):
    card = shop.get_by_test_id("product-card").first
    price = await card.locator(".price strong").inner_text()
    await card.get_by_test_id("buy").click()
    await pay(shop, gateway_dev)

    await expect(shop.get_by_test_id("confirmation")).to_contain_text(price)
    await expect(shop.get_by_test_id("subscription")).to_have_count(0)
    assert session_of(shop, gateway_dev)["subscription"] is None


@pytest.mark.soak
async def test_a_trial_charges_nothing_today_and_says_when_the_first_payment_is(shop, gateway_dev):
    await shop.get_by_role("button", name="Start free trial").first.click()
    await pay(shop, gateway_dev)
    await expect(shop.get_by_role("heading", name="Your trial has started")).to_be_visible()
    await expect(shop.get_by_test_id("confirmation")).to_contain_text("Charged today$0.00")
    await expect(shop.get_by_test_id("subscription")).to_contain_text("free trial")


@pytest.mark.soak
async def test_seats_cost_at_the_checkout_what_the_shop_said(shop, gateway_dev):
    card = shop.get_by_test_id("plan-card").filter(has=shop.get_by_role("spinbutton")).first
    await card.get_by_role("spinbutton").fill("7")
    await expect(card.locator(".sum")).to_have_text("Total $105.00")
    total = (await card.locator(".sum").inner_text()).removeprefix("Total ")
    await card.get_by_test_id("buy").click()
    await shop.wait_for_url(f"{gateway_dev.stripe_url}/**")
    await expect(shop.locator("body")).to_contain_text(total)
    await shop.get_by_label("Promotion code").fill("LAUNCH20")
    await shop.get_by_test_id("apply-promotion").click()
    await expect(shop.get_by_test_id("due-today")).to_have_text("$84.00")


@pytest.mark.soak
async def test_after_a_declined_card_another_one_completes_the_same_checkout(shop, gateway_dev):
    await shop.get_by_test_id("buy").first.click()
    await pay(shop, gateway_dev, card="4000000000000002")
    await expect(shop.get_by_role("alert")).to_contain_text(re.compile("declined", re.IGNORECASE))
    await expect(shop.get_by_test_id("error")).to_be_focused()
    await pay(shop, gateway_dev)
    await expect(shop.get_by_test_id("confirmation")).to_be_visible()


@pytest.mark.soak
async def test_a_cancelled_checkout_leads_back_to_the_same_choice_and_charges_nothing(shop, gateway_dev):
    await shop.get_by_test_id("interval-switch").get_by_text("Yearly").click()
    await expect(shop.get_by_test_id("plan-card").first).to_contain_text("per year")
    await shop.get_by_test_id("buy").first.click()
    await shop.wait_for_url(f"{gateway_dev.stripe_url}/**")
    await shop.get_by_test_id("cancel").click()
    await shop.wait_for_url(f"{gateway_dev.gateway_url}/demo**")
    await expect(shop.get_by_text("nothing was charged")).to_be_visible()
    await expect(shop.get_by_role("radio", name="Yearly")).to_be_checked()


@pytest.mark.soak
async def test_when_stripe_cannot_be_reached_the_shop_says_so_and_the_buyer_may_try_again(shop):
    failure = {"data": None, "errors": [{"message": "-", "extensions": {"code": "STRIPE_UNAVAILABLE"}}]}
    await shop.route("**/graphql", lambda route: route.fulfill(json=failure))
    button = shop.get_by_test_id("buy").first
    await button.click()
    await expect(shop.get_by_role("alert").filter(has_text="cannot be reached right now")).to_be_visible()
    await expect(button).to_be_enabled()


@pytest.mark.soak
async def test_the_currency_switch_shows_prices_in_that_currency_and_survives_a_reload(shop):
    price = shop.get_by_test_id("plan-card").first.locator(".price strong")
    await expect(price).to_contain_text("$")
    await shop.get_by_test_id("currency-switch").select_option("EUR")
    await expect(price).to_contain_text("€")
    await shop.reload()
    await expect(price).to_contain_text("€")


@pytest.mark.soak
async def test_the_shop_is_used_with_the_keyboard_alone(shop, gateway_dev):
    await shop.get_by_role("radio", name="Monthly").focus()
    await shop.keyboard.press("ArrowRight")
    await expect(shop.get_by_role("radio", name="Yearly")).to_be_checked()
    await expect(shop.get_by_test_id("plan-card").first).to_contain_text("per year")
    await shop.get_by_test_id("buy").first.focus()
    await shop.keyboard.press("Enter")
    await shop.wait_for_url(f"{gateway_dev.stripe_url}/**")


@pytest.mark.soak
async def test_an_order_that_nobody_knows_is_said_kindly(page, gateway_dev):
    await page.goto(f"{gateway_dev.gateway_url}/demo?session_id=cs_test_nobody")
    await expect(page.get_by_role("heading", name="We do not know this order")).to_be_visible()


@pytest.mark.soak
async def test_graphiql_opens_with_a_query_that_runs(page, gateway_dev):
    await page.goto(f"{gateway_dev.gateway_url}/graphql")
    await expect(page.get_by_role("tab", name="CreateCheckoutSession")).to_be_visible()
    await page.get_by_role("button", name=re.compile("Execute query")).click()
    await expect(page.locator(".result-window")).to_contain_text('"products"')
    await expect(page.locator(".result-window")).not_to_contain_text('"errors"')


@pytest.mark.parametrize(
    ("text", "result"),
    [
        ("query Other { products(first: 1) { nodes { id } } }", '"prod_'),
        ("{ products(first: 1) { nodes { id } } }", '"prod_'),
        ('query Other($a: String = "query No {") { products(after: $a) { nodes { id } } } # query Neither {', "cursor"),
    ],
    ids=["another name", "no name", "names in strings and comments"],
)
@pytest.mark.soak
async def test_graphiql_runs_a_text_that_has_just_replaced_another(page, gateway_dev, text, result):
    """It named the operation of the text before, which the new one does not have."""
    await page.goto(f"{gateway_dev.gateway_url}/graphql")
    editor = page.locator(".graphiql-query-editor .CodeMirror")
    await expect(editor).to_contain_text("query Pricing", timeout=15_000)
    await editor.evaluate(
        """(editor, text) => {
            editor.CodeMirror.setValue(text);
            document.querySelector(".graphiql-execute-button").click();
        }""",
        text,
    )
    await expect(page.locator(".result-window")).to_contain_text(result)
    await expect(page.locator(".result-window")).not_to_contain_text("Unknown operation")


@pytest.mark.soak
async def test_graphiql_signs_in_as_a_sample_user_of_development(page, gateway_dev):
    query = "query Who { viewer { id email } }"
    address = f"{gateway_dev.gateway_url}/graphql#{urlencode({'query': query})}"
    await page.goto(address)
    run = page.get_by_role("button", name=re.compile("Execute query"))
    await run.click()
    await expect(page.locator(".result-window")).to_contain_text('"viewer": null')
    await page.get_by_label("Signed in as").select_option("ada@example.com")
    await run.click()
    await expect(page.locator(".result-window")).to_contain_text('"ada@example.com"')
    await page.reload()
    await expect(page.get_by_label("Signed in as")).to_have_value("ada@example.com")
    await run.click()
    await expect(page.locator(".result-window")).to_contain_text('"ada@example.com"')


@pytest.mark.soak
async def test_graphiqls_editor_is_ready_within_two_seconds(page, gateway_dev):
    """The best of three: the machine that runs the tests does more than this."""
    took = []
    while len(took) < 3 and min(took, default=9999) >= 2000:
        await page.goto(f"{gateway_dev.gateway_url}/graphql", wait_until="commit")
        await page.locator(".graphiql-query-editor .CodeMirror-code").wait_for()
        took.append(await page.evaluate("performance.now()"))
    assert min(took) < 2000, took


@pytest.mark.soak
async def test_graphiql_follows_a_checkout_live(page, gateway_dev):
    session = opened(gateway_dev, None, "starter_monthly")
    query = f'subscription {{ sessionUpdated(id: "{session["id"]}") {{ status }} }}'
    await page.goto(f"{gateway_dev.gateway_url}/graphql#{urlencode({'query': query})}")
    await page.get_by_role("button", name=re.compile("Execute query")).click()
    await expect(page.locator(".result-window")).to_contain_text('"OPEN"')
    await asyncio.to_thread(pay_without_a_page, gateway_dev, session)
    await expect(page.locator(".result-window")).to_contain_text('"COMPLETE"')


@pytest.mark.soak
async def test_a_page_that_waits_for_the_payment_is_told_of_it(page, gateway_dev):
    """Its clock stands still, so that it cannot ask again by itself."""
    session = opened(gateway_dev, None, "starter_monthly")
    await page.clock.install()
    await page.goto(f"{gateway_dev.gateway_url}/demo")
    await page.clock.pause_at("2030-01-01")
    async with page.expect_websocket() as following:
        await page.goto(f"{gateway_dev.gateway_url}/demo?session_id={session['id']}")
    socket = await following.value
    await expect(page.get_by_text("Your payment is not finished yet")).to_be_visible()
    await asyncio.to_thread(pay_without_a_page, gateway_dev, session)
    await expect(page.get_by_test_id("confirmation")).to_be_visible()
    if not socket.is_closed():
        await socket.wait_for_event("close")


@pytest.mark.soak  # GraphiQL is the heaviest page that there is
async def test_the_query_behind_the_shop_opens_in_graphiql_and_runs_there(shop):
    await shop.get_by_text("See the query behind this page").click()
    await shop.get_by_role("link", name="Open in GraphiQL").click()
    await expect(shop.locator(".graphiql-query-editor")).to_contain_text("trialPeriodDays", timeout=15_000)
    await shop.get_by_role("button", name=re.compile("Execute query")).click()
    await expect(shop.locator(".result-window")).to_contain_text('"products"')
