"""The guard around the schema, tried on a schema in which every mistake is made that a new resolver could make."""

from types import SimpleNamespace

import pytest
import strawberry
from graphql import graphql

from gateway.auth.principal import ANONYMOUS, Principal
from gateway.billing.customers.ownership import Owner, Ownership
from gateway.billing.pagination import Page
from gateway.graphql.base.authorization import FieldAccess, enforce, private
from gateway.graphql.base.connection import Connection, Edge
from harness.databases import runtime_at


@private
class Secret:
    """Something of Ada's."""

    owner: strawberry.Private[Owner]
    text: str = strawberry.field(default="Ada's", description="What nobody else may read.")


@strawberry.type
class Box:
    """Holds secrets, and is not private itself."""

    @strawberry.field
    def inside(self) -> list[Secret]:
        """The resolver looks at nothing."""
        return [Secret(owner=Owner(customer_id="cus_of_ada"))]


@strawberry.type
class Careless:
    """Resolvers that forget to ask whose it is."""

    @strawberry.field
    def secret(self) -> Secret | None:
        """Shows it to everybody."""
        return Secret(owner=Owner(external_id="user_ada"))

    @strawberry.field
    async def later(self) -> Secret | None:
        """Shows it to everybody, after a while."""
        return Secret(owner=Owner(customer_id="cus_of_ada"))

    @strawberry.field
    def box(self) -> Box:
        """Leads to it by another way."""
        return Box()

    @strawberry.field
    async def page(self) -> Connection[Secret]:
        """Shows it in a page, beside what is the caller's."""
        secrets = [Secret(owner=Owner(guest=True), text="anybody's"), Secret(owner=Owner(external_id="user_ada"))]
        page = Page(secrets, has_next=False, has_previous=False, cursor_of=str)
        return Connection.of(page, lambda secret: secret)

    @strawberry.field
    def edge(self) -> Edge[Secret] | None:
        """Shows an edge that is in no page."""
        return Edge(cursor="", node=Secret(owner=Owner(external_id="user_ada")))

    @strawberry.field
    def unowned(self) -> Secret | None:
        """Shows what is nobody's, and so the back end's alone."""
        return Secret(owner=Owner())


@strawberry.type
class Live:
    """Live updates that forget to ask whose it is."""

    @strawberry.field
    async def watched(self, id: strawberry.ID) -> Secret:
        """Watches whatever is named."""
        return Secret(owner=Owner(customer_id="cus_of_ada"), text=f"Ada's {id}")


WAYS = {
    "secret": "text",
    "later": "text",
    "box": "inside { text }",
    "page": "nodes { text }",
    "edge": "node { text }",
    "unowned": "text",
}
"""The careless fields, and what is asked of each."""


@pytest.fixture
def careless():
    names = [f"Careless.{name}" for name in WAYS] + ["Live.watched"]
    schema = strawberry.Schema(query=Careless, subscription=Live)._schema
    enforce(schema, dict.fromkeys(names, FieldAccess.ANYONE))
    return schema


@pytest.fixture
async def database(sqlite_url):
    """A database in which Ada has a customer."""
    database = runtime_at(sqlite_url).database
    statement = (
        "INSERT INTO customer "
        "(id, external_id, as_of, staleness_seconds, revision, deleted, delinquent, meta, created) "
        "VALUES ('cus_of_ada', 'user_ada', 1, 0, 1, 0, 0, '{}', '2026-01-01 00:00:00')"
    )
    await database.transaction(lambda connection: connection.exec_driver_sql(statement))
    yield database
    await database.close()


async def nothing_more(_: object) -> None:
    """Find neither a customer nor a subscription."""


def context_of(database, principal):
    return SimpleNamespace(
        principal=principal, ownership=Ownership(database, principal, nothing_more, nothing_more), sign_in_error=None
    )


@pytest.mark.parametrize(
    ("principal", "shown"),
    [
        (ANONYMOUS, []),
        (Principal(subject="user_grace"), []),
        (Principal(subject="user_ada"), ["secret", "later", "box", "page", "edge"]),
        (Principal(is_service=True), list(WAYS)),
    ],
)
async def test_a_resolver_that_forgets_to_ask_shows_nothing_all_the_same(careless, database, principal, shown):
    seen = []
    for name, within in WAYS.items():
        query = f"{{ {name} {{ {within} }} }}"
        result = await graphql(careless, query, context_value=context_of(database, principal))
        if "Ada's" in str(result.data):
            seen.append(name)
    assert seen == shown


@pytest.mark.parametrize(
    ("principal", "named", "told"),
    [
        (Principal(subject="user_ada"), "cus_of_ada", "Ada's cus_of_ada"),
        (Principal(subject="user_grace"), "cus_of_ada", "there is no such object"),
        (Principal(subject="user_grace"), "cus_nothing", "there is no such object"),
        (ANONYMOUS, "cus_of_ada", "there is no such object"),
        (ANONYMOUS, "a word that is no id", "there is no such object"),
    ],
)
async def test_a_live_update_that_forgets_to_ask_tells_nothing_all_the_same(careless, database, principal, named, told):
    query = "subscription($id: ID!) { watched(id: $id) { text } }"
    context = context_of(database, principal)
    result = await graphql(careless, query, context_value=context, variable_values={"id": named})
    assert told in (str(result.errors) if result.errors else str(result.data))


def test_a_root_field_that_does_not_say_whom_it_is_for_stops_the_start():
    access = {"Careless.secret": FieldAccess.ANYONE, "Careless.gone": FieldAccess.ANYONE}
    with pytest.raises(TypeError, match=r"Careless\.box, Careless\.edge, Careless\.gone, Careless\.later"):
        enforce(strawberry.Schema(query=Careless)._schema, access)


def test_a_private_type_that_does_not_say_whose_it_is_stops_the_start():
    with pytest.raises(TypeError, match="Ownerless is private, so it needs `owner"):

        @private
        class Ownerless:
            """Belongs to somebody."""

            text: str
