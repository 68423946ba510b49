"""The compiled executor answers as graphql-core's own does, to the byte, over the real schema and a filled mirror."""

import asyncio
import gc
import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from random import Random
from typing import Any
from weakref import ref

import pytest
from graphql import (
    ArgumentNode,
    DocumentNode,
    FieldNode,
    InlineFragmentNode,
    IntValueNode,
    SelectionSetNode,
    StringValueNode,
    Visitor,
    parse,
    print_ast,
    validate,
    visit,
)
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis_graphql import nodes, queries

from gateway.app import compose_services
from gateway.auth.principal import ANONYMOUS, SERVICE, Principal
from gateway.graphql.base.context import Context, Services
from gateway.graphql.execution.compiler import FUNCTION_FIELDS, CompiledExecutor
from gateway.graphql.execution.documents import CompiledCode, Documents
from gateway.graphql.execution.persisted import PersistedDocuments
from gateway.graphql.execution.request import GraphQLRequest
from gateway.graphql.schema import core
from gateway.runtime import compose
from gateway.settings import Settings
from harness.compiled import ROOM, run
from harness.gateway import make_world
from harness.subscriptions import customer, subscribe


@dataclass(repr=False)
class Gateway:
    """The use cases over a filled mirror, as `app.py` puts them together, and an event loop for them."""

    runner: asyncio.Runner
    services: Services
    names: dict[str, list[str]]

    def both(self, document: DocumentNode, principal: Principal, variables: dict[str, Any]) -> tuple[bytes, ...]:
        """What graphql-core answers, and the compiled executor at the first and at the second time."""
        compiled = CompiledCode(ROOM)
        mine = {"executor_class": CompiledExecutor, "compiled": compiled}
        return tuple(
            self.runner.run(
                run(core, document, Context(self.services, principal), variable_values=variables, **options)
            )
            for options in ({}, mine, mine)
        )


@pytest.fixture(scope="module")
def gateway(new_sqlite) -> Iterator[Gateway]:
    with make_world(new_sqlite()) as world, asyncio.Runner() as runner:
        ann = customer(world, "ann", name="Ann")
        for key in ("business_monthly", "pro_monthly"):
            subscribe(world, ann, key)
        subscribe(world, customer(world, "bob"))
        world.eventually(lambda: not world.rows("event", status="pending"))
        runtime = compose(world.settings)
        services = compose_services(runtime)
        names = {
            "id": [row["id"] for table in ("product", "price", "checkout_session") for row in world.rows(table)],
            "productId": [row["id"] for row in world.rows("product")],
            "priceId": [row["id"] for row in world.rows("price")],
            "subscriptionId": ["sub_of_nobody"],  # Stripe's previews have other ids each time
            "externalId": ["ann", "bob", "nobody"],
            "locale": ["en", "de-DE", "ja", "tlh"],
            "feature": ["sso", "projects", "nothing"],
        }
        yield Gateway(runner, services, names)
        runner.run(runtime.close())


class Vary(Visitor):
    """Makes a generated query likelier to find something, and gives it what the generator does not know."""

    def __init__(self, random: Random, names: dict[str, list[str]]) -> None:
        super().__init__()
        self._random = random
        self._names = names

    def leave_argument(self, node: ArgumentNode, *_) -> ArgumentNode | None:
        name = node.name.value
        if self._random.random() < 0.1:
            return None
        if isinstance(node.value, StringValueNode) and name in self._names:
            return ArgumentNode(name=node.name, value=nodes.String(self._random.choice(self._names[name])))
        if isinstance(node.value, IntValueNode) and name == "first":
            return ArgumentNode(name=node.name, value=nodes.Int(self._random.randint(1, 5)))
        return None

    def leave_field(self, node: FieldNode, *_) -> FieldNode | InlineFragmentNode | None:
        directives = parse("{ f " + self._random.choice(SWITCHES) + " }").definitions[0].selection_set.selections[0]
        match self._random.randrange(12):
            case 0 | 1:
                return replace(node, directives=directives.directives)
            case 2:
                twice = SelectionSetNode(selections=(node, node))
                return InlineFragmentNode(selection_set=twice, directives=directives.directives)
        return None


SWITCHES = ["@skip(if: $no)", "@skip(if: $yes)", "@include(if: $yes)", "@include(if: true) @skip(if: false)"]
SHOP = ("pricing", "plans", "plan", "products", "product")
SCALARS = {
    "Currency": st.sampled_from(["USD", "eur", "JPY", "nonsense"]).map(nodes.String),
    "DateTime": st.just("2026-01-01T00:00:00Z").map(nodes.String),
}
TEXTS = st.one_of(
    [queries(core, fields=fields, custom_scalars=SCALARS, allow_x00=False) for fields in (SHOP, ("viewer",), None)]
)


@settings(max_examples=40 * int(os.environ.get("TIMES", "1")), deadline=None, suppress_health_check=list(HealthCheck))
@given(text=TEXTS, seed=st.integers(0, 2**64), yes=st.booleans(), caller=st.sampled_from(["ann", "bob", "", "service"]))
def test_whatever_is_asked_the_answer_is_the_same_to_the_byte(gateway, text, seed, yes, caller):
    document = visit(parse(text), Vary(Random(seed), gateway.names))  # noqa: S311
    document = parse(print_ast(document).replace("{", "query ($yes: Boolean!, $no: Boolean! = false) {", 1))
    principal = {"": ANONYMOUS, "service": SERVICE}.get(caller, Principal(subject=caller, email="a@b.example"))
    theirs, first, second = gateway.both(document, principal, {"yes": yes})
    assert first == second == theirs


EVERYTHING = """
query Everything($locale: String! = "en", $more: Boolean! = true) {
  pricing { __typename currency currencies intervals asOf
    products { product { ...P prices { ...R } plans { id } } plans { ...N } oneTime { ...R } } }
  plans(first: 4) { edges { cursor node { ...N } } nodes { id } pageInfo { ...I } }
  products(first: 4) { edges { cursor node { ...P } } nodes { id plans { ...N } } pageInfo { ...I } }
  viewer {
    id email credits { balance entries(first: 3) { nodes { id kind amount metadata { key } } } }
    subscription { ...S } subscriptions { ...S }
    invoices(first: 5) { nodes { ...V } edges { cursor node { ...V } } pageInfo { ...I } }
    paymentMethod { id brand last4 } entitlements { feature limit until source }
    access(feature: "sso") { allowed reason until limit subscription { ...S } }
    customer { id externalId email name currency delinquent createdAt }
  }
}
fragment I on PageInfo { hasNextPage hasPreviousPage startCursor endCursor }
fragment M on Money { amount currency decimal formatted(locale: $locale) plain: formatted(locale: "de") }
fragment P on Product { id name description active images features unitLabel url metadata { key value } createdAt }
fragment R on Price { id nickname lookupKey active unitAmount { ...M } unitAmountDecimal currencyOptions { ...M }
  billingScheme tiersMode tiers { upTo unitAmount { ...M } unitAmountDecimal flatAmount { ...M } } taxBehavior
  recurring { interval intervalCount usageType trialPeriodDays } metadata { key value } product { id ...P } }
fragment N on Plan { id nickname active amount { ...M } interval intervalCount trialPeriodDays usageType
  metadata { key value } price @include(if: $more) { ...R } product { name } }
fragment S on BillingSubscription { id status quantity currentPeriodEnd willCancel plan { ...N }
  items { id quantity plan { id } currentPeriodStart } access { allowed reason until subscription { id } } }
fragment V on Invoice { id number status total { ...M } tax { ...M } createdAt paidAt
  lines { id description amount { ...M } quantity proration periodStart price { ...R } } }
"""


@pytest.mark.parametrize(
    "variables",
    [{}, {"locale": "ja"}, {"locale": "tlh"}, {"more": False}, {"more": None}, {"locale": 1}, {"more": "x"}],
)
def test_a_query_that_asks_for_everything_is_answered_the_same(gateway, variables):
    document = parse(EVERYTHING)
    assert validate(core, document) == []
    theirs, first, second = gateway.both(document, Principal(subject="ann"), variables)
    assert first == second == theirs
    if not variables:
        assert len(theirs) > 20_000
        assert b'"errors":[]' in theirs


def test_the_pricing_page_is_compiled_and_what_is_private_is_not(gateway):
    compiled = CompiledCode(ROOM)
    context = Context(gateway.services, Principal(subject="ann"))
    gateway.runner.run(run(core, parse(EVERYTHING), context, executor_class=CompiledExecutor, compiled=compiled))
    (found,) = compiled.variants.values()
    made = {kind.name for (kind, *_), function in found.items() if function}
    assert {"Pricing", "PlanConnection", "ProductConnection", "InvoiceConnection"} <= made
    assert not {"Viewer", "Access"} & made  # fields of theirs are guarded


def test_what_a_request_has_read_goes_with_it_and_does_not_wait_until_garbage_is_looked_for(gateway):
    context = Context(gateway.services, Principal(subject="ann"))
    request = ref(context)
    gc.disable()
    try:
        gateway.runner.run(
            run(core, parse(EVERYTHING), context, executor_class=CompiledExecutor, compiled=CompiledCode(ROOM))
        )
        assert context.loaders
        del context
        assert request() is None
    finally:
        gc.enable()


@pytest.mark.parametrize("room", [0, 1, 3, 4, 5, 10, 20, 40, 80])
def test_without_room_the_rest_is_left_to_graphql_core(gateway, room):
    document, context = parse(EVERYTHING), Context(gateway.services, Principal(subject="ann"))
    theirs = gateway.runner.run(run(core, document, context))
    compiled = CompiledCode(room)
    for _ in range(2):
        mine = run(core, document, context, executor_class=CompiledExecutor, compiled=compiled)
        assert gateway.runner.run(mine) == theirs
    functions = [function for variant in compiled.variants.values() for function in variant.values() if function]
    assert len(functions) * FUNCTION_FIELDS <= room


ACCOUNT = """{
  pricing { currency products { product { name } plans { id amount { decimal } } oneTime { id } } }
  viewer {
    id
    subscription { id plan { id product { name } } access { allowed } }
    invoices(first: 2) { nodes { id total { decimal } lines { description price { id } } } pageInfo { hasNextPage } }
    entitlements { feature limit }
    customer { id name }
  }
  one: plan(id: "x") { id }
  other: plan(id: "y") { id }
}"""


def test_a_document_has_room_for_all_that_can_be_compiled_of_it(gateway):
    """What cannot be compiled on the way must not take it."""
    documents = Documents(core, PersistedDocuments(Settings.load()), introspection=True)
    prepared = documents.prepare(GraphQLRequest(ACCOUNT, None, {}))
    assert prepared.document is not None, prepared.errors
    ample = CompiledCode(ROOM)
    context = Context(gateway.services, Principal(subject="ann"))
    for compiled in (prepared.compiled, ample):
        gateway.runner.run(run(core, prepared.document, context, executor_class=CompiledExecutor, compiled=compiled))
    made, all_ = (
        sorted((kind.name, bool(made)) for variant in each.variants.values() for (kind, *_), made in variant.items())
        for each in (prepared.compiled, ample)
    )
    assert made == all_
    assert ("Pricing", True) in all_
