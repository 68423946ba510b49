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

from gateway.sandbox.billing import checkout
from gateway.sandbox.billing.subscriptions import trial_end_of
from gateway.sandbox.errors import StripeError
from gateway.sandbox.resources import account, checkout_sessions

from . import formats, payment_form, site
from .calls import sandbox_of, transact
from .checkout_view import CheckoutView, methods

Json = dict[str, Any]
Form = dict[str, str]

REDIRECT_WAIT = 10.0
"""Seconds that the redirect waits for ``checkout.session.completed`` to be delivered, as at Stripe:
https://docs.stripe.com/checkout/fulfillment#redirect-hosted-checkout"""

_LINES = tuple(f"line_items.data.price.{name}" for name in ("product", "tiers", "currency_options"))
_EMBEDDED = ("embedded_page", "embedded", "form")
_INVALID, _DECLINED = 422, 402
_NOBODY = "buyer@example.com"


def routes() -> list[Route]:
    """The page, what its form does, and the 3-D Secure challenge."""
    return [
        site.view("/c/pay/{id}", show),
        site.action("/c/pay/{id}", act),
        site.view("/c/pay/{id}/authenticate", challenge),
        site.action("/c/pay/{id}/authenticate", answer_challenge),
    ]


async def show(http: Request) -> Response:
    """The page of a session in whatever state it is."""
    session = _session(http)
    if session["status"] == "expired":
        return _expired(http, session)
    if session["status"] == "complete":
        return _complete(http, session)
    if _pending_intent(http, session):
        return site.redirect(f"/c/pay/{session['id']}/authenticate")
    return _page(http, session, {})


async def act(http: Request) -> Response:
    """What the pressed button of the form asks for."""
    form = await site.read_form(http)
    session = _session(http)
    if session["status"] != "open":
        return site.redirect(http.url.path)
    if "fill" in form:
        payment_form.fill(form)
        return _page(http, session, form)
    do = _ACTIONS.get(form.get("action", "pay"))
    if do is None:
        raise HTTPException(400, "This page has no such button.")
    return await do(http, session, form)


async def challenge(http: Request) -> Response:
    """The bank's question; back to the page when there is none to answer."""
    session = _session(http)
    intent = _pending_intent(http, session)
    if intent is None:
        return site.redirect(f"/c/pay/{session['id']}")
    method = sandbox_of(http).store.get("payment_method", intent["payment_method"])
    locale = _locale(http, session)
    return site.render(
        http,
        "challenge.html",
        frame_ancestors=_ancestors(session),
        merchant=account.NAME,
        amount=formats.money(intent["amount"], intent["currency"], locale) if intent.get("amount") else None,
        last4=method["card"]["last4"] if method and method.get("card") else "",
        action=http.url.path,
    )


async def answer_challenge(http: Request) -> Response:
    """Approves or fails the bank's question."""
    form = await site.read_form(http)
    session = _session(http)
    if _pending_intent(http, session) is None:
        return site.redirect(f"/c/pay/{session['id']}")
    approved = form.get("action") == "approve"
    outcome = transact(http, lambda: checkout.authenticate(sandbox_of(http), session["id"], succeeded=approved))
    return await _go_on(http, outcome, {})


# The buttons ---------------------------------------------------------------------------------------------------


async def _pay(http: Request, session: Json, form: Form) -> Response:
    """Checks the form, makes the payment method and completes the session with it."""
    form["email"] = _known_email(http, session) or form.get("email", "")
    try:
        session = _with_quantities(http, session, form)
    except StripeError as error:
        return _page(http, session, form, {"quantity": error.message}, status=_INVALID)
    wanted = checkout.needs_payment_method(session)
    errors = payment_form.email_errors(form)
    if wanted:
        errors |= payment_form.method_errors(form, sandbox_of(http).now(session))
    if errors:
        return _page(http, session, form, errors, message="Please check the marked fields.", status=_INVALID)
    return await _complete_with(http, session, form, with_method=wanted)


async def _decline(http: Request, session: Json, form: Form) -> Response:
    """Pays with the card that always says no, whatever the form holds."""
    attempt = {**form, "email": _known_email(http, session) or form.get("email") or _NOBODY, "method": "card"}
    attempt |= {"card_number": payment_form.DECLINED_CARD, "card_expiry": "12 / 34", "card_cvc": "123"}
    return await _complete_with(http, session, attempt, shown=form)


async def _complete_with(
    http: Request, session: Json, form: Form, *, with_method: bool = True, shown: Form | None = None
) -> Response:
    """Submits the session; ``shown`` is the form to show again after a decline, if it is another."""
    method = payment_form.payment_method_params(form) if with_method else None
    email, name = form["email"], form.get("name") or None
    try:
        outcome = transact(
            http, lambda: checkout.complete(sandbox_of(http), session["id"], method, email=email, name=name)
        )
    except StripeError as error:
        return _page(http, _session(http), form, message=error.message, status=_INVALID)
    return await _go_on(http, outcome, form if shown is None else shown)


async def _go_on(http: Request, outcome: checkout.Outcome, form: Form) -> Response:
    """Where the buyer goes: to the bank's question, back to the form, or to the merchant once he has been told."""
    session = outcome.session
    if outcome.status == checkout.ACTION:
        return site.redirect(f"/c/pay/{session['id']}/authenticate")
    if outcome.status == checkout.DECLINED:
        return _page(http, session, form, message=outcome.message, status=_DECLINED)
    if session["status"] != "complete":
        return site.redirect(f"/c/pay/{session['id']}")
    await sandbox_of(http).webhooks.settled(session["id"], timeout=REDIRECT_WAIT)
    target = _return_url(session)
    if target is None or session["ui_mode"] in _EMBEDDED:
        return _complete(http, session, leave=target is not None)
    return site.redirect(target)


async def _apply_promotion(http: Request, session: Json, form: Form) -> Response:
    code = form.get("promotion_code", "")
    if not code:
        return _page(http, session, form, {"promotion_code": "Enter a code first."}, status=_INVALID)
    try:
        transact(http, lambda: checkout_sessions.apply_promotion_code(sandbox_of(http), session["id"], code))
    except StripeError as error:
        return _page(http, session, form, {"promotion_code": error.message}, status=_INVALID)
    return _page(http, _session(http), {**form, "promotion_code": ""})


async def _remove_promotion(http: Request, session: Json, form: Form) -> Response:
    transact(http, lambda: checkout_sessions.apply_promotion_code(sandbox_of(http), session["id"], None))
    return _page(http, _session(http), form)


async def _change_quantity(http: Request, session: Json, form: Form) -> Response:
    try:
        session = _with_quantities(http, session, form)
    except StripeError as error:
        return _page(http, session, form, {"quantity": error.message}, status=_INVALID)
    return _page(http, session, form)


_ACTIONS: dict[str, Callable[[Request, Json, Form], Awaitable[Response]]] = {
    "pay": _pay,
    "decline": _decline,
    "promotion": _apply_promotion,
    "remove-promotion": _remove_promotion,
    "quantity": _change_quantity,
}


# Reading and showing -------------------------------------------------------------------------------------------


def _pending_intent(http: Request, session: Json) -> Json | None:
    """The intent of an open session that waits for 3-D Secure."""
    intent = checkout.intent_of(sandbox_of(http), session) if session["status"] == "open" else None
    return intent if intent and intent["status"] == "requires_action" else None


def _session(http: Request) -> Json:
    found = sandbox_of(http).store.get("checkout.session", http.path_params["id"])
    if found is None:
        raise HTTPException(404, "There is no such checkout session here.")
    return found


def _locale(http: Request, session: Json) -> str:
    return formats.choose_locale(session["locale"], http.headers.get("accept-language", ""))


def _known_email(http: Request, session: Json) -> str:
    """The e-mail address that the merchant gave, which the buyer cannot change."""
    customer = sandbox_of(http).store.get("customer", session["customer"]) if session["customer"] else None
    return session["customer_email"] or (customer or {}).get("email") or ""


def _with_quantities(http: Request, session: Json, form: Form) -> Json:
    """The session with the quantities of the form, where they differ and may be changed."""
    wanted = {name.removeprefix("quantity."): value for name, value in form.items() if name.startswith("quantity.")}
    for item in _lines(http, session):
        value = wanted.get(item["id"])
        if value is None or value == str(item["quantity"]):
            continue
        if not value.isdecimal():
            raise StripeError("Enter the quantity as a whole number.")
        change = partial(checkout_sessions.change_quantity, sandbox_of(http), session["id"], item["id"], int(value[:9]))
        session = transact(http, change)
    return session


def _lines(http: Request, session: Json) -> list[Json]:
    shown = sandbox_of(http).present(session, _LINES)
    lines: list[Json] = (shown.get("line_items") or {"data": []})["data"]
    return lines


def _discounts(http: Request, session: Json) -> list[Json]:
    """The coupons of a session, each with the code that the buyer entered for it, if any."""
    store, found = sandbox_of(http).store, []
    for discount in session["discounts"] or []:
        code = store.get("promotion_code", discount["promotion_code"]) if discount["promotion_code"] else None
        coupon = store.get("coupon", code["promotion"]["coupon"] if code else discount["coupon"])
        if coupon:
            found.append({"coupon": coupon, "code": code["code"] if code else None})
    return found


def _page(
    http: Request,
    session: Json,
    form: Form,
    errors: dict[str, str] | None = None,
    *,
    message: str | None = None,
    status: int = 200,
) -> Response:
    """The payment page with what was typed and what is wrong with it."""
    sandbox, email, offered = sandbox_of(http), _known_email(http, session), methods(session)
    locale = _locale(http, session)
    view = CheckoutView(
        session,
        _lines(http, session),
        discounts=_discounts(http, session),
        trial_end=trial_end_of(session["_params"].get("subscription_data", {}), [], session["created"]),
        now=sandbox.now(session),
        locale=locale,
    )
    return site.render(
        http,
        "checkout.html",
        status=status,
        frame_ancestors=_ancestors(session),
        view=view,
        session=session,
        url=f"/c/pay/{session['id']}",
        merchant=account.NAME,
        cancel_url=site.safe_return_url(session["cancel_url"]),
        email=email or form.get("email", ""),
        email_locked=bool(email),
        methods=offered,
        needs_method=checkout.needs_payment_method(session),
        promotion_allowed=session["allow_promotion_codes"] and not session["discounts"],
        test_cards=payment_form.examples(offered),
        form=form,
        errors=errors or {},
        message=message,
        locale=locale,
    )


def _return_url(session: Json) -> str | None:
    """Where the buyer goes back to, with the session's id filled in."""
    if session.get("redirect_on_completion") == "never":
        return None
    url = session["return_url"] if session["ui_mode"] in _EMBEDDED else session["success_url"]
    return site.safe_return_url((url or "").replace("{CHECKOUT_SESSION_ID}", session["id"]))


def _ancestors(session: Json) -> str:
    """An embedded page may stand in a frame of the merchant's, a hosted one in nobody's."""
    return "*" if session["ui_mode"] in _EMBEDDED else "'none'"


def _expired(http: Request, session: Json) -> Response:
    name = account.NAME
    return _message(
        http,
        session,
        title="This checkout has expired",
        text=f"Nothing was charged. Go back to {name} and start again.",
        mark="clock",
        tone="warn",
        link=site.safe_return_url(session["cancel_url"]),
        link_label=f"Back to {name}",
    )


def _complete(http: Request, session: Json, *, leave: bool = False) -> Response:
    """The session is over; ``leave`` takes the whole window back to the merchant."""
    unpaid = session["payment_status"] == "unpaid"
    return _message(
        http,
        session,
        title="Thank you" if leave else "You are all done here",
        text="Your bank debit is on its way and takes a few days." if unpaid else "This checkout is complete.",
        mark="check",
        tone="",
        link=_return_url(session),
        link_label=f"Back to {account.NAME}",
        leave=leave,
    )


def _message(http: Request, session: Json, **context: Any) -> Response:
    context.setdefault("leave", False)
    return site.render(
        http, "checkout_message.html", frame_ancestors=_ancestors(session), merchant=account.NAME, **context
    )
