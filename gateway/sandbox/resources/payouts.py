"""Payouts. https://docs.stripe.com/api/payouts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gateway.sandbox.api.lists import page
from gateway.sandbox.api.routing import route
from gateway.sandbox.billing import payouts
from gateway.sandbox.core.merge import merge
from gateway.sandbox.core.registry import kind

if TYPE_CHECKING:
    from gateway.sandbox.core.ports import Request, Sandbox
    from gateway.sandbox.core.store import Obj

kind("payout", "po", path="payout")


@route("POST", "/v1/payouts", params="PayoutCreateParams")
def create(sandbox: Sandbox, request: Request) -> Obj:
    """Pay out a part of the available balance."""
    return payouts.create(sandbox, request.params)


@route("GET", "/v1/payouts", params="PayoutListParams")
def index(sandbox: Sandbox, request: Request) -> Obj:
    """List payouts."""
    return page(sandbox, request, "payout")


@route("GET", "/v1/payouts/{id}")
def retrieve(sandbox: Sandbox, _: Request, id: str) -> Obj:
    """Retrieve a payout."""
    return sandbox.need("payout", id)


@route("POST", "/v1/payouts/{id}", params="PayoutUpdateParams")
def update(sandbox: Sandbox, request: Request, id: str) -> Obj:
    """Change a payout's metadata."""
    return sandbox.update(merge(sandbox.need("payout", id), request.params), "payout.updated")


@route("POST", "/v1/payouts/{id}/cancel")
def cancel(sandbox: Sandbox, _: Request, id: str) -> Obj:
    """Cancel a payout that is on its way."""
    return payouts.cancel(sandbox, sandbox.need("payout", id))
