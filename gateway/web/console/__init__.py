"""The operators' console: pages that only ask GraphQL's fields for operators, so that all of it can be scripted.

The server part serves files. Who is signed in is told by the header of each question: the page keeps the token for as
long as its tab is open (`sessionStorage`), and no cookie exists that another site could have sent along.
"""

from functools import cache
from hashlib import sha256
from pathlib import Path
from string import Template

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from gateway.auth.operators import Operators
from gateway.http.html import file_route, page
from gateway.settings import Settings

_HERE = Path(__file__).parent
_FILES = [path for path in sorted(_HERE.glob("page/*")) if path.suffix in {".js", ".css"}]
_DOCUMENTS = sorted(_HERE.glob("documents/*.graphql"))


def console_routes(settings: Settings, operators: Operators) -> list[BaseRoute]:
    """Return the routes: the page at `/console`, its files below, and the sign-in with the operators' provider.

    Args:
        settings: whether there is a provider.
        operators: proves what it gives.
    """
    has_provider = settings.operator_jwks_url is not None
    html = Template((_HERE / "page" / "console.html").read_text()).substitute(provider="yes" if has_provider else "no")

    async def show(_request: Request) -> Response:
        return page(html)

    files = [file_route(f"/console/{path.name}", path) for path in (*_FILES, *_DOCUMENTS)]
    routes: list[BaseRoute] = [Route("/console", show, methods=["GET"]), *files]
    if has_provider:
        from gateway.web.console.sign_in import ProviderSignIn  # noqa: PLC0415 - with httpx, which nobody else needs yet

        routes += ProviderSignIn(settings, operators).routes()
    return routes


@cache
def documents() -> dict[str, str]:
    """Return what the page asks by its SHA-256: it runs also where only trusted documents do."""
    texts = [path.read_text() for path in _DOCUMENTS]
    return {sha256(text.encode()).hexdigest(): text for text in texts}
