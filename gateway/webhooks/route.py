"""`POST /webhooks/stripe`: prove, record, answer.

2xx means durably recorded; anything else makes Stripe deliver again, for three days.
"""

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from gateway import metrics
from gateway.errors import DatabaseUnavailable, WebhookRefused
from gateway.settings import Settings
from gateway.stripe_client import verify
from gateway.webhooks.inbox import Inbox

BODY_LIMIT = 2 * 1024 * 1024


def webhook_route(settings: Settings, inbox: Inbox) -> Route:
    """The route. Without a secret it answers 404: an empty secret is forgeable.

    Args:
        settings: the signing secrets.
        inbox: where genuine events go.
    """

    async def receive(request: Request) -> Response:
        if not settings.stripe_webhook_secrets:
            return _answer(404, "not_configured", "STRIPE_WEBHOOK_SECRET is not set, so that no event can be proved")
        try:
            body = await _body(request)
            delivery = verify(body, request.headers.get("stripe-signature"), settings.stripe_webhook_secrets)
        except WebhookRefused as refused:
            metrics.WEBHOOKS_REFUSED.labels(refused.reason).inc()
            return _answer(413 if refused.reason == "body_too_large" else 400, refused.reason, str(refused))
        metrics.WEBHOOK_SECRET_USED.labels(delivery.secret_label).inc()
        try:
            created = await inbox.receive(delivery)
        except DatabaseUnavailable as error:
            answer = _answer(503, "not_recorded", str(error))
            answer.headers["retry-after"] = "5"
            return answer
        return JSONResponse({"received": True, "duplicate": not created})

    return Route("/webhooks/stripe", receive, methods=["POST"])


async def _body(request: Request) -> bytes:
    """The raw body, which is what was signed.

    Raises:
        WebhookRefused: it is larger than any event.
    """
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > BODY_LIMIT:
            raise WebhookRefused("body_too_large", f"the body is over {BODY_LIMIT} bytes")
    return bytes(body)


def _answer(status: int, code: str, message: str) -> JSONResponse:
    return JSONResponse({"error": {"code": code, "message": message}}, status_code=status)
