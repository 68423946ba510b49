"""The published schema: complete, described, and compared with what is served."""

import re

import pytest
from graphql import (
    GraphQLEnumType,
    GraphQLInputObjectType,
    GraphQLNonNull,
    GraphQLObjectType,
    GraphQLScalarType,
    NoDeprecatedCustomRule,
    parse,
    validate,
)

from gateway.billing.subscriptions.access import Reason
from gateway.billing.user_errors import ProblemCode
from gateway.graphql.schema import check, check_released, core, sdl
from gateway.web.documents import documents
from harness.paths import ROOT

PUBLISHED = ROOT / "schema.graphql"
OWN_TYPES = [each for name, each in core.type_map.items() if not name.startswith("__")]


def test_the_published_schema_is_the_present_one():
    assert check(PUBLISHED.read_text()) == []


def test_what_breaks_clients_of_the_last_version_is_listed_with_its_reason():
    text = (ROOT / "schema.released.graphql").read_text()
    assert check_released(text) == []
    gone = text.replace("# - Field Access.limit ", "# ").replace("enum AccessReason {", "enum AccessReason {\n  GONE")
    listed = gone.replace("type Access {", "# - Field A.b was removed. (a reason)\ntype Access {")
    assert [each.partition(": ")[2] for each in check_released(listed)] == [
        "Enum value AccessReason.GONE was removed.",
        "Field Access.limit changed type from Int to BigInt.",
        "Field A.b was removed.",
    ]


def described():
    """Everything that can have a description, by its path."""
    for kind in OWN_TYPES:
        if isinstance(kind, GraphQLScalarType) and kind.name in {"ID", "Int", "String", "Boolean", "Float"}:
            continue
        yield kind.name, kind
        if isinstance(kind, GraphQLEnumType):
            yield from ((f"{kind.name}.{name}", value) for name, value in kind.values.items())
        if isinstance(kind, (GraphQLObjectType, GraphQLInputObjectType)):
            for name, field in kind.fields.items():
                yield f"{kind.name}.{name}", field
                yield from ((f"{kind.name}.{name}({key})", each) for key, each in getattr(field, "args", {}).items())


def test_everything_in_the_schema_has_a_description_that_is_a_sentence():
    found = dict(described())
    assert len(found) > 150
    wrong = [path for path, node in found.items() if not (node.description or "").endswith(".")]
    assert wrong == []


def test_every_deprecation_says_until_when():
    reasons = {path: node.deprecation_reason for path, node in described() if getattr(node, "deprecation_reason", None)}
    assert reasons
    assert [path for path, reason in reasons.items() if not re.match(r"Until 20\d\d-\d\d-\d\d: ", reason)] == []


SAYS_EXACTLY_ONE = re.compile(
    r"give this or|exactly one|\beither\b|instead of (the|`)|left out where `|, or by `|, or `", re.IGNORECASE
)


def test_what_takes_exactly_one_of_several_is_one_of():
    """Words alone stop nobody from giving two: `@oneOf` does, in every tool that reads the schema."""
    inputs = [kind for kind in OWN_TYPES if isinstance(kind, GraphQLInputObjectType)]
    said = {
        kind.name: [
            kind.description,
            *(each.description for each in kind.fields.values() if not each.deprecation_reason),
        ]
        for kind in inputs
    }
    found = {name for name, words in said.items() if SAYS_EXACTLY_ONE.search(" ".join(words))}
    assert found == {kind.name for kind in inputs if kind.is_one_of}
    arguments = {path: each.description for path, each in described() if "(" in path and not each.deprecation_reason}
    assert [path for path, words in arguments.items() if SAYS_EXACTLY_ONE.search(words)] == []


def test_our_own_documents_use_nothing_deprecated():
    found = [validate(core, parse(text), [NoDeprecatedCustomRule]) for text in documents().values()]
    assert len(found) > 50
    assert [error.message for errors in found for error in errors] == []


def test_mutations_take_one_input_and_give_user_errors():
    for name, field in core.mutation_type.fields.items():
        assert list(field.args) == ["input"], name
        assert isinstance(field.args["input"].type, GraphQLNonNull), name
        assert str(field.type.of_type.fields["userErrors"].type) == "[UserError!]!", name


@pytest.mark.parametrize(("name", "members"), [("UserErrorCode", ProblemCode), ("AccessReason", Reason)])
def test_an_enum_of_the_use_cases_is_the_same_to_clients(name, members):
    assert list(core.type_map[name].values) == [each.name for each in members]


@pytest.mark.parametrize(
    ("before", "after", "change"),
    [
        ("  url: String\n", "  address: String\n", "CheckoutSession.address"),
        ("  lookupKey: String\n", "  lookupKey: String!\n", "Price.lookupKey"),
        ("  PAID\n", "  PAID\n\n  BARTERED\n", "BARTERED"),
    ],
)
def test_a_change_that_breaks_clients_is_named(before, after, change):
    """The published schema had something that the present one lacks."""
    published = sdl().replace(before, after)
    assert published != sdl()

    *breaking, drift = check(published)

    assert any(change in line for line in breaking)
    assert "gateway schema > schema.graphql" in drift


def test_a_difference_that_breaks_nobody_is_only_drift():
    published = sdl().replace("Something that is sold.", "Something that was sold.")
    assert published != sdl()
    assert len(check(published)) == 1


def test_nothing_that_a_client_sends_could_be_a_card():
    """PCI SAQ A: no card field ever (docs/security.md)."""
    inputs = {kind.name for kind in OWN_TYPES if isinstance(kind, GraphQLInputObjectType)}
    sent = [path for path, _ in described() if "(" in path or path.partition(".")[0] in inputs]
    words = {word.lower() for path in sent for word in re.findall(r"[A-Z]?[a-z0-9]+", path)}
    assert {"checkout", "success", "url", "price"} <= words, "it looks where the inputs are"
    assert not words & {"card", "cvc", "cvv", "pan", "iban", "expiry", "number"}
