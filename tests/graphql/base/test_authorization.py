"""Nobody sees or changes what is another's: the schema itself is walked, so that a new field is tried unasked."""

import json
import time
from itertools import product

import jwt
import pytest
from graphql import GraphQLInputObjectType, GraphQLObjectType, get_named_type

from gateway.billing.customers.ownership import PRIVATE
from gateway.graphql.base.authorization import FIELD_ACCESS, FieldAccess, is_private
from gateway.graphql.schema import core
from harness.checkout import buy
from harness.databases import both_databases
from harness.gateway import SERVICE, SIGN_IN_SECRET, make_world
from harness.oidc_provider import AUDIENCE, ISSUER
from harness.schema_walk import FIELDS, NAMED, ROOT_FIELDS, ROOTS, WAYS, ids_within, objects, operation

# What anybody may see. A type that turns up here unasked has to be private, or has to be thought about.
PUBLIC = {
    *("Query", "Mutation", "UserError", "PageInfo", "Money", "MetadataEntry"),
    *("Pricing", "PricedProduct", "Product", "ProductConnection", "ProductEdge"),
    *("Plan", "PlanConnection", "PlanEdge", "Price", "PriceAmount", "PriceTier", "Recurring"),
    *("PlanFeature", "TransformQuantity", "CustomAmountLimits"),
    *("CreateCheckoutSessionPayload", "ExpireCheckoutSessionPayload", "CreatePortalSessionPayload"),
    *(
        "AcceptRetentionOfferPayload",
        "ApplyPromotionCodePayload",
        "ChangeSubscriptionPayload",
        "CancelPendingChangePayload",
        "CancelSubscriptionPayload",
        "PauseSubscriptionPayload",
        "ResumeSubscriptionPayload",
        "StartSubscriptionPayload",
    ),
}
REFUSALS = {"NOT_FOUND", "FORBIDDEN", "UNAUTHENTICATED"}


def name_of(part):
    """How a part of the schema stands in a test's name."""
    return getattr(part, "name", None) or (".".join(part) if isinstance(part, tuple) else str(part))


def test_every_type_is_private_or_public_on_purpose():
    """What only the back end or operators may ask for is not followed: `FIELD_ACCESS` sees to it, and a test below."""
    closed = {FieldAccess.SERVICE, FieldAccess.OPERATOR, FieldAccess.OPERATOR_ACT}
    reached, todo = set(), [root.name for root in ROOTS]
    while todo:
        kind = core.type_map[todo.pop()]
        if kind.name in reached or not isinstance(kind, GraphQLObjectType) or is_private(kind):
            continue
        reached.add(kind.name)
        open_to_all = [
            field
            for name, field in kind.fields.items()
            if FIELD_ACCESS.get(f"{kind.name}.{name}") not in closed or kind not in ROOTS
        ]
        todo += [get_named_type(field.type).name for field in open_to_all]
    assert reached == PUBLIC


def test_whatever_names_something_is_of_the_type_that_is_checked():
    """An id that came as a `String` would pass the guard unseen."""
    inputs = [kind for kind in core.type_map.values() if isinstance(kind, GraphQLInputObjectType)]
    named = [(kind.name, name, field) for kind in inputs for name, field in kind.fields.items()]
    for kind in objects():
        for field in kind.fields.values():
            named += [(kind.name, name, argument) for name, argument in field.args.items()]
    astray = [
        f"{kind}.{name}"
        for kind, name, field in named
        if name.lower().endswith(("id", "ids")) and get_named_type(field.type).name != "ID"
    ]
    assert astray == []


def test_every_field_that_takes_an_id_is_tried():
    """The walk comes to a type by fields that require nothing; where there is none, it has to learn the way.

    What stands below `Query.operator` is not tried: whoever comes so far sees everything.
    """
    takes_ids = {
        kind.name
        for kind in objects()
        for field in kind.fields.values()
        if any(True for name, argument in field.args.items() for _ in ids_within(argument.type, (name,)))
    }
    assert takes_ids - {"Subscription", "OperatorCustomer"} <= set(WAYS)


@pytest.fixture(scope="module")
def shop(new_sqlite):
    """A world where Ada and Grace have bought; `ids` has one thing of Ada's of each kind."""
    with make_world(new_sqlite(), auth_issuer=ISSUER, auth_audience=AUDIENCE) as world:
        world.ada, world.grace = world.sign_in("ada@example.com"), world.sign_in("grace@example.com")
        buy(world, world.grace, "starter_monthly")
        world.ids = bought_by(world, world.ada, "user_ada")
        yield world


def bought_by(world, headers, subject):
    """Let a user buy, and give the ids of what came of it by their kind."""
    session = buy(world, headers, "starter_monthly")
    (customer,) = world.rows("customer", external_id=subject)
    theirs = {"customer_id": customer["id"]}
    world.eventually(lambda: world.rows("invoice", **theirs) and world.rows("payment_method", **theirs))
    subscription = session["subscription"]["id"]
    return {
        "cs": session["id"],
        "cus": customer["id"],
        "in": world.rows("invoice", **theirs)[0]["id"],
        "pm": world.rows("payment_method", **theirs)[0]["id"],
        "si": world.rows("subscription_item", subscription_id=subscription)[0]["id"],
        "sub": subscription,
    }


def at_stripe(world):
    """What would change if anything were done at Stripe."""
    store = world.sandbox.store
    return store.first("event")["id"], len(store.find("billing_portal.session"))


def assert_refused(answer):
    """The answer is an error with a documented code, or holds nothing at all."""
    codes = {error["extensions"]["code"] for error in answer.get("errors", [])}
    assert codes <= REFUSALS, answer
    assert codes or is_empty(answer["data"]), answer


def is_empty(data):
    return data is None or (isinstance(data, dict) and all(map(is_empty, data.values())))


def test_every_kind_of_private_thing_is_tried(shop):
    assert set(shop.ids) == set(PRIVATE)


@pytest.mark.parametrize(("kind", "name", "path"), NAMED, ids=name_of)
def test_anothers_id_is_answered_like_one_that_does_not_exist_and_nothing_happens(shop, kind, name, path):
    before = at_stripe(shop)
    for theirs, headers in product(shop.ids.values(), (shop.grace, None)):
        answers = []
        for named in (theirs, theirs[:-8] + "00000000"):
            document, variables = operation(kind, name, {path: named})
            answers.append(shop.graphql(document, variables, headers).text.replace(named, "ID"))
        foreign, absent = answers
        assert foreign == absent
        assert_refused(json.loads(foreign))
    assert at_stripe(shop) == before


@pytest.mark.parametrize(("root", "name"), ROOT_FIELDS, ids=name_of)
def test_a_field_is_called_by_whom_it_is_for_and_nobody_else(shop, root, name):
    caller = FIELD_ACCESS[f"{root.name}.{name}"]
    refused = {
        FieldAccess.PUBLIC: {},
        FieldAccess.ANYONE: {},
        FieldAccess.AUTHENTICATED: {"nobody": "UNAUTHENTICATED"},
        FieldAccess.USER: {"nobody": "UNAUTHENTICATED", "service": "FORBIDDEN"},
        FieldAccess.SERVICE: {"nobody": "UNAUTHENTICATED", "user": "FORBIDDEN"},
        FieldAccess.OPERATOR: dict.fromkeys(("user", "service"), "FORBIDDEN") | {"nobody": "UNAUTHENTICATED"},
        FieldAccess.OPERATOR_ACT: dict.fromkeys(("user", "service"), "FORBIDDEN") | {"nobody": "UNAUTHENTICATED"},
    }[caller]
    document, variables = operation(root, name, {})
    before = at_stripe(shop)
    for who, headers in {"nobody": None, "user": shop.grace, "service": SERVICE}.items():
        if code := refused.get(who):
            answer = shop.graphql(document, variables, headers).json()
            assert [error["extensions"]["code"] for error in answer["errors"]] == [code]
            assert is_empty(answer.get("data"))
    assert at_stripe(shop) == before


@pytest.mark.parametrize(("root", "name"), ROOT_FIELDS, ids=name_of)
def test_a_token_that_proves_nothing_opens_nothing_not_even_the_shop_window(shop, root, name):
    claims = {"sub": "user_ada", "iss": ISSUER, "aud": AUDIENCE, "exp": int(time.time()) + 60}
    tokens = {
        "forged and expired": jwt.encode({**claims, "exp": 1}, SIGN_IN_SECRET[::-1], algorithm="HS256"),
        "of another audience": jwt.encode({**claims, "aud": "another-shop"}, SIGN_IN_SECRET, algorithm="HS256"),
        "of another issuer": jwt.encode({**claims, "iss": ISSUER[::-1]}, SIGN_IN_SECRET, algorithm="HS256"),
        "forged": jwt.encode(claims, SIGN_IN_SECRET[::-1], algorithm="HS256"),
        "of another algorithm": jwt.encode(claims, SIGN_IN_SECRET * 2, algorithm="HS512"),
        "unsigned": jwt.encode(claims, None, algorithm="none"),
    }
    document, variables = operation(root, name, {})
    for kind, token in tokens.items():
        answer = shop.graphql(document, variables, {"Authorization": f"Bearer {token}"})
        assert answer.status_code == 401, kind
        assert answer.json()["errors"][0]["extensions"]["code"] == "UNAUTHENTICATED"
        assert "data" not in answer.json()
    good = jwt.encode(claims, SIGN_IN_SECRET, algorithm="HS256")
    assert shop.graphql("{ viewer { id } }", headers={"Authorization": f"Bearer {good}"}).json() == {
        "data": {"viewer": {"id": "user_ada"}}
    }


@pytest.mark.parametrize(("root", "name"), ROOT_FIELDS, ids=name_of)
def test_an_expired_token_opens_what_is_public_and_nothing_else(shop, root, name):
    claims = {"sub": "user_ada", "iss": ISSUER, "aud": AUDIENCE, "exp": 1}
    expired = {"Authorization": f"Bearer {jwt.encode(claims, SIGN_IN_SECRET, algorithm='HS256')}"}
    document, variables = operation(root, name, {})
    before = at_stripe(shop)
    answer = shop.graphql(document, variables, expired)
    if FIELD_ACCESS[f"{root.name}.{name}"] is FieldAccess.PUBLIC:
        assert answer.status_code == 200
        assert answer.json()["data"] == shop.graphql(document, variables).json()["data"]
    elif root.name == "Subscription":
        assert answer.status_code == 400
    else:
        assert answer.status_code == 401
        assert answer.headers["www-authenticate"] == "Bearer"
        assert "data" not in answer.json()
    if root.name != "Subscription":
        (error,) = answer.json()["errors"]
        assert error == {"message": "the token has expired; sign in again", "extensions": {"code": "UNAUTHENTICATED"}}
    assert at_stripe(shop) == before


@pytest.mark.parametrize(("kind", "name"), [each for each in FIELDS if each[0].name != "Mutation"], ids=name_of)
def test_no_field_shows_a_user_or_nobody_what_is_anothers(shop, kind, name):
    document, variables = operation(kind, name, {})
    theirs = {*shop.ids.values(), "user_ada", "ada@example.com"}
    for headers in (shop.grace, None):
        text = shop.graphql(document, variables, headers).text
        assert not [each for each in theirs if each in text]


@both_databases
def test_the_owner_sees_and_names_all_of_it(world):
    """Or else everything above would also hold for a gateway that shows nothing at all."""
    ada = world.sign_in("ada@example.com")
    ids = bought_by(world, ada, "user_ada")
    seen = world.graphql(
        """query($cs: ID!) {
          session(id: $cs) { id subscription { id items { id } } }
          viewer { id subscriptions { id } invoices { nodes { id } } paymentMethod { id } } }""",
        {"cs": ids["cs"]},
        ada,
    ).text
    assert [kind for kind, each in ids.items() if each not in seen] == ["cus"]
    portal = """mutation($id: ID!) { createPortalSession(input: {
        returnUrl: "https://shop.example/", flow: SUBSCRIPTION_CANCEL, subscriptionId: $id }) { url } }"""
    assert world.data(portal, {"id": ids["sub"]}, ada)["createPortalSession"]["url"]


def test_a_guests_checkout_is_seen_with_what_it_started_by_whoever_knows_it_and_nothing_else_of_it(shop):
    session = buy(shop, None, "starter_monthly")
    query = "query($id: ID!) { session(id: $id) { status subscription { id } customerEmail } }"
    for headers in (None, shop.grace):
        seen = shop.data(query, {"id": session["id"]}, headers)["session"]
        assert (seen["status"], seen["customerEmail"]) == ("COMPLETE", None)
        assert seen["subscription"]["id"] == session["subscription"]["id"]
    document, variables = operation(
        core.mutation_type, "cancelSubscription", {("input", "subscriptionId"): session["subscription"]["id"]}
    )
    assert_refused(shop.graphql(document, variables, shop.grace).json())
