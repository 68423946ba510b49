"""OpenFeature's remote evaluation protocol over the same decisions, so that any OpenFeature SDK can ask.

`POST /ofrep/v1/evaluate/flags/{key}` decides one feature, `POST /ofrep/v1/evaluate/flags` all that the catalogue knows
and the customer has, with an ETag. `context.targetingKey` is the user's id; a user's own token needs none. A flag is
whether the feature may be used; its metadata say why, until when and how much.
Source: https://openfeature.dev/docs/reference/other-technologies/ofrep/openapi (version 0.3.0).
"""

from typing import Any, Final

import orjson

from gateway.billing.counting.counters import Count
from gateway.billing.counting.service import CountedFeatures, with_count
from gateway.billing.customers.access_memory import AccessMemory
from gateway.billing.subscriptions.entitlements import Grant
from gateway.errors import BadInput, DatabaseUnavailable, RateLimited, Unauthenticated
from gateway.http.fast_path import AsyncHandler
from gateway.http.request import Request, Response
from gateway.rest.answers import Answer, refusal, refusal_of
from gateway.rest.callers import Callers
from gateway.rest.openapi import Flag, FlagFailure, Flags

PREFIX: Final = "/ofrep/"
BODY_LIMIT: Final = 64 * 1024
_PATH = PREFIX + "v1/evaluate/flags"
_MEMO = "ofrep"


class _Bad(BadInput):
    """The request cannot be understood, for a reason that the protocol names.

    Args:
        kind: one of OpenFeature's error codes.
        details: what to fix.
    """

    def __init__(self, kind: str, details: str) -> None:
        super().__init__(details)
        self.kind = kind


def ofrep_handler(callers: Callers, memory: AccessMemory, counted: CountedFeatures) -> AsyncHandler:
    """Return the handler of all paths below `PREFIX`.

    Args:
        callers: who asks.
        memory: decides.
        counted: counts what is used.
    """

    async def answer(request: Request) -> Response:
        path, _, key = request.path.partition(_PATH + "/")
        if request.path != _PATH and (path or not key):
            return refusal(404, _failure(key, "FLAG_NOT_FOUND", f"the path is {_PATH} or {_PATH}/key"))
        if request.method != "POST":
            return refusal(405, _failure(key, "GENERAL", "ask by POST"), (b"allow", b"POST"))
        try:
            caller = await callers.identify(request)
            user = _user(request.body, caller.subject)
            if not caller.is_service and caller.subject != user:
                return refusal(403, _failure(key, "GENERAL", "a user's token is for this user's own features"))
            grants = [await memory.grant(user, key)] if key else await memory.known(user)
            counts = await counted.counts(user, grants)
            flags = [_flag(*with_count(each, counts.get(each.feature))) for each in grants]
            return refusal(200, flags[0]) if key else Answer(Flags(flags=flags)).response_to(request)
        except (BadInput, Unauthenticated, RateLimited, DatabaseUnavailable) as error:
            return refusal_of(error, _failure(key, error.kind if isinstance(error, _Bad) else "GENERAL", str(error)))

    return AsyncHandler(answer)


def _user(body: bytes, subject: str | None) -> str:
    """Return whom a request is about.

    Args:
        body: JSON with the context, or nothing.
        subject: who asks, where that is a user.

    Raises:
        _Bad: it says nothing that can be understood, or nobody.
    """
    try:
        asked = orjson.loads(body) if body else {}
    except orjson.JSONDecodeError as error:
        raise _Bad("PARSE_ERROR", f"the body is no JSON: {error}") from None
    context: Any = asked.get("context", {}) if isinstance(asked, dict) else None
    if not isinstance(context, dict):
        raise _Bad("INVALID_CONTEXT", "`context` must be an object")
    user = context.get("targetingKey", subject)
    if not isinstance(user, str) or not user:
        raise _Bad("TARGETING_KEY_MISSING", "`context.targetingKey` must be the id of a user of the application")
    return user


def _flag(grant: Grant, count: Count | None) -> Flag:
    if count is not None:
        return Flag.of(grant, count)
    flag: Flag | None = grant.memo.get(_MEMO)
    if flag is None:
        flag = grant.memo[_MEMO] = Flag.of(grant)
    return flag


def _failure(key: str, code: str, details: str) -> FlagFailure:
    failure = FlagFailure(errorCode=code, errorDetails=details)
    return failure.model_copy(update={"key": key}) if key else failure
