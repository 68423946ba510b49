"""What a user may use, for reverse proxies, plain back ends and the user's own page: the answers of GraphQL's `access`.

`GET /access/{externalId}/{feature}` is 200 when the feature may be used and 403 when not, with the same JSON, so that a
proxy needs to look at the status alone (nginx `auth_request`, Envoy `ext_authz`, Caddy `forward_auth`).
`GET /access/{externalId}` tells of all features at once, and with `?features=a,b` of these. A service token may ask
about everybody, a user's own token about this user.
"""

from hashlib import sha256
from typing import Final
from urllib.parse import parse_qs

from gateway.auth.authenticator import Authenticator
from gateway.billing.customers.access_memory import MAX_FEATURES, AccessMemory
from gateway.billing.subscriptions.entitlements import Grant
from gateway.errors import (
    BadInput,
    DatabaseUnavailable,
    GatewayError,
    NotFound,
    RateLimited,
    TokenExpired,
    Unauthenticated,
)
from gateway.http.fast_path import AsyncHandler, Respond
from gateway.http.rate_limit import RateLimiter
from gateway.http.request import Header, Request, Response
from gateway.rest.openapi import AccessView, FeaturesView, Problem, Refusal

PREFIX: Final = "/access/"
_JSON = (b"content-type", b"application/json")
_MEMO = "rest"


class AccessHandler:
    """The fast handler of all paths below `PREFIX`.

    Args:
        authenticator: proves who asks.
        limiter: counts wrong tokens, and the requests of users by their address.
        memory: decides.
    """

    def __init__(self, authenticator: Authenticator, limiter: RateLimiter, memory: AccessMemory) -> None:
        self._authenticator = authenticator
        self._limiter = limiter
        self._memory = memory
        self._later = AsyncHandler(self._answer)

    def take(self, request: Request, respond: Respond) -> bool:
        """Answer at once if all that it takes is in memory, else as soon as it is read."""
        response = self._answer_at_once(request) if request.method == "GET" else None
        if response is None:
            return self._later.take(request, respond)
        respond(response)
        return True

    def _answer_at_once(self, request: Request) -> Response | None:
        user, _, feature = request.path.removeprefix(PREFIX).rpartition("/")
        header = request.headers.get(b"authorization")
        caller = self._authenticator.recall(header.decode("latin-1")) if user and feature and header else None
        if caller is None or not (caller.is_service or caller.subject == user):
            return None
        grant = self._memory.recall(user, feature)
        if grant is None or not (caller.is_service or self._limiter.admit(request.client)):
            return None
        return _decision(grant, request)

    async def _answer(self, request: Request) -> Response:
        # identity providers put slashes into their ids
        user, slash, feature = request.path.removeprefix(PREFIX).rpartition("/")
        if not slash:
            user, feature = feature, ""
        if not user:
            return _refusal(404, NotFound(f"the path is {PREFIX}externalId or {PREFIX}externalId/feature"))
        if request.method not in {"GET", "HEAD"}:
            return _refusal(405, BadInput("ask by GET"), (b"allow", b"GET, HEAD"))
        try:
            await self._check_caller(request, user)
            if feature:
                return _decision(await self._memory.grant(user, feature), request)
            return _decisions(await self._decide_many(user, request.query), request)
        except (BadInput, Unauthenticated, RateLimited, DatabaseUnavailable) as error:
            return _no_decision(error)

    async def _decide_many(self, user: str, query: bytes) -> list[Grant]:
        """Return the decisions on the features that are named, else all that are allowed.

        Raises:
            BadInput: too many are named.
        """
        named = parse_qs(query.decode("latin-1"), keep_blank_values=True).get("features")
        if named is None:
            return await self._memory.all(user)
        features = sorted({name.strip() for text in named for name in text.split(",") if name.strip()})
        if len(features) > MAX_FEATURES:
            raise BadInput(f"`features` names {len(features)}; at most {MAX_FEATURES} are decided at once")
        return list((await self._memory.some(user, features)).values())

    async def _check_caller(self, request: Request, user: str) -> None:
        """Refuse anybody else with 401: 403 is what a decision looks like here.

        Raises:
            Unauthenticated: it is neither the application's own back end nor this user.
            RateLimited: nor were the many before it, from the same address; or the user asks too often.
        """
        header = request.headers.get(b"authorization")
        text = header.decode("latin-1") if header is not None else None
        if self._authenticator.is_service(text):
            return
        error = Unauthenticated("this needs a service token, or the token of the user whom it is about")
        try:
            if (await self._authenticator.authenticate(text)).subject == user:
                await self._limiter.request(request.client)
                return
        except TokenExpired:
            raise
        except Unauthenticated as wrong:
            error = wrong
        await self._limiter.wrong_token(request.client)
        raise error


class _Answer:
    """A decision as it is sent.

    Args:
        body: its JSON.
        allowed: the status says it too. Only an allowed one may be answered 304: a proxy must see a refusal in it.
    """

    __slots__ = ("_etag", "_not_modified", "_whole")

    def __init__(self, body: bytes, *, allowed: bool) -> None:
        self._etag = b'"%s"' % sha256(body).hexdigest()[:32].encode()
        headers = [(b"etag", self._etag), (b"cache-control", b"private, no-cache")]
        self._whole = Response(200 if allowed else 403, [_JSON, _length(body), *headers], body)
        self._not_modified = Response(304, headers) if allowed else None

    def response_to(self, request: Request) -> Response:
        """Return the response, or `304` to whoever has it (RFC 9110, section 13.1.2)."""
        known = request.headers.get(b"if-none-match")
        # no tag has quotes within, so that looking for this one in the whole list finds nothing else
        if known is not None and self._not_modified is not None and (self._etag in known or known.strip() == b"*"):
            return self._not_modified
        return self._whole


def _decision(grant: Grant, request: Request) -> Response:
    """Return the response of a decision, which is made once."""
    answer: _Answer | None = grant.memo.get(_MEMO)
    if answer is None:
        body = AccessView.of(grant).model_dump_json().encode()
        answer = grant.memo[_MEMO] = _Answer(body, allowed=grant.access.allowed)
    return answer.response_to(request)


def _decisions(grants: list[Grant], request: Request) -> Response:
    view = FeaturesView(features={grant.feature: AccessView.of(grant) for grant in grants})
    return _Answer(view.model_dump_json().encode(), allowed=True).response_to(request)


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
