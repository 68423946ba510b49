"""What buyers read, in the languages of a shop: a sentence for every code of `userErrors`, and how taxes are worded.

One file for each language, so that a translator has it whole. Messages for developers stay in English.
"""

import json
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Any, Final

from gateway.billing.languages import nearest
from gateway.billing.user_errors import ProblemCode

LANGUAGES: Final = ("en", "de", "fr", "es", "nl", "pt", "it", "ja")
"""The languages that there are; another one leads to the first."""


def sentence_of(code: ProblemCode, locale: str) -> str:
    """Return what a buyer reads where something must be fixed.

    Args:
        code: what.
        locale: a language tag; the nearest language is taken, at last English.
    """
    return str(_texts(nearest(locale, LANGUAGES) or LANGUAGES[0])["errors"][code.name])


def tax_wording(behavior: str | None, locale: str) -> str | None:
    """Return how a price says whether tax is in it, such as `incl. tax`; None where nobody knows.

    Args:
        behavior: Stripe's `tax_behavior`.
        locale: a language tag; the nearest language is taken, at last English.
    """
    taxes: Mapping[str | None, str] = _texts(nearest(locale, LANGUAGES) or LANGUAGES[0])["taxes"]
    return taxes.get(behavior)


@cache
def _texts(language: str) -> Mapping[str, Any]:
    texts: Mapping[str, Any] = json.loads(files(__name__).joinpath(f"{language}.json").read_text(encoding="utf-8"))
    return texts
