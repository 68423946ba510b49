"""What one customer adds to the figures of each month: pure, from his invoices and subscriptions as Stripe tells them.

Months are UTC's. Amounts are integers in minor units, without tax. What is monthly of a price that is billed by another
interval takes a year as twelve months and 365 days, and is rounded for each line, halves away from zero.

Whoever changes a rule has all customers reckoned anew, by a migration that sets `customer_figures.due`.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from fractions import Fraction
from typing import Any, Final, NamedTuple

from gateway.models.statuses import FINAL

MONTHS_IN: Final = {"day": Fraction(12, 365), "week": Fraction(84, 365), "month": Fraction(1), "year": Fraction(12)}
NEVER: Final = 10**12

STARTED, ENDED = "started", "ended"
TRIALS, TRIALS_ENDED, CONVERTED = "trials", "trials_ended", "converted"
NEW, EXPANSION, CONTRACTION, CHURN = "new", "expansion", "contraction", "churn"
PAID, FAILED, RECOVERED = "paid", "failed", "recovered"
COHORT: Final = "cohort "
STATUS: Final = "status "
NOW: Final = "now"
"""In the place of a month: how it is, not how it was."""


class Rate(NamedTuple):
    """How a price is billed.

    Attributes:
        interval: Stripe's word.
        intervals: how many of them a period has.
        unit_amounts: of one unit, by currency; none where the amount does not follow from the quantity alone.
    """

    interval: str
    intervals: int
    unit_amounts: Mapping[str, int]


class Invoice(NamedTuple):
    """What counts of an invoice."""

    status: str | None
    currency: str
    total: int
    amount_paid: int
    paid_at: datetime | None
    first_failed_at: datetime | None
    subscription_id: str | None
    lines: Sequence[Mapping[str, Any]]


class Subscription(NamedTuple):
    """What counts of a subscription; `items` are the ids of those that it has."""

    id: str
    status: str
    currency: str
    start: datetime
    ended: datetime | None
    cancel_at: datetime | None
    trial_start: datetime | None
    trial_end: datetime | None
    is_paused: bool
    items: frozenset[str]


class Span(NamedTuple):
    """What is paid monthly, from one moment to before another, in Unix seconds."""

    currency: str
    start: int
    end: int
    monthly: int


class Part(NamedTuple):
    """What is added to one figure of one month."""

    month: str
    currency: str
    name: str
    amount: int
    number: int


def monthly(amount: Fraction, rate: Rate) -> int:
    """Return what an amount of one period is for a month."""
    exact = amount / (MONTHS_IN[rate.interval] * rate.intervals)
    whole = (abs(exact) * 2 + 1) // 2
    return int(whole if exact >= 0 else -whole)


def parts(invoices: Iterable[Invoice], subscriptions: Iterable[Subscription], rates: Mapping[str, Rate]) -> list[Part]:
    """Return what a customer adds to the figures.

    Args:
        invoices: all of the customer's.
        subscriptions: all of the customer's.
        rates: of recurring prices whose quantity is known beforehand, by their ids.
    """
    invoices, by_id = list(invoices), {each.id: each for each in subscriptions}
    sums: dict[tuple[str, str, str], list[int]] = defaultdict(lambda: [0, 0])

    def add(month: str, currency: str, name: str, amount: int = 0, count: int = 1) -> None:
        kept = sums[month, currency, name]
        kept[0] += amount
        kept[1] += count

    paid = [each for each in invoices if each.status == "paid"]
    spans = list(_spans(paid, by_id, rates))
    for currency in sorted({each.currency for each in spans}):
        _movements([each for each in spans if each.currency == currency], add)
    for invoice in invoices:
        if invoice.paid_at and invoice.status == "paid":
            add(month_of(invoice.paid_at), invoice.currency, PAID, invoice.amount_paid)
        if invoice.first_failed_at:
            month = month_of(invoice.first_failed_at)
            add(month, invoice.currency, FAILED, invoice.total)
            if invoice.status == "paid":
                add(month, invoice.currency, RECOVERED, invoice.amount_paid)
    first_paid = _first_paid(paid)
    for subscription in by_id.values():
        _life(subscription, first_paid.get(subscription.id, ()), add)
    return [Part(*key, amount, count) for key, (amount, count) in sorted(sums.items()) if amount or count]


def month_of(moment: datetime) -> str:
    """Return the month of a moment, such as 2026-11."""
    return f"{moment.astimezone(UTC):%Y-%m}"


def _net(line: Mapping[str, Any]) -> int:
    return int(line["amount"]) - int(line.get("discount") or 0)


def _spans(
    paid: Iterable[Invoice], subscriptions: Mapping[str, Subscription], rates: Mapping[str, Rate]
) -> Iterable[Span]:
    """Yield what the paid lines of recurring prices are for a month, for as long as each counts."""
    lines = [
        (invoice, line, rate)
        for invoice in paid
        for line in invoice.lines
        if (rate := rates.get(line.get("price") or "")) and line["period_end"] > line["period_start"]
    ]
    latest: dict[str, int] = defaultdict(int)
    for _, line, _ in lines:
        item = line.get("subscription_item") or ""
        latest[item] = max(latest[item], line["period_end"])
    for invoice, line, rate in lines:
        subscription = subscriptions.get(invoice.subscription_id or "")
        end = line["period_end"]
        if subscription is not None:
            end = _end(subscription, line, is_latest=latest[line.get("subscription_item") or ""] == end)
        amount = _full(line, rate, invoice.currency)
        if amount and end > line["period_start"]:
            yield Span(invoice.currency, line["period_start"], end, monthly(amount, rate))


def _end(subscription: Subscription, line: Mapping[str, Any], *, is_latest: bool) -> int:
    """Return until when a line counts: its period's end, or the subscription's where that is earlier.

    The latest line of an item goes on while the subscription is active, so that a renewal that is due or being charged
    at this moment is not missing.
    """
    if subscription.ended is not None:
        return min(int(line["period_end"]), int(subscription.ended.timestamp()))
    goes_on = subscription.status == "active" and not subscription.is_paused
    if not (goes_on and is_latest and line.get("subscription_item") in subscription.items):
        return int(line["period_end"])
    return int(subscription.cancel_at.timestamp()) if subscription.cancel_at else NEVER


def _full(line: Mapping[str, Any], rate: Rate, currency: str) -> Fraction:
    """Return what a line is for a whole period. Of a part of one, which a change bills or gives back, that follows from
    the price's own amount; where that is not known, it counts from the next renewal on.
    """
    amount, net = int(line["amount"]), _net(line)
    if not line.get("proration") or not amount:
        return Fraction(net)
    unit, quantity = rate.unit_amounts.get(currency), line.get("quantity")
    if unit is None or quantity is None:
        return Fraction(0)
    return Fraction(unit * quantity * net, abs(amount))


def _movements(spans: Sequence[Span], add: Any) -> None:
    """Add how what is paid monthly in one currency changes, from each month's beginning to the next one's."""
    steps: dict[int, int] = defaultdict(int)
    for span in spans:
        first, last = _boundary(span.start), _boundary(span.end)
        if first != last:
            steps[first] += span.monthly
            steps[last] -= span.monthly
    currency, total, before, cohort = spans[0].currency, 0, 0, ""
    for boundary in sorted(steps.keys() - {NEVER}):
        total += steps[boundary]
        now = max(total, 0)
        month = _month(boundary - 1)
        if now and not before:
            cohort = cohort or COHORT + month
            add(month, currency, NEW, now)
            add(month, currency, cohort, 0, 1)
        elif before and not now:
            add(month, currency, CHURN, before)
            add(month, currency, cohort, 0, -1)
        elif now != before:
            add(month, currency, EXPANSION if now > before else CONTRACTION, abs(now - before))
        before = now


def _boundary(moment: int) -> int:
    """Return the number of the first month that begins after a moment, before which the moment's own month ends."""
    if moment >= NEVER:
        return NEVER
    day = datetime.fromtimestamp(moment, UTC)
    return day.year * 12 + day.month


def _month(number: int) -> str:
    return f"{number // 12:04}-{number % 12 + 1:02}"


def _first_paid(paid: Iterable[Invoice]) -> dict[str, list[int]]:
    """Return the beginnings of the periods that were paid for with money, by subscription."""
    found: dict[str, list[int]] = defaultdict(list)
    for invoice in paid:
        if invoice.subscription_id:
            found[invoice.subscription_id] += [line["period_start"] for line in invoice.lines if _net(line) > 0]
    return found


def _life(subscription: Subscription, paid: Sequence[int], add: Any) -> None:
    """Add how a subscription stands, when it and its trial began and ended, and whether it went on for money."""
    currency, ended = subscription.currency, subscription.ended
    if subscription.status not in FINAL:
        add(NOW, currency, STATUS + subscription.status)
    if subscription.status in {"incomplete", "incomplete_expired"}:
        return
    add(month_of(subscription.start), currency, STARTED)
    if ended:
        add(month_of(ended), currency, ENDED)
    if subscription.trial_start and subscription.trial_end:
        add(month_of(subscription.trial_start), currency, TRIALS)
        over = min(subscription.trial_end, ended) if ended else subscription.trial_end
        add(month_of(over), currency, TRIALS_ENDED)
        if any(start >= int(over.timestamp()) for start in paid):
            add(month_of(over), currency, CONVERTED)
