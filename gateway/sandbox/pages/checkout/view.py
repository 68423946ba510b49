"""What the checkout page shows of a session: the form, the summary, or the message that it is over."""

from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from gateway.sandbox.billing.checkout import submit as checkout
from gateway.sandbox.billing.checkout.completion import intent_of
from gateway.sandbox.billing.starting import trial_end_of
from gateway.sandbox.pages import formats, payment_form, site
from gateway.sandbox.pages.calls import sandbox_of
from gateway.sandbox.pages.checkout.summary import CheckoutView, methods
from gateway.sandbox.resources import account

Json = dict[str, Any]
Form = dict[str, str]

EMBEDDED = ("embedded_page", "form")
_LINES = tuple(f"line_items.data.price.{name}" for name in ("product", "tiers", "currency_options"))


def pending_intent(http: Request, session: Json) -> Json | None:
    """Return the intent of an open session that waits for 3-D Secure."""
    intent = intent_of(sandbox_of(http), session) if session["status"] == "open" else None
    return intent if intent and intent["status"] == "requires_action" else None


def session_of(http: Request) -> Json:
    """Return the session of the URL as it is now.

    Raises:
        HTTPException: 404, there is none.
    """
    found = sandbox_of(http).store.get("checkout.session", http.path_params["id"])
    if found is None:
        raise HTTPException(404, "There is no such checkout session here.")
    return found


def locale_of(http: Request, session: Json) -> str:
    """Return the locale of figures and dates: the session's, else the browser's."""
    return formats.choose_locale(session["locale"], http.headers.get("accept-language", ""))


def known_email(http: Request, session: Json) -> str:
    """Return the e-mail address that the merchant gave, which the buyer cannot change."""
    customer = sandbox_of(http).store.get("customer", session["customer"]) if session["customer"] else None
    return session["customer_email"] or (customer or {}).get("email") or ""


def lines_of(http: Request, session: Json) -> list[Json]:
    """Return the line items with their prices and products."""
    shown = sandbox_of(http).present(session, _LINES)
    lines: list[Json] = (shown.get("line_items") or {"data": []})["data"]
    return lines


def _discounts(http: Request, session: Json) -> list[Json]:
    """Return the coupons of a session, each with the code that the buyer entered for it, if any."""
    store, found = sandbox_of(http).store, []
    for discount in session["discounts"] or []:
        code = store.get("promotion_code", discount["promotion_code"]) if discount["promotion_code"] else None
        coupon = store.get("coupon", code["promotion"]["coupon"] if code else discount["coupon"])
        if coupon:
            found.append({"coupon": coupon, "code": code["code"] if code else None})
    return found


def form_page(
    http: Request,
    session: Json,
    form: Form,
    errors: dict[str, str] | None = None,
    *,
    message: str | None = None,
    status: int = 200,
) -> Response:
    """Return the payment page with what was typed and what is wrong with it."""
    sandbox, email, offered = sandbox_of(http), known_email(http, session), methods(session)
    locale = locale_of(http, session)
    view = CheckoutView(
        session,
        lines_of(http, session),
        discounts=_discounts(http, session),
        trial_end=trial_end_of(session["_params"].get("subscription_data", {}), [], session["created"]),
        now=sandbox.now(session),
        locale=locale,
    )
    return site.render(
        http,
        "checkout.html",
        status=status,
        frame_ancestors=ancestors(session),
        view=view,
        session=session,
        url=f"/c/pay/{session['id']}",
        merchant=account.NAME,
        cancel_url=site.safe_return_url(session["cancel_url"]),
        email=email or form.get("email", ""),
        email_locked=bool(email),
        methods=offered,
        asks_phone=session["phone_number_collection"]["enabled"],
        needs_method=checkout.needs_payment_method(session),
        promotion_allowed=session["allow_promotion_codes"] and not session["discounts"],
        test_cards=payment_form.examples(offered),
        form=form,
        errors=errors or {},
        message=message,
        locale=locale,
    )


def return_url(session: Json) -> str | None:
    """Return where the buyer goes back to, with the session's id filled in."""
    if session.get("redirect_on_completion") == "never":
        return None
    url = session["return_url"] if session["ui_mode"] in EMBEDDED else session["success_url"]
    return site.safe_return_url((url or "").replace("{CHECKOUT_SESSION_ID}", session["id"]))


def ancestors(session: Json) -> str:
    """Return who may frame the page: an embedded one the merchant, a hosted one nobody."""
    return "*" if session["ui_mode"] in EMBEDDED else "'none'"


def expired_page(http: Request, session: Json) -> Response:
    """Say that the session is over without a purchase."""
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


def complete_page(http: Request, session: Json, *, leave: bool = False) -> Response:
    """Say that the session is over; ``leave`` takes the whole window back to the merchant."""
    unpaid = session["payment_status"] == "unpaid"
    return _message(
        http,
        session,
        title="Thank you" if leave else "You are all done here",
        text="Your bank debit is on its way and takes a few days." if unpaid else "This checkout is complete.",
        mark="check",
        tone="",
        link=return_url(session),
        link_label=f"Back to {account.NAME}",
        leave=leave,
    )


def _message(http: Request, session: Json, **context: Any) -> Response:
    context.setdefault("leave", False)
    return site.render(
        http, "checkout_message.html", frame_ancestors=ancestors(session), merchant=account.NAME, **context
    )
