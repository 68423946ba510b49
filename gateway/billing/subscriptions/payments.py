"""What the invoices of subscriptions tell about them: until when they are paid, and since when something is due."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from fractions import Fraction
from typing import Any, NamedTuple

import sqlalchemy as sa

from gateway.billing import returns
from gateway.billing.subscriptions.access import AsPaid, Payments
from gateway.billing.subscriptions.kept_value import kept_shares
from gateway.billing.subscriptions.own_pauses import holds, voided_by_pause
from gateway.billing.subscriptions.paid_time import (
    Line,
    Order,
    Paid,
    gives_back,
    gone,
    kept_time,
    kept_until,
    not_given_back,
    order_of,
)
from gateway.db.queries import PreparedQuery, in_json_array, json_array
from gateway.db.rows import row_by_id
from gateway.db.tables import table_for
from gateway.models.columns import UtcDateTime
from gateway.models.mirrored import Invoice, Subscription, SubscriptionItem
from gateway.models.statuses import OWED, UNPAID

INVOICES, ITEMS = table_for(Invoice), table_for(SubscriptionItem)


class _Kept(NamedTuple):
    """A paid invoice with the time of it that was kept."""

    id: str
    created: datetime
    number: str | None
    total: int
    lines: Sequence[Mapping[str, Any]]


# What is about the past alone tells only whether anything was ever paid, which matters when something is due.
_INVOICES = PreparedQuery(
    lambda dialect: sa.select(
        *(INVOICES.c.id, INVOICES.c.subscription_id, INVOICES.c.status, INVOICES.c.total, INVOICES.c.created),
        *(INVOICES.c.collection_method, INVOICES.c.due_date, INVOICES.c.attempt_count, INVOICES.c.first_failed_at),
        *(INVOICES.c.finalized_at, INVOICES.c.voided_at, INVOICES.c.number, INVOICES.c.lines),
        *(returns.of_invoice(INVOICES.c.id).label("returned"), returns.in_dispute(INVOICES.c.id).label("in_dispute")),
    ).where(
        in_json_array(dialect, INVOICES.c.subscription_id, "subscriptions"),
        INVOICES.c.status.is_not(None),
        INVOICES.c.deleted.is_(False),
        sa.or_(
            INVOICES.c.service_end.is_(None),
            INVOICES.c.service_end > sa.bindparam("now", type_=UtcDateTime),
            in_json_array(dialect, INVOICES.c.subscription_id, "owing"),
        ),
    )
)


def payments_of(
    connection: sa.Connection, subscriptions: Collection[tuple[Subscription, datetime]]
) -> dict[str, Payments]:
    """Return what the invoices of subscriptions tell, by the subscription's id, in one query.

    Args:
        connection: what is read with.
        subscriptions: those whose access depends on it, each with its present moment.
    """
    rows = [row for row, _ in subscriptions]
    invoices = _INVOICES.rows(
        connection,
        subscriptions=json_array(row.id for row in rows),
        owing=json_array(row.id for row in rows if row.status == "past_due"),
        now=min(now for _, now in subscriptions),
    )
    by_subscription: dict[str, list[Any]] = {}
    for invoice in invoices:
        by_subscription.setdefault(invoice.subscription_id, []).append(invoice)
    parts = [row.id for row in invoices if 0 < row.returned < row.total]  # hardly ever any
    disputed = returns.lost_of(connection, parts) if parts else set()
    return {row.id: payments(row, by_subscription.get(row.id, ()), now, disputed) for row, now in subscriptions}


def paid_invoices(connection: sa.Connection, subscription_id: str) -> tuple[list[Paid], list[Paid]]:
    """Return all paid invoices of a subscription with what went back of them, then with that of disputed ones alone."""
    columns = INVOICES.c.id, INVOICES.c.created, INVOICES.c.number, INVOICES.c.total, INVOICES.c.lines
    back = returns.of_invoice(INVOICES.c.id).label("returned"), returns.was_lost(INVOICES.c.id).label("lost")
    its = INVOICES.c.subscription_id == subscription_id, INVOICES.c.status == "paid", INVOICES.c.deleted.is_(False)
    rows = connection.execute(sa.select(*columns, *back).where(*its)).all()
    paid = [Paid(row.id, order_of(row.created, row.number), row.total, row.returned, row.lines) for row in rows]
    return paid, [each if row.lost else each._replace(returned=0) for each, row in zip(paid, rows, strict=True)]


def payments(
    subscription: Subscription, invoices: Sequence[Any], now: datetime, disputed: Collection[str] = ()
) -> Payments:
    """Return what its invoices tell about a subscription. Pure.

    Args:
        subscription: for the time of its trial, which nobody has paid for, and for its customer's pauses.
        invoices: rows of its invoices, each with what was `returned`, in minor units, and whether that is `in_dispute`.
        now: the present moment.
        disputed: the invoices of which a bank took a part back.
    """
    away = [row for row in invoices if voided_by_pause(subscription.meta, row)]
    passed = [row for row in invoices if row.status in {"void", "uncollectible"} and row not in away]
    invoices = [row for row in invoices if row.status != "void"]
    paid = [row for row in invoices if row.status == "paid"]
    lost = gone(Paid(row.id, order_of(row.created, row.number), row.total, row.returned, row.lines) for row in paid)
    kept = [row for row in paid if row.id not in lost]
    if in_part := any(row.id in disputed for row in kept):
        kept = _shortened(kept, disputed)
    ends, once = _paid_until(kept, subscription, now), {}
    if went_back := len(kept) < len(paid) or in_part:
        once = _paid_until(paid, subscription, now)
    unpaid = sorted((row for row in invoices if _is_due(row)), key=lambda row: (row.created, row.id))
    return Payments(
        paid_until=ends,
        paid_back=frozenset(once.keys() - ends.keys()),
        known=bool(invoices),
        unpaid_since=_due_since(unpaid[0]) if unpaid else None,
        ever_paid=not unpaid or _is_by_hand(unpaid[0]) or any(row.total > 0 for row in kept),
        changes_at=_changes_at([*invoices, *away, *(kept if in_part else ())], now),
        returned=_returned(paid, kept, subscription, now) if went_back else {},
        given=_given(passed, kept, subscription, now) if passed else {},
        unpaid=_unpaid(away, kept, subscription, now) if away else {},
        held=_held(kept, subscription, now) if holds(subscription, now) else {},
        owes=not subscription.pending_update and any(_is_owed(row, subscription) for row in invoices),
        disputed=any(row.in_dispute for row in invoices),
        in_part=frozenset(_had(kept, subscription, now)) if in_part else frozenset(),
    )


def is_given_back(connection: sa.Connection, subscription_id: str, moment: datetime) -> bool:
    """Return whether a subscription's time at a moment was billed, and all of it credited again.

    Args:
        connection: what is read with.
        subscription_id: the subscription, which may have ended.
        moment: when. What is credited may stand on another one's invoice.
    """
    subscription = row_by_id(connection, Subscription, subscription_id)
    if subscription is None:
        return False
    its = sa.select(ITEMS.c.id).where(ITEMS.c.subscription_id == subscription_id)
    paid = INVOICES.c.customer_id == subscription.customer_id, INVOICES.c.status == "paid"
    invoices = connection.execute(sa.select(INVOICES).where(*paid, INVOICES.c.service_end > moment)).all()
    items, present = set(connection.execute(its).scalars()), int(moment.timestamp())
    lines = [line for row in invoices for line in _lines(row, subscription) if line.item in items]
    billed = [line for line in lines if not line.gives_back and line.covers[0] <= present < line.covers[1]]
    return bool(billed) and all(kept_until(not_given_back(line, lines), present) is None for line in billed)


def _is_owed(invoice: Any, subscription: Subscription) -> bool:
    """Return whether an invoice is a subscription's latest one and not paid yet."""
    return invoice.id == subscription.latest_invoice_id and invoice.status in UNPAID


def _shortened(kept: Iterable[Any], disputed: Collection[str]) -> list[_Kept]:
    """Return paid invoices with as much of their time, from its beginning, as what lost disputes left has paid for.

    A part that the seller gives back alone is a kindness and leaves the time as it was.
    """
    rows = list(kept)
    paid = [Paid(row.id, order_of(row.created, row.number), row.total, row.returned, row.lines) for row in rows]
    shares = kept_shares(each if each.id in disputed else each._replace(returned=0) for each in paid)

    def shortened(line: Mapping[str, Any], share: Fraction) -> Mapping[str, Any]:
        seconds = line["period_end"] - line["period_start"]
        return line if gives_back(line) else {**line, "period_end": line["period_start"] + int(seconds * share)}

    return [
        _Kept(row.id, row.created, row.number, row.total, [shortened(line, shares[row.id]) for line in row.lines])
        for row in rows
    ]


def _unpaid(
    away: Iterable[Any], kept: Iterable[Any], subscription: Subscription, now: datetime
) -> dict[str, AsPaid | None]:
    """Return what was paid of the items whose present was billed in a pause of the customer's, and not since.

    Args:
        away: the invoices that the pauses have voided.
        kept: those that were paid and kept.
        subscription: for the time of its trial.
        now: the present moment.
    """
    moment, said = int(now.timestamp()), {line["id"]: line for row in away for line in row.lines}
    billed: dict[str, Order] = {}
    for line in (each for row in away for each in _lines(row, subscription)):
        if said[line.id]["amount"] > 0 and line.covers[0] <= moment < line.covers[1]:
            billed[line.item] = max(line.order, billed.get(line.item, line.order))
    had = _had(kept, subscription, now)
    return {
        item: _as_paid(had[item][1]) if item in had else None
        for item, order in billed.items()
        if item not in had or had[item][0] < order
    }


def _returned(
    paid: Iterable[Any], kept: Iterable[Any], subscription: Subscription, now: datetime
) -> dict[str, AsPaid | None]:
    """Return what was paid before of the items whose present was paid last by an invoice that went back in full.

    A change bills what is dearer alone: who gets that back has what there was before it.
    """
    last, before = _had(paid, subscription, now), _had(kept, subscription, now)
    return {
        item: _as_paid(before[item][1]) if item in before else None
        for item, (order, _) in last.items()
        if item not in before or before[item][0] < order
    }


def _given(passed: Iterable[Any], kept: Iterable[Any], subscription: Subscription, now: datetime) -> dict[str, AsPaid]:
    """Return the items whose present was billed last by an invoice that nobody paid, each as it was billed."""
    billed, paid = _had(passed, subscription, now), _had(kept, subscription, now)
    return {
        item: _as_paid(lines)
        for item, (order, lines) in billed.items()
        if lines[0]["amount"] > 0 and (item not in paid or paid[item][0] < order)
    }


def _held(kept: Iterable[Any], subscription: Subscription, now: datetime) -> dict[str, AsPaid]:
    """Return of each item as much as was paid for its present, while a pause of the customer's runs."""
    return {
        item: _as_paid(lines)._replace(quantity=sum(line["quantity"] or 0 for line in lines) or 1)
        for item, (_, lines) in _had(kept, subscription, now).items()
    }


def _had(
    kept: Iterable[Any], subscription: Subscription, now: datetime
) -> dict[str, tuple[Order, list[Mapping[str, Any]]]]:
    """Return the lines that were paid last for each item's present, with the place of their invoice."""
    rows, moment = list(kept), int(now.timestamp())
    said = {line["id"]: line for row in rows for line in row.lines}
    paid = [each for row in rows for each in _lines(row, subscription)]
    found: dict[str, tuple[Order, list[Mapping[str, Any]]]] = {}
    for line in paid:
        if line.gives_back or kept_until(not_given_back(line, paid), moment) is None:
            continue
        order, lines = found.get(line.item, (line.order, []))
        if line.order >= order:
            found[line.item] = line.order, [*(lines if line.order == order else ()), said[line.id]]
    return found


def _as_paid(lines: Sequence[Mapping[str, Any]]) -> AsPaid:
    """Return what some lines were for. Of the tiers of a price, one of quantity 1 may be a fee: it is no unit."""
    units = [line["quantity"] or 0 for line in lines if len(lines) == 1 or (line["quantity"] or 0) > 1]
    start, end = (datetime.fromtimestamp(lines[0][name], UTC) for name in ("period_start", "period_end"))
    return AsPaid(lines[0]["price"], lines[0].get("product"), sum(units) or 1, (start, end))


def _changes_at(invoices: Iterable[Any], now: datetime) -> datetime | None:
    """Return the next moment at which a line of an invoice begins or ends, and with the last of them the invoice."""
    present = int(now.timestamp())
    edges = (line[name] for row in invoices for line in row.lines for name in ("period_start", "period_end"))
    found = min((edge for edge in edges if edge > present), default=None)
    return None if found is None else datetime.fromtimestamp(found, UTC)


def _paid_until(invoices: Iterable[Any], subscription: Subscription, now: datetime) -> dict[str, datetime]:
    """Return of each item whose present some paid invoices cover until when they do."""
    time = kept_time(line for row in invoices for line in _lines(row, subscription))
    ends = {item: kept_until(stretches, int(now.timestamp())) for item, stretches in time.items()}
    return {item: datetime.fromtimestamp(end, UTC) for item, end in ends.items() if end is not None}


def _lines(invoice: Any, subscription: Subscription) -> Iterator[Line]:
    """Yield the lines about time that somebody has paid for, or gets back.

    A line of a free price counts as paid, a whole one or the rest of a period; a trial's does not, also where the trial
    was ended in the second in which it began.
    """
    trial_start, trial_end = (
        moment.timestamp() if moment else 0 for moment in (subscription.trial_start, subscription.trial_end)
    )
    order = order_of(invoice.created, invoice.number)
    for line in invoice.lines:
        covers, back = (line["period_start"], line["period_end"]), gives_back(line)
        free = line["amount"] == 0 and covers[0] >= trial_end and covers[0] != trial_start
        if covers[0] < covers[1] and (back or line["amount"] > 0 or free):
            yield Line(
                id=line["id"],
                item=line.get("subscription_item") or "",
                covers=covers,
                order=order,
                gives_back=back,
                credited=frozenset(line.get("credited") or ()),
            )


def _is_due(invoice: Any) -> bool:
    """Return whether an invoice is owed and was asked for in vain: a bank debit that is on its way was not."""
    return invoice.status in OWED and bool(
        _is_by_hand(invoice) or invoice.attempt_count or invoice.first_failed_at or invoice.status == "uncollectible"
    )


def _is_by_hand(invoice: Any) -> bool:
    return bool(invoice.collection_method == "send_invoice")


def _due_since(invoice: Any) -> datetime:
    """Return since when an unpaid invoice is due: its due date, or its first failed charge.

    Where the gateway was told of no failure (it was set up later), that is when the invoice was finalized: Stripe
    charges it for the first time then.
    """
    due_date = invoice.due_date if _is_by_hand(invoice) else None
    found: datetime = due_date or invoice.first_failed_at or invoice.finalized_at or invoice.created
    return found
