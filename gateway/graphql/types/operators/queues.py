"""What came from Stripe, what the application was told, and the usage on its way: for operators."""

from datetime import datetime
from enum import Enum
from typing import Any

import orjson
import strawberry

from gateway.auth.principal import Role
from gateway.billing.pagination import Found, Page
from gateway.graphql.base.connection import Connection
from gateway.graphql.base.context import Info
from gateway.graphql.base.decorators import enum_type, field, input_type, object_type, resolver
from gateway.graphql.base.scalars import BigInt
from gateway.models.inbox import Event as EventRow
from gateway.operators.events import EventFilter, changes, read_event
from gateway.webhooks.event import StripeEvent
from gateway.webhooks.handlers import HANDLERS


@enum_type
class EventStatus(Enum):
    """What became of an event from Stripe."""

    APPLIED = strawberry.enum_value("applied", description="It was applied.")
    STALE = strawberry.enum_value("stale", description="An equal or newer state was known already.")
    IGNORED = strawberry.enum_value("ignored", description="It is not the gateway's to apply.")
    PENDING = strawberry.enum_value("pending", description="It is still to be applied.")
    FAILED = strawberry.enum_value("failed", description="It failed, and is tried again.")
    DEAD = strawberry.enum_value("dead", description="It was given up, and waits for an operator.")


@enum_type
class DeliveryStatus(Enum):
    """What became of a message to the application."""

    DELIVERED = strawberry.enum_value("delivered", description="The endpoint has it.")
    PENDING = strawberry.enum_value("pending", description="It is on its way.")
    DEAD = strawberry.enum_value("dead", description="It was given up, and waits for an operator.")


@enum_type
class UsageStatus(Enum):
    """What became of reported usage."""

    SENT = strawberry.enum_value("sent", description="Stripe has it.")
    COUNTED = strawberry.enum_value("counted", description="Stripe is told nothing of it.")
    PENDING = strawberry.enum_value("pending", description="It is on its way to Stripe.")
    DEAD = strawberry.enum_value("dead", description="Stripe refused it: it is not billed.")


def _column(name: str, description: str) -> Any:
    """Return a field that is a column of the row."""
    return field(lambda self: self.row[name], description)


@object_type
class EventChange:
    """A value that an event says has changed."""

    path: str = strawberry.field(description="Where in the object, such as items.data.0.quantity.")
    before: str = strawberry.field(description="The value before, as JSON.")
    after: str = strawberry.field(description="The value now, as JSON.")


@object_type
class ReceivedEvent:
    """An event from Stripe, and what became of it."""

    row: strawberry.Private[Found]
    id: strawberry.ID = _column("id", "Stripe's id, such as evt_….")
    type: str = _column("type", "Such as invoice.paid.")
    object_id: strawberry.ID | None = _column("object_id", "What it is about.")
    account: str | None = _column("account", "The connected account that it is from; null for our own.")
    source: str = _column("source", "How it came: webhook, or list for Stripe's own list of events.")
    status: EventStatus = field(lambda self: EventStatus(self.row["status"]), "What became of it.")
    outcome: str | None = _column("outcome", "The same in words.")
    attempts: int = _column("attempts", "How often it has failed.")
    next_attempt_at: datetime | None = _column("next_attempt_at", "When it is tried next, if it is.")
    last_error: str | None = _column("last_error", "Why it failed last.")
    created_at: datetime = _column("created", "When it happened at Stripe.")
    received_at: datetime = _column("received_at", "When it was recorded.")
    processed_at: datetime | None = _column("processed_at", "When it was last processed.")

    @resolver
    async def payload(self, info: Info) -> str | None:
        """The whole of it as Stripe sent it, as JSON; null when it was taken away with a person's data, and, of a type
        that the gateway does not apply, to those who may only look: a link to a customer's portal may be in it.
        """
        event = await self._event(info)
        return event.payload if event else None

    @resolver
    async def changes(self, info: Info) -> list[EventChange]:
        """What it says has changed; empty where it says nothing of an earlier state, or its payload is not shown."""
        event = await self._event(info)
        try:
            parsed = StripeEvent.parse(event.payload) if event else None
        except (ValueError, KeyError, TypeError):  # what an erasure has left of it
            return []
        found = changes(parsed) if parsed else ()
        return [EventChange(path=path, before=_json(before), after=_json(after)) for path, before, after in found]

    async def _event(self, info: Info) -> EventRow | None:
        operator = info.context.principal.operator
        if self.row["type"] not in HANDLERS and (operator is None or operator.role is not Role.ACT):
            return None
        return await read_event(info.context.services.database, self.row["id"])


def _json(value: Any) -> str:
    return orjson.dumps(value).decode()


@object_type
class SentMessage:
    """A message to one of the application's endpoints, and what became of it."""

    row: strawberry.Private[Found]
    id: strawberry.ID = _column("id", "The `webhook-id` that the endpoint sees.")
    type: str = _column("type", "Such as access.changed.")
    endpoint: str = _column("endpoint", "The endpoint.")
    customer_id: strawberry.ID = _column("customer_id", "Whom it is about.")
    status: DeliveryStatus = field(lambda self: DeliveryStatus(self.row["status"]), "What became of it.")
    attempts: int = _column("attempts", "How often it was tried.")
    next_attempt_at: datetime | None = field(
        lambda self: None if (due := self.row["next_attempt_at"]) and due.year == 9999 else due,  # noqa: PLR2004
        "When it is tried next; null where it is not, or waits for an earlier one of its customer.",
    )
    last_error: str | None = _column("last_error", "Why it failed last.")
    payload: str = _column("payload", "What the endpoint is told, as JSON.")
    created_at: datetime = _column("created", "When it was written.")


@object_type
class ReportedUsage:
    """Usage that was reported, and what became of it."""

    row: strawberry.Private[Found]
    id: strawberry.ID = _column("id", "The identifier under which it counts once.")
    event_name: str = _column("event_name", "The meter, or the counter.")
    customer_id: strawberry.ID = _column("customer_id", "Whose it is.")
    value: BigInt = _column("value", "How much; below zero where it takes a report back.")
    adjusts: strawberry.ID | None = _column("adjusts", "The report that it takes back, if it does.")
    status: UsageStatus = field(lambda self: UsageStatus(self.row["status"]), "What became of it.")
    attempts: int = _column("attempts", "How often it was tried.")
    last_error: str | None = _column("last_error", "What Stripe said.")
    used_at: datetime = _column("timestamp", "When it was used.")
    created_at: datetime = _column("created", "When it was reported.")


@input_type
class EventsFilter:
    """Which events are listed; what is left out is not looked at."""

    status: EventStatus | None = strawberry.field(default=None, description="With this status.")
    type: str | None = strawberry.field(default=None, description="Of this type, such as invoice.paid.")
    object_id: strawberry.ID | None = strawberry.field(default=None, description="About this object.")

    def wanted(self) -> EventFilter:
        """Return the filter as the use case takes it."""
        return EventFilter(str(self.status.value) if self.status else None, self.type, self.object_id)


def page_of(page: Page[Found], kind: type[Any]) -> Connection[Any]:
    """Return a page of rows as a connection to nodes of a type."""
    return Connection.of(page, lambda row: kind(row=row))
