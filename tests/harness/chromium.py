"""A real Chromium for tests, and pages in it that may ask no foreign host and write no error to the console."""

import os
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

import pytest
from playwright.async_api import Browser, Page, async_playwright

PROGRAMS = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome")
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
REPORT_VIOLATIONS = """
document.addEventListener("securitypolicyviolation",
    (event) => console.error("CSP", event.violatedDirective, event.blockedURI));
"""


@pytest.fixture(scope="module")
async def chromium():
    """The distribution's Chromium, started once for a file of tests; its headless shell takes half the CPU."""
    program = next(filter(None, map(shutil.which, PROGRAMS)), None)
    if program is None:
        message = "the browser tests need Chromium: apt-get install chromium (or your system's package of it)"
        pytest.fail(message) if "CI" in os.environ else pytest.skip(message)
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=program, args=FLAGS)
        yield browser
        await browser.close()


@asynccontextmanager
async def checked_page(chromium: Browser, *addresses: str, **options) -> AsyncIterator[Page]:
    """A page that is checked when the block ends: nothing asked of other hosts, no policy broken, no error.

    Args:
        chromium: the browser.
        addresses: the servers that the page may ask.
        options: of Playwright's `new_context`, e.g. `java_script_enabled`, `color_scheme`.
    """
    ours = {urlsplit(address).netloc for address in addresses}
    complaints = []

    def check_host(request):
        parts = urlsplit(request.url)
        if parts.scheme not in {"data", "blob"} and parts.netloc not in ours:
            complaints.append(f"foreign request: {request.url}")

    def check_console(line):
        # Chromium writes down that the answer to a declined card is a 402 and to a wrong field a 422.
        refused = "status of 402" in line.text or "status of 422" in line.text
        if line.type == "error" and not refused:
            complaints.append(f"console: {line.text}")

    context = await chromium.new_context(**{"locale": "en-US", "viewport": {"width": 1280, "height": 900}, **options})
    context.set_default_timeout(15_000)
    await context.add_init_script(REPORT_VIOLATIONS)
    context.on("request", check_host)
    context.on("console", check_console)
    context.on("weberror", lambda failure: complaints.append(f"uncaught: {failure.error}"))
    yield await context.new_page()
    await context.close()
    assert complaints == []
