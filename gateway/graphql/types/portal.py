"""Stripe's customer portal."""

from typing import Annotated

import strawberry

from gateway.billing.portal import PortalFlow, PortalRequest
from gateway.graphql.base.context import Info
from gateway.graphql.base.decorators import enum_from, input_type, mutation, object_type
from gateway.graphql.base.user_errors import Payload, UserError

enum_from(PortalFlow, name="PortalFlow")


@input_type
class CreatePortalSessionInput:
    """What the portal opens with, and where it leads back to."""

    return_url: str = strawberry.field(description="Where the link back leads, and a completed flow.")
    flow: PortalFlow = strawberry.field(default=PortalFlow.OVERVIEW, description="What it opens with.")
    subscription_id: strawberry.ID | None = strawberry.field(
        default=None, description="For SUBSCRIPTION_… flows: which one; may be left out when there is only one."
    )
    locale: str | None = strawberry.field(default=None, description="The portal's language; else the browser's.")
    external_id: strawberry.ID | None = strawberry.field(
        default=None, description="The user that it is for, when the application's own back end asks; nobody else may."
    )

    def request(self) -> PortalRequest:
        """Return the request as the use case takes it."""
        return PortalRequest(self.return_url, self.flow, self.subscription_id, self.locale, self.external_id)


@object_type
class CreatePortalSessionPayload(Payload):
    """Where the portal is, or what the caller must fix."""

    url: str | None = strawberry.field(
        default=None, description="Stripe's page for this user, for a few minutes; null when there are errors."
    )
    user_errors: list[UserError] = strawberry.field(
        default_factory=list, description="What the caller must fix; empty on success."
    )


@object_type
class PortalMutations:
    """What a customer can do on Stripe's own pages."""

    @mutation
    async def create_portal_session(
        self,
        info: Info,
        input: Annotated[
            CreatePortalSessionInput, strawberry.argument(description="What it opens with, and where it leads back to.")
        ],
    ) -> CreatePortalSessionPayload:
        """Open Stripe's customer portal for the signed-in user."""
        url = await info.context.services.portal.open(info.context.principal, input.request())
        return CreatePortalSessionPayload(url=url)
