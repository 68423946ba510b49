"""A webhook destination for tests: keeps what arrives and answers as told."""

import json
import threading
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from harness.waiting import eventually


@dataclass
class Receiver:
    """`answers` are the statuses of the next answers, then 200; `arrived` holds (body, headers) in order.

    `pause` is how many seconds it thinks before it has an event.
    """

    url: str = ""
    answers: list[int] = field(default_factory=list)
    arrived: list[tuple[bytes, dict]] = field(default_factory=list)
    pause: float = 0.0

    def types(self) -> list[str]:
        return [json.loads(body)["type"] for body, _ in self.arrived]

    def wait_for(self, count: int, seconds: float = 10) -> list[str]:
        """The types of what arrived, once there are `count`."""
        eventually(lambda: len(self.arrived) >= count, seconds=seconds)
        return self.types()

    def wait_for_type(self, type: str, seconds: float = 10) -> None:
        """Come back once an event of the type has arrived."""
        eventually(lambda: type in self.types(), seconds=seconds)


def start() -> tuple[Receiver, ThreadingHTTPServer]:
    receiver = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            length = int(self.headers["Content-Length"])
            body = self.rfile.read(length)
            if len(body) < length:  # the sender hung up
                return
            time.sleep(receiver.pause)
            receiver.arrived.append((body, dict(self.headers)))
            self.send_response(receiver.answers.pop(0) if receiver.answers else 200)
            self.end_headers()

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    receiver.url = f"http://127.0.0.1:{server.server_port}/hook"
    threading.Thread(target=server.serve_forever, daemon=True, kwargs={"poll_interval": 0.02}).start()
    return receiver, server
