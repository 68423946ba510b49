"""The audit log, and what every action of the application's back end has."""

from collections.abc import Callable
from datetime import datetime
from enum import Enum
from functools import partial
from typing import Annotated

import orjson
import strawberry

from gateway.billing.audit import Action
from gateway.graphql.base.arguments import After, First
from gateway.graphql.base.connection import Connection
from gateway.graphql.base.context import Info
from gateway.graphql.base.decorators import enum_type, object_type, resolver
from gateway.models.audit import AuditEntry as Row

KEY = "1 to 255 characters. The same key with the same input does it once and gives the same answer."
ACTOR = "Who wants it, for the audit log, such as an agent of the application's support; up to 200 characters."
USER = "The id by which the application knows the customer."


@enum_type
class AuditStatus(Enum):
    """What became of an action."""

    PENDING = strawberry.enum_value(
        "pending", description="It was begun and not finished: send it again under the same key, which finishes it."
    )
    DONE = strawberry.enum_value("done", description="It is done.")
    REFUSED = strawberry.enum_value("refused", description="It was refused, and nothing was done.")


@object_type
class AuditEntry:
    """Something that the application's back end, or an operator, did for a user. It is never taken away."""

    id: strawberry.ID = strawberry.field(description="Its number.")
    action: str = strawberry.field(description="What was done, such as invoice.refund.")
    status: AuditStatus = strawberry.field(description="What became of it.")
    by: str = strawberry.field(description="The credential that was used, such as service token 1 or operator ann.")
    actor: str | None = strawberry.field(description="Who wanted it, as the back end said it.")
    external_id: strawberry.ID | None = strawberry.field(description="The user for whom it was done.")
    target: str | None = strawberry.field(description="What it was done to, by Stripe's id.")
    input: str = strawberry.field(description="What was asked, as JSON.")
    result: str | None = strawberry.field(description="What came of it, as JSON; null unless it is done.")
    problems: list[str] = strawberry.field(description="Why it was refused; empty unless it was.")
    idempotency_key: str = strawberry.field(description="The key; one of the gateway's own where none was given.")
    created_at: datetime = strawberry.field(description="When it was begun.")
    finished_at: datetime | None = strawberry.field(description="When it was done or refused.")

    @classmethod
    def of(cls, row: Row) -> "AuditEntry":
        """Make an entry from its row."""
        return cls(
            id=strawberry.ID(str(row.id)),
            action=row.action,
            status=AuditStatus(row.status),
            by=row.by,
            actor=row.actor,
            external_id=strawberry.ID(row.external_id) if row.external_id else None,
            target=row.target,
            input=orjson.dumps(row.input).decode(),
            result=orjson.dumps(row.result).decode() if row.result is not None else None,
            problems=[f"{each['message']} ({each['code']})" for each in row.problems or ()],
            idempotency_key=row.key,
            created_at=row.created,
            finished_at=row.finished,
        )


def action_of(info: Info, *, key: str | None, actor: str | None) -> Callable[..., Action]:
    """Return what makes an action of the caller, by its `name` and what it is about."""
    return partial(Action, by=info.context.principal.credential or "service token", key=key, actor=actor)


@object_type
class AuditQueries:
    """What the application's back end reads of the audit log."""

    @resolver
    async def audit_log(
        self,
        info: Info,
        *,
        first: First = 50,
        after: After = None,
        external_id: Annotated[
            strawberry.ID | None, strawberry.argument(description="Only what was done for this user.")
        ] = None,
        action: Annotated[
            str | None, strawberry.argument(description="Only this action, such as invoice.refund.")
        ] = None,
    ) -> Connection[AuditEntry]:
        """What the back end and operators did for users, the newest first. For the application's own back end."""
        audit = info.context.services.audit
        page = await audit.page(first, after, external_id=external_id, action=action)
        return Connection.of(page, AuditEntry.of)
