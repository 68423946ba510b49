"""What one customer adds to the figures of each month: pure, from his invoices and subscriptions as Stripe tells them.

Months are UTC's. Amounts are integers in minor units, without tax. What is monthly of a price that is billed by another
interval takes a year as twelve months and 365 days, and is rounded for each line, halves away from zero.

Whoever changes a rule has all customers reckoned anew, by a migration that sets `customer_figures.due`.
"""

from calendar import monthrange
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from fractions import Fraction
from typing import Any, Final, NamedTuple

from gateway.billing.subscriptions.paid_time import gives_back
from gateway.models.statuses import ENTITLED, FINAL, OWED

MONTHS_IN: Final = {"day": Fraction(12, 365), "week": Fraction(84, 365), "month": Fraction(1), "year": Fraction(12)}
DAYS_IN: Final = {"day": 1, "week": 7}
NEVER: Final = 10**12

STARTED, ENDED = "started", "ended"
ACTIVE, TRIALING = "active", "trialing"
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
    created: datetime
    due: datetime | None = None


class Subscription(NamedTuple):
    """What counts of a subscription; `items` are those that it has, each with its price's id."""

    id: str
    status: str
    currency: str
    start: datetime
    ended: datetime | None
    cancel_at: datetime | None
    trial_start: datetime | None
    trial_end: datetime | None
    is_paused: bool
    items: frozenset[tuple[str, str]]


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
    whole = int(abs(exact) + Fraction(1, 2))
    return whole if exact >= 0 else -whole


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
        total = sums[month, currency, name]
        total[0] += amount
        total[1] += count

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
    first_paid, billed = _first_paid(paid), defaultdict(list)
    for invoice in invoices:
        billed[invoice.subscription_id].append(invoice)
    for subscription in by_id.values():
        _life(subscription, first_paid.get(subscription.id, ()), billed[subscription.id], add)
    return [Part(*key, amount, count) for key, (amount, count) in sorted(sums.items()) if amount or count]


def month_of(moment: datetime) -> str:
    """Return the month of a moment, such as 2026-11."""
    return f"{moment.astimezone(UTC):%Y-%m}"


def _net(line: Mapping[str, Any]) -> int:
    return int(line["amount"]) - int(line.get("discount") or 0) - int(line.get("inclusive_tax") or 0)


class _Paid(NamedTuple):
    """A line of a paid invoice whose price is billed for time beforehand."""

    invoice: Invoice
    line: Mapping[str, Any]
    rate: Rate

    @property
    def item(self) -> str:
        return self.line.get("subscription_item") or f"{self.invoice.subscription_id} {self.line['price']}"

    @property
    def start(self) -> int:
        return int(self.line["period_start"])

    @property
    def end(self) -> int:
        return int(self.line["period_end"])

    @property
    def period(self) -> tuple[str | None, str, int, int]:
        """Of which period it is, or of the rest of which."""
        return self.invoice.subscription_id, self.rate.interval, self.rate.intervals, self.end


def _spans(
    paid: Iterable[Invoice], subscriptions: Mapping[str, Subscription], rates: Mapping[str, Rate]
) -> Iterable[Span]:
    """Yield what the paid lines of recurring prices are for a month, for as long as each counts."""
    lines = [
        _Paid(invoice, line, rate)
        for invoice in paid
        for line in invoice.lines
        if (rate := rates.get(line.get("price") or "")) and line["period_end"] > line["period_start"]
    ]
    charges = [each for each in lines if not gives_back(each.line)]
    ends = _given_back(charges, [each for each in lines if gives_back(each.line)])
    latest: dict[str, int] = defaultdict(int)
    for each, end in zip(charges, ends, strict=True):
        latest[each.item] = max(latest[each.item], end)
    begun = {each.period: each.start for each in charges if not each.line.get("proration")}
    for each, until in zip(charges, ends, strict=True):
        subscription, end = subscriptions.get(each.invoice.subscription_id or ""), until
        if subscription is not None:
            is_latest = until == each.end == latest[each.item]
            end = _end(subscription, until, goes_on=is_latest and _is_still_there(each.item, subscription, rates))
        amount = _full(each, begun.get(each.period))
        if amount and end > each.start:
            yield Span(each.invoice.currency, each.start, end, monthly(amount, each.rate))


def _given_back(charges: Sequence[_Paid], credits: Iterable[_Paid]) -> list[int]:
    """Return until when each charge counts: to its period's end, or to where a credit gives its unused time back.

    What a credit is in money does not matter: in classic billing it is of the price and the discounts of that day, and
    not of what was charged (https://docs.stripe.com/billing/subscriptions/prorations#credit-prorations). One that names
    no lines, as that of a charge that was not invoiced yet, is of what its item has then, of its own price if possible.
    """
    ends = [each.end for each in charges]
    for credit in sorted(credits, key=lambda each: (each.start, not each.line.get("credited"))):
        at, named = credit.start, credit.line.get("credited")
        if named:
            back = [n for n, each in enumerate(charges) if each.line.get("id") in named]
        else:
            running = [n for n, each in enumerate(charges) if at < ends[n] and _may_be_of(credit, each)]
            back = _of_one(charges, credit, sorted(running, key=lambda n: charges[n].start))
        for n in back:
            ends[n] = min(ends[n], max(at, charges[n].start))
    return ends


def _may_be_of(credit: _Paid, charge: _Paid) -> bool:
    """Return whether a credit that names nothing may be of a charge: not of the one that comes in its place.

    That begins as the credit does. So does one that is changed again at once, which the credit tells by what it is of.
    """
    same = charge.line["price"] == credit.line["price"] and charge.line.get("quantity") == credit.line.get("quantity")
    return charge.item == credit.item and (charge.start < credit.start or (charge.start == credit.start and same))


def _of_one(charges: Sequence[_Paid], credit: _Paid, running: Sequence[int]) -> list[int]:
    """Return which charge a credit is of, the oldest first; the tiers of a price have a line each."""
    own = [n for n in running if charges[n].line["price"] == credit.line["price"]] or running
    if not own or charges[own[0]].line.get("proration"):
        return [*own[:1]]
    first = charges[own[0]]
    return [n for n in own if charges[n].period == first.period and not charges[n].line.get("proration")]


def _is_still_there(item: str, subscription: Subscription, rates: Mapping[str, Rate]) -> bool:
    """Return whether a subscription has an item, at a price that is still not billed by use."""
    return any(its == item and price in rates for its, price in subscription.items)


def _end(subscription: Subscription, end: int, *, goes_on: bool) -> int:
    """Return until when a line counts: its own end, or the subscription's where that is earlier.

    The latest line of an item goes on while the subscription is active, so that a renewal that is due or being charged
    at this moment is not missing.
    """
    if subscription.ended is not None:
        return min(end, int(subscription.ended.timestamp()))
    if not (goes_on and subscription.status == "active" and not subscription.is_paused):
        return end
    return int(subscription.cancel_at.timestamp()) if subscription.cancel_at else NEVER


def _full(paid: _Paid, begun: int | None) -> Fraction:
    """Return what a line is for a whole period, without the inclusive tax.

    A part of one is stretched by time, so that discounts are in it, told apart (`proration_discounts: itemized`) or not
    (`included`, https://docs.stripe.com/changelog/clover/2025-09-30/itemize-proration-discount-amounts). Its rounding
    to a minor unit is stretched too: what it costs without a discount is taken where that rounding allows for it.

    Args:
        paid: the line.
        begun: when its period began, where a line of the whole period says so.
    """
    net = _net(paid.line)
    if not paid.line.get("proration"):
        return Fraction(net)
    whole = paid.end - (_begin(paid.end, paid.rate) if begun is None else begun)
    stretch = Fraction(whole, paid.end - paid.start)
    gross = int(paid.line["amount"]) - int(paid.line.get("discount") or 0)
    full, unit, quantity = gross * stretch, paid.rate.unit_amounts.get(paid.invoice.currency), paid.line.get("quantity")
    if unit is not None and quantity is not None and full + stretch >= unit * quantity:
        full = Fraction(unit * quantity)
    return full * net / gross if gross else full


def _begin(end: int, rate: Rate) -> int:
    """Return when the one period begins that ends at a moment."""
    if rate.interval in DAYS_IN:
        return end - DAYS_IN[rate.interval] * rate.intervals * 86_400
    day = datetime.fromtimestamp(end, UTC)
    years, month = divmod(day.year * 12 + day.month - 1 - int(MONTHS_IN[rate.interval]) * rate.intervals, 12)
    begin = day.replace(year=years, month=month + 1, day=min(day.day, monthrange(years, month + 1)[1]))
    return int(begin.timestamp())


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


def _life(subscription: Subscription, paid: Sequence[int], invoices: Sequence[Invoice], add: Any) -> None:
    """Add how a subscription stands, when it and its trial began and ended, and whether it went on for money."""
    currency, ended = subscription.currency, subscription.ended
    if subscription.status not in FINAL:
        add(NOW, currency, STATUS + subscription.status)
    if subscription.status in {"incomplete", "incomplete_expired"}:
        return
    add(month_of(subscription.start), currency, STARTED)
    if ended:
        add(month_of(ended), currency, ENDED)
    begin, end = int(subscription.start.timestamp()), int(ended.timestamp()) if ended else NEVER
    not_active = _overdue(subscription, invoices)
    if subscription.trial_start and subscription.trial_end:
        add(month_of(subscription.trial_start), currency, TRIALS)
        over = min(subscription.trial_end, ended) if ended else subscription.trial_end
        add(month_of(over), currency, TRIALS_ENDED)
        if any(start >= int(over.timestamp()) for start in paid):
            add(month_of(over), currency, CONVERTED)
        trial = int(subscription.trial_start.timestamp()), int(over.timestamp())
        _stands(TRIALING, *trial, currency, add)
        not_active += [trial] if subscription.status != "paused" else [(trial[0], NEVER)]
    for start, until in sorted(not_active):
        _stands(ACTIVE, begin, min(start, end), currency, add)
        begin = max(begin, until)
    _stands(ACTIVE, begin, end, currency, add)


def _stands(name: str, start: int, end: int, currency: str, add: Any) -> None:
    """Add that a subscription stands so from one moment to before another, as far as a month ends between them."""
    first, last = _boundary(start), _boundary(end)
    if start < end and first != last:
        add(_month(first - 1), currency, name)
        if last != NEVER:
            add(_month(last - 1), currency, name, count=-1)


def _overdue(subscription: Subscription, invoices: Sequence[Invoice]) -> list[tuple[int, int]]:
    """Return when an invoice of a subscription was overdue: until it or a later one was paid, the latest being what
    counts (https://docs.stripe.com/billing/subscriptions/overview#subscription-statuses).

    One that is open still is overdue where Stripe's status does not say otherwise. Where that says so and no failure is
    known, the latest open invoice is overdue since it was made.
    """
    found = []
    open_ones = [each for each in invoices if each.status in OWED]
    for each in invoices:
        since = min((moment for moment in (each.first_failed_at, each.due) if moment), default=None)
        if since is None or each.status in {"draft", "void"}:
            continue
        paid = [one.paid_at for one in invoices if one.status == "paid" and one.paid_at and one.created >= each.created]
        if paid:
            found.append((int(since.timestamp()), int(min(paid).timestamp())))
        elif subscription.status not in ENTITLED:
            found.append((int(since.timestamp()), NEVER))
    if subscription.status in {"past_due", "unpaid"} and open_ones and all(until != NEVER for _, until in found):
        found.append((int(max(each.created for each in open_ones).timestamp()), NEVER))
    return [(since, until) for since, until in found if since < until]
