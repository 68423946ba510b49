"""What happens when a buyer submits a checkout session: money, subscription, events, and the completed session.

Source: docs.stripe.com/payments/checkout/how-checkout-works, .../fulfill-orders
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from gateway.sandbox import cards
from gateway.sandbox.billing import collection, invoices, lines, payments, setups, subscriptions
from gateway.sandbox.errors import StripeError
from gateway.sandbox.resources import customers, payment_methods
from gateway.sandbox.routing import Request

if TYPE_CHECKING:
    from collections.abc import Callable

    from gateway.sandbox.store import Obj
    from gateway.sandbox.world import Sandbox

PAID, PROCESSING, ACTION, DECLINED = "paid", "processing", "requires_action", "declined"
COMPLETE, EXPIRED = "complete", "expired"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a buyer's attempt.

    Attributes:
        status: "paid" (also when nothing was due), "processing" (complete, money later), "requires_action" (3-D
            Secure: call `authenticate`), "declined", or "complete" / "expired" for a session that was not open.
        session: The session as it is now.
        message: For the buyer, after a decline.
    """

    status: str
    session: Obj
    message: str | None = None


@dataclass(frozen=True, slots=True)
class Buyer:
    """What the buyer typed in; empty fields were not asked for."""

    email: str | None = None
    name: str | None = None
    phone: str | None = None
    address: Obj | None = None


def complete(
    sandbox: Sandbox,
    session_id: str,
    payment_method: Obj | str | None = None,
    *,
    email: str | None = None,
    name: str | None = None,
    phone: str | None = None,
    address: Obj | None = None,
) -> Outcome:
    """The buyer presses the button.

    Args:
        sandbox: The account.
        session_id: A checkout session.
        payment_method: The parameters of `POST /v1/payment_methods` (`{"type": "card", "card": {…}}`), an id or a
            test token; None where the session needs none.
        email: The buyer's address, unless the session or its customer has one.
        name: The name on the card.
        phone: A telephone number.
        address: The billing address, as Stripe's `address` hash.

    Returns:
        The outcome; declines are no exceptions.
    """
    with sandbox.store.transaction():
        session = sandbox.need("checkout.session", session_id)
        if session["status"] != "open":
            return Outcome(str(session["status"]), session)
        buyer = Buyer(email or session["customer_email"], name, phone, address)
        try:
            method = _payment_method(sandbox, payment_method, buyer)
            if method is None and needs_payment_method(session):
                return Outcome(DECLINED, session, "Enter a payment method.")
            session["_buyer"] = {"email": buyer.email, "name": name, "phone": phone, "address": address}
            sandbox.update(session)
            _MODES[session["mode"]](sandbox, session, method)
        except StripeError as error:
            if error.type != "card_error":
                raise
            return Outcome(DECLINED, sandbox.need("checkout.session", session_id), error.message)
        return outcome_of(sandbox, session_id)


def authenticate(sandbox: Sandbox, session_id: str, *, succeeded: bool) -> Outcome:
    """The buyer answers the 3-D Secure step that `complete` asked for."""
    with sandbox.store.transaction():
        session = sandbox.need("checkout.session", session_id)
        intent = intent_of(sandbox, session)
        if session["status"] != "open" or intent is None:
            return Outcome(str(session["status"]), session)
        if intent["object"] == "setup_intent":
            setups.authenticate(sandbox, intent, succeeded=succeeded)
            _after_setup(sandbox, session)
        else:
            payments.authenticate(sandbox, intent, succeeded=succeeded)
        return outcome_of(sandbox, session_id)


def outcome_of(sandbox: Sandbox, session_id: str) -> Outcome:
    """Where a session stands after an attempt."""
    session = sandbox.need("checkout.session", session_id)
    if session["status"] == "complete":
        return Outcome(PROCESSING if session["payment_status"] == "unpaid" else PAID, session)
    if session["status"] == "expired":
        return Outcome(EXPIRED, session)
    intent = intent_of(sandbox, session) or {}
    if intent.get("status") == "requires_action":
        return Outcome(ACTION, session)
    error = intent.get("last_payment_error") or intent.get("last_setup_error") or {}
    return Outcome(DECLINED, session, error.get("message", "Your card was declined."))


def intent_of(sandbox: Sandbox, session: Obj) -> Obj | None:
    """The payment or setup intent that an open session last tried."""
    id = session.get("_intent") or ""
    return sandbox.store.get("payment_intent", id) or sandbox.store.get("setup_intent", id)


def needs_payment_method(session: Obj) -> bool:
    """Whether the page must ask for a payment method."""
    if session["mode"] == "setup" or session["amount_total"]:
        return True
    return bool(session["mode"] == "subscription" and session["payment_method_collection"] != "if_required")


def _payment_method(sandbox: Sandbox, given: Obj | str | None, buyer: Buyer) -> Obj | None:
    if given is None:
        return None
    if isinstance(given, str):
        return payment_methods.resolve(sandbox, given)
    details = {"email": buyer.email, "name": buyer.name, "phone": buyer.phone, "address": buyer.address}
    billing = {key: value for key, value in details.items() if value}
    params = {**given, "billing_details": {**billing, **given.get("billing_details", {})}}
    return payment_methods.create(sandbox, Request("POST", "/v1/payment_methods", params))


# --- The three modes ----------------------------------------------------------------------------------------


def _customer(sandbox: Sandbox, session: Obj) -> Obj:
    """The session's customer, made now if need be."""
    if session["customer"]:
        return sandbox.need("customer", session["customer"])
    known = {key: value for key, value in session["_buyer"].items() if value}
    customer = customers.create(sandbox, Request("POST", "/v1/customers", known))
    session["customer"] = customer["id"]
    sandbox.update(session)
    return customer


def _pay(sandbox: Sandbox, session: Obj, method: Obj | None) -> None:
    """Mode `payment`: one payment intent, kept over several attempts."""
    wants_invoice = session["invoice_creation"]["enabled"]
    if wants_invoice or session["customer_creation"] == "always":
        _customer(sandbox, session)
    if not session["amount_total"]:
        finish(sandbox, session, "no_payment_required")
        return
    intent = intent_of(sandbox, session) or _one_off(sandbox, session, invoiced=wants_invoice)
    if method is None:
        raise StripeError("Enter a payment method.", type="card_error", code="payment_method_required")
    if session["customer"] and intent["setup_future_usage"]:
        _save(sandbox, method, session["customer"])
    payments.confirm(sandbox, intent, method)
    _promise(sandbox, session, intent["id"])


def _one_off(sandbox: Sandbox, session: Obj, *, invoiced: bool) -> Obj:
    data: Obj = session["_params"].get("payment_intent_data", {})
    if invoiced:
        intent = _invoiced(sandbox, session)
    else:
        intent = payments.intend(
            sandbox,
            amount=session["amount_total"],
            currency=session["currency"],
            customer=session["customer"],
            metadata=data.get("metadata", {}),
            _owner=session["id"],
            **{
                name: data[name]
                for name in ("capture_method", "description", "receipt_email", "setup_future_usage", "shipping")
                if name in data
            },
        )
    session |= {"payment_intent": intent["id"], "_intent": intent["id"]}
    sandbox.update(session)
    return intent


def _invoiced(sandbox: Sandbox, session: Obj) -> Obj:
    """`invoice_creation`: the payment is that of an invoice, which ends paid."""
    customer = sandbox.need("customer", session["customer"])
    now = sandbox.now(customer)
    bought = [
        lines.line(
            sandbox,
            amount=item["amount_total"] - item["amount_tax"],
            currency=session["currency"],
            period=(now, now),
            quantity=item["quantity"],
            description=item["description"],
            pricing=lines.pricing(item["price"], None),
            _tax_rates=item.get("_tax_rates", []),
        )
        for item in session["_items"]
    ]
    data: Obj = session["_params"]["invoice_creation"].get("invoice_data", {})
    invoice = invoices.draft(
        sandbox,
        customer,
        currency=session["currency"],
        lines=bought,
        reason="manual",
        metadata=data.get("metadata", {}),
        description=data.get("description"),
        _checkout_session=session["id"],
    )
    invoice = invoices.finalize(sandbox, invoice)
    session["invoice"] = invoice["id"]
    return collection.intent_of(sandbox, invoice) or {}


def _subscribe(sandbox: Sandbox, session: Obj, method: Obj | None) -> None:
    """Mode `subscription`: an incomplete subscription, whose first invoice each attempt tries to pay."""
    customer = _customer(sandbox, session)
    if method:
        _save(sandbox, method, customer["id"])
    if not session["amount_total"]:
        _subscribe_free(sandbox, session, method)
        return
    subscription = _subscription(sandbox, session, customer)
    invoice = sandbox.need("invoice", subscription["latest_invoice"])
    intent = collection.intent_of(sandbox, invoice) or {}
    session |= {"invoice": invoice["id"], "subscription": subscription["id"], "_intent": intent.get("id")}
    session["_subscription"] = subscription["id"]
    sandbox.update(session)
    collection.collect(sandbox, invoice, method)
    _promise(sandbox, session, intent["id"])


def _subscribe_free(sandbox: Sandbox, session: Obj, method: Obj | None) -> None:
    """Nothing is due today (a trial, metered prices): the payment method is only set up."""
    if method is None:
        _begin_free(sandbox, session, None)
        return
    intent = setups.intend(sandbox, session["customer"])
    sandbox.update(session | {"_intent": intent["id"]})
    setups.confirm(sandbox, intent, method)
    _after_setup(sandbox, sandbox.need("checkout.session", session["id"]))


def _begin_free(sandbox: Sandbox, session: Obj, method: str | None) -> None:
    customer = sandbox.need("customer", session["customer"])
    subscription = _subscription(sandbox, session, customer, default_payment_method=method)
    session |= {"subscription": subscription["id"], "invoice": subscription["latest_invoice"]}
    session["_subscription"] = subscription["id"]
    finish(sandbox, session, "no_payment_required")


def _subscription(sandbox: Sandbox, session: Obj, customer: Obj, **more: Any) -> Obj:
    if session["subscription"]:
        return sandbox.need("subscription", session["subscription"])
    data: Obj = dict(session["_params"].get("subscription_data", {}))
    recurring = [item for item in session["_items"] if item["price"]["type"] == "recurring"]
    once = [item for item in session["_items"] if item["price"]["type"] == "one_time"]
    params = {
        **data,
        "currency": session["currency"],
        "items": [_bought(item) for item in recurring],
        "add_invoice_items": [_bought(item) for item in once],
        "discounts": _discounts(session),
        "payment_settings": {"save_default_payment_method": "on_subscription"},
        "payment_behavior": "default_incomplete",
        **{key: value for key, value in more.items() if value},
    }
    return subscriptions.begin(sandbox, subscriptions.create(sandbox, customer, params), params)


def _bought(item: Obj) -> Obj:
    metered = (item["price"]["recurring"] or {}).get("usage_type") == "metered"
    return {
        "price": item["price"]["id"],
        **({} if metered else {"quantity": item["quantity"]}),
        "tax_rates": [rate["id"] for rate in item.get("_tax_rates", [])],
        "metadata": item["metadata"] or {},
    }


def _discounts(session: Obj) -> list[Obj]:
    return [
        {"promotion_code": each["promotion_code"]} if each["promotion_code"] else {"coupon": each["coupon"]}
        for each in session["discounts"]
    ]


def _set_up(sandbox: Sandbox, session: Obj, method: Obj | None) -> None:
    """Mode `setup`: save a payment method."""
    if session["customer_creation"] == "always":
        _customer(sandbox, session)
    data: Obj = session["_params"].get("setup_intent_data", {})
    intent = intent_of(sandbox, session) or setups.intend(
        sandbox, session["customer"], metadata=data.get("metadata", {}), description=data.get("description")
    )
    session |= {"setup_intent": intent["id"], "_intent": intent["id"]}
    sandbox.update(session)
    if method is None:
        raise StripeError("Enter a payment method.", type="card_error", code="payment_method_required")
    setups.confirm(sandbox, intent, method)
    _after_setup(sandbox, session)


_MODES: dict[str, Callable[[Sandbox, Obj, Obj | None], None]] = {
    "payment": _pay,
    "subscription": _subscribe,
    "setup": _set_up,
}


def _save(sandbox: Sandbox, method: Obj, customer: str) -> None:
    """Attach a payment method; one that cannot be saved will be declined anyway."""
    behaviour = cards.behaviour_of(method)
    if not (behaviour.refused and behaviour.decline):
        payment_methods.attach(sandbox, method, customer)


# --- Completion ---------------------------------------------------------------------------------------------


def _after_setup(sandbox: Sandbox, session: Obj) -> None:
    intent = intent_of(sandbox, session) or {}
    if intent.get("status") != "succeeded":
        return
    if session["mode"] == "setup":
        finish(sandbox, session, "no_payment_required")
    else:
        _begin_free(sandbox, session, intent["payment_method"])


def _promise(sandbox: Sandbox, session: Obj, intent_id: str) -> None:
    """A bank debit on its way (or an authorisation to capture) completes the session, unpaid."""
    session = sandbox.need("checkout.session", session["id"])
    intent = sandbox.need("payment_intent", intent_id)
    if session["status"] == "open" and intent["status"] in ("processing", "requires_capture"):
        finish(sandbox, session, "unpaid")


@payments.settles("checkout.session")
def _settled(sandbox: Sandbox, intent: Obj) -> None:
    _paid_or_not(sandbox, sandbox.need("checkout.session", intent["_owner"]), paid=intent["status"] == "succeeded")


@collection.after("paid")
def _invoice_paid(sandbox: Sandbox, invoice: Obj) -> None:
    for session in _sessions_of(sandbox, invoice):
        _paid_or_not(sandbox, session, paid=True)


@collection.after("failed")
def _invoice_failed(sandbox: Sandbox, invoice: Obj) -> None:
    for session in _sessions_of(sandbox, invoice):
        _paid_or_not(sandbox, session, paid=False)


def _sessions_of(sandbox: Sandbox, invoice: Obj) -> list[Obj]:
    found = sandbox.store.find("checkout.session", invoice=invoice["id"])
    return [session for session in found if session["payment_status"] == "unpaid"]


def _paid_or_not(sandbox: Sandbox, session: Obj, *, paid: bool) -> None:
    """An open session completes when it is paid; a completed one learns the late outcome of its payment."""
    if session["status"] == "open" and paid:
        finish(sandbox, session, "paid")
    elif session["status"] == "complete" and session["payment_status"] == "unpaid":
        outcome = "succeeded" if paid else "failed"
        session["payment_status"] = "paid" if paid else "unpaid"
        sandbox.update(session)
        sandbox.emit(f"checkout.session.async_payment_{outcome}", session)


def finish(sandbox: Sandbox, session: Obj, payment_status: str) -> None:
    """Complete a session and tell of it."""
    buyer = session["_buyer"]
    customer = sandbox.store.get("customer", session["customer"] or "") or {}
    session |= {
        "customer_details": {
            "address": buyer["address"] or {"country": "US"},
            "business_name": None,
            "email": buyer["email"] or customer.get("email"),
            "individual_name": None,
            "name": buyer["name"] or customer.get("name"),
            "phone": buyer["phone"] or customer.get("phone"),
            "tax_exempt": customer.get("tax_exempt", "none"),
            "tax_ids": [],
        },
        "payment_status": payment_status,
        "status": "complete",
        "url": None,
    }
    sandbox.clock.cancel("checkout.session.expire", session)
    session = sandbox.create(session)  # fills in the empty fields of what is new in it
    sandbox.emit("checkout.session.completed", session)
