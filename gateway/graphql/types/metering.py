"""Usage: reporting it, and what came together in the present period."""

from datetime import datetime
from typing import Annotated

import strawberry

from gateway.billing.metering import usage as rules
from gateway.billing.metering.usage import Report
from gateway.errors import BadInput
from gateway.graphql.base.context import Info
from gateway.graphql.base.decorators import input_type, mutation, object_type
from gateway.graphql.base.user_errors import Payload, UserError

EventName = Annotated[str, strawberry.argument(description="The meter's event name, such as api_calls.")]


@object_type
class Usage:
    """What was reported in the present period; Stripe may still be about to count the latest."""

    event_name: str = strawberry.field(description="The meter's event name.")
    value: float = strawberry.field(description="How much, by the meter's formula: sum, count or last.")
    period_start: datetime = strawberry.field(description="When the period began.")
    period_end: datetime = strawberry.field(description="When it ends: with the subscription's, else with the month.")

    @classmethod
    async def of(cls, info: Info, customer_id: str | None, event_name: str) -> "Usage | None":
        """The usage of a customer; None when there is no such meter."""
        found = await rules.current(info.context.services.database, customer_id, event_name)
        if found is None:
            return None
        return cls(
            event_name=event_name, value=found.value, period_start=found.period_start, period_end=found.period_end
        )


@input_type
class ReportUsageInput:
    """How much of what somebody has used."""

    external_id: strawberry.ID = strawberry.field(description="The id by which the application knows the customer.")
    event_name: str = strawberry.field(description="The meter's event name, such as api_calls.")
    value: int = strawberry.field(default=1, description="How much, 0 or more.")
    identifier: str = strawberry.field(
        description="1 to 100 characters. The same one counts once, however often it is sent."
    )
    timestamp: datetime | None = strawberry.field(
        default=None, description="When: in the past 35 days, at most 5 minutes ahead; now if left out."
    )


@object_type
class ReportUsagePayload(Payload):
    """What was written down, or what must be mended."""

    identifier: str | None = strawberry.field(default=None, description="The identifier; null when there are errors.")
    user_errors: list[UserError] = strawberry.field(
        default_factory=list, description="What must be mended; empty when it worked."
    )


@object_type
class UsageMutations:
    """What the application's back end does with usage."""

    @mutation
    async def report_usage(
        self, info: Info, input: Annotated[ReportUsageInput, strawberry.argument(description="Whose, and how much.")]
    ) -> ReportUsagePayload:
        """Report usage. It is written down before this is answered, and then forwarded until Stripe has it."""
        if input.timestamp and input.timestamp.tzinfo is None:
            raise BadInput("`timestamp` needs its offset from UTC, such as 2026-01-31T12:00:00Z")
        usage = Report(input.external_id, input.event_name, input.value, input.identifier, input.timestamp)
        await rules.report(info.context.services.database, usage)
        return ReportUsagePayload(identifier=input.identifier)
