"""What every page of the sandbox shares: templates, response headers and forms."""

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from jinja2 import Environment, FileSystemLoader, pass_context
from jinja2.runtime import Context
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from gateway.sandbox.pages import formats

Handler = Callable[[Request], Awaitable[Response]]
STATIC = Path(__file__).parent / "static"

_MAX_FORM_BYTES = 64 * 1024
_NOT_FOUND = 404


def _localized(function: Any) -> Any:
    """Return a filter that formats in the page's ``locale``."""

    @pass_context
    def apply(context: Context, value: Any, *arguments: Any) -> str:
        return str(function(value, *arguments, context.get("locale", formats.DEFAULT_LOCALE)))

    return apply


_environment = Environment(
    loader=FileSystemLoader(Path(__file__).parent / "templates"),
    autoescape=True,
    trim_blocks=True,
    lstrip_blocks=True,
)
_environment.filters.update(
    money=_localized(formats.money),
    unit_money=_localized(formats.unit_money),
    number=_localized(formats.number),
    date=_localized(formats.date),
    moment=_localized(formats.moment),
    clock=_localized(formats.clock),
    per=formats.per,
    words=formats.words,
)


def render(
    request: Request, template: str, *, status: int = 200, frame_ancestors: str = "'self'", **context: Any
) -> Response:
    """Return a page with a strict Content-Security-Policy: nothing inline, nothing from another host.

    ``form-action`` admits other sites because browsers apply it to the redirect that follows a form, and
    checkout and portal end on the merchant's page.
    """
    context.setdefault("locale", formats.choose_locale(None, request.headers.get("accept-language", "")))
    policy = (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
        "connect-src 'self'; base-uri 'none'; form-action 'self' http: https:; "
        f"frame-ancestors {frame_ancestors}"
    )
    return HTMLResponse(
        _environment.get_template(template).render(request=request, **context),
        status_code=status,
        headers={
            "Content-Security-Policy": policy,
            "X-Content-Type-Options": "nosniff",
            "Referrer-Policy": "same-origin",
            "Cache-Control": "no-store",
        },
    )


def view(path: str, handler: Handler, name: str | None = None) -> Route:
    """Return a page at a path."""
    return Route(path, _shown(handler), methods=["GET"], name=name or handler.__name__)


def action(path: str, handler: Handler) -> Route:
    """Return what a form at a path does."""
    return Route(path, _shown(handler), methods=["POST"])


def _shown(handler: Handler) -> Handler:
    """Turn a refusal into a page for people."""

    async def shown(request: Request) -> Response:
        try:
            return await handler(request)
        except HTTPException as refusal:
            return refused(request, refusal)

    return shown


def refused(request: Request, refusal: HTTPException) -> Response:
    """Return the page that says why something was not done, or is not there."""
    heading = "Nothing is here" if refusal.status_code == _NOT_FOUND else "That did not work"
    return render(request, "error.html", status=refusal.status_code, text=refusal.detail, heading=heading)


async def nowhere(request: Request, _: Exception) -> Response:
    """Answer under an address that has no page: to browsers with one that says so, to programs as the API does."""
    message = f"There is nothing at {request.url.path}."
    if "text/html" in request.headers.get("accept", ""):
        return refused(request, HTTPException(_NOT_FOUND, message))
    return JSONResponse({"error": {"type": "invalid_request_error", "message": message}}, _NOT_FOUND)


def redirect(url: str) -> Response:
    """See another page after a form (303, so that a reload does not send the form again)."""
    return RedirectResponse(url, status_code=303)


async def read_form(request: Request) -> dict[str, str]:
    """Return the fields of an urlencoded form; of a repeated field the last one.

    Raises:
        HTTPException: 413, it is no form of ours.
    """
    body = await request.body()
    if len(body) > _MAX_FORM_BYTES:
        raise HTTPException(413, "This form is too long.")
    text = body.decode("utf-8", errors="replace")
    return {name: value.strip() for name, value in parse_qsl(text, keep_blank_values=True)}


def safe_return_url(url: str | None) -> str | None:
    """Return the URL if a browser may be sent there (http or https), else None."""
    if not url:
        return None
    parts = urlsplit(url)
    return url if parts.scheme in ("http", "https") and parts.netloc else None
