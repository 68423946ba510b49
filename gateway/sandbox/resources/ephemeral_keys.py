"""Ephemeral keys, with which mobile apps act for one customer. https://docs.stripe.com/mobile."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gateway.sandbox.api.routing import route
from gateway.sandbox.core.errors import invalid
from gateway.sandbox.core.registry import kind

if TYPE_CHECKING:
    from gateway.sandbox.core.ports import Request, Sandbox
    from gateway.sandbox.core.store import Obj

kind("ephemeral_key", "ephkey", "ephemeral key")

_LIFETIME = 3600
"""Seconds, as recorded."""


@route("POST", "/v1/ephemeral_keys", params="EphemeralKeyCreateParams")
def create(sandbox: Sandbox, request: Request) -> Obj:
    """Create a key for a customer; only this answer shows its secret."""
    if not request.version:
        raise invalid("You must pass a Stripe-Version header to create an ephemeral key.")
    customer = sandbox.need("customer", request.params.get("customer", ""), "customer")
    made = sandbox.create(
        {
            "object": "ephemeral_key",
            "associated_objects": [{"id": customer["id"], "type": "customer"}],
            "expires": sandbox.now() + _LIFETIME,
        }
    )
    return {**made, "secret": sandbox.new_id("ek_test")}


@route("DELETE", "/v1/ephemeral_keys/{id}")
def delete(sandbox: Sandbox, _: Request, id: str) -> Obj:
    """Let a key end at once."""
    key = sandbox.need("ephemeral_key", id)
    sandbox.store.delete("ephemeral_key", id)
    return {**key, "expires": sandbox.now()}
