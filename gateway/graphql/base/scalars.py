"""Money and the scalars of the schema."""

import re
from dataclasses import field
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, NewType, overload

import strawberry
from strawberry.types.scalar import ScalarDefinition

from gateway.billing import money
from gateway.errors import BadInput
from gateway.graphql.base.arguments import Locale
from gateway.graphql.base.decorators import object_type, resolver
from gateway.graphql.base.memo import MemoizedType

Currency = NewType("Currency", str)
MinorUnits = NewType("MinorUnits", int)
BigInt = NewType("BigInt", int)
Representation = NewType("Representation", object)

_CURRENCY = re.compile("[A-Za-z]{3}")
_SAFE = 2**53 - 1  # what JavaScript's numbers hold exactly


@overload
def big(value: int) -> BigInt: ...
@overload
def big(value: int | None) -> BigInt | None: ...
def big(value: int | None) -> BigInt | None:
    """Return a count as a BigInt, and None as it is."""
    return None if value is None else BigInt(value)


def _currency(value: Any) -> Currency:
    """Parse a currency: lower case inside, as Stripe writes it."""
    if isinstance(value, str) and _CURRENCY.fullmatch(value):
        return Currency(value.lower())
    raise BadInput("the value must be a currency of three letters, such as EUR")


def _parse_integer(value: Any) -> int:
    if type(value) is int and -_SAFE <= value <= _SAFE:
        return value
    raise BadInput("the value must be an integer within 2^53")


def _integer(value: Any) -> int:
    """Return a value of our own. What a client could not read exactly is our failure, not the client's."""
    if type(value) is int and -_SAFE <= value <= _SAFE:
        return value
    raise ValueError("the value is not an integer within 2^53")


def _moment(value: datetime) -> str:
    return value.astimezone(UTC).isoformat().replace("+00:00", "Z")


def _parse_moment(value: Any) -> datetime:
    try:
        moment = datetime.fromisoformat(value)
    except (TypeError, ValueError):
        moment = None
    if moment is None or moment.tzinfo is None:
        raise BadInput("the value must be a time with its offset, as in RFC 3339: 2026-11-23T12:00:00Z")
    return moment


SCALARS: dict[object, ScalarDefinition] = {
    Currency: strawberry.scalar(
        name="Currency",
        description="A currency's ISO 4217 code in capitals, such as EUR; lower case is accepted.",
        specified_by_url="https://www.iso.org/iso-4217-currency-codes.html",
        serialize=str.upper,
        parse_value=_currency,
    ),
    MinorUnits: strawberry.scalar(
        name="MinorUnits",
        description="An integer number of a currency's minor unit as Stripe counts it (cents; yen), within 2^53.",
        serialize=_integer,
        parse_value=_parse_integer,
    ),
    BigInt: strawberry.scalar(
        name="BigInt",
        description="An integer that may need more than 32 bits, within 2^53.",
        serialize=_integer,
        parse_value=_parse_integer,
    ),
    datetime: strawberry.scalar(
        name="DateTime",
        description="A moment in UTC as in RFC 3339, such as 2026-11-23T12:00:00Z.",
        specified_by_url="https://www.rfc-editor.org/rfc/rfc3339",
        serialize=_moment,
        parse_value=_parse_moment,
    ),
    Representation: strawberry.scalar(
        name="_Any",
        description="An entity as another graph names it, such as `{__typename, id}` (Apollo Federation).",
        serialize=lambda value: value,
        parse_value=lambda value: value,
    ),
}


@object_type
class Money(MemoizedType):
    """An amount of one currency."""

    amount: MinorUnits = strawberry.field(description="The amount in minor units; 1250 US cents are 12.50 dollars.")
    currency: Currency = strawberry.field(description="The currency.")
    decimal: str = strawberry.field(description="The amount in major units as a plain decimal number, such as 12.50.")
    memo: strawberry.Private[dict[str, dict[str, Any]]] = field(default_factory=dict, compare=False, repr=False)

    @resolver
    def formatted(
        self,
        locale: Locale = "en",
    ) -> str:
        """The amount as people of a locale write it, such as $12.50 or 12,50 €."""
        return money.formatted(self.amount, self.currency, locale)


@overload
def of(amount: int, currency: str) -> Money: ...
@overload
def of(amount: int | None, currency: str | None) -> Money | None: ...
def of(amount: int | None, currency: str | None) -> Money | None:
    """Return money, or None where there is no amount."""
    return None if amount is None or currency is None else _of(amount, currency)


@lru_cache(maxsize=4096)  # the same amounts stand in every answer
def _of(amount: int, currency: str) -> Money:
    return Money(amount=MinorUnits(amount), currency=Currency(currency), decimal=money.decimal(amount, currency))
