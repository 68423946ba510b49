"""The route `/graphql`: queries by GET, mutations by POST, live updates by WebSocket or events, GraphiQL."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from graphql import OperationDefinitionNode, OperationType
from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse
from starlette.routing import BaseRoute
from starlette.types import Receive, Scope, Send
from starlette.websockets import WebSocket

from gateway.auth.authenticator import Authenticator
from gateway.auth.operators import Operators
from gateway.auth.principal import ANONYMOUS, Principal
from gateway.billing.catalog.shown import Shown
from gateway.errors import RateLimited, TokenExpired, Unauthenticated
from gateway.graphql.base.context import Context, Services
from gateway.graphql.execution.documents import Documents
from gateway.graphql.execution.engine import Engine, Result
from gateway.graphql.execution.persisted import PersistedDocuments
from gateway.graphql.execution.request import BadRequest, GraphQLRequest
from gateway.graphql.federation import federated_core
from gateway.graphql.ide.page import graphiql_page, static_routes
from gateway.graphql.schema import core
from gateway.graphql.transport.connections import LiveConnections
from gateway.graphql.transport.events import EventStreams
from gateway.graphql.transport.negotiation import (
    EVENTS,
    GRAPHQL,
    JSON,
    Answer,
    Rendered,
    accepted,
    prefers_html,
    read_request,
    rendered,
)
from gateway.graphql.transport.subscriptions import OperationRunner
from gateway.graphql.transport.websocket import PROTOCOL, WebSocketEndpoint
from gateway.http.request import Request
from gateway.observability import tracing

PATH = "/graphql"
_METHODS = {"GET", "HEAD", "POST"}
_ALLOW = {"Allow": "GET, HEAD, POST"}


class GraphQL:
    """The GraphQL endpoint.

    Args:
        services: what the resolvers use.
        authenticator: proves users, and the application's back end.
        operators: proves who runs the gateway.
        sample_users: whether GraphiQL offers to sign in as one, as with `gateway dev`.
        documents: what is known from the start by its SHA-256, and always trusted.
    """

    def __init__(
        self,
        services: Services,
        authenticator: Authenticator,
        operators: Operators,
        *,
        sample_users: bool = False,
        documents: Mapping[str, str] | None = None,
    ) -> None:
        settings = services.settings
        self._services = services
        self._authenticator = authenticator
        self._operators = operators
        self._graphiql = settings.graphiql
        self._sample_users = sample_users
        persisted = PersistedDocuments(settings, own=documents or {})
        schema = federated_core() if settings.federation else core
        self._documents = Documents(schema, persisted, introspection=settings.graphiql)
        self._engine = Engine(schema, compiled=settings.compiled_execution, suggestions=settings.graphiql)
        runner, connections = OperationRunner(services, self._engine), LiveConnections(settings)
        self._events = EventStreams(connections, authenticator, runner, settings.event_stream_ping_seconds)
        self._websocket = WebSocketEndpoint(services, authenticator, self._documents, runner, connections)

    def static_routes(self) -> list[BaseRoute]:
        """Return the routes to what GraphiQL loads when it is on."""
        return static_routes() if self._graphiql else []

    async def answer(self, request: Request) -> Rendered:
        """Answer a request that came by HTTP. Nothing that a client can send gives a 5xx."""
        if request.method not in _METHODS:
            return Rendered.of(PlainTextResponse("send queries by GET or POST", HTTPStatus.METHOD_NOT_ALLOWED, _ALLOW))
        accept = request.headers.get(b"accept")
        if self._graphiql and request.method != "POST" and prefers_html(accept):
            return Rendered.of(graphiql_page(sample_users=self._sample_users))
        media_type = JSON
        shown: list[Shown] = []
        try:
            media_type = accepted(accept)
            asked = read_request(request)
            context = await self._context(request)
            answer, shown = await self._run(request, asked, context, media_type)
        except BadRequest as error:
            body = {"errors": [{"message": str(error), "extensions": {"code": error.code}}]}
            answer = Answer(body, error.status, error.headers)
        except Unauthenticated as error:
            answer = _unauthenticated([_error(error)])
        except RateLimited as error:
            refused = [{"message": str(error), "extensions": error.extensions}]
            answer = Answer({"errors": refused}, HTTPStatus.TOO_MANY_REQUESTS, _retry_after(refused))
        return rendered(answer, media_type, shown)

    async def follow(self, request: Request, receive: Receive, send: Send) -> bool:
        """Serve a live update to a client that takes events; False, and nothing, where it asks for something else."""
        try:
            asked = read_request(request)
        except BadRequest:
            return False
        prepared = self._documents.prepare(asked)
        operation = prepared.operation(asked.operation_name)
        if request.method == "HEAD" or operation is None or operation.operation is not OperationType.SUBSCRIPTION:
            return False
        await self._events.serve(request, asked, prepared, receive, send)
        return True

    async def websocket(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a WebSocket."""
        await self._websocket.serve(WebSocket(scope, receive, send))

    async def _context(self, request: Request) -> Context:
        """Return who asks. With a token that has expired it is a guest who is told so, and sees what is public.

        Raises:
            Unauthenticated: the token is not valid, or has expired and the settings refuse such requests.
            RateLimited: too many have failed to sign in as an operator from this address.
        """
        if self._operators.claims_to_be(request.authorization):
            return Context(self._services, await self._operator(request), request.client)
        try:
            principal = await self._authenticator.authenticate(request.authorization)
        except TokenExpired as error:
            if self._services.settings.refuse_expired_tokens:
                raise
            return Context(self._services, ANONYMOUS, request.client, sign_in_error=error)
        return Context(self._services, principal, request.client)

    async def _operator(self, request: Request) -> Principal:
        """Return the operator who asks. Failures alone are counted and refused: a token is too long to be guessed, and
        nobody is to lock out an operator of the same address.
        """
        try:
            return await self._operators.authenticate(request.authorization)
        except TokenExpired:
            raise
        except Unauthenticated:
            await self._services.limiter.wrong_operator(request.client)
            raise

    async def _run(
        self, request: Request, asked: GraphQLRequest, context: Context, media_type: str
    ) -> tuple[Answer, list[Shown]]:
        """Return the answer, and where everybody may have it: what it shows of the catalogue."""
        prepared = self._documents.prepare(asked)
        operation = prepared.operation(asked.operation_name)
        _check_method(request.method, operation)
        title, caller = (_title(operation), Headers(raw=request.raw_headers)) if tracing.active() else ("", None)
        with tracing.span(title, kind="SERVER", caller=caller) as note:
            result = await self._engine.execute(prepared, asked, context, request.id.decode())
            note(errors=len(result.errors))
        if context.sign_in_error is not None:
            return _with_sign_in_error(result, context.sign_in_error), []
        if not result.ran:
            return _refusal(result, media_type), []
        is_public = prepared.cacheable and context.principal == ANONYMOUS and not result.errors
        answer = Answer(result.body, headers=_retry_after(result.errors))
        return answer, context.shown if is_public else []


def _title(operation: OperationDefinitionNode | None) -> str:
    """Return an operation's name for a trace, such as `query Pricing`: without its variables."""
    if operation is None:
        return "graphql"
    return f"{operation.operation.value} {operation.name.value[:100] if operation.name else 'without a name'}"


def _check_method(method: str, operation: OperationDefinitionNode | None) -> None:
    """Refuse what the method may not do: a GET is safe to repeat, so it only reads. A subscription has many answers."""
    kind = operation.operation if operation else OperationType.QUERY
    if kind is OperationType.SUBSCRIPTION:
        raise BadRequest(
            "a subscription needs a connection that stays: subscribe by WebSocket, with the subprotocol "
            f"{PROTOCOL}, or with `Accept: {EVENTS}`"
        )
    if method != "POST" and kind is not OperationType.QUERY:
        raise BadRequest(
            "GET changes nothing: send a mutation by POST", HTTPStatus.METHOD_NOT_ALLOWED, headers=[(b"allow", b"POST")]
        )


def _retry_after(errors: list[dict[str, Any]]) -> list[tuple[bytes, bytes]]:
    """Return `Retry-After`, when something was refused for its rate: the longest wait of all."""
    waits = [wait for error in errors if (wait := error["extensions"].get("retryAfter")) is not None]
    return [(b"retry-after", b"%d" % max(waits))] if waits else []


def _refusal(result: Result, media_type: str) -> Answer:
    """Answer what was understood and cannot be run: 400, but 200 for the older media type, whose clients read the body
    of nothing else (GraphQL over HTTP, "Status Codes").
    """
    return Answer(result.body, HTTPStatus.BAD_REQUEST if media_type == GRAPHQL else HTTPStatus.OK)


def _with_sign_in_error(result: Result, error: TokenExpired) -> Answer:
    """Answer a request whose token has expired: what is public, and the error beside it; 401 when nothing is left."""
    is_reported = any(each["extensions"]["code"] == error.code for each in result.errors)
    if not result.ran or (is_reported and not any(value is not None for value in (result.data or {}).values())):
        return _unauthenticated([_error(error)])
    errors = result.errors if is_reported else [*result.errors, _error(error)]
    return Answer({"errors": errors, "data": result.data}, headers=_retry_after(errors))


def _unauthenticated(errors: list[dict[str, Any]]) -> Answer:
    return Answer({"errors": errors}, HTTPStatus.UNAUTHORIZED, [(b"www-authenticate", b"Bearer")])


def _error(error: Unauthenticated) -> dict[str, Any]:
    return {"message": str(error), "extensions": error.extensions}
