"""Every setting of the gateway: an environment variable, documented once, checked at the start.

`Settings.load()` reads the environment (and, in development, `.env`). A wrong or missing value stops the start with one
line that names the variable and says what to do. Secrets are `SecretStr`: they never appear in a log, an error or
`repr`.

The file is long on purpose: most of it is the list of the variables, which an operator reads from top to bottom.
"""

import re
from datetime import timedelta
from pathlib import Path
from typing import Any, Literal, Self

import structlog
from pydantic import (
    AliasChoices,
    Field,
    PrivateAttr,
    SecretStr,
    ValidationError,
    model_validator,
)
from pydantic.fields import FieldInfo
from pydantic_settings import (
    BaseSettings,
    DotEnvSettingsSource,
    EnvSettingsSource,
    SettingsConfigDict,
)

from gateway.errors import SettingsError
from gateway.settings.deprecated import OLD_NAMES, renamed
from gateway.settings.unknown import unknown_names
from gateway.settings.values import (
    MEMORY,
    ApiBase,
    HeaderNames,
    Hs256Secret,
    KeyUrl,
    Names,
    Networks,
    OperatorTokens,
    Origins,
    OutboundEndpoints,
    Paths,
    Percents,
    Rate,
    Rates,
    SecretKey,
    ServiceTokens,
    WebhookSecrets,
)

log = structlog.get_logger()

STATE_DIR = Path(".gateway")
"""Where the embedded database and the state of `gateway dev` are kept, below the current directory."""

STRIPE_API = "https://api.stripe.com"
LIVE_KEY = re.compile(r"^(sk|rk)_(org_)?live_")


class Settings(BaseSettings):
    """The gateway's settings. Each field's alias is the environment variable, its description the documentation."""

    model_config = SettingsConfigDict(
        extra="ignore", populate_by_name=True, hide_input_in_errors=True, env_ignore_empty=True
    )

    stripe_secret_key: SecretKey | None = Field(
        None,
        validation_alias=AliasChoices("STRIPE_SECRET_KEY", "STRIPE_API_KEY"),
        description="Stripe's secret or restricted key (`STRIPE_API_KEY` works too).",
    )
    stripe_webhook_secrets: WebhookSecrets = Field(
        (),
        validation_alias="STRIPE_WEBHOOK_SECRET",
        description="Signing secrets of the webhook endpoint, comma-separated for rotation, each plain or "
        "`label:whsec_…`. Without one the webhook route answers 404.",
    )
    connect_accounts: Names = Field(
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
        validation_alias=renamed("GATEWAY_EVENT_CATCH_UP_MINUTES"),
        description="How often Stripe's own list of events is read for what no delivery brought; 0 never.",
    )
    stripe_api_base: ApiBase = Field(
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
    database_connections: int = Field(
        8,
        ge=4,
        le=100,
        validation_alias="GATEWAY_DATABASE_CONNECTIONS",
        description="The most connections that one process has to PostgreSQL at a time: two for reading, one to hear "
        "of changes, the rest for transactions. A command such as `gateway doctor` is a process too.",
    )
    access_memory_mb: int = Field(
        4,
        ge=1,
        le=65_536,
        validation_alias="GATEWAY_ACCESS_MEMORY_MB",
        description="How much memory, in MB, the answers to access checks may take in each process: a user takes about "
        "6 KB (4 MB are 700 users), and whoever finds no room costs a reading of the database.",
    )
    event_retention_days: int = Field(
        90,
        ge=31,
        le=36_500,
        validation_alias="GATEWAY_EVENT_RETENTION_DAYS",
        description="Days for which events from Stripe are kept once they are applied, counted from their creation; at "
        "least 31, because Stripe's list of events goes back 30.",
    )
    outbox_retention_days: int = Field(
        90,
        ge=1,
        le=36_500,
        validation_alias="GATEWAY_OUTBOX_RETENTION_DAYS",
        description="Days for which messages to the application are kept once every endpoint has them.",
    )
    usage_retention_days: int = Field(
        400,
        ge=36,
        le=36_500,
        validation_alias="GATEWAY_USAGE_RETENTION_DAYS",
        description="Days for which reported usage is kept once Stripe has it, and while its period runs; at least 36, "
        "because Stripe takes usage of the past 35. An identifier counts once for so long.",
    )
    intent_retention_days: int = Field(
        30,
        ge=2,
        le=36_500,
        validation_alias="GATEWAY_INTENT_RETENTION_DAYS",
        description="Days for which the idempotency key of a checkout gives the same session; a session expires after "
        "a day.",
    )
    cors_origins: Origins = Field(
        (),
        validation_alias="GATEWAY_CORS_ORIGINS",
        description="Origins whose pages may call the API from a browser, comma-separated.",
    )
    cors_headers: HeaderNames = Field(
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
    federation: bool = Field(
        False,
        validation_alias="GATEWAY_FEDERATION",
        description="Whether the API can be a part of a larger graph (Apollo Federation 2; `on`/`off`). On, `_service` "
        "shows the schema to everybody.",
    )
    compiled_execution: bool = Field(
        True,
        validation_alias="GATEWAY_COMPILED_EXECUTION",
        description="Whether GraphQL's selections are compiled (`on`/`off`). Off, graphql-core does all: slower, and a "
        "way to find out whether the compiler is at fault.",
    )
    trusted_documents: Paths = Field(
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
        validation_alias=renamed("GATEWAY_RATE_LIMIT_REQUESTS"),
        description="GraphQL requests of one address, such as `3000/minute` or `50/second; 3000/minute`; `off` without "
        "limit. Many buyers may share an address.",
    )
    rate_limit_checkouts: Rate = Field(
        "5/minute",
        validation_alias=renamed("GATEWAY_RATE_LIMIT_CHECKOUTS"),
        description="Checkouts of one signed-in user; `off` without limit.",
    )
    rate_limit_guest_checkouts: Rate = Field(
        "3/minute; 30/hour",
        validation_alias=renamed("GATEWAY_RATE_LIMIT_GUEST_CHECKOUTS"),
        description="Checkouts of guests from one address: stricter, against card testing; `off` without limit.",
    )
    rate_limit_mutations: Rate = Field(
        "30/minute",
        validation_alias=renamed("GATEWAY_RATE_LIMIT_MUTATIONS"),
        description="Other mutations of one user, or of guests from one address; `off` without limit.",
    )
    rate_limit_stripe_reads: Rate = Field(
        "120/minute",
        validation_alias="GATEWAY_RATE_LIMIT_STRIPE_READS",
        description="Calls to Stripe by queries (`session` and `dueAtRenewal` make 1, `quoteChange` 3) of one user, "
        "or of guests from one address; `off` without limit.",
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
        validation_alias=renamed("GATEWAY_WEBSOCKET_SECONDS"),
        description="How long a WebSocket or event stream lasts at most, in seconds; clients then connect again.",
    )
    websocket_init_seconds: float = Field(
        10,
        gt=0,
        le=60,
        validation_alias=renamed("GATEWAY_WEBSOCKET_INIT_SECONDS"),
        description="How long a WebSocket may take to say who it is, in seconds.",
    )
    websocket_connections: int = Field(
        5000,
        ge=0,
        validation_alias=renamed("GATEWAY_WEBSOCKET_CONNECTIONS"),
        description="WebSockets and event streams that one process holds at most; each takes a file descriptor.",
    )
    websocket_per_address: int = Field(
        200,
        ge=0,
        validation_alias=renamed("GATEWAY_WEBSOCKET_PER_ADDRESS"),
        description="Those of one address.",
    )
    websocket_operations: int = Field(
        20,
        ge=1,
        validation_alias=renamed("GATEWAY_WEBSOCKET_OPERATIONS"),
        description="Operations that run at the same time on one WebSocket.",
    )
    rate_limit_storage: SecretStr = Field(
        SecretStr(MEMORY),
        validation_alias=renamed("GATEWAY_RATE_LIMIT_STORAGE"),
        description="Where the limits are counted: `memory://` for one process, `redis://host:6379/0` for several.",
    )
    trusted_proxies: Networks = Field(
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
    renewal_grace_hours: float = Field(
        2.0,
        ge=0,
        le=72,
        validation_alias="GATEWAY_RENEWAL_GRACE_HOURS",
        description="Hours for which a period's credits stay usable while the next invoice is a draft or is being "
        "charged. Stripe keeps a renewal's draft for about an hour.",
    )
    usage_alerts: Percents = Field(
        (80, 100),
        validation_alias="GATEWAY_USAGE_ALERTS",
        description="Percents of a counted feature's limit at which `usage.threshold` is sent, once for each period, "
        "separated by commas; empty for none. `setUsageControls` sets a customer's own.",
    )
    auth_jwks_url: KeyUrl | None = Field(
        None, validation_alias="AUTH_JWKS_URL", description="Where the OpenID provider publishes its keys."
    )
    auth_jwks_min_refresh_seconds: float = Field(
        30.0,
        ge=0,
        validation_alias=renamed("AUTH_JWKS_MIN_REFRESH_SECONDS"),
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
    auth_hs256_secret: Hs256Secret | None = Field(
        None,
        validation_alias="AUTH_HS256_SECRET",
        description="The shared secret of a provider that signs with HS256 (at least 32 bytes).",
    )
    auth_subject_claim: str = Field(
        "sub",
        validation_alias="AUTH_SUBJECT_CLAIM",
        description="The claim that names the customer; an organisation claim makes the organisation the customer.",
    )
    service_tokens: ServiceTokens = Field(
        (),
        validation_alias="GATEWAY_SERVICE_TOKEN",
        description="Tokens of the application's own back end (at least 16 characters each), comma-separated for "
        "rotation.",
    )
    outbound_endpoints: OutboundEndpoints = Field(
        (),
        validation_alias="GATEWAY_OUTBOUND_ENDPOINTS",
        description="Where changes are sent as signed webhooks: `https://app.example.com/hooks whsec_…`, "
        "comma-separated; a second secret behind the first signs as well, for rotation.",
    )
    link_customers_by_email: bool = Field(
        True,
        validation_alias=renamed("GATEWAY_LINK_CUSTOMERS_BY_EMAIL"),
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
        validation_alias=renamed("GATEWAY_ALLOW_MULTIPLE_SUBSCRIPTIONS"),
        description="Whether a user may have more than one live subscription to plans of the same group. A product is "
        "of the group that its metadata names (`group`), else of the default one; `addon: true` is of none.",
    )
    allow_repeat_trials: bool = Field(
        False,
        validation_alias=renamed("GATEWAY_ALLOW_REPEAT_TRIALS"),
        description="Whether a user, or a guest with the same e-mail address, who has had a trial may have another.",
    )
    invoice_purchases: bool = Field(
        False,
        validation_alias="GATEWAY_INVOICE_PURCHASES",
        description="Whether each one-off purchase gets an invoice at Stripe, which may charge for it.",
    )
    prorate_cancellations: bool = Field(
        False,
        validation_alias="GATEWAY_PRORATE_CANCELLATIONS",
        description="Whether `cancelSubscription(when: NOW)` credits the unused time to the customer's balance.",
    )
    change_time: Literal["now", "at_period_end", "automatic"] = Field(
        "now",
        validation_alias="GATEWAY_CHANGE_TIME",
        description="When a plan changes where the caller does not say it: at once (`now`), as the period ends "
        "(`at_period_end`), or up at once and down as the period ends (`automatic`).",
    )
    seller_plans_binding: bool = Field(
        False,
        validation_alias="GATEWAY_SELLER_PLANS_BINDING",
        description="Whether what was planned in Stripe's dashboard, portal or API binds the customer "
        "(`PLANNED_BY_SELLER`). Otherwise it can be undone and changed where what is kept is what anybody can buy; a "
        "schedule with the metadata `customer_may_change: false` always binds.",
    )
    pause_access: Literal["paid", "free"] = Field(
        "paid",
        validation_alias="GATEWAY_PAUSE_ACCESS",
        description="What access says while a user has paused a subscription: it ends with what was paid for (`paid`), "
        "or goes on for nothing (`free`).",
    )
    free_without_card: bool = Field(
        False,
        validation_alias="GATEWAY_FREE_WITHOUT_CARD",
        description="Whether trials, free plans and what a code makes free are sold without asking for a card, on the "
        "hosted page and by `startSubscription`. A trial ends in a pause then, unless a card came meanwhile.",
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

    console: bool = Field(
        False,
        validation_alias="GATEWAY_CONSOLE",
        description="Whether operators may sign in (`on`/`off`): to the console at `/console`, and to the fields of "
        "GraphQL that it uses.",
    )
    operator_tokens: OperatorTokens = Field(
        (),
        validation_alias="GATEWAY_OPERATOR_TOKENS",
        description="Tokens of operators, each `name:read:op_…` or `name:act:op_…` (32 characters or more), "
        "comma-separated; `sha256=` and its 64 hexadecimal digits may stand for a token.",
    )
    operator_jwks_url: KeyUrl | None = Field(
        None,
        validation_alias="GATEWAY_OPERATOR_JWKS_URL",
        description="Where the operators' OpenID provider publishes its keys; the next two are needed with it.",
    )
    operator_issuer: str | None = Field(
        None,
        validation_alias="GATEWAY_OPERATOR_ISSUER",
        description="The issuer (`iss`) that an operator's token must name.",
    )
    operator_audience: str | None = Field(
        None,
        validation_alias="GATEWAY_OPERATOR_AUDIENCE",
        description="The audience (`aud`) that it must name: the id of the client that the provider has for the "
        "console.",
    )
    operator_client_secret: SecretStr | None = Field(
        None,
        validation_alias="GATEWAY_OPERATOR_CLIENT_SECRET",
        description="The secret of this client, where the provider gives it one; its address to come back to is "
        "`/console/callback`.",
    )
    operator_role_claim: str = Field(
        "roles",
        validation_alias="GATEWAY_OPERATOR_ROLE_CLAIM",
        description="The claim that says the operator's role: a text, or a list of texts.",
    )
    operator_read_role: str = Field(
        "billing-read",
        validation_alias="GATEWAY_OPERATOR_READ_ROLE",
        description="What it says of an operator who may look at everything.",
    )
    operator_act_role: str = Field(
        "billing-act",
        validation_alias="GATEWAY_OPERATOR_ACT_ROLE",
        description="What it says of one who may change it as well.",
    )

    figures_rates: Rates | None = Field(
        None,
        validation_alias="GATEWAY_FIGURES_RATES",
        description="By which figures of all currencies are put together in one, such as `EUR USD=0.92 GBP=1.17`: the "
        "currency, and what one of each other is worth in it. Without it each currency stands alone.",
    )

    otlp_endpoint: str | None = Field(
        None,
        validation_alias="OTEL_EXPORTER_OTLP_ENDPOINT",
        description="The OpenTelemetry collector that traces go to, by OTLP over HTTP, such as "
        "`http://127.0.0.1:4318`; none are made without it. OpenTelemetry's other variables count as well.",
    )

    _old_names: dict[str, str] = PrivateAttr(default_factory=dict)
    _unknown_names: dict[str, str | None] = PrivateAttr(default_factory=dict)

    @model_validator(mode="after")
    def _something_may_run(self) -> Self:
        if self.trusted_documents_only and not self.trusted_documents:
            raise ValueError("GATEWAY_TRUSTED_DOCUMENTS: name the manifest, because nothing else may run")
        return self

    @model_validator(mode="after")
    def _operators_are_known(self) -> Self:
        if self.operator_jwks_url and not (self.operator_issuer and self.operator_audience):
            raise ValueError(
                "GATEWAY_OPERATOR_JWKS_URL: set GATEWAY_OPERATOR_ISSUER and GATEWAY_OPERATOR_AUDIENCE too, or tokens "
                "that were made for other applications are taken"
            )
        users, operators = (self.auth_issuer, self.auth_audience), (self.operator_issuer, self.operator_audience)
        if self.operator_jwks_url and users == operators:
            raise ValueError("GATEWAY_OPERATOR_AUDIENCE: give the console a client of its own, apart from the users'")
        if self.console and not (self.operator_tokens or self.operator_jwks_url):
            raise ValueError("GATEWAY_CONSOLE: set GATEWAY_OPERATOR_TOKENS or GATEWAY_OPERATOR_JWKS_URL to sign in")
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
        known = {name for field in cls.model_fields.values() for name in names_of(field)}
        settings._unknown_names = unknown_names(given, known)
        return settings

    @property
    def old_names(self) -> dict[str, str]:
        """The deprecated names that the environment uses, each with the name to use instead."""
        return self._old_names

    @property
    def unknown_names(self) -> dict[str, str | None]:
        """The variables that look like settings and are none, each with the one that may be meant."""
        return self._unknown_names

    def warn_about_names(self) -> None:
        """Log a warning for each name that the environment uses and that is deprecated, or no setting at all."""
        for old, new in self._old_names.items():
            log.warning("setting_deprecated", name=old, use=new)
        for name, meant in self._unknown_names.items():
            log.warning("setting_unknown", name=name, did_you_mean=meant)

    @property
    def grace(self) -> timedelta:
        """How long access goes on after the first failed charge of a renewal."""
        return timedelta(days=self.grace_days)

    @property
    def renewal_grace(self) -> timedelta:
        """How long a period's credits stay usable while the next invoice is not paid."""
        return timedelta(hours=self.renewal_grace_hours)

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
    return names_of(field)[0]


def names_of(field: FieldInfo) -> list[str]:
    """Return every environment variable of a field."""
    alias = field.validation_alias
    return [str(choice) for choice in alias.choices] if isinstance(alias, AliasChoices) else [str(alias)]
