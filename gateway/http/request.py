"""A request and its response, as they are made once for every handler that needs no ASGI."""

from collections.abc import Iterable, Mapping
from functools import lru_cache
from itertools import count
from random import randbytes
from typing import Any, Final
from urllib.parse import unquote

from starlette.types import Scope
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

Header = tuple[bytes, bytes]

ALWAYS: Final[tuple[Header, ...]] = (
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    # An answer is data: nothing in it is run, loaded or framed. A page brings a policy of its own.
    (b"content-security-policy", b"default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"),
    # Neither hinders a page that CORS allows to call: these are about windows, and about loads without CORS.
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"permissions-policy", b"camera=(), geolocation=(), microphone=(), payment=(), usb=()"),
    (b"cache-control", b"no-store"),
    (b"vary", b"Origin"),  # the headers of CORS depend on it
)
"""The headers of every response that has none of the same name."""

_PROCESS = randbytes(8).hex().encode()  # noqa: S311
_REQUESTS = count()
_SCHEMES = {b"http": "http", b"https": "https", b"ws": "http", b"wss": "https"}


class Request:
    """A request.

    Args:
        method: such as `GET`.
        target: the path and the query, as they were sent.
        raw_headers: their names in small letters.
        body: all of it.
        client: the address of the client, when it is known.
        scheme: `http` or `https`.
        made: what was made of the same bytes before.

    Attributes:
        made: what follows from these bytes alone, and is not made again when they come again.
    """

    __slots__ = ("_id", "body", "client", "made", "method", "path", "query", "raw_headers", "scheme")

    def __init__(
        self,
        method: str,
        target: bytes,
        raw_headers: list[Header],
        *,
        body: bytes,
        client: str | None,
        scheme: str,
        made: dict[str, Any] | None = None,
    ) -> None:
        self._id: bytes | None = None
        self.made = {} if made is None else made
        self.method = method
        self.raw_headers = raw_headers
        self.body = body
        self.client = client
        self.scheme = scheme
        path, _, self.query = target.partition(b"?")
        text = path.decode("latin-1")
        self.path = unquote(text) if "%" in text else text

    @classmethod
    def of(cls, scope: Scope, body: bytes) -> "Request":
        """Make one of an ASGI request, whose client and scheme are known to be right."""
        target, client = scope["raw_path"] + b"?" + scope["query_string"], client_of(scope)
        request = cls(scope["method"], target, scope["headers"], body=body, client=client, scheme=scope["scheme"])
        if name := scope.get("state", {}).get("request_id"):
            request._id = name.encode()
        return request

    @property
    def id(self) -> bytes:
        """The name under which the log and the answer know the request."""
        if self._id is None:
            self._id = new_request_id()
        return self._id

    @property
    def headers(self) -> Mapping[bytes, bytes]:
        """The headers by their names in small letters; of one that comes twice, the first."""
        found: Mapping[bytes, bytes] | None = self.made.get("headers")
        if found is None:
            found = self.made["headers"] = dict(reversed(self.raw_headers))
        return found

    @property
    def authorization(self) -> str | None:
        """The first `Authorization` header."""
        value = self.headers.get(b"authorization")
        return None if value is None else value.decode("latin-1")


class Response:
    """A response, with the headers that every response has.

    Args:
        status: of HTTP.
        headers: among them the length of the body; their names in small letters.
        body: all of it.
    """

    __slots__ = ("_given", "_head", "body", "status")

    def __init__(self, status: int, headers: Iterable[Header], body: bytes = b"") -> None:
        self.status = int(status)
        self.body = body
        self._given = tuple(headers)
        self._head: bytes | None = None

    @property
    def headers(self) -> list[Header]:
        """The headers, those of every response among them."""
        return complete(self._given)

    @property
    def head(self) -> bytes:
        """The headers as they are written."""
        if self._head is None:
            self._head = written(self._given) + _written_rest(tuple([name for name, _ in self._given]))
        return self._head


def new_request_id() -> bytes:
    """Return a name for a request; it is no secret."""
    return b"%b%016x" % (_PROCESS, next(_REQUESTS))


def client_of(scope: Scope) -> str | None:
    """Return the client's address of an ASGI request: behind the proxies of the settings the one that they forward."""
    client = scope.get("client")
    return client[0] if client else None


def header_of(scope: Scope, name: bytes) -> bytes | None:
    """Return the first header of an ASGI request with a name, which is in small letters."""
    return next((value for each, value in scope["headers"] if each == name), None)


def authorization_of(scope: Scope) -> str | None:
    """Return the first `Authorization` header of an ASGI request."""
    value = header_of(scope, b"authorization")
    return None if value is None else value.decode("latin-1")


def complete(headers: Iterable[Header]) -> list[Header]:
    """Add to the headers of a response those that it lacks of every response's."""
    given = list(headers)
    return given + _rest([name for name, _ in given])


def _rest(names: Iterable[bytes]) -> list[Header]:
    """Return those of every response's headers that are not among these names."""
    given = {name.lower() for name in names}
    return [header for header in ALWAYS if header[0] not in given]


@lru_cache(maxsize=128)  # the names are our own, and few
def _written_rest(names: tuple[bytes, ...]) -> bytes:
    return written(_rest(names))


def written(headers: Iterable[Header]) -> bytes:
    """Return headers as they go over the wire, a line for each."""
    return b"".join([b"%b: %b\r\n" % header for header in headers])


class TrustedProxies:
    """The proxies in front, whose `X-Forwarded-For` and `X-Forwarded-Proto` are believed.

    Args:
        hosts: their addresses or networks.
    """

    def __init__(self, hosts: Iterable[str]) -> None:
        # uvicorn's own list: which of the addresses in the header is the last that a trusted proxy has seen
        self._hosts = ProxyHeadersMiddleware(_nothing, list(hosts)).trusted_hosts

    def origin(self, client: str | None, scheme: str, headers: Iterable[Header]) -> tuple[str | None, str]:
        """Return whose request it is, and by which scheme it came to the first proxy.

        Args:
            client: the address of whoever has connected.
            scheme: of that connection.
            headers: of the request.
        """
        if client not in self._hosts:
            return client, scheme
        forwarded_for = []
        for name, value in headers:
            if name == b"x-forwarded-for":
                forwarded_for.append(value)
            elif name == b"x-forwarded-proto" and (forwarded := value.strip()) in _SCHEMES:
                scheme = _SCHEMES[forwarded]
        if forwarded_for:
            client = self._hosts.get_trusted_client_address(b", ".join(forwarded_for).decode("latin-1"))[0] or client
        return client, scheme


async def _nothing(*_: object) -> None:
    """Answer nothing: uvicorn's middleware wants an application."""
