"""The routes for whoever runs the gateway: `/healthz`, `/readyz`, `/metrics`."""

from contextlib import suppress

import sqlalchemy as sa
from fastapi import APIRouter
from fastapi.responses import JSONResponse, PlainTextResponse
from prometheus_client import CONTENT_TYPE_LATEST
from starlette.responses import RedirectResponse, Response

from gateway import migrations
from gateway.billing.metering.forwarder import count_open_usage
from gateway.billing.subscriptions.access_changes import count_due_customers
from gateway.errors import DatabaseUnavailable
from gateway.observability.metrics import INBOX, QUEUE_ITEMS, render
from gateway.outbound.outbox import count_open_deliveries
from gateway.rest.openapi import Status, json_of
from gateway.runtime import Runtime
from gateway.webhooks.inbox import count_open_events


def operations(runtime: Runtime, front: str) -> APIRouter:
    """Return the routes.

    Args:
        runtime: asked whether the database is there, and how many events wait.
        front: where a person who comes to `/` is sent.
    """
    router, database = APIRouter(tags=["operations"]), runtime.database
    status = json_of(Status)

    @router.get(
        "/healthz",
        summary="Whether the process is up",
        operation_id="healthz",
        responses={200: {"description": "It is", "content": status}},
    )
    async def healthz() -> JSONResponse:
        return JSONResponse({"status": "ok"})

    @router.get(
        "/readyz",
        summary="Whether the database can be reached, written and heard, and is migrated, and the clock is right",
        operation_id="readyz",
        responses={
            200: {"description": "All is so", "content": status},
            503: {"description": "One of them is not so", "content": status},
        },
    )
    async def readyz() -> JSONResponse:
        clock = runtime.stripe.clock.problem(runtime.clock) if runtime.stripe else None
        problem = runtime.notifications.problem or await migrations.problem(database) or clock
        return JSONResponse({"status": problem or "ok"}, status_code=503 if problem else 200)

    @router.get("/metrics", summary="Prometheus metrics", operation_id="metrics", response_class=PlainTextResponse)
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
