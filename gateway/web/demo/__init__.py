"""The demo shop: pages that sell the catalogue and show an account, made of the elements of `gateway/web`.

It stands for an application's own front end: the server part below only serves files, and every price, purchase,
receipt and change of plan goes through the public GraphQL API. `common/` is what both pages share, `languages/` their
sentences.
"""

from html import escape
from pathlib import Path
from string import Template

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from gateway.http.html import file_route, page
from gateway.web import THEME

_HERE = Path(__file__).parent
_FILES = [path for path in _HERE.glob("*/*") if path.suffix in {".js", ".css", ".json"}]


def demo_routes(stripe_url: str) -> list[BaseRoute]:
    """Return the routes of the shop: the pages at `/demo` and `/demo/account`, and their files below.

    Args:
        stripe_url: the offline Stripe's dashboard, to which the pages link.
    """
    pages = [_page("/demo", "shop", stripe_url), _page("/demo/account", "account", stripe_url)]
    theme = file_route("/demo/common/theme.css", THEME)
    return [*pages, theme, *(file_route(f"/demo/{path.relative_to(_HERE).as_posix()}", path) for path in _FILES)]


def _page(url: str, name: str, stripe_url: str) -> Route:
    main = (_HERE / name / f"{name}.html").read_text()
    frame = Template((_HERE / "common" / "frame.html").read_text())
    html = frame.substitute(name=name, main=main, stripe_url=escape(stripe_url))

    async def show(_request: Request) -> Response:
        return page(html)

    return Route(url, show, methods=["GET"])
