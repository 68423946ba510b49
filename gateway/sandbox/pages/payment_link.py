"""The page of a payment link: it leads everybody who comes to a checkout session of his own."""

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from gateway.sandbox.billing.checkout import links
from gateway.sandbox.pages import site
from gateway.sandbox.pages.calls import base_url, need, sandbox_of, transact


def routes() -> list[Route]:
    """Open a payment link."""
    return [site.view("/pl/{id}", open_link)]


async def open_link(http: Request) -> Response:
    """Begin a checkout, or say why there is none."""
    link = need(http, "payment_link")
    session = transact(http, lambda: links.open_session(sandbox_of(http), link, http.query_params, base_url(http)))
    if session is None:
        text = link["inactive_message"] or "This link is no longer active."
        return site.render(http, "error.html", status=410, text=text)
    return site.redirect(session["url"])
