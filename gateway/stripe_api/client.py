"""The only speaker to Stripe: pinned API version, one deadline, typed failures, and the webhook signature check."""

import asyncio
import copy
import hmac
import math
import re
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from email.utils import parsedate_to_datetime
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple, Self

import orjson

from gateway.errors import StripeFailure, StripeUnavailable, WebhookRefused
from gateway.observability import metrics, tracing
from gateway.settings import LIVE_KEY, Settings, WebhookSecret
from gateway.stripe_api.circuit_breaker import CircuitBreaker

if TYPE_CHECKING:
    from gateway.stripe_api.sdk import Client

API_VERSION = "2026-10-28.endive"
"""The version whose shapes the gateway asks for and reads; the SDK is pinned to the same."""

SIGNATURE_TOLERANCE_SECONDS = 300


@dataclass(frozen=True, slots=True)
class StripeResponse:
    """What Stripe answered.

    Args:
        object: the JSON object.
        as_of: the moment of the answer on Stripe's clock, in Unix seconds (its `Date` header).
        staleness_seconds: how many seconds before `as_of` the state may have been read (the duration of the call).
        replayed: whether this is the saved answer to an earlier call with the same idempotency key; its state is
            then as old as that call and must not be stored as the present one.
    """

    object: dict[str, Any]
    as_of: int
    staleness_seconds: int
    replayed: bool


class Stripe:
    """Calls to Stripe. One instance for a process, closed at its end.

    Args:
        settings: the key, the address and the deadline.
    """

    def __init__(self, settings: Settings) -> None:
        self._account: str | None = None
        self.livemode = bool(LIVE_KEY.match(settings.require_stripe()))
        self._deadline = settings.stripe_timeout
        self._breaker = CircuitBreaker()
        # made when something is first asked of Stripe, and shared with all that `on_behalf_of` gives
        self._client = cache(lambda: _client(settings))

    def on_behalf_of(self, account: str) -> Self:
        """The same client, speaking for a connected account."""
        other = copy.copy(self)
        other._account = account  # noqa: SLF001 - its own class
        return other

    async def get(self, path: str, **params: Any) -> StripeResponse:
        """Read an object or a page of a list, such as `/v1/products`.

        Raises:
            StripeMissing: there is no such object.
            StripeUnavailable: Stripe cannot be reached or was too slow.
            StripeFailure: any other refusal.
        """
        return await self._call("get", path, params)

    async def post(self, path: str, *, idempotency_key: str, **params: Any) -> StripeResponse:
        """Create or change an object.

        Args:
            path: such as `/v1/checkout/sessions`.
            idempotency_key: the same key and parameters give the same object, however often they are sent; v1 keeps
                them for at least 24 h.
            params: Stripe's parameters.

        Raises:
            StripeRefused: Stripe will not do this.
            StripeMissing: an object that the call names does not exist.
            StripeUnavailable: Stripe cannot be reached or was too slow.
        """
        return await self._call("post", path, {**params, "idempotency_key": idempotency_key})

    async def delete(self, path: str, **params: Any) -> StripeResponse:
        """Delete or cancel an object. It takes no idempotency key: whoever deletes twice finds it gone.

        Raises:
            StripeMissing: there is no such object (any more).
            StripeRefused: Stripe will not do this.
            StripeUnavailable: Stripe cannot be reached or was too slow.
        """
        return await self._call("delete", path, params)

    async def close(self) -> None:
        """Close the connections."""
        if self._client.cache_info().currsize:
            await self._client().close()

    async def _call(self, method: str, path: str, params: dict[str, Any]) -> StripeResponse:
        with tracing.span(f"stripe {method}", kind="CLIENT", path=path, account=self._account) as note:
            answer, request_id = await self._measured(method, path, params)
            note(**{"stripe.request_id": request_id, "replayed": answer.replayed})
            return answer

    async def _measured(self, method: str, path: str, params: dict[str, Any]) -> tuple[StripeResponse, str | None]:
        """The answer, and the id under which Stripe's own log has the request."""
        from gateway.stripe_api import sdk as stripe_sdk

        started = time.monotonic()
        if self._breaker.retry_after():
            metrics.STRIPE_CALLS.labels(method, "spared").inc()
            raise StripeUnavailable("Stripe is failing at the moment; try again in some seconds")
        try:
            async with asyncio.timeout(self._deadline):
                params = {**params, "stripe_account": self._account} if self._account else params
                response = await self._client().raw_request_async(method, path, **params)
        except TimeoutError:
            metrics.STRIPE_CALLS.labels(method, "timeout").inc()
            self._breaker.failure()
            raise StripeUnavailable("Stripe did not answer in time; try again") from None
        except stripe_sdk.StripeError as error:
            metrics.STRIPE_CALLS.labels(method, type(error).__name__).inc()
            refused = stripe_sdk.failure(error)
            if isinstance(refused, StripeUnavailable):
                self._breaker.failure(stripe_sdk.retry_after(error))
            else:
                self._breaker.success()  # a refusal is an answer
            raise refused from error
        self._breaker.success()
        metrics.STRIPE_CALLS.labels(method, "ok").inc()
        metrics.STRIPE_SECONDS.observe(time.monotonic() - started)
        answer = StripeResponse(
            object=response.data,
            as_of=_date(response.headers),
            staleness_seconds=math.ceil(time.monotonic() - started),
            replayed=response.headers.get("idempotent-replayed") == "true",
        )
        return answer, response.headers.get("request-id")


def _client(settings: Settings) -> "Client":
    from gateway.stripe_api import sdk as stripe_sdk

    return stripe_sdk.Client(settings, API_VERSION)


def _date(headers: Any) -> int:
    """The `Date` header in Unix seconds: Stripe's clock, never ours.

    Raises:
        StripeFailure: when the answer has none, because its place in time would be a guess.
    """
    try:
        return int(parsedate_to_datetime(headers["date"]).timestamp())
    except (KeyError, ValueError):
        raise StripeFailure("Stripe's answer has no usable Date header; is a proxy removing it?") from None


class Delivery(NamedTuple):
    """A webhook body that was proved genuine.

    Args:
        event: the parsed event.
        payload: the body, as Stripe sent it.
        secret_label: which of the configured secrets matched.
    """

    event: dict[str, Any]
    payload: str
    secret_label: str


def verify(body: bytes, header: str | None, secrets: Sequence[WebhookSecret]) -> Delivery:
    """Prove that a webhook body comes from Stripe and is recent, and parse it.

    Every secret is tried, so that two are valid during a rotation. A timestamp more than 300 s away, in the past or in
    the future, is refused (the SDK accepts the future). Otherwise the verdict is the SDK's, at half its price, which
    is paid for forgeries as well. Source: Stripe, "Verify webhook signatures manually".

    Args:
        body: the raw bytes of the request.
        header: the `Stripe-Signature` header.
        secrets: the configured secrets.

    Raises:
        WebhookRefused: with the reason as its code; nothing that a client can send raises anything else.
    """
    if not header:
        raise WebhookRefused("signature_missing", "there is no Stripe-Signature header")
    if not header.isascii():  # which hmac.compare_digest raises on
        raise WebhookRefused("signature_malformed", "the Stripe-Signature header is not ASCII")
    try:
        payload = body.decode()
    except UnicodeDecodeError:
        raise WebhookRefused("body_not_utf8", "the body is not UTF-8") from None
    stamp, signatures = _stamp_and_signatures(header)
    signed = b"%d.%b" % (stamp, body)
    label = _signer(signed, signatures, secrets)
    if label is None:
        raise WebhookRefused("signature_invalid", "no signature matches any configured secret for this body")
    if abs(time.time() - stamp) > SIGNATURE_TOLERANCE_SECONDS:  # an old recording, or one signed in the future
        raise WebhookRefused(
            "timestamp_outside_tolerance",
            f"the signature's time is more than {SIGNATURE_TOLERANCE_SECONDS} s away from this machine's clock",
        )
    return Delivery(event_of(body), payload, label)


def _stamp_and_signatures(header: str) -> tuple[int, list[str]]:
    """The time of a `Stripe-Signature` header, and its signatures of scheme `v1`: none where it has another form."""
    parts = [part.split("=") for part in header.split(",")]
    try:
        stamps = [part[1] for part in parts if part[0] == "t"]
        return int(stamps[0]), [part[1] for part in parts if part[0] == "v1"]
    except (ValueError, IndexError):
        return 0, []


def _signer(signed: bytes, signatures: Sequence[str], secrets: Sequence[WebhookSecret]) -> str | None:
    """The label of the secret that one of the signatures is of. Its time tells nothing about the right one."""
    for label, secret in secrets if signatures else ():
        expected = hmac.digest(secret.get_secret_value().encode(), signed, "sha256").hex()
        for signature in signatures:
            if hmac.compare_digest(expected, signature):
                return label
    return None


EVENT_ID = re.compile(r"[A-Za-z0-9_-]{1,255}")
EVENT_TYPE = re.compile(r"[a-z0-9_.]{1,255}(\[[a-z0-9_.]{1,255}\])?[a-z0-9_.]{0,255}")
LATEST_SECOND = 253_402_300_799
"""The end of the year 9999, the last moment that a datetime can hold."""


def event_of(payload: bytes | str) -> dict[str, Any]:
    """The event of a webhook's body. A thin event (v2) becomes one whose object has nothing but its id and kind.

    Raises:
        WebhookRefused: when it is none.
    """
    try:
        event = orjson.loads(payload)
    except orjson.JSONDecodeError:
        raise WebhookRefused("body_not_json", "the body is not JSON") from None
    if isinstance(event, dict):
        event["account"] = _account(event)
        if event.get("object") == "v2.core.event":
            event = _from_thin(event)
    return check_event(event)


def _account(event: dict[str, Any]) -> str | None:
    """The account that an event is from, where it is not our own. Connect names it in `account`; a thin event, and any
    that an organisation's endpoint gets, in `context`: `acct_…`, below an organisation `org_…/acct_…`.

    Source: https://docs.stripe.com/changelog/basil/2025-04-30/additional-context-organization-events.
    """
    found = event.get("account") or event.get("context")
    return str(found).rpartition("/")[2] or str(found) if found else None


def _from_thin(event: dict[str, Any]) -> dict[str, Any]:
    """A thin event in the form of the others: `v1.invoice.paid` is the thin form of `invoice.paid`.

    What it does not hold is fetched. Source: https://docs.stripe.com/event-destinations#thin-events.
    """
    related, kind = event.get("related_object"), event.get("type")
    try:
        created = int(datetime.fromisoformat(str(event.get("created"))).timestamp())
    except (ValueError, OverflowError):
        created = -1  # which is refused
    return {
        **event,
        "object": "event",
        "thin": True,
        "type": kind.removeprefix("v1.") if isinstance(kind, str) else kind,
        "created": created,
        "data": {"object": {"id": related.get("id"), "object": related.get("type")}}
        if isinstance(related, dict)
        else {"object": {}},
    }


def check_event(event: Any) -> dict[str, Any]:
    """The event, when it has what every event has; what its object must have is the mirror's to say.

    Raises:
        WebhookRefused: when it is not an event.
    """
    if not isinstance(event, dict):
        raise WebhookRefused("not_an_event", "the body is no JSON object")
    made, data = event.get("created"), event.get("data")
    problem = None
    if not isinstance(event.get("id"), str) or not EVENT_ID.fullmatch(event["id"]):
        problem = "id"
    elif not isinstance(event.get("type"), str) or not EVENT_TYPE.fullmatch(event["type"]):
        problem = "type"
    elif event.get("object") != "event":
        problem = "object"
    elif type(made) is not int or not 0 <= made <= LATEST_SECOND:
        problem = "created"
    elif not isinstance(data, dict) or not isinstance(data.get("object"), dict):
        problem = "data.object"
    if problem:
        raise WebhookRefused("not_an_event", f"the body is no Stripe event: its `{problem}` is missing or malformed")
    return event
