"""Pages for browsers under a strict Content-Security-Policy, and files served from a list."""

from collections.abc import Mapping
from pathlib import Path

from starlette.requests import Request
from starlette.responses import FileResponse, HTMLResponse, Response
from starlette.routing import Route

# Nothing from another host, nothing inline, no frame around the page. A page may relax single directives.
_POLICY = {
    "default-src": "'none'",
    "script-src": "'self'",
    "style-src": "'self'",
    "img-src": "'self' data:",
    "connect-src": "'self'",
    "base-uri": "'none'",
    "form-action": "'none'",
    "frame-ancestors": "'none'",
}
FOREVER = "public, max-age=31536000, immutable"
"""`Cache-Control` of a file whose URL changes with its content."""

FRESH = "no-cache"
"""`Cache-Control` of content that may change under its URL."""


def page(html: str, *, status: int = 200, policy: Mapping[str, str] | None = None) -> HTMLResponse:
    """Return an HTML page under a strict Content-Security-Policy.

    Args:
        html: the whole document, which must not have inline scripts or styles.
        status: the HTTP status.
        policy: directives that replace the strict ones.
    """
    directives = {**_POLICY, **(policy or {})}
    headers = {
        "Content-Security-Policy": "; ".join(f"{name} {sources}" for name, sources in directives.items()),
        "Cache-Control": FRESH,
    }
    return HTMLResponse(html, status_code=status, headers=headers)


def file_route(url: str, path: Path, *, cache: str = FRESH) -> Route:
    """Return a route to one file. Files are listed one by one, so that no request can name another.

    Args:
        url: where it is served.
        path: the file; while it is missing the answer is 404.
        cache: `FOREVER` or `FRESH`.
    """

    def serve(_request: Request) -> Response:
        if not path.is_file():
            return Response(status_code=404)
        return FileResponse(path, headers={"Cache-Control": cache})

    return Route(url, serve, methods=["GET"])
