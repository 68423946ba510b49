"""Checkout sessions. https://docs.stripe.com/api/checkout/sessions.

The hosted page submits through `gateway.sandbox.billing.checkout`, the Stripe CLI through the private
`/v1/payment_pages`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from gateway.sandbox.api.lists import page, page_of
from gateway.sandbox.api.routing import route
from gateway.sandbox.billing.checkout import completion, sessions
from gateway.sandbox.core.errors import StripeError
from gateway.sandbox.core.merge import merge
from gateway.sandbox.core.registry import expandable, kind
from gateway.sandbox.core.templates import envelope

if TYPE_CHECKING:
    from gateway.sandbox.core.ports import Request, Sandbox
    from gateway.sandbox.core.store import Obj

kind("checkout.session", "cs_test_", "checkout.session", path="session")
kind("item", "li", "line item")

_SHOWN = 10
"""A session carries "the first handful" of its lines, the rest is in their list; so many are on a page of that."""


@route(
    "POST",
    "/v1/checkout/sessions",
    params="checkout.SessionCreateParams",
    legacy=("payment_method_types", "ui_mode"),
)
def create(sandbox: Sandbox, request: Request) -> Obj:
    """Create a session; the buyer pays on its `url`."""
    return sessions.create(sandbox, request.params, request.base_url)


@route("GET", "/v1/checkout/sessions", params="checkout.SessionListParams")
def index(sandbox: Sandbox, request: Request) -> Obj:
    """List sessions."""
    email = (request.params.get("customer_details") or {}).get("email")
    return page(
        sandbox,
        request,
        "checkout.session",
        lambda session: not email or (session["customer_details"] or {}).get("email") == email,
        customer_details=None,
    )


@route("GET", "/v1/checkout/sessions/{id}")
def retrieve(sandbox: Sandbox, _: Request, id: str) -> Obj:
    """Retrieve a session."""
    return sandbox.need("checkout.session", id)


@route("POST", "/v1/checkout/sessions/{id}", params="checkout.SessionUpdateParams")
def update(sandbox: Sandbox, request: Request, id: str) -> Obj:
    """Change what may be changed of a session."""
    return sandbox.update(merge(sandbox.need("checkout.session", id), request.params, "metadata"))


@route("GET", "/v1/checkout/sessions/{id}/line_items", params="checkout.SessionListLineItemsParams")
def line_items(sandbox: Sandbox, request: Request, id: str) -> Obj:
    """List a session's line items."""
    return page_of(request, sandbox.need("checkout.session", id)["_items"])


@expandable("checkout.session", "line_items")
def _line_items(_: Sandbox, session: Obj) -> Obj:
    items = session["_items"]
    return envelope(f"/v1/checkout/sessions/{session['id']}/line_items", items[:_SHOWN], len(items) > _SHOWN)


@route("POST", "/v1/checkout/sessions/{id}/expire")
def expire(sandbox: Sandbox, _: Request, id: str) -> Obj:
    """Expire an open session at once."""
    session = sandbox.need("checkout.session", id)
    if session["status"] != "open":
        raise StripeError(
            f'Only Checkout Sessions with a status in ["open"] can be expired. This Checkout Session has a status of '
            f"{session['status']}."
        )
    return completion.expire(sandbox, session)
