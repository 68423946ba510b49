"""The customer portal's first page, payment methods and billing details."""

from itertools import islice
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from gateway.sandbox.billing import hosted_links, setups
from gateway.sandbox.billing.subscriptions import FINAL
from gateway.sandbox.core.errors import StripeError
from gateway.sandbox.pages import payment_form, site
from gateway.sandbox.pages.calls import call, sandbox_of, transact
from gateway.sandbox.pages.labels import TONES, address_lines, method_name
from gateway.sandbox.pages.portal import subscription as portal_subscription
from gateway.sandbox.pages.portal.session import Visit, visit_of

Json = dict[str, Any]

INVOICES_SHOWN = 12
_ADDRESS = ("line1", "line2", "city", "postal_code", "state", "country")
_DECLINED, _INVALID = 402, 422


def routes() -> list[Route]:
    """Return the portal's pages and what their forms do."""
    base = "/p/session/{id}"
    return [
        site.view(base, home),
        site.view(f"{base}/payment-method", new_method),
        site.action(f"{base}/payment-method", save_method),
        site.view(f"{base}/payment-method/{{intent}}", challenge),
        site.action(f"{base}/payment-method/{{intent}}", answer_challenge),
        site.action(f"{base}/payment-methods/{{method}}/default", make_default),
        site.action(f"{base}/payment-methods/{{method}}/remove", remove_method),
        site.view(f"{base}/details", details),
        site.action(f"{base}/details", save_details),
        *portal_subscription.routes(base),
    ]


async def home(http: Request) -> Response:
    """Show subscriptions, payment methods, details and invoices; a session with a flow goes straight to it."""
    visit = visit_of(http)
    if visit.flow:
        return site.redirect(_flow_path(visit, visit.flow))
    store, key = sandbox_of(http).store, visit.customer["id"]
    now = sandbox_of(http).now(visit.customer)
    subscriptions = [each for each in store.find("subscription", customer=key) if each["status"] not in FINAL]
    # A subscription's own method goes before the customer's: it is the one that will be charged.
    own = [each["default_payment_method"] for each in subscriptions if each["default_payment_method"]]
    default = own[0] if own else visit.customer["invoice_settings"]["default_payment_method"]
    methods = [
        {
            "id": method["id"],
            "name": method_name(method),
            "card": method.get("card"),
            "default": method["id"] == default,
        }
        for method in store.find("payment_method", customer=key)
    ]
    return visit.render(
        "portal.html",
        subscriptions=[portal_subscription.summary(visit, each) for each in subscriptions],
        methods=methods,
        address=address_lines(visit.customer["address"]),
        invoices=[
            invoice | {"tone": TONES.get(invoice["status"], ""), "page": hosted_links.path(invoice, now)}
            for invoice in islice(store.scan("invoice", customer=key), INVOICES_SHOWN)
            if invoice["status"] != "draft"
        ],
    )


def _flow_path(visit: Visit, flow: Json) -> str:
    """Return the page that a flow begins with."""
    kind = flow["type"]
    if kind == "payment_method_update":
        return f"{visit.home}/payment-method"
    subscription = flow[kind]["subscription"]
    page = {"subscription_cancel": "cancel", "subscription_update": "update", "subscription_update_confirm": "confirm"}
    return f"{visit.home}/subscriptions/{subscription}/{page[kind]}"


# Payment methods -----------------------------------------------------------------------------------------------


async def new_method(http: Request) -> Response:
    """Return the form for another card."""
    visit = visit_of(http)
    visit.require("payment_method_update")
    return _method_page(visit, {})


async def save_method(http: Request) -> Response:
    """Save a card by a setup intent, ready to be charged while the customer is away, as the default."""
    visit, form = visit_of(http), await site.read_form(http)
    visit.require("payment_method_update")
    if "fill" in form:
        payment_form.fill(form)
        return _method_page(visit, form)
    errors = payment_form.method_errors(form, sandbox_of(http).now(visit.customer))
    if errors:
        return _method_page(visit, form, errors, status=_INVALID)
    try:
        method = call(http, "POST", "/v1/payment_methods", payment_form.payment_method_params(form))
        params = {
            "customer": visit.customer["id"],
            "payment_method": method["id"],
            "allowed_payment_method_types": [method["type"]],
            "usage": "off_session",
            "confirm": True,
        }
        intent = call(http, "POST", "/v1/setup_intents", params)
        if intent["status"] == "requires_action":
            return site.redirect(f"{visit.home}/payment-method/{intent['id']}")
        _use(visit, method["id"])
    except StripeError as error:
        return _method_page(visit, form, message=error.message, status=_DECLINED)
    return visit.done("method")


async def challenge(http: Request) -> Response:
    """Show the bank's question about a new card."""
    visit = visit_of(http)
    intent = _intent(visit)
    method = sandbox_of(http).store.get("payment_method", intent["payment_method"]) or {}
    last4 = (method.get("card") or {}).get("last4", "")
    return visit.render("challenge.html", amount=None, last4=last4, action=http.url.path)


async def answer_challenge(http: Request) -> Response:
    """Approve or fail the bank's question."""
    visit, form = visit_of(http), await site.read_form(http)
    sandbox, approved = sandbox_of(http), form.get("action") == "approve"
    intent = transact(http, lambda: setups.authenticate(sandbox, _intent(visit), succeeded=approved))
    if intent["status"] != "succeeded":
        message = (intent["last_setup_error"] or {}).get("message", "The bank said no.")
        return _method_page(visit, {}, message=message, status=_DECLINED)
    _use(visit, intent["payment_method"])
    return visit.done("method")


async def make_default(http: Request) -> Response:
    """Make a saved payment method the one that is charged."""
    visit, _ = visit_of(http), await site.read_form(http)
    visit.require("payment_method_update")
    _use(visit, _own_method(visit))
    return visit.done("method")


async def remove_method(http: Request) -> Response:
    """Take a payment method off the customer."""
    visit, _ = visit_of(http), await site.read_form(http)
    visit.require("payment_method_update")
    call(http, "POST", f"/v1/payment_methods/{_own_method(visit)}/detach")
    return visit.done("removed")


def _use(visit: Visit, method: str) -> None:
    """Charge this method from now on: for the customer, and for subscriptions that had a method of their own."""
    settings = {"invoice_settings": {"default_payment_method": method}}
    call(visit.http, "POST", f"/v1/customers/{visit.customer['id']}", settings)
    for subscription in sandbox_of(visit.http).store.find("subscription", customer=visit.customer["id"]):
        if subscription["default_payment_method"] and subscription["status"] not in FINAL:
            call(visit.http, "POST", f"/v1/subscriptions/{subscription['id']}", {"default_payment_method": method})


def _own_method(visit: Visit) -> str:
    """Return the id of the URL's payment method, if it is this customer's."""
    found = sandbox_of(visit.http).store.get("payment_method", visit.http.path_params["method"])
    if found is None or found["customer"] != visit.customer["id"]:
        raise HTTPException(404, "There is no such payment method here.")
    return str(found["id"])


def _intent(visit: Visit) -> Json:
    """Return the setup intent of the URL, if it is this customer's and waits for an answer."""
    found = sandbox_of(visit.http).store.get("setup_intent", visit.http.path_params["intent"])
    if found is None or found["customer"] != visit.customer["id"] or found["status"] != "requires_action":
        raise HTTPException(404, "There is no question of a bank to answer here.")
    return found


def _method_page(
    visit: Visit, form: dict[str, str], errors: dict[str, str] | None = None, *, message: str = "", status: int = 200
) -> Response:
    offered = payment_form.examples(["card"])
    return visit.render(
        "portal_method.html",
        status=status,
        form=form,
        errors=errors or {},
        message=message,
        test_cards=offered,
    )


# Billing details -----------------------------------------------------------------------------------------------


async def details(http: Request) -> Response:
    """Return the form for name, e-mail, telephone and address."""
    visit = visit_of(http)
    visit.require("customer_update")
    known = {name: visit.customer[name] or "" for name in ("name", "email", "phone")}
    return _details_page(
        visit, {**known, **{name: (visit.customer["address"] or {}).get(name) or "" for name in _ADDRESS}}
    )


async def save_details(http: Request) -> Response:
    """Save what the configuration allows to change."""
    visit, form = visit_of(http), await site.read_form(http)
    visit.require("customer_update")
    allowed = visit.features["customer_update"]["allowed_updates"]
    # The API cannot unset these: an empty field leaves what there was.
    changes: Json = {name: form[name] for name in ("name", "email", "phone") if name in allowed and form.get(name)}
    if "address" in allowed:
        address = {name: form[name] for name in _ADDRESS if form.get(name)}
        changes["address"] = address or ""
    errors = payment_form.email_errors(form) if "email" in allowed else {}
    country = form.get("country", "")
    if country and not (len(country) == 2 and country.isascii() and country.isalpha()):  # noqa: PLR2004 -- ISO 3166
        errors["country"] = "Enter the country as two letters, such as US or DE."
    if errors:
        return _details_page(visit, form, errors, status=_INVALID)
    call(http, "POST", f"/v1/customers/{visit.customer['id']}", changes)
    return visit.done("details")


def _details_page(
    visit: Visit, form: dict[str, str], errors: dict[str, str] | None = None, status: int = 200
) -> Response:
    allowed = visit.features["customer_update"]["allowed_updates"]
    return visit.render("portal_details.html", status=status, form=form, errors=errors or {}, allowed=allowed)
