"""The file itself: YAML in, with the line of what is wrong, and YAML out.

A plain `0.5` is text here, never a float, and the key `no` is Norwegian, never false. A key that stands twice is an
error, because YAML would take the last; anchors are refused, because they hide what changes.
"""

import re
from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from typing import Any

import yaml
from pydantic import BaseModel, ValidationError

from gateway.billing.pricing.catalogue import (
    WHOLE,
    Catalogue,
    CustomAmount,
    Described,
    Meter,
    Money,
    Package,
    Price,
    Product,
    Tier,
)
from gateway.errors import BadInput

Place = tuple[str | int, ...]
Lines = dict[Place, int]
WORDS = {"true": True, "false": False, "null": None, "~": None, "": None}
MAX_BYTES = 4_000_000
FIRST = ("name", "currency", "amount")
MODELS: dict[str | int, type[BaseModel]] = {
    "meters": Meter,
    "products": Product,
    "prices": Price,
    "currencies": Money,
    "tiers": Tier,
    "custom_amount": CustomAmount,
    "package": Package,
}
"""What stands below a key of a file."""


def parse(document: str) -> Catalogue:
    """Read a file.

    Raises:
        BadInput: it is no such file; every line that is wrong is named.
    """
    if len(document) > MAX_BYTES:
        raise BadInput("the file is too long to be one of prices")
    lines: Lines = {}
    try:
        node = yaml.compose(document, Loader=yaml.SafeLoader)
        read = {} if node is None else _value(node, (), lines, set())
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise BadInput(f"line {line}: {error.problem}") from None
    except (yaml.YAMLError, RecursionError) as error:
        raise BadInput(f"this is not YAML: {type(error).__name__}") from None
    try:
        catalogue = Catalogue.model_validate(read)
    except ValidationError as error:
        raise BadInput(_in_lines((_place(each["loc"], lines), _words(each)) for each in error.errors())) from None
    if unfit := catalogue.unfit():
        raise BadInput(_in_lines(((lines[place], place), words) for place, words in unfit))
    return catalogue


def dump(catalogue: Catalogue) -> str:
    """Write a file, without what is as it would be anyway."""
    said = catalogue.model_dump(exclude_defaults=True)
    for product_id, product in said.get("products", {}).items():
        for key, price in product.get("prices", {}).items():
            for currency, option in price.get("currencies", {}).items():
                price["currencies"][currency] = _short(option)
            product["prices"][key] = _in_order(price)
        said["products"][product_id] = _in_order(product)
    written: str = yaml.safe_dump(said, sort_keys=False, allow_unicode=True, width=120)
    return written


def _in_order(said: dict[str, Any]) -> dict[str, Any]:
    """Return what people look for first at the top, and prices last."""
    late = {*Described.model_fields, "currencies"}
    order = sorted(said, key=lambda name: (name not in FIRST, name == "prices", name in late))
    return {name: said[name] for name in order}


def _short(option: dict[str, Any]) -> Any:
    return option["amount"] if [*option] == ["amount"] else option


def _value(node: yaml.Node, place: Place, lines: Lines, seen: set[int]) -> Any:
    """Return what a node says, and note the line of each place in the file."""
    lines[place] = line = node.start_mark.line + 1
    if id(node) in seen:
        raise BadInput(f"line {line}: anchors and aliases are not supported")
    seen.add(id(node))
    if isinstance(node, yaml.MappingNode):
        found: dict[str, Any] = {}
        for name, value in node.value:
            if not isinstance(name, yaml.ScalarNode):  # whose aliases would be written out without end
                raise BadInput(f"line {name.start_mark.line + 1}: a list or a mapping is no key")
            key = str(name.value)
            if key in found:
                raise BadInput(f"line {name.start_mark.line + 1}: {key!r} stands here twice")
            found[key] = _value(value, (*place, key), lines, seen)
            lines[(*place, key)] = name.start_mark.line + 1
        return found
    if isinstance(node, yaml.SequenceNode):
        return [_value(each, (*place, number), lines, seen) for number, each in enumerate(node.value)]
    written = str(node.value)
    if isinstance(node, yaml.ScalarNode) and node.style is not None:  # quoted, or a block
        return written
    if WHOLE.fullmatch(written):
        return int(written)
    return WORDS.get(written, written)


def _place(location: Sequence[str | int], lines: Lines) -> tuple[int, Place]:
    """Return the line and the place of what pydantic found, whose locations also name types that were tried."""
    place: Place = ()
    for step in location:
        if (*place, step) in lines:
            place = (*place, step)
    return lines[place], place


def _words(error: Any) -> str:
    if error["type"] == "extra_forbidden":
        name = str(error["loc"][-1])
        near = get_close_matches(name, _known(error["loc"]))
        return f"{name} is no key here" + (f"; did you mean {near[0]}?" if near else "")
    if error["type"] == "missing":
        return f"{error['loc'][-1]} is missing"
    return re.sub(r"^Value error, ", "", str(error["msg"]))


def _known(location: Sequence[str | int]) -> list[str]:
    """Return the keys that may stand where an unknown one was found."""
    model = next((MODELS[step] for step in reversed(location[:-1]) if step in MODELS), Catalogue)
    return sorted(model.model_fields)


def _in_lines(findings: Iterable[tuple[tuple[int, Place], str]]) -> str:
    lines = {(line, f"line {line}: {'.'.join(map(str, place))}: {words}") for (line, place), words in findings}
    return "\n".join(words for _, words in sorted(lines))
