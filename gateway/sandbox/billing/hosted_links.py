"""The links of an invoice to its page and its file, which expire.

A page can be seen until 30 days after its invoice is due or was finalized, and for ten days after its link was read:
https://docs.stripe.com/invoicing/hosted-invoice-page. So a link says when it was read, once the page would be gone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from gateway.sandbox.core.periods import DAY

if TYPE_CHECKING:
    from collections.abc import Callable

    from gateway.sandbox.core.store import Obj

_SHOWN_DAYS, _READ_DAYS = 30, 10


def path(invoice: Obj, now: int) -> str:
    """Return a path to the page that is good for ten days from now."""
    read = now - now % DAY  # the same for a day, so that reading it twice gives the same
    return f"/i/{invoice['id']}" + (f"?t={read + DAY}" if read + DAY > _shown_until(invoice) - _READ_DAYS * DAY else "")


def expired(invoice: Obj, now: int, read: int) -> bool:
    """Return whether a link that was read at a time (0: not known) leads nowhere any more."""
    return now > max(_shown_until(invoice), read + _READ_DAYS * DAY)


def renewed(obj: Obj, now_of: Callable[[Obj], int]) -> Obj:
    """Return an object, or a list of objects, with links to invoices that are good from now on.

    Args:
        obj: What is about to be shown.
        now_of: Tells the time on the clock of an object.
    """
    if obj.get("object") == "list" and obj["data"] and obj["data"][0].get("object") == "invoice":
        return {**obj, "data": [renewed(each, now_of) for each in obj["data"]]}
    if obj.get("object") != "invoice" or not obj.get("hosted_invoice_url"):
        return obj
    base = obj["hosted_invoice_url"].partition("/i/")[0]
    link = base + path(obj, now_of(obj))
    return {**obj, "hosted_invoice_url": link, "invoice_pdf": f"{link}{'&' if '?' in link else '?'}print=1"}


def _shown_until(invoice: Obj) -> int:
    counted = invoice.get("due_date") or invoice["status_transitions"]["finalized_at"] or invoice["created"]
    return int(counted) + _SHOWN_DAYS * DAY
