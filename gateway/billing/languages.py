"""Languages of a client: any tag is good, and leads to what is nearest to it of what there is.

One tag serves for amounts (Babel's locale data) and for Stripe's pages, which know few languages by tags of their own.
A language that nobody knows is no error: an amount is written in English, and Stripe's page in the browser's language.
Source: RFC 4647, 3.4 ("Lookup"): the end of a tag is cut off until something fits.
"""

from collections.abc import Collection, Iterator, Mapping
from functools import lru_cache
from typing import Final

from babel import Locale, UnknownLocaleError

MAX_TAG: Final = 35
"""Characters of a tag that are read: what RFC 5646, 4.4.1 asks implementations to bear."""

DEFAULT: Final = Locale("en")

_RENAMED: Final = {"no": "nb", "in": "id", "tl": "fil"}
"""Languages that Stripe knows by a newer name (CLDR, language aliases)."""

_LATIN_AMERICA: Final = (
    *("ar", "bo", "br", "bz", "cl", "co", "cr", "cu", "do", "ec", "gt", "hn", "mx", "ni", "pa", "pe", "pr", "py"),
    *("sv", "us", "uy", "ve"),
)
"""The regions whose Spanish is that of Latin America, es-419 (CLDR, parent locales)."""

_PARENTS: Final = {
    **{f"es-{region}": "es-419" for region in _LATIN_AMERICA},
    "zh-hant": "zh-TW",
    "zh-hant-hk": "zh-HK",
    "zh-hant-mo": "zh-HK",
    "zh-mo": "zh-HK",
    "hi": "hi-IN",
}
"""Tags that cutting would lead astray or nowhere, and which of Stripe's they mean (CLDR, likely subtags)."""


def _languages(names: str) -> Mapping[str, str]:
    """Return Stripe's names of languages by every tag that means one."""
    own = {name.lower(): name for name in names.split()}
    return {tag: name for tag, name in _PARENTS.items() if name.lower() in own} | own


CHECKOUT_LANGUAGES: Final = _languages(
    "bg cs da de el en en-GB es es-419 et fi fil fr fr-CA hi-IN hr hu id it ja ko lt lv ms mt nb nl pl pt pt-BR ro ru "
    "sk sl sv th tr vi zh zh-HK zh-TW"
)
"""The languages of Stripe's checkout. Source: Stripe's API reference, `locale` of a checkout session."""

PORTAL_LANGUAGES: Final = _languages(
    "bg cs da de el en en-AU en-CA en-GB en-IE en-IN en-NZ en-SG es es-419 et fi fil fr fr-CA hr hu id it ja ko lt lv "
    "ms mt nb nl pl pt pt-BR ro ru sk sl sv th tr vi zh zh-HK zh-TW"
)
"""The languages of Stripe's portal. Source: Stripe's API reference, `locale` of a portal session."""


def stripe_language(tag: str | None, languages: Mapping[str, str]) -> str | None:
    """Return Stripe's language that is nearest to a tag; None, for the browser's own, when there is none.

    Args:
        tag: a language tag, such as `de-CH` or `zh_Hans_CN`.
        languages: those of the page.
    """
    return next((languages[each] for each in _fallbacks(tag or "", _RENAMED) if each in languages), None)


def nearest(tag: str, known: Collection[str]) -> str | None:
    """Return which of some languages, in lower case, is nearest to a tag; None when none is."""
    return next((each for each in _fallbacks(tag, {}) if each in known), None)


def localized(meta: Mapping[str, str], name: str, locale: str | None) -> str | None:
    """Return a seller's text in a reader's language: metadata `name_de` for `de` and `de-CH`, but for `name_de_ch`.

    Args:
        meta: metadata at Stripe.
        name: of the text, such as `name`.
        locale: the reader's language tag; None for none in particular.

    Returns:
        the text; None where there is none in the language, and for no language.
    """
    if locale is None:
        return None
    start = f"{name}_"
    texts = {key[len(start) :].lower().replace("_", "-"): text for key, text in meta.items() if key.startswith(start)}
    found = nearest(locale, texts) if texts else None
    return (texts[found] or None) if found else None


def locale_of(tag: str) -> Locale:
    """Return the locale that is nearest to a tag; English when there is none."""
    return _locale_of(tag[:MAX_TAG])


@lru_cache(maxsize=512)
def _locale_of(tag: str) -> Locale:
    for each in _fallbacks(tag, {}):
        try:
            return Locale.parse(each, sep="-")
        except (ValueError, UnknownLocaleError):
            continue
    return DEFAULT


def _fallbacks(tag: str, renamed: Mapping[str, str]) -> Iterator[str]:
    """Yield a tag, shorter and shorter. A single letter begins an extension, and goes with what follows it."""
    language, *others = tag[:MAX_TAG].lower().replace("_", "-").split("-")
    subtags = [renamed.get(language, language), *others]
    while subtags and subtags[0].isascii() and subtags[0].isalnum():
        yield "-".join(subtags)
        subtags.pop()
        while subtags and len(subtags[-1]) == 1:
            subtags.pop()
