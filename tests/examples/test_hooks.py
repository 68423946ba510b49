"""The hooks for React, in a page that its own tools have built, in a real browser."""

import shutil

import pytest
from starlette.applications import Starlette
from starlette.routing import Mount
from starlette.staticfiles import StaticFiles

from harness.chromium import chromium  # noqa: F401 - a fixture
from harness.examples import BUILDS, TOOLS, modules, run  # noqa: F401 - a fixture
from harness.gateway import listening, make_world, serve
from harness.subscriptions import customer, price_id, subscribe
from harness.waiting import eventually_async

pytestmark = [pytest.mark.browser, pytest.mark.soak]

NAMES = "mine", "plan", "wrong", "live", "access"


@pytest.fixture
def site(modules, sqlite_url):  # noqa: F811
    """A gateway, and the address of the page that was built."""
    folder = BUILDS / "hooks"
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(TOOLS / "hooks", folder)
    run(TOOLS / "node_modules/.bin/vite", "build", folder, "--logLevel", "warn", cwd=TOOLS)
    listener, address = listening()
    page = Starlette(routes=[Mount("/", StaticFiles(directory=folder / "dist", html=True))])
    with make_world(sqlite_url, cors_origins=address) as world, serve(page, listener):
        yield world, f"{address}/?gateway={world.url}"


async def test_hooks_ask_follow_and_begin_anew_with_who_has_signed_in(chromium, site):  # noqa: F811
    world, address = site
    price = price_id(world, "pro_monthly")
    token = world.token("user_ada")["Authorization"].removeprefix("Bearer ")
    async with await chromium.new_context() as context:
        page = await context.new_page()
        sockets, asked = [], []
        page.on("websocket", lambda socket: sockets.append(socket))  # noqa: PLW0108 - it marks what it calls
        page.on("request", lambda request: asked.append(request.post_data or ""))
        await page.add_init_script(f"sessionStorage.setItem('ada', '{token}')")
        await page.goto(address)

        async def shows(condition):
            program = f"() => {{ const {{ {', '.join(NAMES)} }} = shown; return {condition}; }}"
            await page.wait_for_function(program, timeout=30_000)

        await shows("!mine.loading && mine.data.viewer === null && mine.failure === null")
        await shows("wrong.failure?.code === 'GRAPHQL_VALIDATION_FAILED' && wrong.failure.text && wrong.data === null")
        await shows("plan.data && plan.data.plan === null && access.allowed === false && access.access === null")
        assert await page.locator("p").inner_text() == "there is no <BillingProvider> around this"
        assert await page.evaluate("shown.url") == f"{world.url}/"

        await page.evaluate("setUser('ada')")
        await shows("mine.data?.viewer?.id === 'user_ada' && live.data?.viewerUpdated.subscription === null")
        await shows("access.access?.reason === 'NO_SUBSCRIPTION'")
        before = len(asked)
        await page.evaluate(f"setId('{price}')")
        await shows(f"plan.data?.plan?.id === '{price}'")
        assert len(asked) == before + 1

        subscribe(world, customer(world, "user_ada"), "pro_monthly")
        await shows("live.data?.viewerUpdated.subscription?.status === 'ACTIVE'")
        await page.evaluate("reload()")
        await shows("access.allowed && access.access.reason === 'ACTIVE' && !access.loading")

        drawn = await page.evaluate("drawn")
        await page.evaluate("setIsThere(false)")
        assert await page.evaluate("drawn") == drawn

        async def open_connections():
            await page.evaluate("0")  # lets the browser's news come
            return [each.url for each in sockets if not each.is_closed()]

        await eventually_async(open_connections, [])
        assert await page.evaluate("drawn") == drawn
        await page.evaluate("setIsThere(true)")
        await shows("live.data?.viewerUpdated.subscription?.status === 'ACTIVE'")
