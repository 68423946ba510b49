"""`POST /webhooks/stripe`: prove, record, answer. 2xx means durably recorded; anything else is delivered again.

A thin ASGI layer in front of everything else: routing, dependencies and request objects would cost more than the event,
and the headers that guard a browser as much as its signature.
"""

from http import HTTPStatus
from typing import Any

import orjson
from starlette.types import ASGIApp, Receive, Scope, Send

from gateway.errors import GatewayError, WebhookRefused
from gateway.http.headers import guarded
from gateway.http.server import Answer, Headers, Shortcut, body_of
from gateway.observability import metrics
from gateway.settings import Settings
from gateway.webhooks.event import Delivery, StripeEvent
from gateway.webhooks.receiver import DeliveryResult, Receiver
from gateway.webhooks.signature import verify

PATH = "/webhooks/stripe"
BODY_LIMIT = 2 * 1024 * 1024
RETRY_AFTER = (b"retry-after", b"5")


class Webhooks:
    """ASGI middleware that answers the webhook route and passes everything else on.

    Args:
        app: the rest of the gateway.
        settings: the signing secrets. Without one the route answers 404: an empty secret is forgeable.
        receiver: where genuine events go.
    """

    def __init__(self, app: ASGIApp, settings: Settings, receiver: Receiver) -> None:
        self.shortcuts: dict[bytes, Shortcut] = {PATH.encode(): self._take}
        self._app = app
        self._secrets = settings.stripe_webhook_secrets
        self._receiver = receiver

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a delivery."""
        if scope["type"] != "http" or scope["path"] != PATH:
            await self._app(scope, receive, send)
            return
        if scope["method"] != "POST":
            await _refuse(scope, send, 405, "method_not_allowed", "events come by POST", (b"allow", b"POST"))
            return
        try:
            delivery = self._prove(scope["headers"], await _body(receive))
        except WebhookRefused as refused:
            metrics.WEBHOOKS_REFUSED.labels(refused.reason).inc()
            await _refuse(scope, send, _STATUS.get(refused.reason, 400), refused.reason, str(refused))
        else:  # who has proved to hold the secret is no browser: there is nobody to guard
            await _answer_to(await self._receiver.receive(delivery)).send_by(send)

    def _take(self, headers: Headers, body: bytes, answer: Answer) -> bool:
        """Take a genuine delivery; others go the ASGI way, which says what is wrong with them."""
        try:
            delivery = self._prove(headers, body)
        except WebhookRefused:
            return False
        self._receiver.submit(delivery, lambda result: answer(*_answer_to(result).ready))
        return True

    def _prove(self, headers: Headers, body: bytes) -> Delivery:
        if not self._secrets:
            raise WebhookRefused("not_configured", "STRIPE_WEBHOOK_SECRET is not set, so that no event can be proved")
        if len(body) > BODY_LIMIT:
            raise WebhookRefused("body_too_large", f"the body is over {BODY_LIMIT} bytes")
        header = dict(headers).get(b"stripe-signature", b"")
        label = verify(body, header.decode("latin-1"), self._secrets)
        return Delivery(StripeEvent.parse(body), label)


_STATUS = {"body_too_large": HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "not_configured": HTTPStatus.NOT_FOUND}


async def _body(receive: Receive) -> bytes:
    """Read the raw body, which is what was signed.

    Raises:
        WebhookRefused: its sender hung up.
    """
    body = await body_of(receive, BODY_LIMIT)
    if body is None:
        raise WebhookRefused("body_cut_off", "the connection broke within the body")
    return body


class _Answer:
    """An answer in JSON.

    Args:
        status: of HTTP.
        body: what JSON can hold.
        more: headers beside those of its type and length.
    """

    def __init__(self, status: int, body: Any, *more: tuple[bytes, bytes]) -> None:
        self._status, self._body = int(status), orjson.dumps(body)
        length = str(len(self._body)).encode()
        self._headers = ((b"content-type", b"application/json"), (b"content-length", length), *more)
        self.ready = self._status, b"".join(b"%b: %b\r\n" % header for header in self._headers), self._body

    async def send_by(self, send: Send) -> None:
        """Send it by ASGI's messages."""
        await send({"type": "http.response.start", "status": self._status, "headers": self._headers})
        await send({"type": "http.response.body", "body": self._body})


_RECEIVED = {new: _Answer(200, {"received": True, "duplicate": not new}) for new in (True, False)}


def _answer_to(result: DeliveryResult) -> _Answer:
    """Return the answer to the sender of a genuine event."""
    if isinstance(result, GatewayError):
        return _Answer(503, {"error": {"code": "not_recorded", "message": str(result)}}, RETRY_AFTER)
    return _RECEIVED[result]


async def _refuse(scope: Scope, send: Send, status: int, code: str, text: str, *headers: tuple[bytes, bytes]) -> None:
    """Say why not, to whoever it is."""
    await _Answer(status, {"error": {"code": code, "message": text}}, *headers).send_by(guarded(scope, send))
