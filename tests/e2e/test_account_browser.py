"""The life of a signed-in customer in a real Chromium: the demo shop's account page against the offline Stripe."""

import re

import pytest
from playwright.async_api import Page, expect

from harness.checkout import at_stripe
from harness.chromium import checked_page, chromium  # noqa: F401 - a fixture
from harness.gateway import SERVICE, make_world
from harness.shop_pages import (
    ALWAYS_ASKS,
    FAILS_WHEN_CHARGED,
    GOOD_CARD,
    buy,
    change_card,
    choose,
    give_card,
    offer,
    pay_form,
    sign_in,
)

pytestmark = pytest.mark.browser

ADA, GRACE = "ada@example.com", "grace@example.com"


@pytest.fixture
async def page(chromium, gateway_dev):  # noqa: F811
    """A page that is checked for foreign requests and errors when the test ends."""
    async with checked_page(chromium, gateway_dev.gateway_url, gateway_dev.stripe_url) as page:
        yield page


@pytest.fixture
def generous(sqlite_url):
    """A world in which what costs nothing at first is sold without a card."""
    with make_world(sqlite_url, free_without_card=True) as world:
        yield world


async def days_pass(page: Page, gateway_dev, days: float, *, until: str) -> None:
    """Move Stripe's clock on, and look at the account again when its webhooks have come."""
    clock = f"{gateway_dev.stripe_url}/_sandbox/clock/advance"
    gateway_dev.client.post(clock, json={"by": int(days * 86_400)}).raise_for_status()
    invoiced = {event["id"] for event in at_stripe(gateway_dev, "events") if event["type"].startswith("invoice.")}
    gateway_dev.eventually(
        lambda: invoiced <= {row["id"] for row in gateway_dev.rows("event") if row["status"] != "pending"}
    )
    gateway_dev.eventually(lambda: [row["status"] for row in gateway_dev.rows("subscription")], [until])
    await page.reload()


def in_use(gateway_dev, mutation: str, **given) -> None:
    """What the application's back end tells the gateway about Ada."""
    kind = mutation[0].upper() + mutation[1:]
    document = f"mutation($input: {kind}Input!) {{ {mutation}(input: $input) {{ userErrors {{ code }} }} }}"
    answer = gateway_dev.data(document, {"input": {"externalId": "user_ada", **given}}, SERVICE)
    assert answer[mutation]["userErrors"] == []


def seller_plans(gateway_dev, *, seats: int, binding: bool) -> None:
    """What is planned in Stripe's dashboard for the end of the period."""
    (subscription,) = gateway_dev.stripe("GET", "/v1/subscriptions")["data"]
    schedules, price = "/v1/subscription_schedules", subscription["items"]["data"][0]["price"]["id"]
    schedule = (
        subscription["schedule"] or gateway_dev.stripe("POST", schedules, from_subscription=subscription["id"])["id"]
    )
    current = gateway_dev.stripe("GET", f"{schedules}/{schedule}")["current_phase"]
    form = {f"phases[0][{name}]": moment for name, moment in current.items()}
    form |= {"metadata[customer_may_change]": "false"} if binding else {}
    for n, quantity in enumerate((subscription["items"]["data"][0]["quantity"], seats)):
        form |= {f"phases[{n}][items][0][price]": price, f"phases[{n}][items][0][quantity]": quantity}
    gateway_dev.stripe("POST", f"{schedules}/{schedule}", **form)


@pytest.mark.soak
async def test_a_customer_lives_a_whole_life(page, gateway_dev):
    await sign_in(page, gateway_dev, ADA)
    await buy(page, gateway_dev, "Pro")
    await page.get_by_role("link", name="Account").click()
    await expect(page.get_by_test_id("status")).to_have_text("free trial")
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
    await expect(page.get_by_test_id("pending-change")).to_have_text(re.compile("Starter, monthly"))
    assert await choose(page, "Pro, monthly") == "$0.00"  # instead
    await page.get_by_test_id("confirm-change").click()
    await expect(page.get_by_test_id("pending-change")).to_have_text("Pro, monthly · $29.00")
    await page.get_by_test_id("undo-change").click()
    await expect(page.get_by_test_id("notice")).to_have_text("Your plan stays as it is.")
    await expect(page.get_by_test_id("pending-change")).to_have_count(0)
    await page.get_by_test_id("pause").click()
    await page.get_by_test_id("pause-until").select_option(index=1)
    day = (await page.get_by_test_id("pause-until").locator("option:checked").inner_text()).removeprefix("Until ")
    await page.get_by_test_id("confirm-pause").click()
    await expect(page.get_by_test_id("status")).to_have_text("paused")
    await expect(page.get_by_test_id("until")).to_have_text(day)
    await page.get_by_test_id("resume").click()
    await expect(page.get_by_test_id("notice")).to_have_text("Your plan goes on.")

    await change_card(page, gateway_dev, FAILS_WHEN_CHARGED)
    await days_pass(page, gateway_dev, 31, until="past_due")
    await expect(page.get_by_test_id("status")).to_have_text("payment due")
    await expect(page.get_by_test_id("plan").get_by_role("alert").first).to_contain_text("The last payment failed")
    await expect(page.get_by_test_id("features")).to_contain_text(
        "Single sign-on"
    )  # in the grace period nothing is taken away
    await expect(page.get_by_test_id("invoice").first).to_contain_text("open")
    await page.get_by_test_id("update-method").click()
    await give_card(page, gateway_dev, GOOD_CARD)
    await page.get_by_test_id("pay-invoice").click()  # in the shop, and again on the invoice
    await page.wait_for_url(f"{gateway_dev.stripe_url}/**")
    await page.get_by_test_id("pay-invoice").click()
    await pay_form(page, GOOD_CARD)
    await page.get_by_test_id("pay").click()
    await expect(page.get_by_test_id("status")).to_have_text("Paid")
    gateway_dev.eventually(lambda: [row["status"] for row in gateway_dev.rows("subscription")], ["active"])
    await page.goto(f"{gateway_dev.gateway_url}/demo/account")
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


@pytest.mark.soak
async def test_who_pays_by_use_sees_what_was_used_in_this_period(page, gateway_dev):
    gateway_dev.stripe("POST", "/v1/products/prod_NwStarter000001", **{"metadata[use_projects]": "counter"})
    gateway_dev.eventually(lambda: "use_projects" in str(gateway_dev.rows("product", id="prod_NwStarter000001")))
    await sign_in(page, gateway_dev, ADA)
    await expect(page.get_by_test_id("plan")).to_be_visible()
    await expect(page.get_by_test_id("usage")).to_have_count(0)
    await buy(page, gateway_dev, "Starter")
    await buy(page, gateway_dev, "API usage")
    await page.get_by_role("link", name="Account").click()
    await expect(page.get_by_test_id("plan").get_by_test_id("plan-name")).to_have_text("Starter")
    await expect(page.get_by_test_id("beside").get_by_test_id("plan-name")).to_have_text("API usage")
    tile = page.get_by_role("region", name="Usage", exact=True)
    await expect(tile).to_contain_text("0 calls in this period")
    in_use(gateway_dev, "reportUsage", eventName="api_calls", value=1234, identifier="today")
    in_use(gateway_dev, "consume", feature="projects", amount=2, idempotencyKey="two")
    in_use(gateway_dev, "grantCredits", amount=7, kind="ai_images", reason="welcome", idempotencyKey="seven")
    await page.reload()
    bar = page.get_by_role("progressbar", name="projects")
    await expect(bar).to_have_attribute("value", "2")
    await expect(page.get_by_test_id("features")).to_contain_text(re.compile(r"2 of 3 used, begins anew on \w"))
    await expect(page.get_by_test_id("credits")).to_contain_text("ai images7")
    await expect(tile).to_contain_text("1,234 calls in this period")
    await expect(tile.get_by_test_id("usage-until")).not_to_be_empty()


@pytest.mark.soak
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
    (charge, *_) = gateway_dev.stripe("GET", "/v1/charges", customer=subscription["customer"])["data"]
    gateway_dev.stripe("POST", "/v1/refunds", charge=charge["id"], amount=100)
    await expect(page.get_by_test_id("invoice").filter(has_text="$1.00 given back")).to_have_count(1)

    in_use(gateway_dev, "offerRetentionCoupon", subscriptionId=subscription["id"], couponId="LAUNCH20")
    await page.reload()
    await page.get_by_test_id("cancel").click()
    await expect(page.get_by_test_id("retention-offer")).to_contain_text("20% off")
    await page.get_by_test_id("accept-offer").click()
    await expect(page.get_by_test_id("discount")).to_contain_text("20% off")

    await page.get_by_test_id("cancel").click()
    await page.get_by_role("radio", name="Now").check()
    await page.get_by_label("Why").select_option("TOO_EXPENSIVE")
    await page.get_by_label("Anything you want to tell us").fill("Perhaps next year")
    await page.get_by_test_id("confirm-cancel").click()
    await expect(page.get_by_test_id("status")).to_have_text("ended")
    await expect(page.get_by_test_id("plan")).to_contain_text("Access until")
    details = gateway_dev.stripe("GET", f"/v1/subscriptions/{subscription['id']}")["cancellation_details"]
    assert (details["feedback"], details["comment"]) == ("too_expensive", "Perhaps next year")


@pytest.mark.soak
async def test_seats_are_added_when_the_bank_has_been_asked_and_given_back_at_the_renewal(page, gateway_dev):
    limits = {"metadata[min_quantity]": "3", "metadata[max_quantity]": "20"}
    gateway_dev.stripe("POST", "/v1/products/prod_NwTeam00000001", **limits)
    gateway_dev.eventually(lambda: "max_quantity" in str(gateway_dev.rows("product", id="prod_NwTeam00000001")))
    await sign_in(page, gateway_dev, ADA)
    await page.goto(f"{gateway_dev.gateway_url}/demo")
    seats = offer(page, "Team").get_by_test_id("quantity")
    await expect(seats).to_have_value("3")
    await offer(page, "Team").get_by_role("button", name="One seat less").click()
    await expect(seats).to_have_value("3")
    for number, why in (("2", "rangeUnderflow"), ("21", "rangeOverflow")):
        await seats.fill(number)
        await offer(page, "Team").get_by_test_id("buy").click()
        assert await seats.evaluate(f"element => element.validity.{why}")
    await buy(page, gateway_dev, "Team", seats=3)
    await page.get_by_test_id("to-account").click()
    await expect(page.get_by_test_id("plan-name")).to_have_text("Team for 3 seats")
    await expect(page.get_by_test_id("price")).to_have_text("$45.00 monthly")
    await expect(page.get_by_test_id("payment-method")).to_have_text("Visa •••• 4242, expires 12/2034")

    await change_card(page, gateway_dev, FAILS_WHEN_CHARGED)
    await choose(page, "Team, monthly", seats=12)
    for number, valid in ((21, False), (2, False), (12, True)):
        await page.get_by_test_id("quantity").fill(str(number))
        assert await page.get_by_test_id("quantity").evaluate("element => element.checkValidity()") is valid
    await page.get_by_test_id("quantity").blur()
    await expect(page.get_by_test_id("confirm-change")).to_contain_text("12 seats")
    await page.get_by_test_id("confirm-change").click()
    alert = page.get_by_test_id("quote").get_by_role("alert").filter(has_text="did not go through")
    await expect(alert).to_be_focused()
    await expect(page.get_by_test_id("plan-name")).to_have_text("Team for 3 seats")
    await page.get_by_test_id("update-method").click()
    await give_card(page, gateway_dev, ALWAYS_ASKS)
    question = page.get_by_test_id("confirmation")
    for answer in ("undo-change", "ask-bank"):  # first it is given up
        due = await choose(page, "Team, monthly", seats=12)
        await expect(page.get_by_test_id("sum")).to_have_text("Total $174.00")
        await expect(page.get_by_test_id("due-at-renewal")).to_have_text("$174.00")
        await page.get_by_test_id("confirm-change").click()
        await expect(page.get_by_test_id("notice")).to_contain_text("confirm the payment with your bank")
        await expect(question).to_contain_text(f"{due}. Your plan is then: Team for 12 seats, monthly.")
        await expect(page.get_by_test_id("plan-name")).to_have_text("Team for 3 seats")
        await page.get_by_test_id(answer).click()
        if answer == "undo-change":
            await expect(page.get_by_test_id("notice")).to_have_text("Your plan stays as it is.")
            await expect(question).to_have_count(0)
    await page.wait_for_url(f"{gateway_dev.stripe_url}/**")
    await page.get_by_test_id("confirm").click()
    await page.get_by_test_id("3ds-approve").click()
    await expect(page.get_by_test_id("status")).to_have_text("Paid")
    gateway_dev.eventually(lambda: [row["quantity"] for row in gateway_dev.rows("subscription_item")], [12])
    await page.goto(f"{gateway_dev.gateway_url}/demo/account")
    await expect(page.get_by_test_id("plan-name")).to_have_text("Team for 12 seats")
    await expect(page.get_by_test_id("price")).to_have_text("$174.00 monthly")
    await expect(question).to_have_count(0)
    billed = page.get_by_test_id("invoice").filter(has_text=due)  # also the one that was given up, in the same second
    await expect(billed.filter(has_text="paid")).to_have_count(1)
    await expect(billed.filter(has_text="void")).to_have_count(1)
    await change_card(page, gateway_dev, GOOD_CARD)

    rate = {"display_name": "VAT", "percentage": 20, "inclusive": "true"}
    tax = gateway_dev.stripe("POST", "/v1/tax_rates", **rate)["id"]
    (subscription,) = gateway_dev.stripe("GET", "/v1/subscriptions")["data"]
    gateway_dev.stripe("POST", f"/v1/subscriptions/{subscription['id']}", **{"default_tax_rates[0]": tax})
    await page.get_by_test_id("code").click()
    await page.get_by_test_id("code-field").fill("NO-SUCH-CODE")
    await page.get_by_test_id("confirm-code").click()
    await expect(page.get_by_test_id("code-form").get_by_role("alert")).to_have_text(re.compile("not valid"))
    await page.get_by_test_id("code-field").fill("LAUNCH20")
    await page.get_by_test_id("confirm-code").click()
    await expect(page.get_by_test_id("discount")).to_contain_text("20% off")
    await expect(page.get_by_test_id("until")).to_contain_text("$139.20")

    assert await choose(page, "Team, monthly", seats=5) == "$0.00"
    await page.get_by_test_id("confirm-change").click()
    await expect(page.get_by_test_id("notice")).to_contain_text("Your plan changes on")
    await expect(page.get_by_test_id("pending-change")).to_have_text("Team for 5 seats, monthly · $60.00")
    await days_pass(page, gateway_dev, 32, until="active")
    await expect(page.get_by_test_id("plan-name")).to_have_text("Team for 5 seats")
    await expect(page.get_by_test_id("invoice").filter(has_text="$60.00")).to_contain_text("incl. $10.00 tax")

    seller_plans(gateway_dev, seats=9, binding=False)
    await page.reload()
    await expect(page.get_by_test_id("pending-change")).to_contain_text("Team for 9 seats")
    await page.get_by_test_id("undo-change").click()
    await expect(page.get_by_test_id("notice")).to_have_text("Your plan stays as it is.")
    await expect(page.get_by_test_id("pending-change")).to_have_count(0)
    seller_plans(gateway_dev, seats=9, binding=True)
    await page.reload()
    await expect(page.get_by_test_id("pending-change")).to_contain_text("Team for 9 seats")
    for name in ("change", "undo-change", "code", "pause"):
        await expect(page.get_by_test_id(name)).to_have_count(0)
    await page.get_by_test_id("cancel").click()
    await page.get_by_test_id("confirm-cancel").click()
    await expect(page.get_by_test_id("notice")).to_contain_text("Your plan ends on")
    await expect(page.get_by_test_id("pending-change")).to_have_count(0)
    await page.get_by_test_id("resume").click()
    await expect(page.get_by_test_id("notice")).to_have_text("Your plan goes on.")
    await expect(page.get_by_test_id("pending-change")).to_contain_text("Team for 9 seats")


@pytest.mark.soak
async def test_add_ons_change_with_the_plan_in_one_quote_and_go_again_with_the_renewal(page, gateway_dev):
    await sign_in(page, gateway_dev, ADA)
    await buy(page, gateway_dev, "Starter")
    await page.goto(f"{gateway_dev.gateway_url}/demo")
    await offer(page, "Storage").get_by_role("link", name="Add to your plan").click()
    storage = page.get_by_role("spinbutton", name="Storage, Number of packs")
    await expect(storage).to_have_value("1")
    await expect(page.get_by_test_id("due-at-renewal")).to_have_text("$13.00")
    await storage.fill("3")
    await storage.blur()
    await expect(page.get_by_test_id("due-at-renewal")).to_have_text("$21.00")
    await page.get_by_test_id("new-plan").select_option(label="Business, monthly · $199.00")
    await storage.fill("2")
    await storage.blur()
    await expect(page.get_by_test_id("due-at-renewal")).to_have_text("$207.00")
    due = await page.get_by_test_id("due-now").inner_text()
    await page.get_by_test_id("confirm-change").click()
    await expect(page.get_by_test_id("notice")).to_have_text(f"Your plan has changed. You paid {due}.")
    await expect(page.get_by_test_id("plan-name")).to_have_text("Business")
    await expect(page.get_by_test_id("addon")).to_have_text("Storage for 2 packs")
    await expect(page.get_by_test_id("until")).to_contain_text("$207.00")
    await expect(page.get_by_test_id("features")).to_contain_text("More storage (GB): up to 200")

    await page.get_by_test_id("change").click()
    await storage.fill("0")
    await storage.blur()
    await page.get_by_role("radio", name="when what you paid for ends").check()
    await page.get_by_role("button", name="Confirm the change").click()
    await expect(page.get_by_test_id("pending-change")).to_have_text("Business, monthly · $199.00")
    await days_pass(page, gateway_dev, 32, until="active")
    await expect(page.get_by_test_id("addon")).to_have_count(0)
    await expect(page.get_by_test_id("invoice").first).to_contain_text("$199.00")


@pytest.mark.soak
async def test_what_costs_nothing_at_first_is_had_without_a_card(chromium, generous):  # noqa: F811
    """A trial, a free plan and a code for all of it, by the shop's own button; and on the hosted page for a guest."""
    free = generous.stripe("POST", "/v1/products", name="Free", **{"metadata[sort_order]": 0})["id"]
    given = {"currency": "usd", "unit_amount": 0, "recurring[interval]": "month"}
    price = generous.stripe("POST", "/v1/prices", product=free, **given)["id"]
    gift = generous.stripe("POST", "/v1/coupons", percent_off=100, duration="forever")["id"]
    generous.stripe(
        "POST", "/v1/promotion_codes", code="GIFT", **{"promotion[type]": "coupon", "promotion[coupon]": gift}
    )
    generous.eventually(lambda: generous.rows("price", id=price))
    async with checked_page(chromium, generous.gateway_url, generous.stripe_url) as page:
        shop = f"{generous.gateway_url}/demo"
        await page.goto(shop)  # a guest
        await offer(page, "Pro").get_by_test_id("buy").click()
        await page.wait_for_url(f"{generous.stripe_url}/**")
        await page.locator("input[name=email]").fill("guest@example.com")
        await expect(page.locator("input[name=card_number]")).to_have_count(0)
        await page.get_by_test_id("pay").click()
        await expect(page.get_by_role("heading", name="Your trial has started")).to_be_visible()

        await sign_in(page, generous, ADA)
        await page.goto(shop)
        await offer(page, "Pro").get_by_test_id("buy").click()
        await page.wait_for_url(f"{shop}/account")
        await expect(page.get_by_test_id("status")).to_have_text("free trial")
        await expect(page.get_by_test_id("payment-method")).to_have_count(0)

        await page.get_by_test_id("sign-out").click()
        await sign_in(page, generous, GRACE)
        await page.goto(shop)
        await offer(page, "Free").get_by_test_id("buy").click()
        await page.wait_for_url(f"{shop}/account")
        await expect(page.get_by_test_id("plan-name")).to_have_text("Free")
        (newest, *_) = generous.stripe("GET", "/v1/subscriptions")["data"]
        generous.stripe("DELETE", f"/v1/subscriptions/{newest['id']}")
        generous.eventually(lambda: generous.rows("subscription", id=newest["id"])[0]["status"], "canceled")
        await page.goto(f"{shop}?code=GIFT")
        await offer(page, "Starter").get_by_test_id("buy").click()
        await page.wait_for_url(f"{shop}/account")
        await expect(page.get_by_test_id("discount")).to_contain_text("100% off")
        assert [each["amount_paid"] for each in generous.stripe("GET", "/v1/invoices")["data"]] == [0, 0, 0, 0]

        generous.client.post(f"{generous.stripe_url}/_sandbox/clock/advance", json={"by": 15 * 86_400})
        generous.eventually(lambda: len(generous.rows("subscription", status="paused")), 2)
        await page.get_by_test_id("sign-out").click()
        await sign_in(page, generous, ADA)
        await expect(page.get_by_test_id("status")).to_have_text("paused")
        await page.get_by_test_id("cancel").click()
        await expect(page.get_by_role("radio")).to_have_count(1)  # now: no period goes on
        await page.get_by_test_id("close").click()
        await page.get_by_test_id("resume").click()  # nothing pays it
        await expect(page.get_by_test_id("pay-invoice")).to_have_text("Pay $29.00 now")
        await expect(page.get_by_test_id("resume")).to_have_count(0)
        await page.get_by_test_id("pay-invoice").click()
        await page.wait_for_url(f"{generous.stripe_url}/**")
        await page.get_by_test_id("pay-invoice").click()
        await pay_form(page, GOOD_CARD)
        await page.get_by_test_id("pay").click()
        generous.eventually(lambda: len(generous.rows("subscription", status="paused")), 1)  # a guest's
        await page.goto(f"{shop}/account")
        await expect(page.get_by_test_id("status")).to_have_text("active")


@pytest.mark.soak
async def test_the_pages_speak_the_language_of_the_browser(chromium, gateway_dev):  # noqa: F811
    addresses = gateway_dev.gateway_url, gateway_dev.stripe_url
    for language, user, title, price, change in (
        ("de-AT", ADA, "Einfache Preise", "€ 9,00", "Upgrade"),
        ("fr-FR", GRACE, "Des tarifs simples", "9,00 €", "Passer au-dessus"),
    ):
        async with checked_page(chromium, *addresses, locale=language) as page:
            await sign_in(page, gateway_dev, user)
            await page.goto(f"{gateway_dev.gateway_url}/demo")
            await expect(page.get_by_role("heading", level=1)).to_contain_text(title)
            await expect(page.locator("html")).to_have_attribute("lang", language[:2])
            await expect(offer(page, "Starter").locator(".price strong")).to_contain_text(price)
            await buy(page, gateway_dev, "Starter")
            await page.goto(f"{gateway_dev.gateway_url}/demo")
            await offer(page, "Business").get_by_role("link", name=change).click()
            await expect(page.get_by_test_id("confirm-change")).to_contain_text("Business")
            await page.get_by_test_id("language").select_option("en")
            await expect(page.get_by_role("heading", level=1)).to_have_text("Your account")


@pytest.mark.soak
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


@pytest.mark.soak
async def test_credits_that_were_bought_stand_in_the_account(page, gateway_dev):
    await sign_in(page, gateway_dev, ADA)
    await expect(page.get_by_test_id("credit-balance")).to_have_text("0")
    await buy(page, gateway_dev, "100 credits", card="product-card")
    await page.get_by_role("link", name="Account").click()
    await expect(page.get_by_test_id("credit-balance")).to_have_text("100")
    await expect(page.get_by_test_id("credit-entry")).to_contain_text("+100")


@pytest.mark.soak
async def test_the_other_user_sees_nothing_of_it(page, gateway_dev):
    await sign_in(page, gateway_dev, ADA)
    await buy(page, gateway_dev, "Starter")
    await page.get_by_role("link", name="Account").click()
    await expect(page.get_by_test_id("plan-name")).to_have_text("Starter")
    await page.get_by_test_id("sign-out").click()
    await page.get_by_test_id(f"sign-in-{GRACE}").click()
    await expect(page.get_by_test_id("plan")).to_contain_text("No plan yet")
    await expect(page.get_by_test_id("invoice")).to_have_count(0)
