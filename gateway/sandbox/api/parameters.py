"""Requests checked against the SDK's own parameter types, refused in Stripe's words.

The SDK ships every call's parameters as TypedDicts (`stripe.params`). They are read lazily, only along the branches
that a request uses, because a checkout session alone has hundreds of nested types; and the errors must be Stripe's in
word and order, which a general validator's report would have to be translated into.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from difflib import get_close_matches
from functools import cache
from importlib import import_module
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from stripe import StripeContext
from stripe._request_options import RequestOptions
from typing_extensions import is_typeddict

from gateway.sandbox.core.errors import StripeError, invalid, parameter_missing, parameter_unknown

_OPTIONS = frozenset(RequestOptions.__annotations__)
# Names that the annotations of `RequestOptions`, a base of every parameter type, use and do not import when they run.
_UNIMPORTED = {"Mapping": Mapping, "StripeContext": StripeContext}
# `True` and `False` are how older SDKs of Python write them.
_BOOLEANS = dict.fromkeys(("true", "True", "1", True), True) | dict.fromkeys(("false", "False", "0", False), False)
# What a call is about, and so never unset: an empty one is a mistake of the client's.
_OPERANDS = frozenset(
    (  # noqa: SIM905 -- a list would take a line for each name
        "charge coupon customer id invoice payment_intent payment_method plan price product promotion_code source "
        "subscription subscription_item test_clock token"
    ).split()
)


@dataclass(frozen=True)
class Shape:
    """What a value may be: one of `words`, a hash with `fields` or of `values`, a list of `items`, a scalar."""

    words: tuple[str, ...] = ()
    hash: Any = None
    values: Any = None
    items: Any = None
    scalars: frozenset[type] = frozenset()


def validate(name: str | None, values: dict[str, Any], legacy: tuple[str, ...] = ()) -> dict[str, Any]:
    """Coerce and check the parameters of a call.

    Args:
        name: The type below `stripe.params`; None allows no parameters but `expand`.
        values: Decoded parameters, with strings as scalars.
        legacy: Parameters of older API versions, passed on as they came.

    Raises:
        StripeError: For the first unknown, missing or ill-typed parameter.
    """
    old = {key: values[key] for key in legacy if key in values}
    rest = {key: value for key, value in values.items() if key not in old}
    return {**_hash(rest, _fields(_params(name)) if name else _EXPAND_ONLY, ""), **old}


@cache
def _params(name: str) -> Any:
    module, _, cls = f"stripe.params.{name}".rpartition(".")
    return getattr(import_module(module), cls)


@cache
def _fields(cls: Any) -> dict[str, tuple[bool, Shape]]:
    """Return name -> (required, shape) of a TypedDict."""
    hints = get_type_hints(cls, localns=_UNIMPORTED)
    return {name: (name in cls.__required_keys__, _shape(hint)) for name, hint in hints.items() if name not in _OPTIONS}


@cache
def _shape(hint: Any) -> Shape:
    members = get_args(hint) if get_origin(hint) in (Union, UnionType) else (hint,)
    words = tuple(word for each in members if get_origin(each) is Literal for word in get_args(each))
    scalars = frozenset(each for each in members if each in (str, int, bool, float, Decimal))
    if any(words):
        scalars -= {str}  # `Literal["a", "b"] | str`: the SDK leaves enums open, the API does not
    return Shape(
        words,
        next((each for each in members if is_typeddict(each)), None),
        next((get_args(each)[1] for each in members if get_origin(each) is dict), None),
        next((get_args(each)[0] for each in members if get_origin(each) is list), None),
        scalars,
    )


_EXPAND_ONLY = {"expand": (False, Shape(items=str))}


def _hash(values: dict[str, Any], fields: dict[str, tuple[bool, Shape]], path: str) -> dict[str, Any]:
    unknown = [key for key in values if key not in fields]
    if unknown:
        close = get_close_matches(unknown[0], fields, n=1)
        raise parameter_unknown(_join(path, unknown[0]), _join(path, close[0]) if close else None)
    for name, (required, _) in fields.items():
        if required and name not in values:
            raise parameter_missing(_join(path, name))
    unset = {key: "" for key, value in values.items() if value == "" and _unsets(key, *fields[key], path)}
    given = {key: value for key, value in values.items() if key not in unset}
    return {key: _coerce(value, fields[key][1], _join(path, key)) for key, value in given.items()} | unset


def _unsets(name: str, required: bool, shape: Shape, path: str) -> bool:
    """Return whether an empty string unsets a parameter: any text that the call can do without.

    The SDK's types say it of some fields only; recordings have it of names, descriptions and defaults too.
    """
    plain = shape == Shape(scalars=frozenset({str}))
    return "" in shape.words or (plain and name not in _OPERANDS and not (required and not path))


def _coerce(value: Any, shape: Shape, path: str) -> Any:
    """Return the value as its shape has it."""
    if value == "":
        return _empty(shape, path)
    if isinstance(value, list) and shape.items is None and shape.values is not None:
        value = {str(key): each for key, each in enumerate(value)}  # metadata whose keys are numbers
    if isinstance(value, dict):
        if shape.hash:
            return _hash(value, _fields(shape.hash), path)
        if shape.values is None:
            raise invalid("Invalid array" if shape.items else f"Invalid string: {value}", path)
        inner = _shape(shape.values)
        return {
            key: each if shape.values is str and each == "" else _coerce(each, inner, _join(path, key))
            for key, each in value.items()
        }
    if isinstance(value, list):
        if shape.items is None:
            raise invalid("Invalid object" if shape.hash else f"Invalid string: {value}", path)
        inner = _shape(shape.items)
        return [_coerce(each, inner, f"{path}[{index}]") for index, each in enumerate(value)]
    return _scalar(value, shape, path)


def _empty(shape: Shape, path: str) -> str:
    if "" in shape.words:
        return ""
    raise StripeError(
        f"You passed an empty string for '{path}'. We assume empty values are an attempt to unset a field; however "
        f"'{path}' cannot be unset. You should remove '{path}' from your request or supply a non-empty value.",
        code="parameter_invalid_empty",
        param=path,
    )


def _scalar(value: Any, shape: Shape, path: str) -> Any:
    if value in shape.words:
        return value
    for scalar, read in _READERS.items():
        if scalar in shape.scalars:
            try:
                return read(value)
            except (ValueError, KeyError, InvalidOperation):
                pass
    words = [word for word in shape.words if word]
    if words:
        raise invalid(f"Invalid {path}: must be {_either(words)}", path)
    if int in shape.scalars:
        raise invalid(f"Invalid integer: {value}", path, "parameter_invalid_integer")
    if bool in shape.scalars:
        raise invalid(f"Invalid boolean: {value}", path)
    if shape.scalars:
        raise invalid(f"Invalid decimal: {value}", path)
    raise invalid("Invalid array" if shape.items else "Invalid object", path)


def _decimal(value: Any) -> str:
    """Check a decimal and keep it a string, as decimals travel on Stripe's wire."""
    if not Decimal(str(value)).is_finite():
        raise ValueError(value)
    return str(value)


_READERS: dict[type, Any] = {
    int: lambda value: int(str(value)),
    bool: lambda value: _BOOLEANS[value],
    Decimal: _decimal,
    float: lambda value: float(_decimal(value)),
    str: str,
}


def _either(words: list[str]) -> str:
    if len(words) == 1:
        return words[0]
    head = ", ".join(words[:-1])
    return f"one of {head}{',' if len(words) > 2 else ''} or {words[-1]}"  # noqa: PLR2004 -- the Oxford comma


def _join(path: str, key: str) -> str:
    return f"{path}[{key}]" if path else key
