"""Tax transactions: a calculation that was sold, and what was taken back of it.

Sources: https://docs.stripe.com/api/tax/transactions; recorded: spree_stripe, create_tax_transaction_us_tx #0.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from gateway.sandbox.api.lists import page_of
from gateway.sandbox.api.routing import route
from gateway.sandbox.core import money
from gateway.sandbox.core.errors import invalid, parameter_missing
from gateway.sandbox.core.registry import expandable, kind
from gateway.sandbox.core.templates import envelope

if TYPE_CHECKING:
    from collections.abc import Iterable

    from gateway.sandbox.core.ports import Request, Sandbox
    from gateway.sandbox.core.store import Obj

kind("tax.transaction", "tax", "tax transaction", path="transaction")
_COPIED = ("currency", "customer", "customer_details", "ship_from_details", "tax_date")


@route(
    "POST",
    "/v1/tax/transactions/create_from_calculation",
    params="tax.TransactionCreateFromCalculationParams",
)
def create(sandbox: Sandbox, request: Request) -> Obj:
    """Record that a calculation was sold."""
    params = request.params
    calculation = sandbox.need("tax.calculation", params["calculation"], "calculation")
    if calculation["expires_at"] <= sandbox.now():
        raise invalid("This tax calculation has expired; create a new one.", "calculation")
    lines = [_line(sandbox, each, type="transaction", reversal=None) for each in calculation["_lines"]]
    shipping = calculation["shipping_cost"]
    return _record(
        sandbox,
        params,
        **{name: calculation[name] for name in _COPIED},
        shipping_cost=shipping and {name: value for name, value in shipping.items() if name != "tax_breakdown"},
        type="transaction",
        posted_at=params.get("posted_at"),
        _lines=lines,
    )


@route("POST", "/v1/tax/transactions/create_reversal", params="tax.TransactionCreateReversalParams")
def reverse(sandbox: Sandbox, request: Request) -> Obj:
    """Take back a transaction, all of it or a part: some lines, or an amount that is spread over them."""
    params = request.params
    original = sandbox.need("tax.transaction", params["original_transaction"], "original_transaction")
    if original["type"] == "reversal":
        raise invalid("A reversal cannot be reversed.", "original_transaction")
    lines, shipping = _taken_back(original, params)
    _check_left(sandbox, original, lines)
    return _record(
        sandbox,
        params,
        **{name: original[name] for name in _COPIED},
        shipping_cost=shipping,
        type="reversal",
        reversal={"original_transaction": original["id"]},
        posted_at=None,
        _lines=[_line(sandbox, each, type="reversal") for each in lines],
    )


@route("GET", "/v1/tax/transactions/{id}")
def retrieve(sandbox: Sandbox, _: Request, id: str) -> Obj:
    """Retrieve a transaction."""
    return sandbox.need("tax.transaction", id)


@route("GET", "/v1/tax/transactions/{id}/line_items", params="tax.TransactionListLineItemsParams")
def line_items(sandbox: Sandbox, request: Request, id: str) -> Obj:
    """List the lines of a transaction."""
    return page_of(request, sandbox.need("tax.transaction", id)["_lines"])


@expandable("tax.transaction", "line_items")
def _line_items(_: Sandbox, transaction: Obj) -> Obj:
    return envelope(f"/v1/tax/transactions/{transaction['id']}/line_items", transaction["_lines"])


def _record(sandbox: Sandbox, params: Obj, *, posted_at: int | None, **fields: object) -> Obj:
    """Keep a transaction.

    Raises:
        StripeError: Another one has its reference.
    """
    if sandbox.store.first("tax.transaction", reference=params["reference"]):
        raise invalid(f"A transaction with the reference {params['reference']} exists already.", "reference")
    return sandbox.create(
        {
            "object": "tax.transaction",
            "metadata": params.get("metadata") or {},
            "posted_at": posted_at or sandbox.now(),
            "reference": params["reference"],
            **fields,
        }
    )


def _line(sandbox: Sandbox, given: Obj, **fields: object) -> Obj:
    copied = {name: value for name, value in given.items() if name not in ("tax_breakdown", "sourcing")}
    return {**copied, "id": sandbox.new_id("tax_li"), "object": "tax.transaction_line_item", **fields}


def _taken_back(original: Obj, params: Obj) -> tuple[list[Obj], Obj | None]:
    """Return the lines of a reversal, and its shipping cost."""
    shipping = original["shipping_cost"]
    if params["mode"] == "full":
        back = shipping and {**shipping, "amount": -shipping["amount"], "amount_tax": -shipping["amount_tax"]}
        return [_reversed(each, -each["amount"], -each["amount_tax"]) for each in original["_lines"]], back
    if "flat_amount" in params:
        return _spread(original, params["flat_amount"]), None
    if "line_items" not in params:
        raise parameter_missing("line_items")
    known = {each["id"]: each for each in original["_lines"]}
    lines = []
    for number, given in enumerate(params["line_items"]):
        if given["original_line_item"] not in known:
            missing = f"No such line item: '{given['original_line_item']}'"
            raise invalid(missing, f"line_items[{number}][original_line_item]", "resource_missing")
        line = _reversed(known[given["original_line_item"]], given["amount"], given["amount_tax"])
        lines.append({**line, **{name: given[name] for name in ("metadata", "quantity", "reference") if name in given}})
    given = params.get("shipping_cost")
    return lines, {**shipping, **given} if given and shipping else None


def _spread(original: Obj, total: int) -> list[Obj]:
    """Return the lines of a reversal of so much with tax (below zero), each by its share."""
    lines = original["_lines"]
    shares = money.distributed(-total, [each["amount"] + each["amount_tax"] for each in lines])
    back = []
    for line, share in zip(lines, shares, strict=True):
        whole = line["amount"] + line["amount_tax"]
        tax = money.scaled(line["amount_tax"], share, whole) if whole else 0
        back.append(_reversed(line, tax - share, -tax))
    return back


def _reversed(line: Obj, amount: int, tax: int) -> Obj:
    return {**line, "amount": amount, "amount_tax": tax, "reversal": {"original_line_item": line["id"]}}


def _check_left(sandbox: Sandbox, original: Obj, lines: Iterable[Obj]) -> None:
    """Refuse to take back more of a line than is left.

    Raises:
        StripeError: That is what a reversal wants, or it adds something.
    """
    left = {each["id"]: each["amount"] for each in original["_lines"]}
    before = [
        line
        for each in sandbox.store.find("tax.transaction", type="reversal")
        if each["reversal"]["original_transaction"] == original["id"]
        for line in each["_lines"]
    ]
    for line in (*before, *lines):
        if line["amount"] > 0 or line["amount_tax"] > 0:
            raise invalid("The amounts of a reversal must be negative.", "line_items")
        left[line["reversal"]["original_line_item"]] += line["amount"]
    if any(amount < 0 for amount in left.values()):
        raise invalid("This reversal takes back more than is left of the transaction.", "line_items")
