"""Tax calculations: an account without registrations collects nothing.

Sources: https://docs.stripe.com/api/tax/calculations; recorded: spree_stripe, create_tax_calculation_us_tx #0 (of an
account that is registered in Texas).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from babel import Locale

from gateway.sandbox.api.lists import page_of
from gateway.sandbox.api.routing import route
from gateway.sandbox.core.errors import invalid
from gateway.sandbox.core.periods import DAY
from gateway.sandbox.core.registry import expandable, kind
from gateway.sandbox.core.templates import envelope

if TYPE_CHECKING:
    from gateway.sandbox.core.ports import Request, Sandbox
    from gateway.sandbox.core.store import Obj

kind("tax.calculation", "taxcalc", "calculation", path="calculation")
kind("tax.calculation_line_item", "tax_li", "line item")

_VALID = 90 * DAY
_GENERAL, _SHIPPING = "txcd_10000000", "txcd_92010001"


@route("POST", "/v1/tax/calculations", params="tax.CalculationCreateParams")
def create(sandbox: Sandbox, request: Request) -> Obj:
    """Reckon the tax of an order: none."""
    params = request.params
    details = _of_customer(sandbox, params)
    now = sandbox.now()
    country = details["address"] or {}
    given = enumerate(params["line_items"], 1)
    lines = [_line(sandbox, each, number, country.get("country") or "") for number, each in given]
    shipping = _shipping(params)
    calculation: Obj = {
        "object": "tax.calculation",
        "amount_total": sum(line["amount"] for line in lines) + (shipping or {}).get("amount", 0),
        "currency": params["currency"].lower(),
        "customer": params.get("customer"),
        "customer_details": details,
        "expires_at": now + _VALID,
        "ship_from_details": params.get("ship_from_details"),
        "shipping_cost": shipping,
        "tax_amount_exclusive": 0,
        "tax_amount_inclusive": 0,
        "tax_breakdown": [_nothing(country)],
        "tax_date": params.get("tax_date") or now,
        "_lines": lines,
    }
    return sandbox.create(calculation)


@route("GET", "/v1/tax/calculations/{id}")
def retrieve(sandbox: Sandbox, _: Request, id: str) -> Obj:
    """Retrieve a calculation."""
    return sandbox.need("tax.calculation", id)


@route("GET", "/v1/tax/calculations/{id}/line_items", params="tax.CalculationListLineItemsParams")
def line_items(sandbox: Sandbox, request: Request, id: str) -> Obj:
    """List the lines of a calculation."""
    return page_of(request, sandbox.need("tax.calculation", id)["_lines"])


@expandable("tax.calculation", "line_items")
def _line_items(_: Sandbox, calculation: Obj) -> Obj:
    return envelope(f"/v1/tax/calculations/{calculation['id']}/line_items", calculation["_lines"])


@expandable("tax.calculation_line_item", "tax_breakdown")
def _breakdown(_: Sandbox, line: Obj) -> list[Obj]:
    country = line["_country"]
    name = Locale("en").territories.get(country, country)
    where = {"country": country, "display_name": name, "level": "country", "state": None}
    untaxed = {"amount": 0, "tax_rate_details": None, "taxability_reason": "not_collecting", "taxable_amount": 0}
    return [{**untaxed, "jurisdiction": where, "sourcing": "destination"}]


def _of_customer(sandbox: Sandbox, params: Obj) -> Obj:
    details: Obj = params.get("customer_details") or {}
    if params.get("customer"):
        customer = sandbox.need("customer", params["customer"], "customer")
        details = {"address": customer["address"], "address_source": "billing"}
    if not details.get("address") and not details.get("ip_address"):
        raise invalid("The customer's location is needed: pass `customer_details[address]`.", "customer_details")
    return {"ip_address": None, "tax_ids": [], "taxability_override": "none", **details}


def _line(sandbox: Sandbox, given: Obj, number: int, country: str) -> Obj:
    return {
        "id": sandbox.new_id("tax_li"),
        "object": "tax.calculation_line_item",
        "amount": given["amount"],
        "amount_tax": 0,
        "livemode": False,
        "metadata": given.get("metadata", {}),
        "product": given.get("product"),
        "quantity": given.get("quantity", 1),
        "reference": given.get("reference", f"L{number}"),
        "tax_behavior": given.get("tax_behavior", "exclusive"),
        "tax_code": given.get("tax_code", _GENERAL),
        "_country": country,
    }


def _shipping(params: Obj) -> Obj | None:
    given: Obj | None = params.get("shipping_cost")
    if not given:
        return None
    shown = {"amount": 0, "tax_behavior": "exclusive", "tax_code": _SHIPPING, **given}
    return {**shown, "amount_tax": 0}


def _nothing(address: Obj) -> Obj:
    rate = {
        "country": address.get("country"),
        "flat_amount": None,
        "percentage_decimal": "0.0",
        "rate_type": None,
        "state": address.get("state"),
        "tax_type": None,
    }
    return {
        "amount": 0,
        "inclusive": False,
        "tax_rate_details": rate,
        "taxability_reason": "not_collecting",
        "taxable_amount": 0,
    }
