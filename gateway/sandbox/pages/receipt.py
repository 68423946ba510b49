"""The receipt of a charge: what ``receipt_url`` shows."""

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from gateway.sandbox.billing.hosted_links import path
from gateway.sandbox.pages import site
from gateway.sandbox.pages.calls import need, sandbox_of
from gateway.sandbox.resources import account


def routes() -> list[Route]:
    """Show the receipt of a charge."""
    return [site.view("/receipts/{id}", receipt)]


async def receipt(http: Request) -> Response:
    """Show what was paid, and what was paid back; of an invoice's payment the invoice."""
    charge = need(http, "charge")
    intent = charge["payment_intent"] or ""
    paid = sandbox_of(http).store.first("invoice_payment", _payment_intent=intent)
    if paid:
        sandbox = sandbox_of(http)
        return site.redirect(path(sandbox.need("invoice", paid["invoice"]), sandbox.now(charge)))
    return site.render(http, "receipt.html", charge=charge, merchant=account.NAME)
