"""Figures of the business, for operators: each with what it means."""

from datetime import UTC, datetime
from typing import Any

import strawberry

from gateway.billing.figures import report
from gateway.graphql.base import scalars as money
from gateway.graphql.base.context import Info
from gateway.graphql.base.decorators import field, object_type, resolver
from gateway.graphql.base.scalars import BigInt, Currency, Money


def _amount(name: str) -> Any:
    """Return a field that is an amount, described by its definition."""
    return field(lambda self: money.of(getattr(self.row, name), self.row.currency), report.DEFINITIONS[name])


def _count(name: str, description: str) -> Any:
    """Return a field that is a count."""
    return field(lambda self: BigInt(getattr(self.row, name)), description)


@object_type
class MonthOfFigures:
    """The figures of one month of UTC, in one currency. The present month is told as it would end."""

    row: strawberry.Private[report.Month]
    month: str = field(lambda self: self.row.month, "The month, such as 2026-11.")
    currency: Currency = field(lambda self: Currency(self.row.currency), "The currency.")
    mrr: Money = _amount("mrr")
    new: Money = _amount("new")
    expansion: Money = _amount("expansion")
    contraction: Money = _amount("contraction")
    churn: Money = _amount("churn")
    customers: BigInt = _count("customers", report.DEFINITIONS["customers"])
    new_customers: BigInt = _count("new_customers", "How many customers `new` is the MRR of.")
    churned_customers: BigInt = _count("churned_customers", "How many customers `churn` was the MRR of.")
    churn_rate: float | None = field(lambda self: self.row.churn_rate, report.DEFINITIONS["churn_rate"])
    arpa: Money = _amount("arpa")
    paid: Money = _amount("paid")
    paid_invoices: BigInt = _count("paid_invoices", "How many invoices that were.")
    failed: Money = _amount("failed")
    failed_invoices: BigInt = _count("failed_invoices", "How many invoices that were.")
    recovered: Money = _amount("recovered")
    recovered_invoices: BigInt = _count("recovered_invoices", "How many invoices that were.")
    started: BigInt = _count("started", report.DEFINITIONS["started"])
    ended: BigInt = _count("ended", report.DEFINITIONS["ended"])
    subscriptions: BigInt = _count("subscriptions", report.DEFINITIONS["subscriptions"])
    active: BigInt = _count("active", report.DEFINITIONS["active"])
    trialing: BigInt = _count("trialing", report.DEFINITIONS["trialing"])
    trials: BigInt = _count("trials", report.DEFINITIONS["trials"])
    trials_ended: BigInt = _count("trials_ended", report.DEFINITIONS["trials_ended"])
    converted: BigInt = _count("converted", report.DEFINITIONS["converted"])
    trial_conversion: float | None = field(
        lambda self: self.row.trial_conversion, report.DEFINITIONS["trial_conversion"]
    )


@object_type
class CohortMonth:
    """How many of a cohort paid."""

    month: str = strawberry.field(description="The month, such as 2026-11.")
    paying: BigInt = strawberry.field(description="How many of them had an MRR above zero as it ended.")


@object_type
class PayingCohort:
    """The customers whose MRR was above zero for the first time as one month ended."""

    month: str = strawberry.field(description="The month, such as 2026-11.")
    currency: Currency = strawberry.field(description="The currency.")
    months: list[CohortMonth] = strawberry.field(description="How many of them paid as this and later months ended.")


@object_type
class StatusCount:
    """How many subscriptions have a status now."""

    currency: Currency = strawberry.field(description="The currency.")
    status: str = strawberry.field(description="Stripe's word, such as active or trialing.")
    count: BigInt = strawberry.field(description="How many.")


@object_type
class UsageSum:
    """What was used in the period, by meter or counter."""

    event_name: str = strawberry.field(description="The meter's event name, or that of the counter.")
    value: BigInt = strawberry.field(description="The sum of what was reported, as far as it is kept.")


@object_type
class Definition:
    """What a figure means."""

    name: str = strawberry.field(description="The figure.")
    text: str = strawberry.field(description="What it means.")


@object_type
class Figures:
    """The figures of some months, from what is known of Stripe by now: an invoice that is paid late counts where its
    period is.
    """

    wanted: strawberry.Private[list[str]]
    sums: strawberry.Private[report.Sums]

    @resolver
    def by_currency(self) -> list[MonthOfFigures]:
        """Each month in each currency."""
        return [MonthOfFigures(row=each) for each in report.months(self.sums, self.wanted)]

    @resolver
    def in_one_currency(self, info: Info) -> list[MonthOfFigures]:
        """Each month in one currency, by the rates of GATEWAY_FIGURES_RATES; empty without them."""
        rates = info.context.services.settings.figures_rates
        if rates is None:
            return []
        found = report.months(self.sums, self.wanted)
        return [MonthOfFigures(row=each) for each in report.in_one(found, rates.rates, rates.target)]

    @resolver
    def cohorts(self) -> list[PayingCohort]:
        """The customers by the month in which they began to pay."""
        return [
            PayingCohort(
                month=each.month,
                currency=Currency(each.currency),
                months=[CohortMonth(month=month, paying=BigInt(number)) for month, number in each.paying.items()],
            )
            for each in report.cohorts(self.sums, self.wanted)
        ]

    @resolver
    async def now(self, info: Info) -> list[StatusCount]:
        """The subscriptions that go on at this moment, by their status at Stripe."""
        found = await report.now_by_status(info.context.services.database)
        return [StatusCount(currency=Currency(c), status=s, count=BigInt(number)) for c, s, number in found]

    @resolver
    async def credits_outstanding(self, info: Info) -> BigInt:
        """The credits that customers have at this moment and have not spent, of all kinds; debts are not taken off."""
        return BigInt(await report.credits_outstanding(info.context.services.database))

    @resolver
    async def usage(self, info: Info) -> list[UsageSum]:
        """What was used in these months, by meter and counter."""
        since, until = _moment(self.wanted[0]), _moment(report.month_after(self.wanted[-1]))
        found = await report.usage_between(info.context.services.database, since, until)
        return [UsageSum(event_name=name, value=BigInt(value)) for name, value in found]

    @resolver
    async def waiting(self, info: Info) -> BigInt:
        """How many customers are being reckoned anew at this moment, because something was written about them."""
        return BigInt(await report.waiting(info.context.services.database))

    @resolver
    def definitions(self) -> list[Definition]:
        """What each figure means."""
        return [Definition(name=name, text=text) for name, text in report.DEFINITIONS.items()]

    @resolver
    def csv(self) -> str:
        """The months as a table for a spreadsheet (RFC 4180), amounts in major units."""
        return report.csv_of(report.months(self.sums, self.wanted))


def _moment(month: str) -> datetime:
    return datetime.strptime(month, "%Y-%m").replace(tzinfo=UTC)
