"""The routes for whoever runs the gateway, and the description of all REST routes (`/openapi.json`).

The routes take the request as it is and say themselves what they answer. With the first parameter or model that a route
declares, FastAPI imports the whole of `pydantic.v1` (1.5 MB), and describes an answer 422 that none of them gives.
"""

from contextlib import suppress
from typing import Any

import sqlalchemy as sa
from fastapi import APIRouter, FastAPI
from fastapi.responses import JSONResponse, PlainTextResponse
from prometheus_client import CONTENT_TYPE_LATEST
from pydantic import BaseModel, Field
from pydantic.json_schema import models_json_schema
from starlette.responses import RedirectResponse, Response

from gateway import migrations
from gateway.billing.metering.forwarder import count_open_usage
from gateway.billing.subscriptions.access_changes import count_due_customers
from gateway.db.database import Database
from gateway.errors import DatabaseUnavailable
from gateway.observability.metrics import INBOX, QUEUE_ITEMS, render
from gateway.outbound.delivery import count_open_deliveries
from gateway.rest.access import SCHEMAS, AccessView, Refusal, json_of
from gateway.webhooks.inbox import count_open_events


class Status(BaseModel):
    """How the gateway is."""

    status: str = Field(description="`ok`, or what is wrong.")


class Rest(FastAPI):
    """The application, whose description knows the models of the routes."""

    def openapi(self) -> dict[str, Any]:
        """Return the description, as OpenAPI 3.1 has it."""
        description = super().openapi()  # the same one whenever it is asked for
        if "components" not in description:
            models: Any = [(model, "serialization") for model in (AccessView, Refusal, Status)]
            _, schemas = models_json_schema(models, ref_template=SCHEMAS + "{model}")
            description["components"] = {"schemas": schemas["$defs"]}
        return description


def operations(database: Database, front: str) -> APIRouter:
    """Return the routes.

    Args:
        database: asked whether it is there, and how many events wait.
        front: where a person who comes to `/` is sent.
    """
    router = APIRouter()
    status = json_of(Status)

    @router.get("/healthz", summary="Whether the process is up", responses={200: {"content": status}})
    async def healthz() -> JSONResponse:
        return JSONResponse({"status": "ok"})

    @router.get(
        "/readyz",
        summary="Whether the database can be reached and written, and is migrated",
        responses={200: {"content": status}, 503: {"description": "One of them is not so", "content": status}},
    )
    async def readyz() -> JSONResponse:
        problem = await migrations.problem(database)
        return JSONResponse({"status": problem or "ok"}, status_code=503 if problem else 200)

    @router.get("/metrics", summary="Prometheus metrics", response_class=PlainTextResponse)
    async def metrics() -> Response:
        with suppress(DatabaseUnavailable):  # the rest is worth seeing then
            for queue, counts in (await database.read(_open_items)).items():
                for status, count in counts.items():
                    QUEUE_ITEMS.labels(queue, status).set(count)
                    if queue == "inbox":
                        INBOX.labels(status).set(count)
        return Response(render(), media_type=CONTENT_TYPE_LATEST)

    @router.get("/", include_in_schema=False)
    async def root() -> Response:
        return RedirectResponse(front)

    return router


def _open_items(connection: sa.Connection) -> dict[str, dict[str, int]]:
    """Count what is not finished in each queue, by status."""
    return {
        "inbox": count_open_events(connection),
        "usage": count_open_usage(connection),
        "outbox": count_open_deliveries(connection),
        "access": count_due_customers(connection),
    }
