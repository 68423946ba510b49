"""Whether the catalogue still shows what an answer has shown of it."""

import pytest

from gateway.billing.catalog.shown import Shown, is_unchanged, mark_of
from gateway.errors import BadInput
from harness.rows import NOW, price, product, snapshot

BEFORE = snapshot(product("a"), product("b"), price("month", "a"), price("year", "b"))
DEAR = price("year", "b", 990)


def plan(id: str):
    return lambda catalogue: catalogue.prices.get(id) and catalogue.by_product[catalogue.prices[id].product_id]


def no_such_currency(catalogue):
    raise BadInput("nothing is sold in this currency")


@pytest.mark.parametrize(
    ("shown", "rows", "unchanged"),
    [
        ([], [DEAR], True),
        (["month"], [DEAR], True),
        (["month", "year"], [DEAR], False),
        (["year", "month"], [DEAR], False),
        (["year"], [price("year", "b", active=False), price("other", "b")], False),
        (["none"], [DEAR], True),
        (["new"], [price("new", "a")], False),
    ],
)
def test_what_was_shown_is_compared_with_what_there_is(shown, rows, unchanged):
    after = BEFORE.changed([], rows, version=2, as_of=NOW)
    marks = [Shown(plan(each), mark_of(plan(each)(BEFORE))) for each in shown]
    assert is_unchanged(marks, BEFORE)
    assert is_unchanged(marks, after) is unchanged


def test_what_can_be_shown_no_longer_has_changed():
    assert not is_unchanged([Shown(no_such_currency, "mark")], BEFORE)
