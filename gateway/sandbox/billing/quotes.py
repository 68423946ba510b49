"""Quotes: drafted, finalized, then accepted (which makes a subscription or an invoice), cancelled or expired.

Source: docs.stripe.com/api/quotes, docs.stripe.com/quotes/overview
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from gateway.sandbox.billing import collection, discounts, invoices, items, lines, starting
from gateway.sandbox.billing.checkout import cart, sessions
from gateway.sandbox.core.errors import StripeError, invalid
from gateway.sandbox.core.merge import merge
from gateway.sandbox.core.periods import DAY

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gateway.sandbox.core.ports import Sandbox
    from gateway.sandbox.core.store import Obj

_VALID_DAYS = 30
_PLAIN = ("collection_method", "customer", "description", "expires_at", "footer", "header", "metadata")
_OF_ENTRIES = ("price", "quantity", "tax_rates")


def create(sandbox: Sandbox, params: Obj) -> Obj:
    """Draft a quote from the parameters of `POST /v1/quotes`."""
    if params.get("from_quote"):
        params = _copied(sandbox, params)
    customer = sandbox.need("customer", params["customer"], "customer") if params.get("customer") else None
    now = sandbox.now(customer)
    quote: Obj = {
        "object": "quote",
        "automatic_tax": {"enabled": False, "liability": None, "provider": None, "status": None},
        "collection_method": "charge_automatically",
        "created": now,
        "default_tax_rates": [],
        "discounts": [],
        "expires_at": now + _VALID_DAYS * DAY,
        "footer": None,
        "header": None,
        "invoice_settings": {"days_until_due": None, "issuer": {"type": "self"}},
        "metadata": {},
        "status": "draft",
        "status_transitions": {},
        "subscription_data": {
            "billing_mode": {"flexible": {"proration_discounts": "included"}, "type": "flexible"},
            "metadata": {},
        },
        "test_clock": (customer or {}).get("test_clock"),
        "_entries": [],
        "_items": [],
        "_given_discounts": [],
    }
    if params.get("from_quote"):
        quote["from_quote"] = {"is_revision": params["from_quote"].get("is_revision", False), "quote": params["_of"]}
    quote = sandbox.create(_merged(sandbox, quote, params), "quote.created")
    sandbox.clock.schedule(quote["expires_at"], "quote.expire", quote)
    return quote


def update(sandbox: Sandbox, quote: Obj, params: Obj) -> Obj:
    """Change a draft; of an open quote only what is no part of the offer."""
    if quote["status"] != "draft" and params.keys() - {"metadata", "expires_at"}:
        raise _not_in(quote, "updated", "draft")
    quote = sandbox.update(_merged(sandbox, quote, params))
    sandbox.clock.schedule(quote["expires_at"], "quote.expire", quote)
    return quote


def finalize(sandbox: Sandbox, quote: Obj, expires_at: int | None = None) -> Obj:
    """Number a draft and open it for acceptance."""
    if quote["status"] != "draft":
        raise _not_in(quote, "finalized", "draft")
    if not quote["customer"]:
        raise invalid("A quote needs a customer before it is finalized.", "customer")
    if not quote["_items"]:
        raise invalid("A quote needs line items before it is finalized.", "line_items")
    customer = sandbox.need("customer", quote["customer"])
    number = sum(1 for each in sandbox.store.find("quote", customer=customer["id"]) if each["number"]) + 1
    quote |= {"number": f"QT-{customer['invoice_prefix']}-{number:04d}-1", "status": "open"}
    if expires_at:
        quote["expires_at"] = expires_at
        sandbox.clock.schedule(expires_at, "quote.expire", quote)
    quote["status_transitions"]["finalized_at"] = sandbox.now(quote)
    return sandbox.update(quote, "quote.finalized")


def accept(sandbox: Sandbox, quote: Obj) -> Obj:
    """Make what an open quote offers: a subscription if it recurs, else an invoice."""
    if quote["status"] != "open":
        raise _not_in(quote, "accepted", "open")
    customer = sandbox.need("customer", quote["customer"])
    recurs = any(item["price"]["type"] == "recurring" for item in quote["_items"])
    quote |= (_subscribed if recurs else _invoiced)(sandbox, quote, customer)
    quote["status"] = "accepted"
    quote["status_transitions"]["accepted_at"] = sandbox.now(quote)
    sandbox.clock.cancel("quote.expire", quote)
    return sandbox.update(quote, "quote.accepted")


def cancel(sandbox: Sandbox, quote: Obj) -> Obj:
    """Cancel a draft or an open quote."""
    if quote["status"] not in ("draft", "open"):
        raise _not_in(quote, "canceled", "draft or open")
    quote["status"] = "canceled"
    quote["status_transitions"]["canceled_at"] = sandbox.now(quote)
    sandbox.clock.cancel("quote.expire", quote)
    return sandbox.update(quote, "quote.canceled")


def expire(sandbox: Sandbox, id: str) -> None:
    """Cancel a quote that nobody accepted in time."""
    quote = sandbox.need("quote", id)
    if quote["status"] in ("draft", "open"):
        cancel(sandbox, quote)


def _copied(sandbox: Sandbox, params: Obj) -> Obj:
    """Return the parameters with what the quote that they copy says."""
    source = sandbox.need("quote", params["from_quote"]["quote"], "from_quote[quote]")
    same = {name: source[name] for name in _PLAIN if source[name] is not None and name != "expires_at"}
    same |= {"line_items": source["_entries"], "discounts": source["_given_discounts"]}
    return {**same, **params, "_of": source["id"]}


def _merged(sandbox: Sandbox, quote: Obj, params: Obj) -> Obj:
    """Return a quote with the parameters applied and its sums reckoned anew."""
    quote = merge(quote, params, *_PLAIN, "subscription_data", "invoice_settings", "automatic_tax")
    if quote["collection_method"] == "send_invoice" and quote["invoice_settings"].get("days_until_due") is None:
        quote["invoice_settings"]["days_until_due"] = _VALID_DAYS
    if "default_tax_rates" in params:
        rates = items.tax_rates(sandbox, params["default_tax_rates"], "default_tax_rates")
        quote["default_tax_rates"] = [rate["id"] for rate in rates]
    if "line_items" in params:
        sold = [sessions.price_of(sandbox, each, f"line_items[{n}]") for n, each in enumerate(params["line_items"])]
        quote["currency"] = sold[0]["currency"] if sold else None
        entries = zip(params["line_items"], sold, strict=True)
        given = [{**each, "price": price["id"], "quantity": each.get("quantity", 1)} for each, price in entries]
        quote["_entries"] = [{name: each[name] for name in _OF_ENTRIES if name in each} for each in given]
        quote["_items"] = [
            cart.item(sandbox, _countable(each, price), price, quote["currency"], f"line_items[{n}]")
            for n, (each, price) in enumerate(zip(given, sold, strict=True))
        ]
    if "discounts" in params:
        customer = sandbox.store.get("customer", quote["customer"] or "")
        quote["_given_discounts"] = params["discounts"] or []
        quote["discounts"] = discounts.redeem(sandbox, params["discounts"], customer or {"id": None})
    return quote | _sums(sandbox, quote)


def _countable(entry: Obj, price: Obj) -> Obj:
    metered = (price["recurring"] or {}).get("usage_type") == "metered"
    return {name: value for name, value in entry.items() if not (metered and name == "quantity")}


def _sums(sandbox: Sandbox, quote: Obj) -> Obj:
    """Return the amounts of a quote: what is due at once, and what comes again with each period."""
    trial = (quote["subscription_data"] or {}).get("trial_period_days")
    upfront = _reckoned(sandbox, quote, quote["_items"], trial)
    recurring = [item for item in quote["_items"] if item["price"]["type"] == "recurring"]
    again = None
    if recurring:
        rhythm = recurring[0]["price"]["recurring"]
        each = _reckoned(sandbox, quote, recurring, None)
        again = {**each, "interval": rhythm["interval"], "interval_count": rhythm["interval_count"]}
    totals = {name: upfront[name] for name in ("amount_subtotal", "amount_total", "total_details")}
    return {**totals, "computed": {"recurring": again, "upfront": upfront}}


def _reckoned(sandbox: Sandbox, quote: Obj, sold: Sequence[Obj], trial: int | None) -> Obj:
    order: Obj = {
        "mode": "payment",
        "created": quote["created"],
        "currency": quote.get("currency"),
        "customer": quote.get("customer"),
        "discounts": [_coupon(sandbox, each) for each in quote["discounts"]],
        "_items": [dict(item) for item in sold],
        "_params": {
            "subscription_data": {
                "default_tax_rates": quote["default_tax_rates"],
                **({"trial_period_days": trial} if trial else {}),
            }
        },
    }
    done = cart.reckon(sandbox, order)
    return {name: done[name] for name in ("amount_subtotal", "amount_total", "total_details")}


def _coupon(sandbox: Sandbox, discount: str) -> Obj:
    return {"coupon": sandbox.need("discount", discount)["source"]["coupon"], "promotion_code": None}


def _subscribed(sandbox: Sandbox, quote: Obj, customer: Obj) -> Obj:
    """Start the subscription that a quote offers; without a payment method it waits for its first payment."""
    data: Obj = quote["subscription_data"]
    by_type: dict[str, list[Obj]] = {"recurring": [], "one_time": []}
    for item, entry in zip(quote["_items"], quote["_entries"], strict=True):
        by_type[item["price"]["type"]].append(_countable(entry, item["price"]))
    params: Obj = {
        "items": by_type["recurring"],
        "add_invoice_items": by_type["one_time"],
        "collection_method": quote["collection_method"],
        "default_tax_rates": quote["default_tax_rates"],
        "description": data.get("description"),
        "discounts": quote["_given_discounts"],
        "metadata": data.get("metadata") or {},
    }
    if quote["collection_method"] == "send_invoice":
        params["days_until_due"] = quote["invoice_settings"]["days_until_due"]
    if data.get("trial_period_days"):
        params["trial_period_days"] = data["trial_period_days"]
    subscription = starting.create(sandbox, customer, params)
    if collection.invoice_default(sandbox, {"customer": customer["id"]}, subscription) is None:
        params["payment_behavior"] = "default_incomplete"
    subscription = starting.begin(sandbox, subscription, params)
    return {"subscription": subscription["id"], "invoice": subscription["latest_invoice"]}


def _invoiced(sandbox: Sandbox, quote: Obj, customer: Obj) -> Obj:
    """Draft the invoice that a quote offers."""
    now = sandbox.now(customer)
    bought = [
        lines.line(
            sandbox,
            amount=item["amount_subtotal"],
            currency=quote["currency"],
            period=(now, now),
            quantity=item["quantity"],
            description=item["description"],
            pricing=lines.pricing(item["price"], None),
            _tax_rates=item["_tax_rates"],
        )
        for item in _priced(sandbox, quote)
    ]
    days = quote["invoice_settings"]["days_until_due"]
    invoice = invoices.draft(
        sandbox,
        customer,
        currency=quote["currency"],
        lines=bought,
        reason="manual",
        collection_method=quote["collection_method"],
        default_tax_rates=items.tax_rates(sandbox, quote["default_tax_rates"], "default_tax_rates"),
        discounts=quote["discounts"],
        due_date=now + days * DAY if days and quote["collection_method"] == "send_invoice" else None,
        parent={"quote_details": {"quote": quote["id"]}, "subscription_details": None, "type": "quote_details"},
    )
    return {"invoice": invoice["id"]}


def _priced(sandbox: Sandbox, quote: Obj) -> list[Obj]:
    """Return the items of a quote with their amounts."""
    order = {"mode": "payment", "created": quote["created"], "customer": quote["customer"], "discounts": []}
    sold = [dict(item) for item in quote["_items"]]
    done = cart.reckon(sandbox, {**order, "currency": quote["currency"], "_items": sold, "_params": {}})
    return list(done["_items"])


def items_of(sandbox: Sandbox, quote: Obj) -> list[Obj]:
    """Return the line items of a quote as its lists show them."""
    return _priced(sandbox, quote)


def _not_in(quote: Obj, done: str, needed: str) -> StripeError:
    return StripeError(f"This quote cannot be {done} because its status is {quote['status']}; it must be {needed}.")
