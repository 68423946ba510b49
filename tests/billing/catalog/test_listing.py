"""Lists of the catalogue in pages."""

import pytest

from gateway.billing.catalog.listing import cursor_of
from gateway.billing.pagination import bad_cursor, encode_cursor
from gateway.errors import BadInput
from harness.rows import NOW, price, product, snapshot

FIVE = snapshot(
    *(product(name) for name in ("x", "y", "z")),
    *(price(name, of, number) for number, (name, of) in enumerate(zip("abcde", "xxyzz", strict=True))),
    price("o", "y", interval="year"),
    price("off", "x", active=False),
)


@pytest.mark.parametrize(
    ("first", "after", "expected"),
    [
        (2, None, ("ab", True, False)),
        (5, None, ("abcde", False, False)),
        (4, None, ("abcd", True, False)),
        (100, None, ("abcde", False, False)),
        (1, "a", ("b", True, True)),
        (3, "b", ("cde", False, True)),
        (2, "b", ("cd", True, True)),
        (2, "d", ("e", False, True)),
        (1, "e", ("", False, True)),
    ],
)
def test_a_list_in_pages(first, after, expected):
    page = FIVE.plans(interval="month").page(first, after and encode_cursor(after))
    assert ("".join(each.id for each in page.rows), page.has_next, page.has_previous) == expected


def test_products_in_pages():
    listing = FIVE.on_sale
    first = listing.page(2, None)
    assert ([each.id for each in first.rows], first.has_next) == (["x", "y"], True)
    second = listing.page(2, cursor_of(first.rows[1]))
    assert ([each.id for each in second.rows], second.has_next, second.has_previous) == (["z"], False, True)


@pytest.mark.parametrize("after", ["x", "", *map(encode_cursor, ["f", "", "x", "o", "off"]), "é"])
def test_a_cursor_that_a_list_does_not_have_is_refused(after):
    with pytest.raises(BadInput, match=str(bad_cursor())):
        FIVE.plans(interval="month").page(1, after)


@pytest.mark.parametrize("first", [0, 101, -1])
def test_a_page_has_1_to_100(first):
    with pytest.raises(BadInput, match="1 to 100"):
        FIVE.plans().page(first, None)


@pytest.mark.parametrize(
    ("changed", "unchanged"),
    [
        (price("e", "z", 4, nickname="Another"), {"a", "b"}),
        (price("c", "y", 2, nickname="Another"), {"a", "d"}),
        (price("p", "y", 2), {"a"}),
        (product("off", active=False), {"a", "b", "c", "d"}),
        (price("a", "x", 9), {"d"}),  # b comes first
    ],
)
def test_the_mark_of_a_page_changes_with_what_the_page_shows(changed, unchanged):
    named = ([], [changed]) if hasattr(changed, "product_id") else ([changed], [])
    later = FIVE.changed(*named, version=2, as_of=NOW)
    pages = {"a": None, "b": "a", "c": "b", "d": "c"}
    marks = [
        {
            name: each.plans(interval="month").page(2, after and encode_cursor(after)).mark
            for name, after in pages.items()
        }
        for each in (FIVE, later)
    ]
    assert {name for name in pages if marks[0][name] == marks[1][name]} == unchanged
