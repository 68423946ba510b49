"""Exact counts, by the `limits` library: in every window, wherever it begins, and in Redis for several processes.

Imported when the first one is needed (see `gateway/http/rate_limit.py`).
"""

import math
import time

import structlog
from limits import RateLimitItemPerSecond
from limits.aio.storage import MemoryStorage, Storage
from limits.aio.strategies import FixedWindowRateLimiter, MovingWindowRateLimiter, RateLimiter
from limits.errors import ConfigurationError, StorageError
from limits.storage import storage_from_string

from gateway.errors import SettingsError
from gateway.settings import MEMORY, Settings, limits_of

log = structlog.get_logger()


class Counters:
    """All that is counted exactly. One instance for a process.

    Args:
        settings: the limits, and where they are counted.

    Raises:
        SettingsError: the storage cannot be used.
    """

    def __init__(self, settings: Settings) -> None:
        own = MemoryStorage()
        shared = _storage(settings.rate_limit_storage.get_secret_value()) or own
        self.requests = Counter("request", settings.rate_limit_requests, FixedWindowRateLimiter, shared, own)
        self.changes = Counter("change", settings.rate_limit_mutations, MovingWindowRateLimiter, shared, own)
        self.checkouts = Counter("checkout", settings.rate_limit_checkouts, MovingWindowRateLimiter, shared, own)
        self.guests = Counter(
            "guest checkout", settings.rate_limit_guest_checkouts, MovingWindowRateLimiter, shared, own
        )


class Counter:
    """One kind of action, with its limits.

    Args:
        action: its name.
        rate: the limits, such as `5/minute; 30/hour`, or `off`.
        strategy: how it is counted.
        shared: where it is counted.
        own: where it is counted while that is away.
    """

    def __init__(self, action: str, rate: str, strategy: type[RateLimiter], shared: Storage, own: Storage) -> None:
        self.action = action
        self._items = [RateLimitItemPerSecond(limit.amount, limit.seconds) for limit in limits_of(rate)]
        self._shared, self._own = strategy(shared), strategy(own)

    async def count(self, who: str) -> int | None:
        """Count one; how many seconds to wait when it was one too many."""
        for item in self._items:
            try:
                wait = await self._hit(self._shared, item, who)
            except StorageError as error:
                log.warning("rates.storage_away", error=type(error.storage_error).__name__)
                wait = await self._hit(self._own, item, who)
            if wait is not None:
                return wait
        return None

    async def _hit(self, limiter: RateLimiter, item: RateLimitItemPerSecond, who: str) -> int | None:
        if await limiter.hit(item, self.action, who):
            return None
        window = await limiter.get_window_stats(item, self.action, who)
        return max(1, math.ceil(window.reset_time - time.time()))


def _storage(url: str) -> Storage | None:
    """Return where the processes count together; None for the memory of each.

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
        raise SettingsError(f"GATEWAY_RATE_LIMIT_STORAGE: {error}") from None
    if not isinstance(storage, Storage):
        raise SettingsError("GATEWAY_RATE_LIMIT_STORAGE: use memory:// or redis://host:port/0")
    return storage
