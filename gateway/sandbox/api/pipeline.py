"""The pipeline of an API request: key, version, parameters, idempotency, handler, expansion, answer."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import logging
import re
import time
from collections import deque
from email.utils import formatdate
from typing import TYPE_CHECKING, Any

import orjson
from starlette.responses import Response

from gateway.sandbox.api.form_encoding import parse_form, parse_multipart
from gateway.sandbox.api.routing import Route, match
from gateway.sandbox.core.errors import StripeError, invalid, rate_limited, unauthorized, unrecognized_url
from gateway.sandbox.core.periods import DAY
from gateway.sandbox.core.ports import Download, Request
from gateway.sandbox.options import API_VERSION

if TYPE_CHECKING:
    from starlette.requests import Request as HttpRequest

    from gateway.sandbox.core.ports import Sandbox
    from gateway.sandbox.core.store import Obj

_log = logging.getLogger(__name__)
_VERSION = re.compile(r"\d{4}-\d{2}-\d{2}(\.[a-z]+)?$")
_KEY_LENGTH = 255
_NO_KEY = (
    "You did not provide an API key. You need to provide your API key in the Authorization header, using Bearer auth "
    "(e.g. 'Authorization: Bearer YOUR_SECRET_KEY'). See https://stripe.com/docs/api#authentication for details, or "
    "we can help at https://support.stripe.com/."
)


class Api:
    """The ASGI-facing side of `/v1`: one call of `handle` per request."""

    def __init__(self, sandbox: Sandbox) -> None:
        self.sandbox = sandbox
        self._recent: deque[float] = deque()

    async def handle(self, http: HttpRequest) -> Response:
        """Answer one HTTP request; the handling itself runs at one go."""
        body = await http.body()
        way = self.sandbox.chaos.settings()["latency_seconds"] / 2
        await asyncio.sleep(way)
        response = self._respond(http, body)
        await asyncio.sleep(way)
        return response

    def _respond(self, http: HttpRequest, body: bytes) -> Response:
        request_id = self.sandbox.new_id("req").replace("req_1", "req_", 1)[:18]
        headers = {"Request-Id": request_id, "Stripe-Version": API_VERSION, "Cache-Control": "no-cache, no-store"}
        answer: bytes | Download
        try:
            status, answer, more = self._answer(http, body, request_id)
            headers |= more
        except StripeError as error:
            status, answer = error.status, _json(error.body())
            headers["Stripe-Should-Retry"] = "true" if status in (409, 429) else "false"
            if status == 401:  # noqa: PLR2004 -- HTTP's own number
                headers["WWW-Authenticate"] = 'Basic realm="Stripe"'
        except Exception as error:  # noqa: BLE001 -- the last resort, logged
            # A fault of the sandbox's own: answered as Stripe answers its faults, and shown on its console.
            _log.exception("%s %s failed", http.method, http.url.path)
            fault = StripeError(f"The sandbox failed: {error!r}. Please report it.", status=500, type="api_error")
            status, answer = fault.status, _json(fault.body())
        headers |= time_headers(self.sandbox)
        if isinstance(answer, Download):
            return Response(answer.content, status, headers, answer.type)
        return Response(answer, status, headers, "application/json")

    def _answer(self, http: HttpRequest, body: bytes, request_id: str) -> tuple[int, bytes | Download, dict[str, str]]:
        authenticate(http.headers.get("authorization"))
        self._limit_rate()
        method, path = http.method, http.url.path
        found = match(method, path)
        if found is None:
            self.sandbox.unknown_paths[f"{method} {path}"] += 1
            raise unrecognized_url(method, path)
        # Behind the version some clients name previews that they take part in: `2025-03-31.basil; some_beta=v1`.
        version = (http.headers.get("stripe-version") or "").partition(";")[0].strip() or None
        if version and not _VERSION.match(version):
            raise invalid(f"Invalid Stripe API version: {version}")
        entry, named = found
        raw = _decoded(http, body)
        key = http.headers.get("idempotency-key") if method == "POST" else None
        request = Request(
            method=method,
            path=path,
            version=version,
            id=request_id,
            idempotency_key=key,
            base_url=self.sandbox.options.public_url or str(http.base_url).rstrip("/"),
        )
        more = {"Stripe-Version": version or API_VERSION}
        if key is None:
            return *self._run(entry, named, raw, request), more
        more["Idempotency-Key"] = key
        return self._once(entry, named, raw, request, more)

    def _once(
        self, entry: Route, named: dict[str, str], raw: Obj, request: Request, more: dict[str, str]
    ) -> tuple[int, bytes | Download, dict[str, str]]:
        """Run a request with an idempotency key once and replay its outcome afterwards.

        Requests are handled one at a time, so the second of two at once finds the first one's outcome. An answer
        from before the handler began (a wrong parameter) is not kept, as at Stripe
        (https://docs.stripe.com/api/idempotent_requests).
        """
        key = str(request.idempotency_key)
        if len(key) > _KEY_LENGTH:
            raise invalid(f"Idempotency key is too long: it may have up to {_KEY_LENGTH} characters.")
        store = self.sandbox.store
        digest = hashlib.sha256(orjson.dumps(raw, option=orjson.OPT_SORT_KEYS)).hexdigest()
        stored = store.get("_idempotency", key)
        if stored and stored["at"] > time.time() - DAY:
            if stored["path"] != request.path:
                raise StripeError(
                    "Keys for idempotent requests can only be used for the same endpoint they were first used for "
                    f"('{request.path}' vs '{stored['path']}'). Try using a key other than '{key}' if you meant to "
                    "execute a different request.",
                    type="idempotency_error",
                )
            if stored["digest"] != digest:
                raise StripeError(
                    "Keys for idempotent requests can only be used with the same parameters they were first used "
                    f"with. Try using a key other than '{key}' if you meant to execute a different request.",
                    type="idempotency_error",
                )
            more |= {"Idempotent-Replayed": "true", "Original-Request": stored["request"]}
            return stored["status"], _json(stored["body"]), more
        record = {
            "object": "_idempotency",
            "id": key,
            "at": time.time(),
            "path": request.path,
            "digest": digest,
            "request": request.id,
        }
        status, answer = self._run(entry, named, raw, request, record)
        more["Original-Request"] = str(request.id)
        return status, answer, more

    def _run(
        self, entry: Route, named: dict[str, str], raw: Obj, request: Request, record: Obj | None = None
    ) -> tuple[int, bytes | Download]:
        """Validate, handle and present; the record of an idempotency key commits with the changes."""
        request = _validated(entry, raw, request)
        sandbox = self.sandbox
        refusal: StripeError | None = None
        status, shown = 200, {}
        try:
            with sandbox.serving(request):
                try:
                    found = entry.handler(sandbox, request, **named)
                    if isinstance(found, Download):
                        return status, found
                    shown = sandbox.present(found, request.expand, request.version)
                except StripeError as error:
                    if not error.keep:
                        raise
                    refusal, status, shown = error, error.status, error.body()
                if record:
                    sandbox.store.put({**record, "status": status, "body": shown})
        except StripeError as error:
            refusal = error
            if record:
                sandbox.store.put({**record, "status": error.status, "body": error.body()})
        if refusal:
            raise refusal
        return status, _json(shown)

    def _limit_rate(self) -> None:
        limit = self.sandbox.chaos.settings()["rate_limit"]
        if not limit:
            return
        now = time.monotonic()
        while self._recent and self._recent[0] <= now - 1:
            self._recent.popleft()
        if len(self._recent) >= limit:
            raise rate_limited()
        self._recent.append(now)


def time_headers(sandbox: Sandbox) -> dict[str, str]:
    """Return what tells a client the sandbox's time.

    `Date` is the sandbox's clock, not the server's: clients place what they read in time by it. Whoever serves this app
    turns the server's own off (uvicorn: date_header=False). The other one Stripe does not have: a client that plays
    time together with the sandbox runs so many seconds ahead of the machine's clock.
    """
    return {"Date": formatdate(sandbox.now(), usegmt=True), "Offline-Stripe-Ahead": str(sandbox.clock.ahead)}


def _json(value: Obj) -> bytes:
    return orjson.dumps(value, option=orjson.OPT_INDENT_2)


def authenticate(header: str | None) -> None:
    """Accept any test key, as HTTP Basic user name or Bearer token.

    Raises:
        StripeError: 401 without a key, with a live key or with something that is no secret key.
    """
    scheme, _, credentials = (header or "").partition(" ")
    key = credentials.strip()
    if scheme.lower() == "basic":
        try:
            key = base64.b64decode(key).decode().partition(":")[0]
        except ValueError:
            key = ""
    if not key:
        raise unauthorized(_NO_KEY)
    if key.startswith(("sk_live_", "rk_live_")):
        raise unauthorized("This is an offline sandbox: a live key must never be sent here. Use any sk_test_… key.")
    if not key.startswith(("sk_test_", "rk_test_", "pk_test_")):
        raise unauthorized(f"Invalid API Key provided: {key[:8]}{'*' * max(len(key) - 12, 0)}{key[-4:]}")


def _decoded(http: HttpRequest, body: bytes) -> Obj:
    values = parse_form(http.url.query)
    if http.method == "POST" and body:
        content_type = http.headers.get("content-type", "")
        if content_type.startswith("multipart/form-data"):
            return values | parse_multipart(content_type, body)
        if content_type.startswith("application/json"):
            try:
                decoded: Any = orjson.loads(body)
            except orjson.JSONDecodeError as error:
                raise invalid(f"Invalid JSON in the request body: {error}") from None
            if not isinstance(decoded, dict):
                raise invalid("The request body must be a JSON object.")
            return values | decoded
        values |= parse_form(body.decode("utf-8", "replace"))
    return values


def _validated(entry: Route, raw: Obj, request: Request) -> Request:
    params = entry.checked(raw, request.version)
    expand = params.get("expand", [])
    return Request(
        **{
            **vars(request),
            "params": {key: value for key, value in params.items() if key != "expand"},
            "expand": tuple(expand if isinstance(expand, list) else (expand,)),
        }
    )
