"""The demo shop: a page that sells the catalogue with nothing but the public GraphQL API.

It is what an application's own front end would be: the server part below only hands out files, and every price,
purchase and receipt goes through `POST /graphql` like anybody else's.
"""

from html import escape
from pathlib import Path
from string import Template

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from gateway.pages import file_route, page

_HERE = Path(__file__).parent
_FILES = (*_HERE.glob("*.js"), *_HERE.glob("*.css"))


def demo_routes(stripe_url: str) -> list[BaseRoute]:
    """The routes of the shop: the page at `/demo` and its files below it.

    Args:
        stripe_url: where a person looks at what Stripe holds; the page links to it.
    """
    html = Template((_HERE / "index.html").read_text()).substitute(stripe_url=escape(stripe_url))

    async def shop(_request: Request) -> Response:
        return page(html)

    return [Route("/demo", shop, methods=["GET"]), *(file_route(f"/demo/{path.name}", path) for path in _FILES)]
