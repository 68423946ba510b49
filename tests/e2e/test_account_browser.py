"""The life of a signed-in customer in a real Chromium: the demo shop's account page against the offline Stripe."""

import re

import pytest
from playwright.async_api import Page, expect

from harness.chromium import checked_page, chromium  # noqa: F401 - a fixture
from harness.gateway import SERVICE

pytestmark = pytest.mark.browser

ADA, GRACE = "ada@example.com", "grace@example.com"


@pytest.fixture
async def page(chromium, gateway_dev):  # noqa: F811
    """A page that is checked for foreign requests and errors when the test ends."""
    async with checked_page(chromium, gateway_dev.gateway_url, gateway_dev.stripe_url) as page:
        yield page


async def sign_in(page: Page, gateway_dev, email: str) -> None:
    await page.goto(f"{gateway_dev.gateway_url}/demo/account")
    await page.get_by_test_id(f"sign-in-{email}").click()
    await expect(page.get_by_test_id("who")).to_contain_text(email)


async def pay_form(page: Page, number: str) -> None:
    """Fill in a card on one of Stripe's pages."""
    fields = {"card_number": number, "card_expiry": "12 / 34", "card_cvc": "123", "name": "Ada Lovelace"}
    for field, value in fields.items():
        await page.locator(f"input[name={field}]").fill(value)


async def buy(page: Page, gateway_dev, name: str, *, card: str = "plan-card") -> None:
    """Choose something in the shop and pay for it on the hosted page."""
    await page.goto(f"{gateway_dev.gateway_url}/demo")
    chosen = page.get_by_test_id(card).filter(has=page.get_by_role("heading", name=name, exact=True))
    await chosen.get_by_test_id("buy").click()
    await page.wait_for_url(f"{gateway_dev.stripe_url}/**")
    await pay_form(page, "4242424242424242")
    await page.get_by_test_id("pay").click()
    await expect(page.get_by_test_id("confirmation")).to_be_visible()


async def choose(page: Page, plan: str) -> str:
    """Choose a plan to change to; what Stripe says is due now."""
    await page.get_by_test_id("change").click()
    options = page.get_by_test_id("new-plan").locator("option")
    await expect(options).not_to_have_count(0)
    (label,) = [text for text in await options.all_inner_texts() if text.startswith(plan)]
    await page.get_by_test_id("new-plan").select_option(label)
    await expect(page.get_by_test_id("confirm-change")).to_be_visible()
    return await page.get_by_test_id("due-now").inner_text()


async def change_card(page: Page, gateway_dev, number: str) -> None:
    """Give another card in the billing portal, and come back."""
    await page.get_by_test_id("portal").click()
    await page.wait_for_url(f"{gateway_dev.stripe_url}/**")
    await page.get_by_test_id("add-method").click()
    await pay_form(page, number)
    await page.get_by_test_id("save").click()
    await expect(page.get_by_test_id("flash")).to_contain_text("payment method has been updated")
    await page.get_by_test_id("return").click()
    await expect(page.get_by_test_id("plan")).to_be_visible()


async def days_pass(page: Page, gateway_dev, days: float, *, until: str) -> None:
    """Move Stripe's clock on, and look at the account again when its webhooks have come."""
    clock = f"{gateway_dev.stripe_url}/_sandbox/clock/advance"
    gateway_dev.client.post(clock, json={"by": int(days * 86_400)}).raise_for_status()
    gateway_dev.eventually(lambda: [row["status"] for row in gateway_dev.rows("subscription")], [until])
    await page.reload()


def in_use(gateway_dev, mutation: str, **given) -> None:
    """What the application's back end tells the gateway about Ada's work."""
    kind = mutation[0].upper() + mutation[1:]
    document = f"mutation($input: {kind}Input!) {{ {mutation}(input: $input) {{ userErrors {{ code }} }} }}"
    told = gateway_dev.data(document, {"input": {"externalId": "user_ada", **given}}, SERVICE)
    assert told[mutation]["userErrors"] == []


async def test_a_customer_lives_a_whole_life(page, gateway_dev):
    await sign_in(page, gateway_dev, ADA)
    await buy(page, gateway_dev, "Pro")
    await page.get_by_role("link", name="Account").click()
    await expect(page.get_by_test_id("status")).to_have_text("trialing")
    await expect(page.get_by_test_id("plan")).to_contain_text("Trial ends")

    await days_pass(page, gateway_dev, 15, until="active")
    await expect(page.get_by_test_id("status")).to_have_text("active")
    gateway_dev.eventually(lambda: gateway_dev.rows("credit_entry"))
    in_use(gateway_dev, "spendCredits", amount=300, idempotencyKey="a-report", reason="A report")
    await page.reload()
    await expect(page.get_by_test_id("credit-balance")).to_have_text("700")
    await expect(page.get_by_test_id("credit-entry").first).to_contain_text("A report")

    due = await choose(page, "Business, monthly")
    await page.get_by_test_id("confirm-change").click()
    await expect(page.get_by_test_id("notice")).to_have_text(f"Your plan has changed. You paid {due}.")

    assert await choose(page, "Starter, monthly") == "$0.00"
    await page.get_by_test_id("confirm-change").click()
    await expect(page.get_by_test_id("notice")).to_contain_text("Your plan changes on")
    await expect(page.get_by_test_id("pending-change")).to_have_text("Starter, monthly")
    await page.get_by_test_id("undo-change").click()
    await expect(page.get_by_test_id("notice")).to_have_text("Your plan stays as it is.")
    await expect(page.get_by_test_id("pending-change")).to_have_count(0)
    await page.get_by_test_id("pause").click()
    await expect(page.get_by_test_id("until")).to_have_text("you resume")
    await page.get_by_test_id("resume").click()
    await expect(page.get_by_test_id("notice")).to_have_text("Your plan goes on.")

    await change_card(page, gateway_dev, "4000000000000341")
    await days_pass(page, gateway_dev, 31, until="past_due")
    await expect(page.get_by_test_id("status")).to_have_text("past due")
    await expect(page.get_by_test_id("plan").get_by_role("alert").first).to_contain_text("The last payment failed")
    await expect(page.get_by_test_id("features")).to_contain_text("sso")  # in the grace period nothing is taken away
    await expect(page.get_by_test_id("invoice").first).to_contain_text("open")
    await change_card(page, gateway_dev, "4242424242424242")
    await days_pass(page, gateway_dev, 4, until="active")
    await expect(page.get_by_test_id("status")).to_have_text("active")
    await expect(page.get_by_test_id("invoice").first).to_contain_text("paid")

    await page.get_by_test_id("cancel").click()
    await page.get_by_test_id("confirm-cancel").click()
    await expect(page.get_by_test_id("notice")).to_contain_text("Your plan ends on")
    await page.get_by_test_id("resume").click()
    await expect(page.get_by_test_id("notice")).to_have_text("Your plan goes on.")
    await expect(page.get_by_test_id("plan")).to_contain_text("Renews")
    await page.get_by_test_id("cancel").click()
    await page.get_by_test_id("confirm-cancel").click()
    await expect(page.get_by_test_id("notice")).to_contain_text("Your plan ends on")
    await days_pass(page, gateway_dev, 31, until="canceled")
    await expect(page.get_by_test_id("plan")).to_contain_text("No plan yet")


async def test_who_pays_by_use_sees_what_was_used_in_this_period(page, gateway_dev):
    await sign_in(page, gateway_dev, ADA)
    await expect(page.get_by_test_id("plan")).to_be_visible()
    await expect(page.get_by_test_id("usage")).to_have_count(0)
    await buy(page, gateway_dev, "Starter")
    await buy(page, gateway_dev, "API usage")
    await page.get_by_role("link", name="Account").click()
    await expect(page.get_by_test_id("plan").get_by_test_id("plan-name")).to_have_text("Starter")
    await expect(page.get_by_test_id("beside").get_by_test_id("plan-name")).to_have_text("API usage")
    tile = page.get_by_role("region", name="Usage")
    await expect(tile).to_contain_text("0 calls in this period")
    in_use(gateway_dev, "reportUsage", eventName="api_calls", value=1234, identifier="today")
    await page.reload()
    await expect(tile).to_contain_text("1,234 calls in this period")
    await expect(tile.get_by_test_id("usage-until")).not_to_be_empty()


async def test_a_customer_buys_upgrades_as_quoted_and_leaves_at_once_for_a_reason(page, gateway_dev):
    await sign_in(page, gateway_dev, ADA)
    await expect(page.get_by_test_id("plan")).to_contain_text("No plan yet")

    await buy(page, gateway_dev, "Starter")
    await page.get_by_role("link", name="Account").click()
    await expect(page.get_by_test_id("plan-name")).to_have_text("Starter")
    await expect(page.get_by_test_id("status")).to_have_text("active")
    await expect(page.get_by_test_id("payment-method")).to_contain_text("4242")
    await expect(page.get_by_test_id("invoice")).to_have_count(1)

    due = await choose(page, "Business, monthly")
    await page.get_by_test_id("confirm-change").click()
    await expect(page.get_by_test_id("notice")).to_have_text(f"Your plan has changed. You paid {due}.")
    await expect(page.get_by_test_id("plan-name")).to_have_text("Business")
    await expect(page.get_by_test_id("invoice")).to_have_count(2)
    await expect(page.get_by_test_id("invoice").filter(has_text=due)).to_have_count(1)
    (subscription,) = gateway_dev.stripe("GET", "/v1/subscriptions")["data"]
    invoice = gateway_dev.stripe("GET", f"/v1/invoices/{subscription['latest_invoice']}")
    assert f"${invoice['amount_paid'] / 100:.2f}" == due

    await page.get_by_test_id("cancel").click()
    await page.get_by_role("radio", name="Now").check()
    await page.get_by_label("Why").select_option("TOO_EXPENSIVE")
    await page.get_by_label("Anything you want to tell us").fill("Perhaps next year")
    await page.get_by_test_id("confirm-cancel").click()
    await expect(page.get_by_test_id("status")).to_have_text("canceled")
    await expect(page.get_by_test_id("plan")).to_contain_text("Access until")
    details = gateway_dev.stripe("GET", f"/v1/subscriptions/{subscription['id']}")["cancellation_details"]
    assert (details["feedback"], details["comment"]) == ("too_expensive", "Perhaps next year")


async def test_what_cannot_be_charged_is_said_where_it_was_asked(page, gateway_dev):
    await sign_in(page, gateway_dev, ADA)
    await buy(page, gateway_dev, "Starter")
    (subscription,) = gateway_dev.stripe("GET", "/v1/subscriptions")["data"]
    bad = gateway_dev.stripe(
        "POST", "/v1/payment_methods/pm_card_chargeCustomerFail/attach", customer=subscription["customer"]
    )
    gateway_dev.stripe("POST", f"/v1/subscriptions/{subscription['id']}", default_payment_method=bad["id"])
    await page.get_by_role("link", name="Account").click()
    await choose(page, "Business, monthly")
    await page.get_by_test_id("confirm-change").click()
    await expect(page.get_by_test_id("change-form").get_by_role("alert")).to_contain_text(re.compile("declined"))
    await expect(page.get_by_test_id("plan-name")).to_have_text("Starter")


async def test_the_portal_opens_for_the_customer_and_leads_back(page, gateway_dev):
    await sign_in(page, gateway_dev, ADA)
    await buy(page, gateway_dev, "Starter")
    await page.goto(f"{gateway_dev.gateway_url}/demo")
    plans = page.get_by_test_id("plan-card")
    await expect(plans.get_by_text("Your plan", exact=True)).to_have_count(1)
    await expect(plans.get_by_text("Upgrade", exact=True)).not_to_have_count(0)
    await expect(plans.get_by_text("Start free trial")).to_have_count(0)
    await page.get_by_role("link", name="Account").click()
    await page.get_by_test_id("portal").click()
    await page.wait_for_url(f"{gateway_dev.stripe_url}/**")
    await expect(page.locator("body")).to_contain_text("Starter")


async def test_credits_that_were_bought_stand_in_the_account(page, gateway_dev):
    await sign_in(page, gateway_dev, ADA)
    await expect(page.get_by_test_id("credit-balance")).to_have_text("0")
    await buy(page, gateway_dev, "100 credits", card="product-card")
    await page.get_by_role("link", name="Account").click()
    await expect(page.get_by_test_id("credit-balance")).to_have_text("100")
    await expect(page.get_by_test_id("credit-entry")).to_contain_text("+100")


async def test_the_other_user_sees_nothing_of_it(page, gateway_dev):
    await sign_in(page, gateway_dev, ADA)
    await buy(page, gateway_dev, "Starter")
    await page.get_by_role("link", name="Account").click()
    await expect(page.get_by_test_id("plan-name")).to_have_text("Starter")
    await page.get_by_test_id("sign-out").click()
    await page.get_by_test_id(f"sign-in-{GRACE}").click()
    await expect(page.get_by_test_id("plan")).to_contain_text("No plan yet")
    await expect(page.get_by_test_id("invoice")).to_have_count(0)


async def test_nothing_of_the_account_is_wider_than_the_window(page, gateway_dev):
    await sign_in(page, gateway_dev, ADA)
    await buy(page, gateway_dev, "Starter")
    for width in (360, 800, 1280):
        await page.set_viewport_size({"width": width, "height": 800})
        await page.goto(f"{gateway_dev.gateway_url}/demo/account")
        await choose(page, "Pro, yearly")
        assert await page.evaluate("document.documentElement.scrollWidth") <= width
