"""Map what Stripe bills, collects and gives back to the columns of its row: invoices, payments, refunds, disputes.

The rules are those of `mapping.py`.
"""

from gateway.mirror.mapping import Json, id_of
from gateway.models.columns import utc


def invoice(obj: Json) -> Json:
    """Return the columns of an `invoice`. The subscription stands under `parent` since basil, at the top before.

    An invoice that the seller makes by hand names none, and takes up what waits to be billed of every subscription
    (Stripe API, "Create an invoice", `pending_invoice_items_behavior`): it is about the one that its lines are for.
    """
    parent = (obj.get("parent") or {}).get("subscription_details") or {}
    taxes = obj.get("total_taxes") or obj.get("total_tax_amounts") or [{"amount": obj.get("tax") or 0}]
    lines = [invoice_line(line) for line in obj["lines"]["data"]]
    return {
        "customer_id": id_of(obj["customer"]),
        "subscription_id": id_of(parent.get("subscription") or obj.get("subscription")) or _billed_by_hand(obj),
        "number": obj["number"],
        "status": obj["status"],
        "billing_reason": obj["billing_reason"],
        "currency": obj["currency"],
        "subtotal": obj["subtotal"],
        "tax": sum(tax["amount"] for tax in taxes),
        "total": obj["total"],
        "amount_due": obj["amount_due"],
        "amount_paid": obj["amount_paid"],
        "amount_remaining": obj["amount_remaining"],
        "attempt_count": obj["attempt_count"],
        "next_payment_attempt": utc(obj.get("next_payment_attempt")),
        "hosted_invoice_url": obj.get("hosted_invoice_url"),
        "invoice_pdf": obj.get("invoice_pdf"),
        "lines": lines,
        "discounts": [[id_of(each["discount"]), each["amount"]] for each in obj.get("total_discount_amounts") or ()],
        "tax_lines": _tax_lines(obj),
        "period_start": utc(obj["period_start"]),
        "period_end": utc(obj["period_end"]),
        "created": utc(obj["created"]),
        "finalized_at": utc(obj["status_transitions"].get("finalized_at")),
        "voided_at": utc(obj["status_transitions"].get("voided_at")),
        "paid_at": utc(obj["status_transitions"]["paid_at"]),
        "service_end": utc(max((line["period_end"] for line in lines), default=None)),
        "collection_method": obj.get("collection_method") or obj.get("billing"),  # its name before 2019-10-17
        "due_date": utc(obj.get("due_date")),
    }


def _billed_by_hand(obj: Json) -> str | None:
    """Return the subscription whose time the lines of an invoice are for; None for none, and for several."""
    found = set()
    for line in obj["lines"]["data"]:
        parent = line.get("parent") or {}
        item = parent.get("subscription_item_details") or parent.get("invoice_item_details") or line
        if item.get("subscription_item"):
            found.add(id_of(item.get("subscription") or line.get("subscription")))
    return found.pop() if len(found) == 1 else None


def _tax_lines(obj: Json) -> list[Json]:
    """Return the taxes of an invoice. Its own rates have a name and a percentage; of Stripe Tax's only the id is told.

    They are `total_taxes` since basil, `total_tax_amounts` before.
    """
    rates = {rate["id"]: rate for rate in obj.get("default_tax_rates") or ()}
    found = []
    for tax in obj.get("total_taxes") or obj.get("total_tax_amounts") or ():
        rate_id = id_of((tax.get("tax_rate_details") or tax).get("tax_rate"))
        rate = rates.get(rate_id or "", {})
        found.append(
            {
                "amount": tax["amount"],
                "taxable": tax.get("taxable_amount"),
                "inclusive": _is_inclusive(tax),
                "name": rate.get("display_name"),
                "percentage": rate.get("percentage"),
            }
        )
    return found


def invoice_line(line: Json) -> Json:
    """Return what people and credits need of one line.

    `credited` names the lines whose unused time it gives back (`proration_details.credited_items`, as recorded
    conversations of 2025-10-29.clover have it). Its taxes are `taxes` since basil, `tax_amounts` before.
    """
    parent = line.get("parent") or {}
    item = parent.get("subscription_item_details") or parent.get("invoice_item_details") or {}
    details = (line.get("pricing") or {}).get("price_details") or {}
    prorated = item.get("proration_details") or line.get("proration_details") or {}
    credited = (prorated.get("credited_items") or {}).get("invoice_line_items") or []
    return {
        "id": _line_id(line),
        "description": line["description"],
        "amount": line["amount"],
        "discount": sum(each["amount"] for each in line.get("discount_amounts") or ()),
        "inclusive_tax": sum(each["amount"] for each in _taxes(line) if _is_inclusive(each)),
        "quantity": line["quantity"],
        "price": id_of(details.get("price") or line.get("price") or line.get("plan")),
        "product": _product_of(line, details),
        "subscription_item": item.get("subscription_item") or line.get("subscription_item"),
        "proration": bool(item.get("proration", line.get("proration"))),
        "credited": credited,
        "period_start": line["period"]["start"],
        "period_end": line["period"]["end"],
    }


def _product_of(line: Json, details: Json) -> str | None:
    bought = line.get("price") or line.get("plan")
    return id_of(details.get("product") or (bought.get("product") if isinstance(bought, dict) else None))


def _taxes(line: Json) -> list[Json]:
    return line.get("taxes") or line.get("tax_amounts") or []


def _is_inclusive(tax: Json) -> bool:
    return tax.get("tax_behavior") == "inclusive" or bool(tax.get("inclusive"))


def _line_id(line: Json) -> str:
    """Return the id that a line has in every version, because credits are granted once for each id.

    Before 2019-12-03 its `id` was another (`sli_…`, `ii_…`), and this was its `unique_id`.
    """
    found: str = line.get("unique_id") or line["id"]
    if not found.startswith("il_"):
        raise ValueError(f"line {found} has not the id that it is known by")
    return found


def invoice_payment(obj: Json) -> Json:
    """Return the columns of an `invoice_payment`; not every payment is made by a payment intent."""
    return {
        "invoice_id": id_of(obj["invoice"]),
        "payment_intent_id": id_of(obj["payment"].get("payment_intent")),
        "charge_id": id_of(obj["payment"].get("charge")),
        "status": obj["status"],
        "amount_paid": obj.get("amount_paid"),
    }


def charge(obj: Json) -> Json:
    """Return the columns of a `charge`. Its invoice is said before basil only."""
    columns = {
        "customer_id": id_of(obj["customer"]),
        "payment_intent_id": id_of(obj.get("payment_intent")),
        "amount": obj["amount"],
        "amount_captured": obj["amount_captured"],
        "amount_refunded": obj["amount_refunded"],
        "currency": obj["currency"],
        "status": obj["status"],
        "created": utc(obj["created"]),
    }
    if "invoice" in obj:
        columns["invoice_id"] = id_of(obj["invoice"])
    return columns


def refund(obj: Json) -> Json:
    """Return the columns of a `refund`."""
    return {
        "charge_id": id_of(obj["charge"]),
        "payment_intent_id": id_of(obj.get("payment_intent")),
        "amount": obj["amount"],
        "currency": obj["currency"],
        "status": obj["status"],
        "reason": obj["reason"],
        "failure_reason": obj.get("failure_reason"),
        "created": utc(obj["created"]),
    }


def dispute(obj: Json) -> Json:
    """Return the columns of a `dispute`."""
    return {
        "charge_id": id_of(obj["charge"]),
        "payment_intent_id": id_of(obj.get("payment_intent")),
        "amount": obj["amount"],
        "currency": obj["currency"],
        "reason": obj["reason"],
        "status": obj["status"],
    }


def credit_note(obj: Json) -> Json:
    """Return the columns of a `credit_note`. Before 2025-03 it named one refund without its amount: it is fetched."""
    return {
        "customer_id": id_of(obj["customer"]),
        "invoice_id": id_of(obj["invoice"]),
        "amount": obj["amount"],
        "refunded": sum(each["amount_refunded"] for each in obj["refunds"]),
        "currency": obj["currency"],
        "status": obj["status"],
    }
