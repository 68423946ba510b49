"""Usage: reporting it, and reading it for the present period."""

from datetime import datetime
from typing import Annotated

import strawberry

from gateway.billing.metering import usage as rules
from gateway.billing.metering.usage import Report
from gateway.errors import BadInput
from gateway.graphql.base.context import Info
from gateway.graphql.base.decorators import input_type, mutation, object_type
from gateway.graphql.base.scalars import BigInt
from gateway.graphql.base.user_errors import Payload, UserError

EventName = Annotated[str, strawberry.argument(description="The meter's event name, such as api_calls.")]


@object_type
class Usage:
    """The usage of the present period; Stripe may not have counted the latest reports yet."""

    event_name: str = strawberry.field(description="The meter's event name.")
    value: float = strawberry.field(description="The amount, by the meter's formula: sum, count or last.")
    period_start: datetime = strawberry.field(description="When the period began.")
    period_end: datetime = strawberry.field(
        description="When it ends: with the subscription's period, else with the month."
    )

    @classmethod
    async def of(cls, info: Info, customer_id: str | None, event_name: str) -> "Usage | None":
        """Read the usage of a customer; None when there is no such meter."""
        found = await rules.current(info.context.services.database, customer_id, event_name)
        if found is None:
            return None
        return cls(
            event_name=event_name, value=found.value, period_start=found.period_start, period_end=found.period_end
        )


@input_type
class ReportUsageInput:
    """The usage to report."""

    external_id: strawberry.ID = strawberry.field(description="The id by which the application knows the customer.")
    event_name: str = strawberry.field(description="The meter's event name, such as api_calls.")
    value: BigInt = strawberry.field(default=BigInt(1), description="The amount, 0 or more.")
    identifier: str = strawberry.field(
        description="1 to 100 characters. The same one counts once, however often it is sent."
    )
    timestamp: datetime | None = strawberry.field(
        default=None, description="When: at most 35 days ago and 5 minutes ahead; now if left out."
    )


@object_type
class ReportUsagePayload(Payload):
    """The recorded usage, or what the caller must fix."""

    identifier: str | None = strawberry.field(default=None, description="The identifier; null when there are errors.")
    user_errors: list[UserError] = strawberry.field(
        default_factory=list, description="What the caller must fix; empty on success."
    )


@object_type
class UsageMutations:
    """The mutations of usage."""

    @mutation
    async def report_usage(
        self,
        info: Info,
        input: Annotated[ReportUsageInput, strawberry.argument(description="The user, and the usage.")],
    ) -> ReportUsagePayload:
        """Report usage. It is recorded before this is answered, and then forwarded until Stripe has it."""
        if input.timestamp and input.timestamp.tzinfo is None:
            raise BadInput("`timestamp` needs its offset from UTC, such as 2026-01-31T12:00:00Z")
        usage = Report(input.external_id, input.event_name, input.value, input.identifier, input.timestamp)
        await rules.report(info.context.services.database, usage)
        return ReportUsagePayload(identifier=input.identifier)
