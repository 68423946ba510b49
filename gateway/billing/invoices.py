"""Invoices as customers see them, and what they tell about a subscription: since when it is unpaid, until when paid."""

import base64
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

import sqlalchemy as sa
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from gateway.billing.snapshot import MAX_PAGE
from gateway.database import Database, table_of
from gateway.errors import BadInput
from gateway.ledger.watch import mark
from gateway.models import Invoice, UtcDateTime, utc


@dataclass(frozen=True, slots=True)
class PageRequest:
    """Which page of a customer's invoices, the newest first.

    Attributes:
        customer_id: whose.
        first: how many, 1 to 100.
        after: the cursor of the last invoice of the page before.
    """

    customer_id: str
    first: int
    after: str | None = None

    @property
    def kind(self) -> tuple[int, str | None]:
        """What pages of several customers must share to be read together."""
        return self.first, self.after


@dataclass(frozen=True, slots=True)
class Page:
    """A page of invoices, and whether another follows it or one precedes it."""

    invoices: tuple[Invoice, ...]
    has_next: bool
    has_previous: bool


NO_PAGE = Page((), has_next=False, has_previous=False)
"""Of somebody without invoices."""


def cursor_of(invoice: Invoice) -> str:
    """The opaque cursor of an invoice: its place in time, which stays its place when it or another one goes."""
    return base64.urlsafe_b64encode(f"{int(invoice.created.timestamp())} {invoice.id}".encode()).decode()


def _place(cursor: str) -> tuple[datetime, str]:
    try:
        seconds, invoice_id = base64.urlsafe_b64decode(cursor.encode()).decode().split(" ")
        return datetime.fromtimestamp(int(seconds), UTC), invoice_id
    except (ValueError, OverflowError, OSError):
        raise BadInput("`after` is no cursor of this list; start again without it") from None


async def pages(database: Database, requests: Iterable[PageRequest]) -> dict[PageRequest, Page]:
    """Pages of many customers' invoices, with one query for all requests of the same `first` and `after`.

    Drafts are left out: their amounts are not yet what anybody will pay.

    Raises:
        BadInput: `first` is out of range, or `after` is no cursor.
        DatabaseUnavailable: the database cannot be reached.
    """
    groups: dict[tuple[int, str | None], list[PageRequest]] = {}
    for request in requests:
        groups.setdefault(request.kind, []).append(request)
    found: dict[PageRequest, Page] = {}
    async with database.read() as session:
        for (first, after), group in groups.items():
            rows = await _newest(session, {each.customer_id for each in group}, first, after)
            for request in group:
                its = rows.get(request.customer_id, [])
                found[request] = Page(tuple(its[:first]), len(its) > first, after is not None)
    return found


async def _newest(
    session: AsyncSession, customer_ids: Collection[str], first: int, after: str | None
) -> dict[str, list[Invoice]]:
    """The newest invoices of each customer behind a cursor: one more than a page, to know whether another follows."""
    if not 1 <= first <= MAX_PAGE:
        raise BadInput(f"`first` must be 1 to {MAX_PAGE}")
    newest_first = (col(Invoice.created).desc(), col(Invoice.id).desc())
    conditions = [col(Invoice.customer_id).in_(customer_ids), *_SHOWN]
    if after is not None:
        created, invoice_id = _place(after)
        twin = sa.and_(col(Invoice.created) == created, col(Invoice.id) < invoice_id)
        conditions.append(sa.or_(col(Invoice.created) < created, twin))
    number = sa.func.row_number().over(partition_by=col(Invoice.customer_id), order_by=newest_first)
    ranked = sa.select(col(Invoice.id), number.label("number")).where(*conditions).subquery()
    query = select(Invoice).join(ranked, ranked.c.id == Invoice.id).where(ranked.c.number <= first + 1)
    found: dict[str, list[Invoice]] = {}
    for invoice in (await session.exec(query.order_by(*newest_first))).all():
        found.setdefault(str(invoice.customer_id), []).append(invoice)
    return found


_SHOWN = (col(Invoice.deleted).is_(False), col(Invoice.status).is_not(None), col(Invoice.status) != "draft")


async def unpaid_since(session: AsyncSession, subscription_ids: Collection[str]) -> dict[str, datetime]:
    """Since when each of these subscriptions owes: the first failed charge of the oldest invoice that is still open.

    That is the moment of the earliest `invoice.payment_failed`, whenever it arrived. Where the gateway was told of none
    (it was set up later), it is when the invoice was finalized, which is when Stripe charges it for the first time.
    """
    if not subscription_ids:
        return {}
    query = (
        select(Invoice.subscription_id, Invoice.first_failed_at, Invoice.finalized_at, Invoice.created)
        .where(
            col(Invoice.subscription_id).in_(subscription_ids),
            Invoice.status == "open",
            Invoice.attempt_count > 0,
            col(Invoice.deleted).is_(False),
        )
        .order_by(col(Invoice.created).desc())
    )
    return {
        str(subscription_id): failed or finalized or created  # the oldest comes last and stays
        for subscription_id, failed, finalized, created in (await session.exec(query)).all()
    }


async def paid_until(session: AsyncSession, subscription_ids: Collection[str]) -> dict[str, datetime]:
    """The end of what was paid for each of these subscriptions; those for which nothing was paid are left out.

    Not the end of the item's period: Stripe begins the next one before it is paid.
    """
    if not subscription_ids:
        return {}
    query = (
        select(Invoice.subscription_id, sa.func.max(col(Invoice.service_end), type_=UtcDateTime))
        .where(
            col(Invoice.subscription_id).in_(subscription_ids),
            Invoice.status == "paid",
            col(Invoice.service_end).is_not(None),
            col(Invoice.deleted).is_(False),
        )
        .group_by(col(Invoice.subscription_id))
    )
    return {str(subscription_id): end for subscription_id, end in (await session.exec(query)).all() if end}


def note_failed_charge(connection: sa.Connection, invoice_id: str, moment: int) -> None:
    """Keep the earliest moment at which an invoice could not be charged, in whatever order the failures are told.

    Args:
        connection: the transaction that applies the event.
        invoice_id: the invoice.
        moment: the event's `created`, Unix seconds.
    """
    table = table_of(Invoice)
    failed = utc(moment)
    found = connection.execute(
        sa.update(table)
        .where(table.c.id == invoice_id)
        .where(sa.or_(table.c.first_failed_at.is_(None), table.c.first_failed_at > failed))
        .values(first_failed_at=failed)
        .returning(table.c.customer_id)
    )
    mark(connection, set(found.scalars()) - {None})
