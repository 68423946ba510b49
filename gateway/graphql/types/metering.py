"""Usage: reporting it, and reading it for the present period."""

from datetime import datetime
from typing import Annotated

import strawberry

from gateway.billing.metering import usage as rules
from gateway.billing.metering.adjustments import adjust
from gateway.billing.metering.usage import Report
from gateway.errors import BadInput
from gateway.graphql.base.context import Info
from gateway.graphql.base.decorators import input_type, mutation, object_type
from gateway.graphql.base.metadata import MetadataEntryInput
from gateway.graphql.base.scalars import BigInt
from gateway.graphql.base.user_errors import Payload, UserError
from gateway.graphql.types.audit import USER

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
    async def of(
        cls, info: Info, customer_id: str | None, event_name: str, properties: list[MetadataEntryInput] | None = None
    ) -> "Usage | None":
        """Read the usage of a customer; None when there is no such meter."""
        having = {each.key: each.value for each in properties or ()}
        if any(not rules.PROPERTY.fullmatch(name) for name in having):
            raise BadInput("`properties` has a name that no property can have: use letters, digits, `_`, `-` and `.`")
        found = await rules.current(info.context.services.database, customer_id, event_name, having)
        if found is None:
            return None
        return cls(
            event_name=event_name, value=found.value, period_start=found.period_start, period_end=found.period_end
        )


SHORT = "Until 2027-12-01: `records` takes one as well."
IDENTIFIER = "1 to 100 characters. The same one counts once, however often it is sent."
TIMESTAMP = "When: at most 35 days ago and 5 minutes ahead; now if left out."
PROPERTIES = (
    "Up to 10, such as the model that was used, by which `usage(properties:)` and a meter at Stripe can be read."
)
Properties = Annotated[
    list[MetadataEntryInput] | None, strawberry.argument(description="Only what was reported with these properties.")
]


@input_type
class UsageRecordInput:
    """Some usage of a user."""

    external_id: strawberry.ID = strawberry.field(description=USER)
    event_name: str = strawberry.field(description="The meter's event name, such as api_calls.")
    value: BigInt = strawberry.field(default=BigInt(1), description="The amount, 0 or more.")
    identifier: str = strawberry.field(description=IDENTIFIER)
    timestamp: datetime | None = strawberry.field(default=None, description=TIMESTAMP)
    properties: list[MetadataEntryInput] | None = strawberry.field(default=None, description=PROPERTIES)


@input_type
class ReportUsageInput:
    """The usage to report."""

    records: list[UsageRecordInput] | None = strawberry.field(
        default=None, description="1 to 1,000, of whomever: all are recorded or none."
    )
    external_id: strawberry.ID | None = strawberry.field(default=None, description=USER, deprecation_reason=SHORT)
    event_name: str | None = strawberry.field(
        default=None, description="The meter's event name, such as api_calls.", deprecation_reason=SHORT
    )
    value: BigInt = strawberry.field(default=BigInt(1), description="The amount, 0 or more.", deprecation_reason=SHORT)
    identifier: str | None = strawberry.field(default=None, description=IDENTIFIER, deprecation_reason=SHORT)
    timestamp: datetime | None = strawberry.field(default=None, description=TIMESTAMP, deprecation_reason=SHORT)
    properties: list[MetadataEntryInput] | None = strawberry.field(
        default=None, description=PROPERTIES, deprecation_reason=SHORT
    )


@object_type
class ReportUsagePayload(Payload):
    """The recorded usage, or what the caller must fix."""

    identifier: str | None = strawberry.field(
        default=None,
        description="The identifier of one that was reported without `records`; null when there are errors.",
        deprecation_reason="Until 2027-12-01: `identifiers` has it.",
    )
    identifiers: list[str] = strawberry.field(
        default_factory=list, description="The identifiers of all, in their order; empty when there are errors."
    )
    user_errors: list[UserError] = strawberry.field(
        default_factory=list, description="What the caller must fix; empty on success."
    )


@input_type
class AdjustUsageInput:
    """The usage to correct."""

    identifier: str = strawberry.field(
        description="That of `reportUsage`, the one that `consume` has answered, or the id of a committed hold."
    )
    value: BigInt | None = strawberry.field(
        default=None, description="What it should have been; left out where it should not be there."
    )


@object_type
class AdjustUsagePayload(Payload):
    """The usage in its place, or what the caller must fix."""

    identifier: str | None = strawberry.field(
        default=None, description="That of the usage in its place; null when there is none."
    )
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
        input: Annotated[ReportUsageInput, strawberry.argument(description="The usage.")],
    ) -> ReportUsagePayload:
        """Report usage. It is recorded before this is answered, and then forwarded until Stripe has it."""
        reports = _reports(input)
        for _, each in reports:
            if each.timestamp and each.timestamp.tzinfo is None:
                raise BadInput("`timestamp` needs its offset from UTC, such as 2026-01-31T12:00:00Z")
        await info.context.services.counted.report(reports)
        identifiers = [each.identifier for _, each in reports]
        return ReportUsagePayload(identifier=None if input.records else identifiers[0], identifiers=identifiers)

    @mutation
    async def adjust_usage(
        self,
        info: Info,
        input: Annotated[AdjustUsageInput, strawberry.argument(description="The usage, and what it should have been.")],
    ) -> AdjustUsagePayload:
        """Correct usage: it is taken back, at Stripe too, and written anew where it was another amount. Once."""
        found = await adjust(info.context.services.database, input.identifier, input.value)
        return AdjustUsagePayload(identifier=found.id if found else None)


def _reports(input: ReportUsageInput) -> list[tuple[str, Report]]:
    """Return what is reported, each with where it stands in the input.

    Raises:
        BadInput: it is nothing, too much, or both one and several.
    """
    one = input.external_id, input.event_name, input.identifier
    if input.records is not None:
        beside = input.value != 1 or any(each is not None for each in (*one, input.timestamp, input.properties))
        if beside or not 1 <= len(input.records) <= rules.MAX_RECORDS:
            raise BadInput(
                f"`records` are none, too many or beside others: report 1 to {rules.MAX_RECORDS} of them alone"
            )
        return [(f"records.{place}.", _report(each)) for place, each in enumerate(input.records)]
    if any(each is None for each in one):
        raise BadInput("the usage is not whole: give `records`, each with `externalId`, `eventName` and `identifier`")
    return [("", _report(input))]


def _report(input: UsageRecordInput | ReportUsageInput) -> Report:
    properties = {each.key: each.value for each in input.properties or ()}
    values = str(input.external_id), str(input.event_name), input.value, str(input.identifier)
    return Report(*values, input.timestamp, properties or None)
