"""Stripe's API description as its Python library tells it: made of the pinned SDK's classes when the tests run.

The library is generated from the description: its classes have each object's fields, types and enumerated values, its
services each operation with its path, parameters and answer. They do not tell which optional fields are always there,
and how long texts may be. Stripe's own file does, which judges as well where it is at hand.
"""

import ast
import re
import sys
import typing
from decimal import Decimal
from functools import cache
from importlib import import_module
from pathlib import Path

import stripe
from stripe._error_object import ErrorObject
from stripe._event import Event
from stripe._list_object import ListObject
from stripe._object_classes import OBJECT_CLASSES
from stripe._search_result_object import SearchResultObject
from stripe._stripe_object import StripeObject, UntypedStripeObject

from gateway.sandbox.core.registry import KINDS
from gateway.sandbox.resources.not_begun import NOT_BEGUN

_FOLDER = Path(stripe.__file__).parent
_IMPORT = re.compile(r"^ *from (stripe[\w.]*) import (?:\(([^)]*)\)|(.*))$", re.MULTILINE)
_PLAIN = {
    type(None): "null",
    str: "string",
    int: "integer",
    float: "number",
    bool: "boolean",
    Decimal: "string",
    dict: "object",
}
# On Stripe's wire, as recorded, though its description does not have them.
UNDOCUMENTED = {
    "stripe._card.Card": {"email", "phone", "wallet"},
    "stripe._charge.Charge": {"destination", "dispute", "order"},
    "stripe._list_object.ListObject": {"object", "total_count"},
    "stripe._payment_method.PaymentMethod.Boleto": {"fingerprint"},
    "stripe._search_result_object.SearchResultObject": {"next_page", "object", "total_count", "url"},
    "stripe._subscription.Subscription": {"plan", "quantity"},
    "stripe._subscription_item.SubscriptionItem": {"plan"},
}


def describe(is_served):
    """The description in the form of Stripe's file, of the resources that are served.

    Args:
        is_served: whether there is an operation, of a method and a path.
    """
    operations = list(_operations())
    served = {_resource(path) for method, path, _ in operations if is_served(method.upper(), _named(path))}
    served -= {f"/v1/{path}" for _, _, path, _ in NOT_BEGUN}  # of which there are empty lists alone
    schemas = _Schemas()
    paths = {}
    for method, path, described in operations:
        if _resource(path) in served:
            answers = {
                "200": schemas.of(described["answer"], described["names"]),
                "default": {"$ref": "#/components/schemas/error"},
            }
            answers = {code: {"content": {"application/json": {"schema": one}}} for code, one in answers.items()}
            query = [{"name": name, "in": "query", "required": True} for name in described["required"]]
            paths.setdefault(path, {})[method] = {"parameters": query, "responses": answers}
    known = [(kind, _class_of(kind)) for kind in sorted(KINDS.keys() & OBJECT_CLASSES.keys())]
    ways = [{"if": {"properties": {"object": {"const": kind}}}, "then": schemas.ref(cls)} for kind, cls in known]
    data = {"properties": {"data": {"properties": {"object": {"allOf": ways}}}}}
    event = {"allOf": [schemas.ref(Event), data]}
    error = {"type": "object", "required": ["error"], "properties": {"error": schemas.ref(ErrorObject)}}
    return {"paths": paths, "components": {"schemas": {**schemas.found, "error": error, "event": event}}}


def _named(path):
    return re.sub(r"\{\w+\}", "x", path)


def _resource(path):
    """What an operation belongs to: its path as far as it names no object."""
    return path.partition("/{")[0]


def _class_of(kind):
    return _imported(OBJECT_CLASSES[kind])


def _operations():
    """Every operation of the services: method, path, and what its parameters and its answer are."""
    for file in sorted(_FOLDER.rglob("_*_service.py")):
        if "v2" in file.parts:
            continue
        tree, names = ast.parse(file.read_text()), _imports(file)
        for function in (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)):
            for call in (node for node in ast.walk(function) if isinstance(node, ast.Call)):
                if isinstance(call.func, ast.Attribute) and call.func.attr == "_request":
                    method, path = call.args[0].value, call.args[1]
                    template = path.value if isinstance(path, ast.Constant) else path.func.value.value
                    answer, needed = function.returns.value, _required(function, names)
                    yield method, template, {"answer": answer, "names": names, "required": needed}


def _required(function, names):
    """The parameters that an operation needs."""
    for argument in (*function.args.posonlyargs, *function.args.args):
        if argument.arg == "params":
            (found,) = [each.value for each in ast.walk(argument.annotation) if isinstance(each, ast.Constant)]
            return sorted(_imported(names[found]).__required_keys__)
    return []


@cache
def _imports(file):
    """The names that a module of the SDK imports, each with the module that has it and its name there."""
    found = {}
    for module, several, one in _IMPORT.findall(Path(file).read_text()):
        for each in (several or one).split(","):
            name, _, alias = each.strip().partition(" as ")
            found[alias or name] = module, name
    return found


def _imported(place):
    return getattr(import_module(place[0]), place[1])


class _Schemas:
    """JSON schemas of the SDK's classes, by the names of module and class, made as they are referred to."""

    def __init__(self):
        self.found = {}

    def ref(self, cls):
        name = f"{cls.__module__}.{cls.__qualname__}"
        if name not in self.found:
            self.found[name] = {}  # it may refer to itself
            self.found[name] = self._of_class(cls, name)
        return {"$ref": f"#/components/schemas/{name}"}

    def of(self, annotation, names):
        """The schema of a type, whose quoted names are looked up among the imports of its module."""
        if isinstance(annotation, typing.ForwardRef):
            return self.of(annotation.__forward_arg__, names)
        if isinstance(annotation, str):
            return self._of_name(annotation, names)
        if annotation in _PLAIN:
            return {"type": _PLAIN[annotation]}
        if typing.get_origin(annotation) is not None:
            return self._of_generic(typing.get_origin(annotation), typing.get_args(annotation), names)
        is_object = isinstance(annotation, type) and issubclass(annotation, StripeObject)
        return self.ref(annotation) if is_object and annotation not in {StripeObject, UntypedStripeObject} else {}

    def _of_name(self, text, names):
        outer, _, inner = text.partition("[")
        arguments = [self.of(each.strip(" \"'"), names) for each in inner.removesuffix("]").split(",") if each.strip()]
        if outer == "Union":
            return {"anyOf": arguments}
        if inner:
            return self._list(SearchResultObject if outer == "SearchResultObject" else ListObject, arguments[0])
        return self.ref(_imported(names[text])) if text in names else {}

    def _of_generic(self, origin, arguments, names):
        if origin is typing.Literal:
            return {"enum": list(arguments)}
        if origin is typing.Union:
            literal = any(typing.get_origin(each) is typing.Literal for each in arguments)
            # `Literal[...] | str` says that there may be other values in other versions
            others = [each for each in arguments if not (literal and each is str)]
            return {"anyOf": [self.of(each, names) for each in others]}
        if origin is list:
            return {"type": "array", "items": self.of(arguments[0], names)}
        if origin is ListObject:
            return self._list(ListObject, self.of(arguments[0], names))
        if origin in {dict, UntypedStripeObject}:
            return {"type": "object", "additionalProperties": self.of(arguments[-1], names)}
        raise LookupError(f"the SDK has a type that is not known here: {origin}[{arguments}]")

    def _list(self, cls, item):
        return {"allOf": [self.ref(cls), {"properties": {"data": {"type": "array", "items": item}}}]}

    def _of_class(self, cls, name):
        names = _imports(sys.modules[cls.__module__].__file__)
        annotations = cls.__annotations__.items()
        shown = {key: each for key, each in annotations if typing.get_origin(each) is not typing.ClassVar}
        if cls in {ListObject, SearchResultObject}:
            shown["data"] = list[typing.Any]
        fields = {key: self.of(each, names) for key, each in shown.items() if not key.startswith("_")}
        needed = [key for key, each in shown.items() if key in fields and type(None) not in typing.get_args(each)]
        fields |= {key: {} for key in UNDOCUMENTED.get(name, ())}
        full = {"type": "object", "properties": fields, "required": needed, "additionalProperties": False}
        if "deleted" not in fields or "id" not in fields:
            return full
        gone = {"type": "object", "required": ["id", "object", "deleted"], "properties": {"deleted": {"const": True}}}
        return {"if": {"required": ["deleted"]}, "then": gone, "else": full}
