"""The pages that a customer sees, by axe-core at each width, in light and dark, and by the keyboard alone."""

import re
from itertools import cycle, product
from pathlib import Path

import pytest
from playwright.async_api import Page, expect

from harness.chromium import checked_page, chromium  # noqa: F401 - a fixture
from harness.npm import install
from harness.shop_pages import ALWAYS_ASKS, buy, change_card, choose, sign_in

pytestmark = [pytest.mark.browser, pytest.mark.soak]

ALL = tuple(product((320, 375, 640, 1280), ("light", "dark")))
EXTREMES = (320, "light"), (1280, "dark")
LONG_WORD = "Donaudampfschifffahrtselektrizitätenhauptbetriebswerkbauunterbeamtengesellschaft"
BROKEN = """[document, ...[...document.querySelectorAll("*")].map((each) => each.shadowRoot).filter(Boolean)]
    .flatMap((root) => [...root.querySelectorAll(".card, .tile, .panel")]).concat(document.documentElement)
    .filter((each) => each.scrollWidth > each.clientWidth).map((each) => each.className || "the page")"""


@pytest.fixture(scope="module")
def axe() -> str:
    """The source of axe-core."""
    return (install(Path(__file__).parent / "axe", "axe-core is") / "axe-core" / "axe.min.js").read_text()


@pytest.fixture
async def page(chromium, gateway_dev):  # noqa: F811
    async with checked_page(chromium, gateway_dev.gateway_url, gateway_dev.stripe_url) as page:
        yield page


async def check(page: Page, axe: str, looks) -> None:
    """Nothing that axe finds wrong, nothing wider than the window, and no word longer than its card."""
    found = {}
    await page.evaluate(f"{axe};0")
    for width, scheme in looks:
        await page.set_viewport_size({"width": width, "height": 900})
        await page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
        only = "{resultTypes: ['violations']}).then(({violations}) => violations"  # what passes is megabytes
        violations = await page.evaluate(f"axe.run(document, {only})")
        wrong = [f"{each['id']}: {node['html'][:200]}" for each in violations for node in each["nodes"]]
        wrong += [f"wider than there is room: {each}" for each in await page.evaluate(BROKEN)]
        if wrong:
            found[page.url, width, scheme] = wrong
    assert found == {}


@pytest.mark.parametrize(
    "turns",
    [pytest.param([[each] for each in EXTREMES], id="in turns"), pytest.param([ALL], id="all")],
)
async def test_axe_finds_nothing_on_the_way_of_a_customer(page, gateway_dev, axe, turns):
    looks = cycle(turns)

    async def see() -> None:
        await check(page, axe, next(looks))

    gateway_dev.stripe("POST", "/v1/products/prod_NwBusiness00001", name=LONG_WORD, description=LONG_WORD)
    gateway_dev.eventually(lambda: gateway_dev.rows("product", id="prod_NwBusiness00001")[0]["name"], LONG_WORD)
    counted = {"metadata[limit_projects]": "10", "metadata[use_projects]": "counter"}
    gateway_dev.stripe("POST", "/v1/products/prod_NwTeam00000001", **counted)
    gateway_dev.eventually(lambda: "use_projects" in str(gateway_dev.rows("product", id="prod_NwTeam00000001")))
    await page.goto(f"{gateway_dev.gateway_url}/demo?interval=YEAR")
    await expect(page.get_by_test_id("comparison")).to_be_visible()
    await page.get_by_text("See the query behind this page").click()
    await see()
    await see()
    await sign_in(page, gateway_dev, "ada@example.com")
    await see()
    await buy(page, gateway_dev, "Team", seats=3, on_the_way=see)
    await see()
    await page.goto(f"{gateway_dev.gateway_url}/demo")
    await expect(page.get_by_test_id("standing").first).to_be_visible()
    await see()
    await page.goto(f"{gateway_dev.gateway_url}/demo/account")
    await expect(page.get_by_test_id("used")).to_be_visible()
    for opener in ("pause", "cancel", "code"):
        await page.get_by_test_id(opener).click()
        await see()
    await choose(page, f"{LONG_WORD}, yearly")
    await see()
    await see()
    await change_card(page, gateway_dev, ALWAYS_ASKS)
    await choose(page, f"{LONG_WORD}, yearly")
    await page.get_by_test_id("confirm-change").click()
    await expect(page.get_by_test_id("ask-bank")).to_be_visible()
    await see()
    await see()
    await page.get_by_test_id("portal").click()
    await page.wait_for_url(f"{gateway_dev.stripe_url}/**")
    await see()


async def test_a_plan_is_changed_with_the_keyboard_alone(page, gateway_dev):
    await sign_in(page, gateway_dev, "ada@example.com")
    await buy(page, gateway_dev, "Starter")
    await page.goto(f"{gateway_dev.gateway_url}/demo/account")
    await page.get_by_test_id("change").focus()
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("heading", name="Change your plan")).to_be_focused()
    await expect(page.get_by_test_id("new-plan")).to_be_visible()
    await page.keyboard.press("Tab")
    await expect(page.get_by_test_id("new-plan")).to_be_focused()
    await page.keyboard.type("Business, m")
    confirm = page.get_by_test_id("confirm-change")
    await expect(confirm).to_have_text("Change to Business, monthly")
    for stop in (*("One pack less", "Number of packs", "One pack more"), None):
        await page.keyboard.press("Tab")
        if stop:
            await expect(page.get_by_label(f"Storage, {stop}")).to_be_focused()
    await page.keyboard.press("ArrowDown")
    await expect(page.get_by_role("radio", name=re.compile("when what you paid for ends"))).to_be_focused()
    await expect(page.get_by_test_id("due-now")).to_have_text("$0.00")
    assert "false" not in await page.get_by_test_id("quote").inner_text()
    await page.keyboard.press("ArrowUp")
    await expect(page.get_by_role("radio", name="Now")).to_be_focused()
    await expect(page.get_by_test_id("due-now")).not_to_have_text("$0.00")
    while not await confirm.evaluate("element => element === element.getRootNode().activeElement"):
        await page.keyboard.press("Tab")
        assert await page.evaluate("document.activeElement !== document.body"), "the button cannot be reached"
    await page.keyboard.press("Enter")
    await expect(page.get_by_test_id("notice")).to_be_focused()
    await expect(page.get_by_test_id("plan-name")).to_have_text("Business")
