"""What customers have bought once: paid checkouts without a plan, in pages."""

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from gateway.billing import returns
from gateway.billing.pagination import Order, Pages
from gateway.db.tables import table_for
from gateway.models.mirrored import CheckoutSession

SESSIONS = table_for(CheckoutSession)
PAID = ("paid", "no_payment_required")
_SHOWN = ("id", "customer_id", "currency", "amount_total", "invoice_id", "line_items", "created")

_RETURNED = sa.case(
    (SESSIONS.c.invoice_id.is_(None), returns.of_payment(SESSIONS.c.payment_intent_id)),
    else_=returns.of_invoice(SESSIONS.c.invoice_id),
).label("returned")


def _columns() -> Sequence[Any]:
    return [*(SESSIONS.c[name] for name in _SHOWN), _RETURNED]


PAGES: Pages[Any] = Pages(
    _columns(),
    Order(SESSIONS.c.created, SESSIONS.c.id),
    SESSIONS.c.deleted.is_(False),
    SESSIONS.c.mode == "payment",
    SESSIONS.c.status == "complete",
    sa.or_(*(SESSIONS.c.payment_status == status for status in PAID)),
)
"""Rows of paid checkouts without a plan, each with `returned`, how much of it went back."""
