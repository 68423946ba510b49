"""`GET /access/{externalId}/{feature}`: the answer of GraphQL's `access` for reverse proxies and plain back ends.

200 when the feature may be used and 403 when not, with the same JSON, so that a proxy needs to look at the status alone
(nginx `auth_request`, Envoy `ext_authz`, Caddy `forward_auth`). For the application's own back end: a service token.
"""

from collections.abc import Awaitable, Callable
from hashlib import sha256
from typing import Final

from gateway.auth.authenticator import Authenticator
from gateway.billing.subscriptions.entitlements import Grant
from gateway.errors import BadInput, DatabaseUnavailable, GatewayError, NotFound, RateLimited, Unauthenticated
from gateway.http.fast_path import AsyncHandler
from gateway.http.rate_limit import RateLimiter
from gateway.http.request import Header, Request, Response
from gateway.rest.openapi import AccessView, Problem, Refusal

PREFIX: Final = "/access/"
_JSON = (b"content-type", b"application/json")

Decide = Callable[[str, str], Awaitable[Grant]]


def access_handler(authenticator: Authenticator, limiter: RateLimiter, decide: Decide) -> AsyncHandler:
    """Return the handler of all paths below `PREFIX`.

    Args:
        authenticator: proves who asks.
        limiter: counts wrong tokens.
        decide: whether a user (by the application's own id) may use a feature.
    """

    async def answer(request: Request) -> Response:
        # identity providers put slashes into their ids
        external_id, slash, feature = request.path.removeprefix(PREFIX).rpartition("/")
        if not slash or not feature:
            return _refusal(404, NotFound(f"the path is {PREFIX}externalId/feature"))
        if request.method not in {"GET", "HEAD"}:
            return _refusal(405, BadInput("ask by GET"), (b"allow", b"GET, HEAD"))
        try:
            await _require_service(request, authenticator, limiter)
            return _decision(AccessView.of(await decide(external_id, feature)), request)
        except (BadInput, Unauthenticated, RateLimited, DatabaseUnavailable) as error:
            return _no_decision(error)

    return AsyncHandler(answer)


async def _require_service(request: Request, authenticator: Authenticator, limiter: RateLimiter) -> None:
    """Refuse anybody else with 401: 403 is what a decision looks like here.

    Raises:
        Unauthenticated: it is not the application's own back end.
        RateLimited: nor were the many before it, from the same address.
    """
    header = request.headers.get(b"authorization")
    if not authenticator.is_service(header.decode("latin-1") if header is not None else None):
        await limiter.wrong_token(request.client)
        raise Unauthenticated("this needs a service token")


def _decision(view: AccessView, request: Request) -> Response:
    """Answer with the decision. Only an allowed one may be answered 304: a proxy must see a refusal in the status."""
    body = view.model_dump_json().encode()
    etag = b'"%s"' % sha256(body).hexdigest()[:32].encode()
    headers = [(b"etag", etag), (b"cache-control", b"private, no-cache")]
    known = {tag.strip().removeprefix(b"W/") for tag in request.headers.get(b"if-none-match", b"").split(b",")}
    if view.allowed and known & {etag, b"*"}:
        return Response(304, headers)
    return Response(200 if view.allowed else 403, [_JSON, _length(body), *headers], body)


def _no_decision(error: GatewayError) -> Response:
    match error:
        case Unauthenticated():
            return _refusal(401, error, (b"www-authenticate", b"Bearer"))
        case RateLimited():
            return _refusal(429, error, (b"retry-after", b"%d" % (error.retry_after or 1)))
        case DatabaseUnavailable():
            return _refusal(503, error, (b"retry-after", b"5"))
    return _refusal(400, error)


def _refusal(status: int, error: GatewayError, *headers: Header) -> Response:
    body = Refusal(error=Problem(code=error.code, message=str(error))).model_dump_json().encode()
    return Response(status, [_JSON, _length(body), *headers], body)


def _length(body: bytes) -> Header:
    return b"content-length", b"%d" % len(body)
