"""The demo shop: pages that sell the catalogue and show an account with nothing but the public GraphQL API.

It stands for an application's own front end: the server part below only serves files, and every price, purchase,
receipt and change of plan goes through `POST /graphql`.
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
    """Return the routes of the shop: the pages at `/demo` and `/demo/account`, and their files below.

    Args:
        stripe_url: the offline Stripe's dashboard, to which the pages link.
    """
    pages = [_page("/demo", "index.html", stripe_url), _page("/demo/account", "account.html", stripe_url)]
    return [*pages, *(file_route(f"/demo/{path.name}", path) for path in _FILES)]


def _page(url: str, name: str, stripe_url: str) -> Route:
    html = Template((_HERE / name).read_text()).substitute(stripe_url=escape(stripe_url))

    async def show(_request: Request) -> Response:
        return page(html)

    return Route(url, show, methods=["GET"])
