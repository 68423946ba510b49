"""In which currency a pricing page is shown. Pure.

The one that is asked for, else the one to which the user is bound by what was bought, else one of the user's country,
else the default: the first of these in which anything is on sale. Source of a country's currencies: CLDR, by Babel.
"""

from dataclasses import dataclass, replace
from enum import Enum
from functools import lru_cache

from babel.numbers import get_territory_currencies

from gateway.billing.catalog.snapshot import Snapshot

MAX_COUNTRY = 3
"""Characters of a country that are looked at: one more than it has, so that what is longer is none."""


class CurrencyChoice(Enum):
    """Why a pricing page is in its currency; each value says what it means."""

    REQUESTED = "It was asked for."
    VIEWER = "The signed-in user is bound to it by what was bought."
    COUNTRY = "It is the currency of the country."
    DEFAULT = "It is the default currency."


@dataclass(frozen=True, slots=True)
class ChosenCurrency:
    """The currency of a pricing page.

    Attributes:
        code: lower case.
        choice: why it is this one.
        note: why it is none that comes first, for developers; None where it is.
    """

    code: str
    choice: CurrencyChoice
    note: str | None = None


def choose_currency(
    snapshot: Snapshot, *, requested: str | None = None, bound: str | None = None, country: str | None = None
) -> ChosenCurrency:
    """Return the currency in which a pricing page is shown.

    Args:
        snapshot: what is on sale.
        requested: what was asked for, lower case.
        bound: the currency to which the user is bound by what was bought, lower case.
        country: ISO 3166-1 alpha-2, in any case; what is no country counts as none.
    """
    first = [(requested, CurrencyChoice.REQUESTED), (bound, CurrencyChoice.VIEWER)]
    theirs = [(code, CurrencyChoice.COUNTRY) for code in tender_of((country or "")[:MAX_COUNTRY].upper())]
    for code, choice in [*first, *theirs]:
        if code is not None and code in snapshot.currencies:
            found = ChosenCurrency(code, choice)
            break
    else:
        found = ChosenCurrency(snapshot.currency, CurrencyChoice.DEFAULT)
    missed = requested or bound
    if missed in {None, found.code}:
        return found
    bond = "" if requested else ", to which the user is bound"
    return replace(found, note=f"nothing is on sale in {str(missed).upper()}{bond}: this is in {found.code.upper()}")


@lru_cache(512)
def tender_of(country: str) -> tuple[str, ...]:
    """Return the currencies that are legal tender in a country, the most usual first, lower case.

    Args:
        country: ISO 3166-1 alpha-2 in capitals; of what is no country there are none.
    """
    if not (country.isascii() and country.isalpha()):
        return ()
    found: list[str] = get_territory_currencies(country)
    return tuple(code.lower() for code in found)
