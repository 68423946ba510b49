"""Errors as a client may see them."""

from collections.abc import Sequence
from typing import Any

import structlog
from graphql import GraphQLError

from gateway.errors import BadInput, GatewayError
from gateway.graphql.execution.complexity import MAX_ERRORS

log = structlog.get_logger()


def format_errors(errors: Sequence[GraphQLError] | None, request_id: str) -> list[dict[str, Any]]:
    """Format the first errors of an answer; what is not meant for clients is logged under the request's id."""
    return [_format_error(error, request_id) for error in (errors or ())[:MAX_ERRORS]]


def _format_error(error: GraphQLError, request_id: str) -> dict[str, Any]:
    shown: dict[str, Any] = dict(error.formatted)
    cause: Exception | None = error
    while isinstance(cause, GraphQLError):  # graphql-core wraps its own errors too
        cause = cause.original_error
    if cause is None or isinstance(cause, GatewayError):
        shown["extensions"] = {"code": BadInput.code, **(error.extensions or {})}
        return shown
    log.error("graphql.internal_error", request_id=request_id, path=error.path, exc_info=cause)
    shown["message"] = f"the gateway failed on its side; its log has more under {request_id}"
    shown["extensions"] = {"code": GatewayError.code, "requestId": request_id}
    return shown
