"""`GET /access/{externalId}/{feature}`: the answer of GraphQL's `access` for reverse proxies and plain back ends.

200 when the feature may be used and 403 when not, with the same JSON, so that a proxy needs to look at the status alone
(nginx `auth_request`, Envoy `ext_authz`, Caddy `forward_auth`). For the application's own back end: a service token.
"""

from collections.abc import Awaitable, Callable
from datetime import datetime
from hashlib import sha256
from typing import Any

from fastapi import APIRouter
from pydantic import BaseModel, Field
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from gateway.auth.authenticator import Authenticator
from gateway.auth.principal import Principal
from gateway.billing.subscriptions.access import Reason
from gateway.billing.subscriptions.entitlements import Grant
from gateway.errors import BadInput, DatabaseUnavailable, GatewayError, Unauthenticated

Decide = Callable[[str, str], Awaitable[Grant]]


class SubscriptionView(BaseModel):
    """The subscription that decides."""

    id: str = Field(description="Stripe's id, such as sub_….")
    status: str = Field(description="Its status, as in GraphQL's SubscriptionStatus.")


class AccessView(BaseModel):
    """Whether a feature may be used: GraphQL's `Access`."""

    allowed: bool = Field(description="Whether there is access.")
    reason: str = Field(description="Why there is, or is not: " + ", ".join(reason.name for reason in Reason) + ".")
    until: datetime | None = Field(description="When access ends or is renewed; null without access.")
    limit: int | None = Field(description="How much of the feature; null without a limit.")
    subscription: SubscriptionView | None = Field(description="The subscription that decides.")

    @classmethod
    def of(cls, grant: Grant) -> "AccessView":
        """Make the answer for the decision on a feature."""
        row = grant.state.subscription if grant.state else None
        return cls(
            allowed=grant.access.allowed,
            reason=grant.access.reason.name,
            until=grant.access.until,
            limit=grant.limit,
            subscription=SubscriptionView(id=row.id, status=row.status.upper()) if row else None,
        )


class Problem(BaseModel):
    """What is wrong, as GraphQL's errors have it."""

    code: str = Field(description="The kind, as in `extensions.code`.")
    message: str = Field(description="A sentence for whoever writes the caller.")


class Refusal(BaseModel):
    """No decision."""

    error: Problem = Field(description="Why there is none.")


SCHEMAS = "#/components/schemas/"


def json_of(model: type[BaseModel]) -> dict[str, Any]:
    """Return how OpenAPI describes an answer that is a model's JSON."""
    return {"application/json": {"schema": {"$ref": SCHEMAS + model.__name__}}}


def _parameter(place: str, name: str, description: str) -> dict[str, Any]:
    needed = {"required": place == "path", "schema": {"type": "string"}}
    return {"in": place, "name": name, "description": description, **needed}


ANSWERS: dict[int | str, dict[str, Any]] = {
    200: {"description": "Allowed", "content": json_of(AccessView)},
    304: {"description": "Allowed, as the ETag says"},
    400: {"description": "No id or feature can be like this", "content": json_of(Refusal)},
    401: {"description": "No service token", "content": json_of(Refusal)},
    403: {"description": "Not allowed", "content": json_of(AccessView)},
    503: {"description": "The database cannot be reached", "content": json_of(Refusal)},
}
PARAMETERS = [
    _parameter("path", "external_id", "The id by which the application knows the customer."),
    _parameter("path", "feature", "The feature's key."),
    _parameter("header", "If-None-Match", "The ETag of an earlier answer."),
]


def policy_router(authenticator: Authenticator, decide: Decide) -> APIRouter:
    """Return the route. It declares nothing to FastAPI but the request: see `gateway/rest/health.py`.

    Args:
        authenticator: tells who asks.
        decide: whether a user (by the application's own id) may use a feature.
    """
    router = APIRouter()

    @router.get(
        "/access/{external_id:path}/{feature}",  # noqa: FAST003 - `path`: identity providers put slashes into their ids
        responses=ANSWERS,
        openapi_extra={"parameters": PARAMETERS},
    )
    async def access(request: Request) -> Response:
        """Whether a customer may use a feature."""
        try:
            _require_service(await authenticator.authenticate(request.headers.get("Authorization")))
            grant = await decide(request.path_params["external_id"], request.path_params["feature"])
            return _answer(AccessView.of(grant), request.headers.get("If-None-Match"))
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
    """Answer a decision; only an allowed one may be a 304, because a proxy must see a refusal in the status."""
    body = view.model_dump_json().encode()
    etag = f'"{sha256(body).hexdigest()[:32]}"'
    headers = {"ETag": etag, "Cache-Control": "private, no-cache"}
    known = {tag.strip().removeprefix("W/") for tag in (if_none_match or "").split(",")}
    if view.allowed and known & {etag, "*"}:
        return Response(status_code=304, headers=headers)
    return Response(body, 200 if view.allowed else 403, headers, "application/json")


def _refusal(status: int, error: GatewayError, headers: dict[str, str]) -> Response:
    return JSONResponse({"error": {"code": error.code, "message": str(error)}}, status, headers)
