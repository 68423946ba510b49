"""Customers: made and changed, with the card, the discount and the tax ids that come with them.

Source: https://docs.stripe.com/api/customers
"""

from __future__ import annotations

import string
from typing import TYPE_CHECKING

from gateway.sandbox.billing import customer_balance, discounts, payment_methods, sources, tax_ids
from gateway.sandbox.core.errors import invalid
from gateway.sandbox.core.expand import public
from gateway.sandbox.core.merge import merge

if TYPE_CHECKING:
    from gateway.sandbox.core.ports import Sandbox
    from gateway.sandbox.core.store import Obj


_PLAIN = [
    "address",
    "business_name",
    "description",
    "email",
    "individual_name",
    "invoice_prefix",
    "invoice_settings",
    "metadata",
    "name",
    "next_invoice_sequence",
    "phone",
    "preferred_locales",
    "shipping",
    "tax",
    "tax_exempt",
]


def create(sandbox: Sandbox, params: Obj) -> Obj:
    """Create a customer from the parameters of `POST /v1/customers`."""
    _check_email(params)
    if "test_clock" in params:
        sandbox.need("test_helpers.test_clock", params["test_clock"], "test_clock")
    customer = {
        "object": "customer",
        "balance": params.get("balance", 0),
        "currency": None,
        "delinquent": False,
        "invoice_prefix": sandbox.choices(string.ascii_uppercase + string.digits, 8),
        "invoice_settings": {},
        "metadata": {},
        "next_invoice_sequence": 1,
        "preferred_locales": [],
        "tax_exempt": "none",
        "test_clock": params.get("test_clock"),
    }
    customer = sandbox.create(merge(customer, params, *_PLAIN), "customer.created")
    return _with_parts(sandbox, customer["id"], params)


def update(sandbox: Sandbox, id: str, params: Obj) -> Obj:
    """Change a customer by the parameters of `POST /v1/customers/{id}`."""
    _check_email(params)
    before = sandbox.need("customer", id)
    customer = sandbox.update(merge(before, params, *_PLAIN), "customer.updated")
    if "default_source" in params:
        sandbox.need("payment_method", params["default_source"], "default_source")
        customer = sandbox.update({**customer, "default_source": params["default_source"]}, "customer.updated")
    if "balance" in params and params["balance"] != before["balance"]:
        change = params["balance"] - before["balance"]
        customer_balance.adjust(sandbox, customer, change, customer["currency"] or "usd", "adjustment")
    return _with_parts(sandbox, id, params)


def _give_discount(sandbox: Sandbox, customer: Obj, given: Obj) -> None:
    """Give a discount on all of a customer's invoices, which only API versions before basil could ask for."""
    (discount_id,) = discounts.redeem(sandbox, [given], customer, replacing=customer["discount"])
    discount = sandbox.need("discount", discount_id)
    sandbox.update({**customer, "discount": public(discount)}, "customer.updated")


def take_discount(sandbox: Sandbox, customer: Obj) -> Obj | None:
    """Take the discount off a customer and return it, if there is one."""
    discount: Obj | None = customer["discount"]
    if discount:
        sandbox.update({**customer, "discount": None}, "customer.updated")
        sandbox.emit("customer.discount.deleted", discount)
    return discount


def _with_parts(sandbox: Sandbox, id: str, params: Obj) -> Obj:
    """Save the card, payment method and tax ids that come with a customer; return the customer."""
    if params.get("source"):
        sources.save(sandbox, id, params["source"])
    default = (params.get("invoice_settings") or {}).get("default_payment_method")
    if params.get("payment_method"):
        method = payment_methods.attach(sandbox, payment_methods.resolve(sandbox, params["payment_method"]), id)
        if default == params["payment_method"]:  # one test token in both places is one payment method
            customer = sandbox.need("customer", id)
            customer["invoice_settings"]["default_payment_method"] = default = method["id"]
            sandbox.update(customer, "customer.updated")
    if default:
        method = sandbox.need("payment_method", default, "invoice_settings[default_payment_method]")
        if method["customer"] != id:
            raise invalid(
                "The customer does not have a payment method with the ID " + default + ". The payment method must be "
                "attached to the customer.",
                "invoice_settings[default_payment_method]",
                "resource_missing",
            )
    discount = {name: params[name] for name in ("coupon", "promotion_code") if params.get(name)}
    if discount:
        _give_discount(sandbox, sandbox.need("customer", id), discount)
    elif params.get("coupon") == "":
        take_discount(sandbox, sandbox.need("customer", id))
    for given in params.get("tax_id_data", ()):
        tax_ids.make(sandbox, id, given["type"], given["value"])
    return sandbox.need("customer", id)


def _check_email(params: Obj) -> None:
    email = params.get("email")
    if email and "@" not in email:
        raise invalid(f"Invalid email address: {email}", "email", "email_invalid")


def invoice_paid(sandbox: Sandbox, invoice: Obj) -> None:
    """Note that a customer has paid, or is forgiven; `delinquent` tells of the invoice that changed last."""
    _mark(sandbox, invoice, delinquent=False)


def invoice_failed(sandbox: Sandbox, invoice: Obj) -> None:
    """Note that an automatic payment failed; a first invoice is the buyer's own attempt."""
    if invoice["billing_reason"] != "subscription_create" and invoice["auto_advance"]:
        _mark(sandbox, invoice, delinquent=True)


def invoice_overdue(sandbox: Sandbox, invoice: Obj) -> None:
    """Note that the due date of a sent invoice has passed."""
    _mark(sandbox, invoice, delinquent=True)


def _mark(sandbox: Sandbox, invoice: Obj, *, delinquent: bool) -> None:
    customer = sandbox.store.get("customer", invoice["customer"])
    if customer and customer["delinquent"] != delinquent:
        sandbox.update(customer | {"delinquent": delinquent}, "customer.updated")
