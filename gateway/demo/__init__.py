"""The demo shop: pages that sell the catalogue and show an account with nothing but the public GraphQL API.

It is what an application's own front end would be: the server part below only hands out files, and every price,
purchase, receipt and change of plan goes through `POST /graphql` like anybody else's.
"""

from html import escape
from pathlib import Path
from string import Template

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from gateway.http.html import file_route, page

_HERE = Path(__file__).parent
_FILES = (*_HERE.glob("*.js"), *_HERE.glob("*.css"))


def demo_routes(stripe_url: str) -> list[BaseRoute]:
    """The routes of the shop: the pages at `/demo` and `/demo/account`, and their files below.

    Args:
        stripe_url: where a person looks at what Stripe holds; the pages link to it.
    """
    pages = [_page("/demo", "index.html", stripe_url), _page("/demo/account", "account.html", stripe_url)]
    return [*pages, *(file_route(f"/demo/{path.name}", path) for path in _FILES)]


def _page(url: str, name: str, stripe_url: str) -> Route:
    html = Template((_HERE / name).read_text()).substitute(stripe_url=escape(stripe_url))

    async def show(_request: Request) -> Response:
        return page(html)

    return Route(url, show, methods=["GET"])
