"""Checkout sessions. https://docs.stripe.com/api/checkout/sessions.

The hosted page submits through `gateway.sandbox.billing.checkout`, the Stripe CLI through the private
`/v1/payment_pages`.
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

from gateway.sandbox import money, periods
from gateway.sandbox.billing import checkout, discounts, items, lines, totals
from gateway.sandbox.billing.subscriptions import trial_end_of
from gateway.sandbox.clock import job
from gateway.sandbox.errors import StripeError, invalid, parameter_missing
from gateway.sandbox.lists import envelope, page, page_of
from gateway.sandbox.merge import merge
from gateway.sandbox.resources import prices
from gateway.sandbox.routing import Request, expandable, kind, route

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gateway.sandbox.store import Obj
    from gateway.sandbox.world import Sandbox

kind("checkout.session", "cs_test_", "checkout.session")
kind("item", "li", "line item")

SHORTEST, LONGEST = 30 * periods.MINUTE, 24 * periods.HOUR
_PLAIN = (
    "allow_promotion_codes billing_address_collection cancel_url client_reference_id consent_collection "
    "customer_creation customer_email integration_identifier locale metadata mode origin_context "
    "payment_method_collection redirect_on_completion return_url submit_type success_url"
).split()
# What is needed again when the buyer submits.
_KEPT = ("subscription_data", "payment_intent_data", "setup_intent_data", "invoice_creation")
# Names of the same before dahlia (2026).
_UI_MODES = {"hosted": "hosted_page", "embedded": "embedded_page", "custom": "elements"}


@route(
    "POST",
    "/v1/checkout/sessions",
    params="checkout.SessionCreateParams",
    legacy=("payment_method_types", "ui_mode"),
)
def create(sandbox: Sandbox, request: Request) -> Obj:
    """Create a session; the buyer pays on its `url`."""
    params = _checked(sandbox, request.params)
    customer = sandbox.need("customer", params["customer"], "customer") if "customer" in params else None
    now = sandbox.now(customer)
    id = sandbox.new_id("cs_test_")
    given = params.get("line_items") or []
    prices_given = [_price(sandbox, entry, f"line_items[{number}]") for number, entry in enumerate(given)]
    _check_mode(params["mode"], prices_given)
    currency = _currency(params, customer, prices_given)
    session = merge(_blank(id, now), params, *_PLAIN)
    session |= {
        "currency": currency,
        "customer": params.get("customer"),
        "ui_mode": params["ui_mode"],
        "expires_at": params.get("expires_at", now + LONGEST),
        "invoice_creation": {**_INVOICE_CREATION, **_only(params.get("invoice_creation"), "enabled")},
        "payment_method_types": params.get("payment_method_types")
        or params.get("allowed_payment_method_types")
        or ["card"],
        "_params": {name: params[name] for name in _KEPT if name in params},
        "_items": [
            _item(sandbox, entry, price, currency, f"line_items[{number}]")
            for number, (entry, price) in enumerate(zip(given, prices_given, strict=True))
        ],
    }
    session["allowed_payment_method_types"] = session["payment_method_types"]
    for name in ("automatic_tax", "phone_number_collection", "tax_id_collection"):
        if name in params:
            session[name] = merge(session.get(name) or {}, params[name])
    _default_modes(session, params)
    session["discounts"] = [_discount(sandbox, session, entry, customer) for entry in params.get("discounts") or []]
    base = request.base_url
    if session["ui_mode"] == "hosted_page":
        session["url"] = f"{base}/c/pay/{id}"
    else:
        session["client_secret"] = f"{id}_secret_{sandbox.new_id('x').removeprefix('x_')}"
    made = sandbox.create(reckon(sandbox, session))
    sandbox.clock.schedule(made["expires_at"], "checkout.session.expire", made)
    return made


_INVOICE_CREATION: Obj = {
    "enabled": False,
    "invoice_data": {"account_tax_ids": None, "metadata": {}},
}


def _blank(id: str, now: int) -> Obj:
    return {
        "id": id,
        "object": "checkout.session",
        "adaptive_pricing": {"enabled": False},
        "automatic_tax": {"enabled": False, "liability": None, "provider": None, "status": None},
        "created": now,
        "custom_fields": [],
        "custom_text": {},
        "discounts": [],
        "metadata": {},
        "payment_method_options": {},
        "payment_status": "unpaid",
        "shipping_options": [],
        "status": "open",
    }


def _only(given: Obj | None, *names: str) -> Obj:
    return {name: value for name, value in (given or {}).items() if name in names}


def _default_modes(session: Obj, params: Obj) -> None:
    """What is chosen when nothing is said, by mode."""
    mode = session["mode"]
    if mode == "payment":
        session["customer_creation"] = params.get("customer_creation", "if_required")
    elif mode == "subscription":
        session["customer_creation"] = None if "customer" in params else "always"
        session["payment_method_collection"] = params.get("payment_method_collection", "always")
    else:
        session["customer_creation"] = params.get("customer_creation")
    if session["customer"]:
        session["customer_creation"] = None
    if mode == "setup":
        session["payment_status"] = "no_payment_required"


def _checked(sandbox: Sandbox, params: Obj) -> Obj:
    """The parameters, after what Stripe refuses about their combination."""
    params = {**params, "ui_mode": _UI_MODES.get(params.get("ui_mode", ""), params.get("ui_mode", "hosted_page"))}
    if "mode" not in params:
        raise parameter_missing("mode")
    if params["mode"] != "setup" and not params.get("line_items"):
        raise parameter_missing("line_items")
    if params["ui_mode"] == "hosted_page" and "success_url" not in params:
        raise parameter_missing("success_url")
    if "customer" in params and "customer_email" in params:
        raise invalid("You may only specify one of these parameters: customer, customer_email.", "customer_email")
    if params.get("discounts") and params.get("allow_promotion_codes"):
        raise invalid(
            "You may only specify one of these parameters: allow_promotion_codes, discounts.", "allow_promotion_codes"
        )
    for name in ("success_url", "cancel_url", "return_url"):
        if name in params and "://" not in params[name]:
            raise invalid("Not a valid URL", name, "url_invalid")
    for name, mode in (
        ("subscription_data", "subscription"),
        ("payment_intent_data", "payment"),
        ("setup_intent_data", "setup"),
    ):
        if name in params and params["mode"] != mode:
            raise invalid(f"You can not pass `{name}` in `{params['mode']}` mode.", name)
    wait = params.get("expires_at", sandbox.now() + LONGEST) - sandbox.now()
    if not SHORTEST - periods.MINUTE <= wait <= LONGEST + periods.MINUTE:
        raise invalid(
            "The `expires_at` timestamp must be at least 30 minutes and less than 24 hours from Checkout Session "
            "creation.",
            "expires_at",
        )
    return params


def _price(sandbox: Sandbox, entry: Obj, param: str) -> Obj:
    if "price_data" in entry:
        return prices.make(sandbox, {**entry["price_data"], "active": False})
    price = items.price_of(sandbox, entry, param, recurring=False)
    if price is None:
        raise parameter_missing(f"{param}[price]")
    return price


def _check_mode(mode: str, found: Sequence[Obj]) -> None:
    recurring = [price["recurring"] for price in found if price["type"] == "recurring"]
    if mode == "payment" and recurring:
        raise invalid(
            "You specified `payment` mode but passed a recurring price. Either switch to `subscription` mode or use "
            "only one-time prices.",
            "line_items",
        )
    if mode == "subscription" and not recurring:
        raise invalid(
            "You must provide at least one recurring price in `subscription` mode when using prices.", "line_items"
        )
    if len({(each["interval"], each["interval_count"]) for each in recurring}) > 1:
        raise invalid("Checkout does not support multiple prices with different billing intervals.", "line_items")


def _currency(params: Obj, customer: Obj | None, found: Sequence[Obj]) -> str | None:
    if params.get("currency"):
        return str(params["currency"]).lower()
    if not found:
        return None
    own = (customer or {}).get("currency")
    return own if own and all(money.in_currency(price, own) for price in found) else str(found[0]["currency"])


def _item(sandbox: Sandbox, entry: Obj, price: Obj, currency: str | None, param: str) -> Obj:
    metered = (price["recurring"] or {}).get("usage_type") == "metered"
    if not metered and "quantity" not in entry:
        raise invalid("Quantity is required. Add `quantity` to `line_items[0]`.".replace("line_items[0]", param), param)
    if metered and "quantity" in entry:
        raise invalid("Quantity should not be specified where usage_type is `metered`.", f"{param}[quantity]")
    items.check_currency(price, currency or price["currency"], f"{param}[price]")
    return {
        "id": sandbox.new_id("li"),
        "object": "item",
        "adjustable_quantity": _adjustable(entry.get("adjustable_quantity")),
        "currency": currency,
        "description": lines.product_name(sandbox, price),
        "metadata": entry.get("metadata") or {},
        "price": price,
        "quantity": None if metered else entry["quantity"],
        "_tax_rates": items.tax_rates(sandbox, entry.get("tax_rates"), f"{param}[tax_rates]"),
    }


def _adjustable(given: Obj | None) -> Obj | None:
    return {"enabled": False, "maximum": 99, "minimum": 0, **given} if given else None


def _discount(sandbox: Sandbox, session: Obj, entry: Obj, customer: Obj | None) -> Obj:
    coupon, code = discounts.resolve(sandbox, entry, customer)
    subtotal = sum(_amount(session, item) for item in session["_items"])
    if code and not discounts.reaches_minimum(code, subtotal, session["currency"]):
        raise invalid("This order does not meet the promotion code's minimum amount.", "promotion_code")
    return {"coupon": coupon["id"], "promotion_code": code["id"] if code else None}


# --- Amounts ------------------------------------------------------------------------------------------------


def _trial(session: Obj) -> int | None:
    data = session["_params"].get("subscription_data", {})
    return trial_end_of(data, [], session["created"])


def _amount(session: Obj, item: Obj) -> int:
    """What is due today for a line item: nothing for metered prices, nor for recurring ones in a trial."""
    if item["quantity"] is None or (item["price"]["type"] == "recurring" and _trial(session)):
        return 0
    return money.cost(item["price"], item["quantity"], session["currency"])


def reckon(sandbox: Sandbox, session: Obj) -> Obj:
    """Reckon the amounts of a session and of its line items."""
    if session["mode"] == "setup":
        return session
    rows = [_row(session, item) for item in session["_items"]]
    coupons = [totals.Discount(each["coupon"], sandbox.need("coupon", each["coupon"])) for each in session["discounts"]]
    rates = items.tax_rates(
        sandbox, session["_params"].get("subscription_data", {}).get("default_tax_rates"), "default_tax_rates"
    )
    customer = sandbox.store.get("customer", session["customer"] or "") or {}
    rules = totals.Rules(session["currency"], coupons, {}, rates, customer.get("tax_exempt") or "none")
    sums = totals.reckon(rows, rules)
    for item, row in zip(session["_items"], rows, strict=True):
        exclusive = sum(tax["amount"] for tax in row["taxes"] if tax["tax_behavior"] == "exclusive")
        item |= {
            "amount_discount": sum(each["amount"] for each in row["discount_amounts"]),
            "amount_subtotal": row["amount"],
            "amount_tax": sum(tax["amount"] for tax in row["taxes"]),
            "amount_total": totals.net(row) + exclusive,
        }
    return session | {
        "amount_subtotal": sums["subtotal"],
        "amount_total": sums["total"],
        "total_details": {
            "amount_discount": sum(each["amount"] for each in sums["total_discount_amounts"]),
            "amount_shipping": 0,
            "amount_tax": sum(tax["amount"] for tax in sums["total_taxes"]),
        },
    }


def _row(session: Obj, item: Obj) -> Obj:
    return {
        "amount": _amount(session, item),
        "discountable": True,
        "discounts": [],
        "pricing": lines.pricing(item["price"], Decimal(0)),
        "_tax_rates": item["_tax_rates"],
    }


# --- What the page changes while the session is open --------------------------------------------------------


def apply_promotion_code(sandbox: Sandbox, session_id: str, code: str | None) -> Obj:
    """Put a promotion code (as the buyer types it) on an open session, or take it off (None).

    Raises:
        StripeError: There is no such code, or it does not fit this order.
    """
    session = _open(sandbox, session_id)
    session["discounts"] = []
    if code:
        found = next((each for each in sandbox.store.find("promotion_code") if _same_code(each, code)), None)
        if found is None:
            raise invalid("This code is invalid.", "promotion_code", "resource_missing")
        customer = sandbox.store.get("customer", session["customer"] or "")
        session["discounts"] = [_discount(sandbox, session, {"promotion_code": found["id"]}, customer)]
    return sandbox.update(reckon(sandbox, session))


def _same_code(found: Obj, typed: str) -> bool:
    return bool(found["active"]) and str(found["code"]).lower() == typed.strip().lower()


def change_quantity(sandbox: Sandbox, session_id: str, item_id: str, quantity: int) -> Obj:
    """Change the quantity of an adjustable line item of an open session, within its bounds."""
    session = _open(sandbox, session_id)
    item = next((each for each in session["_items"] if each["id"] == item_id), None)
    bounds = (item or {}).get("adjustable_quantity")
    if item is None or not bounds or not bounds["enabled"]:
        raise invalid("The quantity of this item cannot be changed.", "quantity")
    if not bounds["minimum"] <= quantity <= bounds["maximum"]:
        raise invalid(f"The quantity must be between {bounds['minimum']} and {bounds['maximum']}.", "quantity")
    item["quantity"] = quantity
    return sandbox.update(reckon(sandbox, session))


def _open(sandbox: Sandbox, id: str) -> Obj:
    session = sandbox.need("checkout.session", id)
    if session["status"] != "open":
        raise invalid(f"This Checkout Session is {session['status']}.", "session")
    return session


# --- The rest of the API ------------------------------------------------------------------------------------


@route("GET", "/v1/checkout/sessions", params="checkout.SessionListParams")
def index(sandbox: Sandbox, request: Request) -> Obj:
    """List sessions."""
    email = (request.params.get("customer_details") or {}).get("email")
    return page(
        sandbox,
        request,
        "checkout.session",
        lambda session: not email or (session["customer_details"] or {}).get("email") == email,
        customer_details=None,
    )


@route("GET", "/v1/checkout/sessions/{id}")
def retrieve(sandbox: Sandbox, _: Request, id: str) -> Obj:
    """Retrieve a session."""
    return sandbox.need("checkout.session", id)


@route("POST", "/v1/checkout/sessions/{id}", params="checkout.SessionUpdateParams")
def update(sandbox: Sandbox, request: Request, id: str) -> Obj:
    """Change what may be changed of a session."""
    return sandbox.update(merge(sandbox.need("checkout.session", id), request.params, "metadata"))


@route("GET", "/v1/checkout/sessions/{id}/line_items", params="checkout.SessionListLineItemsParams")
def line_items(sandbox: Sandbox, request: Request, id: str) -> Obj:
    """List a session's line items."""
    return page_of(request, sandbox.need("checkout.session", id)["_items"])


@expandable("checkout.session", "line_items")
def _line_items(_: Sandbox, session: Obj) -> Obj:
    return envelope(f"/v1/checkout/sessions/{session['id']}/line_items", session["_items"])


@route("POST", "/v1/checkout/sessions/{id}/expire")
def expire(sandbox: Sandbox, _: Request, id: str) -> Obj:
    """Expire an open session at once."""
    session = sandbox.need("checkout.session", id)
    if session["status"] != "open":
        raise StripeError(
            f'Only Checkout Sessions with a status in ["open"] can be expired. This Checkout Session has a status of '
            f"{session['status']}."
        )
    return _expire(sandbox, session)


@job("checkout.session.expire")
def _expire_by_itself(sandbox: Sandbox, id: str) -> None:
    session = sandbox.need("checkout.session", id)
    if session["status"] == "open":
        _expire(sandbox, session)


def _expire(sandbox: Sandbox, session: Obj) -> Obj:
    sandbox.clock.cancel("checkout.session.expire", session)
    session |= {"status": "expired", "url": None}
    sandbox.update(session)
    sandbox.emit("checkout.session.expired", session)
    return session


# --- The Stripe CLI's way through the page ------------------------------------------------------------------


@route("GET", "/v1/payment_pages/{id}", params="*")
def payment_page(sandbox: Sandbox, _: Request, id: str) -> Obj:
    """What the CLI reads of the hosted page (private API, no documentation): the total it expects to pay."""
    session = sandbox.need("checkout.session", id)
    return {
        "id": session["id"],
        "object": "checkout.session",
        "session_id": session["id"],
        "mode": session["mode"],
        "status": session["status"],
        "line_item_group": {"currency": session["currency"], "total": session["amount_total"]},
        "total_summary": {"due": session["amount_total"], "total": session["amount_total"]},
    }


@route("POST", "/v1/payment_pages/{id}/confirm", params="*")
def confirm_page(sandbox: Sandbox, request: Request, id: str) -> Obj:
    """The CLI submits the page: `payment_method`, `expected_amount`."""
    session = sandbox.need("checkout.session", id)
    expected: Any = request.params.get("expected_amount")
    if expected not in (None, "") and int(expected) != (session["amount_total"] or 0):
        raise invalid(f"The amount is {session['amount_total']}, not {expected}.", "expected_amount")
    id_or_token = request.params.get("payment_method")
    details = (sandbox.store.get("payment_method", id_or_token or "") or {}).get("billing_details") or {}
    outcome = checkout.complete(
        sandbox, id, id_or_token, email=details.get("email"), name=details.get("name"), address=details.get("address")
    )
    if outcome.status == checkout.DECLINED:
        raise StripeError(outcome.message or "", status=402, type="card_error", code="card_declined", keep=True)
    return outcome.session
