"""A compiled executor: what a query asks of plain objects becomes one Python function, written once for its document.

graphql-core walks the document again for every object of a list: it looks each field up, coerces its arguments, makes
a path and an `info`, and asks of every value whether it must be awaited. Where a field is *compilable*, none of that
can be seen from outside. A field is compilable when Strawberry alone made its resolver, and that reads an attribute or
calls a sync method that takes no `info`. (It is known by the resolver itself: one that is wrapped, by authorization or
by limits, is not.) A selection that is compilable down to its leaves is compiled; `{ nickname amount { decimal } }` of
a plan becomes an expression such as

    {"nickname": None if (a := s.nickname) is None else a if a.__class__ is str else v1(a),
     "amount": None if (v2 := s.amount) is None else {"decimal": …} if v2.__class__ is v3 else fall_back()}
    if s.__class__ is v4 else fall_back()

Everything else is left to graphql-core, of whose executor this is a subclass: root fields, async and wrapped fields,
abstract types, introspection, mutations, variables, and which fields a selection has. So is every failure. A compiled
function handles none: at the first unexpected thing (an exception, a null where none may be, a value of another class
than declared) its result is thrown away, and graphql-core runs that selection as if nothing had happened. Errors, their
paths, their order and the nulls they leave are therefore the same with and without it (`executor.py`). Running it twice
is harmless: attributes are read and fields of objects resolved, which "must always be side effect-free and idempotent"
(GraphQL, "Normal and Serial Execution").

An object that never changes may keep what was answered of it (`MemoizedType`): the same amounts of money stand in every
answer, and making them again would be most of the work on a list of prices.

Which fields a selection has depends on `@skip` and `@include`: it is compiled for each combination of their variables
that occurs, up to a few, and while the document has room (`CompiledCode`).
"""

from collections.abc import Callable
from datetime import date, datetime
from decimal import Decimal
from functools import partial
from keyword import iskeyword
from typing import Any
from uuid import UUID
from weakref import proxy

import strawberry
from graphql import (
    Executor,
    GraphQLBoolean,
    GraphQLEnumType,
    GraphQLField,
    GraphQLID,
    GraphQLInt,
    GraphQLObjectType,
    GraphQLResolveInfoHelpers,
    GraphQLSchema,
    GraphQLString,
    Undefined,
    VariableNode,
    get_argument_values,
    get_nullable_type,
    is_leaf_type,
    is_list_type,
    is_non_null_type,
    is_object_type,
    print_ast,
)
from graphql.pyutils import is_awaitable
from strawberry.types.base import StrawberryOptional
from strawberry.types.field import StrawberryField
from strawberry.types.fields.resolver import StrawberryResolver

from gateway.graphql.base.memo import MemoizedType, SharedType
from gateway.graphql.execution.documents import MAX_VARIANTS, CompiledCode
from gateway.graphql.execution.executor import GatewayExecutor
from gateway.graphql.execution.kept_json import KeptJson

MAX_FIELDS = 500
"""How many fields a compiled selection may have, its fragments expanded."""

MAX_MEMOS = 2
"""For how many selections a `MemoizedType` object keeps what was made of it."""

MAX_MEMO_FIELDS = 8
"""How many fields such a selection may have: with both, a client's queries can make an object a kilobyte larger."""

_COMPILABLE = "compilable-fields"
_ARGUMENTS: set[Any] = {str, int, float, bool, strawberry.ID}  # which Strawberry hands on as graphql-core coerces them
_BUILT_IN = {
    GraphQLString: "{first}.__class__ is str",
    GraphQLID: "{first}.__class__ is str",
    GraphQLBoolean: "{first}.__class__ is bool",
    GraphQLInt: "{first}.__class__ is int and -0x80000000 <= {value} <= 0x7FFFFFFF",
}
"""How to tell values of the built-in scalars that their serializers give back as they are."""

_SIMPLE = frozenset({str, int, float, bool, datetime, date, Decimal, UUID})
"""Classes whose values are there, need not be awaited, and are no exceptions."""

Function = Callable[[Any, Executor[Any]], dict[str, Any]]

FUNCTION_FIELDS = 3
"""A function takes as much memory as so many fields within it."""


class Fallback(Exception):
    """Something is not as a compiled function expects; graphql-core knows what to do."""


def register_compilable_fields(schema: GraphQLSchema) -> None:
    """Note in a schema which of its fields may be compiled; where nothing is noted, none is.

    Args:
        schema: as Strawberry has made it. Whatever is put around a resolver later makes its field ordinary.
    """
    kinds = [kind for kind in schema.type_map.values() if is_object_type(kind)]
    fields = [field for kind in kinds for field in kind.fields.values()]
    schema.extensions[_COMPILABLE] = {
        field.resolve: found
        for field in fields
        if field.resolve and (found := _definition(field)) and _is_compilable(found)
    }


def _definition(element: Any) -> Any:
    return element.extensions.get("strawberry-definition")


def _is_compilable(field: StrawberryField) -> bool:
    if field.extensions or type(field).get_result is not StrawberryField.get_result:
        return False
    resolver = field.base_resolver
    if resolver is None:
        return (
            field.default_resolver is getattr and field.python_name.isidentifier() and not iskeyword(field.python_name)
        )
    special = [parameter for parameter in resolver.reserved_parameters.values() if parameter]
    return (
        type(resolver) is StrawberryResolver
        and not resolver.is_async
        and special == [resolver.self_parameter]
        and all(_unwrapped(argument.type) in _ARGUMENTS for argument in field.arguments)
    )


def _unwrapped(kind: Any) -> Any:
    return kind.of_type if isinstance(kind, StrawberryOptional) else kind


class CompiledExecutor(GatewayExecutor):
    """graphql-core's executor, with compiled functions where it would execute the selection of a plain object.

    Args:
        compiled: what has been compiled of the document, which grows. It knows the document's nodes by their identity,
            so it belongs to one parsed document and must not outlive it.
    """

    def __init__(self, *args: Any, compiled: CompiledCode, **options: Any) -> None:
        super().__init__(*args, **options)
        # graphql-core's hold the executor that holds them: whatever was read would stay until garbage is looked for
        weak = proxy(self)
        self.async_helpers = GraphQLResolveInfoHelpers(
            partial(Executor.gather_async_work, weak), partial(Executor.track_async_work, weak)
        )
        switches = _switches(self)
        variants = compiled.variants
        known = switches in variants or len(variants) < MAX_VARIANTS
        self._functions = variants.setdefault(switches, {}) if known and not self.middleware_manager else None
        self._compiled = compiled

    def collect_and_execute_subfields(
        self, return_type: GraphQLObjectType, field_details_list: Any, path: Any, result: Any, position_context: Any
    ) -> Any:
        """Complete an object: at once where that is possible, else as graphql-core does."""
        functions = self._functions
        if functions is not None:
            key = (return_type, *(id(details.node) for details in field_details_list))
            if key not in functions and self._compiled.room > 0:
                functions[key] = self._compile(return_type, field_details_list)
            if function := functions.get(key):
                try:
                    return function(result, self)
                except Exception:  # noqa: BLE001, S110 - graphql-core meets it again and tells
                    pass
        return super().collect_and_execute_subfields(return_type, field_details_list, path, result, position_context)

    def _compile(self, kind: GraphQLObjectType, details: Any) -> Function | None:
        """Return the function of a selection; None when it is not compilable to its leaves, or there is no room."""
        writer = _Writer(self, min(MAX_FIELDS, self._compiled.room - FUNCTION_FIELDS), self._compiled.kept)
        try:
            function = writer.function(kind, details)
        except Exception:  # noqa: BLE001 - an argument that cannot be coerced, for one; graphql-core says so
            self._compiled.room -= 1  # that it cannot be compiled is remembered too
            return None
        self._compiled.room -= writer.fields + FUNCTION_FIELDS
        return function


def _switches(executor: Executor[Any]) -> tuple[Any, ...]:
    """Return the values of all variables that `@skip` and `@include` may depend on."""
    variables, values = executor.variable_values
    return tuple(
        (name, values.get(name))
        for name, variable in variables.items()
        if get_nullable_type(variable.signature.type) is GraphQLBoolean
    )


class _Writer:
    """Writes the function of one selection: objects within objects become one expression, each list a function.

    Args:
        executor: collects fields; its variables decide `@skip` and `@include`.
        max_fields: how many fields the selection may have, its fragments expanded.
        kept: the JSON of shared objects.
    """

    def __init__(self, executor: Executor[Any], max_fields: int, kept: KeptJson) -> None:
        self.fields = 0
        self._kept = kept
        self._is_kept = False  # whether what is written is part of what is kept
        self._max_fields = max_fields
        self._compilable = executor.schema.extensions.get(_COMPILABLE, {})
        self._executor = executor
        self._names: dict[str, Any] = {"fall_back": _fall_back, "simple": _SIMPLE}
        self._text: list[str] = []
        self._lists = 0
        self._arguments: list[Callable[[Executor[Any]], dict[str, Any]]] = []

    def function(self, kind: GraphQLObjectType, details: Any) -> Function:
        """Return the function of a selection.

        Raises:
            Fallback: it is not compilable, or too large.
        """
        self._text.append(f"def whole(s, x): return {self._object(kind, details, 's', 's')}")
        # Nothing in the text is a client's but aliases, which the lexer holds to letters, digits and underscores.
        exec("\n".join(self._text), self._names)  # noqa: S102
        whole, arguments = self._names["whole"], tuple(self._arguments)
        if not arguments:
            return lambda source, _: whole(source, ())
        return lambda source, executor: whole(source, [coerced(executor) for coerced in arguments])

    def _name(self, value: Any) -> str:
        """Return a name for a value in the text."""
        name = f"v{len(self._names)}"
        self._names[name] = value
        return name

    def _object(self, kind: GraphQLObjectType, details: Any, source: str, first: str) -> str:
        """Return an expression that completes an object."""
        definition = _definition(kind)
        if definition is None or self._is_kept:
            return self._made(kind, details, source, first)
        if issubclass(definition.origin, SharedType) and (text := self._shared(kind, details, source, first)):
            return text
        if issubclass(definition.origin, MemoizedType):
            fields = self._executor.collect_subfields(kind, details).grouped_field_set
            nodes = [each[0].node for each in fields.values()]
            varies = any(isinstance(given.value, VariableNode) for node in nodes for given in node.arguments or ())
            nested = any(node.selection_set for node in nodes)  # whose text may name a fragment, which says nothing
            if len(nodes) <= MAX_MEMO_FIELDS and not varies and not nested:
                key, function = self._name(" ".join(map(print_ast, nodes))), self._name(None)
                made = self._made(kind, details, "s", "s")
                self._text.append(_MEMO.format(name=function, most=MAX_MEMOS, key=key, made=made))
                return f"({first}.memo.get({key}) or {function}({source}, x))"
        return self._made(kind, details, source, first)

    def _shared(self, kind: GraphQLObjectType, details: Any, source: str, first: str) -> str | None:
        """Return an expression for the JSON of a shared object; None where the request's variables decide about it."""
        fields, lists, written, arguments = self.fields, self._lists, len(self._text), len(self._arguments)
        self._is_kept = True
        made = self._made(kind, details, "s", "s")
        self._is_kept = False
        if len(self._arguments) > arguments:
            self.fields, self._lists = fields, lists
            del self._text[written:], self._arguments[arguments:]
            return None
        function, number = self._name(None), self._kept.new_selection()
        found, keep = self._name(self._kept.found), self._name(self._kept.keep)
        self._text.append(_SHARED.format(name=function, key=number, made=made, keep=keep))
        return f"({found}.get(({first}.serial, {number})) or {function}({source}, x))"

    def _made(self, kind: GraphQLObjectType, details: Any, source: str, first: str) -> str:
        """Return an expression that makes the answer of an object."""
        definition = _definition(kind)
        if definition is None or definition.is_type_of or any(each.fragment_variable_values for each in details):
            raise Fallback
        classes = {each.origin for each in (definition, definition.concrete_of) if each}  # a generic type has both
        if any(issubclass(each, Exception) or hasattr(each, "__await__") for each in classes):
            raise Fallback
        known = " or ".join(f"{{}}.__class__ is {self._name(each)}" for each in classes)
        known = known.format(first, *[source] * len(classes))
        # Strawberry's own, for a type with interfaces: it looks for a cast, which shared objects never have.
        if kind.is_type_of and not issubclass(definition.origin, SharedType):
            known = f"({known}) and {self._name(kind.is_type_of)}({source}, None)"
        fields = self._executor.collect_subfields(kind, details).grouped_field_set
        pairs = [f"{alias!r}: {self._field(kind, each, source)}" for alias, each in fields.items()]
        return f"({{{', '.join(pairs)}}} if {known} else fall_back())"

    def _field(self, kind: GraphQLObjectType, details: Any, source: str) -> str:
        """Return an expression for a completed field of an object."""
        self.fields += 1
        if self.fields > self._max_fields:
            raise Fallback
        node = details[0].node
        if node.name.value == "__typename":
            return repr(kind.name)
        field = kind.fields[node.name.value]
        plain = self._compilable.get(field.resolve)
        if plain is None:
            raise Fallback
        if plain.base_resolver is None:
            return self._value(field.type, details, f"{source}.{plain.python_name}")
        call = f"{self._name(plain.base_resolver.wrapped_func)}({source}{self._given(field, plain, node)})"
        return self._value(field.type, details, call)

    def _given(self, field: GraphQLField, plain: StrawberryField, node: Any) -> str:
        """Return the arguments of a call, constant where no variable is among them."""
        names = dict(zip(field.args, (argument.python_name for argument in plain.arguments), strict=True))

        def coerced(executor: Executor[Any]) -> dict[str, Any]:
            values = get_argument_values(field, node, executor.variable_values)
            return {names[name]: value for name, value in values.items()}

        if not any(isinstance(argument.value, VariableNode) for argument in node.arguments or ()):
            return "".join(f", {name}={self._name(value)}" for name, value in coerced(self._executor).items())
        self._arguments.append(coerced)
        return f", **x[{len(self._arguments) - 1}]"

    def _value(self, kind: Any, details: Any, expression: str) -> str:
        """Return an expression that completes a value."""
        if is_non_null_type(kind):
            return self._present(kind.of_type, details, expression)
        value, test = self._named(kind, expression)
        return f"(None if {test} is None else {self._present(kind, details, value)})"

    def _present(self, kind: Any, details: Any, expression: str) -> str:
        """Return an expression that completes a value which must not be null."""
        if is_list_type(kind):
            return f"{self._list(kind.of_type, details)}({expression}, x)"
        if is_object_type(kind):
            return self._object(kind, details, *self._named(kind, expression))
        if is_leaf_type(kind):
            return self._leaf(kind, *self._named(kind, expression))
        raise Fallback

    def _list(self, kind: Any, details: Any) -> str:
        """Return the name of a function that completes a list."""
        self._lists += 1
        name = f"list{self._lists}"
        self._text.append(_LIST.format(name=name, item=self._value(kind, details, "s")))
        return name

    def _leaf(self, kind: Any, value: str, first: str) -> str:
        """Return an expression that serializes a value: at once where it is of a usual class, else by `slow_path`."""
        careful = f"{self._name(slow_path(kind))}({value})"
        if kind in _BUILT_IN:
            return f"({value} if {_BUILT_IN[kind].format(first=first, value=value)} else {careful})"
        if isinstance(kind, GraphQLEnumType):
            return f"({self._name(_members(kind))}.get(id({first})) or {careful})"
        serialize = self._name(kind.coerce_output_value)
        usual = f"{first}.__class__ in simple and (b := {serialize}({value})).__class__ in simple"
        return f"(b if {usual} else {careful})"

    def _named(self, kind: Any, expression: str) -> tuple[str, str]:
        """Return a name for the value of an expression, and how to write it where it is evaluated first."""
        if expression.isidentifier():
            return expression, expression
        name = self._name(None) if is_object_type(kind) else "a"
        return name, f"({name} := {expression})"


_LIST = """
def {name}(values, x):
    if values.__class__ is not list and values.__class__ is not tuple: fall_back()
    completed = []
    add = completed.append
    for s in values: add({item})
    return completed
"""


_SHARED = """
def {name}(s, x):
    return {keep}((s.serial, {key}), {made})
"""


_MEMO = """
def {name}(s, x):
    made = {made}
    if len(s.memo) >= {most}: s.memo.clear()
    s.memo[{key}] = made
    return made
"""


def _members(kind: GraphQLEnumType) -> dict[int, str]:
    """Return the names of an enum's members by their identity, because hashing a member runs Python code."""
    return {id(member): kind.coerce_output_value(member) for member in _definition(kind).wrapped_cls}


def _fall_back() -> Any:
    raise Fallback


def slow_path(kind: Any) -> Callable[[Any], Any]:
    """Completes a leaf as graphql-core does, or fails."""

    def complete(value: Any) -> Any:
        if value is None or value is Undefined or isinstance(value, Exception) or is_awaitable(value):
            raise Fallback
        return Executor.complete_leaf_value(kind, value)

    return complete
