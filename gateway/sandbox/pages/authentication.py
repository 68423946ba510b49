"""The 3-D Secure page of a payment or setup intent that requires action (`next_action.redirect_to_url`)."""

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from gateway.sandbox.billing import hosted_links, payments, setups
from gateway.sandbox.core.registry import kind_of_id
from gateway.sandbox.core.store import Obj
from gateway.sandbox.pages import formats, site
from gateway.sandbox.pages.calls import sandbox_of, transact
from gateway.sandbox.resources import account

_AUTHENTICATE = {"payment_intent": payments.authenticate, "setup_intent": setups.authenticate}


def routes() -> list[Route]:
    """Return the routes of the bank's question about an intent, and of its answer."""
    return [site.view("/3ds/{id}", ask), site.action("/3ds/{id}", answer)]


async def ask(http: Request) -> Response:
    """Show the bank's question; go back to the merchant when there is none to answer."""
    intent = _intent(http)
    if intent["status"] != "requires_action":
        return _back(http, intent)
    method = sandbox_of(http).store.get("payment_method", intent["payment_method"])
    return site.render(
        http,
        "challenge.html",
        merchant=account.NAME,
        amount=formats.money(intent["amount"], intent["currency"]) if intent.get("amount") else None,
        last4=method["card"]["last4"] if method and method.get("card") else "",
        action=http.url.replace(scheme="", netloc=""),
    )


async def answer(http: Request) -> Response:
    """Approve or fail the bank's question."""
    form = await site.read_form(http)
    intent = _intent(http)
    if intent["status"] == "requires_action":
        approved = form.get("action") == "approve"
        authenticate = _AUTHENTICATE[intent["object"]]
        intent = transact(http, lambda: authenticate(sandbox_of(http), intent, succeeded=approved))
    return _back(http, intent)


def _intent(http: Request) -> Obj:
    id_ = http.path_params["id"]
    kind = kind_of_id(id_)
    found = sandbox_of(http).store.get(kind, id_) if kind in _AUTHENTICATE else None
    if found is None:
        raise HTTPException(404, "There is no such payment.")
    return found


def _back(http: Request, intent: Obj) -> Response:
    """Lead to the merchant's `return_url` if one was given, to the invoice that led here, or else to the dashboard."""
    if invoice := sandbox_of(http).store.get("invoice", http.query_params.get("invoice", "")):
        return site.redirect(hosted_links.path(invoice, sandbox_of(http).now(invoice)))
    return site.redirect(site.safe_return_url(intent.get("_return_url")) or "/")
