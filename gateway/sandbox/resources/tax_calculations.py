"""Tax calculations. The offline Stripe knows no taxes: it takes the account's own rates of the buyer's place.

An account is taken to be registered where it has an active tax rate whose `country` (and `state`, if it has one) is
that of the address; elsewhere it does not collect.

Sources: https://docs.stripe.com/api/tax/calculations; recorded: spree_stripe, create_tax_calculation_us_tx #0.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from babel import Locale

from gateway.sandbox.api.lists import page_of
from gateway.sandbox.api.routing import route
from gateway.sandbox.core import money
from gateway.sandbox.core.errors import invalid
from gateway.sandbox.core.periods import DAY
from gateway.sandbox.core.registry import expandable, hidden, kind
from gateway.sandbox.core.templates import envelope
from gateway.sandbox.resources import tax_settings

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gateway.sandbox.core.ports import Request, Sandbox
    from gateway.sandbox.core.store import Obj

kind("tax.calculation", "taxcalc", "calculation", path="calculation")
kind("tax.calculation_line_item", "tax_li", "line item")
hidden("tax.calculation_line_item", "tax_breakdown")

_VALID = 90 * DAY
_GENERAL, _SHIPPING = "txcd_10000000", "txcd_92010001"


@route("POST", "/v1/tax/calculations", params="tax.CalculationCreateParams")
def create(sandbox: Sandbox, request: Request) -> Obj:
    """Reckon the tax of an order."""
    tax_settings.need_active(sandbox)
    params = request.params
    details = _of_customer(sandbox, params)
    address: Obj = details["address"] or {}
    rates, untaxed = _rates(sandbox, address), _untaxed(address.get("country") or "")
    lines = [_taxed(_line(sandbox, *each), rates, untaxed) for each in enumerate(params["line_items"], 1)]
    shipping = _taxed(_shipping(params), rates, untaxed) if params.get("shipping_cost") else None
    taxed = [*lines, *([shipping] if shipping else [])]
    sums = {
        behavior: sum(each["amount_tax"] for each in taxed if each["tax_behavior"] == behavior)
        for behavior in ("exclusive", "inclusive")
    }
    now = sandbox.now()
    calculation: Obj = {
        "object": "tax.calculation",
        "amount_total": sum(each["amount"] for each in taxed) + sums["exclusive"],
        "currency": params["currency"].lower(),
        "customer": params.get("customer"),
        "customer_details": details,
        "expires_at": now + _VALID,
        "ship_from_details": params.get("ship_from_details"),
        "shipping_cost": shipping,
        "tax_amount_exclusive": sums["exclusive"],
        "tax_amount_inclusive": sums["inclusive"],
        "tax_breakdown": _summary(taxed, rates, address),
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


def _of_customer(sandbox: Sandbox, params: Obj) -> Obj:
    details: Obj = params.get("customer_details") or {}
    if params.get("customer"):
        customer = sandbox.need("customer", params["customer"], "customer")
        details = {"address": customer["address"], "address_source": "billing"}
    if not details.get("address") and not details.get("ip_address"):
        raise invalid("The customer's location is needed: pass `customer_details[address]`.", "customer_details")
    return {"ip_address": None, "tax_ids": [], "taxability_override": "none", **details}


def _rates(sandbox: Sandbox, address: Obj) -> list[Obj]:
    """Return the account's rates of a place."""
    found = sandbox.store.find("tax_rate", country=address.get("country"), active=True)
    return [rate for rate in found if rate["country"] and rate["state"] in (None, "", address.get("state"))]


def _line(sandbox: Sandbox, number: int, given: Obj) -> Obj:
    blank = {
        "id": sandbox.new_id("tax_li"),
        "object": "tax.calculation_line_item",
        "livemode": False,
        "metadata": {},
        "product": None,
        "quantity": 1,
        "reference": f"L{number}",
        "tax_behavior": "exclusive",
        "tax_code": _GENERAL,
    }
    return {**blank, **given}


def _shipping(params: Obj) -> Obj:
    return {"amount": 0, "tax_behavior": "exclusive", "tax_code": _SHIPPING, **params["shipping_cost"]}


def _taxed(line: Obj, rates: Sequence[Obj], untaxed: Obj) -> Obj:
    """Return a line with its tax under each rate, or that there is none."""
    inclusive = line["tax_behavior"] == "inclusive"
    taxes = money.taxes(line["amount"], [{**rate, "inclusive": inclusive} for rate in rates])
    breakdown = [
        {
            "amount": tax.amount,
            "jurisdiction": _jurisdiction(rate),
            "sourcing": "destination",
            "tax_rate_details": _named(rate),
            "taxability_reason": "standard_rated",
            "taxable_amount": tax.taxable,
        }
        for tax, rate in zip(taxes, rates, strict=True)
    ]
    return {**line, "amount_tax": sum(tax.amount for tax in taxes), "tax_breakdown": breakdown or [untaxed]}


def _untaxed(country: str) -> Obj:
    """Return the breakdown of a line in a country where the account does not collect."""
    name = Locale("en").territories.get(country, country)
    return {
        "amount": 0,
        "jurisdiction": {"country": country, "display_name": name, "level": "country", "state": None},
        "sourcing": "destination",
        "tax_rate_details": None,
        "taxability_reason": "not_collecting",
        "taxable_amount": 0,
    }


def _jurisdiction(rate: Obj) -> Obj:
    return {
        "country": rate["country"],
        "display_name": rate["jurisdiction"] or rate["state"] or rate["country"],
        "level": "state" if rate["state"] else "country",
        "state": rate["state"],
    }


def _named(rate: Obj) -> Obj:
    percentage = str(float(rate["percentage"]))
    return {
        "display_name": rate["display_name"],
        "percentage_decimal": percentage,
        "tax_type": rate["tax_type"],
    }


def _summary(taxed: Sequence[Obj], rates: Sequence[Obj], address: Obj) -> list[Obj]:
    """Return the breakdown of the whole: one entry for each rate and behaviour, or that nothing is collected."""
    place = {"country": address.get("country"), "flat_amount": None, "state": address.get("state")}
    found = []
    for behavior in ("exclusive", "inclusive"):
        lines = [each["tax_breakdown"] for each in taxed if each["tax_behavior"] == behavior]
        for number, rate in enumerate(rates if lines else ()):
            named = {name: value for name, value in _named(rate).items() if name != "display_name"}
            found.append(
                {
                    "amount": sum(each[number]["amount"] for each in lines),
                    "inclusive": behavior == "inclusive",
                    "tax_rate_details": {**place, **named, "rate_type": "percentage"},
                    "taxability_reason": "standard_rated",
                    "taxable_amount": sum(each[number]["taxable_amount"] for each in lines),
                }
            )
    nothing = {"percentage_decimal": "0.0", "rate_type": None, "tax_type": None}
    return found or [
        {
            "amount": 0,
            "inclusive": False,
            "tax_rate_details": {**place, **nothing},
            "taxability_reason": "not_collecting",
            "taxable_amount": 0,
        }
    ]
