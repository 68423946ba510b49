"""HTTP as it goes over the wire: requests as bytes, and the answers on a socket."""

import json
import socket

from harness.gateway import SECRET, World, stripe_signature

WEBHOOKS = "/webhooks/stripe"


def delivery(
    world: World, more: bytes = b"", *, start: str = f"POST {WEBHOOKS} HTTP/1.1", secret: str = SECRET, size=0, chunks=0
) -> tuple[bytes, bytes]:
    """A signed delivery of a new event: its head, and its body."""
    body = json.dumps(world.event("a.b", {"id": "x_1", "filling": "x" * size})).encode()
    signature = stripe_signature(body, secret)
    length = b"Transfer-Encoding: chunked\r\n" if chunks else b"Content-Length: %d\r\n" % len(body)
    head = f"{start}\r\nHost: x\r\nStripe-Signature: {signature}\r\n".encode() + length + more + b"\r\n"
    if chunks:
        parts = [body[at : at + chunks] for at in range(0, len(body), chunks)]
        body = b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in parts) + b"0\r\n\r\n"
    return head, body


def responses(connection: socket.socket, count: int = 1) -> list[tuple[int, dict[str, str], bytes]]:
    """So many answers, each as its status, its headers and its body, in their order."""
    stream = connection.makefile("rb", buffering=0)
    found: list[tuple[int, dict[str, str], bytes]] = []
    while len(found) < count:
        status = int(stream.readline().split()[1])
        headers = {}
        while b":" in (line := stream.readline().strip()):
            name, _, value = line.decode().partition(":")
            headers[name.lower()] = value.strip()
        if status >= 200:  # before that it says: go on
            body = b""
            while len(body) < int(headers.get("content-length", 0)):
                body += stream.read(int(headers["content-length"]) - len(body))
            found.append((status, headers, body))
    return found
