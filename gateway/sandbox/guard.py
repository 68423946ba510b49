"""Who may speak to a server on a developer's machine: programs, and its own pages; never a page of another site.

Two ways lead there from a browser. A page of another site can post a form, with a key as the user name in its address:
browsers say so in `Origin` and `Sec-Fetch-Site`, which programs do not send. And it can have its own name resolved to
this machine, so that it is the same site and reads every answer: that name is in `Host`, and is not one of ours.
"""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.responses import JSONResponse

if TYPE_CHECKING:
    from collections.abc import Iterable

    from starlette.types import ASGIApp, Receive, Scope, Send

_READS = frozenset({"GET", "HEAD"})
_PROGRAMS = ("/v1/", "/v2/", "/_sandbox/", "/subscribe")
"""What no page of another site has a reason to call or to embed, not even to read."""


class Guard:
    """Passes on what comes under a name of ours and, where it can change or tell something, from no other site.

    Args:
        app: What is guarded.
        names: Host names besides `localhost` and the names under it. An address (127.0.0.1, 192.168.1.5) is always
            let through, because nobody can have it resolved to another machine.
        only_names: Whether the sender does not matter, because CORS says who may read what nothing follows from.
    """

    def __init__(self, app: ASGIApp, names: Iterable[str] = (), *, only_names: bool = False) -> None:
        self._app = app
        self._names = {name.lower() for name in names}
        self._only_names = only_names

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or answer 403 with what to do."""
        problem = self._problem(scope) if scope["type"] in {"http", "websocket"} else None
        if problem is None:
            await self._app(scope, receive, send)
            return
        body = {"error": {"type": "invalid_request_error", "message": problem}}
        await JSONResponse(body, 403)(scope, receive, send)

    def _problem(self, scope: Scope) -> str | None:
        headers = Headers(scope=scope)
        host = headers.get("host", "")
        name = _name(host)
        if not self._is_ours(name):
            return f"The name {name!r} is not one of this server's. If it is yours, start it with --allow-host {name}."
        reads = scope["type"] == "http" and scope["method"] in _READS and not scope["path"].startswith(_PROGRAMS)
        if not reads and not self._only_names and _is_foreign(headers, host):
            return "A page of another site sent this request, which only programs and this server's own pages may."
        return None

    def _is_ours(self, name: str) -> bool:
        return name == "localhost" or name.endswith(".localhost") or name in self._names or _is_address(name)


def _name(host: str) -> str:
    """Return the name in a Host header, without its port."""
    try:
        return (urlsplit(f"//{host}").hostname or "").rstrip(".")
    except ValueError:
        return ""


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _is_foreign(headers: Headers, host: str) -> bool:
    """Return whether a browser sends this on behalf of another site.

    Every browser names the sender of a POST and of a WebSocket in `Origin`, newer ones also in `Sec-Fetch-Site`.
    """
    origin, sender = headers.get("origin"), headers.get("sec-fetch-site")
    if sender is not None and sender not in {"same-origin", "none"}:
        return True
    return origin is not None and origin.partition("://")[2] != host
