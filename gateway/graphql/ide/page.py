"""GraphiQL, served by the gateway itself: no public CDN, so it works with no network and leaks nothing.

The page and its script are ours; React and GraphiQL are fetched from npm (see `assets.py`).
"""

from pathlib import Path
from string import Template

from starlette.responses import HTMLResponse
from starlette.routing import BaseRoute

from gateway.graphql.ide.assets import PACKAGES, is_complete
from gateway.http.html import FOREVER, file_route, page

_HERE = Path(__file__).parent
_STATIC = "/graphql/static"

# CodeMirror, GraphiQL's editor, positions its lines with style attributes; its stylesheet carries its fonts.
_POLICY = {"style-src": "'self' 'unsafe-inline'", "font-src": "data:"}


def graphiql_page(*, sample_users: bool = False) -> HTMLResponse:
    """Return the page that explores the API, or one that says how to get GraphiQL's files (503).

    Args:
        sample_users: whether the page offers to sign in as a sample user, at the routes that `gateway dev` adds.
    """
    if not is_complete():
        return page((_HERE / "graphiql_missing.html").read_text(), status=503, policy=_POLICY)
    folders = {package.name.replace("-", "_"): f"{_STATIC}/{package.folder}" for package in PACKAGES}
    template = Template((_HERE / "graphiql.html").read_text())
    sign_in = 'data-sign-in="/dev"' if sample_users else ""
    return page(template.substitute(folders, static=_STATIC, sign_in=sign_in), policy=_POLICY)


def static_routes() -> list[BaseRoute]:
    """Return the routes below `/graphql/static/` to everything that the page loads."""
    vendored = [
        file_route(f"{_STATIC}/{package.folder}/{path.name}", path, cache=FOREVER)
        for package in PACKAGES
        for path in package.installed
    ]
    return [file_route(f"{_STATIC}/graphiql.js", _HERE / "graphiql.js"), *vendored]
