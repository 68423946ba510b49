"""Mandates. https://docs.stripe.com/api/mandates."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gateway.sandbox.api.routing import route
from gateway.sandbox.core.registry import kind

if TYPE_CHECKING:
    from gateway.sandbox.core.ports import Request, Sandbox
    from gateway.sandbox.core.store import Obj

kind("mandate", "mandate", path="mandate")


@route("GET", "/v1/mandates/{id}")
def retrieve(sandbox: Sandbox, _: Request, id: str) -> Obj:
    """Retrieve a mandate."""
    return sandbox.need("mandate", id)
