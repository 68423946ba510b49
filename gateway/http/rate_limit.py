"""How often somebody may do something: the limits against abuse and card testing.

Counted per user, or per address for whoever is not signed in, in fixed windows: one number for each key, so that a
count costs the same however many others are known. The application's own back end is not limited. Where several
processes serve, Redis counts for all of them; while it is away each process counts for itself: a shop that sells to
nobody is worse than limits that are a few times wider.
"""

import math
import time
from collections.abc import Callable, Sequence
from functools import lru_cache
from ipaddress import IPv6Address, ip_address
from itertools import islice
from typing import TYPE_CHECKING, Any, Final

import structlog

from gateway.auth.principal import Principal
from gateway.errors import RateLimited, SettingsError
from gateway.settings import Settings
from gateway.settings.values import MEMORY, Limit, limits_of
from gateway.stripe_api.circuit_breaker import CircuitBreaker

if TYPE_CHECKING:
    from limits.aio.storage import Storage

log = structlog.get_logger()

IPV6_HOST_BITS: Final = 64  # one household or one server has a whole /64
MAX_KEYS: Final = 40_000  # of one window: 3 MB
MAX_ADDRESS: Final = 64  # characters; what a proxy tells need not be an address
WRONG_TOKENS: Final = "30/minute"
WRONG_OPERATORS: Final = "10/minute; 50/hour"
PROVIDER_SIGN_INS: Final = "20/minute"  # there and back are two


class RateLimiter:
    """Counts and refuses. One instance for a process.

    Args:
        settings: the limits, and where they are counted.
        clock: returns the seconds, from any moment on.
        max_keys: how many users and addresses one window knows.

    Raises:
        SettingsError: the storage cannot be used.
    """

    def __init__(
        self, settings: Settings, *, clock: Callable[[], float] = time.monotonic, max_keys: int = MAX_KEYS
    ) -> None:
        url = settings.rate_limit_storage.get_secret_value()
        storage, breaker = None if url == MEMORY else _redis(url), CircuitBreaker(clock=clock)

        def counter(action: str, rate: str) -> Counter:
            limits = limits_of(rate)
            shared = SharedCounter(storage, action, limits, breaker) if storage else None
            return Counter(action, FixedWindowCounter(limits, clock=clock, max_keys=max_keys), shared)

        self._requests = counter("request", settings.rate_limit_requests)
        self._mutations = counter("change", settings.rate_limit_mutations)
        self._checkouts = counter("checkout", settings.rate_limit_checkouts)
        self._guest_checkouts = counter("guest checkout", settings.rate_limit_guest_checkouts)
        self._stripe_reads = counter("request that asks Stripe", settings.rate_limit_stripe_reads)
        self._all_stripe_reads = counter("request of all that asks Stripe", settings.rate_limit_all_stripe_reads)
        self._wrong_tokens = counter("wrong token", WRONG_TOKENS)
        self._wrong_operators = counter("failed sign-in", WRONG_OPERATORS)
        self._provider_sign_ins = counter("step of a sign-in", PROVIDER_SIGN_INS)

    def admit(self, address: str | None) -> bool:
        """Count one request if that can be done at once.

        Returns:
            False when `request` must decide: there were too many, or Redis counts.
        """
        return address is None or self._requests.admit(rate_limit_key(address))

    async def request(self, address: str | None) -> None:
        """Count one request.

        Args:
            address: the client's IP address; None is not counted.

        Raises:
            RateLimited: there were too many.
        """
        if address is not None:
            await self._requests.count(rate_limit_key(address))

    async def mutation(self, principal: Principal, address: str | None) -> None:
        """Count one mutation.

        Raises:
            RateLimited: there were too many.
        """
        if not principal.is_service:
            await self._mutations.count(_key(principal, address))

    async def checkout(self, principal: Principal, address: str | None) -> None:
        """Count one checkout; a guest's more strictly.

        Raises:
            RateLimited: there were too many.
        """
        if not principal.is_service:
            counter = self._guest_checkouts if principal.subject is None else self._checkouts
            await counter.count(_key(principal, address))

    async def stripe_read(self, principal: Principal, address: str | None, calls: int) -> None:
        """Count a query that may call Stripe: its caller's calls, and everybody's, so that checkouts keep a share.

        Args:
            principal: the caller.
            address: the client's IP address, when it is known.
            calls: how often it calls Stripe at most.

        Raises:
            RateLimited: there were too many.
        """
        if not principal.is_service:
            await self._stripe_reads.count(_key(principal, address), calls)
            await self._all_stripe_reads.count("", calls)

    async def wrong_token(self, address: str | None) -> None:
        """Count a request whose token was not accepted.

        Raises:
            RateLimited: there were too many.
        """
        await self._wrong_tokens.count(rate_limit_key(address or "unknown"))

    async def provider_sign_in(self, address: str | None) -> None:
        """Count a step of a sign-in with the operators' provider, which is asked then.

        Raises:
            RateLimited: there were too many.
        """
        await self._provider_sign_ins.count(rate_limit_key(address or "unknown"))

    async def wrong_operator(self, address: str | None) -> None:
        """Count a failed sign-in of an operator.

        Raises:
            RateLimited: there were too many.
        """
        await self._wrong_operators.count(rate_limit_key(address or "unknown"))


class Counter:
    """One kind of action, with its limits.

    Args:
        action: its name.
        own: counts in this process.
        shared: counts for all processes, while it is there.
    """

    def __init__(self, action: str, own: "FixedWindowCounter", shared: "SharedCounter | None") -> None:
        self._action = action
        self._own = own
        self._shared = shared

    def admit(self, key: str) -> bool:
        """Count one if that can be done at once, and return whether it may be done."""
        return self._shared is None and self._own.count(key) is None

    async def count(self, key: str, amount: int = 1) -> None:
        """Count some.

        Raises:
            RateLimited: there were too many.
        """
        wait = self._own.count(key, amount) if self._shared is None else await self._count_shared(key, amount)
        if wait is not None:
            raise RateLimited(f"too many {self._action}s: wait {wait} s, then try again", retry_after=wait)

    async def _count_shared(self, key: str, amount: int) -> int | None:
        """Count some for all processes; for this one alone while Redis is away."""
        from limits.errors import StorageError

        shared = self._shared
        if shared is None or shared.breaker.retry_after():
            return self._own.count(key, amount)
        try:
            wait = await shared.count(key, amount)
        except StorageError as error:
            shared.breaker.failure()
            log.warning("rates.storage_away", error=type(error.storage_error).__name__)
            return self._own.count(key, amount)
        shared.breaker.success()
        return wait


class FixedWindowCounter:
    """Counts in windows that follow each other; one begins for everybody with the first count after the last has ended.

    Keys are kept by their hash, which Python seeds anew for each process: texts of any length take the same memory.

    Args:
        limits: so many in so many seconds, all of which hold.
        clock: returns the seconds, from any moment on.
        max_keys: how many keys a window knows. One more, and the half that came first is forgotten: whoever has that
            many addresses is not held up by limits for each.
    """

    def __init__(self, limits: Sequence[Limit], *, clock: Callable[[], float], max_keys: int = MAX_KEYS) -> None:
        self._windows = [_Window(limit) for limit in limits]
        self._clock = clock
        self._max_keys = max_keys

    def count(self, key: str, amount: int = 1) -> int | None:
        """Count some, and return how many seconds to wait when they were too many."""
        now = self._clock()
        number = hash(key)
        for window in self._windows:
            if now >= window.ends:
                window.ends, window.counts = now + window.seconds, {}
            counts = window.counts
            count = counts.get(number, 0) + amount
            if len(counts) >= self._max_keys and number not in counts:
                counts = window.counts = dict(islice(counts.items(), self._max_keys // 2, None))
            counts[number] = count
            if count > window.amount:
                return math.ceil(window.ends - now)
        return None


class _Window:
    """The present window of one limit; `ends` is on the counter's clock."""

    def __init__(self, limit: Limit) -> None:
        self.amount, self.seconds = limit
        self.ends = -math.inf
        self.counts: dict[int, int] = {}


class SharedCounter:
    """Counts in Redis, by the `limits` library, in windows that begin with a key's first count.

    Args:
        storage: the library's.
        action: part of the names in Redis.
        limits: so many in so many seconds.
        breaker: of the storage, which all counters share: one that does not answer costs each request a second.
    """

    def __init__(self, storage: "Storage", action: str, limits: Sequence[Limit], breaker: CircuitBreaker) -> None:
        from limits import RateLimitItemPerSecond
        from limits.aio.strategies import FixedWindowRateLimiter

        self._limiter = FixedWindowRateLimiter(storage)
        self._action = action
        self.breaker = breaker
        self._items = [RateLimitItemPerSecond(limit.amount, limit.seconds) for limit in limits]

    async def count(self, key: str, amount: int = 1) -> int | None:
        """Count some, and return how many seconds to wait when they were too many.

        Raises:
            StorageError: Redis is away.
        """
        for item in self._items:
            if not await self._limiter.hit(item, self._action, key, cost=amount):
                window = await self._limiter.get_window_stats(item, self._action, key)
                return max(1, math.ceil(window.reset_time - time.time()))
        return None


def _redis(url: str) -> "Storage":
    """Return where the processes count together.

    Raises:
        SettingsError: it cannot be used.
    """
    # `limits` brings the clients of four databases, and takes 1.7 MB
    from limits.aio.storage import Storage
    from limits.errors import ConfigurationError
    from limits.storage import storage_from_string

    options: dict[str, Any] = {"wrap_exceptions": True, "socket_timeout": 1, "socket_connect_timeout": 1}
    try:
        storage = storage_from_string(f"async+{url}", implementation="redispy", **options)
    except ConfigurationError as error:
        raise SettingsError(f"GATEWAY_RATE_LIMIT_STORAGE: {error}") from None
    if not isinstance(storage, Storage):
        raise SettingsError(
            "GATEWAY_RATE_LIMIT_STORAGE: this storage is not supported; use memory:// or redis://host:port/0"
        )
    return storage


def _key(principal: Principal, address: str | None) -> str:
    """Return the name under which a caller is counted."""
    if principal.operator:
        return f"operator:{principal.operator.name}"
    return f"user:{principal.subject}" if principal.subject else rate_limit_key(address or "unknown")


def rate_limit_key(address: str) -> str:
    """Return an address as it is counted: of IPv6 the network, because everybody has 2^64 addresses."""
    return _network(address[:MAX_ADDRESS])


@lru_cache(maxsize=1024)
def _network(address: str) -> str:
    try:
        parsed = ip_address(address)
    except ValueError:
        return f"ip:{address}"
    if not isinstance(parsed, IPv6Address):
        return f"ip:{parsed}"
    if parsed.ipv4_mapped:
        return f"ip:{parsed.ipv4_mapped}"
    return f"ip:{IPv6Address(int(parsed) >> IPV6_HOST_BITS << IPV6_HOST_BITS)}"
