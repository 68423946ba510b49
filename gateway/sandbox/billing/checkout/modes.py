"""What submitting a checkout session does in each of its modes: `payment`, `subscription`, `setup`.

Source: docs.stripe.com/payments/checkout/how-checkout-works
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from gateway.sandbox.billing import collection, customers, invoices, lines, payment_methods, payments, setups, starting
from gateway.sandbox.billing.checkout import completion
from gateway.sandbox.core import cards
from gateway.sandbox.core.errors import StripeError

if TYPE_CHECKING:
    from collections.abc import Callable

    from gateway.sandbox.core.ports import Sandbox
    from gateway.sandbox.core.store import Obj


def _customer(sandbox: Sandbox, session: Obj) -> Obj:
    """Return the session's customer, made now if need be."""
    if session["customer"]:
        customer = sandbox.need("customer", session["customer"])
        typed = session["_buyer"]["email"]
        if typed and not customer["email"]:  # docs.stripe.com/api/checkout/sessions/create, `customer`
            customer = sandbox.update(customer | {"email": typed}, "customer.updated")
        return customer
    known = {key: value for key, value in session["_buyer"].items() if value}
    customer = customers.create(sandbox, known)
    session["customer"] = customer["id"]
    sandbox.update(session)
    return customer


def _pay(sandbox: Sandbox, session: Obj, method: Obj | None) -> None:
    """Pay in mode `payment`: one payment intent, kept over several attempts."""
    wants_invoice = session["invoice_creation"]["enabled"]
    if session["customer"] or wants_invoice or session["customer_creation"] == "always":
        _customer(sandbox, session)
    if not session["amount_total"]:
        completion.finish(sandbox, session, "no_payment_required")
        return
    intent = completion.intent_of(sandbox, session) or _one_off(sandbox, session, invoiced=wants_invoice)
    if method is None:
        raise StripeError("Enter a payment method.", type="card_error", code="payment_method_required")
    if session["customer"] and intent["setup_future_usage"]:
        _save(sandbox, method, session["customer"])
    payments.confirm(sandbox, intent, method)
    completion.promise(sandbox, session, intent["id"])


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
            three_d_secure=payments.asked_for(session),
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
    """Make the payment that of an invoice, which ends paid (`invoice_creation`)."""
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
    """Subscribe in mode `subscription`: an incomplete subscription, whose first invoice each attempt tries to pay."""
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
    if not intent:  # the customer's balance has paid all of it
        completion.invoice_paid(sandbox, invoice)
        return
    collection.collect(sandbox, invoice, method)
    completion.promise(sandbox, session, intent["id"])


def _subscribe_free(sandbox: Sandbox, session: Obj, method: Obj | None) -> None:
    """Only set the payment method up where nothing is due today (a trial, metered prices)."""
    if method is None:
        _begin_free(sandbox, session, None)
        return
    intent = setups.intend(sandbox, session["customer"], three_d_secure=payments.asked_for(session))
    sandbox.update(session | {"_intent": intent["id"]})
    setups.confirm(sandbox, intent, method)
    after_setup(sandbox, sandbox.need("checkout.session", session["id"]))


def _begin_free(sandbox: Sandbox, session: Obj, method: str | None) -> None:
    customer = sandbox.need("customer", session["customer"])
    subscription = _subscription(sandbox, session, customer, default_payment_method=method)
    session |= {"subscription": subscription["id"], "invoice": subscription["latest_invoice"]}
    session["_subscription"] = subscription["id"]
    completion.finish(sandbox, session, "no_payment_required")


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
        "payment_settings": {"save_default_payment_method": "on_subscription", **_asked(session)},
        "payment_behavior": "default_incomplete",
        **{key: value for key, value in more.items() if value},
    }
    return starting.begin(sandbox, starting.create(sandbox, customer, params), params)


def _asked(session: Obj) -> Obj:
    """Return the payment settings of a subscription whose checkout asks for 3-D Secure more than by default."""
    asked = payments.asked_for(session)
    if asked in (None, "automatic"):
        return {}
    return {"payment_method_options": {"card": {"request_three_d_secure": asked}}}


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
    """Set up in mode `setup`: save a payment method."""
    if session["customer"] or session["customer_creation"] == "always":
        _customer(sandbox, session)
    intent = sandbox.need("setup_intent", session["setup_intent"]) | {"customer": session["customer"]}
    if method is None:
        raise StripeError("Enter a payment method.", type="card_error", code="payment_method_required")
    setups.confirm(sandbox, intent, method)
    after_setup(sandbox, session)


MODES: dict[str, Callable[[Sandbox, Obj, Obj | None], None]] = {
    "payment": _pay,
    "subscription": _subscribe,
    "setup": _set_up,
}


def _save(sandbox: Sandbox, method: Obj, customer: str) -> None:
    """Attach a payment method; one that cannot be saved will be declined anyway."""
    behaviour = cards.behaviour_of(method)
    if not (behaviour.refused and behaviour.decline):
        payment_methods.attach(sandbox, method, customer)


def after_setup(sandbox: Sandbox, session: Obj) -> None:
    """Go on with a session whose setup intent has succeeded."""
    intent = completion.intent_of(sandbox, session) or {}
    if intent.get("status") != "succeeded":
        return
    if session["mode"] == "setup":
        completion.finish(sandbox, session, "no_payment_required")
    else:
        _begin_free(sandbox, session, intent["payment_method"])
