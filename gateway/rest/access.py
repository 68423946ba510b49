"""What a user may use, for reverse proxies, plain back ends and the user's own page: the answers of GraphQL's `access`.

`GET /access/{externalId}/{feature}` is 200 when the feature may be used and 403 when not, with the same JSON, so that a
proxy needs to look at the status alone (nginx `auth_request`, Envoy `ext_authz`, Caddy `forward_auth`).
`GET /access/{externalId}` tells of all features at once, and with `?features=a,b` of these. A service token may ask
about everybody, a user's own token about this user.
"""

from collections.abc import Mapping
from typing import Final
from urllib.parse import parse_qs

from gateway.billing.counting.counters import Count
from gateway.billing.counting.service import CountedFeatures, with_count
from gateway.billing.customers.access_memory import MAX_FEATURES, AccessMemory
from gateway.billing.subscriptions.entitlements import Grant
from gateway.errors import BadInput, DatabaseUnavailable, GatewayError, NotFound, RateLimited, Unauthenticated
from gateway.http.fast_path import AsyncHandler, Respond
from gateway.http.request import Request, Response
from gateway.rest.answers import Answer, refusal, refusal_of
from gateway.rest.callers import Callers
from gateway.rest.openapi import AccessView, FeaturesView, Problem, Refusal

PREFIX: Final = "/access/"
_MEMO = "rest"


class AccessHandler:
    """The fast handler of all paths below `PREFIX`.

    Args:
        callers: who asks.
        memory: decides.
        counted: counts what is used.
    """

    def __init__(self, callers: Callers, memory: AccessMemory, counted: CountedFeatures) -> None:
        self._callers = callers
        self._memory = memory
        self._counted = counted
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
        caller = self._callers.recall(request) if user and feature else None
        if caller is None or not (caller.is_service or caller.subject == user):
            return None
        grant = self._memory.recall(user, feature)
        if grant is None or grant.counted or not self._callers.admit(caller, request):
            return None
        return _decision(grant, request)

    async def _answer(self, request: Request) -> Response:
        # identity providers put slashes into their ids
        user, slash, feature = request.path.removeprefix(PREFIX).rpartition("/")
        if not slash:
            user, feature = feature, ""
        if not user and not feature:
            return refusal(
                404,
                _view(
                    NotFound(f"there is nothing at this path: it is {PREFIX}externalId or {PREFIX}externalId/feature")
                ),
            )
        if request.method not in {"GET", "HEAD"}:
            return refusal(405, _view(BadInput("only GET is answered here: ask by GET")), (b"allow", b"GET, HEAD"))
        try:
            await self._check_caller(request, user)
            grants = await (self._memory.some(user, [feature]) if feature else self._decide_many(user, request.query))
            counts = await self._counted.counts(user, grants.values())
            if feature:
                return _decision(grants[feature], request, counts.get(feature))
            views = {name: AccessView.of(*with_count(grant, counts.get(name))) for name, grant in grants.items()}
            return Answer(FeaturesView(features=views)).response_to(request)
        except (BadInput, Unauthenticated, RateLimited, DatabaseUnavailable) as error:
            return refusal_of(error, _view(error))

    async def _decide_many(self, user: str, query: bytes) -> Mapping[str, Grant]:
        """Return the decisions on the features that are named, else all that are allowed.

        Raises:
            BadInput: too many are named.
        """
        named = parse_qs(query.decode("latin-1"), keep_blank_values=True).get("features")
        if named is None:
            return {grant.feature: grant for grant in await self._memory.all(user)}
        features = sorted({name.strip() for text in named for name in text.split(",") if name.strip()})
        if len(features) > MAX_FEATURES:
            raise BadInput(f"`features` names {len(features)}; at most {MAX_FEATURES} are decided at once")
        return await self._memory.some(user, features)

    async def _check_caller(self, request: Request, user: str) -> None:
        """Refuse anybody else with 401: 403 is what a decision looks like here.

        Raises:
            Unauthenticated: it is neither the application's own back end nor this user.
            RateLimited: nor were the many before it, from the same address; or the user asks too often.
        """
        caller = await self._callers.identify(request)
        if not caller.is_service and caller.subject != user:
            raise Unauthenticated("this needs a service token, or the token of the user whom it is about")


def _decision(grant: Grant, request: Request, count: Count | None = None) -> Response:
    """Return the response of a decision, which is made once where nothing is counted."""
    grant, count = with_count(grant, count)
    answer: Answer | None = grant.memo.get(_MEMO) if count is None else None
    if answer is None:
        answer = Answer(AccessView.of(grant, count), 200 if grant.access.allowed else 403)
        if count is None:
            grant.memo[_MEMO] = answer
    return answer.response_to(request)


def _view(error: GatewayError) -> Refusal:
    return Refusal(error=Problem(code=error.code, message=str(error)))
