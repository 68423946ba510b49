"""Credit notes: what they take off an invoice, reckoned from its lines with their discounts and taxes.

Source: docs.stripe.com/api/credit_notes, docs.stripe.com/invoicing/credit-notes
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from gateway.sandbox.billing import collection, customer_balance, items, lines, refunds, totals
from gateway.sandbox.core import money
from gateway.sandbox.core.errors import invalid, parameter_missing
from gateway.sandbox.core.merge import merge
from gateway.sandbox.core.templates import envelope

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gateway.sandbox.core.ports import Sandbox
    from gateway.sandbox.core.store import Obj


def issue(sandbox: Sandbox, params: Obj) -> Obj:
    """Issue a credit note: what it takes off an open invoice is not asked for, of a paid one it is given back."""
    note = compose(sandbox, params)
    invoice = sandbox.need("invoice", note["invoice"])
    if invoice["status"] == "paid":
        _give_back(sandbox, invoice, note, params)
    else:
        lower(sandbox, invoice, note["amount"])
    return sandbox.create(note, "credit_note.created")


def compose(sandbox: Sandbox, params: Obj) -> Obj:
    """Return the credit note of these parameters, without its effects: what a preview shows."""
    invoice = sandbox.need("invoice", params["invoice"], "invoice")
    if invoice["status"] not in ("open", "paid"):
        raise collection.not_in(invoice, "credited", "open or paid")
    if "amount" not in params and not params.get("lines"):
        raise invalid("You must provide one of `amount`, `lines`, or `shipping_cost`.", "amount")
    credited = [
        _line(sandbox, invoice, entry, f"lines[{number}]") for number, entry in enumerate(params.get("lines") or [])
    ]
    sums = _sums(credited) if credited else _plain_sums(params["amount"])
    if "amount" in params and params["amount"] != sums["total"]:
        raise invalid(f"The amount must equal the total of the lines ({sums['total']}).", "amount")
    paid = invoice["status"] == "paid"
    # "The sum of all credit notes cannot exceed the invoice's total amount" (Stripe, "Credit notes")
    most = invoice["total"] - invoice["pre_payment_credit_notes_amount"] if paid else invoice["amount_remaining"]
    most -= invoice["post_payment_credit_notes_amount"]
    if not 0 < sums["total"] <= most:
        raise invalid(f"The amount of a credit note must be between 1 and {most} for this invoice.", "amount")
    return _note(sandbox, invoice, params, credited) | sums | _where(sums["total"], paid=paid)


def _where(amount: int, *, paid: bool) -> Obj:
    return {
        "amount": amount,
        "post_payment_amount": amount if paid else 0,
        "pre_payment_amount": 0 if paid else amount,
        "type": "post_payment" if paid else "pre_payment",
    }


def _note(sandbox: Sandbox, invoice: Obj, params: Obj, credited: list[Obj]) -> Obj:
    new_id = sandbox.new_id("cn")
    now = sandbox.now(invoice)
    return merge(
        {
            "id": new_id,
            "object": "credit_note",
            "amount_shipping": 0,
            "created": now,
            "currency": invoice["currency"],
            "customer": invoice["customer"],
            "effective_at": params.get("effective_at", now),
            "invoice": invoice["id"],
            "lines": envelope(f"/v1/credit_notes/{new_id}/lines", credited),
            "metadata": {},
            "number": f"{invoice['number']}-CN-{len(sandbox.store.find('credit_note', invoice=invoice['id'])) + 1:02d}",
            "pdf": f"{sandbox.base_url}/i/{invoice['id']}?print=1",
            "refunds": [],
            "status": "issued",
        },
        params,
        "memo",
        "metadata",
        "out_of_band_amount",
        "reason",
    )


def _line(sandbox: Sandbox, invoice: Obj, entry: Obj, param: str) -> Obj:
    if entry["type"] == "invoice_line_item":
        return _of_invoice_line(sandbox, invoice, entry, param)
    if "unit_amount" not in entry and "unit_amount_decimal" not in entry:
        raise parameter_missing(f"{param}[unit_amount]")
    unit = money.decimal_of(entry, "unit_amount") or money.ONE * 0
    quantity = entry.get("quantity", 1)
    rates = items.tax_rates(sandbox, entry.get("tax_rates"), f"{param}[tax_rates]")
    return _credited(
        sandbox,
        entry,
        amount=money.rounded(unit * quantity),
        discount_amounts=[],
        quantity=quantity,
        rates=rates,
        unit_amount=int(unit) if unit == unit.to_integral_value() else None,
        unit_amount_decimal=lines.plain(unit),
    )


def _of_invoice_line(sandbox: Sandbox, invoice: Obj, entry: Obj, param: str) -> Obj:
    """Credit a line of the invoice, wholly or its share by `quantity` or `amount`, with its discounts and taxes."""
    known = {line["id"]: line for line in invoice["lines"]["data"]}
    line = known.get(entry.get("invoice_line_item", ""))
    if line is None:
        raise invalid("The line item is not on this invoice.", f"{param}[invoice_line_item]", "resource_missing")
    whole, quantity = line["amount"], entry.get("quantity")
    if quantity is not None and not 0 < quantity <= (line["quantity"] or 0):
        raise invalid(f"The quantity must be between 1 and {line['quantity']}.", f"{param}[quantity]")
    amount = entry.get("amount", whole if quantity is None else money.scaled(whole, quantity, line["quantity"]))
    if not 0 <= amount <= whole:
        raise invalid(f"The amount must be between 0 and {whole}.", f"{param}[amount]")
    return _credited(
        sandbox,
        entry,
        amount=amount,
        description=line["description"],
        discount_amounts=[
            each | {"amount": money.scaled(each["amount"], amount, whole)} for each in line["discount_amounts"]
        ],
        invoice_line_item=line["id"],
        quantity=quantity,
        rates=line.get("_tax_rates") or invoice["default_tax_rates"],
    )


def _credited(sandbox: Sandbox, entry: Obj, *, amount: int, rates: Sequence[Obj], **fields: object) -> Obj:
    """Return a line of a credit note; its taxes are reckoned on what is left after discounts."""
    made: Obj = {
        "id": sandbox.new_id("cnli"),
        "object": "credit_note_line_item",
        "amount": amount,
        "livemode": False,
        "tax_rates": list(rates),
        "type": entry["type"],
        "unit_amount": None,
        "unit_amount_decimal": None,
        **fields,
    }
    if entry.get("description"):
        made["description"] = entry["description"]
    made["discount_amount"] = sum(each["amount"] for each in made["discount_amounts"])
    made["pretax_credit_amounts"] = [{**each, "type": "discount"} for each in made["discount_amounts"]]
    made["taxes"] = totals.taxes_on(amount - made["discount_amount"], rates)
    return made


def _sums(credited: Sequence[Obj]) -> Obj:
    taxes = totals.merged([tax for line in credited for tax in line["taxes"]], ("amount", "taxable_amount"))
    reductions = totals.merged([each for line in credited for each in line["pretax_credit_amounts"]], ("amount",))
    subtotal = sum(line["amount"] for line in credited)
    discount = sum(each["amount"] for each in reductions)
    inclusive = sum(tax["amount"] for tax in taxes if tax["tax_behavior"] == "inclusive")
    exclusive = sum(tax["amount"] for tax in taxes if tax["tax_behavior"] == "exclusive")
    return {
        "discount_amount": discount,
        "discount_amounts": [{"amount": each["amount"], "discount": each["discount"]} for each in reductions],
        "pretax_credit_amounts": reductions,
        "subtotal": subtotal,
        "subtotal_excluding_tax": subtotal - inclusive,
        "total": subtotal - discount + exclusive,
        "total_excluding_tax": subtotal - discount - inclusive,
        "total_taxes": taxes,
    }


def _plain_sums(amount: int) -> Obj:
    """Return the sums of a credit note over a plain amount."""
    same = ("subtotal", "subtotal_excluding_tax", "total", "total_excluding_tax")
    lists: Obj = {name: [] for name in ("discount_amounts", "pretax_credit_amounts", "total_taxes")}
    return {**dict.fromkeys(same, amount), **lists, "discount_amount": 0}


def lower(sandbox: Sandbox, invoice: Obj, amount: int) -> None:
    """Lower what an open invoice asks for; one that asks for nothing any more is paid."""
    invoice["pre_payment_credit_notes_amount"] += amount
    invoice["amount_remaining"] -= amount
    sandbox.update(invoice, "invoice.updated")
    intent = collection.intent_of(sandbox, invoice)
    if intent and invoice["amount_remaining"]:
        sandbox.update(intent | {"amount": invoice["amount_remaining"]})
    elif not invoice["amount_remaining"]:
        collection.settle(sandbox, invoice, 0)


def _give_back(sandbox: Sandbox, invoice: Obj, note: Obj, params: Obj) -> None:
    """Check that refund, credit balance and out-of-band amounts make up the credit note of a paid invoice."""
    parts = {name: params.get(f"{name}_amount", 0) for name in ("refund", "credit", "out_of_band")}
    if sum(parts.values()) != note["amount"]:
        raise invalid(
            "The sum of credit_amount, refund_amount and out_of_band_amount must equal the credit note amount "
            f"({note['amount']}).",
            "amount",
        )
    intent = collection.intent_of(sandbox, invoice)
    if parts["refund"] and intent:
        charge = sandbox.need("charge", intent["latest_charge"])
        refund = refunds.make(sandbox, charge, parts["refund"])
        note["refunds"] = [{"amount_refunded": parts["refund"], "refund": refund["id"], "type": "refund"}]
    if parts["credit"]:
        customer = sandbox.need("customer", invoice["customer"])
        entry = customer_balance.adjust(
            sandbox, customer, -parts["credit"], invoice["currency"], "credit_note", credit_note=note["id"]
        )
        note["customer_balance_transaction"] = entry["id"]
    invoice["post_payment_credit_notes_amount"] += note["amount"]
    sandbox.update(invoice, "invoice.updated")
