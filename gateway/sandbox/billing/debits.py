"""Debits: what a customer was charged for the time of a subscription item, which flexible credits are reckoned from.

Source: docs.stripe.com/billing/subscriptions/prorations#credit-prorations. A credit says which lines it gives back
(recorded: pay, swap_a_subscription, `proration_details.credited_items`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gateway.sandbox.core.ports import Sandbox
    from gateway.sandbox.core.store import Obj


@dataclass(frozen=True, slots=True)
class Debit:
    """What was charged for a period of an item, on one invoice or by a proration that still waits for one.

    Attributes:
        amount: Minor units, after discounts.
        start: Unix seconds.
        end: Unix seconds.
        quantity: How many of the price.
        pricing: The price, as a line shows it.
        tax_rates: The tax rates of the line.
        keys: Ids of the lines (or of the invoice item), by which a credit says what it gives back.
        lines: The invoice and its lines, as a line's `credited_items`; None while a proration waits for an invoice.
    """

    amount: int
    start: int
    end: int
    quantity: int
    pricing: Obj
    tax_rates: list[Obj]
    keys: list[str]
    lines: Obj | None

    @property
    def credited_items(self) -> Obj:
        """How an invoice item refers to it."""
        if self.lines:
            return {"invoice_line_item_details": self.lines, "type": "invoice_line_items"}
        return {"invoice_item": self.keys[0], "type": "invoice_item"}


def open_debits(sandbox: Sandbox, subscription: Obj, item: Obj, at: int) -> list[Debit]:
    """Return the debits of an item for time after a moment which no credit has given back, oldest first.

    A change that waits for its payment has changed nothing yet: the subscription goes on "as if no update request was
    made" (docs.stripe.com/billing/subscriptions/pending-updates-reference, "Pending updates lifecycle").
    """
    waiting = subscription.get("_waiting_for")
    prorations = [
        each
        for each in reversed(sandbox.store.find("invoiceitem", customer=subscription["customer"]))
        if each["proration"] and _item_of(each) == item["id"] and _counts(sandbox, each["invoice"], waiting)
    ]
    given_back = {key for each in prorations for key in each.get("_credits", ())}
    found = [*_invoiced(sandbox, subscription, item), *_prorated(sandbox, prorations)]
    return [debit for debit in found if debit.end > at and not given_back & set(debit.keys)]


def _invoiced(sandbox: Sandbox, subscription: Obj, item: Obj) -> Iterator[Debit]:
    """Yield what regular lines charged; the lines of one period (the tiers of a price) are one debit."""
    for invoice in reversed(sandbox.store.find("invoice", _subscription=subscription["id"])):
        periods: dict[tuple[int, int], list[Obj]] = {}
        for line in invoice["lines"]["data"]:
            details = (line["parent"] or {}).get("subscription_item_details") or {}
            if details.get("subscription_item") == item["id"] and not details["invoice_item"]:
                periods.setdefault((line["period"]["start"], line["period"]["end"]), []).append(line)
        for (start, end), lines in periods.items():
            if invoice["status"] != "void":
                yield _debit(invoice, lines, start, end)


def _debit(invoice: Obj, lines: list[Obj], start: int, end: int) -> Debit:
    keys = [line["id"] for line in lines]
    return Debit(
        amount=sum(line["amount"] - sum(each["amount"] for each in line["discount_amounts"]) for line in lines),
        start=start,
        end=end,
        quantity=sum(line["quantity"] or 0 for line in lines),
        pricing=lines[0]["pricing"],
        tax_rates=lines[0].get("_tax_rates") or [],
        keys=keys,
        lines={"invoice": invoice["id"], "invoice_line_items": keys},
    )


def _prorated(sandbox: Sandbox, prorations: list[Obj]) -> Iterator[Debit]:
    """Yield what prorations charged: discounts are in their amounts."""
    for each in prorations:
        if "_credits" not in each:
            yield Debit(
                amount=each["amount"],
                start=each["period"]["start"],
                end=each["period"]["end"],
                quantity=each["quantity"],
                pricing=each["pricing"],
                tax_rates=each["tax_rates"],
                keys=[each["id"]],
                lines=_line_of(sandbox, each),
            )


def _line_of(sandbox: Sandbox, invoice_item: Obj) -> Obj | None:
    invoice = sandbox.store.get("invoice", invoice_item["invoice"] or "")
    if invoice is None:
        return None
    lines = [line["id"] for line in invoice["lines"]["data"] if _made_of(line) == invoice_item["id"]]
    return {"invoice": invoice["id"], "invoice_line_items": lines}


def _made_of(line: Obj) -> str | None:
    details: Obj = (line["parent"] or {}).get("subscription_item_details") or {}
    return details.get("invoice_item")


def _item_of(invoice_item: Obj) -> str | None:
    details: Obj = (invoice_item["parent"] or {}).get("subscription_details") or {}
    return details.get("subscription_item")


def _counts(sandbox: Sandbox, invoice_id: str | None, waiting: str | None) -> bool:
    """Return whether what an invoice charges is charged: not one that is void, or that a change waits for."""
    invoice = sandbox.store.get("invoice", invoice_id or "")
    return invoice is None or (invoice["status"] != "void" and invoice_id != waiting)
