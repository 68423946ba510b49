"""A server in Stripe's place that answers what a test has written down, in order, and keeps what it was asked."""

import contextlib
import json
import threading
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit

Call = tuple[str, str, dict[str, str]]
"""A method, a path, and the parameters as Stripe's forms have them."""


@dataclass
class ScriptedStripe:
    """What is answered and what was asked.

    Attributes:
        url: its address.
        calls: what was asked, in order.
        keys: the idempotency keys of what was written, in order.
        replayed: methods and paths whose answers are those of an earlier call with the same key.
        meanwhile: what happens while a method and path is on its way.
    """

    url: str = ""
    calls: list[Call] = field(default_factory=list)
    keys: list[str | None] = field(default_factory=list)
    replayed: set[tuple[str, str]] = field(default_factory=set)
    meanwhile: dict[tuple[str, str], Callable[[], object]] = field(default_factory=dict)
    _answers: defaultdict[tuple[str, str], list[tuple[int, dict[str, Any]]]] = field(
        default_factory=lambda: defaultdict(list)
    )

    def answer(self, method: str, path: str, obj: dict[str, Any], *, status: int = 200, replayed: bool = False) -> None:
        """Give this answer to the next such call; the last one is given again and again."""
        self._answers[method, path].append((status, obj))
        if replayed:
            self.replayed.add((method, path))

    def refuse(self, method: str, path: str, code: str, *, status: int = 400) -> None:
        error = {"type": "invalid_request_error", "message": "no", "code": code}
        self.answer(method, path, {"error": error}, status=status)

    def forget(self, *call: str) -> None:
        """Give none of the answers that were written down: to this method and path, or without one to any."""
        if call:
            method, path = call
            self._answers[method, path].clear()
        else:
            self._answers.clear()

    def list(self, path: str, *pages: list[dict[str, Any]]) -> None:
        for number, data in enumerate(pages, 1):
            self.answer("GET", path, {"object": "list", "url": path, "data": data, "has_more": number < len(pages)})

    def _next(self, method: str, path: str) -> tuple[int, dict[str, Any]]:
        answers = self._answers[method, path]
        if not answers:
            return 500, {"error": {"type": "api_error", "message": f"nobody expected {method} {path}"}}
        return answers.pop(0) if len(answers) > 1 else answers[0]


@contextlib.contextmanager
def scripted_stripe() -> Iterator[ScriptedStripe]:
    """Serve until the block ends."""
    scripted = ScriptedStripe()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _answer(self) -> None:
            url = urlsplit(self.path)
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
            scripted.calls.append(
                (self.command, url.path, dict(parse_qsl(f"{url.query}&{body}", keep_blank_values=True)))
            )
            if self.command == "POST":
                scripted.keys.append(self.headers.get("Idempotency-Key"))
            scripted.meanwhile.get((self.command, url.path), lambda: None)()
            status, obj = scripted._next(self.command, url.path)
            answer = json.dumps(obj).encode()
            self.send_response_only(status)
            self.send_header("Date", formatdate(usegmt=True))
            self.send_header("Content-Length", str(len(answer)))
            self.send_header("Stripe-Should-Retry", "false")
            if (self.command, url.path) in scripted.replayed:
                self.send_header("Idempotent-Replayed", "true")
            self.end_headers()
            self.wfile.write(answer)

        do_GET = do_POST = do_DELETE = _answer  # noqa: N815 - its base class names them so

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    scripted.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield scripted
    finally:
        server.shutdown()
        server.server_close()
