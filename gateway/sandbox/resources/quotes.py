"""Quotes. https://docs.stripe.com/api/quotes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gateway.sandbox.api.lists import page, page_of
from gateway.sandbox.api.routing import route
from gateway.sandbox.billing import quote_sheet, quotes
from gateway.sandbox.core.ports import Download
from gateway.sandbox.core.registry import expandable, kind
from gateway.sandbox.core.templates import envelope

if TYPE_CHECKING:
    from gateway.sandbox.core.ports import Request, Sandbox
    from gateway.sandbox.core.store import Obj

kind("quote", "qt", path="quote")


@route("POST", "/v1/quotes", params="QuoteCreateParams")
def create(sandbox: Sandbox, request: Request) -> Obj:
    """Draft a quote."""
    return quotes.create(sandbox, request.params)


@route("GET", "/v1/quotes", params="QuoteListParams")
def index(sandbox: Sandbox, request: Request) -> Obj:
    """List quotes."""
    return page(sandbox, request, "quote")


@route("GET", "/v1/quotes/{id}")
def retrieve(sandbox: Sandbox, _: Request, id: str) -> Obj:
    """Retrieve a quote."""
    return sandbox.need("quote", id)


@route("POST", "/v1/quotes/{id}", params="QuoteUpdateParams")
def update(sandbox: Sandbox, request: Request, id: str) -> Obj:
    """Change a draft."""
    return quotes.update(sandbox, sandbox.need("quote", id), request.params)


@route("POST", "/v1/quotes/{id}/finalize", params="QuoteFinalizeQuoteParams")
def finalize(sandbox: Sandbox, request: Request, id: str) -> Obj:
    """Open a quote for acceptance."""
    return quotes.finalize(sandbox, sandbox.need("quote", id), request.params.get("expires_at"))


@route("POST", "/v1/quotes/{id}/accept")
def accept(sandbox: Sandbox, _: Request, id: str) -> Obj:
    """Accept an open quote."""
    return quotes.accept(sandbox, sandbox.need("quote", id))


@route("POST", "/v1/quotes/{id}/cancel")
def cancel(sandbox: Sandbox, _: Request, id: str) -> Obj:
    """Cancel a quote."""
    return quotes.cancel(sandbox, sandbox.need("quote", id))


@route("GET", "/v1/quotes/{id}/line_items", params="QuoteListLineItemsParams")
@route("GET", "/v1/quotes/{id}/computed_upfront_line_items", params="QuoteListComputedUpfrontLineItemsParams")
def line_items(sandbox: Sandbox, request: Request, id: str) -> Obj:
    """List what a quote offers; all of it is billed at once."""
    return page_of(request, quotes.items_of(sandbox, sandbox.need("quote", id)))


@route("GET", "/v1/quotes/{id}/pdf")
def pdf(sandbox: Sandbox, _: Request, id: str) -> Download:
    """Download the sheet of a quote that is open or accepted."""
    return Download(quote_sheet.pdf(sandbox, sandbox.need("quote", id)), "application/pdf")


@expandable("quote", "line_items")
def _line_items(sandbox: Sandbox, quote: Obj) -> Obj:
    return envelope(f"/v1/quotes/{quote['id']}/line_items", quotes.items_of(sandbox, quote))
