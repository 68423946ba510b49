"""Decide which credits a paid invoice or a one-off checkout brings. Pure: rows of the mirror, no database.

Lines of a recurring price bring credits for the time that they cover (`timeline.py`), lines of a one-off price once. A
trial brings none; a free price and a price that a coupon made free do. What a price brings is in `prices.py`.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import groupby
from typing import Any

from gateway.billing.credits import timeline
from gateway.billing.credits.prices import NO_CREDITS, CreditRule
from gateway.billing.credits.timeline import CreditLine, Kept, Tariff
from gateway.billing.subscriptions.paid_time import Order, Paid, gives_back, gone, order_of


@dataclass(frozen=True, slots=True)
class Grant:
    """The credits of one line.

    Attributes:
        id: the line's.
        units: the credits of a full period, or of the whole line where it has no period.
        granted: how many the line brought.
        kept: what became of its time; None where it has none.
        expires_at: when they run out; None for never.
    """

    id: str
    units: int
    granted: int
    kept: Kept | None
    expires_at: datetime | None


def order(row: Any) -> Order:
    """Return an invoice's place among those of its subscription."""
    return order_of(row["created"], row["number"])


def paid_at(row: Any) -> datetime:
    """Return when an invoice was paid, on Stripe's clock."""
    found: datetime = row["paid_at"] or row["created"]
    return found


def of_invoices(
    invoices: Sequence[Any],
    rules: Mapping[str, CreditRule],
    subscriptions: Mapping[str, Any],
    quantities: Mapping[str, int | None],
    renewal_grace: timedelta,
) -> list[tuple[Grant, ...]]:
    """Return the grants of each invoice, in their order."""
    timed: dict[str, list[CreditLine]] = {}
    for row in invoices:
        timed[row["id"]] = _lines_of(row, rules, subscriptions.get(row["subscription_id"]), quantities)
    found = timeline.kept(line for lines in timed.values() for line in lines)
    if lost := gone(Paid(row["id"], order(row), row["total"], row["returned"], row["lines"]) for row in invoices):
        # what went back takes no time from what was paid before it, and gives none of it back
        kept = timeline.kept(line for name, lines in timed.items() if name not in lost for line in lines)
        found = {name: replace(each, seconds=0) for name, each in found.items()} | kept
    for line, until in _taken_again(invoices, timed, subscriptions):
        if each := found.get(line.id):
            found[line.id] = replace(each, seconds=min(each.seconds, max(0, until - line.covers[0])))
    return [
        (
            *_once(row, rules),
            *(
                _of_time(found[line.id], rules.get(line.price_id or "", NO_CREDITS), row, subscriptions, renewal_grace)
                for line in timed[row["id"]]
                if line.id in found and line.units
            ),
        )
        for row in invoices
    ]


def is_free(line: Mapping[str, Any]) -> bool:
    """Return whether a mirrored line gives time for nothing: of a free price, by a coupon, or of a trial."""
    costs = line["amount"] - (line.get("discount") or 0)
    return bool(costs <= 0 and line["period_start"] < line["period_end"] and not gives_back(line))


def _taken_again(
    invoices: Sequence[Any], timed: Mapping[str, Sequence[CreditLine]], subscriptions: Mapping[str, Any]
) -> Iterable[tuple[CreditLine, int]]:
    """Yield the free time of ended subscriptions that their customer has taken again, each with when.

    Who ends a plan that costs nothing and takes it again in the same period would have its credits each time.
    """
    free = [(row, line) for row in invoices for line in timed[row["id"]] if line.free_of]
    for row, line in free:
        ended = (subscriptions.get(row["subscription_id"]) or {}).get("ended_at")
        starts = [
            other.covers[0]
            for at, other in free
            if other.free_of == line.free_of and at["customer_id"] == row["customer_id"]
            if at["subscription_id"] != row["subscription_id"] and _place(other) > _place(line)
        ]
        if ended and starts:
            yield line, max(min(starts), int(ended.timestamp()))


def _place(line: CreditLine) -> tuple[int, Order, str]:
    return line.covers[0], line.order, line.id


def _is_timed(line: Mapping[str, Any], row: Any, rules: Mapping[str, CreditRule]) -> bool:
    """Return whether a line is for time of a subscription: a one-off price on its invoice (a pack, a fee) is not."""
    if not row["subscription_id"] or line["period_start"] >= line["period_end"]:
        return False
    rule = rules.get(line["price"] or "")
    return bool(rule.interval if rule else line.get("subscription_item"))


def _once(row: Any, rules: Mapping[str, CreditRule]) -> Iterable[Grant]:
    """Yield the grants of lines that are not for time, as those of a recurring price always are."""
    for line in row["lines"]:
        rule = rules.get(line["price"] or "", NO_CREDITS)
        units = rule.credits * (line["quantity"] or 0)
        if units > 0 and line["amount"] >= 0 and not gives_back(line) and rule.interval is None:
            yield Grant(line["id"], units, units, None, min(rule.last_day(paid_at(row)), default=None))


def _lines_of(
    row: Any, rules: Mapping[str, CreditRule], subscription: Any, quantities: Mapping[str, int | None]
) -> list[CreditLine]:
    """Return the lines that are for time, those of several tiers as one."""

    def together(line: Mapping[str, Any]) -> tuple[Any, ...]:
        item = line.get("subscription_item") or f"{row['subscription_id']} {line['price']}"  # rows of before 0.2
        return item, line["price"] or "", line["period_start"], line["period_end"], gives_back(line)

    lines = [line for line in row["lines"] if _is_timed(line, row, rules)]
    found = []
    for (item, price, start, end, back), group in groupby(sorted(lines, key=together), key=together):
        same = list(group)
        rule = rules.get(price, NO_CREDITS)
        if same[0]["proration"]:
            same = same[-1:]  # a proration is one line, whatever its tiers; of several the last counts
        amount, tariff = sum(line["amount"] for line in same), rule.tariff(row["currency"])
        units = timeline.units_of([line["quantity"] or 0 for line in same], amount, tariff, quantities.get(item))
        if not back and amount == 0 and _is_trial(start, units, tariff, subscription):
            continue
        found.append(
            CreditLine(
                id=same[0]["id"],
                order=order(row),
                item=item,
                price_id=price or None,
                units=rule.credits * units,
                covers=(start, end),
                interval=rule.interval,
                proration=bool(same[0]["proration"]),
                gives_back=back,
                credited=frozenset(each for line in same for each in line.get("credited") or ()),
                paid_at=int(paid_at(row).timestamp()),
                free_of=(rule.price or {}).get("product_id", price) if all(map(is_free, same)) else "",
            )
        )
    return found


def _is_trial(start: int, units: int, tariff: Tariff | None, subscription: Any) -> bool:
    """Return whether a line that costs nothing is for a trial: it begins in one, or its price has a cost."""
    if subscription is not None and subscription["trial_start"] and subscription["trial_end"]:
        first, last = subscription["trial_start"].timestamp(), subscription["trial_end"].timestamp()
        if first <= start < last:
            return True
    return tariff is not None and tariff.cost(units) * 2 >= 1  # what would round to a minor unit


def _of_time(
    kept: Kept, rule: CreditRule, row: Any, subscriptions: Mapping[str, Any], renewal_grace: timedelta
) -> Grant:
    """Return the grant of a line that is for time; it ends with its period, or when the next time is paid."""
    ends = rule.last_day(paid_at(row))
    if not rule.rolls_over:
        end = moment(kept.line.covers[1])
        follows = [end + renewal_grace] + ([moment(kept.next_paid_at)] if kept.next_paid_at else [])
        subscription = subscriptions.get(row["subscription_id"])
        if subscription is not None and subscription["ended_at"]:
            follows.append(subscription["ended_at"])
        ends.append(max(end, min(follows)))
    return Grant(kept.line.id, kept.line.units, kept.granted, kept, min(ends, default=None))


def of_session(row: Any, rules: Mapping[str, CreditRule], paid_at: datetime) -> tuple[Grant, ...]:
    """Return the grants of a checkout without an invoice."""
    grants = []
    for line in row["line_items"] or ():
        rule = rules.get((line["price"] or {}).get("id", ""), NO_CREDITS)
        units = rule.credits * (line["quantity"] or 0)
        if units > 0:
            grants.append(Grant(line["id"], units, units, None, min(rule.last_day(paid_at), default=None)))
    return tuple(grants)


def moment(seconds: int) -> datetime:
    """Return the moment of a Unix time."""
    return datetime.fromtimestamp(seconds, UTC)
