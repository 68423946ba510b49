"""The next invoice as older versions ask for it; newer ones do with `create_preview`.

Source: https://docs.stripe.com/changelog/basil/2025-03-31/invoice-preview-api-deprecations
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from gateway.sandbox.api.lists import page_of
from gateway.sandbox.api.routing import route
from gateway.sandbox.billing import previews
from gateway.sandbox.core.errors import invalid

if TYPE_CHECKING:
    from gateway.sandbox.core.ports import Request, Sandbox
    from gateway.sandbox.core.store import Obj

_PREFIX = "subscription_"
_UNPREFIXED = ("subscription_details",)


def _before_basil(raw: Obj) -> Obj:
    """Return the parameters with `subscription_items` and the like inside `subscription_details`."""
    details = {**(raw.get("subscription_details") or {})}
    others: Obj = {}
    for name, value in raw.items():
        if name.startswith(_PREFIX) and name not in _UNPREFIXED:
            details[name.removeprefix(_PREFIX)] = value
        elif name not in _UNPREFIXED:
            others[name] = value
    if others.get("coupon"):
        others["discounts"] = [{"coupon": others.pop("coupon")}]
    return {**others, **({"subscription_details": details} if details else {})}


@route("GET", "/v1/invoices/upcoming", params="InvoiceCreatePreviewParams", older=_before_basil)
def upcoming(sandbox: Sandbox, request: Request) -> Obj:
    """Show the next invoice, or what a change would cost."""
    if not request.params.get("customer") and not request.params.get("subscription"):
        # Recorded, with neither code nor param.
        raise invalid("You must either provide a `customer` or a `subscription` to the upcoming invoice endpoint.")
    return previews.preview(sandbox, request.params)


@route(
    "GET",
    "/v1/invoices/upcoming/lines",
    params="InvoiceCreatePreviewParams",
    older=_before_basil,
    also=("ending_before", "limit", "starting_after"),
)
def lines(sandbox: Sandbox, request: Request) -> Obj:
    """List the lines of the next invoice."""
    return page_of(request, upcoming(sandbox, request)["lines"]["data"])
