"""What was bought for life stands beside the subscriptions as one that gives features and never ends."""

import pytest

from gateway.billing.subscriptions.for_life import for_life, is_for_life
from gateway.models.statuses import FINAL, OCCUPYING
from harness.rows import item, state


@pytest.mark.parametrize("owned", [None, {}])
def test_nothing_stands_for_nothing(owned):
    assert for_life(owned) == []


def test_it_gives_each_product_as_often_as_it_was_bought_and_is_no_subscription():
    (found,) = for_life({"pro": 1, "seats": 3})
    assert [(each.product_id, each.quantity, each.price_id) for each in found.items] == [
        ("pro", 1, ""),
        ("seats", 3, ""),
    ]
    assert found.giving == found.items
    assert (found.access.allowed, found.access.reason.name, found.access.until) == (True, "PURCHASED", None)
    row = found.subscription
    assert (row.id, row.customer_id, row.currency, row.meta, row.as_of) == ("", "", "", {}, 0)
    assert row.status not in FINAL | OCCUPYING
    ends = {each.current_period_end for each in found.items} | {each.current_period_start for each in found.items}
    assert {row.created, row.start_date} == ends  # long ago: it is never the newest, and has no period
    assert all(each.subscription_id == each.id == "" for each in found.items)


def test_a_subscription_is_not_for_life():
    assert not is_for_life(state(item("si_1", "month", "pro")))
    assert all(map(is_for_life, for_life({"pro": 1})))
