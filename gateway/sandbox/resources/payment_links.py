"""Payment links: a page that makes a checkout session for everybody who comes.

Source: https://docs.stripe.com/api/payment-link and https://docs.stripe.com/payment-links
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from gateway.sandbox.api.lists import page, page_of
from gateway.sandbox.api.routing import route
from gateway.sandbox.billing.checkout import links
from gateway.sandbox.core.registry import expandable, kind
from gateway.sandbox.core.templates import envelope

if TYPE_CHECKING:
    from gateway.sandbox.core.ports import Request, Sandbox
    from gateway.sandbox.core.store import Obj

kind("payment_link", "plink", "payment link", path="payment_link")


@route("POST", "/v1/payment_links", params="PaymentLinkCreateParams")
def create(sandbox: Sandbox, request: Request) -> Obj:
    """Create a link; its `url` can be opened any number of times."""
    return links.create(sandbox, request.params, request.base_url)


@route("GET", "/v1/payment_links", params="PaymentLinkListParams")
def index(sandbox: Sandbox, request: Request) -> Obj:
    """List links."""
    found = page(sandbox, request, "payment_link")
    return {**found, "data": [links.counted(sandbox, each) for each in found["data"]]}


@route("GET", "/v1/payment_links/{id}")
def retrieve(sandbox: Sandbox, _: Request, id: str) -> Obj:
    """Retrieve a link."""
    return links.counted(sandbox, sandbox.need("payment_link", id))


@route("POST", "/v1/payment_links/{id}", params="PaymentLinkUpdateParams")
def update(sandbox: Sandbox, request: Request, id: str) -> Obj:
    """Change a link, or deactivate it."""
    return links.update(sandbox, sandbox.need("payment_link", id), request.params)


@route("GET", "/v1/payment_links/{id}/line_items", params="PaymentLinkListLineItemsParams")
def line_items(sandbox: Sandbox, request: Request, id: str) -> Obj:
    """List what a link sells."""
    return page_of(request, sandbox.need("payment_link", id)["_items"])


@expandable("payment_link", "line_items")
def _line_items(_: Sandbox, link: Obj) -> Obj:
    return envelope(f"/v1/payment_links/{link['id']}/line_items", link["_items"])
