"""How often somebody may do something: the limits against abuse and card testing.

Counted per user, or per address for whoever is not signed in. A checkout is counted exactly (in every window, wherever
it begins), requests in windows that follow each other, which costs less and remembers one number for each address.
The application's own back end is not limited. Where several processes serve, Redis counts for all of them; while it is
away each process counts for itself: a shop that sells to nobody is worse than limits that are a few times wider.
"""

import math
import time
from dataclasses import dataclass, field
from functools import lru_cache
from ipaddress import IPv6Address, ip_address
from typing import Final

import limits
import structlog
from limits.aio.storage import MemoryStorage, Storage
from limits.aio.strategies import FixedWindowRateLimiter, MovingWindowRateLimiter, RateLimiter
from limits.errors import ConfigurationError, StorageError
from limits.storage import storage_from_string

from gateway.auth import Principal
from gateway.errors import RateLimited, SettingsError
from gateway.settings import Settings

IPV6_HOST_BITS: Final = 64  # one household or one server has a whole /64
MEMORY: Final = "memory://"

log = structlog.get_logger()


class Rates:
    """Counts and refuses. One instance for a process.

    Args:
        settings: the limits, and where they are counted.

    Raises:
        SettingsError: the storage cannot be used.
    """

    def __init__(self, settings: Settings) -> None:
        own = MemoryStorage()
        elsewhere = _storage(settings.rate_storage.get_secret_value())
        shared = elsewhere or own
        self._requests = (
            _Counter("request", settings.rate_requests, FixedWindowRateLimiter, shared, own)
            if elsewhere
            else _Windows("request", settings.rate_requests)
        )
        self._changes = _Counter("change", settings.rate_changes, MovingWindowRateLimiter, shared, own)
        self._checkouts = _Counter("checkout", settings.rate_checkouts, MovingWindowRateLimiter, shared, own)
        self._guests = _Counter("guest checkout", settings.rate_guest_checkouts, MovingWindowRateLimiter, shared, own)

    async def request(self, address: str | None) -> None:
        """Count one request.

        Args:
            address: the client's IP address; None is not counted.

        Raises:
            RateLimited: there were too many.
        """
        if address is not None:
            await self._requests.count(place_of(address))

    async def change(self, principal: Principal, address: str | None) -> None:
        """Count one mutation.

        Raises:
            RateLimited: there were too many.
        """
        if not principal.is_service:
            await self._changes.count(_who(principal, address))

    async def checkout(self, principal: Principal, address: str | None) -> None:
        """Count one checkout; a guest's more strictly.

        Raises:
            RateLimited: there were too many.
        """
        if not principal.is_service:
            counter = self._guests if principal.subject is None else self._checkouts
            await counter.count(_who(principal, address))


class _Counter:
    """One kind of action, with its limits.

    Args:
        action: its name.
        text: the limits, such as `5/minute; 30/hour`, or `off`.
        strategy: how it is counted.
        shared: where it is counted.
        own: where it is counted while that is away.
    """

    def __init__(self, action: str, text: str, strategy: type[RateLimiter], shared: Storage, own: Storage) -> None:
        self._action = action
        self._items = _parse(text)
        self._shared, self._own = strategy(shared), strategy(own)

    async def count(self, who: str) -> None:
        for item in self._items:
            wait = await self._hit(item, who)
            if wait is not None:
                raise _refusal(self._action, wait)

    async def _hit(self, item: limits.RateLimitItem, who: str) -> int | None:
        """Count one; how many seconds to wait when it was one too many."""
        try:
            return await _ask(self._shared, item, self._action, who)
        except StorageError as error:
            log.warning("rates.storage_away", error=type(error.storage_error).__name__)
            return await _ask(self._own, item, self._action, who)


class _Windows:
    """The same for what comes often, in this process alone: limits' own memory looks through everybody's counts with
    each new one. A window is everybody's, and begins with the first count after the last one ended.

    Args:
        action: its name.
        text: the limits.
    """

    def __init__(self, action: str, text: str) -> None:
        self._action = action
        self._windows = [_Window(item.amount, item.get_expiry()) for item in _parse(text)]

    async def count(self, who: str) -> None:
        now = time.monotonic()
        for window in self._windows:
            if now >= window.ends:
                window.ends, window.counts = now + window.seconds, {}
            count = window.counts[who] = window.counts.get(who, 0) + 1
            if count > window.amount:
                raise _refusal(self._action, math.ceil(window.ends - now))


@dataclass(slots=True)
class _Window:
    """So many of everybody in so many seconds; `ends` is on the process's own clock."""

    amount: int
    seconds: int
    ends: float = 0.0
    counts: dict[str, int] = field(default_factory=dict)


def _parse(text: str) -> list[limits.RateLimitItem]:
    return [] if text == "off" else limits.parse_many(text)


def _refusal(action: str, wait: int) -> RateLimited:
    return RateLimited(f"too many {action}s: wait {wait} s, then try again", retry_after=wait)


async def _ask(limiter: RateLimiter, item: limits.RateLimitItem, action: str, who: str) -> int | None:
    if await limiter.hit(item, action, who):
        return None
    window = await limiter.get_window_stats(item, action, who)
    return max(1, math.ceil(window.reset_time - time.time()))


def _storage(url: str) -> Storage | None:
    """Where the processes count together; None is the memory of each.

    Raises:
        SettingsError: it cannot be used.
    """
    if url == MEMORY:
        return None
    try:
        storage = storage_from_string(
            f"async+{url}", implementation="redispy", wrap_exceptions=True, socket_timeout=1, socket_connect_timeout=1
        )
    except ConfigurationError as error:
        raise SettingsError(f"GATEWAY_RATE_STORAGE: {error}") from None
    if not isinstance(storage, Storage):
        raise SettingsError("GATEWAY_RATE_STORAGE: use memory:// or redis://host:port/0")
    return storage


def _who(principal: Principal, address: str | None) -> str:
    """Whose count it is."""
    return f"user:{principal.subject}" if principal.subject else place_of(address or "unknown")


@lru_cache(maxsize=1024)
def place_of(address: str) -> str:
    """An address as it is counted: of IPv6 the network, because everybody has 2^64 addresses."""
    try:
        parsed = ip_address(address)
    except ValueError:
        return f"ip:{address}"
    if not isinstance(parsed, IPv6Address):
        return f"ip:{parsed}"
    if parsed.ipv4_mapped:
        return f"ip:{parsed.ipv4_mapped}"
    return f"ip:{IPv6Address(int(parsed) >> IPV6_HOST_BITS << IPV6_HOST_BITS)}"
