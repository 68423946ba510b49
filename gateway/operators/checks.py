"""What can be wrong with a gateway, looked at one by one: for `gateway doctor` and for operators."""

from collections.abc import AsyncGenerator
from dataclasses import dataclass
from datetime import timedelta
from functools import partial

from gateway import migrations
from gateway.billing.metering.forwarder import count_open_usage
from gateway.billing.subscriptions.overdrafts import overdrafts, still_there
from gateway.db.checks import damage, encoding_problem, pooler_problem, replication
from gateway.db.clock import Clock
from gateway.db.database import Database
from gateway.db.engines import connect_arguments
from gateway.db.refusals import refusal
from gateway.db.rows import all_rows
from gateway.errors import DatabaseUnavailable, StripeFailure, StripeUnavailable
from gateway.mirror.own_account import FIX as ANOTHER_ACCOUNT
from gateway.mirror.own_account import whose
from gateway.models.infra import WebhookSecretUse
from gateway.operators.endpoint import NONE, endpoints
from gateway.outbound.outbox import count_open_deliveries, removed_endpoints
from gateway.runtime import Runtime
from gateway.settings import Settings
from gateway.settings.proxies import proxy_note
from gateway.stripe_api.client import API_VERSION, Stripe
from gateway.stripe_api.stripe_clock import MOST_SECONDS_OFF
from gateway.webhooks.catch_up import WARN_AFTER_SECONDS, seconds_since_last_run
from gateway.webhooks.inbox import count_open_events
from gateway.webhooks.route import PATH

SKEW_WARNING_SECONDS = 30
QUICK_CHECK_SECONDS = 600.0
SENDS = f"all events, in version {API_VERSION}"


@dataclass(frozen=True, slots=True)
class Check:
    """One finding.

    Args:
        name: what was looked at.
        finding: what was found.
        fix: what to do; None where all is well.
        warning: whether the gateway works all the same.
    """

    name: str
    finding: str
    fix: str | None = None
    warning: bool = False

    @property
    def status(self) -> str:
        """What became of it: `ok`, `warning` or `failed`."""
        return "ok" if self.fix is None else "warning" if self.warning else "failed"


async def run_checks(runtime: Runtime, *, thorough: bool = True) -> AsyncGenerator[Check]:
    """Run every check, in an order in which an earlier failure explains a later one.

    Args:
        runtime: what is checked.
        thorough: whether the whole file of a database is looked through for damage, and all invoices for balances,
            which may take minutes.
    """
    settings, database = runtime.settings, runtime.database
    if settings.old_names:
        yield _old_names(settings.old_names)
    if settings.unknown_names:
        yield _unknown_names(settings.unknown_names)
    yield _redirects(settings)
    yield _sign_in(settings)
    found = await _database(database, thorough=thorough)
    yield found
    if found.fix is None and not database.is_sqlite:
        yield await _standby(database)
    yield await _secrets(settings, database if found.fix is None else None)
    if found.fix is None:
        yield await _caught_up(database)
        yield await _dead_letters(database)
        yield await _usage(database)
        yield await _messages(database)
    if runtime.stripe is None:
        yield Check("Stripe key", "none", "set STRIPE_SECRET_KEY (Stripe dashboard, Developers, API keys)")
        return
    yield _mode(settings)
    answers = True
    async for check in _stripe(runtime, runtime.stripe, proxy_note(settings)):
        answers &= check.name != "Stripe" or check.fix is None
        yield check
    if thorough and answers and found.fix is None:
        yield await _balances(database, runtime.stripe)


def _old_names(names: dict[str, str]) -> Check:
    rename = ", ".join(f"{old} to {new}" for old, new in names.items())
    return Check("settings", f"{len(names)} deprecated names", f"rename {rename}", warning=True)


def _unknown_names(names: dict[str, str | None]) -> Check:
    meant = [f"did you mean {meant} by {name}?" for name, meant in names.items() if meant]
    fix = "; ".join(meant) or "remove them, or see docs/settings.md for the names"
    return Check("unknown settings", ", ".join(names), fix, warning=True)


def _redirects(settings: Settings) -> Check:
    if not settings.redirect_origins:
        return Check("redirect origins", "none", "set GATEWAY_REDIRECT_ORIGINS, or no checkout can be opened")
    return Check("redirect origins", ", ".join(settings.redirect_origins))


async def _secrets(settings: Settings, database: Database | None) -> Check:
    """Say which signing secrets there are and when each last verified a delivery, so that an old one can be removed."""
    if not settings.stripe_webhook_secrets:
        return Check("webhook secrets", "none", "set STRIPE_WEBHOOK_SECRET; until then webhooks answer 404")
    used = {}
    if database is not None:
        rows = await database.read(lambda connection: all_rows(connection, WebhookSecretUse))
        used = {row.label: row.last_used_at for row in rows}
    words = [
        f"{label} (last used {used[label]:%Y-%m-%d %H:%M} UTC)" if label in used else f"{label} (never used)"
        for label, _ in settings.stripe_webhook_secrets
    ]
    return Check("webhook secrets", ", ".join(words))


async def _caught_up(database: Database) -> Check:
    """Check when Stripe's own list of events was last read: Stripe keeps it for 30 days."""
    seconds = await seconds_since_last_run(database)
    if seconds is None:
        return Check("missed events", "never looked for", "run `gateway reconcile`", warning=True)
    finding = f"looked for {seconds / 3600:.0f} h ago"
    if seconds > WARN_AFTER_SECONDS:
        return Check("missed events", finding, "run `gateway reconcile` before Stripe's 30 days are over")
    return Check("missed events", finding)


async def _dead_letters(database: Database) -> Check:
    """Count the events that are not finished; dead letters are a warning."""
    counts = await database.read(count_open_events)
    finding = ", ".join(f"{count} {status}" for status, count in counts.items())
    if counts["dead"]:
        return Check(
            "inbox", finding, "look at `gateway events list --dead`, then `gateway events retry`", warning=True
        )
    return Check("inbox", finding)


async def _usage(database: Database) -> Check:
    """Count the usage that Stripe does not have; what it refused is not billed, and a warning."""
    counts = await database.read(count_open_usage)
    if counts["dead"]:
        fix = "look at `gateway usage list --dead`, remove the cause, then `gateway usage retry --dead`"
        return Check("usage", f"Stripe refused {counts['dead']} reports: they are not billed", fix, warning=True)
    return Check("usage", f"{counts['pending']} pending")


async def _messages(database: Database) -> Check:
    """Count the messages that the application does not have; what was given up, or is for nobody, is a warning."""
    counts = await database.read(count_open_deliveries)
    removed = await database.read(partial(removed_endpoints, database.endpoints))
    if removed:
        finding = ", ".join(f"{count} wait for {endpoint}" for endpoint, count in removed.items())
        fix = "name it in GATEWAY_OUTBOUND_ENDPOINTS again until it has them: nobody delivers them now"
        return Check("messages", finding, fix, warning=True)
    if counts["dead"]:
        fix = "look at `gateway outbox list --dead`, then `gateway outbox retry --dead`"
        return Check("messages", f"{counts['dead']} were given up: the application was not told", fix, warning=True)
    return Check("messages", f"{counts['pending']} pending")


def _sign_in(settings: Settings) -> Check:
    name = "sign-in"
    ways = [way for way, on in (("JWKS", settings.auth_jwks_url), ("HS256", settings.auth_hs256_secret)) if on]
    if not ways:
        return Check(name, "none: guests only", "set AUTH_JWKS_URL to let users sign in", warning=True)
    missing = [
        variable
        for variable, value in (("AUTH_ISSUER", settings.auth_issuer), ("AUTH_AUDIENCE", settings.auth_audience))
        if not value
    ]
    if missing:
        fix = f"set {' and '.join(missing)}, or tokens that the provider made for other applications are taken"
        return Check(name, " and ".join(ways), fix, warning=True)
    return Check(name, f"{' and '.join(ways)}, from {settings.auth_issuer} for {settings.auth_audience}")


async def _database(database: Database, *, thorough: bool) -> Check:
    if problem := await migrations.problem(database):
        refused = None if database.is_sqlite else await refusal(database.url)
        finding, fix = refused or (problem, "check DATABASE_URL, and that the server is up, or migrate it")
        return Check("database", finding, fix)
    if not database.is_sqlite and (problem := await pooler_problem(database.url)):
        return Check("database", problem, "change DATABASE_URL or the pooler")
    if problem := await database.read(encoding_problem):
        return Check("database", problem, f"move it into one that can: {migrations.UTF8}, then pg_dump and pg_restore")
    if thorough and (found := await database.read(damage, seconds=QUICK_CHECK_SECONDS)):
        return Check("database", f"its file is damaged ({found})", "stop the gateway and restore a backup")
    revision, needed = await migrations.current(database), migrations.head()
    kind = "SQLite, one machine" if database.is_sqlite else "PostgreSQL"
    newer = "" if revision == needed else f", newer than this version's {needed}"
    return Check("database", f"{kind}, at migration {revision}{newer}")


async def _standby(database: Database) -> Check:
    """Check whether what was answered outlives PostgreSQL's server."""
    name, several = "standby", "," in str(connect_arguments(database.url).get("host", ""))
    found = await database.read(replication)
    if found is None or found.synchronous_commit == "off":
        finding = "synchronous_commit is off: a crash loses what was answered last"
        return Check(name, finding, "set synchronous_commit = on for the gateway's database or user", warning=True)
    if found.hidden:
        finding = f"{found.hidden}, which this user may not see"
        return Check(name, finding, "GRANT pg_read_all_stats to it, and look again", warning=True)
    if found.waits:
        return Check(name, f"{found.synchronous} synchronous: a failover loses nothing that was answered")
    if found.synchronous or found.asynchronous:
        fix = "set synchronous_standby_names and synchronous_commit = on, or see what a failover loses (operating.md)"
        return Check(name, "asynchronous: a failover loses what was answered last", fix, warning=True)
    if several:
        fix = "let one follow the other, or name one host"
        return Check(name, "DATABASE_URL names several servers, and none follows this one", fix, warning=True)
    return Check(name, "none: backups are what is left when this server is lost")


def _mode(settings: Settings) -> Check:
    words = {"offline": f"offline, at {settings.stripe_api_base}", "live": "live: real money", "test": "test"}
    return Check("Stripe mode", words[settings.stripe_mode])


async def _stripe(runtime: Runtime, stripe: Stripe, proxy: str) -> AsyncGenerator[Check]:
    try:
        answer = await stripe.get("/v1/products", limit=1)
    except StripeFailure as error:
        yield Check("Stripe", str(error), f"check STRIPE_SECRET_KEY, STRIPE_API_BASE and the network{proxy}")
        return
    yield Check("Stripe", f"answers in version {API_VERSION}")
    yield await _account(runtime.database, stripe)
    yield _clock(runtime.clock, answer.as_of)
    try:
        found = await endpoints(stripe, [label for label, _ in runtime.settings.stripe_webhook_secrets])
    except StripeFailure as error:
        yield Check("webhook endpoint", str(error), "let the key read webhook endpoints", warning=True)
        return
    for endpoint in found:
        fault = endpoint.fault()
        yield Check("webhook endpoint", *fault) if fault else Check("webhook endpoint", f"{endpoint.url}, {SENDS}")
    if not found:
        yield Check("webhook endpoint", f"none ends with {PATH}", NONE)


async def _balances(database: Database, stripe: Stripe) -> Check:
    """Look for credit of unused time whose payment went back afterwards: only the seller can take it away."""
    name = "balances"
    try:
        left = await still_there(stripe, await database.read(overdrafts, seconds=QUICK_CHECK_SECONDS))
    except (StripeFailure, StripeUnavailable) as error:
        return Check(name, str(error), "let the key read customers", warning=True)
    if not left:
        return Check(name, "none with time that was paid back")
    each = ", ".join(f"{customer} {amount}" for customer, amount in left.items())
    fix = "take it from these balances in Stripe's dashboard, or their next invoices are paid by it"
    return Check(name, f"credit for time that was paid back, in minor units: {each}", fix, warning=True)


async def _account(database: Database, stripe: Stripe) -> Check:
    """Compare the account of the key with the one that the database is a copy of."""
    name = "Stripe account"
    try:
        found = await whose(database, stripe)
    except (StripeUnavailable, DatabaseUnavailable) as error:
        return Check(name, str(error), "look again", warning=True)
    if found.fault:
        return Check(name, found.fault, ANOTHER_ACCOUNT)
    if found.known is not None:
        return Check(name, f"this key may not read its account, which has {found.known} of this database")
    if found.key is None:
        fix = "let it read customers, or nobody can compare"
        return Check(name, "this key may not read its account, nor what this database has", fix, warning=True)
    return Check(name, found.key if found.copy else f"{found.key}; `gateway sync` has not run yet")


def _clock(clock: Clock, as_of: int) -> Check:
    """Compare the time with Stripe's; that of an offline Stripe, which the gateway follows, may have been moved."""
    skew = round(clock.now().timestamp()) - as_of
    moved = round(clock.ahead.total_seconds())
    finding = f"{abs(skew)} s {'ahead of' if skew > 0 else 'behind'} Stripe's"
    if abs(skew) > MOST_SECONDS_OFF:
        return Check("clock", finding, "set this machine's clock (NTP): leases, tokens and renewals go by it")
    if abs(skew) > SKEW_WARNING_SECONDS:
        return Check("clock", finding, "set this machine's clock (NTP)", warning=True)
    if abs(moved) > SKEW_WARNING_SECONDS:
        distance = f"{timedelta(seconds=abs(moved))} {'ahead of' if moved > 0 else 'behind'} this machine's"
        return Check("clock", f"its time was moved: the offline Stripe's is {distance}, and the gateway follows")
    return Check("clock", "agrees with Stripe's")
