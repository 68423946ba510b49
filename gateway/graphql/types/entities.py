"""What other graphs may refer to: the entities of Apollo Federation, found by their keys, all of a request at once.

Source: https://www.apollographql.com/docs/graphos/schema-design/federated-schemas/reference/subgraph-spec. Strawberry
has a resolver of `_entities` too; it finds them one by one, and takes whatever type and fields a client names.
"""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping
from typing import Annotated, Any, Final, NamedTuple

import strawberry
from sqlmodel import col

from gateway.billing.customers.ownership import Owner
from gateway.billing.pagination import MAX_PAGE
from gateway.db.rows import all_rows
from gateway.errors import BadInput
from gateway.graphql.base.context import Context, Info, read_account
from gateway.graphql.base.decorators import named, object_type
from gateway.graphql.base.lookahead import asks_for_links, selection_of
from gateway.graphql.base.scalars import Representation
from gateway.graphql.types.catalog import Plan, Product
from gateway.graphql.types.catalog_objects import catalog_objects_of
from gateway.graphql.types.customers import Customer
from gateway.graphql.types.invoices import Invoice
from gateway.graphql.types.nodes import invoices_of
from gateway.models import mirrored as models

KEYS: Final[Mapping[str, tuple[str, ...]]] = {
    "Customer": ("id", "externalId"),
    "Invoice": ("id",),
    "Plan": ("id",),
    "Product": ("id",),
}
"""The entities, and the fields by each of which one is found."""

Entity = Annotated[
    Customer | Invoice | Plan | Product, strawberry.union("_Entity", description="What other graphs may refer to.")
]


class Reference(NamedTuple):
    """An entity as another graph names it."""

    kind: str
    key: str
    value: str

    @classmethod
    def of(cls, representation: Any) -> "Reference":
        """Read a representation, whose first field that is a key counts.

        Raises:
            BadInput: it names no entity.
        """
        given = representation if isinstance(representation, dict) else {}
        kind = given.get("__typename")
        for key in KEYS.get(kind, ()) if isinstance(kind, str) else ():
            if isinstance(value := given.get(key), str):
                return cls(str(kind), key, value)
        known = ", ".join(f"{name} by {' or '.join(keys)}" for name, keys in KEYS.items())
        raise BadInput(f"a representation must name its `__typename` and a key of it: {known}")


@object_type
class EntityQueries:
    """What a router of a federated graph asks."""

    @named("_entities")
    async def entities(
        self,
        info: Info,
        representations: Annotated[
            list[Representation], strawberry.argument(description="Their types and keys, as the router has them.")
        ],
    ) -> list[Entity | None]:
        """Entities by their keys, in the order of these, at most 100; null for one that is missing or another's."""
        if len(representations) > MAX_PAGE:
            raise BadInput(f"`representations` has {len(representations)}; at most {MAX_PAGE} are found at once")
        wanted = [Reference.of(each) for each in representations]
        found: dict[Reference, Any] = {}
        for kind in {each.kind for each in wanted}:
            found |= await _FINDERS[kind](info, {each for each in wanted if each.kind == kind})
        return [found.get(each) for each in wanted]


async def _sold(info: Info, wanted: Collection[Reference]) -> dict[Reference, Any]:
    catalog = catalog_objects_of(await info.context.services.catalog.snapshot())
    return {
        each: catalog.product(each.value) if each.kind == "Product" else catalog.plan(each.value) for each in wanted
    }


async def _invoices(info: Info, wanted: Collection[Reference]) -> dict[Reference, Any]:
    rows = await invoices_of(info.context, [each.value for each in wanted], links=asks_for_links(info))
    catalog = catalog_objects_of(await info.context.services.catalog.snapshot())
    return {each: Invoice.of(row, catalog) for each in wanted if (row := rows.get(each.value))}


async def _customers(info: Info, wanted: Collection[Reference]) -> dict[Reference, Any]:
    context = info.context
    users = await _users(context, {each.value for each in wanted if each.key == "id"})
    if context.principal.sees_all:
        users |= {each.value: each.value for each in wanted if each.key == "externalId"}
    elif (subject := context.principal.subject) is not None:
        users |= {subject: subject}
    known = {each: users[each.value] for each in wanted if each.value in users}
    accounts = await asyncio.gather(
        *(read_account(context, selection_of(info, user, "Customer")) for user in known.values())
    )
    return {each: Customer.of(*account) for each, account in zip(known, accounts, strict=True)}


async def _users(context: Context, customer_ids: Collection[str]) -> dict[str, str]:
    """Return the users of those customers that the caller may see and that are users', by the customers' ids."""
    seen = await context.ownership.seen(Owner(customer_id=each) for each in customer_ids)
    ids = [str(owner.customer_id) for owner in seen]
    if not ids:
        return {}
    these = col(models.Customer.id).in_(ids)
    rows = await context.services.database.read(lambda connection: all_rows(connection, models.Customer, these))
    return {row.id: row.external_id for row in rows if row.external_id is not None}


Finder = Callable[[Info, Collection[Reference]], Awaitable[dict[Reference, Any]]]
_FINDERS: Final[Mapping[str, Finder]] = {
    "Customer": _customers,
    "Invoice": _invoices,
    "Plan": _sold,
    "Product": _sold,
}
