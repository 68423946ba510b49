"""What the lines of an invoice (or of a checkout session) come to: discounts, credits, taxes, totals. Pure.

The order is Stripe's: discounts in the order they were given, each on what the earlier ones left; then billing
credits; then taxes on the rest. Source: docs.stripe.com/billing/invoices/subscription#invoice-lifecycle and
"Billing credits".
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from gateway.sandbox.core import money

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Discount:
    """A discount's id and the coupon behind it."""

    id: str
    coupon: Json


@dataclass(frozen=True, slots=True)
class Rules:
    """What applies to all lines of one reckoning.

    Attributes:
        currency: lower case.
        discounts: of the whole invoice, in order.
        line_discounts: every discount that a line may name, by id.
        tax_rates: the default tax rates, for lines that have none of their own.
        tax_exempt: the customer's `tax_exempt`: "none", "exempt" or "reverse".
    """

    currency: str
    discounts: Sequence[Discount] = ()
    line_discounts: Mapping[str, Discount] = field(default_factory=dict)
    tax_rates: Sequence[Json] = ()
    tax_exempt: str = "none"


def product_of(line: Json) -> str | None:
    """Return the product that a line sells, if it sells one."""
    details: Json = (line.get("pricing") or {}).get("price_details") or {}
    return details.get("product")


def reckon(lines: Sequence[Json], rules: Rules) -> Json:
    """Fill in the discounts and taxes of each line, and return the totals of all, as fields of an invoice.

    A line carries its amount before discounts, `_tax_rates` (tax rate objects), and `_credits` (what billing
    credits pay of it: dicts with `amount` and `credit_balance_transaction`).
    """
    for line in lines:
        line["discount_amounts"] = []
        line["subtotal"] = line["amount"]
        line["pretax_credit_amounts"] = []
    for line in lines:
        for each in line["discounts"]:
            _discount([line], rules.line_discounts[each], rules.currency)
    for discount in rules.discounts:
        _discount(lines, discount, rules.currency)
    for line in lines:
        line["pretax_credit_amounts"] += [
            {**credit, "type": "credit_balance_transaction"} for credit in line.get("_credits", ())
        ]
        line["taxes"] = _taxes(line, rules)
    return _sums(lines)


def net(line: Json) -> int:
    """Return what is left of a line's amount after discounts and billing credits: the base of its taxes."""
    return int(line["amount"] - sum(each["amount"] for each in line["pretax_credit_amounts"]))


def _discount(lines: Sequence[Json], discount: Discount, currency: str) -> None:
    products = (discount.coupon.get("applies_to") or {}).get("products")
    eligible = [line for line in lines if line["discountable"] and (not products or product_of(line) in products)]
    off = money.discounted(discount.coupon, [net(line) for line in eligible], currency)
    for line, amount in zip(eligible, off, strict=True):
        line["discount_amounts"].append({"amount": amount, "discount": discount.id})
        line["pretax_credit_amounts"].append({"amount": amount, "discount": discount.id, "type": "discount"})


def _taxes(line: Json, rules: Rules) -> list[Json]:
    exempt = {"exempt": "customer_exempt", "reverse": "reverse_charge"}.get(rules.tax_exempt)
    return taxes_on(net(line), line.get("_tax_rates") or rules.tax_rates, exempt)


def taxes_on(amount: int, rates: Sequence[Json], exempt: str | None = None) -> list[Json]:
    """Return the taxes on an amount as a line shows them; nothing is due for a reason to be `exempt`."""
    return [
        {
            "amount": 0 if exempt else tax.amount,
            "tax_behavior": "inclusive" if tax.inclusive else "exclusive",
            "tax_rate_details": {"tax_rate": tax.rate},
            "taxability_reason": exempt or "not_available",
            "taxable_amount": tax.taxable,
            "type": "tax_rate_details",
        }
        for tax in money.taxes(amount, rates)
    ]


def _sums(lines: Sequence[Json]) -> Json:
    taxes = merged([tax for line in lines for tax in line["taxes"]], ("amount", "taxable_amount"))
    reductions = merged([each for line in lines for each in line["pretax_credit_amounts"]], ("amount",))
    subtotal = sum(_listed(line) for line in lines)
    inclusive = sum(tax["amount"] for tax in taxes if tax["tax_behavior"] == "inclusive")
    exclusive = sum(tax["amount"] for tax in taxes if tax["tax_behavior"] == "exclusive")
    before_tax = sum(line["amount"] for line in lines) - sum(each["amount"] for each in reductions)
    return {
        "subtotal": subtotal,
        "subtotal_excluding_tax": subtotal - sum(_inclusive_before_discount(line) for line in lines),
        "total": before_tax + exclusive,
        "total_excluding_tax": before_tax - inclusive,
        "total_discount_amounts": [
            {"amount": each["amount"], "discount": each["discount"]}
            for each in reductions
            if each["type"] == "discount"
        ],
        "total_pretax_credit_amounts": reductions,
        "total_taxes": taxes,
    }


def _inclusive_before_discount(line: Json) -> int:
    """Return the inclusive tax within the undiscounted amount, in proportion to that within the discounted one."""
    inclusive = sum(tax["amount"] for tax in line["taxes"] if tax["tax_behavior"] == "inclusive")
    return money.scaled(_listed(line), inclusive, net(line))


def _listed(line: Json) -> int:
    """Return what a line adds to the subtotal: its amount after its own discounts.

    Recorded: pay, sync_stripe_invoice_discounts_and_coupons.
    """
    own = (each["amount"] for each in line["discount_amounts"] if each["discount"] in line["discounts"])
    return int(line["amount"] - sum(own))


def merged(entries: Sequence[Json], summed: tuple[str, ...]) -> list[Json]:
    """Add up entries that differ only in their amounts, in order of first appearance."""
    found: dict[str, Json] = {}
    for entry in entries:
        key = repr({name: value for name, value in entry.items() if name not in summed})
        if key in found:
            for name in summed:
                found[key][name] += entry[name]
        else:
            found[key] = dict(entry)
    return list(found.values())
