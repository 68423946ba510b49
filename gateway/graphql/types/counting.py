"""Counted features: what is consumed, and what is held for work whose cost is not known yet."""

from datetime import datetime
from enum import Enum
from typing import Annotated

import strawberry

from gateway.billing.counting.controls import Controls, set_controls
from gateway.billing.counting.counters import Count
from gateway.billing.counting.uses import Outcome, status_of
from gateway.billing.user_errors import Rejected
from gateway.graphql.base import scalars as money
from gateway.graphql.base.context import Info
from gateway.graphql.base.decorators import enum_type, input_type, mutation, object_type
from gateway.graphql.base.scalars import BigInt, Currency, MinorUnits, Money, big
from gateway.graphql.base.user_errors import Payload, UserError
from gateway.graphql.types.audit import ACTOR, USER, action_of
from gateway.graphql.types.audit import KEY as ONCE
from gateway.models.metering import UsageHold as Row

KEY = "1 to 255 characters. The same key with the same input counts once, however often it is sent."
FEATURE = "The feature's key. A product that the customer has says what counts it (`use_…` in its metadata)."
STANDS = "How the feature stands now; null where the customer does not have it any more."
HOLD = "The hold's id."


@object_type
class FeatureCount:
    """How a counted feature of a customer stands."""

    limit: BigInt | None = strawberry.field(description="How much may be used in the period; null without a limit.")
    used: BigInt | None = strawberry.field(description="How much was used in the period; null where credits pay.")
    held: BigInt = strawberry.field(description="How much is held for work under way.")
    remaining: BigInt | None = strawberry.field(description="What is left beside both; null without a limit.")
    resets_at: datetime | None = strawberry.field(description="When the period ends; null where credits pay.")
    overage: bool = strawberry.field(description="Whether more than the limit may be used.")

    @classmethod
    def of(cls, count: Count | None) -> "FeatureCount | None":
        """Make it of a count, if there is one."""
        if count is None:
            return None
        return cls(
            limit=big(count.limit),
            used=big(count.used),
            held=BigInt(count.held),
            remaining=big(count.remaining),
            resets_at=count.resets_at,
            overage=count.overage,
        )


@enum_type
class HoldStatus(Enum):
    """What became of a hold."""

    OPEN = strawberry.enum_value("open", description="Its amount is kept.")
    COMMITTED = strawberry.enum_value("committed", description="The work is done and counted.")
    RELEASED = strawberry.enum_value("released", description="It was let go of.")
    LAPSED = strawberry.enum_value(
        "lapsed", description="Its time is over: it keeps nothing. It can be committed as far as enough is left."
    )


@object_type
class UsageHold:
    """An amount of a feature that is kept for work under way."""

    id: strawberry.ID = strawberry.field(description="The gateway's id, such as hold_….")
    feature: str = strawberry.field(description="The feature's key.")
    amount: BigInt = strawberry.field(description="How much is kept.")
    actual: BigInt | None = strawberry.field(description="What the work came to; null until it is committed.")
    status: HoldStatus = strawberry.field(description="What became of it.")
    expires_at: datetime = strawberry.field(description="When it lapses, unless it is committed or released before.")
    created_at: datetime = strawberry.field(description="When it was made.")

    @classmethod
    def of(cls, row: Row | None, moment: datetime) -> "UsageHold | None":
        """Make a hold from its row, as it stands at a moment."""
        if row is None:
            return None
        return cls(
            id=strawberry.ID(row.id),
            feature=row.feature,
            amount=BigInt(row.amount),
            actual=big(row.actual),
            status=HoldStatus(status_of(row, moment)),
            expires_at=row.expires_at,
            created_at=row.created,
        )


@input_type
class ConsumeInput:
    """What is used, and by whom."""

    external_id: strawberry.ID = strawberry.field(description=USER)
    feature: str = strawberry.field(description=FEATURE)
    amount: BigInt = strawberry.field(default=BigInt(1), description="How much, at least 1. All of it or nothing.")
    idempotency_key: str = strawberry.field(description=KEY)


@input_type
class HoldInput:
    """What is to be kept, and for whom."""

    external_id: strawberry.ID = strawberry.field(description=USER)
    feature: str = strawberry.field(description=FEATURE)
    amount: BigInt = strawberry.field(description="How much the work comes to at most, at least 1.")
    seconds: int = strawberry.field(
        default=300, description="How long it is kept, 1 second to a day: longer than the work takes at most."
    )
    idempotency_key: str = strawberry.field(description=KEY)


@input_type
class CommitHoldInput:
    """The hold, and what the work came to."""

    hold_id: strawberry.ID = strawberry.field(description=HOLD)
    actual: BigInt = strawberry.field(
        description="What the work came to. More than is held is counted as far as so much is left."
    )


@input_type
class ReleaseHoldInput:
    """The hold."""

    hold_id: strawberry.ID = strawberry.field(description=HOLD)


@object_type
class ConsumePayload(Payload):
    """How the feature stands, or what the caller must fix."""

    count: FeatureCount | None = strawberry.field(default=None, description=STANDS)
    identifier: str | None = strawberry.field(
        default=None, description="Under which `adjustUsage` corrects it; null when there are errors, or credits pay."
    )
    user_errors: list[UserError] = strawberry.field(
        default_factory=list, description="What the caller must fix; empty on success."
    )

    @classmethod
    def rejected(cls, rejected: Rejected, _info: Info, /) -> "ConsumePayload":
        """Return what the caller must fix, and how the feature stands, where that is why."""
        return cls(count=FeatureCount.of(rejected.current), user_errors=UserError.all_of(rejected.problems))


@object_type
class HoldPayload(Payload):
    """The hold, or what the caller must fix."""

    hold: UsageHold | None = strawberry.field(default=None, description="The hold; null when there are errors.")
    count: FeatureCount | None = strawberry.field(default=None, description=STANDS)
    user_errors: list[UserError] = strawberry.field(
        default_factory=list, description="What the caller must fix; empty on success."
    )

    @classmethod
    def rejected(cls, rejected: Rejected, _info: Info, /) -> "HoldPayload":
        """Return what the caller must fix, and how the feature stands, where that is why."""
        return cls(count=FeatureCount.of(rejected.current), user_errors=UserError.all_of(rejected.problems))

    @classmethod
    def of(cls, outcome: Outcome, info: Info) -> "HoldPayload":
        """Make the answer of what became of a hold."""
        moment = info.context.services.database.clock.now()
        return cls(hold=UsageHold.of(outcome.hold, moment), count=FeatureCount.of(outcome.count))


@input_type
class SetUsageControlsInput:
    """What bounds a customer's use beside the plan. What is left out is as without controls."""

    external_id: strawberry.ID = strawberry.field(description=USER)
    alert_thresholds: list[int] | None = strawberry.field(
        default=None,
        description="Percents of a limit at which `usage.threshold` is sent, 1 to 1000, at most 10; empty for none. "
        "Left out, those of the settings.",
    )
    spend_cap: MinorUnits | None = strawberry.field(
        default=None, description="The most that what meters count may cost in a period. Left out, there is no cap."
    )
    currency: Currency | None = strawberry.field(
        default=None, description="The cap's, in which the customer is billed; needed with a cap."
    )
    idempotency_key: str = strawberry.field(description=ONCE)
    actor: str | None = strawberry.field(default=None, description=ACTOR)


@object_type
class UsageControls:
    """What bounds a customer's use beside the plan."""

    alert_thresholds: list[int] | None = strawberry.field(
        description="Percents of a limit at which the application is told; null for those of the settings."
    )
    spend_cap: Money | None = strawberry.field(
        description="The most that what meters count may cost in a period; null without a cap."
    )


@object_type
class SetUsageControlsPayload(Payload):
    """The controls, or what the caller must fix."""

    controls: UsageControls | None = strawberry.field(default=None, description="Null when there are errors.")
    user_errors: list[UserError] = strawberry.field(
        default_factory=list, description="What the caller must fix; empty on success."
    )


@object_type
class CountingMutations:
    """What the application's back end uses for its users."""

    @mutation
    async def consume(
        self,
        info: Info,
        input: Annotated[ConsumeInput, strawberry.argument(description="The user, the feature, and how much.")],
    ) -> ConsumePayload:
        """Use an amount of a counted feature, if so much is left: checked and counted in one step."""
        outcome = await info.context.services.counted.consume(
            input.external_id, input.feature, input.amount, input.idempotency_key
        )
        return ConsumePayload(count=FeatureCount.of(outcome.count), identifier=outcome.identifier)

    @mutation
    async def hold(
        self,
        info: Info,
        input: Annotated[HoldInput, strawberry.argument(description="The user, the feature, and how much at most.")],
    ) -> HoldPayload:
        """Keep an amount of a counted feature for work whose cost is not known yet; it lapses by itself."""
        outcome = await info.context.services.counted.hold(
            input.external_id, input.feature, input.amount, input.seconds, input.idempotency_key
        )
        return HoldPayload.of(outcome, info)

    @mutation
    async def commit_hold(
        self,
        info: Info,
        input: Annotated[CommitHoldInput, strawberry.argument(description="The hold, and what the work came to.")],
    ) -> HoldPayload:
        """Count what the work of a hold came to, and let go of the rest. The same again gives the same answer."""
        return HoldPayload.of(await info.context.services.counted.commit(input.hold_id, input.actual), info)

    @mutation
    async def release_hold(
        self,
        info: Info,
        input: Annotated[ReleaseHoldInput, strawberry.argument(description="The hold.")],
    ) -> HoldPayload:
        """Let go of what a hold keeps: nothing is counted."""
        return HoldPayload.of(await info.context.services.counted.release(input.hold_id), info)

    @mutation
    async def set_usage_controls(
        self,
        info: Info,
        input: Annotated[SetUsageControlsInput, strawberry.argument(description="The user, and what bounds the use.")],
    ) -> SetUsageControlsPayload:
        """Set at what share of a limit the application is told of a customer, and what a period's use may cost."""
        services, user = info.context.services, info.context.principal.acting_as(input.external_id)
        alerts = None if input.alert_thresholds is None else tuple(sorted(set(input.alert_thresholds)))
        currency = input.currency if input.spend_cap is not None else None
        wanted = Controls(alerts, input.spend_cap, currency)
        made = action_of(info, key=input.idempotency_key, actor=input.actor)
        action = made(name="usage.control", input=wanted.input, external_id=user.subject)
        await set_controls(services.database, await services.customers.customer_for(user), wanted, action)
        cap = money.of(input.spend_cap, currency)
        controls = UsageControls(alert_thresholds=list(alerts) if alerts is not None else None, spend_cap=cap)
        return SetUsageControlsPayload(controls=controls)
