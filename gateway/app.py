"""Where the parts are put together: `create_app(settings)` is the gateway as one ASGI application."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from functools import partial

import structlog
from starlette.routing import BaseRoute
from starlette.types import ASGIApp

from gateway import __version__
from gateway.auth.authenticator import Authenticator
from gateway.auth.operators import Operators
from gateway.billing.audit import AuditLog
from gateway.billing.catalog.service import Catalog
from gateway.billing.checkout.free import FreeStart
from gateway.billing.checkout.service import Checkout
from gateway.billing.checkout.sessions import Sessions
from gateway.billing.counting.service import CountedFeatures
from gateway.billing.credits.service import run_expiry
from gateway.billing.customers.access_memory import AccessMemory
from gateway.billing.customers.account_reader import AccountReader
from gateway.billing.customers.directory import CustomerDesk
from gateway.billing.customers.service import Customers
from gateway.billing.failover import Failover
from gateway.billing.figures.store import Figures
from gateway.billing.metering.forwarder import UsageForwarder
from gateway.billing.portal import Portal
from gateway.billing.refunds import Refunds
from gateway.billing.subscriptions.access_changes import AccessChangePublisher
from gateway.billing.subscriptions.ending import EndingService
from gateway.billing.subscriptions.promotions import PromotionService
from gateway.billing.subscriptions.service import SubscriptionService
from gateway.errors import DatabaseUnavailable, GatewayError
from gateway.graphql.base.context import Services
from gateway.graphql.transport.http import PATH as GRAPHQL
from gateway.graphql.transport.http import GraphQL
from gateway.graphql.transport.negotiation import MAX_BODY_BYTES
from gateway.graphql.transport.response_cache import ResponseCache
from gateway.graphql.transport.throttle import Throttle
from gateway.http import collector, plain_imports
from gateway.http.edge import Edge
from gateway.http.fast_path import FastRoute
from gateway.http.headers import EdgeHeaders
from gateway.http.rate_limit import RateLimiter
from gateway.http.request import TrustedProxies
from gateway.mirror.own_account import tell_of_other_account
from gateway.observability import tracing
from gateway.observability.logging import configure_logging
from gateway.operators.desk import OperatorDesk
from gateway.rest.access import PREFIX, AccessHandler
from gateway.rest.callers import Callers
from gateway.rest.health import operations
from gateway.rest.ofrep import BODY_LIMIT as OFREP_LIMIT
from gateway.rest.ofrep import PREFIX as OFREP
from gateway.rest.ofrep import ofrep_handler
from gateway.rest.openapi import Rest
from gateway.retention.task import run_retention
from gateway.runtime import Runtime, compose
from gateway.settings import Settings
from gateway.web import console
from gateway.web.documents import documents
from gateway.web.routes import web_routes
from gateway.webhooks.catch_up import run_catch_up
from gateway.webhooks.inbox import Inbox
from gateway.webhooks.receiver import Receiver
from gateway.webhooks.route import BODY_LIMIT, WebhookRoute
from gateway.webhooks.route import PATH as WEBHOOKS
from gateway.webhooks.worker import Worker

log = structlog.get_logger()

RESTART_SECONDS = 1.0

Run = Callable[[], Awaitable[None]]
"""Runs until it is cancelled, or returns because it has nothing to do."""


def create_app(settings: Settings, *, runtime: Runtime | None = None, pages: tuple[BaseRoute, ...] = ()) -> ASGIApp:
    """Return the gateway.

    Args:
        settings: checked settings, with a Stripe key.
        runtime: an open one, which whoever opened it closes; otherwise the application has its own.
        pages: more routes; `gateway dev` adds the demo shop.

    Raises:
        SettingsError: a setting is missing or wrong.
    """
    settings.require_stripe()
    is_own, runtime = runtime is None, runtime or compose(settings)
    if settings.otlp_endpoint:
        tracing.start(settings.otlp_endpoint)
    services, authenticator, operators = compose_services(runtime), Authenticator(settings), Operators(settings)
    graphql = GraphQL(
        services, authenticator, operators, sample_users=bool(pages), documents=documents() | console.documents()
    )
    sign_in = console.provider_sign_in(settings, operators, services.limiter)
    inbox = Inbox.of(runtime)
    receiver = Receiver(inbox)

    @asynccontextmanager
    async def lifespan(_: Rest) -> AsyncIterator[None]:
        settings.warn_about_names()
        tasks = background_tasks(runtime, inbox, receiver)
        async with supervised({**tasks, "failover": services.failover.run}):
            await runtime.notifications.listening()  # what was read before must be read again
            with suppress(DatabaseUnavailable):  # readyz tells; the gateway starts, and serves when the database does
                await services.catalog.snapshot()
            yield
        await authenticator.close()
        await operators.close()
        if sign_in:
            await sign_in.close()
        if is_own:
            await runtime.close()
        tracing.stop()

    rest = Rest(
        title="Billing gateway",
        version=__version__,
        lifespan=lifespan,
        docs_url=None,  # Swagger's page loads from a public CDN; the description is at /openapi.json
        redoc_url=None,
    )
    operated = console.console_routes(sign_in) if settings.console else []
    rest.router.routes += [*graphql.static_routes(), *web_routes(), *operated, *pages]
    rest.include_router(operations(runtime, "/demo" if pages else GRAPHQL))
    limiter, catalog = services.limiter, services.catalog
    throttle = Throttle(limiter, authenticator)
    cache = ResponseCache(graphql.answer, catalog, limiter, throttle, follow=graphql.follow)
    callers = Callers(authenticator, limiter)
    return Edge(
        TrustedProxies(settings.trusted_proxies),
        EdgeHeaders(settings.cors_origins, settings.cors_headers),
        {
            WEBHOOKS: FastRoute(
                WebhookRoute(settings, receiver, services.stripe.offline_time, services.stripe.clock),
                body_limit=BODY_LIMIT,
            ),
            GRAPHQL: FastRoute(
                cache,
                stream=cache.stream,
                body_limit=MAX_BODY_BYTES,
                websocket=throttle.websockets(graphql.websocket),
            ),
            PREFIX: FastRoute(AccessHandler(callers, services.access, services.counted)),
            OFREP: FastRoute(ofrep_handler(callers, services.access, services.counted), body_limit=OFREP_LIMIT),
        },
        rest,
    )


def compose_services(runtime: Runtime) -> Services:
    """Return what the resolvers use.

    Args:
        runtime: with a Stripe client.

    Raises:
        SettingsError: a setting is missing or wrong.
    """
    settings, database, mirror = runtime.settings, runtime.database, runtime.mirror
    notifications, stripe = runtime.notifications, runtime.require_stripe()
    catalog = Catalog(settings, database, hears=notifications.is_current)
    notifications.follow(catalog.hear)
    customers = Customers(settings, mirror, stripe)
    close_checkouts = Sessions(mirror, stripe).close_all
    audit, send_usage = AuditLog(database), UsageForwarder(database, stripe).flush
    max_bytes = settings.access_memory_mb * 1024 * 1024
    access = AccessMemory(database, catalog, customers, notifications, settings.grace, max_bytes=max_bytes)
    return Services(
        settings=settings,
        database=database,
        mirror=mirror,
        stripe=stripe,
        catalog=catalog,
        checkout=Checkout(settings, mirror, stripe, catalog, customers),
        customers=customers,
        portal=Portal(settings, database, stripe, customers),
        subscriptions=SubscriptionService(
            settings, mirror, stripe, catalog, close_checkouts=close_checkouts, send_usage=send_usage
        ),
        endings=EndingService(
            settings, mirror, stripe, catalog, close_checkouts=close_checkouts, send_usage=send_usage
        ),
        promotions=PromotionService(settings, mirror, stripe, catalog),
        free=FreeStart(settings, mirror, stripe, catalog, customers, close_checkouts=close_checkouts),
        limiter=RateLimiter(settings),
        notifications=notifications,
        audit=audit,
        refunds=Refunds(mirror, stripe, audit),
        desk=CustomerDesk(customers, mirror, stripe, audit, close_checkouts=close_checkouts),
        failover=Failover(database, notifications),
        counted=CountedFeatures(database, access),
        access=access,
        operators=OperatorDesk(runtime, audit),
        accounts=AccountReader(catalog, settings.grace),
    )


def background_tasks(runtime: Runtime, inbox: Inbox, receiver: Receiver) -> dict[str, Run]:
    """Return what runs beside the requests, by the name that the log shows."""
    settings, database, stripe = runtime.settings, runtime.database, runtime.require_stripe()
    tasks: dict[str, Run] = {
        "offline time": stripe.offline_time.run,
        "Stripe's clock": partial(stripe.clock.watch, settings.stripe_api_base),
        "receiver": receiver.run,
        "worker": Worker.of(inbox, runtime).run,
        "notifications": partial(runtime.notifications.run, database),
        "usage": UsageForwarder(database, stripe).run,
        "credits": partial(run_expiry, database),
        "customers": Customers(settings, runtime.mirror, stripe).run,
        "access": AccessChangePublisher(database, settings.grace).run,
        "retention": partial(run_retention, database, settings),
        "account": partial(tell_of_other_account, database, stripe),
        "catch up": partial(run_catch_up, inbox, stripe, settings.event_catch_up_minutes * 60),
    }
    if settings.console:
        tasks["figures"] = Figures(database).run
    if settings.outbound_endpoints:
        from gateway.outbound.delivery import WebhookDispatcher
        from gateway.outbound.reminders import run_card_reminders

        tasks["card reminders"] = partial(run_card_reminders, database)
        tasks["outbox"] = WebhookDispatcher(database, settings.outbound_endpoints, transport=runtime.transport).run
    return tasks


@asynccontextmanager
async def supervised(tasks: Mapping[str, Run]) -> AsyncIterator[None]:
    """Run tasks while the block runs."""
    running = [asyncio.create_task(supervise(name, run), name=name) for name, run in tasks.items()]
    try:
        yield
    finally:
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)


async def supervise(name: str, run: Run, *, restart_seconds: float = RESTART_SECONDS) -> None:
    """Run a background task as long as the gateway runs: it is logged whatever ends it early, and it begins again.

    So no task has to survive its own failures.

    Args:
        name: of the task, for the log.
        run: the task; one that returns has nothing to do.
        restart_seconds: the pause before it begins again.
    """
    while True:
        try:
            await run()
            return
        except asyncio.CancelledError:
            if (task := asyncio.current_task()) and task.cancelling():
                raise
            log.exception("background_task_ended", task=name)  # something within it was cancelled, not the task
        except GatewayError as error:  # mostly: the database is away
            log.warning("background_task_waits", task=name, error=str(error))
        except Exception:
            log.exception("background_task_ended", task=name)
        if (task := asyncio.current_task()) and task.cancelling():  # its end has failed, as where a lease is given back
            raise asyncio.CancelledError
        await asyncio.sleep(restart_seconds)


def from_environment() -> ASGIApp:
    """Return the gateway with its settings from the environment, for `gateway serve` and any ASGI server."""
    configure_logging(readable=False)  # here, because each worker of `gateway serve` is a process of its own
    plain_imports.hide()  # a server draws nothing
    settings = Settings.load()
    if not (settings.auth_jwks_url or settings.operator_jwks_url):
        plain_imports.hide(plain_imports.FOR_PUBLISHED_KEYS)
    app = create_app(settings)
    collector.tune()
    return app
