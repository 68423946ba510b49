"""Write what the browser's package has from `schema.graphql`: `python -m gateway.web.generate`.

Each file of `src/documents/*.graphql` becomes a module of documents with their SHA-256, `src/types.ts` has the types of
their variables and answers, and `src/documents.json` is the manifest by which the gateway knows them. The client in
Python (`gateway/client`) has its own generator, which is run too.
"""

import re
from collections.abc import Iterable, Iterator
from hashlib import sha256
from json import dumps, loads
from pathlib import Path
from typing import Any

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLEnumType,
    GraphQLInputObjectType,
    GraphQLNamedType,
    GraphQLSchema,
    InlineFragmentNode,
    OperationDefinitionNode,
    SelectionSetNode,
    build_schema,
    get_named_type,
    is_list_type,
    is_non_null_type,
    is_required_input_field,
    parse,
    print_ast,
    strip_ignored_characters,
    type_from_ast,
    validate,
)

from gateway.client.generate import generated as of_python

HERE = Path(__file__).parent
SOURCES = HERE / "src"
SCHEMA = HERE.parent.parent / "schema.graphql"
SCALARS = {
    **dict.fromkeys(("ID", "String", "Currency", "DateTime"), "string"),
    **dict.fromkeys(("Int", "Float", "BigInt", "MinorUnits"), "number"),
    "Boolean": "boolean",
}
"""What a scalar is in TypeScript. `docs/client.md` has the same for code generators."""

PUBLIC = {"pricing", "plans", "plan", "products", "product"}
"""The root fields of the catalogue, which caches may keep for everybody."""

_HEAD = "// Written by `python -m gateway.web.generate` from schema.graphql and src/documents/: do not edit.\n"


def generated() -> dict[Path, str]:
    """Return the generated files with what they must contain.

    Raises:
        ValueError: a document does not fit the schema.
    """
    schema, files = build_schema(SCHEMA.read_text()), {}
    manifest: dict[str, str] = {}
    types = _Types(schema)
    for path in sorted((SOURCES / "documents").glob("*.graphql")):
        document = parse(path.read_text())
        if problems := validate(schema, document):
            raise ValueError(f"{path.name}: {problems[0].message}")
        constants = [_constant(each, document, manifest) for each in _operations(document)]
        files[path.with_suffix(".js")] = "\n".join([_HEAD, *constants])
        for operation in _operations(document):
            types.add(operation, document)
    files[SOURCES / "client" / "failures.js"] = _failures()
    files[SOURCES / "types.ts"] = _HEAD + types.text()
    files[SOURCES / "documents.json"] = dumps(manifest, indent=2, ensure_ascii=False) + "\n"
    return files


def _failures() -> str:
    """Return what buyers are told of failures, from the elements' languages."""
    languages = sorted((SOURCES / "languages").glob("*.json"))
    sentences = {path.stem: loads(path.read_text())["failures"] for path in languages}
    kind = "/** @type {Record<string, Record<string, string>>} */"
    return f"{_HEAD}\n{kind}\nexport const FAILURES = {dumps(sentences, indent=2, ensure_ascii=False)};\n"


def _operations(document: DocumentNode) -> Iterator[OperationDefinitionNode]:
    return (each for each in document.definitions if isinstance(each, OperationDefinitionNode))


def _fragments(document: DocumentNode) -> dict[str, FragmentDefinitionNode]:
    found = (each for each in document.definitions if isinstance(each, FragmentDefinitionNode))
    return {each.name.value: each for each in found}


def _name(operation: OperationDefinitionNode) -> str:
    if operation.name is None:
        raise ValueError("an operation has no name")
    return operation.name.value


def _result(operation: OperationDefinitionNode) -> str:
    return f"{_name(operation)}{operation.operation.value.title()}"


def _constant(operation: OperationDefinitionNode, document: DocumentNode, manifest: dict[str, str]) -> str:
    """Return one operation with the fragments that it uses, as a constant; note it in the manifest."""
    fragments = _fragments(document)
    used = _used(operation.selection_set, fragments)
    parts = (operation, *(fragments[name] for name in fragments if name in used))
    text = strip_ignored_characters("\n".join(map(print_ast, parts)))
    name = sha256(text.encode()).hexdigest()
    manifest[name] = text
    roots = {node.name.value for node in operation.selection_set.selections if isinstance(node, FieldNode)}
    is_public = operation.operation.value == "query" and roots <= PUBLIC and "viewer" not in _fields(text)
    result = f'import("../types.js").{_result(operation)}'
    constant = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", _name(operation)).upper()
    return (
        f'/** @type {{import("../client/client.js").Document<{result}, {result}Variables>}} */\n'
        f"export const {constant} = {{\n"
        f'  id: "{name}",\n' + ("  get: true,\n" if is_public else "") + f"  text: {dumps(text)},\n}};\n"
    )


def _fields(text: str) -> set[str]:
    return set(re.findall(r"\w+", text))


def _used(selections: SelectionSetNode, fragments: dict[str, FragmentDefinitionNode]) -> set[str]:
    """Return the names of the fragments that a selection needs, those of its fragments among them."""
    names: set[str] = set()
    for node in selections.selections:
        if isinstance(node, FragmentSpreadNode):
            fragment = fragments[node.name.value]
            names |= {node.name.value} | _used(fragment.selection_set, fragments)
        elif isinstance(node, FieldNode | InlineFragmentNode) and node.selection_set:
            names |= _used(node.selection_set, fragments)
    return names


class _Types:
    """The types of operations, and of the enums and inputs that they use.

    Args:
        schema: what they are of.
    """

    def __init__(self, schema: GraphQLSchema) -> None:
        self._schema = schema
        self._operations: list[str] = []
        self._named: dict[str, str] = {}

    def text(self) -> str:
        """Return the module."""
        return "\n".join(("", *(self._named[name] for name in sorted(self._named)), *self._operations))

    def add(self, operation: OperationDefinitionNode, document: DocumentNode) -> None:
        """Add an operation's answer and its variables."""
        root = self._schema.get_root_type(operation.operation)
        body = self._object(root, [operation.selection_set], _fragments(document), "")
        rows = "".join(f"  {row};\n" for row in self._variables(operation))
        name = _result(operation)
        self._operations.append(f"export type {name} = {body};\n\nexport type {name}Variables = {{\n{rows}}};\n")

    def _variables(self, operation: OperationDefinitionNode) -> Iterator[str]:
        for node in operation.variable_definitions or ():
            name, kind = node.variable.name.value, type_from_ast(self._schema, node.type)
            # the client fills the locale in
            optional = name == "locale" or not is_non_null_type(kind) or node.default_value is not None
            yield f"{name}{'?' if optional else ''}: {self._input(kind)}"

    def _input(self, kind: Any) -> str:
        if is_non_null_type(kind):
            return self._input(kind.of_type).removesuffix(" | null")
        if is_list_type(kind):
            return f"readonly {self._in_brackets(self._input(kind.of_type))}[] | null"
        return f"{self._use(kind)} | null"

    def _object(
        self,
        parent: Any,
        selections: Iterable[SelectionSetNode],
        fragments: dict[str, FragmentDefinitionNode],
        pad: str,
    ) -> str:
        """Return the type of what a selection gives: fields of the same name become one."""
        found: dict[str, list[FieldNode]] = {}
        for selection in selections:
            for field in _flat(selection, fragments):
                found.setdefault((field.alias or field.name).value, []).append(field)
        rows = []
        for name, nodes in found.items():
            field = parent.fields[nodes[0].name.value]
            below = [node.selection_set for node in nodes if node.selection_set]
            optional = "?" if all(node.directives for node in nodes) else ""
            kind = self._output(field.type, below, fragments, pad + "  ")
            rows.append(f"{pad}  {name}{optional}: {kind};\n")
        return "{\n" + "".join(rows) + pad + "}"

    def _output(
        self, kind: Any, below: list[SelectionSetNode], fragments: dict[str, FragmentDefinitionNode], pad: str
    ) -> str:
        if is_non_null_type(kind):
            return self._output(kind.of_type, below, fragments, pad).removesuffix(" | null")
        if is_list_type(kind):
            return f"{self._in_brackets(self._output(kind.of_type, below, fragments, pad))}[] | null"
        return (self._object(kind, below, fragments, pad) if below else self._use(kind)) + " | null"

    @staticmethod
    def _in_brackets(kind: str) -> str:
        return f"({kind})" if " | " in kind.rpartition("}")[2] else kind

    def _use(self, kind: GraphQLNamedType) -> str:
        """Return what a named type is called, and note what it is."""
        kind = get_named_type(kind)
        if kind.name in SCALARS:
            return SCALARS[kind.name]
        if kind.name not in self._named:
            self._named[kind.name] = ""  # an input may hold itself
            self._named[kind.name] = self._declared(kind)
        return kind.name

    def _declared(self, kind: GraphQLNamedType) -> str:
        head = f"/** {_comment(kind.description)} */\nexport type {kind.name} ="
        if isinstance(kind, GraphQLEnumType):
            values = (f"  /** {_comment(each.description)} */\n  | {dumps(name)}" for name, each in kind.values.items())
            return "\n".join((head, *values)) + ";\n"
        if not isinstance(kind, GraphQLInputObjectType):
            raise TypeError(f"SCALARS has no {kind.name}: add it")
        if kind.is_one_of:
            present = {name: self._input(each.type).removesuffix(" | null") for name, each in kind.fields.items()}
            return "\n".join((head, *(f"  | {{ {name}: {value} }}" for name, value in present.items()))) + ";\n"
        fields = (
            f"  /** {_comment(each.description)}{_warning(each.deprecation_reason)} */\n"
            f"  {name}{'' if is_required_input_field(each) else '?'}: {self._input(each.type)};\n"
            for name, each in kind.fields.items()
        )
        return f"{head} {{\n{''.join(fields)}}};\n"


def _flat(selection: SelectionSetNode, fragments: dict[str, FragmentDefinitionNode]) -> Iterator[FieldNode]:
    """Return the fields of a selection, those of its fragments among them."""
    for node in selection.selections:
        if isinstance(node, FragmentSpreadNode):
            yield from _flat(fragments[node.name.value].selection_set, fragments)
        elif isinstance(node, FieldNode):
            yield node


def _comment(description: str | None) -> str:
    return " ".join((description or "").split()).replace("*/", "* /")


def _warning(reason: str | None) -> str:
    """Return what an editor strikes through for."""
    return f" @deprecated {_comment(reason)}" if reason else ""


def main() -> None:
    """Write the files, and those of the client in Python."""
    for path, text in (generated() | of_python()).items():
        path.write_text(text)


if __name__ == "__main__":
    main()
