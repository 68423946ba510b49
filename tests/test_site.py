"""The site of the documentation that `make docs` has built: in a browser, and against what it is made of."""

import json
import os
import re

import pytest
from playwright.async_api import expect
from starlette.applications import Starlette
from starlette.routing import Mount
from starlette.staticfiles import StaticFiles

from gateway.settings import Settings
from gateway.settings.load import variable_of
from gateway.webhooks.handlers import ENDPOINT_EVENTS
from harness.chromium import checked_page, chromium  # noqa: F401 - a fixture
from harness.command import commands
from harness.gateway import listening, serve
from harness.paths import ROOT

SITE = ROOT / "dist" / "site"

pytestmark = [pytest.mark.browser, pytest.mark.soak]  # `make docs` builds it first


@pytest.fixture
def address():
    """Where the site is served."""
    listener, address = listening()
    with serve(Starlette(routes=[Mount("/", StaticFiles(directory=SITE, html=True))]), listener):
        yield address


async def test_a_reader_searches_reads_in_the_dark_and_asks_nobody_else(chromium, address):  # noqa: F811
    async with checked_page(chromium, address, color_scheme="dark") as page:
        await page.goto(address)
        ground = "getComputedStyle(document.body).backgroundColor"
        assert max(map(int, re.findall(r"\d+", await page.evaluate(ground))[:3])) < 60
        await page.get_by_label("Search").first.fill("grace period")
        await page.keyboard.press("Enter")
        await expect(page.get_by_role("link", name="Rules of money and access").first).to_be_visible(timeout=30_000)
        for name in ("index", "reference/schema", "elements"):
            await page.goto(f"{address}/{name}.html")
            if folder := os.environ.get("SCREENSHOTS"):
                await page.screenshot(path=f"{folder}/site-{name.replace('/', '-')}.png")
        await page.set_viewport_size({"width": 375, "height": 800})
        assert await page.evaluate("document.documentElement.scrollWidth") <= 375


def test_the_reference_has_everything():
    pages = {path.stem: path.read_text() for path in SITE.glob("reference/*.html")}
    types = re.findall(r"^(?:type|enum|input|interface) (\w+)", (ROOT / "schema.graphql").read_text(), re.MULTILINE)
    assert [name for name in types if f'id="{name.lower()}"' not in pages["schema"]] == []
    assert [name for name, _ in commands() if f">{name}<" not in pages["commands"]] == []
    assert [name for name in ENDPOINT_EVENTS if f">{name}<" not in pages["events"]] == []
    codes = json.loads((ROOT / "gateway/billing/sentences/en.json").read_text())["errors"]
    assert [code for code in codes if f">{code}<" not in pages["errors"]] == []
    settings = (SITE / "settings.html").read_text()
    assert [name for name in map(variable_of, Settings.model_fields.values()) if name not in settings] == []


def test_language_models_find_each_page_as_text():
    text = (SITE / "llms.txt").read_text()
    named = re.findall(r"\]\(([^)]+)\)", text)
    assert len(named) > 20
    assert [name for name in named if not (SITE / name).exists()] == []
    assert {path.stem for path in (ROOT / "docs").glob("*.md")} - {"index"} <= {
        name.removeprefix("_sources/").removesuffix(".md.txt") for name in named
    }
