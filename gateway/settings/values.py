"""How the values of variables are written: lists, origins, secrets, rates, networks. Each parser says what is wrong."""

import re
from decimal import Decimal
from hashlib import sha256
from ipaddress import ip_network
from pathlib import Path
from typing import Annotated, Any, NamedTuple
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, SecretStr
from pydantic_settings import NoDecode

LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
"""Where whoever calls is on this machine."""

MEMORY = "memory://"
"""Where rates are counted when each process counts for itself."""

MIN_HS256_BYTES = 32
MIN_SERVICE_TOKEN = 16
OPERATOR_PREFIX = "op_"
MIN_OPERATOR_TOKEN = 32
DIGEST = "sha256="
SECRET_KEY = re.compile(r"^(sk|rk)_")
SIGNING_SECRET = re.compile(r"whsec_[A-Za-z0-9+/]{32,}={0,2}")
MAX_PERCENTS, MAX_PERCENT = 10, 1_000


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


class OperatorToken(NamedTuple):
    """A token of an operator, as its SHA-256 alone.

    Attributes:
        name: of the operator.
        may_act: whether the operator changes anything.
        digest: of the token.
    """

    name: str
    may_act: bool
    digest: bytes


_OPERATOR = re.compile(r"([\w.@+-]{1,80}):(read|act):(\S+)")


def _operator_tokens(value: Any) -> Any:
    """Parse `ann:act:op_…`, comma-separated; `sha256=` and 64 hexadecimal digits may stand for a token.

    Raises:
        ValueError: one of them is not so.
    """
    tokens = []
    for part in _split(value):
        if isinstance(part, OperatorToken):
            tokens.append(part)
            continue
        found = _OPERATOR.fullmatch(part)
        if found is None:
            raise ValueError("an entry is malformed; write `name:read:op_…` or `name:act:op_…`, comma-separated")
        name, role, token = found.groups()
        tokens.append(OperatorToken(name, role == "act", _digest_of(token)))
    return tuple(tokens)


def _digest_of(token: str) -> bytes:
    """Return the SHA-256 of an operator's token; it alone is kept."""
    if token.startswith(DIGEST):
        if not re.fullmatch("[0-9a-f]{64}", token.removeprefix(DIGEST)):
            raise ValueError(f"behind `{DIGEST}` stand 64 hexadecimal digits (printf %s op_… | sha256sum)")
        return bytes.fromhex(token.removeprefix(DIGEST))
    if not token.startswith(OPERATOR_PREFIX) or len(token) < MIN_OPERATOR_TOKEN or not token.isascii():
        raise ValueError(
            f"an operator's token is {OPERATOR_PREFIX} and random, {MIN_OPERATOR_TOKEN} characters or more "
            '(echo "op_$(openssl rand -hex 32)")'
        )
    return sha256(token.encode()).digest()


class FigureRates(NamedTuple):
    """What one unit of each currency is worth in one of them; lower case."""

    target: str
    rates: dict[str, Decimal]


def _figure_rates(value: Any) -> Any:
    """Parse `EUR USD=0.92 GBP=1.17`.

    Raises:
        ValueError: it is not so.
    """
    if isinstance(value, FigureRates):
        return value
    target, *given = str(value).lower().split()
    rates = {target: Decimal(1)}
    for part in given:
        currency, _, rate = part.partition("=")
        if not re.fullmatch("[a-z]{3}", currency) or not re.fullmatch(r"[0-9]{1,9}(\.[0-9]{1,12})?", rate):
            raise ValueError(
                "a rate is malformed; write `EUR USD=0.92 GBP=1.17`: a currency, and what one of each other is worth"
            )
        rates[currency] = Decimal(rate)
    if not re.fullmatch("[a-z]{3}", target):
        raise ValueError("there is no currency at the beginning; write `EUR USD=0.92`")
    return FigureRates(target, rates)


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
            raise ValueError(
                "a secret is missing or malformed; write `https://app.example.com/hooks whsec_…`, of 24 bytes"
            )
        endpoints.append(OutboundEndpoint(url, tuple(SecretStr(secret) for secret in secrets)))
    if len({endpoint.url for endpoint in endpoints}) < len(endpoints):
        raise ValueError("an address is named twice; give it once, with both secrets: `https://… whsec_new whsec_old`")
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


def _percents(value: object) -> tuple[int, ...]:
    """Split whole percents."""
    parts = [str(part).strip().removesuffix("%") for part in _split(value)]
    if len(parts) > MAX_PERCENTS or not all(part.isdecimal() and 1 <= int(part) <= MAX_PERCENT for part in parts):
        raise ValueError(
            f"these are no percents; write at most {MAX_PERCENTS} whole ones of 1 to {MAX_PERCENT}, such as 80,100"
        )
    return tuple(sorted({int(part) for part in parts}))


def _secret_key(value: SecretStr) -> SecretStr:
    """Refuse what cannot call the API. Source: https://docs.stripe.com/keys."""
    key = value.get_secret_value()
    if key.startswith("pk_"):
        raise ValueError("this is a publishable key, which cannot call Stripe; use the secret one (sk_… or rk_…)")
    if key and not SECRET_KEY.match(key):
        raise ValueError("a secret key starts with sk_ or rk_ (Stripe dashboard, Developers, API keys)")
    if not re.fullmatch(r"\w*", key, re.ASCII):
        raise ValueError("it has what no key has, such as a blank or the end of a line; copy it again")
    return value


def _api_base(value: str) -> str:
    """Reduce the address to its origin, to which the SDK adds the paths."""
    return origin_of(value)


def _key_url(value: str) -> str:
    """Require TLS: whoever can change the keys on their way can sign in as anybody."""
    scheme, host = origin_of(value).partition("://")[0], urlsplit(value).hostname
    if scheme != "https" and host not in LOOPBACK:
        raise ValueError("whoever can change the keys on their way can sign in as anybody; use https")
    return value


def _hs256_secret(value: SecretStr) -> SecretStr:
    """Require a key at least as long as the hash (RFC 7518, 3.2)."""
    if len(value.get_secret_value().encode()) < MIN_HS256_BYTES:
        raise ValueError(
            f"the secret is too short; use a random one of at least {MIN_HS256_BYTES} bytes (openssl rand -hex 32)"
        )
    return value


def _service_tokens(value: tuple[SecretStr, ...]) -> tuple[SecretStr, ...]:
    """Require tokens that nobody guesses."""
    if any(len(token.get_secret_value()) < MIN_SERVICE_TOKEN for token in value):
        raise ValueError(
            f"a token is too short; use random ones of at least {MIN_SERVICE_TOKEN} characters (openssl rand -hex 32)"
        )
    return value


Rate = Annotated[str, BeforeValidator(_rate)]
Origins = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_origins)]
Names = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_split)]
HeaderNames = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_header_names)]
Networks = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_networks)]
Paths = Annotated[tuple[Path, ...], NoDecode, BeforeValidator(_split)]
Percents = Annotated[tuple[int, ...], NoDecode, BeforeValidator(_percents)]
SecretKey = Annotated[SecretStr, AfterValidator(_secret_key)]
ApiBase = Annotated[str, AfterValidator(_api_base)]
KeyUrl = Annotated[str, AfterValidator(_key_url)]
Hs256Secret = Annotated[SecretStr, AfterValidator(_hs256_secret)]
ServiceTokens = Annotated[tuple[SecretStr, ...], NoDecode, BeforeValidator(_secrets), AfterValidator(_service_tokens)]
OperatorTokens = Annotated[tuple[OperatorToken, ...], NoDecode, BeforeValidator(_operator_tokens)]
Rates = Annotated[FigureRates, NoDecode, BeforeValidator(_figure_rates)]
WebhookSecrets = Annotated[tuple[WebhookSecret, ...], NoDecode, BeforeValidator(_webhook_secrets)]
OutboundEndpoints = Annotated[tuple[OutboundEndpoint, ...], NoDecode, BeforeValidator(_endpoints)]
