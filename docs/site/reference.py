"""The pages of reference, which are written from the code: the schema, errors, commands and Stripe's events."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer
from graphql import (
    GraphQLEnumType,
    GraphQLInputObjectType,
    GraphQLInterfaceType,
    GraphQLNamedType,
    GraphQLObjectType,
    GraphQLScalarType,
    build_schema,
    get_named_type,
    is_required_argument,
)

from gateway import errors
from gateway.billing.user_errors import ProblemCode
from gateway.cli.main import app
from gateway.mirror.resources import RESOURCES
from gateway.webhooks.handlers import ENDPOINT_EVENTS, HANDLERS, Handler

ROOT = Path(__file__).parents[2]
SENTENCES = ROOT / "gateway/billing/sentences/en.json"
ROOTS = ["Query", "Mutation", "Subscription"]
BUILT_IN = {"Int", "Float", "String", "Boolean", "ID"}


def pages() -> dict[str, str]:
    """Return the pages by their names."""
    return {"schema.md": schema(), "errors.md": failures(), "commands.md": commands(), "events.md": events()}


def table(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    """Return a table of Markdown."""
    lines = [head, tuple("---" for _ in head), *rows]
    return "".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |\n" for line in lines) + "\n"


def line(text: str | None) -> str:
    """Return a description in one line, without what Markdown or HTML would read in it."""
    return " ".join((text or "").split()).replace("<", "&lt;").replace("_…", "\\_…")


def schema() -> str:
    """Return every type of the GraphQL schema with its fields."""
    made = build_schema((ROOT / "schema.graphql").read_text())
    types = [kind for name, kind in made.type_map.items() if not name.startswith("__")]
    ordered = [made.type_map[name] for name in ROOTS]
    ordered += sorted((kind for kind in types if kind.name not in ROOTS), key=lambda kind: kind.name.lower())
    about = "Everything that the GraphQL API has; `schema.graphql` is the same for programs."
    how = "[GraphQL](../graphql.md) says how it is asked."
    return "\n".join((f"# The schema\n\n{about} {how}\n", *filter(None, map(_type, ordered))))


def _link(kind: Any) -> str:
    """Return a type as a link to where it is told."""
    inner = get_named_type(kind)
    if isinstance(inner, GraphQLScalarType):
        return f"`{kind}`"
    return f"[`{kind}`](#{inner.name.lower()})"


def _type(kind: GraphQLNamedType) -> str:
    head = f"## {kind.name}\n\n{line(kind.description)}\n\n"
    if isinstance(kind, GraphQLEnumType):
        values = [(f"`{name}`", line(each.description)) for name, each in kind.values.items()]
        return head + table(("value", "means"), values)
    if isinstance(kind, GraphQLScalarType):
        return "" if kind.name in BUILT_IN else head
    if isinstance(kind, GraphQLInputObjectType):
        inputs = [(f"`{name}`", _link(each.type), line(each.description)) for name, each in kind.fields.items()]
        return head + table(("field", "type", "means"), inputs)
    if isinstance(kind, GraphQLObjectType | GraphQLInterfaceType):
        return head + table(("field", "type", "means"), [_field(name, field) for name, field in kind.fields.items()])
    raise TypeError(f"{kind.name} is of a kind that this page does not know")


def _field(name: str, field: Any) -> tuple[str, ...]:
    arguments = ", ".join(
        f"`{argument}{'' if is_required_argument(each) else '?'}`: {line(each.description)}"
        for argument, each in field.args.items()
    )
    deprecated = f" **Deprecated**: {line(field.deprecation_reason)}" if field.deprecation_reason else ""
    more = f"<br>{arguments}" if arguments else ""
    return f"`{name}`", _link(field.type), f"{line(field.description)}{deprecated}{more}"


def failures() -> str:
    """Return every code, with what it means and what a buyer reads."""
    sentences = json.loads(SENTENCES.read_text())["errors"]
    problems = [(f"`{each.name}`", line(each.value), line(sentences.get(each.name))) for each in ProblemCode]
    told = {f"`{kind.code}`": line((kind.__doc__ or "").split("\n\n")[0]) for kind in _classes(errors.GatewayError)}
    return (
        "# Error codes\n\n## What the caller can fix\n\n`userErrors { code message text }` of a mutation; `text` is "
        "for buyers, in eight languages.\n\n"
        + table(("code", "means", "what a buyer reads"), problems)
        + "## Everything else\n\n`extensions.code` of a GraphQL error, `error.code` of the REST routes: "
        "[what to do](../graphql.md#errors).\n\n" + table(("code", "means"), sorted(told.items()))
    )


def _classes(base: type) -> Iterator[Any]:
    for child in base.__subclasses__():
        yield child
        yield from _classes(child)


def commands() -> str:
    """Return every command with its arguments and options."""
    parts = ["# Commands\n\n[Operating](../operating.md#commands) says when each is needed.\n"]
    for name, command in _commands(typer.main.get_command(app), "gateway"):
        rows = [_option(parameter) for parameter in command.params]
        options = table(("option", "means", "default"), rows) if rows else ""
        parts.append(f"## {name}\n\n{line((command.help or '').partition(chr(10) * 2)[0])}\n\n{options}")
    return "\n".join(parts)


def _option(parameter: Any) -> tuple[str, ...]:
    names = ", ".join(f"`{each}`" for each in (*parameter.opts, *parameter.secondary_opts))
    is_worth_it = parameter.default not in {None, False, ()} and not callable(parameter.default)
    return names, line(getattr(parameter, "help", "")), f"`{parameter.default}`" if is_worth_it else ""


def _commands(group: Any, prefix: str) -> Iterator[tuple[str, Any]]:
    for name in group.list_commands(None):
        command = group.get_command(None, name)
        if hasattr(command, "list_commands"):
            yield from _commands(command, f"{prefix} {name}")
        else:
            yield f"{prefix} {name}", command


def events() -> str:
    """Return Stripe's events that are handled, and what each does."""
    rows = [(f"`{name}`", _does(HANDLERS[name])) for name in ENDPOINT_EVENTS]
    kinds = ", ".join(f"`{kind}`" for kind in RESOURCES)
    about = "Those that an endpoint at Stripe is asked to send. [How they are applied](../webhooks.md)."
    return f"# Stripe's events\n\n{about}\n\n{table(('event', 'the gateway'), rows)}The copy holds: {kinds}.\n"


def _does(handler: Handler) -> str:
    if handler.deleted:
        return "takes the object out of the copy"
    return "writes the object into the copy" if handler.stores else "reads what it is about"
