"""The outbox: messages to the application, written in the transaction of their cause.

The last state that the application was told of an object is kept beside the messages. A duplicate of an event, or an
older one, changes no row of the mirror, and so sends nothing.
"""

import uuid
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import lru_cache
from hashlib import sha256
from typing import Any

import orjson
import sqlalchemy as sa

from gateway.db.database import ENDPOINTS
from gateway.db.lease_queue import count_by_status
from gateway.db.tables import insert, table_for
from gateway.mirror.effects import Written
from gateway.models.columns import OPEN_PREDICATE, PENDING, utc
from gateway.models.mirrored import Customer, Invoice
from gateway.models.outbound import OutboxDelivery, OutboxMessage, OutboxState
from gateway.models.statuses import ENTITLED, FINAL

MESSAGES, DELIVERIES = table_for(OutboxMessage), table_for(OutboxDelivery)
STATES, CUSTOMERS, INVOICES = table_for(OutboxState), table_for(Customer), table_for(Invoice)

KINDS = frozenset({"subscription", "invoice", "checkout.session"})
_OWNER = sa.select(CUSTOMERS.c.external_id).where(CUSTOMERS.c.id == sa.bindparam("customer"))
_KNOWN = sa.select(STATES.c.id, STATES.c.state).where(STATES.c.id.in_(sa.bindparam("ids", expanding=True)))
_DELIVERY = sa.insert(DELIVERIES)
ONCE = frozenset({"invoice.paid", "checkout.completed", "checkout.expired", "subscription.ended"})
"""Types of messages about what happens to an object once."""


def append(
    connection: sa.Connection, customer_id: str | None, kind: str, data: dict[str, Any], *, once: str | None = None
) -> None:
    """Append a message, sent after the commit; nothing where no endpoint is configured.

    What happens once has its `webhook-id` from what it is about. So it has the same one when it is told again because
    an old backup was restored, and its receiver can tell.

    Args:
        connection: the transaction of the change.
        customer_id: about whom; messages about one customer stay in order.
        kind: the message's type, such as `invoice.paid`.
        data: what it says.
        once: what it is about, where that happens once; such a message is there once.
    """
    endpoints: Sequence[str] = connection.info.get(ENDPOINTS, ())
    if not endpoints:
        return
    now = datetime.now(UTC)
    external_id = connection.execute(_OWNER, {"customer": customer_id}).scalar()
    body = {
        "type": kind,
        "timestamp": now.isoformat(),
        "data": {"customerId": customer_id, "externalId": external_id, **data},
    }
    name = sha256(f"{kind} {once}".encode()).hexdigest()[:32] if once else uuid.uuid4().hex
    message: dict[str, Any] = {"message_id": f"msg_{name}", "customer_id": customer_id or "", "type": kind}
    message |= {"payload": orjson.dumps(body).decode(), "created": now}
    place = connection.execute(_message(connection.dialect.name), message).scalar()
    if place is None:
        return
    # a guest's wait for nobody else's: without a customer each is its own
    row = {"id": place, "customer_id": customer_id or name, "status": "pending", "attempts": 0, "next_attempt_at": now}
    connection.execute(_DELIVERY, [{**row, "endpoint": endpoint} for endpoint in endpoints])


@lru_cache
def _message(dialect: str) -> Any:
    """INSERT a message that is not there yet."""
    new = insert(dialect, MESSAGES).on_conflict_do_nothing(index_elements=["message_id"])
    return new.returning(MESSAGES.c.id)


def on_write(connection: sa.Connection, written: Sequence[Written]) -> None:
    """Append messages about what is new in subscriptions, invoices and checkouts."""
    if not connection.info.get(ENDPOINTS):
        return
    latest: dict[str, Written] = {}
    for row in (each for each in written if each.kind in KINDS):
        made = row.created or (row.id in latest and latest[row.id].created)
        latest[row.id] = row._replace(created=made)
    if not latest:
        return
    known = dict(connection.execute(_KNOWN, {"ids": [*latest]}).all())
    for row in latest.values():
        state, before = _state(row), known.get(row.id)
        if state == before:
            continue
        _save_state(connection, row.id, state)
        if kind := _kind(row, before):
            once = row.id if kind in ONCE else None
            append(connection, row.columns["customer_id"], kind, _data(row), once=once)


def append_failed_charge(
    connection: sa.Connection, invoice_id: str, attempt: int, next_attempt: int | None = None
) -> None:
    """Append `invoice.failed`, once for each failed attempt, while the invoice is still open.

    Only the event `invoice.payment_failed` proves a failure: Stripe counts an attempt while a bank debit is processing.

    Args:
        connection: the transaction that applies the event.
        invoice_id: the invoice.
        attempt: which attempt failed (`attempt_count` in the event).
        next_attempt: when Stripe tries again, Unix seconds (`next_payment_attempt` in the event).
    """
    if not connection.info.get(ENDPOINTS):
        return
    known = sa.select(INVOICES).where(INVOICES.c.id == invoice_id, INVOICES.c.status == "open")
    found = connection.execute(known).mappings().first()
    if found is None or found["attempt_count"] < attempt:  # what is missing is being fetched, and this comes again
        return
    name = f"{invoice_id} failed"
    last = connection.execute(sa.select(STATES.c.state).where(STATES.c.id == name)).scalar()
    if last is None or int(last) < attempt:
        _save_state(connection, name, str(attempt))
        row = Written("invoice", invoice_id, dict(found), created=False)
        data = _data(row) | _for_mail(connection, row, utc(next_attempt)) | {"attempt": attempt}
        append(connection, row.columns["customer_id"], "invoice.failed", data, once=f"{invoice_id} {attempt}")


def _save_state(connection: sa.Connection, name: str, state: str) -> None:
    connection.execute(_present_state(connection.dialect.name), {"id": name, "state": state})


@lru_cache
def _present_state(dialect: str) -> Any:
    """INSERT a state, or UPDATE it."""
    new = insert(dialect, STATES)
    return new.on_conflict_do_update(index_elements=["id"], set_={"state": new.excluded.state})


def _state(row: Written) -> str:
    """Return what matters of an object; its status comes first."""
    columns = row.columns
    match row.kind:
        case "invoice":
            return str(columns["status"])
        case "subscription":
            items = sorted(f"{item['price_id']}*{item['quantity']}" for item in columns["_items"])
            return f"{columns['status']} {columns['cancel_at_period_end']} {columns['cancel_at']} {' '.join(items)}"
        case _:
            return str(columns["status"])


def _kind(row: Written, last_state: str | None) -> str | None:
    """Return the type of the message about a new state, if there is one."""
    status, before = row.columns["status"], (last_state or "").partition(" ")[0]
    match row.kind:
        case "invoice":
            return "invoice.paid" if status == "paid" != before else None
        case "checkout.session":
            return {"complete": "checkout.completed", "expired": "checkout.expired"}.get(status)
        case _ if status in FINAL:
            return "subscription.ended" if before not in FINAL else None
        case _ if status in ENTITLED and before not in ENTITLED and (before or row.created):
            return "subscription.activated"
        case _:
            return "subscription.changed" if last_state or not row.created else None


def _data(row: Written) -> dict[str, Any]:
    """Return what a message says beside whose it is: enough to know what to ask for, never a secret or a card."""
    columns = row.columns
    match row.kind:
        case "invoice":
            amounts = {name: columns[column] for name, column in _AMOUNTS.items()}
            return {"invoiceId": row.id, "subscriptionId": columns["subscription_id"], **amounts}
        case "subscription":
            items = [{"priceId": item["price_id"], "quantity": item["quantity"]} for item in columns["_items"]]
            return {"subscriptionId": row.id, "status": columns["status"], "items": items}
        case _:
            return {"sessionId": row.id, "status": columns["status"], "paymentStatus": columns["payment_status"]}


def _for_mail(connection: sa.Connection, row: Written, next_attempt: datetime | None) -> dict[str, Any]:
    """Return what a mail about a failed charge needs: to whom, what is tried next, and where it can be paid."""
    query = sa.select(CUSTOMERS.c.email, CUSTOMERS.c.name).where(CUSTOMERS.c.id == row.columns["customer_id"])
    found = connection.execute(query).mappings().first() or {"email": None, "name": None}
    said = {"nextAttempt": next_attempt.isoformat() if next_attempt else None}
    return {**said, "hostedInvoiceUrl": row.columns["hosted_invoice_url"], **found}


_AMOUNTS = {
    "currency": "currency",
    "total": "total",
    "amountPaid": "amount_paid",
    "amountRemaining": "amount_remaining",
}


def count_open_deliveries(connection: sa.Connection) -> dict[str, int]:
    """Count the messages that have not reached their endpoint, by status."""
    return count_by_status(connection, DELIVERIES.c.status, sa.text(OPEN_PREDICATE), ("pending", "dead"))


def removed_endpoints(named: Sequence[str], connection: sa.Connection) -> dict[str, int]:
    """Count the messages that wait for endpoints which the settings name no more.

    Args:
        named: the endpoints of the settings.
        connection: to read from.
    """
    waits = sa.text(OPEN_PREDICATE), DELIVERIES.c.status == PENDING, DELIVERIES.c.endpoint.not_in(named)
    query = sa.select(DELIVERIES.c.endpoint, sa.func.count()).where(*waits).group_by(DELIVERIES.c.endpoint)
    return dict(connection.execute(query.order_by(DELIVERIES.c.endpoint)).all())
