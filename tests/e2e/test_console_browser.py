"""The console, used as an operator would: a failed payment, no access, a dead letter, a report; and attacked."""

import asyncio
import re
from datetime import UTC, datetime
from itertools import product
from pathlib import Path

import pytest
from playwright.async_api import Page, expect

from harness.chromium import checked_page, chromium  # noqa: F401 - a fixture
from harness.gateway import make_world
from harness.npm import install
from harness.subscriptions import customer, settled, subscribe

pytestmark = [pytest.mark.browser, pytest.mark.soak]

ANN, BOB = f"op_{'a' * 40}", f"op_{'b' * 40}"
CONSOLE = {"console": True, "operator_tokens": f"ann:act:{ANN},bob:read:{BOB}", "figures_rates": "EUR USD=0.9"}
NASTY = '<img src=x onerror="document.title=1"><b>Eve</b> {{7*7}}'
MONTH = datetime.now(UTC).strftime("%Y-%m")
BROKEN = """[document.documentElement, ...document.querySelectorAll(".card, .head, .tile")]
    .filter((each) => each.scrollWidth > each.clientWidth).map((each) => each.className || "the page")"""


@pytest.fixture(scope="module")
def shop(new_sqlite):
    """A gateway with one who has paid, one whose card failed, one who is nobody's user, and a dead letter."""
    with make_world(new_sqlite(), **CONSOLE, outbound_endpoints=f"http://127.0.0.1:9/hooks whsec_{'A' * 32}") as world:
        world.ada = customer(world, "ada", email="ada@example.com", name=NASTY)
        world.paid = subscribe(world, world.ada)
        world.grace = customer(world, "grace", email="grace@example.com")
        world.late = subscribe(world, world.grace, "business_monthly")
        card = world.stripe("POST", "/v1/payment_methods/pm_card_chargeCustomerFail/attach", customer=world.grace)["id"]
        world.stripe("POST", f"/v1/subscriptions/{world.late['id']}", default_payment_method=card)
        world.advance(to=int(datetime.now(UTC).timestamp()) + 33 * 86_400)
        settled(world, world.late["id"])
        settled(world, world.paid["id"])
        world.nobody = world.stripe("POST", "/v1/customers", email="lost@example.com")["id"]
        method = world.stripe("POST", "/v1/payment_methods/pm_card_visa/attach", customer=world.nobody)["id"]
        world.stripe("POST", f"/v1/customers/{world.nobody}", **{"invoice_settings[default_payment_method]": method})
        world.eventually(lambda: world.rows("payment_method", customer_id=world.nobody))
        subscribe(world, world.nobody, "pro_monthly")
        world.dead = world.rows("event", object_id=world.paid["id"])[0]["id"]
        broken = "UPDATE event SET status = 'dead', outcome = 'given up', last_error = 'it broke' WHERE id = :id"
        world._execute(broken, {"id": world.dead})
        world.eventually(lambda: world.rows("customer_figures") and not world.rows("customer_figures", due=True))
        yield world


@pytest.fixture
async def page(chromium, shop):  # noqa: F811
    async with checked_page(chromium, shop.url) as page:
        await sign_in(page, shop, ANN)
        yield page


async def sign_in(page: Page, shop, token: str, place: str = "") -> None:
    await page.goto(f"{shop.url}/console{place}")
    await page.get_by_label("Token").fill(token)
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("navigation")).to_be_visible()


async def go(page: Page, name: str) -> None:
    await page.get_by_role("navigation").get_by_role("link", name=name, exact=True).click()
    await expect(page.locator("h1")).to_be_focused()


async def find(page: Page, text: str) -> None:
    await go(page, "Customers")
    await page.get_by_label("E-mail, your id").fill(text)
    await page.get_by_role("button", name="Search").click()
    await page.locator("tbody tr").first.get_by_role("link").click()


async def test_a_failed_payment_is_seen_understood_and_given_credits_for(page, shop):
    await expect(page.get_by_text("Past due now")).to_be_visible()
    await find(page, "Grace@Example.com")
    await expect(page.get_by_role("heading", name="grace@example.com")).to_be_visible()
    invoices = page.get_by_role("region", name="The newest 20 invoices")
    await expect(invoices.get_by_text("open", exact=True)).to_be_visible()
    why = page.locator("details", has_text="projects").first
    await why.locator("summary").click()
    await expect(why.get_by_text(re.compile("An invoice is unpaid since|past_due"))).not_to_have_count(0)
    await page.get_by_role("button", name="Grant credits").click()
    await page.get_by_label("How many").fill("25")
    await page.get_by_label("Why").fill("for the trouble")
    await page.get_by_role("dialog").get_by_role("button", name="Grant credits").click()
    await expect(page.get_by_text("for the trouble")).to_be_visible()
    await expect(page.get_by_role("region", name="The newest 20 actions").get_by_text("operator ann")).to_be_visible()


async def test_whoever_has_no_access_is_found_by_email_and_linked(page, shop):
    await find(page, "lost@example.com")
    await expect(page.get_by_text(re.compile("^nobody.s$"))).to_be_visible()
    for name, title in (("End with period", "End with the period"), ("Go on", "Go on")):  # a customer of nobody's, too
        await page.get_by_role("button", name=f"{name}: sub_").click()
        await expect(page.get_by_role("dialog")).to_contain_text("of lost@example.com")
        await page.get_by_role("dialog").get_by_role("button", name=title).click()
        await expect(page.get_by_role("dialog")).to_have_count(0)
        await expect(page.get_by_role("button", name=f"{name}: sub_")).to_have_count(0)
    await expect(page.get_by_role("region", name="The newest 20 actions").get_by_text("operator ann")).to_have_count(2)
    await page.get_by_role("button", name="Link to a user").click()
    await page.get_by_label("The user, by your id").fill("lost-and-found")
    await page.keyboard.press("Escape")  # second thoughts
    await expect(page.get_by_role("dialog")).to_have_count(0)
    assert shop.rows("customer", id=shop.nobody)[0]["external_id"] is None
    await page.get_by_role("button", name="Link to a user").click()
    await page.get_by_label("The user, by your id").fill("lost-and-found")
    await page.keyboard.press("Enter")
    await expect(page.get_by_text("lost-and-found").first).to_be_visible()
    access = shop.data(
        'query { customer(externalId: "lost-and-found") { access(feature: "api") { allowed reason } } }',
        None,
        {"Authorization": f"Bearer {shop.settings.service_tokens[0].get_secret_value()}"},
    )["customer"]["access"]
    row = page.locator("details", has=page.get_by_text("api", exact=True))
    await expect(row).to_contain_text(f"{'yes' if access['allowed'] else 'no'} {access['reason']}")


async def test_a_dead_letter_comes_first_is_read_and_retried_by_the_keyboard_alone(page, shop):
    await go(page, "Events")
    row = page.locator("tbody tr")
    await expect(row).to_have_count(1)  # dead letters first
    await expect(row).to_contain_text("it broke")
    await row.get_by_role("link").focus()
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("region", name="Payload")).to_contain_text(shop.paid["id"])
    await page.get_by_role("button", name=f"Apply again: {shop.dead}").focus()
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("dialog")).to_be_visible()
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("status")).to_have_text("1 are due now.")
    shop.eventually(lambda: shop.rows("event", id=shop.dead)[0]["status"] in {"applied", "stale"})
    await go(page, "Audit log")
    await expect(page.get_by_text("events.retry")).to_be_visible()


async def test_what_is_shown_is_live_and_disturbs_nobody_who_reads(page, shop):
    live = page.get_by_text(re.compile(r"^Live \d\d:\d\d:\d\d$"))
    await expect(live).to_be_visible()
    other = shop.rows("event", object_id=shop.late["id"])[0]["id"]
    shop._execute("UPDATE event SET status = 'dead' WHERE id = :id", {"id": other})
    await expect(page.get_by_text(re.compile("waiting for you: .* in inbox"))).to_be_visible()
    await go(page, "Health")
    await expect(page.get_by_role("row", name=re.compile("^inbox 0 0 [12] "))).to_be_visible()
    shop._execute("UPDATE event SET status = 'applied' WHERE id = :id", {"id": other})
    await expect(page.get_by_role("row", name=re.compile("^inbox 0 0 [01] "))).to_be_visible()
    await find(page, "ada@example.com")
    why = page.locator("details", has_text="projects").first
    await why.locator("summary").click()
    await page.get_by_role("button", name="Unlink").focus()
    gift = {"whom": {"externalId": "ada"}, "amount": 7, "reason": "while you look", "idempotencyKey": "live"}
    query = "mutation($i: OperatorGrantCreditsInput!) { operatorGrantCredits(input: $i) { userErrors { code } } }"
    shop.data(query, {"i": gift}, {"Authorization": f"Bearer {ANN}"})
    await expect(page.get_by_text("while you look")).to_be_visible()
    await expect(why).to_have_attribute("open", "")
    await expect(page.get_by_role("button", name="Unlink")).to_be_focused()
    await page.evaluate("() => { window.kept = fetch; window.fetch = () => Promise.reject(new TypeError('away')); }")
    await expect(page.get_by_text("Not live: The gateway does not answer.")).to_be_visible()
    await expect(page.get_by_text("while you look")).to_be_visible()
    await page.evaluate("() => { window.fetch = window.kept; }")
    await expect(live).to_be_visible()


async def test_a_months_report_is_what_the_fields_say_and_goes_into_a_spreadsheet(page, shop):
    query = """query($m: String!) { operator { figures(firstMonth: $m, lastMonth: $m) { waiting
        byCurrency { currency mrr { formatted } customers } } } }"""
    figures = shop.data(query, {"m": MONTH}, {"Authorization": f"Bearer {BOB}"})["operator"]["figures"]["byCurrency"][0]
    await page.get_by_label("Period").select_option("3")
    await page.get_by_label("Currency").select_option(figures["currency"])
    table = page.get_by_role("region", name=re.compile("Amounts in"))
    row = table.locator("tr", has=page.get_by_role("cell", name=MONTH, exact=True))
    await expect(row).to_contain_text(figures["mrr"]["formatted"])
    assert await page.get_by_role("img", name=re.compile(r"^mrr from")).count() == 1
    async with page.expect_download() as caught:
        await page.get_by_role("button", name="CSV").click()
    text = await asyncio.to_thread(Path(await (await caught.value).path()).read_text)
    assert text.startswith("month,currency,mrr,")
    assert f"{MONTH},{figures['currency']}," in text
    await page.get_by_label("Currency").select_option("all together")
    await expect(page.get_by_role("region", name="Amounts in all together")).to_contain_text("€")


async def test_what_somebody_typed_stays_text_and_who_may_only_read_sees_no_button(chromium, shop):  # noqa: F811
    async with checked_page(chromium, shop.url) as page:
        await sign_in(page, shop, BOB, f"#/customers/{shop.ada}")
        await expect(page.get_by_text(NASTY)).to_be_visible()
        assert await page.locator("main img, main b").count() == 0
        assert "Billing console" in await page.title()
        for name in ("Refund", "End now", "Grant credits", "Unlink"):
            await expect(page.get_by_role("button", name=name)).to_have_count(0)
        assert await page.evaluate("document.cookie") == ""
        assert await page.evaluate("localStorage.length") == 0
        await page.get_by_role("button", name="Sign out").click()
        assert await page.evaluate("sessionStorage.length") == 0
        await expect(page.get_by_label("Token")).to_be_focused()


async def test_a_wrong_token_opens_nothing(chromium, shop):  # noqa: F811
    context = await chromium.new_context()
    page = await context.new_page()
    await page.goto(f"{shop.url}/console#/customers")
    await page.get_by_label("Token").fill(f"op_{'x' * 40}")
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("alert")).to_have_text("this is no operator's token")
    await expect(page.get_by_role("navigation")).to_be_hidden()
    await page.goto(f"{shop.url}/console#token={ANN}")  # a link signs nobody in who has not begun to
    await page.reload()
    await expect(page.get_by_label("Token")).to_be_visible()
    await expect(page.get_by_role("navigation")).to_be_hidden()
    await context.close()


async def test_axe_finds_nothing_at_any_width_in_light_and_dark(page, shop):
    axe = (install(Path(__file__).parent / "axe", "axe-core is") / "axe-core" / "axe.min.js").read_text()
    found = {}
    places = (
        "",
        "customers",
        f"customers/{shop.ada}",
        "events",
        f"events/{shop.dead}",
        "messages",
        "usage",
        "health",
        "audit",
    )
    for place in places:
        await page.goto(f"{shop.url}/console#/{place}")
        await expect(page.locator("h1")).to_be_visible()
        await page.evaluate(f"{axe};0")
        for width, scheme in product((375, 1280), ("light", "dark")):
            await page.set_viewport_size({"width": width, "height": 900})
            await page.emulate_media(color_scheme=scheme)
            result = await page.evaluate("axe.run(document, {resultTypes: ['violations']})")
            wrong = [f"{each['id']}: {node['html'][:160]}" for each in result["violations"] for node in each["nodes"]]
            wrong += [f"wider than there is room: {each}" for each in await page.evaluate(BROKEN)]
            if wrong:
                found[place, width, scheme] = wrong
    assert found == {}
