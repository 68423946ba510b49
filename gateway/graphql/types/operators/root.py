"""`Query.operator`: all that operators look at."""

from datetime import datetime
from typing import Annotated

import strawberry

from gateway.auth.principal import Role
from gateway.billing.customers.directory import CustomerFilter, list_customers
from gateway.billing.figures.report import months_between, read_sums
from gateway.graphql.base.arguments import After, First
from gateway.graphql.base.connection import Connection
from gateway.graphql.base.context import Info
from gateway.graphql.base.decorators import enum_from, object_type, resolver
from gateway.graphql.types.audit import AuditEntry
from gateway.graphql.types.directory import CustomersFilter, ListedCustomer
from gateway.graphql.types.operators.customers import OperatorCustomer
from gateway.graphql.types.operators.figures import Figures
from gateway.graphql.types.operators.queues import (
    DeliveryStatus,
    EventsFilter,
    ReceivedEvent,
    ReportedUsage,
    SentMessage,
    UsageStatus,
    page_of,
)
from gateway.operators import health
from gateway.operators.customers import read_customer
from gateway.operators.events import EventFilter, list_events, read_event
from gateway.operators.messages import list_messages
from gateway.operators.usage import list_usage

enum_from(Role, name="OperatorRole")

Of = Annotated[strawberry.ID | None, strawberry.argument(description="Only of this customer (cus_…).")]


@object_type
class QueueState:
    """What waits in a queue of the gateway."""

    name: str = strawberry.field(description="inbox, usage, outbox, or access (whose access is to be looked at).")
    pending: int = strawberry.field(description="How much is due, or will be.")
    failed: int = strawberry.field(description="How much has failed, and is tried again.")
    dead: int = strawberry.field(description="How much was given up, and waits for an operator.")
    late_seconds: int = strawberry.field(description="For how long the oldest of it has been due; 0 where nothing is.")


@object_type
class SigningSecret:
    """A secret with which Stripe's deliveries are proved."""

    label: str = strawberry.field(description="Its label in STRIPE_WEBHOOK_SECRET, or its place there.")
    last_used_at: datetime | None = strawberry.field(description="When it last proved one; null for never.")


@object_type
class HealthCheck:
    """A finding of `gateway doctor`."""

    name: str = strawberry.field(description="What was looked at.")
    status: str = strawberry.field(description="ok, warning (the gateway works all the same) or failed.")
    finding: str = strawberry.field(description="What was found.")
    fix: str | None = strawberry.field(description="What to do; null where all is well.")


@object_type
class Health:
    """How the gateway stands."""

    @resolver
    async def checks(self, info: Info) -> list[HealthCheck]:
        """What `gateway doctor` says, but for the search of a database's file for damage; it asks Stripe."""
        from gateway.operators.checks import run_checks  # which no start needs

        found = run_checks(info.context.services.operators.runtime, thorough=False)
        return [
            HealthCheck(name=each.name, status=each.status, finding=each.finding, fix=each.fix) async for each in found
        ]

    @resolver
    async def queues(self, info: Info) -> list[QueueState]:
        """What waits in each queue."""
        found = await health.queues(info.context.services.database)
        return [
            QueueState(
                name=each.name,
                pending=each.pending,
                failed=each.failed,
                dead=each.dead,
                late_seconds=each.late_seconds,
            )
            for each in found
        ]

    @resolver
    async def secrets(self, info: Info) -> list[SigningSecret]:
        """The signing secrets, and when each was last of use: one that is not used any more can go."""
        services = info.context.services
        found = await health.secrets(services.database, services.settings)
        return [SigningSecret(label=each.label, last_used_at=each.last_used_at) for each in found]


@object_type
class Operator:
    """What an operator sees: who runs the gateway, and is nobody's user."""

    name: str = strawberry.field(description="Who is signed in, as the audit log names it.")
    role: Role = strawberry.field(description="What the operator may do.")

    @resolver
    async def customers(
        self,
        info: Info,
        *,
        search: Annotated[
            str | None,
            strawberry.argument(
                description="An e-mail address, in any case, the application's id, or Stripe's: of a customer (cus_…), "
                "or of a subscription, invoice, checkout or charge."
            ),
        ] = None,
        filter: Annotated[CustomersFilter | None, strawberry.argument(description="Which ones; left out, all.")] = None,
        first: First = 20,
        after: After = None,
    ) -> Connection[ListedCustomer]:
        """The customers at Stripe, the newest first."""
        wanted = filter.wanted(search) if filter else CustomerFilter(search=search)
        page = await list_customers(info.context.services.database, wanted, first, after)
        return Connection.of(page, ListedCustomer.of)

    @resolver
    async def customer(
        self,
        info: Info,
        id: Annotated[strawberry.ID, strawberry.argument(description="Stripe's id (cus_…), or the application's.")],
    ) -> OperatorCustomer | None:
        """One customer; null when there is none."""
        services = info.context.services
        page = await read_customer(services.database, id, services.settings.grace)
        return OperatorCustomer.of(page) if page else None

    @resolver
    async def events(
        self,
        info: Info,
        first: First = 20,
        after: After = None,
        filter: Annotated[EventsFilter | None, strawberry.argument(description="Which ones; left out, all.")] = None,
    ) -> Connection[ReceivedEvent]:
        """The events from Stripe, those that happened last first."""
        wanted = filter.wanted() if filter else EventFilter()
        return page_of(await list_events(info.context.services.database, wanted, first, after), ReceivedEvent)

    @resolver
    async def event(
        self, info: Info, id: Annotated[strawberry.ID, strawberry.argument(description="Stripe's id (evt_…).")]
    ) -> ReceivedEvent | None:
        """One event; null when it was never recorded."""
        row = await read_event(info.context.services.database, id)
        return ReceivedEvent(row=row.model_dump(exclude={"payload"})) if row else None

    @resolver
    async def messages(
        self,
        info: Info,
        *,
        status: Annotated[DeliveryStatus | None, strawberry.argument(description="Only with this status.")] = None,
        customer_id: Of = None,
        first: First = 20,
        after: After = None,
    ) -> Connection[SentMessage]:
        """The messages to the application, each once for every endpoint, the newest first."""
        state = str(status.value) if status else None
        page = await list_messages(info.context.services.database, state, customer_id, first, after)
        return page_of(page, SentMessage)

    @resolver
    async def usage(
        self,
        info: Info,
        *,
        status: Annotated[UsageStatus | None, strawberry.argument(description="Only with this status.")] = None,
        customer_id: Of = None,
        first: First = 20,
        after: After = None,
    ) -> Connection[ReportedUsage]:
        """The usage that was reported, the latest report first."""
        state = str(status.value) if status else None
        page = await list_usage(info.context.services.database, state, customer_id, first, after)
        return page_of(page, ReportedUsage)

    @resolver
    async def audit_log(
        self,
        info: Info,
        *,
        external_id: Annotated[
            strawberry.ID | None, strawberry.argument(description="Only what was done for this user.")
        ] = None,
        action: Annotated[
            str | None, strawberry.argument(description="Only this action, such as invoice.refund.")
        ] = None,
        first: First = 20,
        after: After = None,
    ) -> Connection[AuditEntry]:
        """What the back end and operators did, the newest first."""
        page = await info.context.services.audit.page(first, after, external_id=external_id, action=action)
        return Connection.of(page, AuditEntry.of)

    @resolver
    async def figures(
        self,
        info: Info,
        first_month: Annotated[str, strawberry.argument(description="The first month of UTC, such as 2026-01.")],
        last_month: Annotated[str, strawberry.argument(description="The last one; at most 120 months in all.")],
    ) -> Figures:
        """The figures of the business, month by month."""
        wanted = months_between(first_month, last_month)
        return Figures(wanted=wanted, sums=await read_sums(info.context.services.database, wanted[-1]))

    @resolver
    def health(self) -> Health:
        """How the gateway stands."""
        return Health()


@object_type
class OperatorQueries:
    """The one query of operators."""

    @resolver
    def operator(self, info: Info) -> Operator:
        """All that operators look at. For operators."""
        operator = info.context.principal.operator
        assert operator is not None  # noqa: S101 - FIELD_ACCESS has seen to it
        return Operator(name=operator.name, role=operator.role)
