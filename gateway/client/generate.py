"""Write what the client has from `schema.graphql`: `python -m gateway.web.generate` does both clients'.

Each operation of `documents.graphql` becomes a constant of `documents.py`, with the types of what is sent and of what
is answered; `documents.json` is the manifest by which the gateway knows them.
"""

import re
from collections.abc import Iterator
from hashlib import sha256
from json import dumps
from pathlib import Path
from typing import Any

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLEnumType,
    GraphQLInputField,
    GraphQLInputObjectType,
    GraphQLSchema,
    OperationDefinitionNode,
    SelectionSetNode,
    build_schema,
    is_list_type,
    is_non_null_type,
    is_required_input_field,
    parse,
    print_ast,
    strip_ignored_characters,
    type_from_ast,
    validate,
)

HERE = Path(__file__).parent
SCHEMA = HERE.parent.parent / "schema.graphql"
ASSISTANTS = HERE.parent / "cli" / "assistants"
SCALARS = {
    **dict.fromkeys(("ID", "String", "Currency", "DateTime"), "str"),
    **dict.fromkeys(("Int", "BigInt", "MinorUnits"), "int"),
    "Float": "float",
    "Boolean": "bool",
}
"""What a scalar of the schema is in Python. Times stay as they are written, by RFC 3339."""

_HEAD = '''"""What a back end asks, with its types.

Written by `python -m gateway.web.generate` from documents.graphql and schema.graphql: do not edit.
"""
# ruff: noqa: E501
# fmt: off

from typing import Literal, NotRequired, TypedDict

from gateway.client.operations import Mutation, Query'''


def generated() -> dict[Path, str]:
    """Return the generated files with what they must contain.

    Raises:
        ValueError: a document does not fit the schema, or is written as this generator does not expect it.
    """
    schema, document = build_schema(SCHEMA.read_text()), parse((HERE / "documents.graphql").read_text())
    if problems := validate(schema, document):
        raise ValueError(problems[0].message)
    module = _Module(schema, document)
    operations = [each for each in document.definitions if isinstance(each, OperationDefinitionNode)]
    constants = [module.constant(each) for each in operations]
    return {
        ASSISTANTS / "documents.json": _manifest(schema, (ASSISTANTS / "documents.graphql").read_text()),
        HERE / "documents.py": "\n\n".join((_HEAD, *module.declared.values(), "\n".join(constants))),
        HERE / "documents.json": dumps(module.manifest, indent=2) + "\n",
    }


def _manifest(schema: GraphQLSchema, text: str) -> str:
    """Return the operations of a file, each with the fragments that it needs, as the gateway knows them."""
    document = parse(text)
    if problems := validate(schema, document):
        raise ValueError(problems[0].message)
    module, manifest = _Module(schema, document), {}
    for operation in document.definitions:
        if isinstance(operation, OperationDefinitionNode):
            whole = module.whole(operation)
            manifest[sha256(whole.encode()).hexdigest()] = whole
    return dumps(manifest, indent=2) + "\n"


class _Module:
    """The module that is written.

    Args:
        schema: what the documents are of.
        document: all operations and fragments.
    """

    def __init__(self, schema: GraphQLSchema, document: DocumentNode) -> None:
        self._schema = schema
        self._fragments = {
            each.name.value: each for each in document.definitions if isinstance(each, FragmentDefinitionNode)
        }
        self.declared: dict[str, str] = {}
        self.manifest: dict[str, str] = {}

    def constant(self, operation: OperationDefinitionNode) -> str:
        """Return an operation as a constant; declare its types before."""
        name = operation.name.value if operation.name else ""
        kind, root = operation.operation.value.title(), self._schema.get_root_type(operation.operation)
        (node,) = operation.selection_set.selections
        if not isinstance(node, FieldNode) or not node.selection_set or not root:
            raise ValueError(f"the operation {name} asks for several objects: it must ask for one")
        field = root.fields[node.name.value]
        answer = self._output(field.type, node.selection_set, f"{name}{'Payload' if kind == 'Mutation' else 'Answer'}")
        text = self.whole(operation)
        self.manifest[sha256(text.encode()).hexdigest()] = text
        constant = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).upper()
        return (
            f"{constant}: {kind}[{self._sent(operation, name)}, {answer}] = {kind}({dumps(text)})\n"
            f'"""{_sentence(field.description)}"""\n'
        )

    def whole(self, operation: OperationDefinitionNode) -> str:
        """Return an operation with the fragments that it needs, as it is sent."""
        parts = (operation, *(self._fragments[each] for each in sorted(self._used(operation.selection_set))))
        return strip_ignored_characters("\n".join(map(print_ast, parts)))

    def _used(self, selections: SelectionSetNode) -> set[str]:
        """Return the names of the fragments that a selection needs."""
        names: set[str] = set()
        for node in selections.selections:
            if isinstance(node, FragmentSpreadNode):
                names |= {node.name.value} | self._used(self._fragments[node.name.value].selection_set)
            elif isinstance(node, FieldNode) and node.selection_set:
                names |= self._used(node.selection_set)
        return names

    def _sent(self, operation: OperationDefinitionNode, name: str) -> str:
        """Return the type of what is sent: a mutation's input, a query's variables."""
        nodes = operation.variable_definitions or ()
        if operation.operation.value == "mutation":
            (node,) = nodes
            return self._named(_bare(type_from_ast(self._schema, node.type)))
        rows = []
        for node in nodes:
            kind = type_from_ast(self._schema, node.type)
            needed = is_non_null_type(kind) and node.default_value is None
            rows.append(_row(node.variable.name.value, self._input(kind), needed=needed))
        return self._declare(f"{name}Variables", rows, f"What {name} needs to know.")

    def _input(self, kind: Any) -> str:
        if is_non_null_type(kind):
            return self._input(kind.of_type).removesuffix(" | None")
        inner = f"list[{self._input(kind.of_type)}]" if is_list_type(kind) else self._named(kind)
        return f"{inner} | None"

    def _output(self, kind: Any, below: SelectionSetNode | None, name: str) -> str:
        if is_non_null_type(kind):
            return self._output(kind.of_type, below, name).removesuffix(" | None")
        if is_list_type(kind):
            return f"list[{self._output(kind.of_type, below, name)}] | None"
        return f"{self._object(kind, below, name) if below else self._named(kind)} | None"

    def _object(self, kind: Any, selections: SelectionSetNode, name: str) -> str:
        """Return the name of the type of what a selection gives: its fragment's, where it is one."""
        (first, *rest) = selections.selections
        if isinstance(first, FragmentSpreadNode) and not rest:
            name = first.name.value
            selections = self._fragments[name].selection_set
        rows = []
        for node in _fields(selections):
            field = kind.fields[node.name.value]
            inner = self._output(field.type, node.selection_set, f"{name}{_title(node.name.value)}")
            rows.append(_row(node.name.value, inner, field.description))
        return self._declare(name, rows, kind.description)

    def _named(self, kind: Any) -> str:
        """Return what an enum, an input or a scalar is in Python, and declare it."""
        if kind.name in SCALARS:
            return SCALARS[kind.name]
        if isinstance(kind, GraphQLEnumType):
            values = ", ".join(dumps(value) for value in kind.values)
            self.declared.setdefault(
                kind.name, f'{kind.name} = Literal[{values}]\n"""{_sentence(kind.description)}"""\n'
            )
            return kind.name
        if not isinstance(kind, GraphQLInputObjectType):
            raise TypeError(f"SCALARS has no {kind.name}: add it")
        rows = [
            _row(name, self._input(each.type), _documented(each), needed=is_required_input_field(each))
            for name, each in kind.fields.items()
        ]
        return self._declare(kind.name, rows, kind.description)

    def _declare(self, name: str, rows: list[str], description: str | None) -> str:
        text = f'class {name}(TypedDict):\n    """{_sentence(description)}"""\n\n{"".join(rows)}'
        if self.declared.setdefault(name, text) != text:
            raise ValueError(f"two types would be called {name}: put what both ask into a fragment")
        return name


def _fields(selections: SelectionSetNode) -> Iterator[FieldNode]:
    for node in selections.selections:
        if not isinstance(node, FieldNode) or node.alias:
            raise ValueError("a fragment stands alone, and nothing has an alias")
        yield node


def _bare(kind: Any) -> Any:
    return kind.of_type if is_non_null_type(kind) else kind


def _row(name: str, kind: str, description: str | None = None, *, needed: bool = True) -> str:
    comment = f'    """{_sentence(description)}"""\n' if description else ""
    return f"    {name}: {kind if needed else f'NotRequired[{kind}]'}\n{comment}"


def _title(name: str) -> str:
    return name[0].upper() + name[1:]


def _documented(field: GraphQLInputField) -> str:
    """Return what a field of an input is, and that it is deprecated."""
    reason = f" Deprecated: {field.deprecation_reason}" if field.deprecation_reason else ""
    return f"{field.description or ''}{reason}"


def _sentence(description: str | None) -> str:
    return " ".join((description or "").split()).replace("\\", "\\\\").replace('"""', "'''").replace('"', "'")
