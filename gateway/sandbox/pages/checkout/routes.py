"""The hosted checkout page: shows an open session, takes the buyer's answers, leads back to the merchant.

Everything works by plain forms; the page's script only makes it quicker.
"""

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from gateway.sandbox.billing.checkout import cart
from gateway.sandbox.billing.checkout import submit as checkout
from gateway.sandbox.core.errors import StripeError
from gateway.sandbox.pages import formats, payment_form, site
from gateway.sandbox.pages.calls import sandbox_of, transact
from gateway.sandbox.pages.checkout.view import (
    EMBEDDED,
    ancestors,
    complete_page,
    expired_page,
    form_page,
    known_email,
    lines_of,
    locale_of,
    pending_intent,
    return_url,
    session_of,
)
from gateway.sandbox.resources import account

Json = dict[str, Any]
Form = dict[str, str]

REDIRECT_WAIT = 10.0
"""Seconds that the redirect waits for ``checkout.session.completed`` to be delivered, as at Stripe:
https://docs.stripe.com/checkout/fulfillment#redirect-hosted-checkout"""

_INVALID, _DECLINED = 422, 402
_NOBODY = "buyer@example.com"


def routes() -> list[Route]:
    """Return the page, what its form does, and the 3-D Secure challenge."""
    return [
        site.view("/c/pay/{id}", show),
        site.action("/c/pay/{id}", act),
        site.view("/c/pay/{id}/authenticate", challenge),
        site.action("/c/pay/{id}/authenticate", answer_challenge),
    ]


async def show(http: Request) -> Response:
    """Show a session in whatever state it is."""
    session = session_of(http)
    if session["status"] == "expired":
        return expired_page(http, session)
    if session["status"] == "complete":
        return complete_page(http, session)
    if pending_intent(http, session):
        return site.redirect(f"/c/pay/{session['id']}/authenticate")
    return form_page(http, session, {})


async def act(http: Request) -> Response:
    """Return what the pressed button of the form asks for."""
    form = await site.read_form(http)
    session = session_of(http)
    if session["status"] != "open":
        return site.redirect(http.url.path)
    if "fill" in form:
        payment_form.fill(form)
        return form_page(http, session, form)
    do = _ACTIONS.get(form.get("action", "pay"))
    if do is None:
        raise HTTPException(400, "This page has no such button.")
    return await do(http, session, form)


async def challenge(http: Request) -> Response:
    """Show the bank's question; go back to the page when there is none to answer."""
    session = session_of(http)
    intent = pending_intent(http, session)
    if intent is None:
        return site.redirect(f"/c/pay/{session['id']}")
    method = sandbox_of(http).store.get("payment_method", intent["payment_method"])
    locale = locale_of(http, session)
    return site.render(
        http,
        "challenge.html",
        frame_ancestors=ancestors(session),
        merchant=account.NAME,
        amount=formats.money(intent["amount"], intent["currency"], locale) if intent.get("amount") else None,
        last4=method["card"]["last4"] if method and method.get("card") else "",
        action=http.url.path,
    )


async def answer_challenge(http: Request) -> Response:
    """Approve or fail the bank's question."""
    form = await site.read_form(http)
    session = session_of(http)
    if pending_intent(http, session) is None:
        return site.redirect(f"/c/pay/{session['id']}")
    approved = form.get("action") == "approve"
    outcome = transact(http, lambda: checkout.authenticate(sandbox_of(http), session["id"], succeeded=approved))
    return await _go_on(http, outcome, {})


# The buttons ---------------------------------------------------------------------------------------------------


async def _pay(http: Request, session: Json, form: Form) -> Response:
    """Check the form, make the payment method and complete the session with it."""
    form["email"] = known_email(http, session) or form.get("email", "")
    try:
        session = _with_quantities(http, session, form)
    except StripeError as error:
        return form_page(http, session, form, {"quantity": error.message}, status=_INVALID)
    wanted = checkout.needs_payment_method(session)
    errors = payment_form.email_errors(form)
    if session["phone_number_collection"]["enabled"]:
        errors |= payment_form.phone_errors(form)
    if wanted:
        errors |= payment_form.method_errors(form, sandbox_of(http).now(session))
    if errors:
        return form_page(http, session, form, errors, message="Please check the marked fields.", status=_INVALID)
    return await _complete_with(http, session, form, with_method=wanted)


async def _decline(http: Request, session: Json, form: Form) -> Response:
    """Pay with the card that always says no, whatever the form holds."""
    attempt = {**form, "email": known_email(http, session) or form.get("email") or _NOBODY, "method": "card"}
    attempt |= {"card_number": payment_form.DECLINED_CARD, "card_expiry": "12 / 34", "card_cvc": "123"}
    return await _complete_with(http, session, attempt, shown=form)


async def _complete_with(
    http: Request, session: Json, form: Form, *, with_method: bool = True, shown: Form | None = None
) -> Response:
    """Submit the session; ``shown`` is the form to show again after a decline, if it is another."""
    method = payment_form.payment_method_params(form) if with_method else None
    buyer: Json = {"email": form["email"], "name": form.get("name") or None, "phone": form.get("phone") or None}
    try:
        outcome = transact(http, lambda: checkout.complete(sandbox_of(http), session["id"], method, **buyer))
    except StripeError as error:
        return form_page(http, session_of(http), form, message=error.message, status=_INVALID)
    return await _go_on(http, outcome, form if shown is None else shown)


async def _go_on(http: Request, outcome: checkout.Outcome, form: Form) -> Response:
    """Lead the buyer on: to the bank's question, back to the form, or to the merchant once he has been told."""
    session = outcome.session
    if outcome.status == checkout.ACTION:
        return site.redirect(f"/c/pay/{session['id']}/authenticate")
    if outcome.status == checkout.DECLINED:
        return form_page(http, session, form, message=outcome.message, status=_DECLINED)
    if session["status"] != "complete":
        return site.redirect(f"/c/pay/{session['id']}")
    await sandbox_of(http).deliveries.settled(session["id"], timeout=REDIRECT_WAIT)
    target = return_url(session)
    if target is None or session["ui_mode"] in EMBEDDED:
        return complete_page(http, session, leave=target is not None)
    return site.redirect(target)


async def _apply_promotion(http: Request, session: Json, form: Form) -> Response:
    code = form.get("promotion_code", "")
    if not code:
        return form_page(http, session, form, {"promotion_code": "Enter a code first."}, status=_INVALID)
    try:
        transact(http, lambda: cart.apply_promotion_code(sandbox_of(http), session["id"], code))
    except StripeError as error:
        return form_page(http, session, form, {"promotion_code": error.message}, status=_INVALID)
    return form_page(http, session_of(http), {**form, "promotion_code": ""})


async def _remove_promotion(http: Request, session: Json, form: Form) -> Response:
    transact(http, lambda: cart.apply_promotion_code(sandbox_of(http), session["id"], None))
    return form_page(http, session_of(http), form)


async def _change_quantity(http: Request, session: Json, form: Form) -> Response:
    try:
        session = _with_quantities(http, session, form)
    except StripeError as error:
        return form_page(http, session, form, {"quantity": error.message}, status=_INVALID)
    return form_page(http, session, form)


def _with_quantities(http: Request, session: Json, form: Form) -> Json:
    """Return the session with the quantities of the form, where they differ and may be changed."""
    wanted = {name.removeprefix("quantity."): value for name, value in form.items() if name.startswith("quantity.")}
    for item in lines_of(http, session):
        value = wanted.get(item["id"])
        if value is None or value == str(item["quantity"]):
            continue
        if not value.isdecimal():
            raise StripeError("Enter the quantity as a whole number.")
        change = partial(cart.change_quantity, sandbox_of(http), session["id"], item["id"], int(value[:9]))
        session = transact(http, change)
    return session


_ACTIONS: dict[str, Callable[[Request, Json, Form], Awaitable[Response]]] = {
    "pay": _pay,
    "decline": _decline,
    "promotion": _apply_promotion,
    "remove-promotion": _remove_promotion,
    "quantity": _change_quantity,
}
