"""Elements and client in a real Chromium, on a page of another origin under a Content-Security-Policy that names only
the gateway, with a seller's texts that are hostile.
"""

import dataclasses
import json
import os
import re
from hashlib import sha256

import jwt
import pytest
from playwright.async_api import expect
from starlette.applications import Starlette
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from gateway.web.bundle import SOURCES
from gateway.web.routes import tag
from harness.chromium import checked_page, chromium  # noqa: F401 - a fixture
from harness.gateway import SIGN_IN_SECRET, listening, serve
from harness.shop_pages import GOOD_CARD, offer, pay_form
from harness.subscriptions import customer, subscribe

pytestmark = pytest.mark.browser

HOSTILE = '<img src=x onerror="console.error(1)">\u202e"}'
PAGE = """<!doctype html><html lang="LANG"><meta charset="utf-8"><title>An application</title>
<link rel="icon" href="data:,">
{tag}<script type="module" src="/app.js"></script>
<billing-checkout-status></billing-checkout-status>
<billing-access feature="automation"><p>inside</p><p slot="denied">outside</p></billing-access>
<billing-pricing-table account-url="#account"></billing-pricing-table>
<billing-account id="account"><a href="/sign-in">sign in</a></billing-account></html>"""


@pytest.fixture
def site(world):
    """The gateway, and the address of an application's page that may call it."""
    listener, address = listening()
    settings = world.settings.model_copy(update={"cors_origins": (address,), "redirect_origins": (address,)})
    with dataclasses.replace(world, settings=settings).twin() as gateway:
        policy = (
            f"default-src 'none'; script-src 'self' {gateway.url}; img-src data:; "
            f"connect-src {gateway.url} {gateway.url.replace('http', 'ws')}"
        )
        script = f'import {{ configure }} from "{gateway.url}/elements.js";\n'
        script += "window.billing = configure({ token: () => sessionStorage.getItem('token') });\n"
        page = PAGE.format(tag=tag(f"{gateway.url}/", pinned=True))
        headers = {"Content-Security-Policy": policy}
        routes = [
            Route("/app.js", lambda _: Response(script, media_type="text/javascript")),
            Route(
                "/{lang}", lambda asked: HTMLResponse(page.replace("LANG", asked.path_params["lang"]), headers=headers)
            ),
        ]
        with serve(Starlette(routes=routes), listener):
            yield gateway, address


@pytest.mark.soak
async def test_a_page_elsewhere_sells_a_plan_with_one_tag_and_runs_nothing_of_the_sellers_texts(chromium, site):  # noqa: F811
    gateway, address = site
    for path in ("prod_NwStarter000001", "prod_NwBusiness00001"):
        gateway.stripe("POST", f"/v1/products/{path}", name=HOSTILE, description=HOSTILE)
    gateway.eventually(lambda: gateway.rows("product", id="prod_NwBusiness00001")[0]["name"], HOSTILE)
    token = gateway.token("user_ada", email="ada@example.com")["Authorization"].removeprefix("Bearer ")
    async with checked_page(chromium, gateway.url, gateway.stripe_url, address) as page:
        await page.goto(f"{address}/de")
        cards = page.get_by_test_id("plan-card")
        await expect(cards.first.get_by_role("heading")).to_have_text(HOSTILE)
        await expect(page.get_by_role("link", name="sign in")).to_be_visible()
        await expect(page.get_by_text("outside")).to_be_visible()

        await page.evaluate("token => { sessionStorage.setItem('token', token); billing.reset(); }", token)
        await expect(page.get_by_role("link", name="sign in")).not_to_be_visible()
        await expect(page.get_by_test_id("plan")).to_contain_text("Noch kein Tarif")
        await offer(page, "Pro").get_by_test_id("buy").click()
        await page.wait_for_url(f"{gateway.stripe_url}/**")
        await pay_form(page, GOOD_CARD)
        await page.get_by_test_id("pay").click()
        await expect(page.get_by_test_id("confirmation")).to_contain_text("Pro")
        await expect(page.get_by_text("inside")).to_be_visible()
        await expect(page.get_by_test_id("plan-name")).to_have_text("Pro")
        await expect(page.get_by_text("Ihr Tarif", exact=True)).to_have_count(2)
        assert re.search(r"/de\?session_id=cs_test_\w+$", page.url)


def chosen_by_the_buyer(world) -> str:
    """Sell something whose amount the buyer chooses, from 5 to 5,000 dollars; its price."""
    product = world.stripe("POST", "/v1/products", name="Gift")["id"]
    limits = {"enabled": "true", "minimum": 500, "maximum": 500_000, "preset": 1250}
    form = {f"custom_unit_amount[{name}]": value for name, value in limits.items()}
    made = world.stripe("POST", "/v1/prices", product=product, currency="usd", **form)["id"]
    world.eventually(lambda: bool(world.rows("price", id=made)))
    return made


def written(world, price: str, locale: str) -> dict[str, str]:
    """The amounts in a language, each kept together (U+2068, U+2069)."""
    money = "{ formatted(locale: $locale) }"
    query = f"""query($locale: String!) {{ pricing {{ products {{ oneTime {{ id customAmountLimits {{
        least: minimum {money} most: maximum {money} amount: preset {money} }} }} }} }} }}"""
    shelves = world.data(query, {"locale": locale})["pricing"]["products"]
    (found,) = [each["customAmountLimits"] for shelf in shelves for each in shelf["oneTime"] if each["id"] == price]
    return {name: f"\u2068{each['formatted']}\u2069" for name, each in found.items()}


SHOWN = """() => ["billing-pricing-table", "billing-account"].map((name) => {
    const [shown] = document.querySelector(name).shadowRoot.children;
    const style = getComputedStyle(shown.querySelector("h2"));
    const card = shown.querySelector(".card, .tile").getBoundingClientRect();
    return { direction: style.direction, lang: shown.lang, left: card.left, right: innerWidth - card.right,
             wide: document.documentElement.scrollWidth, text: shown.innerText };
})"""


@pytest.mark.soak
async def test_every_language_fits_a_telephone_in_its_own_direction(chromium, world, site):  # noqa: F811
    gateway, address = site
    subscribe(world, customer(world, "user_ada"))
    gift = chosen_by_the_buyer(world)
    token = gateway.token("user_ada", email="ada@example.com")["Authorization"].removeprefix("Bearer ")
    narrow = {"width": 375, "height": 800}
    for path in sorted((SOURCES / "languages").glob("*.json")):
        words = json.loads(path.read_text())
        async with checked_page(chromium, gateway.url, address, viewport=narrow, locale=path.stem) as page:
            await page.add_init_script(f"sessionStorage.setItem('token', '{token}')")
            await page.goto(f"{address}/{path.stem}")
            limits, expected = (
                page.locator(f"[data-price-id={gift}]").get_by_test_id("limits"),
                written(world, gift, path.stem),
            )
            lines = [words["price"]["limits"][name].format(**expected) for name in ("between", "preset")]
            await expect(limits.get_by_role("listitem")).to_have_text(lines, timeout=20_000)
            title = page.get_by_role("heading", name=words["invoices"]["title"])
            await expect(title).to_be_visible(timeout=20_000)
            await expect(page.get_by_text(words["action"]["CURRENT"], exact=True).first).to_be_visible(timeout=20_000)
            if folder := os.environ.get("SCREENSHOTS"):
                await page.screenshot(path=f"{folder}/elements-{path.stem}.png", full_page=True)
            for seen in await page.evaluate(SHOWN):
                assert seen["direction"] == ("rtl" if path.stem == "ar" else "ltr")
                assert (seen["lang"], seen["wide"]) == (path.stem, 375), path.stem
                assert abs(seen["left"] - seen["right"]) < 1, path.stem
                assert not re.search(r"\{\w+\}|undefined|\b[a-z]+\.[a-z]+[A-Z]", seen["text"]), path.stem


ASK = """async ([first, second, documents]) => {
    const { createClient, follow } = await import("/elements/client.js");
    const asked = [];
    const client = createClient({ locale: "de-AT", token: (renew) => (asked.push(renew), renew ? second : first) });
    const heard = [];
    await new Promise((resolve) => follow(client, documents.live, {}, (data) => resolve(heard.push(data))));
    return {
        viewer: await client.query(documents.viewer),
        guest: await client.query(documents.viewer, {}, { guest: true }),
        wrong: await client.query(documents.wrong),
        signedOut: await createClient({ locale: "de", token: (no) => (no ? null : first) }).query(documents.viewer),
        problem: await client.mutate(documents.checkout, { lineItems: [], successUrl: `${location.origin}/` }),
        away: await createClient({ url: "http://127.0.0.1:9", locale: "fr" }).query(documents.viewer),
        asked, heard,
    };
}"""


async def test_the_client_renews_tokens_and_says_every_failure_in_words(chromium, world):  # noqa: F811
    late = jwt.encode({"sub": "user_ada", "exp": 1}, SIGN_IN_SECRET, algorithm="HS256")
    fresh = world.token("user_ada", email="ada@example.com")["Authorization"].removeprefix("Bearer ")
    mine = "query Mine { viewer { id } }"
    documents = {
        "live": {"text": "subscription { viewerUpdated { id } }"},
        "viewer": {"text": mine, "id": sha256(mine.encode()).hexdigest()},
        "wrong": {"text": "{ nothing }"},
        "checkout": {
            "text": "mutation($input: CreateCheckoutSessionInput!, $locale: String!)"
            " { createCheckoutSession(input: $input) { userErrors { code message text(locale: $locale) } } }"
        },
    }
    async with await chromium.new_context(locale="en-US") as context:
        page = await context.new_page()
        await page.goto(f"{world.url}/elements")
        got = await page.evaluate(ASK, [late, fresh, documents])
    german, french = (
        world.client.get(f"{world.url}/elements/languages/{language}.json").json()["failures"]
        for language in ("de", "fr")
    )
    assert got["heard"] == [{"viewerUpdated": {"id": "user_ada"}}]
    assert got["viewer"] == {"ok": True, "data": {"viewer": {"id": "user_ada"}}}
    assert got["guest"] == {"ok": True, "data": {"viewer": None}}
    assert got["signedOut"]["failure"]["text"] == german["UNAUTHENTICATED"]
    wrong, problem, away = (got[name]["failure"] for name in ("wrong", "problem", "away"))
    assert (wrong["code"], wrong["text"]) == ("GRAPHQL_VALIDATION_FAILED", german["OTHER"])
    assert (away["code"], away["text"]) == ("NETWORK", french["NETWORK"])
    assert (problem["code"], [each["code"] for each in problem["problems"]]) == (
        "LINE_ITEMS_INVALID",
        ["LINE_ITEMS_INVALID"],
    )
    assert problem["text"] == problem["problems"][0]["text"] != problem["message"]
    assert set(got["asked"]) == {False, True}
