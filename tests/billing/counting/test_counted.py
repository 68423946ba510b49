"""By what a feature is counted, by the metadata of products: a table without a database."""

import pytest

from gateway.billing.catalog.product_features import Features, Use, UseKind
from gateway.billing.subscriptions.access import Access, Reason
from gateway.billing.subscriptions.counted import Counted
from gateway.billing.subscriptions.entitlements import decide
from gateway.billing.subscriptions.for_life import for_life
from harness.rows import DAY, NOW, item, product, state

COUNTER = Use(UseKind.COUNTER)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("counter", COUNTER),
        (" meter : llm_tokens ", Use(UseKind.METER, "llm_tokens")),
        ("credits", Use(UseKind.CREDITS)),
        ("meter", None),
        ("meter:", None),
        ("counter:tokens", None),
        ("Counter", None),
        ("", None),
    ],
)
def test_what_the_metadata_say(text, expected):
    meta = {"features": "tokens", "use_tokens": text}
    assert Features({"pro": product("pro", meta=meta)})["pro"].uses.get("tokens") == expected


PRODUCTS = {
    "pro": {"features": "tokens", "limit_tokens": "100", "use_tokens": "counter"},
    "more": {"features": "tokens", "limit_tokens": "50", "use_tokens": "meter:calls", "overage_tokens": "true"},
    "plain": {"features": "tokens"},
}
PERIOD = NOW - 3 * DAY, NOW + 27 * DAY
OLD = {"id": "sub_0", "created": NOW - 90 * DAY}


def held(name: str, **columns):
    return state(item("si", "month", name), **columns)


CASES = {
    "one": ([held("pro")], Counted(COUNTER, subscription_id="sub_1", period=PERIOD)),
    "a trial has ended early": (
        [held("pro", trial_end=PERIOD[0])],
        Counted(COUNTER, subscription_id="sub_1", period=PERIOD, after_trial=True),
    ),
    "none says it": ([held("plain")], None),
    "no access": ([held("pro", access=Access(allowed=False, reason=Reason.UNPAID))], None),
    "the oldest that says it": (
        [held("pro"), held("more", **OLD), held("plain", id="sub_9", created=NOW - 99 * DAY)],
        Counted(Use(UseKind.METER, "calls"), overage=True, subscription_id="sub_0", period=PERIOD),
    ),
    "for life": (for_life({"pro": 1}), Counted(COUNTER)),
    "for life beside a subscription": (
        [*for_life({"pro": 1}), held("more")],
        Counted(Use(UseKind.METER, "calls"), overage=True, subscription_id="sub_1", period=PERIOD),
    ),
}


@pytest.mark.parametrize(("subscriptions", "expected"), CASES.values(), ids=CASES)
def test_how_a_feature_of_a_customer_is_counted(subscriptions, expected):
    offers = Features({name: product(name, meta=meta) for name, meta in PRODUCTS.items()})
    assert decide("tokens", subscriptions, (), offers).counted == expected
