"""For whom a subscription is changed: the signed-in user, or the user that the application's back end names."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, fields
from datetime import datetime
from enum import Enum
from typing import Any, Protocol

import strawberry

from gateway.auth.principal import Principal
from gateway.billing.audit import Attempt, Json
from gateway.billing.subscriptions.state import SubscriptionState
from gateway.errors import BadInput
from gateway.graphql.base.context import Info
from gateway.graphql.types.audit import action_of
from gateway.graphql.types.catalog_objects import catalog_objects_of
from gateway.graphql.types.subscriptions import BillingSubscription

_NOT_RECORDED = {"subscription_id", "idempotency_key", "external_id", "actor"}


class ChangeInput(Protocol):
    """What the inputs of all changes have."""

    subscription_id: strawberry.ID
    idempotency_key: str | None
    external_id: strawberry.ID | None
    actor: str | None


@dataclass(frozen=True, slots=True)
class Caller:
    """Who changes a subscription.

    Attributes:
        principal: the user.
        info: of the mutation.
        input: what is asked.
    """

    principal: Principal
    info: Info
    input: ChangeInput

    @classmethod
    def of(cls, info: Info, input: ChangeInput) -> "Caller":
        """Return the caller.

        Raises:
            Forbidden: a user who is not the back end names another.
            BadInput: the back end names nobody, or somebody who cannot be called so.
        """
        principal = info.context.principal.acting_as(input.external_id)
        if principal.subject is None:
            raise BadInput("nothing says whose subscription it is: name the user in `externalId`")
        return cls(principal, info, input)

    async def changed(self, name: str, work: Callable[[], Awaitable[SubscriptionState]]) -> BillingSubscription:
        """Do a change that bills nothing; the subscription afterwards."""

        async def alone() -> tuple[SubscriptionState, None]:
            return await work(), None

        state, _ = await self.once(name, alone)
        return BillingSubscription.of(state, catalog_objects_of(await self.info.context.services.catalog.snapshot()))

    async def once(
        self, name: str, work: Callable[[], Awaitable[tuple[SubscriptionState, str | None]]]
    ) -> tuple[SubscriptionState, str | None]:
        """Do a change; for the back end once for its key, and in the audit log.

        Args:
            name: of the action.
            work: does it; the subscription afterwards, and the id of the invoice for it.
        """
        if not self.principal.is_service:
            return await work()
        services, found = self.info.context.services, []

        async def recorded(_: Attempt) -> Json:
            state, invoice_id = await work()
            found.append(state)
            return {"subscription": state.subscription.id, "invoice": invoice_id}

        action = action_of(self.info, key=self.input.idempotency_key, actor=self.input.actor)(
            name=name,
            input={name: value for name, value in _plain(self.input).items() if name not in _NOT_RECORDED},
            external_id=self.principal.subject,
            target=self.input.subscription_id,
        )
        result = await services.audit.once(action, recorded)
        if not found:
            found.append(await services.subscriptions.state(self.principal, self.input.subscription_id))
        return found[0], result["invoice"]


def _plain(value: Any) -> Any:
    """Return an input as JSON has it; what was left out is not there."""
    if isinstance(value, Enum):
        return value.name
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, list):
        return [_plain(each) for each in value]
    if hasattr(value, "__dataclass_fields__"):
        named = ((field.name, getattr(value, field.name)) for field in fields(value))
        return {name: _plain(each) for name, each in named if each is not None and each is not strawberry.UNSET}
    return value
