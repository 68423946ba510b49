"""In which currency a pricing page is shown: a table without HTTP and without a database."""

import pytest

from gateway.billing.catalog.currencies import ChosenCurrency, CurrencyChoice, choose_currency, tender_of
from harness.rows import price, product, snapshot

CATALOG = snapshot(
    product("pro"), price("month", "pro", 2000, currency_options={"eur": {"unit_amount": 1900}, "chf": {}})
)
UNKNOWN = "nothing is on sale in XAF: this is in "


@pytest.mark.parametrize(
    ("asked", "code", "choice", "note"),
    [
        ({}, "usd", "DEFAULT", None),
        ({"country": "DE"}, "eur", "COUNTRY", None),
        ({"country": "ch"}, "chf", "COUNTRY", None),
        ({"country": "PA"}, "usd", "COUNTRY", None),  # the balboa is not on sale, the dollar is tender as well
        ({"country": "GB"}, "usd", "DEFAULT", None),
        *(
            ({"country": text}, "usd", "DEFAULT", None)
            for text in ("", "XX", "T1", "Deutschland", "DEU", "\u212a", "001")
        ),
        ({"bound": "eur", "country": "CH"}, "eur", "VIEWER", None),
        ({"requested": "chf", "bound": "eur", "country": "US"}, "chf", "REQUESTED", None),
        ({"requested": "xaf"}, "usd", "DEFAULT", UNKNOWN + "USD"),
        ({"requested": "xaf", "country": "DE"}, "eur", "COUNTRY", UNKNOWN + "EUR"),
        ({"requested": "xaf", "bound": "chf", "country": "DE"}, "chf", "VIEWER", UNKNOWN + "CHF"),
        (
            {"bound": "gbp", "country": "DE"},
            "eur",
            "COUNTRY",
            "nothing is on sale in GBP, to which the user is bound: this is in EUR",
        ),
    ],
)
def test_what_is_asked_for_comes_before_the_bond_the_country_and_the_default(asked, code, choice, note):
    assert choose_currency(CATALOG, **asked) == ChosenCurrency(code, CurrencyChoice[choice], note)


def test_an_empty_catalogue_is_in_the_default_currency():
    found = choose_currency(snapshot(currency="EUR"), requested="usd")
    assert (found.code, found.choice) == ("eur", CurrencyChoice.DEFAULT)


def test_what_is_no_country_has_no_currency():
    assert tender_of("JP") == ("jpy",)
    assert choose_currency(CATALOG, country="Deutschland").code == "usd"
    assert {tender_of(text) for text in ("", "XX", "T1", "DEU", "\u212a", "001")} == {()}
    assert tender_of("\u00df") == ()  # whose capitals are South Sudan
    assert tender_of("D\u00c9") == tender_of("'; --") == ()
