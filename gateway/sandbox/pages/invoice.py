"""The printable invoice: what ``hosted_invoice_url`` shows, on paper or on the screen."""

from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from gateway.sandbox.billing import collection, hosted_links
from gateway.sandbox.pages import formats, site
from gateway.sandbox.pages.calls import need, sandbox_of
from gateway.sandbox.pages.labels import TONES, address_lines
from gateway.sandbox.resources import account

Json = dict[str, Any]


def routes() -> list[Route]:
    """Show the invoice of an id."""
    return [site.view("/i/{id}", invoice)]


async def invoice(http: Request) -> Response:
    """Show one invoice as a sheet of paper."""
    found = linked_invoice(http)
    confirm = _confirmation(http, found)
    locale = formats.choose_locale(None, http.headers.get("accept-language", ""))
    moments = found["status_transitions"]
    balance = (found["ending_balance"] or 0) - found["starting_balance"]
    return site.render(
        http,
        "invoice.html",
        invoice=found,
        merchant=account.NAME,
        tone=TONES.get(found["status"], ""),
        issued=moments.get("finalized_at") or found["created"],
        paid_at=moments.get("paid_at"),
        address=address_lines(found["customer_address"]),
        lines=[line | {"unit": _unit(line, locale)} for line in found["lines"]["data"]],
        adjustments=_adjustments(found),
        confirm=confirm,
        pay=http.url.replace(path=f"{http.url.path}/pay") if is_payable(found) and not confirm else None,
        applied=-balance if found["status"] != "draft" else 0,
        locale=locale,
    )


def linked_invoice(http: Request) -> Json:
    """Return the invoice of a link.

    Raises:
        HTTPException: 404, there is none; 410, the link is no longer good.
    """
    found = need(http, "invoice")
    now, read = sandbox_of(http).now(found), http.query_params.get("t", "")
    if hosted_links.expired(found, now, int(read) if read.isdecimal() else 0):
        raise HTTPException(410, f"This link has expired. The API gives a new one: GET /v1/invoices/{found['id']}.")
    return found


def is_payable(found: Json) -> bool:
    """Return whether anything of an invoice can be paid."""
    return found["status"] == "open" and int(found["amount_remaining"]) > 0


def _confirmation(http: Request, found: Json) -> str | None:
    """Return where an open invoice's payment is confirmed, if the bank wants that.

    Source: docs.stripe.com/invoicing/hosted-invoice-page: customers authenticate payments on it.
    """
    intent = collection.intent_of(sandbox_of(http), found) if found["status"] == "open" else None
    return f"/3ds/{intent['id']}?invoice={found['id']}" if intent and intent["status"] == "requires_action" else None


def _unit(line: Json, locale: str) -> str:
    """Return the unit price of a line, where it has one."""
    pricing = line.get("pricing") or {}
    if not pricing.get("unit_amount_decimal"):
        return ""
    price = {"currency": line["currency"], "unit_amount_decimal": pricing["unit_amount_decimal"]}
    return formats.unit_money(price, locale)


def _adjustments(found: Json) -> list[tuple[str, int]]:
    """Return discounts and taxes between subtotal and total."""
    discount = sum(each["amount"] for each in found["total_discount_amounts"] or [])
    taxes = [
        ("Tax (included)" if each["tax_behavior"] == "inclusive" else "Tax", each["amount"])
        for each in found["total_taxes"] or []
    ]
    return [("Discount", -discount), *taxes] if discount else taxes
