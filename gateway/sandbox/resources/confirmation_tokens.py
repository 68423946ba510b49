"""Confirmation tokens: what a page has collected for a payment, here made by the test helper.

Source: https://docs.stripe.com/api/confirmation_tokens
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from gateway.sandbox.api.routing import route
from gateway.sandbox.billing import payment_methods
from gateway.sandbox.core.errors import parameter_missing
from gateway.sandbox.core.periods import HOUR
from gateway.sandbox.core.registry import kind

if TYPE_CHECKING:
    from gateway.sandbox.core.ports import Request, Sandbox
    from gateway.sandbox.core.store import Obj

kind("confirmation_token", "ctoken", path="confirmation_token")

_LIFETIME = 12 * HOUR


@route("POST", "/v1/test_helpers/confirmation_tokens", params="test_helpers.ConfirmationTokenCreateParams")
def create(sandbox: Sandbox, request: Request) -> Obj:
    """Create a token as Stripe's page would."""
    params = request.params
    method = payment_methods.given(sandbox, params)
    if method is None:
        raise parameter_missing("payment_method")
    kind = method["type"]
    preview = {name: method[name] for name in ("allow_redisplay", "billing_details", "customer", "type", kind)}
    same = ("payment_method_options", "return_url", "setup_future_usage", "shipping")
    now = sandbox.now()
    token: Obj = {
        "object": "confirmation_token",
        "created": now,
        "expires_at": now + _LIFETIME,
        "payment_method_preview": preview,
        "use_stripe_sdk": True,
        "_payment_method": method["id"],
        **{name: params[name] for name in same if name in params},
    }
    return sandbox.create(token)


@route("GET", "/v1/confirmation_tokens/{id}")
def retrieve(sandbox: Sandbox, _: Request, id: str) -> Obj:
    """Retrieve a token."""
    return sandbox.need("confirmation_token", id)


def said(sandbox: Sandbox, params: Obj) -> Obj:
    """Return the parameters of a confirmation with what its `confirmation_token` says."""
    if not params.get("confirmation_token"):
        return params
    token = sandbox.need("confirmation_token", params["confirmation_token"], "confirmation_token")
    known = {name: token[name] for name in ("return_url", "setup_future_usage", "shipping") if token[name]}
    return {**known, **params, "payment_method": token["_payment_method"]}


def spend(sandbox: Sandbox, params: Obj, intent: Obj) -> None:
    """Note in the `confirmation_token` of a confirmation, if it has one, which intent it was for."""
    if params.get("confirmation_token"):
        token = sandbox.need("confirmation_token", params["confirmation_token"], "confirmation_token")
        sandbox.update(token | {intent["object"]: intent["id"]})
