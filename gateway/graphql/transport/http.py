"""The route `/graphql`: queries by GET, mutations by POST, live updates by WebSocket, GraphiQL for a browser."""

from http import HTTPStatus
from inspect import isawaitable
from typing import Any

from graphql import DocumentNode, ExecutionResult, OperationType, execute, get_operation_ast
from starlette.datastructures import Headers
from starlette.routing import BaseRoute, Route, WebSocketRoute
from starlette.types import ASGIApp, Receive, Scope, Send

from gateway.auth.authenticator import Authenticator
from gateway.auth.principal import ANONYMOUS
from gateway.errors import Unauthenticated
from gateway.graphql.base.context import Context, Services
from gateway.graphql.base.mutation_limits import address_of, authorization_of
from gateway.graphql.execution import request as wire
from gateway.graphql.execution.compiler import CompiledExecutor
from gateway.graphql.execution.documents import Documents
from gateway.graphql.execution.errors import format_errors
from gateway.graphql.execution.persisted import PersistedDocuments
from gateway.graphql.execution.request import GRAPHQL, JSON, Answer, BadRequest, GraphQLRequest
from gateway.graphql.ide.page import graphiql_page, static_routes
from gateway.graphql.schema import core
from gateway.graphql.transport.websocket import PROTOCOL, WebSocketEndpoint
from gateway.observability import tracing

PATH = "/graphql"
_METHODS = ("GET", "POST")


class GraphQL:
    """The GraphQL endpoint.

    Args:
        services: what the resolvers use.
        authenticator: tells who calls.
    """

    def __init__(self, services: Services, authenticator: Authenticator) -> None:
        self._services = services
        self._authenticator = authenticator
        self._graphiql = services.settings.graphiql
        self._documents = Documents(core, PersistedDocuments(services.settings), introspection=self._graphiql)
        self._live = WebSocketEndpoint(services, authenticator, self._documents)

    def routes(self) -> list[BaseRoute]:
        """`/graphql`, and what GraphiQL loads when it is on."""
        return [
            Route(PATH, self, methods=_METHODS),
            WebSocketRoute(PATH, self._live.serve),
            *(static_routes() if self._graphiql else []),
        ]

    def before(self, app: ASGIApp) -> ASGIApp:
        """An app with `/graphql` in front of it, so that FastAPI's layers are not paid for; they cost as much as a
        short query does. What is neither GET nor POST is left to its routes.
        """

        async def front(scope: Scope, receive: Receive, send: Send) -> None:
            mine = scope["type"] == "http" and scope["path"] == PATH and scope["method"] in _METHODS
            await (self if mine else app)(scope, receive, send)

        return front

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request. Nothing that a client can send gives a 5xx."""
        headers = wire.headers_of(scope)
        accept = headers.get(b"accept")
        if self._graphiql and scope["method"] == "GET" and wire.prefers_html(accept):
            await graphiql_page()(scope, receive, send)
            return
        media_type = JSON
        try:
            media_type = wire.accepted(accept)
            operation = await wire.read(scope, headers, receive)
            principal = await self._authenticator.authenticate(authorization_of(scope))
            context = Context(self._services, principal, address_of(scope))
            answer = await self._run(scope, operation, context, media_type)
        except BadRequest as error:
            body = {"errors": [{"message": str(error), "extensions": {"code": error.code}}]}
            answer = Answer(body, error.status, error.headers)
        except Unauthenticated as error:
            body = {"errors": [{"message": str(error), "extensions": error.extensions}]}
            answer = Answer(body, HTTPStatus.UNAUTHORIZED, [(b"www-authenticate", b"Bearer")])
        await wire.respond(send, answer, media_type)

    async def _run(self, scope: Scope, operation: GraphQLRequest, context: Context, media_type: str) -> Answer:
        prepared = self._documents.prepare(operation)
        if prepared.document is None:
            return _refusal([error.formatted for error in prepared.errors], media_type)
        _check_method(scope["method"], prepared.document, operation.name)
        title = _title(prepared.document, operation.name) if tracing.active() else ""
        with tracing.span(title, kind="SERVER", caller=Headers(scope=scope)) as note:
            result = execute(
                core,
                prepared.document,
                context_value=context,
                variable_values=operation.variables,
                operation_name=operation.name,
                hide_suggestions=not self._graphiql,
                executor_class=CompiledExecutor,
                compiled=prepared.compiled,
            )
            if isawaitable(result):
                result = await result
            note(errors=len(result.errors or ()))
        state = scope["state"]
        if prepared.public and context.principal == ANONYMOUS and not result.errors:
            state["public"] = True  # the cache in front may keep it
        return _respond(result, media_type, state["request_id"])


def _title(document: DocumentNode, name: str | None) -> str:
    """An operation's name for a trace, such as `query Pricing`: without its variables."""
    operation = get_operation_ast(document, name)
    if operation is None:
        return "graphql"
    return f"{operation.operation.value} {operation.name.value[:100] if operation.name else 'without a name'}"


def _check_method(method: str, document: DocumentNode, name: str | None) -> None:
    """A GET must be safe to repeat and to prefetch, so it only reads. A subscription has many answers."""
    operation = get_operation_ast(document, name)
    if operation is not None and operation.operation is OperationType.SUBSCRIPTION:
        raise BadRequest(HTTPStatus.BAD_REQUEST, f"subscribe by WebSocket: here, with the subprotocol {PROTOCOL}")
    if method == "GET" and operation is not None and operation.operation is not OperationType.QUERY:
        raise BadRequest(HTTPStatus.METHOD_NOT_ALLOWED, "send a mutation by POST", headers=[(b"allow", b"POST")])


def _respond(result: ExecutionResult, media_type: str, request_id: str) -> Answer:
    if not result.errors:
        return Answer({"data": result.data})
    errors = format_errors(result.errors, request_id)
    if result.data is None and not any("path" in error for error in errors):
        return _refusal(errors, media_type)  # it never ran: variables, or the operation's name
    return Answer({"errors": errors, "data": result.data}, headers=_waiting(errors))


def _waiting(errors: list[dict[str, Any]]) -> list[tuple[bytes, bytes]]:
    """`Retry-After`, when something was refused for its rate: the longest wait of all."""
    waits = [wait for error in errors if (wait := error["extensions"].get("retryAfter")) is not None]
    return [(b"retry-after", b"%d" % max(waits))] if waits else []


def _refusal(errors: list[Any], media_type: str) -> Answer:
    """A request that was understood and cannot be run: 400, but 200 for the older media type, whose clients read the
    body of nothing else (GraphQL over HTTP, "Status Codes").
    """
    return Answer({"errors": errors}, HTTPStatus.BAD_REQUEST if media_type == GRAPHQL else HTTPStatus.OK)
