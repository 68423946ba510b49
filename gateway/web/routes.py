"""What the gateway serves of the package: the elements as one file, their sentences, and a page that shows the tag.

Pages of other origins may load them when `GATEWAY_CORS_ORIGINS` names them, as they may call the API.
"""

from collections.abc import Mapping
from functools import cache
from hashlib import sha256
from html import escape
from pathlib import Path
from string import Template

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from gateway.http.html import FRESH, file_route, page
from gateway.web.bundle import SOURCES, Bundle

_HERE = Path(__file__).parent
_NAMES = ("pricing-table", "account", "checkout-status", "access")

BUNDLES: Mapping[str, Bundle] = {
    "/elements.js": Bundle("elements.js"),
    **{f"/elements/{name}.js": Bundle(f"elements/{name}.js") for name in _NAMES},
    "/elements/client.js": Bundle("index.js"),
}
"""What is served by its path: all elements, each of them alone, and the client without elements."""


def web_routes() -> list[BaseRoute]:
    """Return the routes to the elements, their sentences, and the page `/elements`."""
    languages = sorted((SOURCES / "languages").glob("*.json"))
    return [
        Route("/elements", _show, methods=["GET"]),
        file_route("/elements/page.css", _HERE / "page.css"),
        *(_script(path, bundle) for path, bundle in BUNDLES.items()),
        *(file_route(f"/elements/languages/{path.name}", path) for path in languages),
    ]


def tag(url: str, *, pinned: bool) -> str:
    """Return the tag with which a page loads all elements.

    Args:
        url: of the gateway, with a slash at its end.
        pinned: whether the browser refuses any other file than this one, also that of the gateway's next version.
    """
    integrity = f' integrity="{BUNDLES["/elements.js"].integrity}"' if pinned else ""
    return f'<script type="module" src="{escape(url)}elements.js"{integrity} crossorigin></script>'


def _script(path: str, bundle: Bundle) -> Route:
    @cache
    def headers() -> dict[str, str]:
        return {
            "Cache-Control": FRESH,
            "ETag": f'"{sha256(bundle.text).hexdigest()[:32]}"',
            "Vary": "Accept-Encoding, Origin",
        }

    def serve(request: Request) -> Response:
        if request.headers.get("if-none-match", "").removeprefix("W/") == headers()["ETag"]:
            return Response(status_code=304, headers=headers())
        kind = "text/javascript; charset=utf-8"
        if "gzip" in request.headers.get("accept-encoding", ""):
            return Response(bundle.compressed, headers=headers() | {"Content-Encoding": "gzip"}, media_type=kind)
        return Response(bundle.text, headers=headers(), media_type=kind)

    return Route(path, serve, methods=["GET"])


def _show(request: Request) -> Response:
    url = str(request.base_url)
    template = Template((_HERE / "page.html").read_text())
    names = {"tag": tag(url, pinned=False), "pinned": tag(url, pinned=True), "origin": url.rstrip("/")}
    return page(template.substitute({name: escape(value) for name, value in names.items()}))
