"""Where Stripe may send a buyer back to: only to origins that the settings name, compared exactly."""

import re

from gateway.settings.values import origin_of

MAX_LENGTH = 2000
# What browsers and URL parsers read differently (or drop) never gets as far as being parsed.
_PLAIN = re.compile(r"https?://[!-\[\]-~]+", re.IGNORECASE)  # visible ASCII without the backslash


def redirect_problem(url: str, origins: tuple[str, ...]) -> str | None:
    """Return why a buyer may not be sent to a URL; None when it is fine.

    `{CHECKOUT_SESSION_ID}` in its path, query or fragment is Stripe's to fill in.

    Args:
        url: as the client sent it.
        origins: the allowed origins (`GATEWAY_REDIRECT_ORIGINS`).
    """
    if len(url) > MAX_LENGTH:
        return f"it is longer than {MAX_LENGTH} characters"
    if not _PLAIN.fullmatch(url):
        return "it must be an http(s) URL in plain ASCII, without spaces or backslashes"
    try:
        origin = origin_of(url)
    except ValueError:
        return "it is no URL of a host without user information"
    if origin not in origins:
        return f"its origin {origin} is not one that GATEWAY_REDIRECT_ORIGINS allows"
    return None
