"""The pages of `docs/examples`, as they stand there, each from nothing to a paid plan in a real browser.

Each is built by its own tools, with the package as npm would deliver it, and calls a `gateway dev` of its own. Only the
port in it is another one.
"""

import asyncio
import shlex
import subprocess
import sys
from contextlib import contextmanager

import pytest
from playwright.async_api import expect
from starlette.applications import Starlette
from starlette.routing import Mount
from starlette.staticfiles import StaticFiles

from harness.chromium import checked_page, chromium  # noqa: F401 - a fixture
from harness.examples import EXAMPLES, TOOLS, copied, modules, run, started  # noqa: F401 - a fixture
from harness.gateway import listening, serve
from harness.pages import blocks
from harness.shop_pages import GOOD_CARD, offer, pay_form
from harness.waiting import free_port

pytestmark = [pytest.mark.browser, pytest.mark.soak]

PATIENCE = 20_000
OWN = {
    "plain": ("index.html",),
    "react": ("main.jsx",),
    "vue": ("App.vue", "main.js"),
    "svelte": ("App.svelte", "main.js"),
    "nextjs": ("app/page.js",),
}
"""What somebody writes beside what the framework's own command to begin with has written."""


@contextmanager
def page_of(name, folder):
    """An example, built and served; its address."""
    if name == "nextjs":
        port = free_port()
        run(TOOLS / "node_modules/.bin/next", "build", folder, cwd=TOOLS)
        url = f"http://127.0.0.1:{port}"
        with started([TOOLS / "node_modules/.bin/next", "start", folder, "--port", str(port)], url, cwd=TOOLS):
            yield url
        return
    if name != "plain":
        run(TOOLS / "node_modules/.bin/vite", "build", folder, "--logLevel", "warn", cwd=TOOLS)
        folder /= "dist"
    listener, url = listening()
    with serve(Starlette(routes=[Mount("/", StaticFiles(directory=folder, html=True))]), listener):
        yield url


@pytest.mark.parametrize("name", OWN)
async def test_an_example_goes_from_nothing_to_a_paid_plan_in_thirty_lines(name, chromium, request, tmp_path):  # noqa: F811
    own = [line for file in OWN[name] for line in (EXAMPLES / name / file).read_text().splitlines() if line.strip()]
    assert len(own) <= 30
    ports = free_port(), free_port()
    gateway, stripe = (f"http://127.0.0.1:{port}" for port in ports)
    if name != "plain":
        request.getfixturevalue("modules")
    folder = copied(name, gateway)
    command = [sys.executable, "-m", "gateway", "dev", "--port", str(ports[0]), "--stripe-port", str(ports[1])]
    with page_of(name, folder) as url, started(command, f"{gateway}/healthz", cwd=tmp_path):
        async with checked_page(chromium, gateway, stripe, url) as page:
            await page.goto(url)
            await expect(page.get_by_text("Automation comes with the plan Pro.")).to_be_visible(timeout=PATIENCE)
            await offer(page, "Pro").get_by_test_id("buy").click()
            await page.wait_for_url(f"{stripe}/**")
            await pay_form(page, GOOD_CARD)
            await page.get_by_test_id("pay").click()
            await page.wait_for_url(f"{url}/**")
            await expect(page.get_by_role("heading", name="Your trial has started")).to_be_visible(timeout=PATIENCE)
            await expect(page.get_by_text("Automation is yours.")).to_be_visible(timeout=PATIENCE)
            await expect(offer(page, "Pro")).to_contain_text("Your plan", timeout=PATIENCE)
            if name == "plain":
                await own_feature(page, url, folder, gateway, stripe)


async def own_feature(page, url, folder, gateway, stripe):
    """From the second step of docs/gate-a-feature.md on, for who has the plan already."""
    (html,), (*_, give) = blocks("gate-a-feature", "html"), blocks("gate-a-feature", "sh")
    (folder / "mine.html").write_text(html.replace("http://127.0.0.1:8000", gateway))
    await page.goto(f"{url}/mine.html")
    await expect(page.get_by_text("Exports come with the plan Pro.")).to_be_visible(timeout=PATIENCE)
    words = shlex.split(give.replace("http://127.0.0.1:12111", stripe))
    await asyncio.to_thread(subprocess.run, words, check=True, capture_output=True)
    for _ in range(10):  # "The gateway knows within a second"
        await page.reload(wait_until="networkidle")
        if await page.get_by_role("button", name="Export").is_visible():
            break
    await expect(page.get_by_role("button", name="Export")).to_be_visible()
    await expect(page.get_by_text("Exports come with the plan Pro.")).to_be_hidden()
    await page.get_by_role("button", name="Cancel", exact=True).click()
    await page.get_by_label("Now", exact=True).check()
    await page.get_by_role("button", name="Cancel the plan").click()
    await expect(page.get_by_role("button", name="Export")).to_be_hidden(timeout=PATIENCE)
    await expect(page.get_by_text("Exports come with the plan Pro.")).to_be_visible()
