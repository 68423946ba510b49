"""The proxy that the environment names, and what is called without it."""

import os
from urllib.parse import urlsplit

from gateway.errors import SettingsError
from gateway.settings.load import Settings
from gateway.settings.values import LOOPBACK


def proxy_variable(url: str) -> str | None:
    """Return the environment variable that puts a proxy before a URL; None where the URL is called directly."""
    parts = urlsplit(url)
    variable = _set(parts.scheme) or _set("all")
    if variable is None:
        return None
    from urllib.request import proxy_bypass  # noqa: PLC0415 - 2 MB, which few starts need

    return None if proxy_bypass(parts.hostname or "") else variable


def proxy_note(settings: Settings) -> str:
    """Return what to add to a failure to reach Stripe where a proxy stands before it."""
    variable = proxy_variable(settings.stripe_api_base)
    return f"; Stripe is called through the proxy of {variable}" if variable else ""


def prepare_proxies(settings: Settings) -> None:
    """Have what runs on this machine called directly, whatever proxy the environment names.

    It is written into NO_PROXY, which every HTTP library of this process reads.

    Raises:
        SettingsError: a proxy is named that cannot be used.
    """
    called = [settings.stripe_api_base, *(endpoint.url for endpoint in settings.outbound_endpoints)]
    called += [url for url in (settings.auth_jwks_url, settings.operator_jwks_url) if url]
    outside = [url for url in called if urlsplit(url).hostname not in LOOPBACK]
    known = os.environ.get("no_proxy") or os.environ.get("NO_PROXY") or ""
    direct = ",".join(filter(None, [known, *sorted(LOOPBACK)])) if outside else "*"
    os.environ |= {"no_proxy": direct, "NO_PROXY": direct}
    if outside:
        for variable in filter(None, map(_set, ("http", "https", "all"))):  # httpx prepares all, whichever is used
            _check(variable)


def _set(kind: str) -> str | None:
    """Return the environment variable that names a proxy for a scheme, or for `all`; small letters go first."""
    names = f"{kind}_proxy", f"{kind}_proxy".upper()
    return next((name for name in names if os.environ.get(name)), None)


def _check(variable: str) -> None:
    """Refuse a proxy that httpx would end in a traceback for; the value may hold a password, and is not told."""
    from httpx import InvalidURL, Proxy  # noqa: PLC0415 - few starts need it

    value = os.environ[variable]
    scheme, found, _ = value.partition("://")
    if found and scheme.lower() not in {"http", "https"}:
        raise SettingsError(f"{variable}: a {scheme}:// proxy is not supported; name an http:// one, or unset it")
    try:
        Proxy(value if found else f"http://{value}")
    except (InvalidURL, ValueError):
        raise SettingsError(f"{variable}: it is no address of a proxy; write http://host:port, or unset it") from None
