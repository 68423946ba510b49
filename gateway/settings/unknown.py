"""Variables that look like settings and are none: mostly a name that was mistyped, whose default counts then."""

import re
from collections.abc import Collection, Iterable
from difflib import get_close_matches

OURS = re.compile(r"(GATEWAY|AUTH)_")
OF_KUBERNETES = re.compile(
    r"(GATEWAY|AUTH)(_\w+)?_(SERVICE_HOST|SERVICE_PORT(_\w+)?|PORT(_\d+_(TCP|UDP|SCTP)(_\w+)?)?)"
)
"""What Kubernetes gives every container where a Service is called `gateway` or `auth`.
Source: https://kubernetes.io/docs/concepts/services-networking/service/#environment-variables."""
ALIKE = 0.8
"""From here on, of 1, a name is taken for another that was mistyped."""


def unknown_names(given: Iterable[str], known: Collection[str]) -> dict[str, str | None]:
    """Return the variables that are no settings, each with the setting that may be meant.

    Args:
        given: the names of all variables, in any case.
        known: the names of the settings, the deprecated ones too.
    """
    names = sorted({name.upper() for name in given} - {*known})
    ours = [name for name in names if OURS.match(name) and not OF_KUBERNETES.fullmatch(name)]
    return {name: next(iter(get_close_matches(name, known, 1, ALIKE)), None) for name in ours}
