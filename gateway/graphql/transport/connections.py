"""The connections for live updates, by WebSocket or by events: who may open one, how many, and for how long."""

import random
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from starlette.responses import PlainTextResponse, Response

from gateway.auth.authenticator import LEEWAY_SECONDS
from gateway.auth.principal import Principal
from gateway.http.rate_limit import rate_limit_key
from gateway.observability.metrics import LIVE_CONNECTIONS
from gateway.settings import Settings


class LiveConnections:
    """The connections of one process.

    Args:
        settings: whose pages may open one, and the limits.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._open: Counter[str] = Counter()

    def refusal(self, client: str | None, *, origin: str | None, host: str | None) -> Response | None:
        """Return why a connection is refused before it opens, or None.

        Args:
            client: the address, when it is known.
            origin: the page's, if it is one.
            host: as the client calls the gateway.
        """
        settings = self._settings
        own = origin is not None and origin.partition("://")[2] == host
        if origin is not None and not own and origin not in settings.cors_origins:  # every page may open one
            return PlainTextResponse("pages of this origin may not call the API (GATEWAY_CORS_ORIGINS)", 403)
        if self._open.total() >= settings.websocket_connections:
            return PlainTextResponse("too many connections", 503, {"Retry-After": "10"})
        if self._open[_place(client)] >= settings.websocket_per_address:
            return PlainTextResponse("too many connections of this address", 429, {"Retry-After": "10"})
        return None

    @contextmanager
    def slot(self, client: str | None) -> Iterator[None]:
        """Count a connection of an address while it is open."""
        place = _place(client)
        self._open[place] += 1
        try:
            with LIVE_CONNECTIONS.track_inprogress():
                yield
        finally:
            self._open[place] -= 1
            if not self._open[place]:
                del self._open[place]

    def lasting(self, principal: Principal) -> tuple[float, bool]:
        """Return how many seconds a connection may last, and whether it is the caller's token that ends it then."""
        # not all of those who came back at once after a restart come back at once for ever
        seconds = self._settings.websocket_seconds * random.uniform(0.9, 1)  # noqa: S311 - no secret
        if principal.expires_at is None:
            return seconds, False
        left = principal.expires_at + LEEWAY_SECONDS - time.time()
        return min(left, seconds), left < seconds


def _place(client: str | None) -> str:
    return rate_limit_key(client or "unknown")
