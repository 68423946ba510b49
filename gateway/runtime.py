"""The one composition of database, notifications, Stripe client and mirror.

The server, every command, `gateway dev`, the doctor and the tests use it, so that none of them can forget that a change
is heard by every process and has its effects.
"""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from gateway.billing.counting import controls
from gateway.billing.credits import settlement
from gateway.billing.customers import owners
from gateway.billing.figures import store as figures
from gateway.db.clock import Clock
from gateway.db.database import Database
from gateway.db.engines import Engines, create_engines
from gateway.db.notifications import Notifications
from gateway.db.worker_threads import WorkerThreads
from gateway.mirror.effects import Effect
from gateway.mirror.sync import Mirror
from gateway.outbound import access_watch, outbox
from gateway.settings import Settings
from gateway.settings.proxies import prepare_proxies
from gateway.stripe_api.client import Stripe

if TYPE_CHECKING:
    import httpx

EFFECTS: tuple[Effect, ...] = (
    owners.on_write,  # whose a customer is by its metadata
    access_watch.on_write,  # whose access may have changed; it also locks a customer for the order of his messages
    outbox.on_write,  # the application's own webhooks
    settlement.on_write,  # credits that are granted or taken back
    figures.on_write,  # whose figures are to be reckoned anew
)
"""What follows from every write of the mirror, in this order."""


@dataclass(frozen=True, slots=True)
class Runtime:
    """What everything else works with.

    Attributes:
        settings: the checked settings.
        clock: the time of business rules, which the database and the Stripe client share.
        database: the only one of the process.
        notifications: what this process hears of its own commits, and of the others' while `run` runs.
        stripe: the client; None without a key.
        mirror: the copy of Stripe, with its effects.
        transport: how requests are sent; None is over the network.
    """

    settings: Settings
    clock: Clock
    database: Database
    notifications: Notifications
    stripe: Stripe | None
    mirror: Mirror
    transport: "httpx.AsyncBaseTransport | None" = None

    def require_stripe(self) -> Stripe:
        """Return the Stripe client.

        Raises:
            SettingsError: there is no key.
        """
        self.settings.require_stripe()
        return cast("Stripe", self.stripe)

    async def close(self) -> None:
        """Close the connections to Stripe and to the database."""
        if self.stripe is not None:
            await self.stripe.close()
        await self.database.close()


def compose(
    settings: Settings,
    *,
    threads: Callable[..., WorkerThreads] = WorkerThreads,
    engines: Engines = create_engines,
    transport: "httpx.AsyncBaseTransport | None" = None,
) -> Runtime:
    """Put a runtime together; nothing is connected yet, and whoever calls this closes it.

    Args:
        settings: the checked settings.
        threads: makes what runs the database's work.
        engines: makes what that connects by.
        transport: how requests are sent; None is over the network.

    Raises:
        SettingsError: DATABASE_URL is wrong, or a proxy is named that cannot be used.
    """
    prepare_proxies(settings)
    clock, notifications = Clock(), Notifications()
    endpoints = [endpoint.url for endpoint in settings.outbound_endpoints]
    info: dict[str, Any] = {figures.KEEPS_FIGURES: settings.console}
    info |= {settlement.RENEWAL_GRACE: settings.renewal_grace, controls.ALERTS: settings.usage_alerts}
    url = settings.database_url.get_secret_value()
    database = Database(
        url,
        endpoints=endpoints,
        on_commit=notifications,
        clock=clock,
        info=info,
        connections=settings.database_connections,
        threads=threads,
        engines=engines,
    )
    stripe = Stripe(settings, clock, transport=transport) if settings.stripe_secret_key else None
    return Runtime(settings, clock, database, notifications, stripe, Mirror(database, EFFECTS), transport)


@asynccontextmanager
async def open_runtime(settings: Settings) -> AsyncIterator[Runtime]:
    """Yield a runtime, and close it at the end.

    Raises:
        SettingsError: DATABASE_URL is wrong, or a proxy is named that cannot be used.
    """
    runtime = compose(settings)
    try:
        yield runtime
    finally:
        await runtime.close()
