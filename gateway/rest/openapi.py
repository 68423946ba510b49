"""The description of the REST routes (`/openapi.json`), and the models of their answers.

The routes say themselves what they answer. With the first parameter or model that a route declares, FastAPI imports the
whole of `pydantic.v1` (1.5 MB), and describes an answer 422 that none of them gives.
"""

from datetime import datetime
from typing import Any

from fastapi import FastAPI
from pydantic import BaseModel, Field
from pydantic.json_schema import models_json_schema

from gateway.billing.counting.counters import Count
from gateway.billing.subscriptions.access import Reason
from gateway.billing.subscriptions.entitlements import Grant

_SCHEMAS = "#/components/schemas/"


class Status(BaseModel):
    """How the gateway is."""

    status: str = Field(description="`ok`, or what is wrong.")


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
    used: int | None = Field(None, description="How much was used in this period; null where nothing counts it.")
    remaining: int | None = Field(None, description="How much is left; null without a limit, or where nothing counts.")
    resetsAt: datetime | None = Field(None, description="When the period ends; null where nothing counts it.")  # noqa: N815 - as GraphQL has it
    overage: bool = Field(False, description="Whether more than the limit may be used.")
    subscription: SubscriptionView | None = Field(description="The subscription that decides.")

    @classmethod
    def of(cls, grant: Grant, count: Count | None = None) -> "AccessView":
        """Return the view of a decision, and of how the feature stands where it is counted."""
        row = grant.state.subscription if grant.state else None
        return cls(
            allowed=grant.access.allowed,
            reason=grant.access.reason.name,
            until=grant.access.until,
            limit=grant.limit,
            used=count.used if count else None,
            remaining=count.remaining if count else None,
            resetsAt=count.resets_at if count else None,
            overage=bool(count and count.overage),
            subscription=SubscriptionView(id=row.id, status=row.status.upper()) if row else None,
        )


class FeaturesView(BaseModel):
    """What a customer may use: GraphQL's `access(features:)`."""

    features: dict[str, AccessView] = Field(description="The decisions, by the features' keys.")


class EvaluationContext(BaseModel):
    """Of whom a flag is asked."""

    targetingKey: str = Field(description="The user's id.")  # noqa: N815 - the protocol's name


class Evaluation(BaseModel):
    """What is asked of flags."""

    context: EvaluationContext = Field(description="Of whom; what else stands in it is not read.")


class Flag(BaseModel):
    """A decision as OpenFeature's remote evaluation protocol has it."""

    key: str = Field(description="The feature's key.")
    value: bool = Field(description="Whether it may be used.")
    reason: str = Field(description="OpenFeature's reason: always TARGETING_MATCH.")
    variant: str = Field(description="`allowed` or `refused`.")
    metadata: dict[str, str | int] = Field(
        description="As in AccessView: `reason`, and where there are any `until`, `limit`, `used`, `remaining`, "
        "`resetsAt` and `subscription`."
    )

    @classmethod
    def of(cls, grant: Grant, count: Count | None = None) -> "Flag":
        """Return the flag of a decision, and of how the feature stands where it is counted."""
        access = grant.access
        details = {
            "reason": access.reason.name,
            "until": access.until.isoformat() if access.until else None,
            "limit": grant.limit,
            "used": count.used if count else None,
            "remaining": count.remaining if count else None,
            "resetsAt": count.resets_at.isoformat() if count and count.resets_at else None,
            "subscription": grant.state.subscription.id if grant.state else None,
        }
        return cls(
            key=grant.feature,
            value=access.allowed,
            reason="TARGETING_MATCH",
            variant="allowed" if access.allowed else "refused",
            metadata={name: value for name, value in details.items() if value is not None},
        )


class Flags(BaseModel):
    """The decisions on all features."""

    flags: list[Flag] = Field(description="Those that the catalogue knows, and those that the customer has.")


class FlagFailure(BaseModel):
    """No decision."""

    key: str | None = Field(None, description="The feature's key, where one was asked for.")
    errorCode: str = Field(description="One of OpenFeature's error codes.")  # noqa: N815 - the protocol's name
    errorDetails: str = Field(description="What to fix.")  # noqa: N815 - the protocol's name


class Problem(BaseModel):
    """What is wrong, as GraphQL's errors have it."""

    code: str = Field(description="The kind, as in `extensions.code`.")
    message: str = Field(description="A sentence for whoever writes the caller.")


class Refusal(BaseModel):
    """No decision."""

    error: Problem = Field(description="Why there is none.")


def json_of(model: type[BaseModel]) -> dict[str, Any]:
    """Return how OpenAPI says that an answer is a model's JSON."""
    return {"application/json": {"schema": {"$ref": _SCHEMAS + model.__name__}}}


def _parameter(place: str, name: str, description: str) -> dict[str, Any]:
    needed = {"required": place == "path", "schema": {"type": "string"}}
    return {"in": place, "name": name, "description": description, **needed}


_USER = _parameter("path", "external_id", "The id by which the application knows the customer.")
_ETAG = _parameter("header", "If-None-Match", "The ETag of an earlier answer.")
_REFUSALS: dict[str, Any] = {
    "400": {"description": "No id or feature can be like this", "content": json_of(Refusal)},
    "401": {"description": "Neither a service token nor this user's own", "content": json_of(Refusal)},
    "429": {
        "description": "Too many wrong tokens or requests from this address",
        "content": json_of(Refusal),
    },
    "503": {"description": "The database cannot be reached", "content": json_of(Refusal)},
}
_FAILURES: dict[str, Any] = {
    status: {"description": description, "content": json_of(FlagFailure)}
    for status, description in (
        ("400", "The body cannot be understood, or names no user"),
        ("401", "Neither a service token nor a user's own"),
        ("403", "A user's token for another user"),
        ("429", "Too many wrong tokens or requests from this address"),
        ("503", "The database cannot be reached"),
    )
}
_EVALUATION: dict[str, Any] = {"required": True, "content": json_of(Evaluation)}
_BEARER = "bearer"
_ACCESS: dict[str, Any] = {"tags": ["access"], "security": [{_BEARER: []}]}
_FLAGS: dict[str, Any] = {"tags": ["OpenFeature"], "security": [{_BEARER: []}]}
ACCESS = {
    "/access/{external_id}/{feature}": {
        "get": {
            "summary": "Whether a customer may use a feature",
            "operationId": "access",
            **_ACCESS,
            "parameters": [_USER, _parameter("path", "feature", "The feature's key."), _ETAG],
            "responses": {
                "200": {"description": "Allowed", "content": json_of(AccessView)},
                "304": {"description": "Allowed, as the ETag says"},
                "403": {"description": "Not allowed", "content": json_of(AccessView)},
                **_REFUSALS,
            },
        }
    },
    "/access/{external_id}": {
        "get": {
            "summary": "What a customer may use",
            "operationId": "accessOfAll",
            **_ACCESS,
            "parameters": [
                _USER,
                _parameter("query", "features", "Their keys, with commas between; without it all that are allowed."),
                _ETAG,
            ],
            "responses": {
                "200": {"description": "The decisions", "content": json_of(FeaturesView)},
                "304": {"description": "As the ETag says"},
                **_REFUSALS,
            },
        }
    },
    "/ofrep/v1/evaluate/flags/{key}": {
        "post": {
            "summary": "Whether a customer may use a feature, for OpenFeature",
            "operationId": "evaluateFlag",
            **_FLAGS,
            "parameters": [_parameter("path", "key", "The feature's key.")],
            "requestBody": _EVALUATION,
            "responses": {"200": {"description": "The decision", "content": json_of(Flag)}, **_FAILURES},
        }
    },
    "/ofrep/v1/evaluate/flags": {
        "post": {
            "summary": "What a customer may use, for OpenFeature",
            "operationId": "evaluateFlags",
            **_FLAGS,
            "parameters": [_ETAG],
            "requestBody": _EVALUATION,
            "responses": {
                "200": {"description": "The decisions", "content": json_of(Flags)},
                "304": {"description": "As the ETag says"},
                **_FAILURES,
            },
        }
    },
}
"""The routes that are no routes of FastAPI (`access.py`, `ofrep.py`)."""


_MODELS = AccessView, Evaluation, FeaturesView, Flag, FlagFailure, Flags, Refusal, Status
_SCHEMES = {
    _BEARER: {
        "type": "http",
        "scheme": "bearer",
        "description": "A service token (`GATEWAY_SERVICE_TOKEN`), or the token of the user who is asked about.",
    }
}


class Rest(FastAPI):
    """The application, whose description knows the models of the routes, and the routes beside FastAPI."""

    def openapi(self) -> dict[str, Any]:
        """Return the description, as OpenAPI 3.1 has it."""
        description = super().openapi()  # the same one whenever it is asked for
        if "components" not in description:
            models: Any = [(model, "serialization") for model in _MODELS]
            _, schemas = models_json_schema(models, ref_template=_SCHEMAS + "{model}")
            description["components"] = {"schemas": schemas["$defs"], "securitySchemes": _SCHEMES}
            description["paths"] |= ACCESS
        return description
