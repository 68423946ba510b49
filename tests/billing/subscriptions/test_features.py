"""Which features a customer may use and how much of each, as tables without HTTP and without a database."""

from datetime import timedelta

import pytest

from gateway.billing.catalog.product_features import Limit, ProductFeatures
from gateway.billing.subscriptions.access import Access, Reason
from gateway.billing.subscriptions.entitlements import Source, decide, entitlements
from gateway.billing.subscriptions.for_life import for_life
from harness.rows import DAY, NOW, item, product, snapshot, state

OFFERS = snapshot(
    product("basic", meta={"features": "boards", "limit_boards": "5"}),
    product("large", meta={"features": "boards", "limit_boards": "20"}),
    product("endless", meta={"features": " boards , sso "}),
    product("seat", meta={"features": "boards", "limit_boards": "10", "limit_boards_per_unit": "true"}),
    product("vast", meta={"features": "boards", "limit_boards": f"{2**62}", "limit_boards_per_unit": "true"}),
    product("slip", meta={"features": "boards", "limit_boards": "many"}),
    product("other", meta={"limit_boards": "1"}),
    product("plain"),
    product("stripes", entitlements=["boards"]),
    product("stripes_limited", entitlements=["boards", "x"], meta={"limit_boards": "3"}),
    product("read", entitlements=[]),
    product("read_limited", entitlements=[], meta={"limit_boards": "2"}),
    product("per_unit", meta={"features": "boards", "limit_boards": "10", "limit_boards_per_unit": "yes"}),
).features
REFUSED = Access(allowed=False, reason=Reason.PAST_DUE)


def held(*products: str | tuple[str, int | None], access: Access | None = None, id: str = "sub_1", **columns):
    items = [
        item(f"{id}_{number}", "price", *((each, 1) if isinstance(each, str) else each))
        for number, each in enumerate(products)
    ]
    return state(*items, id=id, access=access, **columns)


def boards(*states, active: tuple[str, ...] = ()) -> tuple[bool, int | None]:
    found = decide("boards", states, active, OFFERS)
    return found.access.allowed, found.limit


@pytest.mark.parametrize(
    ("states", "expected"),
    [
        ([], (False, None)),
        ([held("plain")], (False, None)),
        ([held("basic")], (True, 5)),
        ([held("basic", "large")], (True, 20)),
        ([held("large"), held("basic", id="sub_2")], (True, 20)),
        ([held("basic", "endless")], (True, None)),
        ([held("basic"), held("endless", id="sub_2")], (True, None)),
        ([held("endless", "other")], (True, None)),  # an add-on that does not give the feature narrows nothing
        ([held("endless", "seat")], (True, None)),
        ([held(("seat", 3))], (True, 30)),
        ([held(("seat", None))], (True, 10)),
        ([held("basic", ("seat", 3))], (True, 35)),
        ([held("basic", "large", ("seat", 2))], (True, 40)),
        ([held(("seat", 1)), held(("seat", 2), id="sub_2")], (True, 30)),
        ([held("slip")], (True, 0)),  # a slip gives nothing away
        ([held("slip", "basic")], (True, 5)),
        ([held("basic", access=REFUSED)], (False, None)),
        ([held("basic"), held("large", id="sub_2", access=REFUSED)], (True, 5)),
        ([held("basic"), held("endless", id="sub_2", access=REFUSED)], (True, 5)),
        ([held(("per_unit", 3))], (True, 10)),
        ([held(("vast", 3), ("vast", 2))], (True, 2**53 - 1)),
        ([held(("per_unit", 3), "basic")], (True, 10)),
        ([held("missing")], (False, None)),  # a product that the catalogue does not have
    ],
)
def test_how_much_the_plans_give(states, expected):
    assert boards(*states) == expected


def test_an_item_that_gives_nothing_gives_no_feature_though_another_item_gives_access():
    basic, plain = item("si_1", "price", "basic", 0), item("si_2", "price", "plain")
    found = state(basic, plain)
    only_plain = type(found)(found.subscription, found.items, found.access, (plain,))
    assert boards(only_plain) == (False, None)


def test_what_was_paid_for_gives_its_features_though_the_plan_is_another_by_now():
    for has, paid, expected in (("plain", "basic", (True, 5)), ("large", "basic", (True, 5)), ("large", "plain", None)):
        found = state(item("si_1", "price", has))
        before = type(found)(found.subscription, found.items, found.access, (item("si_1", "old", paid),))
        assert boards(before) == (expected or (False, None))


def test_an_entitlement_of_stripes_needs_a_subscription_with_access():
    assert boards(held("plain"), active=("boards",)) == (True, None)
    assert boards(held("plain", access=REFUSED), active=("boards",)) == (False, None)
    assert boards(active=("boards",)) == (False, None)
    assert boards(held("other"), active=("boards",)) == (True, 1)


def test_who_says_so_and_which_subscription_decides():
    ends = Access(allowed=True, reason=Reason.ACTIVE, until=NOW + 40 * DAY)
    short, long = held("basic"), held("basic", id="sub_2", access=ends)
    found = decide("boards", [short, long], (), OFFERS)
    assert (found.source, found.state, found.access) == (Source.PLAN, long, ends)
    assert decide("boards", [short], ("boards",), OFFERS).source is Source.STRIPE
    most = held("large", id="sub_3", access=Access(allowed=True, reason=Reason.ACTIVE, until=NOW + timedelta(days=1)))
    assert decide("boards", [long, most], (), OFFERS).state is most
    newer = held("basic", id="sub_4", access=ends, created=NOW + DAY)
    assert decide("boards", [newer, long], (), OFFERS).state is newer


def test_why_a_feature_is_refused():
    assert decide("boards", [], (), OFFERS).access.reason is Reason.NO_SUBSCRIPTION
    assert decide("boards", [held("plain")], (), OFFERS).access.reason is Reason.NOT_INCLUDED
    refused = decide("boards", [held("basic", access=REFUSED)], (), OFFERS)
    assert (refused.access.reason, refused.limit) == (Reason.PAST_DUE, None)


def test_of_several_that_give_no_access_the_newest_says_why():
    unpaid = Access(allowed=False, reason=Reason.UNPAID)
    old = held("basic", access=REFUSED, created=NOW - DAY)
    new = held("large", id="sub_2", access=unpaid)
    other = held("basic", id="sub_3", created=NOW - 9 * DAY)
    gives_another = type(other)(other.subscription, other.items, other.access, ())
    for its in ([old, new], [new, old]):
        found = decide("boards", its, (), OFFERS)
        assert (found.access, found.state) == (unpaid, new)
        found = decide("boards", [*its, gives_another], (), OFFERS)
        assert (found.access.reason, found.state) == (Reason.NOT_INCLUDED, gives_another)


def test_everything_that_may_be_used_by_name():
    found = entitlements([held("endless", "basic")], ("audit",), OFFERS)
    assert [(grant.feature, grant.limit, grant.source) for grant in found] == [
        ("audit", None, Source.STRIPE),
        ("boards", None, Source.PLAN),
        ("sso", None, Source.PLAN),
    ]
    assert entitlements([held("endless", access=REFUSED)], ("audit",), OFFERS) == []


ENDED = {"status": "canceled"}
AT_STRIPE = {
    "its product has it, and Stripe says so": ([held("stripes")], True, (True, None, Source.STRIPE)),
    "Stripe does not say so any more": ([held("stripes")], False, (False, None, None)),
    "the paid rest after the end counts without Stripe's word": (
        [held("stripes", **ENDED)],
        False,
        (True, None, Source.STRIPE),
    ),
    "and with it": ([held("stripes", **ENDED)], True, (True, None, Source.STRIPE)),
    "its product has it not": ([held("read")], True, (False, None, None)),
    "nor after the end": ([held("read", **ENDED)], True, (False, None, None)),
    "it is not known yet": ([held("plain")], True, (True, None, Source.STRIPE)),
    "nor after the end, without Stripe's word": ([held("plain", **ENDED)], False, (False, None, None)),
    "a cheap one opens no other's": (
        [held("read"), held("stripes", id="sub_2", access=REFUSED)],
        True,
        (False, None, Source.STRIPE),
    ),
    "with a limit": ([held("stripes_limited")], True, (True, 3, Source.STRIPE)),
    "beside one that is known to give nothing": ([held("stripes_limited", "read")], True, (True, 3, Source.STRIPE)),
    "beside one that has it without a limit": (
        [held("stripes_limited", "stripes")],
        True,
        (True, None, Source.STRIPE),
    ),
    "one that is not known widens nothing": ([held("stripes_limited", "plain")], True, (True, 3, Source.STRIPE)),
    "one that gives it by name does": ([held("stripes_limited", "endless")], True, (True, None, Source.STRIPE)),
    "by name alone": ([held("basic")], True, (True, 5, Source.STRIPE)),
    "by name, without Stripe": ([held("basic")], False, (True, 5, Source.PLAN)),
    "a limit without the feature": ([held("read_limited", "stripes")], True, (True, None, Source.STRIPE)),
}


@pytest.mark.parametrize(("states", "active", "expected"), AT_STRIPE.values(), ids=AT_STRIPE)
def test_what_a_product_has_at_stripe(states, active, expected):
    found = decide("boards", states, ("boards",) if active else (), OFFERS)
    assert (found.access.allowed, found.limit, found.source) == expected


def test_what_is_refused_names_the_subscription_that_has_it():
    stripes, read = item("si_1", "price", "stripes", 0), item("si_2", "price", "read")
    found = state(stripes, read)
    its = type(found)(found.subscription, found.items, found.access, (read,))
    refused = decide("boards", [its], ("boards",), OFFERS)
    assert (refused.access, refused.state, refused.source) == (
        Access(allowed=False, reason=Reason.NOT_INCLUDED), its, Source.STRIPE,
    )  # fmt: skip


def test_what_products_have_at_stripe_is_listed():
    found = entitlements([held("stripes_limited", **ENDED)], (), OFFERS)
    assert [(grant.feature, grant.limit) for grant in found] == [("boards", 3), ("x", None)]
    assert entitlements([held("missing")], (), OFFERS) == []


def test_what_was_bought_for_life_gives_features_beside_the_subscriptions():
    offers = {
        "pro": ProductFeatures(frozenset({"reports", "sso"}), frozenset(), {"reports": Limit(5, per_unit=True)}),
        "api": ProductFeatures(frozenset({"api"}), None),
        "audit": ProductFeatures(frozenset(), frozenset({"audit"})),
    }
    life = for_life({"pro": 2, "api": 1, "audit": 1})
    found = {grant.feature: grant for grant in entitlements(life, ["stripe"], offers)}
    assert set(found) == {"reports", "sso", "api", "audit"}  # of a product whose features are not read, its own alone
    assert (found["reports"].limit, found["reports"].access.reason, found["reports"].state) == (
        10,
        Reason.PURCHASED,
        None,
    )
    assert decide("sso", life, [], offers).access == Access(allowed=True, reason=Reason.PURCHASED)
    other = decide("other", life, [], offers)
    assert (other.access.reason, other.state) == (Reason.NOT_INCLUDED, None)
    assert for_life({}) == for_life(None) == []
