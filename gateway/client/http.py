"""Clients of the gateway's API for back ends: one that waits, and one for asyncio. Both do the same."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, Self, TypedDict, TypeVar, cast
from urllib.parse import quote
from uuid import uuid4

import httpx

from gateway.client.decisions import Decisions
from gateway.client.documents import CONSUME, ConsumePayload
from gateway.client.errors import TEMPORARY, BillingError, Refused, Unavailable
from gateway.client.operations import Request

Answer = TypeVar("Answer")

TIMEOUT_SECONDS = 30.0
"""For what Stripe is asked for. The gateway waits less."""
PATIENCE_SECONDS = 0.25
PAUSE_SECONDS = 1.0


class Access(TypedDict):
    """Whether a feature may be used: `AccessView` of `/openapi.json`."""

    allowed: bool
    reason: str
    until: str | None
    limit: int | None
    used: int | None
    remaining: int | None
    resetsAt: str | None
    overage: bool


class _Shared(ABC):
    """What both clients know.

    Args:
        url: where the gateway is.
        token: one of `GATEWAY_SERVICE_TOKEN`.
        timeout_seconds: for everything but `allowed`.
        patience_seconds: how long `allowed` waits for a connection, and for an answer.
        pause_seconds: for how long `allowed` asks nobody after that.
        otherwise: what `allowed` says while nobody can say and nothing is known.
    """

    def __init__(
        self,
        url: str,
        token: str,
        *,
        timeout_seconds: float = TIMEOUT_SECONDS,
        patience_seconds: float = PATIENCE_SECONDS,
        pause_seconds: float = PAUSE_SECONDS,
        otherwise: bool = True,
    ) -> None:
        self._patience = patience_seconds
        self._decisions = Decisions(pause_seconds, otherwise=otherwise)
        headers = {"Authorization": f"Bearer {token}"}
        self._connect(base_url=url, headers=headers, timeout=timeout_seconds)

    @abstractmethod
    def _connect(self, **options: Any) -> None:
        """Make what sends the requests."""

    def _note(self, user: str, feature: str, response: httpx.Response) -> None:
        """Remember a decision; a wrong token raises, as that is a mistake and not an outage."""
        try:
            self._decisions.note(user, feature, allowed=_access(response)["allowed"])
        except Unavailable as error:
            self._decisions.away(error)


class Client(_Shared):
    """Asks the gateway, and waits for the answer. It may be shared by threads; close it, or use it by `with`."""

    def _connect(self, **options: Any) -> None:
        self._http = httpx.Client(**options)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def send(self, request: Request[Answer]) -> Answer:
        """Ask what a document of `gateway.client.documents` asks; what stands at its root.

        Raises:
            Refused: the input must be fixed; nothing was done.
            BillingError: there is no answer; `Unavailable` if there may be later.
        """
        return cast("Answer", _accepted(self.execute(request.text, request.variables)))

    def execute(self, document: str, variables: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Send any document; the `data` of its answer.

        Raises:
            BillingError: there are errors; `Unavailable` if it may be sent again.
        """
        try:
            return _data(self._http.post("/graphql", json=_request(document, variables)))
        except httpx.RequestError as error:
            raise _no_answer(error) from error

    def consume(self, user: str, feature: str, amount: int, *, key: str | None = None) -> int | None:
        """Count a use of a feature if it may be made; return what is left, None without a limit.

        Args:
            user: who uses it.
            feature: its key.
            amount: how much.
            key: your own id of the piece of work, under which it is counted once; left out, each call is another one.

        Raises:
            Refused: nothing was counted: LIMIT_REACHED, or what must be fixed.
            BillingError: there is no answer; `Unavailable` if there may be later, under the same key.
        """
        return _remaining(self.send(_use(user, feature, amount, key)))

    def access(self, user: str, feature: str) -> Access:
        """Return the gateway's decision on whether a user may use a feature.

        Raises:
            BillingError: there is none; `Unavailable` if there is later.
        """
        try:
            return _access(self._http.get(_path(user, feature)))
        except httpx.RequestError as error:
            raise _no_answer(error) from error

    def allowed(self, user: str, feature: str) -> bool:
        """Say whether a user may use a feature, as the gateway did last while it is away.

        Raises:
            BillingError: the token is wrong, or no feature can be called so.
        """
        if self._decisions.may_ask():
            try:
                self._note(user, feature, self._http.get(_path(user, feature), timeout=self._patience))
            except httpx.RequestError as error:
                self._decisions.away(repr(error))
        return self._decisions.last(user, feature)


class AsyncClient(_Shared):
    """Asks the gateway from asyncio. Close it, or use it by `async with`."""

    def _connect(self, **options: Any) -> None:
        self._http = httpx.AsyncClient(**options)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def send(self, request: Request[Answer]) -> Answer:
        """Ask what a document asks: see `Client.send`."""
        return cast("Answer", _accepted(await self.execute(request.text, request.variables)))

    async def execute(self, document: str, variables: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Send any document: see `Client.execute`."""
        try:
            return _data(await self._http.post("/graphql", json=_request(document, variables)))
        except httpx.RequestError as error:
            raise _no_answer(error) from error

    async def consume(self, user: str, feature: str, amount: int, *, key: str | None = None) -> int | None:
        """Count a use of a feature if it may be made: see `Client.consume`."""
        return _remaining(await self.send(_use(user, feature, amount, key)))

    async def access(self, user: str, feature: str) -> Access:
        """Return the gateway's decision: see `Client.access`."""
        try:
            return _access(await self._http.get(_path(user, feature)))
        except httpx.RequestError as error:
            raise _no_answer(error) from error

    async def allowed(self, user: str, feature: str) -> bool:
        """Say whether a user may use a feature: see `Client.allowed`."""
        if self._decisions.may_ask():
            try:
                self._note(user, feature, await self._http.get(_path(user, feature), timeout=self._patience))
            except httpx.RequestError as error:
                self._decisions.away(repr(error))
        return self._decisions.last(user, feature)


def _use(user: str, feature: str, amount: int, key: str | None) -> Request[ConsumePayload]:
    return CONSUME({"externalId": user, "feature": feature, "amount": amount, "idempotencyKey": key or uuid4().hex})


def _remaining(payload: ConsumePayload) -> int | None:
    count = payload["count"]
    return count and count["remaining"]


def _path(user: str, feature: str) -> str:
    return f"/access/{quote(user, safe='')}/{quote(feature, safe='')}"


def _request(document: str, variables: Mapping[str, Any] | None) -> dict[str, Any]:
    return {"query": document, "variables": variables or {}}


def _no_answer(error: httpx.RequestError) -> Unavailable:
    return Unavailable("NETWORK", f"the gateway did not answer: {error or type(error).__name__}")


def _json(response: httpx.Response) -> dict[str, Any]:
    """Return the JSON object of an answer; of a proxy's page an empty one."""
    try:
        content = response.json()
    except ValueError:
        content = None
    return content if isinstance(content, dict) else {}


def _not_ours(response: httpx.Response) -> BillingError:
    """Return what an answer is that is not the gateway's: a proxy has JSON of its own for an error."""
    kind = Unavailable if response.is_server_error else BillingError
    return kind("NETWORK", f"{response.url} answered {response.status_code}, and not as the gateway does")


def _failure(error: Mapping[str, Any], code: str, retry_after: float | None = None) -> BillingError:
    kind = Unavailable if code in TEMPORARY else BillingError
    return kind(code, error.get("message", "the gateway does not say what is wrong"), retry_after)


def _data(response: httpx.Response) -> dict[str, Any]:
    content = _json(response)
    errors, data = content.get("errors"), content.get("data")
    if isinstance(errors, list) and errors and isinstance(errors[0], dict):
        more = errors[0].get("extensions") or {}
        raise _failure(errors[0], more.get("code", "INTERNAL"), more.get("retryAfter"))
    if not isinstance(data, dict):
        raise _not_ours(response)
    return data


def _accepted(data: dict[str, Any]) -> Any:
    """Return what stands at the root."""
    (answer,) = data.values()
    if isinstance(answer, dict) and (problems := answer.get("userErrors")):
        raise Refused(problems, answer)
    return answer


def _access(response: httpx.Response) -> Access:
    content = _json(response)
    if isinstance(content.get("allowed"), bool):
        return cast("Access", content)
    error = content.get("error")
    if not isinstance(error, dict):
        raise _not_ours(response)
    failure = _failure(error, error.get("code", "INTERNAL"))
    raise Unavailable(failure.code, failure.message) if response.is_server_error else failure
