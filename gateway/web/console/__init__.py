"""The operators' console: pages that only ask GraphQL's fields for operators, so that all of it can be scripted.

The server part serves files. Who is signed in is told by the header of each question: the page keeps the token for as
long as its tab is open (`sessionStorage`), and no cookie exists that another site could have sent along.
"""

from functools import cache
from hashlib import sha256
from pathlib import Path
from string import Template
from typing import TYPE_CHECKING

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from gateway.auth.operators import Operators
from gateway.http.html import file_route, page
from gateway.http.rate_limit import RateLimiter
from gateway.settings import Settings
from gateway.web import THEME

if TYPE_CHECKING:
    from gateway.web.console.sign_in import ProviderSignIn

_HERE = Path(__file__).parent
_FILES = [THEME, *(path for path in sorted(_HERE.glob("page/*")) if path.suffix in {".js", ".css"})]
_DOCUMENTS = sorted(_HERE.glob("documents/*.graphql"))


def provider_sign_in(settings: Settings, operators: Operators, limiter: RateLimiter) -> "ProviderSignIn | None":
    """Return the sign-in with the operators' provider, to be closed in the end; None where the console has none.

    Args:
        settings: whether there is a provider.
        operators: proves what it gives.
        limiter: counts who signs in.
    """
    if not settings.console or settings.operator_jwks_url is None:
        return None
    from gateway.web.console.sign_in import ProviderSignIn  # noqa: PLC0415 - with httpx, which nobody else needs yet

    return ProviderSignIn(settings, operators, limiter)


def console_routes(sign_in: "ProviderSignIn | None") -> list[BaseRoute]:
    """Return the routes: the page at `/console`, its files below, and the sign-in with the operators' provider."""
    provider = "yes" if sign_in else "no"
    html = Template((_HERE / "page" / "console.html").read_text()).substitute(provider=provider)

    async def show(_request: Request) -> Response:
        return page(html)

    files = [file_route(f"/console/{path.name}", path) for path in (*_FILES, *_DOCUMENTS)]
    return [Route("/console", show, methods=["GET"]), *files, *(sign_in.routes() if sign_in else [])]


@cache
def documents() -> dict[str, str]:
    """Return what the page asks by its SHA-256: it runs also where only trusted documents do."""
    texts = [path.read_text() for path in _DOCUMENTS]
    return {sha256(text.encode()).hexdigest(): text for text in texts}
