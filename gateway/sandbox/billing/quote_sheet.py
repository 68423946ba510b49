"""The sheet of a quote, for a customer to read. Source: docs.stripe.com/api/quotes/pdf."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from gateway.sandbox.billing.quotes import items_of
from gateway.sandbox.core import pdf as paper
from gateway.sandbox.core.errors import invalid
from gateway.sandbox.core.money import in_words
from gateway.sandbox.options import ACCOUNT_NAME

if TYPE_CHECKING:
    from gateway.sandbox.core.ports import Sandbox
    from gateway.sandbox.core.store import Obj


def pdf(sandbox: Sandbox, quote: Obj) -> bytes:
    """Return a quote as a PDF.

    Raises:
        StripeError: It is a draft or cancelled.
    """
    if quote["status"] not in ("open", "accepted"):
        raise invalid(f"The PDF of a quote is there once it is finalized; this one is {quote['status']}.")
    customer = sandbox.need("customer", quote["customer"])
    currency = quote["currency"]
    until = datetime.fromtimestamp(quote["expires_at"], UTC).strftime("%d %B %Y")
    lines = [
        f"{item['quantity'] or 1} x {item['description']}: {in_words(item['amount_total'], currency)}"
        for item in items_of(sandbox, quote)
    ]
    return paper.written(
        [
            f"Quote {quote['number']}",
            f"{ACCOUNT_NAME} for {customer['name'] or customer['email'] or customer['id']}",
            f"Valid until {until}",
            *([quote["header"]] if quote["header"] else []),
            "",
            *lines,
            "",
            f"Total {in_words(quote['amount_total'], currency)}",
            *([quote["footer"]] if quote["footer"] else []),
        ]
    )
