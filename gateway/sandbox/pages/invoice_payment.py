"""An open invoice paid by its customer: the form behind ``hosted_invoice_url``.

Source: docs.stripe.com/invoicing/hosted-invoice-page: customers pay an invoice on it.
"""

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from gateway.sandbox.core.errors import StripeError
from gateway.sandbox.pages import payment_form, site
from gateway.sandbox.pages.calls import call, sandbox_of
from gateway.sandbox.pages.invoice import Json, is_payable, linked_invoice
from gateway.sandbox.resources import account

_DECLINED, _INVALID = 402, 422


def routes() -> list[Route]:
    """Return the form and what it does."""
    return [site.view("/i/{id}/pay", form, name="invoice_form"), site.action("/i/{id}/pay", pay)]


async def form(http: Request) -> Response:
    """Show the form; of what is paid, the invoice."""
    found = linked_invoice(http)
    return _form(http, found, {}) if is_payable(found) else _to_invoice(http)


async def pay(http: Request) -> Response:
    """Charge the card that was given, and keep it for the customer."""
    found, given = linked_invoice(http), await site.read_form(http)
    if not is_payable(found):
        return _to_invoice(http)
    if "fill" in given:
        payment_form.fill(given)
        return _form(http, found, given)
    errors = payment_form.method_errors(given, sandbox_of(http).now(found))
    if errors:
        return _form(http, found, given, errors=errors, status=_INVALID)
    try:
        method = call(http, "POST", "/v1/payment_methods", payment_form.payment_method_params(given))
        call(http, "POST", f"/v1/invoices/{found['id']}/pay", {"payment_method": method["id"]})
    except StripeError as error:
        if error.code == "invoice_payment_intent_requires_action":  # the invoice shows where it is confirmed
            return _to_invoice(http)
        return _form(http, found, given, message=error.message, status=_DECLINED)
    return _to_invoice(http)


def _to_invoice(http: Request) -> Response:
    return site.redirect(str(http.url.replace(path=http.url.path.removesuffix("/pay"))))


def _form(
    http: Request,
    found: Json,
    given: dict[str, str],
    *,
    errors: dict[str, str] | None = None,
    message: str = "",
    status: int = 200,
) -> Response:
    return site.render(
        http,
        "invoice_payment.html",
        status=status,
        invoice=found,
        merchant=account.NAME,
        back=http.url.replace(path=http.url.path.removesuffix("/pay")),
        form=given,
        errors=errors or {},
        message=message,
        test_cards=payment_form.examples(["card"]),
    )
