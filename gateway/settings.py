"""Every setting of the gateway: an environment variable, documented once, checked at the start.

`Settings.load()` reads the environment (and, in development, `.env`). A wrong or missing value stops the start with one
line that names the variable and says what to do. Secrets are `SecretStr`: they never appear in a log, an error or
`repr`.

The file is long on purpose: two thirds of it are the list of the variables, which an operator reads from top to bottom.
"""

import os
import re
from datetime import timedelta
from ipaddress import ip_network
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple, Self
from urllib.parse import urlsplit

import structlog
from pydantic import (
    AliasChoices,
    BeforeValidator,
    Field,
    PrivateAttr,
    SecretStr,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic.fields import FieldInfo
from pydantic_settings import (
    BaseSettings,
    DotEnvSettingsSource,
    EnvSettingsSource,
    NoDecode,
    SettingsConfigDict,
)

from gateway.errors import SettingsError

log = structlog.get_logger()

STATE_DIR = Path(".gateway")
"""Where the embedded database and the state of `gateway dev` are kept, below the current directory."""

STRIPE_API = "https://api.stripe.com"
MEMORY = "memory://"  # each process counts rates for itself

SIGNING_SECRET = re.compile(r"whsec_[A-Za-z0-9+/]{32,}={0,2}")
SECRET_KEY = re.compile(r"^(sk|rk)_")
LIVE_KEY = re.compile(r"^(sk|rk)_live_")

OLD_NAMES = {
    "AUTH_JWKS_MIN_REFRESH_SECONDS": "AUTH_JWKS_PAUSE",
    "GATEWAY_ALLOW_MULTIPLE_SUBSCRIPTIONS": "GATEWAY_SEVERAL_SUBSCRIPTIONS",
    "GATEWAY_ALLOW_REPEAT_TRIALS": "GATEWAY_REPEATED_TRIALS",
    "GATEWAY_EVENT_CATCH_UP_MINUTES": "GATEWAY_RECONCILE_MINUTES",
    "GATEWAY_LINK_CUSTOMERS_BY_EMAIL": "GATEWAY_ADOPT_CUSTOMERS",
    "GATEWAY_RATE_LIMIT_CHECKOUTS": "GATEWAY_RATE_CHECKOUTS",
    "GATEWAY_RATE_LIMIT_GUEST_CHECKOUTS": "GATEWAY_RATE_GUEST_CHECKOUTS",
    "GATEWAY_RATE_LIMIT_MUTATIONS": "GATEWAY_RATE_CHANGES",
    "GATEWAY_RATE_LIMIT_REQUESTS": "GATEWAY_RATE_REQUESTS",
    "GATEWAY_RATE_LIMIT_STORAGE": "GATEWAY_RATE_STORAGE",
    "GATEWAY_WEBSOCKET_CONNECTIONS": "GATEWAY_LIVE_CONNECTIONS",
    "GATEWAY_WEBSOCKET_INIT_SECONDS": "GATEWAY_LIVE_INIT_SECONDS",
    "GATEWAY_WEBSOCKET_OPERATIONS": "GATEWAY_LIVE_OPERATIONS",
    "GATEWAY_WEBSOCKET_PER_ADDRESS": "GATEWAY_LIVE_PER_ADDRESS",
    "GATEWAY_WEBSOCKET_SECONDS": "GATEWAY_LIVE_SECONDS",
}
"""Deprecated names of variables, by their present names: they work in 0.2, with a warning, and no longer in 0.3."""


def _renamed(name: str) -> AliasChoices:
    """Return the names of a variable that has an old name; where both are set, the present one counts."""
    return AliasChoices(name, OLD_NAMES[name])


def _split(value: Any) -> Any:
    """Split a comma-separated variable, without blanks."""
    return [part.strip() for part in value.split(",") if part.strip()] if isinstance(value, str) else value


def origin_of(url: str) -> str:
    """Return the origin (`scheme://host[:port]`, default ports left out) of an http(s) URL.

    Raises:
        ValueError: it is not an http(s) URL with a host, or it carries user information.
    """
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname or parts.username is not None:
        raise ValueError(f"{url!r} is not an origin such as https://app.example.com")
    default = {"http": 80, "https": 443}[parts.scheme]
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    port = "" if parts.port in {None, default} else f":{parts.port}"
    return f"{parts.scheme}://{host}{port}"


def _origins(value: Any) -> Any:
    """Parse a list of origins; a path, a query or a wildcard is refused, because it would not do what it seems to."""
    origins = _split(value)
    for origin in origins if isinstance(origins, list) else []:
        if urlsplit(origin).path not in {"", "/"} or urlsplit(origin).query or "*" in origin:
            raise ValueError(f"{origin!r} must be an origin such as https://app.example.com, without path or wildcard")
    return tuple(origin_of(origin) for origin in origins)


class WebhookSecret(NamedTuple):
    """One signing secret of a webhook endpoint, under a label that logs may show."""

    label: str
    secret: SecretStr


def _webhook_secrets(value: Any) -> Any:
    """Parse `whsec_a,whsec_b` or `old:whsec_a,new:whsec_b`; the label of a plain secret is its place (`1`, `2` …)."""
    secrets = []
    for place, part in enumerate(_split(value), start=1):
        if isinstance(part, WebhookSecret):
            secrets.append(part)
            continue
        label, found, secret = part.rpartition(":")
        if not secret.startswith("whsec_"):
            raise ValueError("a webhook secret starts with whsec_ (Stripe dashboard, Developers, Webhooks)")
        secrets.append(WebhookSecret(label if found else str(place), SecretStr(secret)))
    return tuple(secrets)


class OutboundEndpoint(NamedTuple):
    """An endpoint of the application for outbound webhooks, and the secrets that sign them."""

    url: str
    secrets: tuple[SecretStr, ...]


def _endpoints(value: Any) -> Any:
    """Parse `url whsec_…`, comma-separated; a second secret after the first is for rotation."""
    endpoints = []
    for part in _split(value):
        if isinstance(part, OutboundEndpoint):
            endpoints.append(part)
            continue
        url, *secrets = part.split()
        origin_of(url)
        if not secrets or not all(SIGNING_SECRET.fullmatch(secret) for secret in secrets):
            raise ValueError("write `https://app.example.com/hooks whsec_…`: a secret is whsec_ and base64 of 24 bytes")
        endpoints.append(OutboundEndpoint(url, tuple(SecretStr(secret) for secret in secrets)))
    return tuple(endpoints)


def _secrets(value: Any) -> Any:
    """Split a comma-separated list of secrets, for rotation."""
    return tuple(part if isinstance(part, SecretStr) else SecretStr(part) for part in _split(value))


class Limit(NamedTuple):
    """A rate limit: at most `amount` in `seconds`."""

    amount: int
    seconds: int


PERIODS = {"second": 1, "minute": 60, "hour": 3600, "day": 86_400, "month": 30 * 86_400, "year": 360 * 86_400}
RATE = re.compile(rf"\s*([0-9]+)\s*(?:/|per)\s*([0-9]+)?\s*({'|'.join(PERIODS)})s?\s*", re.IGNORECASE)


def limits_of(rate: str) -> list[Limit]:
    """Parse a rate such as `5/minute` or `5/minute; 30/hour`; `off` has no limits.

    The notation is that of the `limits` library, which is not imported for it: its clients of databases take 1.7 MB,
    and a start has no other use for them.

    Raises:
        ValueError: it is not a rate.
    """
    if rate == "off":
        return []
    limits = []
    for part in re.split("[,;|]", rate):
        found = RATE.fullmatch(part)
        if found is None:
            raise ValueError(f"{rate!r} is not a rate; write 5/minute, 5/minute; 30/hour, or off")
        amount, periods, period = found.groups()
        limits.append(Limit(int(amount), max(1, int(periods or 1)) * PERIODS[period.lower()]))
    return limits


def _rate(value: Any) -> Any:
    """Check a rate, and return it as it was written."""
    limits_of(str(value))
    return value


def _header_names(value: Any) -> Any:
    """Split a comma-separated list of header names."""
    names = _split(value)
    for name in names:
        if not re.fullmatch(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+", name):
            raise ValueError(f"{name!r} is not the name of a header")
    return tuple(names)


def _networks(value: Any) -> Any:
    """Split and check addresses and networks."""
    parts = _split(value)
    for part in parts:
        ip_network(part)
    return tuple(parts)


MIN_HS256_BYTES = 32
MIN_SERVICE_TOKEN = 16
LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


def proxy_variable(url: str) -> str | None:
    """Return the environment variable that puts a proxy before a URL; None where the URL is called directly."""
    parts = urlsplit(url)
    names = [name for lower in (f"{parts.scheme}_proxy", "all_proxy") for name in (lower, lower.upper())]
    variable = next((name for name in names if os.environ.get(name)), None)
    if variable is None:
        return None
    from urllib.request import proxy_bypass  # noqa: PLC0415 - 2 MB, which few starts need

    return None if proxy_bypass(parts.hostname or "") else variable


Rate = Annotated[str, BeforeValidator(_rate)]
Origins = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_origins)]


class Settings(BaseSettings):
    """The gateway's settings. Each field's alias is the environment variable, its description the documentation."""

    model_config = SettingsConfigDict(
        extra="ignore", populate_by_name=True, hide_input_in_errors=True, env_ignore_empty=True
    )

    stripe_secret_key: SecretStr | None = Field(
        None,
        validation_alias=AliasChoices("STRIPE_SECRET_KEY", "STRIPE_API_KEY"),
        description="Stripe's secret or restricted key (`STRIPE_API_KEY` works too).",
    )
    stripe_webhook_secrets: Annotated[tuple[WebhookSecret, ...], NoDecode, BeforeValidator(_webhook_secrets)] = Field(
        (),
        validation_alias="STRIPE_WEBHOOK_SECRET",
        description="Signing secrets of the webhook endpoint, comma-separated for rotation, each plain or "
        "`label:whsec_…`. Without one the webhook route answers 404.",
    )
    connect_accounts: Annotated[tuple[str, ...], NoDecode, BeforeValidator(_split)] = Field(
        (),
        validation_alias="GATEWAY_CONNECT_ACCOUNTS",
        description="Connected accounts (`acct_…`) whose events are applied, apart from our own objects, "
        "comma-separated; those of others are recorded as ignored. `gateway reconcile` reads them too.",
    )
    stripe_account: str | None = Field(
        None,
        validation_alias="GATEWAY_STRIPE_ACCOUNT",
        description="The id of our own account (`acct_…`): needed only where an organisation's endpoint delivers: its "
        "events name the account that they are from.",
    )
    event_catch_up_minutes: int = Field(
        60,
        ge=0,
        le=7 * 24 * 60,
        validation_alias=_renamed("GATEWAY_EVENT_CATCH_UP_MINUTES"),
        description="How often Stripe's own list of events is read for what no delivery brought; 0 never.",
    )
    stripe_api_base: str = Field(
        STRIPE_API,
        validation_alias="STRIPE_API_BASE",
        description="Where Stripe's API is; another value than Stripe's own is for the offline Stripe.",
    )
    stripe_timeout: float = Field(
        9.0,
        gt=0,
        le=80,
        validation_alias="GATEWAY_STRIPE_TIMEOUT",
        description="Seconds that one call to Stripe may take, retries included, while a client waits.",
    )
    database_url: SecretStr = Field(
        SecretStr(f"sqlite:///{STATE_DIR}/gateway.db"),
        validation_alias="DATABASE_URL",
        description="`sqlite:///path` for one machine, `postgresql://user:password@host/name` for several.",
    )
    cors_origins: Origins = Field(
        (),
        validation_alias="GATEWAY_CORS_ORIGINS",
        description="Origins whose pages may call the API from a browser, comma-separated.",
    )
    cors_headers: Annotated[tuple[str, ...], NoDecode, BeforeValidator(_header_names)] = Field(
        (),
        validation_alias="GATEWAY_CORS_HEADERS",
        description="Request headers that such pages may send beside the usual ones (of GraphQL clients, tracing and "
        "idempotency), comma-separated.",
    )
    redirect_origins: Origins = Field(
        (),
        validation_alias="GATEWAY_REDIRECT_ORIGINS",
        description="Origins that Stripe may send a buyer back to, comma-separated. Without one no checkout opens.",
    )
    graphiql: bool = Field(
        False,
        validation_alias="GATEWAY_GRAPHIQL",
        description="Whether a browser at `/graphql` gets GraphiQL (`on`/`off`); `gateway dev` switches it on.",
    )
    compiled_execution: bool = Field(
        True,
        validation_alias="GATEWAY_COMPILED_EXECUTION",
        description="Whether GraphQL's selections are compiled (`on`/`off`). Off, graphql-core does all: slower, and a "
        "way to find out whether the compiler is at fault.",
    )
    trusted_documents: Annotated[tuple[Path, ...], NoDecode, BeforeValidator(_split)] = Field(
        (),
        validation_alias="GATEWAY_TRUSTED_DOCUMENTS",
        description="Manifests of documents that clients may name by their hash, comma-separated paths, as Apollo's, "
        "GraphQL Code Generator's or Relay's tool writes them.",
    )
    trusted_documents_only: bool = Field(
        False,
        validation_alias="GATEWAY_TRUSTED_DOCUMENTS_ONLY",
        description="Whether the documents of the manifests are all that runs (`on`/`off`); otherwise clients may also "
        "send others, and name them by their hash from then on (automatic persisted queries).",
    )
    max_quantity: int = Field(
        1000,
        ge=1,
        le=999_999,
        validation_alias="GATEWAY_MAX_QUANTITY",
        description="The largest quantity that one line of a checkout may ask for.",
    )
    rate_limit_requests: Rate = Field(
        "3000/minute",
        validation_alias=_renamed("GATEWAY_RATE_LIMIT_REQUESTS"),
        description="GraphQL requests of one address, such as `3000/minute` or `50/second; 3000/minute`; `off` without "
        "limit. Many buyers may share an address.",
    )
    rate_limit_checkouts: Rate = Field(
        "5/minute",
        validation_alias=_renamed("GATEWAY_RATE_LIMIT_CHECKOUTS"),
        description="Checkouts of one signed-in user; `off` without limit.",
    )
    rate_limit_guest_checkouts: Rate = Field(
        "3/minute; 30/hour",
        validation_alias=_renamed("GATEWAY_RATE_LIMIT_GUEST_CHECKOUTS"),
        description="Checkouts of guests from one address: stricter, against card testing; `off` without limit.",
    )
    rate_limit_mutations: Rate = Field(
        "30/minute",
        validation_alias=_renamed("GATEWAY_RATE_LIMIT_MUTATIONS"),
        description="Other mutations of one user, or of guests from one address; `off` without limit.",
    )
    rate_limit_stripe_reads: Rate = Field(
        "120/minute",
        validation_alias="GATEWAY_RATE_LIMIT_STRIPE_READS",
        description="Calls to Stripe by queries (`session` makes 1, `previewChange` 3) of one user, or of guests from "
        "one address; `off` without limit.",
    )
    rate_limit_all_stripe_reads: Rate = Field(
        "20/second",
        validation_alias="GATEWAY_RATE_LIMIT_ALL_STRIPE_READS",
        description="Calls to Stripe by the queries of all callers, so that checkouts keep a share of what Stripe "
        "takes (25 calls a second in test mode, 100 in live mode); `off` without limit.",
    )
    websocket_seconds: float = Field(
        3600,
        gt=0,
        le=86_400,
        validation_alias=_renamed("GATEWAY_WEBSOCKET_SECONDS"),
        description="How long a WebSocket for live updates lasts at most, in seconds; clients then connect again.",
    )
    websocket_init_seconds: float = Field(
        10,
        gt=0,
        le=60,
        validation_alias=_renamed("GATEWAY_WEBSOCKET_INIT_SECONDS"),
        description="How long such a WebSocket may take to say who it is, in seconds.",
    )
    websocket_connections: int = Field(
        5000,
        ge=0,
        validation_alias=_renamed("GATEWAY_WEBSOCKET_CONNECTIONS"),
        description="WebSockets for live updates that one process holds at most; each takes a file descriptor.",
    )
    websocket_per_address: int = Field(
        200,
        ge=0,
        validation_alias=_renamed("GATEWAY_WEBSOCKET_PER_ADDRESS"),
        description="Those of one address.",
    )
    websocket_operations: int = Field(
        20,
        ge=1,
        validation_alias=_renamed("GATEWAY_WEBSOCKET_OPERATIONS"),
        description="Operations that run at the same time on one such WebSocket.",
    )
    rate_limit_storage: SecretStr = Field(
        SecretStr(MEMORY),
        validation_alias=_renamed("GATEWAY_RATE_LIMIT_STORAGE"),
        description="Where the limits are counted: `memory://` for one process, `redis://host:6379/0` for several.",
    )
    trusted_proxies: Annotated[tuple[str, ...], NoDecode, BeforeValidator(_networks)] = Field(
        (),
        validation_alias="GATEWAY_TRUSTED_PROXIES",
        description="Addresses or networks of the proxies in front, comma-separated, whose `X-Forwarded-For` is "
        "believed. Without them everybody behind a proxy counts as one address.",
    )
    default_currency: str | None = Field(
        None,
        pattern="^[A-Za-z]{3}$",
        validation_alias="GATEWAY_DEFAULT_CURRENCY",
        description="The currency of `pricing` when the client names none; otherwise the one with the most prices.",
    )
    grace_days: int = Field(
        7,
        ge=0,
        le=90,
        validation_alias="GATEWAY_GRACE_DAYS",
        description="Days for which access goes on after the first failed charge of a renewal.",
    )
    auth_jwks_url: str | None = Field(
        None, validation_alias="AUTH_JWKS_URL", description="Where the OpenID provider publishes its keys."
    )
    auth_jwks_min_refresh_seconds: float = Field(
        30.0,
        ge=0,
        validation_alias=_renamed("AUTH_JWKS_MIN_REFRESH_SECONDS"),
        description="Seconds that lie at least between two requests for the provider's keys, whatever tokens come.",
    )
    refuse_expired_tokens: bool = Field(
        False,
        validation_alias="GATEWAY_REFUSE_EXPIRED_TOKENS",
        description="Whether a request whose token has expired is refused as a whole (`on`/`off`). Off, public fields "
        "such as `pricing` are answered, with the error beside.",
    )
    auth_issuer: str | None = Field(
        None, validation_alias="AUTH_ISSUER", description="The issuer (`iss`) that a token must name."
    )
    auth_audience: str | None = Field(
        None, validation_alias="AUTH_AUDIENCE", description="The audience (`aud`) that a token must name."
    )
    auth_hs256_secret: SecretStr | None = Field(
        None,
        validation_alias="AUTH_HS256_SECRET",
        description="The shared secret of a provider that signs with HS256 (at least 32 bytes).",
    )
    auth_subject_claim: str = Field(
        "sub",
        validation_alias="AUTH_SUBJECT_CLAIM",
        description="The claim that names the customer; an organisation claim makes the organisation the customer.",
    )
    service_tokens: Annotated[tuple[SecretStr, ...], NoDecode, BeforeValidator(_secrets)] = Field(
        (),
        validation_alias="GATEWAY_SERVICE_TOKEN",
        description="Tokens of the application's own back end (at least 16 characters each), comma-separated for "
        "rotation.",
    )
    outbound_endpoints: Annotated[tuple[OutboundEndpoint, ...], NoDecode, BeforeValidator(_endpoints)] = Field(
        (),
        validation_alias="GATEWAY_OUTBOUND_ENDPOINTS",
        description="Who is told of changes by signed webhooks: `https://app.example.com/hooks whsec_…`, "
        "comma-separated; a second secret behind the first signs as well, for rotation.",
    )
    link_customers_by_email: bool = Field(
        True,
        validation_alias=_renamed("GATEWAY_LINK_CUSTOMERS_BY_EMAIL"),
        description="Whether a user with a verified e-mail takes over the customer at Stripe that has this e-mail and "
        "belongs to nobody; otherwise every user begins with a new one. Off with an organisation's subject claim.",
    )
    trust_payment_link_references: bool = Field(
        False,
        validation_alias="GATEWAY_TRUST_PAYMENT_LINK_REFERENCES",
        description="Whether the `client_reference_id` of a payment link says whose the purchase is; whoever opens the "
        "link chooses it, so that it otherwise counts only together with the verified e-mail.",
    )
    allow_multiple_subscriptions: bool = Field(
        False,
        validation_alias=_renamed("GATEWAY_ALLOW_MULTIPLE_SUBSCRIPTIONS"),
        description="Whether a user may have more than one live subscription to plans of the same group. A product is "
        "of the group that its metadata names (`group`), else of the default one; `addon: true` is of none.",
    )
    allow_repeat_trials: bool = Field(
        False,
        validation_alias=_renamed("GATEWAY_ALLOW_REPEAT_TRIALS"),
        description="Whether a user who has had a trial may have another.",
    )
    prorate_cancellations: bool = Field(
        False,
        validation_alias="GATEWAY_PRORATE_CANCELLATIONS",
        description="Whether `cancelSubscription(when: NOW)` credits the unused time to the customer's balance.",
    )
    automatic_tax: bool = Field(
        False,
        validation_alias="GATEWAY_AUTOMATIC_TAX",
        description="Whether Stripe Tax computes the tax of every checkout.",
    )
    tax_id_collection: bool = Field(
        False,
        validation_alias="GATEWAY_TAX_ID_COLLECTION",
        description="Whether a checkout asks business buyers for their tax id.",
    )
    billing_address: Literal["auto", "required"] = Field(
        "auto",
        validation_alias="GATEWAY_BILLING_ADDRESS",
        description="Whether a checkout asks for the billing address only when it is needed (`auto`) or always "
        "(`required`).",
    )
    portal_configuration: str | None = Field(
        None,
        pattern=r"^bpc_\w+$",
        validation_alias="GATEWAY_PORTAL_CONFIGURATION",
        description="The configuration of Stripe's customer portal (`bpc_…`); otherwise the account's default.",
    )

    otlp_endpoint: str | None = Field(
        None,
        validation_alias="OTEL_EXPORTER_OTLP_ENDPOINT",
        description="The OpenTelemetry collector that traces go to, by OTLP over HTTP, such as "
        "`http://127.0.0.1:4318`; none are made without it. OpenTelemetry's other variables count as well.",
    )

    _old_names: dict[str, str] = PrivateAttr(default_factory=dict)

    @field_validator("stripe_secret_key")
    @classmethod
    def _key_is_secret(cls, value: SecretStr | None) -> SecretStr | None:
        """Refuse what cannot call the API. Source: https://docs.stripe.com/keys."""
        key = value.get_secret_value() if value else ""
        if key.startswith("pk_"):
            raise ValueError("this is a publishable key, which cannot call Stripe; use the secret one (sk_… or rk_…)")
        if key and not SECRET_KEY.match(key):
            raise ValueError("a secret key starts with sk_ or rk_ (Stripe dashboard, Developers, API keys)")
        return value

    @field_validator("stripe_api_base")
    @classmethod
    def _base_is_a_url(cls, value: str) -> str:
        """Reduce the address to its origin, to which the SDK adds the paths."""
        return origin_of(value)

    @field_validator("auth_jwks_url")
    @classmethod
    def _keys_come_over_tls(cls, value: str | None) -> str | None:
        """Require TLS: whoever can change the keys on their way can sign in as anybody."""
        if value is not None:
            scheme, host = origin_of(value).partition("://")[0], urlsplit(value).hostname
            if scheme != "https" and host not in LOOPBACK:
                raise ValueError("use https: whoever can change the keys on their way can sign in as anybody")
        return value

    @field_validator("auth_hs256_secret")
    @classmethod
    def _secret_is_long(cls, value: SecretStr | None) -> SecretStr | None:
        """Require a key at least as long as the hash (RFC 7518, 3.2)."""
        if value is not None and len(value.get_secret_value().encode()) < MIN_HS256_BYTES:
            raise ValueError(f"use a random secret of at least {MIN_HS256_BYTES} bytes (openssl rand -hex 32)")
        return value

    @field_validator("service_tokens")
    @classmethod
    def _tokens_are_long(cls, value: tuple[SecretStr, ...]) -> tuple[SecretStr, ...]:
        if any(len(token.get_secret_value()) < MIN_SERVICE_TOKEN for token in value):
            raise ValueError(f"use random tokens of at least {MIN_SERVICE_TOKEN} characters (openssl rand -hex 32)")
        return value

    @model_validator(mode="after")
    def _something_may_run(self) -> Self:
        if self.trusted_documents_only and not self.trusted_documents:
            raise ValueError("GATEWAY_TRUSTED_DOCUMENTS: name the manifest, because nothing else may run")
        return self

    @model_validator(mode="after")
    def _no_live_key_offline(self) -> Self:
        """Refuse a live key for any other address than Stripe's: sent elsewhere it is compromised."""
        key = self.stripe_secret_key.get_secret_value() if self.stripe_secret_key else ""
        if LIVE_KEY.match(key) and self.stripe_api_base != STRIPE_API:
            raise ValueError("STRIPE_API_BASE: a live key goes to Stripe alone; unset it, or use a test key")
        return self

    @classmethod
    def load(cls, *, env_files: tuple[Path, ...] = (), **overrides: Any) -> Self:
        """Read the settings from the environment, then from `env_files` (the later ones yield to the earlier).

        Args:
            env_files: dotenv files for development; none in production.
            overrides: values by field name that come before the environment.

        Raises:
            SettingsError: one line for each wrong value, which names the variable and says what to do.
        """
        files = env_files[::-1] or None
        given = EnvSettingsSource(cls).env_vars.keys() | DotEnvSettingsSource(cls, env_file=files).env_vars.keys()
        old_names = {old: new for new, old in OLD_NAMES.items() if old.lower() in given}
        try:
            settings = cls(_env_file=files, **overrides)
        except ValidationError as error:
            lines = [_line(problem) for problem in error.errors()]
            lines += [f"{old}: this name is deprecated; use {new}" for old, new in old_names.items()]
            raise SettingsError("\n".join(lines)) from None
        settings._old_names = old_names
        return settings

    @property
    def old_names(self) -> dict[str, str]:
        """The deprecated names that the environment uses, each with the name to use instead."""
        return self._old_names

    def warn_about_old_names(self) -> None:
        """Log a warning for each deprecated name that the environment uses."""
        for old, new in self._old_names.items():
            log.warning("setting_deprecated", name=old, use=new)

    @property
    def grace(self) -> timedelta:
        """How long access goes on after the first failed charge of a renewal."""
        return timedelta(days=self.grace_days)

    def prepare_proxies(self) -> None:
        """Have what runs on this machine called directly, whatever proxy the environment names.

        It is written into NO_PROXY, which every HTTP library of this process reads.

        Raises:
            SettingsError: a proxy is named that cannot be used.
        """
        called = [self.stripe_api_base, *(endpoint.url for endpoint in self.outbound_endpoints)]
        called += [self.auth_jwks_url] if self.auth_jwks_url else []
        outside = [url for url in called if urlsplit(url).hostname not in LOOPBACK]
        known = os.environ.get("no_proxy") or os.environ.get("NO_PROXY") or ""
        direct = ",".join(filter(None, [known, *sorted(LOOPBACK)])) if outside else "*"
        os.environ |= {"no_proxy": direct, "NO_PROXY": direct}
        for variable in filter(None, map(proxy_variable, outside)):
            scheme, found, _ = os.environ[variable].partition("://")
            if found and scheme not in {"http", "https"}:
                raise SettingsError(
                    f"{variable}: a {scheme}:// proxy is not supported; name an http:// one, or unset it"
                )

    @property
    def stripe_mode(self) -> Literal["offline", "test", "live"]:
        """Which Stripe is called: the offline one, or Stripe itself in the mode of the key."""
        if self.stripe_api_base != STRIPE_API:
            return "offline"
        return (
            "live" if self.stripe_secret_key and LIVE_KEY.match(self.stripe_secret_key.get_secret_value()) else "test"
        )

    def require_stripe(self) -> str:
        """Return Stripe's key.

        Raises:
            SettingsError: there is none.
        """
        if self.stripe_secret_key is None:
            raise SettingsError(
                "STRIPE_SECRET_KEY is not set: give it a key from the Stripe dashboard (Developers, API keys), "
                "or run `gateway dev`, which needs none"
            )
        return self.stripe_secret_key.get_secret_value()


def _line(problem: Any) -> str:
    """Return one line for a pydantic problem, without the value, which may be a secret."""
    message = str(problem["msg"]).removeprefix("Value error, ")
    name = ".".join(str(part) for part in problem["loc"])
    field = Settings.model_fields.get(name)
    return f"{variable_of(field)}: {message}" if field else message if not name else f"{name}: {message}"


def variable_of(field: FieldInfo) -> str:
    """Return the environment variable of a field, the first where it has two names."""
    alias = field.validation_alias
    return str(alias.choices[0]) if isinstance(alias, AliasChoices) else str(alias)
