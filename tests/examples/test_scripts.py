"""The scripts and the markup of the pages, as they stand there: in Node, by their own tools, and in a real browser.

What a page takes for granted (`auth`, `token`, an id) is declared before it; what comes of it is looked at after it.
"""

import asyncio
import json
import os
import re
import shutil
import subprocess
from html import unescape

import pytest
from playwright.async_api import expect
from starlette.applications import Starlette
from starlette.routing import Mount
from starlette.staticfiles import StaticFiles

from harness.chromium import checked_page, chromium  # noqa: F401 - a fixture
from harness.examples import BUILDS, TOOLS, modules, run  # noqa: F401 - a fixture
from harness.gateway import SERVICE_TOKEN, listening, make_world, serve
from harness.pages import blocks
from harness.paths import TESTS

pytestmark = pytest.mark.soak

AUTH = """const auth = {
  getToken: async ({ refresh }) => (told.push(refresh), token),
  onChange: (hear) => (changed = hear),
};"""


def folder_of(name):
    """An empty folder where npm's packages are found."""
    folder = BUILDS / name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder


def filled(text, world):
    """A script that asks this gateway."""
    socket = world.url.replace("http", "ws")
    places = {"https://billing.example.com": world.url, "wss://your-gateway": socket, "https://your-gateway": world.url}
    for place, value in places.items():
        text = text.replace(place, value)
    return text


@pytest.fixture
def node(modules, shop):  # noqa: F811
    """Runs a script of a page between what it needs and what is asked of it; what this prints, as JSON."""

    def node(script, *, before="", after=""):
        file = folder_of("scripts") / "script.mjs"
        file.write_text(f"{before}\n{filled(script, shop)}\n{after}\n")
        environment = {**os.environ, "BILLING_URL": shop.url, "GATEWAY_SERVICE_TOKEN": SERVICE_TOKEN}
        command = ["node", str(file)]
        result = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)
        assert result.returncode == 0, result.stderr
        return json.loads(result.stdout)

    return node


def test_open_feature_says_what_may_be_used(node):
    (script,) = blocks("access", "js")
    before = f'const serviceToken = "{SERVICE_TOKEN}", userId = "ada";'
    found = node(script, before=before, after="console.log(JSON.stringify(details)); await OpenFeature.close();")
    assert (found["value"], found["reason"], found.get("errorCode")) == (False, "TARGETING_MATCH", None)


def test_the_client_opens_a_checkout(node, shop):
    script, _, _ = blocks("client", "js")
    token = shop.token("client")["Authorization"].removeprefix("Bearer ")
    before = f"""const token = "{token}", told = []; let changed;
    {AUTH}
    const show = (...shown) => console.log(JSON.stringify([...shown, told.length]));
    const location = {{ origin: "https://shop.example", assign: show }}, alert = show;"""
    url, asked = node(script, before=before)
    assert url.startswith(shop.stripe_url)
    assert asked == 1
    assert shop.rows("customer", external_id="client")  # whose token it was


def test_a_back_end_asks_for_access(node):
    _, _, script = blocks("client", "js")
    asked = """for (let asked = 0; asked < 50 && (await billing.allowed("ada", "sso")); asked++) // it is slow
      await new Promise((ready) => setTimeout(ready, 200));
    console.log(JSON.stringify([await billing.allowed("ada", "sso"), typeof verifyWebhook]));"""
    assert node(script, after=asked) == [False, "function"]


@pytest.mark.parametrize("way", [0, 1], ids=["graphql-ws", "graphql-sse"])
def test_live_updates_come_both_ways(node, shop, way):
    scripts = blocks("graphql", "js")
    assert len(scripts) == 2
    (query,) = [line for line in scripts[0].splitlines() if line.startswith("const query")]
    cart = {"input": {"lineItems": [{"price": {"lookupKey": "credits_100"}}], "successUrl": "https://shop.example/"}}
    buy = "mutation($input: CreateCheckoutSessionInput!) { createCheckoutSession(input: $input) { session { id } } }"
    session = shop.data(buy, cart, shop.token("live"))["createCheckoutSession"]["session"]["id"]
    token = shop.token("live")["Authorization"].removeprefix("Bearer ")
    before = f"""import WebSocket from "ws";
    globalThis.WebSocket ??= WebSocket; // browsers have one, and Node from 22 on
    const token = async () => "{token}", id = "{session}";
    const show = (shown) => (console.log(JSON.stringify(shown)), process.exit(0));
    const error = (wrong) => (console.error(wrong), process.exit(1)), complete = () => error("it is over");
    {query if way else ""}"""
    assert node(scripts[way], before=before) == {"status": "OPEN", "paymentStatus": "UNPAID"}


def test_the_code_generator_makes_types_that_the_strict_compiler_takes(modules):  # noqa: F811
    _, configuration, _ = blocks("client", "js")
    folder = folder_of("codegen")
    (folder / "src").mkdir()
    (folder / "codegen.mjs").write_text(configuration)
    shutil.copy(TESTS / "clients/operations.graphql", folder / "src")
    run(TOOLS / "node_modules/.bin/graphql-codegen", "--config", "codegen.mjs", cwd=folder)
    page = (TOOLS / "usage.ts").read_text()
    options = ["--strict", "--noEmit", "--module", "nodenext", "--lib", "es2022,dom"]

    def compiled(more=""):
        (folder / "src/usage.ts").write_text(f"{page}\n{more}\n")
        command = [TOOLS / "node_modules/.bin/tsc", *options, folder / "src/usage.ts"]
        return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False).stdout

    assert compiled() == ""
    # And the compiler does look: at what may be missing, and at a price that is named twice.
    assert "TS2322" in compiled("export const wrong = (data: PlansQuery): number => data.plans;")
    both = '[{ price: { id: "x", lookupKey: "y" } }]'
    assert "TS2322" in compiled(
        f"export const twice: CheckoutMutationVariables = {{ input: {{ lineItems: {both} }} }};"
    )


@pytest.fixture
def site(modules, sqlite_url):  # noqa: F811
    """A gateway, the folder of a page, and the page's address."""
    folder = folder_of("page")
    listener, address = listening()
    page = Starlette(routes=[Mount("/", StaticFiles(directory=folder, html=True))])
    given = {"cors_origins": address, "redirect_origins": address}
    with make_world(sqlite_url, **given) as world, serve(page, listener):
        yield world, folder, address


def signed_in(world):
    """What a page has of its identity provider."""
    token = world.token("ada")["Authorization"].removeprefix("Bearer ")
    return f'const told = [], token = "{token}"; let changed;\n{AUTH}'


@pytest.mark.browser
async def test_a_page_sells_by_a_tag_a_token_and_a_style(chromium, site):  # noqa: F811
    world, folder, address = site
    (tag, token), (style,) = blocks("elements", "html"), blocks("elements", "css")
    (pinned,) = re.findall(r'integrity="([^"]+)"', unescape(world.client.get(f"{world.url}/elements").text))
    tag = tag.replace(" crossorigin", f' integrity="{pinned}" crossorigin')
    head = f"<!doctype html><html lang=en><link rel=icon href=data:,><style>{style}</style>"
    page = f"{head}<script>{signed_in(world)}</script>{filled(tag, world)}{filled(token, world)}"
    (folder / "index.html").write_text(page)
    async with checked_page(chromium, world.url, address) as shown:
        await shown.goto(address)
        buy = shown.get_by_test_id("buy").first
        await expect(buy).to_be_visible()
        painted = "[...each.shadowRoot.querySelectorAll('*')].map((one) => getComputedStyle(one).backgroundColor)"
        grounds = await shown.locator("billing-pricing-table").evaluate(f"(each) => {painted}")
        assert "rgb(0, 170, 119)" in grounds
        badge = shown.get_by_text("Most popular", exact=False).first
        assert await badge.evaluate("each => getComputedStyle(each).textTransform") == "uppercase"
        asked = await shown.evaluate("told.length")
        assert asked >= 1
        await shown.evaluate("changed()")
        await shown.wait_for_function(f"told.length > {asked}")
        await expect(buy).to_be_visible()


@pytest.mark.browser
async def test_a_page_in_react_sells_and_lets_sign_in_first(chromium, site):  # noqa: F811
    world, folder, address = site
    (script,) = blocks("elements", "jsx")
    imports, _, markup = filled(script, world).partition("\n\n")
    source = folder_of("react-page")
    (source / "main.jsx").write_text(f"""{imports}
        import {{ createRoot }} from "react-dom/client";
        const user = null, getToken = () => undefined, signIn = () => (globalThis.asked = true);
        const Page = () => {markup.strip().removesuffix(";")};
        createRoot(document.getElementById("root")).render(<Page />);""")
    for name in ("index.html", "vite.config.js"):
        shutil.copy(TOOLS / "hooks" / name, source)
    build = [TOOLS / "node_modules/.bin/vite", "build", source, "--outDir", folder, "--logLevel", "error"]
    await asyncio.to_thread(run, *build, cwd=TOOLS)
    async with checked_page(chromium, world.url, address) as shown:
        await shown.goto(address)
        await shown.get_by_test_id("buy").first.click()
        await shown.wait_for_function("globalThis.asked")
        assert shown.url.startswith(address)
