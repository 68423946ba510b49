"""The variables of the service: what it talks to, whom it believes, what it keeps, how much it takes.

A list that an operator reads from top to bottom; what is sold, and how, is `selling.py`, and how all is read `load.py`.
"""

import re
from pathlib import Path

from pydantic import AliasChoices, Field, SecretStr
from pydantic_settings import BaseSettings

from gateway.settings.deprecated import renamed
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
    Rate,
    SecretKey,
    ServiceTokens,
    WebhookSecrets,
)

STATE_DIR = Path(".gateway")
"""Where the embedded database and the state of `gateway dev` are kept, below the current directory."""

STRIPE_API = "https://api.stripe.com"
LIVE_KEY = re.compile(r"^(sk|rk)_(org_)?live_")


class ServiceVariables(BaseSettings):
    """What the service needs. Each field's alias is the environment variable, its description the documentation."""

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
    event_stream_ping_seconds: float = Field(
        12,
        gt=0,
        le=60,
        validation_alias="GATEWAY_EVENT_STREAM_PING_SECONDS",
        description="After how many quiet seconds an event stream gets a comment, so that no proxy takes it for dead.",
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
        "rotation. The audit log names each by the place that it has then (`service token 1`).",
    )
    outbound_endpoints: OutboundEndpoints = Field(
        (),
        validation_alias="GATEWAY_OUTBOUND_ENDPOINTS",
        description="Where changes are sent as signed webhooks: `https://app.example.com/hooks whsec_…`, "
        "comma-separated; a second secret behind the first signs as well, for rotation.",
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
    otlp_endpoint: str | None = Field(
        None,
        validation_alias="OTEL_EXPORTER_OTLP_ENDPOINT",
        description="The OpenTelemetry collector that traces go to, by OTLP over HTTP, such as "
        "`http://127.0.0.1:4318`; none are made without it. OpenTelemetry's other variables count as well.",
    )
