"""Decorators in the place of Strawberry's own, which make docstrings the descriptions of the schema.

Nothing is described twice. A test walks the schema for what has no description.
"""

from collections.abc import Awaitable, Callable
from enum import Enum
from functools import wraps
from inspect import cleandoc
from typing import Any, TypeVar, dataclass_transform

import strawberry

from gateway.billing.user_errors import Rejected

Class = TypeVar("Class", bound=type)
EnumClass = TypeVar("EnumClass", bound=type[Enum])


def _text(described: Any) -> str:
    return " ".join(cleandoc(described.__doc__ or "").split("\n\n")[0].split())


@dataclass_transform(kw_only_default=True, field_specifiers=(strawberry.field,))
def object_type(cls: Class) -> Class:
    """Declare an object type, described by the first paragraph of its docstring."""
    return strawberry.type(cls, description=_text(cls))


@dataclass_transform(kw_only_default=True, field_specifiers=(strawberry.field,))
def input_type(cls: Class) -> Class:
    """Declare an input type, described by the first paragraph of its docstring."""
    return strawberry.input(cls, description=_text(cls))


@dataclass_transform(kw_only_default=True, field_specifiers=(strawberry.field,))
def one_of_type(cls: Class) -> Class:
    """Declare an input type of which exactly one field is given (`@oneOf`), described as the others are."""
    return strawberry.input(cls, description=_text(cls), one_of=True)


def enum_type(cls: EnumClass) -> EnumClass:
    """Declare an enum, described by the first paragraph of its docstring."""
    return strawberry.enum(cls, description=_text(cls))


def resolver(function: Callable[..., Any]) -> Any:
    """Declare a field that a resolver computes, described by the first paragraph of its docstring."""
    return strawberry.field(function, description=_text(function))


def named(name: str) -> Callable[[Callable[..., Any]], Any]:
    """Declare a field that a resolver computes, under a name that Python or the style of the schema would not have."""
    return lambda function: strawberry.field(function, name=name, description=_text(function))


def deprecated(reason: str) -> Callable[[Callable[..., Any]], Any]:
    """Declare a field that a resolver computes, and that clients should no longer ask for."""
    return lambda function: strawberry.field(function, description=_text(function), deprecation_reason=reason)


def field(compute: Callable[[Any], Any], description: str) -> Any:
    """Declare a field that is computed from its object, only where it is selected."""
    return strawberry.field(compute, description=description)


def mutation(function: Callable[..., Awaitable[Any]]) -> Any:
    """Declare a mutation, described by the first paragraph of its docstring.

    What the caller can fix (`Rejected`) becomes the payload that the mutation's return type makes of it. For whom it is
    done is remembered, in case of a failover.

    Args:
        function: an async resolver that takes `info` and returns a `Payload`.
    """
    payload = function.__annotations__["return"]

    @wraps(function)
    async def resolve(self: Any, info: Any, **arguments: Any) -> Any:
        context = info.context
        user = _user(arguments.get("input")) or context.principal.subject
        try:
            with context.services.failover.answering(user):
                return await function(self, info, **arguments)
        except Rejected as rejected:
            return payload.rejected(rejected, info)

    return strawberry.mutation(resolve, description=_text(function))


def _user(given: Any) -> str | None:
    """Return the user whom an input names, in the one way or the other."""
    name = getattr(given, "external_id", None) or getattr(getattr(given, "whom", None), "external_id", None)
    return name or None


def enum_from(cls: type[Enum], *, name: str) -> None:
    """Declare a use case's enum as a GraphQL enum: each member's value is its description."""
    described = strawberry.enum(cls, name=name, description=_text(cls))
    for value in described.__strawberry_definition__.values:  # type: ignore[attr-defined]  # Strawberry adds it
        value.description = value.value
