"""Stripe's search query language: `name:"Jo" AND metadata["tier"]:"pro" AND created>1700000000`.

Source: https://docs.stripe.com/search#search-query-language. Clauses are joined by AND or by OR, never both; `-`
negates, `:` is equality (any case), `~` a substring of at least three characters, `null` stands for "not there".
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from gateway.sandbox.core.errors import StripeError
from gateway.sandbox.core.store import Obj

Predicate = Callable[[Obj], bool]

_CLAUSE = re.compile(
    r"""\s*(?P<not>-)?(?P<field>[a-z_.]+)(?:\[(?P<q>["'])(?P<key>.*?)(?P=q)\])?
        (?P<op>:|~|>=|<=|>|<|=)\s*
        (?P<value>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|[\w.\-]+)\s*""",
    re.VERBOSE,
)
_JOIN = re.compile(r"(AND|OR)\b|(?=-?[a-z])", re.IGNORECASE)
_ORDER: dict[str, Callable[[float, float], bool]] = {
    ">": lambda a, b: a > b,
    ">=": lambda a, b: a >= b,
    "<": lambda a, b: a < b,
    "<=": lambda a, b: a <= b,
}
_SHORTEST = 3
_MOST_CLAUSES = 10


def parse(query: str, fields: frozenset[str]) -> Predicate:
    """Return the condition that a query puts on an object.

    Args:
        query: As the client sent it.
        fields: What may be asked about objects of this kind.

    Raises:
        StripeError: The query cannot be read, or names another field.
    """
    clauses: list[Predicate] = []
    joins: set[str] = set()
    position = 0
    while position < len(query):
        found = _CLAUSE.match(query, position)
        if found is None:
            raise _unreadable(f"could not read `{query[position : position + 30]}`")
        clauses.append(_clause(found, fields))
        position = found.end()
        if position < len(query):
            join = _JOIN.match(query, position)
            if join is None:
                raise _unreadable(f"expected AND or OR before `{query[position : position + 30]}`")
            joins.add((join[1] or "AND").upper())
            position = join.end()
    if not clauses:
        raise _unreadable("it is empty")
    if len(joins) > 1:
        raise _unreadable("AND and OR cannot be combined")
    if len(clauses) > _MOST_CLAUSES:
        raise _unreadable(f"it has more than {_MOST_CLAUSES} clauses")
    combine = any if joins == {"OR"} else all
    return lambda obj: combine(clause(obj) for clause in clauses)


def _clause(found: re.Match[str], fields: frozenset[str]) -> Predicate:
    field, key, operator = found["field"], found["key"], found["op"]
    if field not in fields or (field == "metadata") != (key is not None):
        raise _unreadable(f"the field `{field}` cannot be searched. Fields: {', '.join(sorted(fields))}")
    raw = found["value"]
    quoted = raw[0] in "\"'"
    value = re.sub(r"\\(.)", r"\1", raw[1:-1]) if quoted else raw
    test = _test(operator, value, is_null=raw.lower() == "null")
    wanted = not found["not"]

    def holds(obj: Obj) -> bool:
        actual = (obj.get("metadata") or {}).get(key) if key else _reach(obj, field)
        return test(actual) == wanted

    return holds


def _test(operator: str, value: str, *, is_null: bool) -> Callable[[Any], bool]:
    if operator in _ORDER:
        try:
            limit = float(value)
        except ValueError:
            raise _unreadable(f"`{operator}` needs a number, not `{value}`") from None
        return lambda actual: isinstance(actual, int | float) and _ORDER[operator](actual, limit)
    if operator == "~":
        if len(value) < _SHORTEST:
            raise _unreadable(f"`~` needs at least {_SHORTEST} characters")
        return lambda actual: isinstance(actual, str) and value.lower() in actual.lower()
    if is_null:
        return lambda actual: actual is None
    return lambda actual: _text(actual) == value.lower()


def _reach(obj: Obj, path: str) -> Any:
    """Return a field of the object; an older name leads to where it is now."""
    node: Any = obj
    for step in _NOW_AT.get((obj["object"], path), path).split("."):
        node = node.get(step) if isinstance(node, dict) else None
    return node


_NOW_AT = {("invoice", "subscription"): "parent.subscription_details.subscription"}


def _text(value: Any) -> str | None:
    if value is None:
        return None
    return str(value).lower()


def _unreadable(why: str) -> StripeError:
    return StripeError(
        f"We were unable to parse your search query: {why}. See https://stripe.com/docs/search#search-query-language "
        "for more information.",
        param="query",
    )
