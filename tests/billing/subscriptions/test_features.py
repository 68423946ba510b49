"""Which features a customer may use and how much of each, as tables without HTTP and without a database."""

from datetime import timedelta

import pytest

from gateway.billing.subscriptions.access import Access, Reason
from gateway.billing.subscriptions.entitlements import Source, decide, entitlements
from harness.rows import DAY, NOW, item, product, state

PRODUCTS = {
    each.id: each
    for each in (
        product("basic", meta={"features": "boards", "limit_boards": "5"}),
        product("large", meta={"features": "boards", "limit_boards": "20"}),
        product("endless", meta={"features": " boards , sso "}),
        product("seat", meta={"features": "boards", "limit_boards": "10", "limit_boards_per_unit": "true"}),
        product("slip", meta={"features": "boards", "limit_boards": "many"}),
        product("other", meta={"limit_boards": "1"}),
        product("plain"),
    )
}
REFUSED = Access(allowed=False, reason=Reason.PAST_DUE)


def held(*products: str | tuple[str, int | None], access: Access | None = None, id: str = "sub_1", **columns):
    items = [
        item(f"{id}_{number}", "price", *((each, 1) if isinstance(each, str) else each))
        for number, each in enumerate(products)
    ]
    return state(*items, id=id, access=access, **columns)


def boards(*states, active: tuple[str, ...] = ()) -> tuple[bool, int | None]:
    found = decide("boards", states, active, PRODUCTS)
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


def test_an_entitlement_of_stripes_needs_a_subscription_with_access():
    assert boards(held("plain"), active=("boards",)) == (True, None)
    assert boards(held("plain", access=REFUSED), active=("boards",)) == (False, None)
    assert boards(active=("boards",)) == (False, None)
    assert boards(held("other"), active=("boards",)) == (True, 1)


def test_who_says_so_and_which_subscription_decides():
    ends = Access(allowed=True, reason=Reason.ACTIVE, until=NOW + 40 * DAY)
    short, long = held("basic"), held("basic", id="sub_2", access=ends)
    found = decide("boards", [short, long], (), PRODUCTS)
    assert (found.source, found.state, found.access) == (Source.PLAN, long, ends)
    assert decide("boards", [short], ("boards",), PRODUCTS).source is Source.STRIPE
    most = held("large", id="sub_3", access=Access(allowed=True, reason=Reason.ACTIVE, until=NOW + timedelta(days=1)))
    assert decide("boards", [long, most], (), PRODUCTS).state is most
    newer = held("basic", id="sub_4", access=ends, created=NOW + DAY)
    assert decide("boards", [newer, long], (), PRODUCTS).state is newer


def test_why_a_feature_is_refused():
    assert decide("boards", [], (), PRODUCTS).access.reason is Reason.NO_SUBSCRIPTION
    assert decide("boards", [held("plain")], (), PRODUCTS).access.reason is Reason.NOT_INCLUDED
    refused = decide("boards", [held("basic", access=REFUSED)], (), PRODUCTS)
    assert (refused.access.reason, refused.limit) == (Reason.PAST_DUE, None)


def test_everything_that_may_be_used_by_name():
    found = entitlements([held("endless", "basic")], ("audit",), PRODUCTS)
    assert [(grant.feature, grant.limit, grant.source) for grant in found] == [
        ("audit", None, Source.STRIPE),
        ("boards", None, Source.PLAN),
        ("sso", None, Source.PLAN),
    ]
    assert entitlements([held("endless", access=REFUSED)], ("audit",), PRODUCTS) == []
