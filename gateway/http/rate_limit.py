"""How often somebody may do something: the limits against abuse and card testing.

Counted per user, or per address for whoever is not signed in. A checkout is counted exactly (in every window, wherever
it begins), requests in windows that follow each other, which costs less and remembers one number for each address.
The application's own back end is not limited. Where several processes serve, Redis counts for all of them; while it is
away each process counts for itself: a shop that sells to nobody is worse than limits that are a few times wider.
"""

import math
import time
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from ipaddress import IPv6Address, ip_address
from typing import TYPE_CHECKING, Final

from gateway.auth.principal import Principal
from gateway.errors import RateLimited
from gateway.settings import MEMORY, Settings, limits_of

if TYPE_CHECKING:
    from gateway.http.counters import Counter, Counters

IPV6_HOST_BITS: Final = 64  # one household or one server has a whole /64


class Rates:
    """Counts and refuses. One instance for a process.

    Args:
        settings: the limits, and where they are counted.

    Raises:
        SettingsError: the storage cannot be used.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        alone = settings.rate_limit_storage.get_secret_value() == MEMORY
        self._requests = _Windows(settings.rate_limit_requests) if alone else self._exact.requests

    @cached_property
    def _exact(self) -> "Counters":
        # at the first mutation, or where Redis counts: `limits` brings four databases' clients, and takes 1.7 MB
        from gateway.http.counters import Counters

        return Counters(self._settings)

    async def request(self, address: str | None) -> None:
        """Count one request.

        Args:
            address: the client's IP address; None is not counted.

        Raises:
            RateLimited: there were too many.
        """
        if address is not None:
            _refuse("request", await self._requests.count(place_of(address)))

    async def change(self, principal: Principal, address: str | None) -> None:
        """Count one mutation.

        Raises:
            RateLimited: there were too many.
        """
        if not principal.is_service:
            await _count(self._exact.changes, principal, address)

    async def checkout(self, principal: Principal, address: str | None) -> None:
        """Count one checkout; a guest's more strictly.

        Raises:
            RateLimited: there were too many.
        """
        if not principal.is_service:
            counter = self._exact.guests if principal.subject is None else self._exact.checkouts
            await _count(counter, principal, address)


class _Windows:
    """Counts what comes often, in this process alone: limits' own memory looks through everybody's counts with each
    new one. A window is everybody's, and begins with the first count after the last one ended.

    Args:
        rate: the limits, such as `50/second; 3000/minute`, or `off`.
    """

    def __init__(self, rate: str) -> None:
        self._windows = [_Window(limit.amount, limit.seconds) for limit in limits_of(rate)]

    async def count(self, who: str) -> int | None:
        """Count one; how many seconds to wait when it was one too many."""
        now = time.monotonic()
        for window in self._windows:
            if now >= window.ends:
                window.ends, window.counts = now + window.seconds, {}
            count = window.counts[who] = window.counts.get(who, 0) + 1
            if count > window.amount:
                return math.ceil(window.ends - now)
        return None


@dataclass(slots=True)
class _Window:
    """So many of everybody in so many seconds; `ends` is on the process's own clock."""

    amount: int
    seconds: int
    ends: float = 0.0
    counts: dict[str, int] = field(default_factory=dict)


async def _count(counter: "Counter", principal: Principal, address: str | None) -> None:
    _refuse(counter.action, await counter.count(_who(principal, address)))


def _refuse(action: str, wait: int | None) -> None:
    if wait is not None:
        raise RateLimited(f"too many {action}s: wait {wait} s, then try again", retry_after=wait)


def _who(principal: Principal, address: str | None) -> str:
    """Whose count it is."""
    return f"user:{principal.subject}" if principal.subject else place_of(address or "unknown")


@lru_cache(maxsize=1024)
def place_of(address: str) -> str:
    """Return an address as it is counted: for IPv6 the network, because everybody has 2^64 addresses."""
    try:
        parsed = ip_address(address)
    except ValueError:
        return f"ip:{address}"
    if not isinstance(parsed, IPv6Address):
        return f"ip:{parsed}"
    if parsed.ipv4_mapped:
        return f"ip:{parsed.ipv4_mapped}"
    return f"ip:{IPv6Address(int(parsed) >> IPV6_HOST_BITS << IPV6_HOST_BITS)}"
