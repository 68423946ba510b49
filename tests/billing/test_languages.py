"""One tag for amounts and for Stripe's pages: what is nearest to it, and never an error."""

import re

import pytest
from stripe.params import billing_portal, checkout

from gateway.billing import languages
from gateway.billing.languages import CHECKOUT_LANGUAGES, PORTAL_LANGUAGES, locale_of, localized, stripe_language

TAGS = [
    # tag, amounts, checkout, portal
    ("en", "en", "en", "en"),
    ("en-US", "en_US", "en", "en"),
    ("EN-us", "en_US", "en", "en"),
    ("en-GB", "en_GB", "en-GB", "en-GB"),
    ("en-AU", "en_AU", "en", "en-AU"),
    ("en-JP", "en", "en", "en"),
    ("en-US-u-nu-latn", "en_US", "en", "en"),
    ("en-x-private", "en", "en", "en"),
    ("de-DE", "de_DE", "de", "de"),
    ("de-CH-1996", "de_CH", "de", "de"),
    ("fr-FR", "fr_FR", "fr", "fr"),
    ("fr-CA", "fr_CA", "fr-CA", "fr-CA"),
    ("es-DE", "es", "es", "es"),
    ("es-MX", "es_MX", "es-419", "es-419"),
    ("es-ES", "es_ES", "es", "es"),
    ("pt_BR", "pt_BR", "pt-BR", "pt-BR"),
    ("pt-PT", "pt_PT", "pt", "pt"),
    ("no", "no", "nb", "nb"),
    ("nb-NO", "nb_NO", "nb", "nb"),
    ("zh-CN", "zh_Hans_CN", "zh", "zh"),
    ("zh-Hans-US", "zh_Hans", "zh", "zh"),
    ("zh-TW", "zh_Hant_TW", "zh-TW", "zh-TW"),
    ("zh-Hant", "zh_Hant", "zh-TW", "zh-TW"),
    ("zh-Hant-HK", "zh_Hant_HK", "zh-HK", "zh-HK"),
    ("zh-MO", "zh_Hant_MO", "zh-HK", "zh-HK"),
    ("hi", "hi", "hi-IN", None),
    ("ar-EG", "ar_EG", None, None),
    ("tlh", "en", None, None),
    ("auto", "en", None, None),
]


@pytest.mark.parametrize(("tag", "amounts", "on_checkout", "on_portal"), TAGS)
def test_a_tag_leads_to_what_is_nearest(tag, amounts, on_checkout, on_portal):
    assert str(locale_of(tag)) == amounts
    assert stripe_language(tag, CHECKOUT_LANGUAGES) == on_checkout
    assert stripe_language(tag, PORTAL_LANGUAGES) == on_portal


@pytest.mark.parametrize(
    "tag", ["", "-", "--", "ä", "../../etc/passwd", "en\0", "x", "i-klingon", "e" * 5000, "*", " de"]
)
def test_what_is_no_tag_is_no_error(tag):
    assert str(locale_of(tag)) == "en"
    assert stripe_language(tag, CHECKOUT_LANGUAGES) is None


def test_without_a_tag_the_page_is_in_the_browsers_language():
    assert stripe_language(None, CHECKOUT_LANGUAGES) is None


@pytest.mark.parametrize(
    ("known", "parameters"),
    [(CHECKOUT_LANGUAGES, checkout.SessionCreateParams), (PORTAL_LANGUAGES, billing_portal.SessionCreateParams)],
)
def test_the_languages_are_those_that_the_sdk_names(known, parameters):
    names = set(re.findall(r"'([a-zA-Z0-9-]+)'", str(parameters.__annotations__["locale"])))
    assert set(known.values()) == names - {"auto"}


def test_a_language_of_a_page_is_found_by_every_tag_that_means_it():
    own = {"en-gb": "en-GB", "zh-tw": "zh-TW"}
    assert languages._languages("en-GB zh-TW") == {"zh-hant": "zh-TW", **own}


def test_long_tags_fill_no_memory():
    languages._locale_of.cache_clear()
    for number in range(1000):
        locale_of(f"de-{number}" + "x" * 10_000)
    assert languages._locale_of.cache_info().currsize <= 512


@pytest.mark.parametrize(
    ("locale", "expected"),
    [
        *((None, None), ("en", None), ("", None), ("de", "Profi"), ("de-AT", "Profi"), ("de-CH", "Profi (CH)")),
        *(("pt-br", "Pro (BR)"), ("pt", None), ("fr", None), ("de-CH-1996", "Profi (CH)")),
    ],
)
def test_a_text_in_the_readers_language_comes_from_metadata(locale, expected):
    meta = {"name_de": "Profi", "name_de-CH": "Profi (CH)", "name_pt_BR": "Pro (BR)", "name_fr": "", "name": "no"}
    assert localized(meta, "name", locale) == expected
