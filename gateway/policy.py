"""`GET /access/{externalId}/{feature}`: the answer of GraphQL's `access` for reverse proxies and plain back ends.

200 when the feature may be used and 403 when not, with the same JSON, so that a proxy needs to look at the status alone
(nginx `auth_request`, Envoy `ext_authz`, Caddy `forward_auth`). For the application's own back end: a service token.
"""

from collections.abc import Awaitable, Callable
from datetime import datetime
from hashlib import sha256
from typing import Annotated, Any

from fastapi import APIRouter, Header, Path
from fastapi.responses import Response
from pydantic import BaseModel, Field
from starlette.responses import JSONResponse

from gateway.auth import Authenticator, Principal
from gateway.billing.access import Reason
from gateway.billing.entitlements import Grant
from gateway.errors import BadInput, DatabaseUnavailable, GatewayError, Unauthenticated

Decide = Callable[[str, str], Awaitable[Grant]]


class SubscriptionView(BaseModel):
    """The subscription that decides."""

    id: str = Field(description="Stripe's id, such as sub_….")
    status: str = Field(description="How it stands, as in GraphQL's SubscriptionStatus.")


class AccessView(BaseModel):
    """Whether a feature may be used: GraphQL's `Access`."""

    allowed: bool = Field(description="Whether there is access.")
    reason: str = Field(description="Why there is, or is not: " + ", ".join(reason.name for reason in Reason) + ".")
    until: datetime | None = Field(description="When it ends or is renewed; null when there is no access.")
    limit: int | None = Field(description="How much of the feature; null without a limit.")
    subscription: SubscriptionView | None = Field(description="The subscription that decides.")

    @classmethod
    def of(cls, grant: Grant) -> "AccessView":
        """The decision on a feature."""
        row = grant.standing.subscription if grant.standing else None
        return cls(
            allowed=grant.access.allowed,
            reason=grant.access.reason.name,
            until=grant.access.until,
            limit=grant.limit,
            subscription=SubscriptionView(id=row.id, status=row.status.upper()) if row else None,
        )


def policy_router(authenticator: Authenticator, decide: Decide) -> APIRouter:
    """The route.

    Args:
        authenticator: tells who asks.
        decide: whether a user (by the application's own id) may use a feature.
    """
    router = APIRouter()
    answers: dict[int | str, dict[str, Any]] = {
        304: {"description": "Allowed, as the ETag says"},
        400: {"description": "No id or feature can be like this"},
        401: {"description": "No service token"},
        403: {"model": AccessView, "description": "Not allowed"},
        503: {"description": "The database cannot be reached"},
    }

    # `path`, because identity providers put slashes into their ids
    @router.get("/access/{external_id:path}/{feature}", response_model=AccessView, responses=answers)
    async def access(
        external_id: Annotated[str, Path(description="The id by which the application knows the customer.")],
        feature: Annotated[str, Path(description="The feature's key.")],
        authorization: Annotated[str | None, Header(include_in_schema=False)] = None,
        if_none_match: Annotated[str | None, Header(description="The ETag of an earlier answer.")] = None,
    ) -> Response:
        """Whether a customer may use a feature."""
        try:
            _require_service(await authenticator.authenticate(authorization))
            return _answer(AccessView.of(await decide(external_id, feature)), if_none_match)
        except BadInput as error:
            return _refusal(400, error, {})
        except Unauthenticated as error:
            return _refusal(401, error, {"WWW-Authenticate": "Bearer"})
        except DatabaseUnavailable as error:
            return _refusal(503, error, {"Retry-After": "5"})

    return router


def _require_service(principal: Principal) -> None:
    """Refuse anybody else with 401: 403 is what a decision looks like here.

    Raises:
        Unauthenticated: it is not the application's own back end.
    """
    if not principal.is_service:
        raise Unauthenticated("this needs a service token")


def _answer(view: AccessView, if_none_match: str | None) -> Response:
    """The decision. Only an allowed one may be answered 304: a proxy must see a refusal in the status."""
    body = view.model_dump_json().encode()
    etag = f'"{sha256(body).hexdigest()[:32]}"'
    headers = {"ETag": etag, "Cache-Control": "private, no-cache"}
    known = {tag.strip().removeprefix("W/") for tag in (if_none_match or "").split(",")}
    if view.allowed and known & {etag, "*"}:
        return Response(status_code=304, headers=headers)
    return Response(body, 200 if view.allowed else 403, headers, "application/json")


def _refusal(status: int, error: GatewayError, headers: dict[str, str]) -> Response:
    return JSONResponse({"error": {"code": error.code, "message": str(error)}}, status, headers)
