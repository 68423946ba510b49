"""`POST /webhooks/stripe`: prove, record, answer. 2xx means durably recorded; anything else is delivered again.

A thin ASGI layer in front of everything else: routing, dependencies and request objects would cost more than the event,
and the headers that guard a browser as much as its signature.
"""

from http import HTTPStatus
from typing import Any

import orjson
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gateway import metrics
from gateway.errors import DatabaseUnavailable, WebhookRefused
from gateway.headers import guarded
from gateway.settings import Settings
from gateway.stripe_client import verify
from gateway.webhooks.receiver import Receiver

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
            new = await self._take(scope, receive)
        except WebhookRefused as refused:
            metrics.WEBHOOKS_REFUSED.labels(refused.reason).inc()
            await _refuse(scope, send, _STATUS.get(refused.reason, 400), refused.reason, str(refused))
        except DatabaseUnavailable as error:
            await _refuse(scope, send, 503, "not_recorded", str(error), RETRY_AFTER)
        else:  # who has proved to hold the secret is no browser: there is nobody to guard
            for message in _RECEIVED[new]:
                await send(message)

    async def _take(self, scope: Scope, receive: Receive) -> bool:
        """Prove and record a delivery; whether it was new."""
        if not self._secrets:
            raise WebhookRefused("not_configured", "STRIPE_WEBHOOK_SECRET is not set, so that no event can be proved")
        header = dict(scope["headers"]).get(b"stripe-signature")
        delivery = verify(await _body(receive), header and header.decode("latin-1"), self._secrets)
        return await self._receiver.receive(delivery)


_STATUS = {"body_too_large": HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "not_configured": HTTPStatus.NOT_FOUND}


async def _body(receive: Receive) -> bytes:
    """The raw body, which is what was signed.

    Raises:
        WebhookRefused: it is larger than any event, or its sender hung up.
    """
    message = await receive()
    body: bytes = message.get("body", b"")
    while message.get("more_body") and len(body) <= BODY_LIMIT:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise WebhookRefused("body_cut_off", "the connection broke within the body")
        body += message.get("body", b"")
    if len(body) > BODY_LIMIT:
        raise WebhookRefused("body_too_large", f"the body is over {BODY_LIMIT} bytes")
    return body


def _answer(status: int, body: Any, *headers: tuple[bytes, bytes]) -> tuple[Message, Message]:
    """The two messages of an answer in JSON."""
    text = orjson.dumps(body)
    given = ((b"content-type", b"application/json"), (b"content-length", str(len(text)).encode()), *headers)
    return (
        {"type": "http.response.start", "status": int(status), "headers": given},
        {"type": "http.response.body", "body": text},
    )


_RECEIVED = {new: _answer(200, {"received": True, "duplicate": not new}) for new in (True, False)}


async def _refuse(scope: Scope, send: Send, status: int, code: str, text: str, *headers: tuple[bytes, bytes]) -> None:
    """Say why not, to whoever it is."""
    send = guarded(scope, send)
    for message in _answer(status, {"error": {"code": code, "message": text}}, *headers):
        await send(message)
