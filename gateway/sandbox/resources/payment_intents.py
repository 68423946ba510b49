"""Payment intents. https://docs.stripe.com/api/payment_intents."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gateway.sandbox.api.lists import page
from gateway.sandbox.api.routing import route
from gateway.sandbox.billing import limits, payment_methods, payments
from gateway.sandbox.core.errors import StripeError, invalid
from gateway.sandbox.core.merge import merge
from gateway.sandbox.core.registry import kind
from gateway.sandbox.options import API_VERSION
from gateway.sandbox.resources import confirmation_tokens

if TYPE_CHECKING:
    from gateway.sandbox.core.ports import Request, Sandbox
    from gateway.sandbox.core.store import Obj

kind("payment_intent", "pi", path="intent")

_PLAIN = (
    "capture_method",
    "confirmation_method",
    "description",
    "metadata",
    "receipt_email",
    "setup_future_usage",
    "shipping",
    "statement_descriptor",
    "statement_descriptor_suffix",
    "transfer_group",
)


@route("POST", "/v1/payment_intents", params="PaymentIntentCreateParams", legacy=("payment_method_types",))
def create(sandbox: Sandbox, request: Request) -> Obj:
    """Create a payment intent, and confirm it if asked to."""
    params = confirmation_tokens.said(sandbox, {**_of_version(request), **request.params})
    if params["amount"] < 1:
        raise invalid("This value must be greater than or equal to 1.", "amount", "parameter_invalid_integer")
    limits.check_charge(params["amount"], params["currency"].lower())
    if "customer" in params:
        sandbox.need("customer", params["customer"], "customer")
    method = payment_methods.given(sandbox, params)
    intent = payments.intend(
        sandbox,
        **merge({"metadata": {}}, params, *_PLAIN),
        amount=params["amount"],
        currency=params["currency"].lower(),
        customer=params.get("customer") or (method or {}).get("customer"),
        automatic_payment_methods=_automatic(params),
        payment_method_configuration_details=payment_methods.CONFIGURATION if _automatic(params) else None,
        payment_method=method["id"] if method else None,
        payment_method_types=params.get("payment_method_types") or params.get("allowed_payment_method_types"),
    )
    intent = _with_options(sandbox, intent, params)
    return _confirm(sandbox, intent, params, method) if params.get("confirm") else intent


def _with_options(sandbox: Sandbox, intent: Obj, params: Obj) -> Obj:
    """Return the intent with what the parameters say of each type of payment method, as 3-D Secure asked for."""
    if not params.get("payment_method_options"):
        return intent
    return sandbox.update(merge(intent, params, "payment_method_options"))


def _of_version(request: Request) -> Obj:
    """Return what an API version takes for granted of an intent (recorded in each of them).

    Cards alone before 2023-08-16, automatic payment methods since; with those, since 2024-04-10, a capture that need
    not be awaited (`automatic_async`).
    """
    version, params = (request.version or API_VERSION)[:10], request.params
    if params.get("payment_method_types") or params.get("allowed_payment_method_types"):
        return {}
    if version < "2023-08-16" and "automatic_payment_methods" not in params:
        return {"payment_method_types": ["card"]}
    return {"capture_method": "automatic_async"} if version >= "2024-04-10" else {}


def _automatic(params: Obj) -> Obj | None:
    if params.get("payment_method_types") or params.get("allowed_payment_method_types"):
        return None
    return {"allow_redirects": "always", "enabled": True, **params.get("automatic_payment_methods", {})}


def _confirm(sandbox: Sandbox, intent: Obj, params: Obj, method: Obj | None) -> Obj:
    if method is None:
        raise invalid(
            "You cannot confirm this PaymentIntent because it's missing a payment method. You can either update the "
            "PaymentIntent with a payment method and then confirm it again, or confirm it again directly with a "
            "payment method or ConfirmationToken.",
            code="payment_intent_unexpected_state",
        )
    confirmation_tokens.spend(sandbox, params, intent)
    intent["_return_url"] = params.get("return_url")
    intent = payments.confirm(sandbox, intent, method, off_session=bool(params.get("off_session")))
    if intent["last_payment_error"]:
        raise payments.error_of(sandbox, intent)
    if intent["status"] == "requires_action" and params.get("error_on_requires_action"):
        raise StripeError(
            "Your card was declined. This transaction requires authentication.",
            status=402,
            type="card_error",
            code="authentication_required",
            keep=True,
        )
    return intent


@route("GET", "/v1/payment_intents", params="PaymentIntentListParams")
def index(sandbox: Sandbox, request: Request) -> Obj:
    """List payment intents."""
    return page(sandbox, request, "payment_intent")


@route("GET", "/v1/payment_intents/{id}", params="PaymentIntentRetrieveParams")
def retrieve(sandbox: Sandbox, _: Request, id: str) -> Obj:
    """Retrieve a payment intent."""
    return sandbox.need("payment_intent", id)


@route("POST", "/v1/payment_intents/{id}", params="PaymentIntentUpdateParams", legacy=("payment_method_types",))
def update(sandbox: Sandbox, request: Request, id: str) -> Obj:
    """Change an intent that is not under way or over."""
    intent = sandbox.need("payment_intent", id)
    if intent["status"] not in payments.OPEN[:3] and request.params.keys() - {"metadata", "description"}:
        raise invalid(
            f"This PaymentIntent's {', '.join(request.params)} could not be updated because it has a status of "
            f"{intent['status']}.",
            code="payment_intent_unexpected_state",
        )
    method = payment_methods.given(sandbox, request.params)
    changed = merge(intent, request.params, *_PLAIN, "amount", "currency", "customer", "payment_method_options")
    if {"amount", "currency"} & request.params.keys():
        limits.check_charge(changed["amount"], changed["currency"])
    if method:
        changed |= {"payment_method": method["id"], "status": "requires_confirmation"}
    return sandbox.update(changed)


@route("POST", "/v1/payment_intents/{id}/confirm", params="PaymentIntentConfirmParams")
def confirm(sandbox: Sandbox, request: Request, id: str) -> Obj:
    """Try to take the money."""
    intent = sandbox.need("payment_intent", id)
    if intent["status"] not in payments.OPEN[:3]:
        raise invalid(
            f"You cannot confirm this PaymentIntent because it has already {intent['status']} after being previously "
            "confirmed.",
            code="payment_intent_unexpected_state",
        )
    params = confirmation_tokens.said(sandbox, request.params)
    method = payment_methods.given(sandbox, params)
    if method is None and intent["payment_method"]:
        method = sandbox.need("payment_method", intent["payment_method"])
    changed = merge(intent, params, "payment_method_options", "receipt_email", "setup_future_usage", "shipping")
    return _confirm(sandbox, changed, params, method)


@route("POST", "/v1/payment_intents/{id}/capture", params="PaymentIntentCaptureParams")
def capture(sandbox: Sandbox, request: Request, id: str) -> Obj:
    """Take the authorised money."""
    return payments.capture(sandbox, sandbox.need("payment_intent", id), request.params.get("amount_to_capture"))


@route("POST", "/v1/payment_intents/{id}/cancel", params="PaymentIntentCancelParams")
def cancel(sandbox: Sandbox, request: Request, id: str) -> Obj:
    """Cancel an intent."""
    return payments.cancel(sandbox, sandbox.need("payment_intent", id), request.params.get("cancellation_reason"))
