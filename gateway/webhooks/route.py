"""`POST /webhooks/stripe`: verify, record, answer. 2xx means durably recorded; anything else is delivered again.

A fast handler: tasks, routing and messages of ASGI would cost more than the event.
"""

from http import HTTPStatus
from typing import Any, Final

import orjson

from gateway.errors import GatewayError, WebhookRefused
from gateway.http.fast_path import Respond
from gateway.http.request import Header, Request, Response
from gateway.observability import metrics
from gateway.settings import Settings
from gateway.stripe_api.offline_time import HEADER, OfflineTime
from gateway.stripe_api.stripe_clock import StripeClock
from gateway.webhooks.event import Delivery, StripeEvent
from gateway.webhooks.receiver import DeliveryResult, Receiver
from gateway.webhooks.signature import verify

PATH: Final = "/webhooks/stripe"
BODY_LIMIT: Final = 2 * 1024 * 1024
_AHEAD: Final = HEADER.encode()


class WebhookRoute:
    """The route, a fast handler that takes every request.

    Args:
        settings: the signing secrets. Without one the route answers 404: an empty secret is forgeable.
        receiver: where genuine events go.
        offline_time: is told what time an offline Stripe's deliveries say it is.
        stripe_clock: what time it is at Stripe; this machine's may be wrong.
    """

    def __init__(
        self,
        settings: Settings,
        receiver: Receiver,
        offline_time: OfflineTime | None = None,
        stripe_clock: StripeClock | None = None,
    ) -> None:
        self._secrets = settings.stripe_webhook_secrets
        self._receiver = receiver
        self._stripe_clock = stripe_clock or StripeClock()
        self._offline_time = offline_time if settings.stripe_mode == "offline" else None

    def take(self, request: Request, respond: Respond) -> bool:
        """Answer a delivery, a genuine one when it is recorded."""
        if request.method != "POST":
            respond(_refusal(405, "method_not_allowed", "events come by POST", (b"allow", b"POST")))
            return True
        try:
            delivery = self._verify(request)
        except WebhookRefused as refused:
            metrics.WEBHOOKS_REFUSED.labels(refused.reason).inc()
            respond(_refusal(_STATUS.get(refused.reason, 400), refused.reason, str(refused)))
        else:
            self._receiver.submit(delivery, lambda result: respond(_response_to(result)))
        return True

    def _verify(self, request: Request) -> Delivery:
        """Return the delivery that a request brings.

        Raises:
            WebhookRefused: it is not genuine.
        """
        if not self._secrets:
            raise WebhookRefused("not_configured", "STRIPE_WEBHOOK_SECRET is not set, so that no event can be proved")
        if len(request.body) > BODY_LIMIT:
            raise WebhookRefused("body_too_large", f"the body is over {BODY_LIMIT} bytes")
        signature = request.headers.get(b"stripe-signature", b"").decode("latin-1")
        label = verify(request.body, signature, self._secrets, stripe_time=self._stripe_clock.now())
        if self._offline_time:
            self._offline_time.note_delivery(request.headers.get(_AHEAD, b"").decode("latin-1"))
        return Delivery(StripeEvent.parse(request.body), label)


_STATUS = {"body_too_large": HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "not_configured": HTTPStatus.NOT_FOUND}


def _json(status: int, content: Any, *headers: Header) -> Response:
    body = orjson.dumps(content)
    length = (b"content-length", b"%d" % len(body))
    return Response(status, [(b"content-type", b"application/json"), length, *headers], body)


def _refusal(status: int, code: str, text: str, *headers: Header) -> Response:
    return _json(status, {"error": {"code": code, "message": text}}, *headers)


_RECEIVED = {new: _json(200, {"received": True, "duplicate": not new}) for new in (True, False)}


def _response_to(result: DeliveryResult) -> Response:
    """Return what the sender of a genuine event is told."""
    if isinstance(result, GatewayError):
        return _refusal(503, "not_recorded", str(result), (b"retry-after", b"5"))
    return _RECEIVED[result]
