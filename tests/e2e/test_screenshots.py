"""The pictures of the README and the documentation: `make screenshots` takes them anew.

Without `SCREENSHOTS`, the folder to write them to, they go to a temporary one: the way to each picture is tried all the
same.
"""

import os
import re
from datetime import UTC, datetime
from pathlib import Path

import pytest
from playwright.async_api import Page, expect

from harness.chromium import checked_page, chromium  # noqa: F401 - a fixture
from harness.gateway import make_world
from harness.shop_pages import buy, choose, sign_in
from harness.subscriptions import price_id

pytestmark = [pytest.mark.browser, pytest.mark.soak]

MOST_BYTES = 150_000
"""Of a picture: they stand in the repository for good."""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return Path(os.environ.get("SCREENSHOTS") or tmp_path)


async def picture(page: Page, folder: Path, name: str, height: int) -> None:
    """Take the upper part of a page, in its width, without the gradient behind it, which takes half of the file."""
    await page.mouse.move(0, 0)
    await page.evaluate("document.activeElement.blur(); scrollTo(0, 0); document.body.style.backgroundImage = 'none'")
    await page.set_viewport_size({"width": page.viewport_size["width"], "height": height})
    path = folder / f"{name}.png"
    await page.screenshot(path=path, animations="disabled")
    assert path.stat().st_size < MOST_BYTES, f"{path.name} is too large"


async def test_the_shop_and_the_account(chromium, gateway_dev, folder):  # noqa: F811
    addresses = gateway_dev.gateway_url, gateway_dev.stripe_url
    async with checked_page(chromium, *addresses) as page:
        await page.goto(f"{gateway_dev.gateway_url}/demo?interval=YEAR")
        # the plan with seats, and the add-on that is sold by the piece
        await expect(page.get_by_test_id("plan-card").filter(has_text="Total")).to_have_count(2)
        await picture(page, folder, "shop", 900)
        await sign_in(page, gateway_dev, "ada@example.com")
        await buy(page, gateway_dev, "Team", seats=12, on_the_way=lambda: picture(page, folder, "checkout", 720))
        await page.goto(f"{gateway_dev.gateway_url}/demo/account")
        await choose(page, "Business, monthly")
        await picture(page, folder, "account", 1180)
        await page.goto(gateway_dev.stripe_url)
        await picture(page, folder, "sandbox", 640)
        (subscription,) = gateway_dev.stripe("GET", "/v1/subscriptions")["data"]
        await page.goto(f"{gateway_dev.stripe_url}/subscriptions/{subscription['id']}")
        await picture(page, folder, "sandbox-subscription", 700)


async def test_the_shop_on_a_telephone_in_the_dark_in_german(chromium, gateway_dev, folder):  # noqa: F811
    looks = {"locale": "de-DE", "color_scheme": "dark", "viewport": {"width": 375, "height": 800}}
    async with checked_page(chromium, gateway_dev.gateway_url, **looks) as page:
        await page.goto(f"{gateway_dev.gateway_url}/demo?interval=YEAR")
        await expect(page.get_by_test_id("plan-card").filter(has_text="Zusammen")).to_have_count(2)
        await picture(page, folder, "shop-narrow", 1100)


async def test_graphiql(chromium, gateway_dev, folder):  # noqa: F811
    async with checked_page(chromium, gateway_dev.gateway_url) as page:
        await page.goto(f"{gateway_dev.gateway_url}/graphql")
        await page.locator(".graphiql-execute-button").click()
        await expect(page.locator(".result-window")).to_contain_text('"products"')
        await picture(page, folder, "graphiql", 640)


TOKEN = f"op_{'a' * 40}"


@pytest.fixture
def year(new_sqlite):
    """A gateway of ten months, in which somebody comes every 26 days."""
    begins = int(datetime(2026, 1, 5, tzinfo=UTC).timestamp())
    with make_world(new_sqlite(), clock=begins, console=True, operator_tokens=f"ann:act:{TOKEN}") as world:
        for number, plan in enumerate(("starter_monthly", "pro_monthly", "business_monthly", "starter_monthly") * 3):
            world.advance(to=begins + (number + 1) * 26 * 86_400)
            cus = world.stripe("POST", "/v1/customers", email=f"buyer{number}@example.com")["id"]
            method = world.stripe("POST", "/v1/payment_methods/pm_card_visa/attach", customer=cus)["id"]
            pays = {"default_payment_method": method, "items[0][price]": price_id(world, plan)}
            sold = world.stripe("POST", "/v1/subscriptions", customer=cus, **pays)
            if number % 4 == 3:
                world.stripe("POST", f"/v1/subscriptions/{sold['id']}", cancel_at_period_end="true")
        figures = '{ operator { figures(firstMonth: "2026-01", lastMonth: "2026-10") { waiting } } }'
        headers = {"Authorization": f"Bearer {TOKEN}"}
        invoices = len(world.stripe("GET", "/v1/invoices", limit=100)["data"])
        world.eventually(lambda: len(world.rows("invoice")), invoices, seconds=60)
        world.eventually(lambda: world.data(figures, None, headers)["operator"]["figures"]["waiting"], 0)
        yield world


async def test_the_operators_console(chromium, year, folder):  # noqa: F811
    async with checked_page(chromium, year.url) as page:
        await page.clock.set_fixed_time(datetime(2026, 10, 20, tzinfo=UTC))
        await page.goto(f"{year.url}/console")
        await page.get_by_label("Token").fill(TOKEN)
        await page.keyboard.press("Enter")
        await expect(page.get_by_role("img", name=re.compile("^mrr from"))).to_be_visible()
        await picture(page, folder, "console", 900)
