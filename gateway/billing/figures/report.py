"""The figures of some months, from the sums; in each currency, or in one by the rates of a setting."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import ROUND_HALF_UP, Decimal
from typing import Any, Final

import sqlalchemy as sa

from gateway.billing.figures import rules
from gateway.billing.figures.store import FIGURES, SUMS
from gateway.billing.money import decimal, exponent
from gateway.db.database import Database
from gateway.db.tables import table_for
from gateway.errors import BadInput
from gateway.models.credits import CreditAccount
from gateway.models.metering import UsageRecord

ACCOUNTS, USAGE = table_for(CreditAccount), table_for(UsageRecord)
MAX_MONTHS: Final = 120

DEFINITIONS: Final = {
    "mrr": "What is paid for a month, as the month ends: the paid invoices' lines of recurring prices that are not "
    "billed by use, whose period holds that moment, after discounts and without tax, as far as the subscription has "
    "not ended and no credit gives their time back. A line for a part of a period counts as what the whole one costs. "
    "Another interval is taken as its part of a year of 12 months and 365 days, each line rounded to a minor unit. "
    "The latest line goes on while its subscription is active and its item is not billed by use.",
    "new": "The MRR of the customers who paid nothing a month as the month began, and do as it ends.",
    "expansion": "By how much the MRR of those who paid before has grown within the month.",
    "contraction": "By how much the MRR of those who go on paying has shrunk within the month.",
    "churn": "The MRR, as the month began, of those who pay nothing a month as it ends.",
    "customers": "The customers whose MRR is above zero as the month ends.",
    "churn_rate": "The customers who pay nothing a month any more, of those who did as the month began.",
    "arpa": "The MRR as the month ends for each customer who pays, rounded to a minor unit.",
    "paid": "What invoices were paid with in the month, by Stripe's moment of payment: all that was charged, tax and "
    "one-off lines included.",
    "failed": "The invoices whose first charge failed in the month, with their totals.",
    "recovered": "Those of them that are paid by now, with what was paid.",
    "started": "The subscriptions that began in the month; those never paid at first are left out.",
    "ended": "The subscriptions that ended in the month.",
    "subscriptions": "The subscriptions that go on as the month ends, trials among them.",
    "active": "Those of them that are in no trial and owe nothing: no invoice of theirs is overdue as the month ends, "
    "from its first failed charge or its due date until it, or a later one, was paid. Stripe keeps no history of a "
    "status: an invoice that is void by now counts as never overdue, one of which no failure was told as overdue since "
    "it was made, a trial that ended without a card as paused for as long as it still is, and what is not collected "
    "for a while as active.",
    "trialing": "Those of them whose trial runs as the month ends. Stripe tells of the latest trial of each alone.",
    "trials": "The trials that began in the month.",
    "trials_ended": "The trials that ended in the month, or will: at the trial's end, or with the subscription.",
    "converted": "Those of them whose subscription was paid for with money afterwards.",
    "trial_conversion": "The converted ones, of the trials that ended in the month.",
}
"""What each figure means, by its name; the console and the docs show these words."""


@dataclass(frozen=True, slots=True)
class Month:
    """The figures of one month in one currency; amounts in minor units. Their meaning is in `DEFINITIONS`."""

    month: str
    currency: str
    mrr: int
    new: int
    expansion: int
    contraction: int
    churn: int
    customers: int
    new_customers: int
    churned_customers: int
    customers_before: int
    paid: int
    paid_invoices: int
    failed: int
    failed_invoices: int
    recovered: int
    recovered_invoices: int
    started: int
    ended: int
    subscriptions: int
    active: int
    trialing: int
    trials: int
    trials_ended: int
    converted: int

    @property
    def churn_rate(self) -> float | None:
        """The share of the customers at the beginning who have left since; None where there were none."""
        return self.churned_customers / self.customers_before if self.customers_before else None

    @property
    def arpa(self) -> int:
        """The MRR for each customer who pays."""
        return (2 * self.mrr + self.customers) // (2 * self.customers) if self.customers else 0

    @property
    def trial_conversion(self) -> float | None:
        """The trials that went on for money, of those that ended; None where none did."""
        return self.converted / self.trials_ended if self.trials_ended else None


@dataclass(frozen=True, slots=True)
class Cohort:
    """The customers who began to pay in one month, and how many of them paid as later months ended."""

    month: str
    currency: str
    paying: Mapping[str, int]


Sums = Mapping[tuple[str, str], Mapping[str, tuple[int, int]]]
"""Amount and count by month and currency, then by name."""


def months_between(first: str, last: str) -> list[str]:
    """Return the months from one to another.

    Raises:
        BadInput: one of them is no month, or they are too many.
    """
    start, end = _number(first), _number(last)
    if not 0 <= end - start < MAX_MONTHS:
        raise BadInput(f"the range of months is empty or too long: take 1 to {MAX_MONTHS}, the first one first")
    return [f"{number // 12:04}-{number % 12 + 1:02}" for number in range(start, end + 1)]


def month_after(month: str) -> str:
    """Return the month that follows."""
    number = _number(month) + 1
    return f"{number // 12:04}-{number % 12 + 1:02}"


def _number(month: str) -> int:
    try:
        read = datetime.strptime(month, "%Y-%m")  # noqa: DTZ007 - a month has no time of day
    except ValueError:
        raise BadInput(f"{month[:20]!r} is no month such as 2026-11") from None
    return read.year * 12 + read.month - 1


async def read_sums(database: Database, last: str) -> Sums:
    """Return all sums up to a month."""
    query = sa.select(SUMS).where(SUMS.c.month <= last)  # which "now" is not

    def read(connection: sa.Connection) -> Sums:
        found: dict[tuple[str, str], dict[str, tuple[int, int]]] = defaultdict(dict)
        for row in connection.execute(query).mappings():
            found[row["month"], row["currency"]][row["name"]] = (row["amount"], row["count"])
        return found

    return await database.read(read)


def months(sums: Sums, wanted: Sequence[str]) -> list[Month]:
    """Return the figures of some months that follow each other, by currency. Pure."""
    return [each for currency in sorted({each for _, each in sums}) for each in _of_currency(sums, currency, wanted)]


def _of_currency(sums: Sums, currency: str, wanted: Sequence[str]) -> Iterator[Month]:
    mrr = customers = subscriptions = active = trialing = 0
    for month in sorted({month for month, each in sums if each == currency} | {*wanted}):
        values = sums.get((month, currency), {})
        amounts = {name: values.get(name, _NOTHING)[0] for name in _AMOUNTS}
        counts = {name: values.get(name, _NOTHING)[1] for name in (*_AMOUNTS, *_COUNTS, rules.ACTIVE, rules.TRIALING)}
        before = customers
        mrr += amounts[rules.NEW] + amounts[rules.EXPANSION] - amounts[rules.CONTRACTION] - amounts[rules.CHURN]
        customers += counts[rules.NEW] - counts[rules.CHURN]
        subscriptions += counts[rules.STARTED] - counts[rules.ENDED]
        active, trialing = active + counts[rules.ACTIVE], trialing + counts[rules.TRIALING]
        if month in wanted:
            yield Month(
                month=month,
                currency=currency,
                mrr=mrr,
                subscriptions=subscriptions,
                active=active,
                trialing=trialing,
                customers=customers,
                customers_before=before,
                new_customers=counts[rules.NEW],
                churned_customers=counts[rules.CHURN],
                **{f"{name}_invoices": counts[name] for name in (rules.PAID, rules.FAILED, rules.RECOVERED)},
                **amounts,
                **{name: counts[name] for name in _COUNTS},
            )


_NOTHING = (0, 0)
_AMOUNTS = (rules.NEW, rules.EXPANSION, rules.CONTRACTION, rules.CHURN, rules.PAID, rules.FAILED, rules.RECOVERED)
_COUNTS = (rules.STARTED, rules.ENDED, rules.TRIALS, rules.TRIALS_ENDED, rules.CONVERTED)


def cohorts(sums: Sums, wanted: Sequence[str]) -> list[Cohort]:
    """Return the customers who began to pay in some months, and how many paid as each later month ended. Pure."""
    steps: dict[tuple[str, str], dict[str, int]] = defaultdict(dict)
    for (month, currency), values in sums.items():
        for name, (_, count) in values.items():
            if name.startswith(rules.COHORT):
                steps[name.removeprefix(rules.COHORT), currency][month] = count
    found = []
    for (began, currency), changes in sorted(steps.items()):
        if began in wanted:
            later = [month for month in wanted if month >= began]
            paying = {month: sum(count for at, count in changes.items() if at <= month) for month in later}
            found.append(Cohort(began, currency, paying))
    return found


def in_one(found: Iterable[Month], rates: Mapping[str, Decimal], target: str) -> list[Month]:
    """Return figures put together in one currency: each amount at its rate, rounded to a minor unit. Pure.

    Args:
        found: the figures by currency.
        rates: what one unit of each currency is worth in the target.
        target: the currency.

    Raises:
        BadInput: a currency has no rate.
    """
    by_month: dict[str, dict[str, Any]] = {}
    for each in found:
        if each.currency not in rates:
            raise BadInput(f"there is no rate for {each.currency.upper()}: add it to GATEWAY_FIGURES_RATES")
        row = by_month.setdefault(each.month, {"month": each.month, "currency": target})
        scale = rates[each.currency] * Decimal(10) ** (exponent(target) - exponent(each.currency))
        for name in Month.__slots__[2:]:
            value = getattr(each, name)
            if name in {"mrr", *_AMOUNTS}:
                value = int((value * scale).to_integral_value(ROUND_HALF_UP))
            row[name] = row.get(name, 0) + value
    return [Month(**by_month[month]) for month in sorted(by_month)]


async def now_by_status(database: Database) -> list[tuple[str, str, int]]:
    """Return how many subscriptions that go on there are, by currency and status."""
    query = sa.select(SUMS.c.currency, SUMS.c.name, SUMS.c["count"]).where(SUMS.c.month == rules.NOW)
    found = await database.read(lambda connection: connection.execute(query).all())
    return sorted((currency, name.removeprefix(rules.STATUS), count) for currency, name, count in found if count)


async def credits_outstanding(database: Database) -> int:
    """Return the credits that customers have and have not spent, of all kinds."""
    query = sa.select(sa.func.coalesce(sa.func.sum(ACCOUNTS.c.balance), 0)).where(ACCOUNTS.c.balance > 0)
    return await database.read(lambda connection: int(connection.execute(query).scalar_one()))


async def usage_between(database: Database, since: datetime, until: datetime) -> list[tuple[str, int]]:
    """Return what was used in a time, by meter and counter."""
    query = (
        sa.select(USAGE.c.event_name, sa.func.sum(USAGE.c.value))
        .where(USAGE.c.timestamp >= since, USAGE.c.timestamp < until)
        .group_by(USAGE.c.event_name)
        .order_by(USAGE.c.event_name)
    )
    return await database.read(lambda connection: [(name, int(value)) for name, value in connection.execute(query)])


async def waiting(database: Database) -> int:
    """Return how many customers are to be reckoned anew."""
    query = sa.select(sa.func.count()).select_from(FIGURES).where(sa.text("due"))
    return await database.read(lambda connection: int(connection.execute(query).scalar_one()))


def csv_of(found: Sequence[Month]) -> str:
    """Return figures as a table for a spreadsheet, amounts in major units. It holds nothing that anybody has typed."""
    names = [*Month.__slots__, "arpa", "churn_rate", "trial_conversion"]
    lines = [",".join(names)]
    for each in found:
        values = {name: getattr(each, name) for name in names}
        values |= {name: decimal(values[name], each.currency) for name in ("mrr", "arpa", *_AMOUNTS)}
        values["currency"] = each.currency.upper()
        lines.append(",".join("" if values[name] is None else str(values[name]) for name in names))
    return "\r\n".join(lines) + "\r\n"
