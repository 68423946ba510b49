"""What customers have bought once: paid checkouts without a plan, in pages."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa

from gateway.billing import returns
from gateway.billing.pagination import Pages, bad_cursor, decode_cursor, encode_cursor
from gateway.db.tables import table_for
from gateway.models.mirrored import CheckoutSession

SESSIONS = table_for(CheckoutSession)
PAID = ("paid", "no_payment_required")
_SHOWN = ("id", "customer_id", "currency", "amount_total", "invoice_id", "line_items", "created")

_RETURNED = sa.case(
    (SESSIONS.c.invoice_id.is_(None), returns.of_payment(SESSIONS.c.payment_intent_id)),
    else_=returns.of_invoice(SESSIONS.c.invoice_id),
).label("returned")


def cursor_of(purchase: Any) -> str:
    """Return the opaque cursor of a purchase: its place in time."""
    return encode_cursor(f"{int(purchase.created.timestamp())} {purchase.id}")


def _place(cursor: str) -> tuple[datetime, str]:
    seconds, _, session_id = decode_cursor(cursor).partition(" ")
    try:
        if session_id.isprintable() and session_id:
            return datetime.fromtimestamp(int(seconds), UTC), session_id
    except (ValueError, OverflowError, OSError):
        pass
    raise bad_cursor()


def _columns() -> Sequence[Any]:
    return [*(SESSIONS.c[name] for name in _SHOWN), _RETURNED]


PAGES: Pages[Any] = Pages(
    _columns(),
    (SESSIONS.c.created, SESSIONS.c.id),
    _place,
    SESSIONS.c.deleted.is_(False),
    SESSIONS.c.mode == "payment",
    SESSIONS.c.status == "complete",
    sa.or_(*(SESSIONS.c.payment_status == status for status in PAID)),
)
"""Rows of paid checkouts without a plan, each with `returned`, how much of it went back."""
