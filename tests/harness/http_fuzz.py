"""Generated HTTP requests, some of them hostile, and the check that each gets its own answer and nothing else."""

import contextlib
import itertools
import random
import socket
import threading
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

UPGRADES = [
    b"Upgrade: foo\r\nConnection: Upgrade\r\n",
    b"Upgrade: h2c\r\nConnection: Upgrade, HTTP2-Settings\r\nHTTP2-Settings: AAMAAABkAAQCAAAAAAIAAAAA\r\n",
    b"Upgrade: websocket\r\nConnection: Upgrade\r\n",
    b"Upgrade: WebSocket\r\nConnection: keep-alive, upgrade\r\nSec-WebSocket-Version: 13\r\n",
    b"Upgrade: websocket, foo\r\nConnection: upgrade\r\n",
    b"Upgrade: foo\r\nUpgrade: websocket\r\nConnection: upgrade\r\n",
    b"Connection: upgrade\r\n",
    b"Upgrade: foo\r\n",
]
MORE = [
    b"Expect: 100-continue\r\n",
    b"TE: trailers\r\n",
    b"Connection: keep-alive\r\n",
    b"X-Empty:\r\n",
    b"X-Wide: \t  v \t\r\n",
    b"Keep-Alive: 300\r\n",
]
HOSTILE_FRAMING = [
    b"Content-Length: +%d\r\n",
    b"Content-Length: %d, %d\r\n",
    b"Content-Length: %d\r\nContent-Length: 0\r\n",
    b"Content-Length: 0\r\nContent-Length: %d\r\n",
    b"Content-Length: %d\r\nTransfer-Encoding: chunked\r\n",
    b"Transfer-Encoding: chunked\r\nContent-Length: %d\r\n",
    b"Content-Length: %d\r\nTransfer-Encoding: xchunked\r\n",
    b"Content-Length: %d\r\nTransfer-Encoding : chunked\r\n",
    b"Content-Length: %d\r\nTransfer-Encoding:\x0bchunked\r\n",
    b"Content-Length: %d\r\n Transfer-Encoding: chunked\r\n",
    b"Content-Length: %d\r\nTransfer-Encoding: identity\r\n",
    b"Content-Length: %d\r\nX: y\nTransfer-Encoding: chunked\r\n",
    b"Content-Length : %d\r\n",
    b"Content-Length: %d\r\nConnection: Content-Length\r\n",
    b"Transfer-Encoding: chunked, identity\r\n",
    b"Transfer-Encoding: gzip, chunked\r\n",
    b"Transfer-Encoding: chunked, chunked\r\n",
    b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n",
    b"Transfer-Encoding: identity\r\nTransfer-Encoding: chunked\r\n",
    b"Transfer-Encoding:\r\n chunked\r\n",
    b'Transfer-Encoding: "chunked"\r\n',
    b"Transfer-Encoding: chunked;q=1\r\n",
    b"Transfer-Encoding: \x00chunked\r\nContent-Length: %d\r\n",
    b"X: y\rTransfer-Encoding: chunked\r\nContent-Length: %d\r\n",
    b"X: y\r\r\nTransfer-Encoding: chunked\r\nContent-Length: %d\r\n",
    b"Transfer_Encoding: chunked\r\nContent_Length: 0\r\nContent-Length: %d\r\n",
    b"Content-Length: 0%d\r\n",
    b"Content-Length: -%d\r\n",
    b"Content-Length: 0x%d\r\n",
    b"Content-Length: %d_0\r\n",
    b"Content-Length: 18446744073709551616%d\r\n",
    b"Content-Length:\r\nX-Length: %d\r\n",
    b"Content-Length: %d\n",
    b"Host: y\r\nContent-Length: %d\r\n",
    b": %d\r\nContent-Length: %d\r\n",
    b"GET /x HTTP/1.1\r\nContent-Length: %d\r\n",
]
HOSTILE_CHUNKS = [
    b"%x\n%b\r\n0\r\n\r\n",
    b"%x\r\n%b\n0\r\n\r\n",
    b"%x\r\n%b0\r\n\r\n",
    b"+%x\r\n%b\r\n0\r\n\r\n",
    b"-%x\r\n%b\r\n0\r\n\r\n",
    b"0x%x\r\n%b\r\n0\r\n\r\n",
    b"%x \r\n%b\r\n0\r\n\r\n",
    b" %x\r\n%b\r\n0\r\n\r\n",
    b"00000000000000000000%x\r\n%b\r\n0\r\n\r\n",
    b"10000000000000000%x\r\n%b\r\n0\r\n\r\n",
    b'%x;a="\r\n"\r\n%b\r\n0\r\n\r\n',
    b"%x;\n%b\r\n0\r\n\r\n",
    b"%x;a\rb\r\n%b\r\n0\r\n\r\n",
    b"%x\r\n%b\r\n00\r\n\r\n",
    b"%x\r\n%b\r\n0\n\n",
    b"%x\r\n%b\r\n0\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
    b"%x\r\n%b\r\n0\r\nX\r\n\r\n",
    b"%x\r\n%b\r\n0\r\n",
]
REQUEST_LINES = [
    b"%b http://x%b HTTP/1.1",
    b"%b http://elsewhere:81%b HTTP/1.1",
    b"%b %b HTTP/1.0",
    b"%b %b HTTP/1.0\r\nConnection: keep-alive",
    b"\r\n%b %b HTTP/1.1",
]
HOSTILE_LINES = [
    b"%b  %b HTTP/1.1",
    b"%b\t%b HTTP/1.1",
    b"%b %b HTTP/1.2",
    b"%b %b HTTP/2.0",
    b"%b %b HTTP/0.9",
    b"%b %b",
    b"%b %b HTTP/1.1\n",
    b" %b %b HTTP/1.1",
    b"%b %b HTTP/1.1 HTTP/1.1",
    b"%b %b\x00 HTTP/1.1",
]


@dataclass
class Echo:
    """An ASGI application, and a fast handler, that answers with the name of the request and the length of its body.

    The name is the path. What arrives is noted: a request that nobody has sent is a smuggled one.

    Attributes:
        arrived: how often each request has come.
        forwarded: those which a proxy in front has counted as requests too: to each it adds the client's address. What
            has swallowed the next request's head (its `X`) has taken that from it, and is not among them.
    """

    arrived: Counter[str] = field(default_factory=Counter)
    forwarded: set[str] = field(default_factory=set)

    async def __call__(self, scope, receive, send) -> None:
        headers = dict(scope["headers"])
        if b"x-forwarded-for" in headers and b"x" not in headers:
            self.forwarded.add(scope["path"])
        if scope["type"] == "websocket":
            self.arrived[scope["path"]] += 1
            await receive()
            await send({"type": "websocket.accept"})
            while (message := await receive())["type"] == "websocket.receive":
                await send({"type": "websocket.send", "text": f"{scope['path']} {message.get('text')}"})
            return
        self.arrived[scope["path"]] += 1
        body, more = b"", not scope["path"].startswith("/early")
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                return
            body += message.get("body", b"")
            more = message.get("more_body", False)
        text = f"{scope['path']} {len(body)}".encode()
        headers = [(b"content-length", b"%d" % len(text)), (b"x-name", scope["path"].encode())]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else text})


@dataclass(frozen=True)
class Generated:
    """A request.

    Attributes:
        name: its path.
        parts: its bytes as they are sent, part by part.
        size: of its body, as far as that is certain.
        is_hostile: whether its framing may be read in more than one way, or promise more than is sent.
        may_be_refused: whether an answer of the server's or the proxy's own is right.
        is_head: whether the answer has no body.
        ends: whether the connection ends with the answer, unless that says that it stays (HTTP/1.0).
    """

    name: str
    parts: list[bytes]
    size: int
    is_hostile: bool
    may_be_refused: bool
    is_head: bool
    ends: bool = False


numbers = itertools.count(1)


def generate(rng: random.Random) -> Generated:
    """Make a request of which nobody has sent the like."""
    name = f"/{rng.choice(['r', 'r', 'early'])}/{next(numbers)}"
    smuggled = f"/smuggled{name}".encode()
    within = [
        b"x" * rng.randrange(1, 5000),
        b"GET %b HTTP/1.1\r\nHost: x\r\n\r\n" % smuggled,
        b"0\r\n\r\nPOST %b HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc" % smuggled,
        b"POST %b HTTP/1.1\r\nHost: x\r\nContent-Length: 300\r\n\r\n" % smuggled,
        b"\r\n\r\nGET %b HTTP/1.1\r\nX: " % smuggled,
    ]
    method = rng.choice([b"GET", b"POST", b"POST", b"POST", b"PUT", b"HEAD", b"OPTIONS", b"DELETE", b"PATCH"])
    headers = [b"Host: x\r\n"]
    if rng.random() < 0.4:
        headers.append(rng.choice(UPGRADES))
    headers += [header for header in MORE if rng.random() < 0.12]
    is_hostile = rng.random() < 0.2
    line = rng.choice(REQUEST_LINES) if rng.random() < 0.15 else b"%b %b HTTP/1.1"
    body = b"" if rng.random() < 0.25 else rng.choice(within)
    if body and name.startswith("/early") and not is_hostile and MORE[0] not in headers:
        # What is shorter is not answered before it is whole. With `Expect` the connection ends with the answer, and a
        # client that sends so much without waiting may lose it to the reset (RFC 9112, 9.6).
        body *= 70_000 // len(body) + 1
    size = len(body)
    is_old = b"HTTP/1.0" in line
    if is_hostile and rng.random() < 0.2:
        line = rng.choice(HOSTILE_LINES)
        headers.append(b"Content-Length: %d\r\n" % size)
    elif is_hostile and rng.random() < 0.4:
        headers.append(b"Transfer-Encoding: chunked\r\n")
        body = rng.choice(HOSTILE_CHUNKS) % (size, body)
    elif is_hostile:
        framing = rng.choice(HOSTILE_FRAMING)
        headers.append(framing.replace(b"%d", b"%d" % size))
        if b"chunked" in framing and rng.random() < 0.5:
            body = chunked(body, rng)
    elif body and not is_old and rng.random() < 0.4 and len(body) < 70_000:
        headers.append(b"Transfer-Encoding: chunked\r\n")
        body = chunked(body, rng)
    elif body or rng.random() < 0.3:
        headers.append(b"Content-Length: %d\r\n" % size)
    rng.shuffle(headers)
    whole = b"%b\r\n%b\r\n%b" % (line % (method, name.encode()), b"".join(headers), body)
    cuts = sorted(rng.randrange(len(whole)) for _ in range(rng.choice([0, 0, 1, 2])))
    if rng.random() < 0.3 and body:
        cuts = [len(whole) - len(body)]  # the body in a segment of its own
    parts = [whole[start:end] for start, end in itertools.pairwise([0, *cuts, len(whole)])]
    # HAProxy takes no other authority than that of `Host`, and no body of some methods with HTTP/1.0.
    is_strange = is_old or b"elsewhere" in line
    may_be_refused = is_hostile or is_strange or b"websocket" in b"".join(headers).lower()
    return Generated(name, parts, size, is_hostile, may_be_refused, method == b"HEAD", is_old)


def plain(rng: random.Random) -> list[Generated]:
    """Make some requests that a client may send before it has an answer to the first."""
    found: list[Generated] = []
    wanted = rng.randrange(2, 6)
    while len(found) < wanted:
        request = generate(rng)
        whole = b"".join(request.parts)
        if request.name.startswith("/r") and not (
            request.may_be_refused or request.ends or b"Upgrade" in whole or b"Expect" in whole
        ):
            found.append(request)
    return found


def chunked(body: bytes, rng: random.Random) -> bytes:
    """Put a body into chunks, with an extension and trailers now and then."""
    coded = b""
    while body:
        size = rng.randrange(1, len(body) + 1)
        extension = b";a=b" if rng.random() < 0.2 else b""
        coded += b"%x%b\r\n%b\r\n" % (size, extension, body[:size])
        body = body[size:]
    trailer = b"X-Trailer: 1\r\nUpgrade: foo\r\nX-Name: smuggled\r\n" if rng.random() < 0.2 else b""
    return coded + b"0\r\n" + trailer + b"\r\n"


class Client:
    """A connection on which one request after the other is sent, and each answer must be its own."""

    def __init__(self, port: int, rng: random.Random) -> None:
        self._port, self._rng = port, rng
        self._socket: socket.socket | None = None
        self._stream = None

    def exchange(self, request: Generated) -> str | None:
        """Send a request and read the answer to it; what is wrong, or None."""
        if self._socket is None:
            self._socket = socket.create_connection(("127.0.0.1", self._port), timeout=20)
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._stream = self._socket.makefile("rb")
        # a hostile one may promise more than it sends
        self._socket.settimeout(0.5 if request.is_hostile else 20)
        try:
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                for part in request.parts:
                    self._socket.sendall(part)
            status, headers, body = self._read(is_head=request.is_head)
        except (ConnectionError, EOFError):
            self.close()
            return None if request.is_hostile else f"no answer to {request}"
        except TimeoutError:
            self.close()
            return None if request.is_hostile else f"no answer in time to {request}"
        # A hostile one may have been two; and after an answer that came before the body a proxy ends the connection.
        is_early = request.name.startswith("/early")
        stays = headers.get(b"connection", b"keep-alive" if not request.ends else b"close").lower()
        if request.is_hostile or is_early or stays == b"close":
            self.close()
        is_own = status == 200 and headers.get(b"x-name") == request.name.encode()
        is_whole = body == f"{request.name} {request.size}".encode()
        if is_own and (is_whole or request.is_head or request.is_hostile or is_early):
            return None
        if (
            request.may_be_refused
            and status in {400, 405, 411, 413, 417, 422, 426, 501, 505}
            and b"x-name" not in headers
        ):
            self.close()
            return None
        return f"{status} {headers} {body!r} to {request}"

    def exchange_at_once(self, requests: list[Generated]) -> str | None:
        """Send ordinary requests before any answer has come, and read the answers in their order; what is wrong."""
        self.close()
        with socket.create_connection(("127.0.0.1", self._port), timeout=20) as opened, opened.makefile("rb") as stream:
            self._socket, self._stream = opened, stream
            try:
                opened.sendall(b"".join(part for request in requests for part in request.parts))
                for request in requests:
                    _, headers, body = self._read(is_head=request.is_head)
                    if headers.get(b"x-name") != request.name.encode():
                        return f"{headers} {body!r} to {request}"
            except (OSError, EOFError) as error:
                return f"{error!r} instead of answers to {requests}"
            finally:
                self._socket = self._stream = None
        return None

    def _read(self, *, is_head: bool) -> tuple[int, dict[bytes, bytes], bytes]:
        while True:
            line = self._stream.readline()
            if not line.startswith(b"HTTP/1."):  # the end, or the answer to a request without a version (HTTP/0.9)
                raise EOFError
            status = int(line.split()[1])
            headers = {}
            while line := self._stream.readline().rstrip(b"\r\n"):
                name, _, value = line.partition(b":")
                headers[name.lower()] = value.strip()
            if status >= 200:
                break
        if is_head:
            return status, headers, b""
        if headers.get(b"transfer-encoding") == b"chunked":
            body = b""
            while size := int(self._stream.readline(), 16):
                body += self._stream.read(size)
                self._stream.readline()
            self._stream.readline()
            return status, headers, body
        return status, headers, self._stream.read(int(headers.get(b"content-length", 0)))

    def close(self) -> None:
        """Begin a new connection with the next request."""
        if self._socket is not None:
            self._stream.close()
            self._socket.close()
        self._socket = self._stream = None


def storm(port: int, echo: Echo, *, count: int, clients: int = 4, seed: int = 0, direct: bool = False) -> list[str]:
    """Send generated requests from several clients at once.

    Args:
        port: where they are sent.
        echo: the application at the end.
        count: how many requests each client sends.
        clients: how many there are.
        seed: makes the same requests again.
        direct: whether no proxy stands between: there a request with two lengths may be two requests of its sender.

    Returns:
        what was wrong.
    """
    wrong: list[str] = []
    sent: set[str] = set()
    echo.arrived.clear()
    echo.forwarded.clear()

    def run(number: int) -> None:
        rng = random.Random(f"{seed}/{number}")  # noqa: S311 - the same requests again, no secret
        client = Client(port, rng)
        for turn in range(count):
            if turn % 25 == 24:
                at_once = plain(rng)
                sent.update(request.name for request in at_once)
                if problem := client.exchange_at_once(at_once):
                    wrong.append(problem)
            request = generate(rng)
            sent.add(request.name)
            if direct and request.is_hostile:
                sent.add(f"/smuggled{request.name}")
            if problem := client.exchange(request):
                wrong.append(problem)
        client.close()

    threads = [threading.Thread(target=run, args=(number,)) for number in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(echo.arrived) > count * clients / 2, "too few arrived"
    # HAProxy reads a folded `Transfer-Encoding` (RFC 9112, 5.2), so that one body is a second request to both of us
    smuggled = [name for name in echo.arrived if name not in sent and name not in echo.forwarded]
    wrong += [f"{name} arrived, and nobody had sent it" for name in smuggled]
    return wrong + [f"{name} arrived {times} times" for name, times in echo.arrived.items() if times > 1]


@contextlib.contextmanager
def echoing(**options) -> Iterator[tuple[Echo, int]]:
    """Serve an echo with the gateway's own server; it, and its port."""
    from harness.gateway import listening, serve  # noqa: PLC0415 - what only sends needs no gateway

    echo = Echo()
    listener, _ = listening()
    port = listener.getsockname()[1]
    with serve(echo, listener, lifespan="off", **options):
        yield echo, port
