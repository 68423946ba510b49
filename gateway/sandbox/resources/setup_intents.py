"""Setup intents. https://docs.stripe.com/api/setup_intents."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gateway.sandbox.api.lists import page
from gateway.sandbox.api.routing import route
from gateway.sandbox.billing import payment_methods, payments, setups
from gateway.sandbox.core.errors import invalid
from gateway.sandbox.core.merge import merge
from gateway.sandbox.core.registry import kind
from gateway.sandbox.resources import confirmation_tokens

if TYPE_CHECKING:
    from gateway.sandbox.core.ports import Request, Sandbox
    from gateway.sandbox.core.store import Obj

kind("setup_intent", "seti", path="intent")


@route("POST", "/v1/setup_intents", params="SetupIntentCreateParams", legacy=("payment_method_types",))
def create(sandbox: Sandbox, request: Request) -> Obj:
    """Create a setup intent, and confirm it if asked to."""
    params = confirmation_tokens.said(sandbox, request.params)
    if "customer" in params:
        sandbox.need("customer", params["customer"], "customer")
    method = payment_methods.given(sandbox, params)
    types = params.get("payment_method_types") or params.get("allowed_payment_method_types")
    intent = setups.intend(
        sandbox,
        params.get("customer"),
        **merge({"metadata": {}}, params, "description", "metadata", "usage"),
        automatic_payment_methods=None if types else {"allow_redirects": "always", "enabled": True},
        payment_method=method["id"] if method else None,
        payment_method_configuration_details=None if types else payment_methods.CONFIGURATION,
        payment_method_types=types,
        three_d_secure=payments.asked_for(params),
    )
    return _confirm(sandbox, intent, params, method) if params.get("confirm") else intent


def _confirm(sandbox: Sandbox, intent: Obj, params: Obj, method: Obj | None) -> Obj:
    if method is None:
        raise invalid(
            "You cannot confirm this SetupIntent because it's missing a payment method. Update the SetupIntent with a "
            "payment method and then confirm it again.",
            code="setup_intent_unexpected_state",
        )
    confirmation_tokens.spend(sandbox, params, intent)
    intent["_return_url"] = params.get("return_url")
    intent = setups.confirm(sandbox, intent, method)
    if intent["last_setup_error"]:
        raise setups.error_of(sandbox, intent)
    return intent


@route("GET", "/v1/setup_intents", params="SetupIntentListParams")
def index(sandbox: Sandbox, request: Request) -> Obj:
    """List setup intents."""
    return page(sandbox, request, "setup_intent")


@route("GET", "/v1/setup_intents/{id}", params="SetupIntentRetrieveParams")
def retrieve(sandbox: Sandbox, _: Request, id: str) -> Obj:
    """Retrieve a setup intent."""
    return sandbox.need("setup_intent", id)


@route("POST", "/v1/setup_intents/{id}", params="SetupIntentUpdateParams", legacy=("payment_method_types",))
def update(sandbox: Sandbox, request: Request, id: str) -> Obj:
    """Change a setup intent."""
    plain = ("description", "metadata", "customer", "payment_method_options")
    intent = merge(sandbox.need("setup_intent", id), request.params, *plain)
    method = payment_methods.given(sandbox, request.params)
    if method:
        intent |= {"payment_method": method["id"], "status": "requires_confirmation"}
    return sandbox.update(intent)


@route("POST", "/v1/setup_intents/{id}/confirm", params="SetupIntentConfirmParams")
def confirm(sandbox: Sandbox, request: Request, id: str) -> Obj:
    """Try to save the payment method."""
    intent = sandbox.need("setup_intent", id)
    if intent["status"] not in setups.OPEN:
        raise invalid(
            f"You cannot confirm this SetupIntent because it has already {intent['status']}.",
            code="setup_intent_unexpected_state",
        )
    params = confirmation_tokens.said(sandbox, request.params)
    method = payment_methods.given(sandbox, params)
    intent = merge(intent, params, "payment_method_options")
    if method is None and intent["payment_method"]:
        method = sandbox.need("payment_method", intent["payment_method"])
    return _confirm(sandbox, intent, params, method)


@route("POST", "/v1/setup_intents/{id}/cancel", params="SetupIntentCancelParams")
def cancel(sandbox: Sandbox, request: Request, id: str) -> Obj:
    """Cancel a setup intent."""
    return setups.cancel(sandbox, sandbox.need("setup_intent", id), request.params.get("cancellation_reason"))
