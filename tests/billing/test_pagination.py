"""Pages of tables, many customers' at once."""

from functools import partial
from types import SimpleNamespace

import pytest
import sqlalchemy as sa

from gateway.billing.invoices import PAGES, has_old_links, note_failed_charge
from gateway.billing.pagination import (
    EPOCH,
    Order,
    PageRequest,
    Pages,
    check_first,
    decode_cursor,
    encode_cursor,
)
from gateway.db.tables import table_for
from gateway.errors import BadInput
from gateway.models.columns import UtcDateTime
from gateway.models.mirrored import Invoice
from gateway.outbound.access_watch import WATCHES
from harness.databases import both_connections
from harness.rows import DAY, NOW, at, invoice, put

INVOICES = table_for(Invoice)


@pytest.mark.parametrize("first", [0, 101, -1])
def test_a_page_has_1_to_100(first):
    with pytest.raises(BadInput, match="1 to 100"):
        check_first(first)


@pytest.mark.parametrize("first", [1, 100])
def test_the_sizes_at_the_edge(first):
    check_first(first)


@pytest.mark.parametrize("text", ["a", "ä 1 €", ""])
def test_a_cursor_is_read_as_it_was_written(text):
    assert decode_cursor(encode_cursor(text)) == text


@pytest.mark.parametrize("cursor", ["x", "////"])
def test_what_is_no_cursor_is_told(cursor):
    with pytest.raises(BadInput, match="no cursor of this list"):
        decode_cursor(cursor)


SECONDS = int(NOW.timestamp())
MOMENT, NUMBER, TEXT = sa.column("a", UtcDateTime()), sa.column("b", sa.BigInteger()), sa.column("c", sa.Text())


@pytest.mark.parametrize(
    ("make", "row", "place"),
    [
        (partial(Order, MOMENT, TEXT), {"a": NOW, "c": "in 1"}, f"{SECONDS} in 1"),
        (
            partial(Order, MOMENT, TEXT),
            {"a": NOW.replace(microsecond=70), "c": "x"},
            f"{int(NOW.timestamp())}.000070 x",
        ),
        (partial(Order, MOMENT, TEXT), {"a": NOW, "c": " in"}, f"{SECONDS}  in"),
        (partial(Order, MOMENT, NUMBER, TEXT), {"a": EPOCH - DAY, "b": 7, "c": "é"}, "-86400 7 é"),
        (partial(Order, NUMBER.label("b"), kind="log"), {"b": 12}, "log 12"),
    ],
)
def test_the_cursor_of_a_row_is_its_place(make, row, place):
    order = make()
    cursor = order.cursor_of(row)
    assert (decode_cursor(cursor), order.place(cursor), order.cursor_of(SimpleNamespace(**row))) == (place, row, cursor)


@pytest.mark.parametrize("place", ["12", "log", "log x", "log -1", "log ²", "log 1 2", f"log {'9' * 19}", "other 1"])
def test_a_place_of_another_list_is_refused(place):
    with pytest.raises(BadInput, match="no cursor of this list"):
        Order(NUMBER, kind="log").place(encode_cursor(place))


# --- Invoices -----------------------------------------------------------------------------------------------------


def ids(rows) -> str:
    return "".join(row.id[-1] for row in rows)


@pytest.fixture
def filled(connection):
    for name, days in (("in_a", -5), ("in_b", -4), ("in_c", -3), ("in_d", -3), ("in_e", -1)):
        put(connection, invoice(name, days=days))
    put(connection, invoice("in_x", days=-2, customer_id="cus_2"), invoice("in_y", days=-1, customer_id="cus_2"))
    put(connection, invoice("in_1", deleted=True), invoice("in_2", status="draft"), invoice("in_3", status=None))
    put(connection, invoice("in_z", customer_id="cus_3"))
    return connection


def test_the_newest_invoices_come_first(filled):
    request = PageRequest("cus_1", 5)
    (page,) = PAGES.read(filled, [request]).values()
    assert (ids(page.rows), page.has_next, page.has_previous) == ("edcba", False, False)


@pytest.mark.parametrize(
    ("first", "after", "expected"),
    [
        (2, None, ("ed", True, False)),
        (2, "in_d", ("cb", True, True)),
        (3, "in_d", ("cba", False, True)),
        (1, "in_a", ("", False, True)),
    ],
)
def test_a_page_goes_on_where_the_one_before_ended(filled, first, after, expected):
    (everything,) = PAGES.read(filled, [PageRequest("cus_1", 9)]).values()
    cursor = next((PAGES.order.cursor_of(row) for row in everything.rows if row.id == after), None)
    (page,) = PAGES.read(filled, [PageRequest("cus_1", first, cursor)]).values()
    assert (ids(page.rows), page.has_next, page.has_previous) == expected


@both_connections
def test_the_pages_of_many_customers_at_once(filled):
    (everything,) = PAGES.read(filled, [PageRequest("cus_1", 9)]).values()
    cursor = everything.cursor_of(everything.rows[1])
    requests = [PageRequest(who, *rest) for who in ("cus_1", "cus_2", "cus_9") for rest in ((1,), (2, cursor), (2,))]
    found = PAGES.read(filled, requests)
    assert [(ids(found[each].rows), found[each].has_next) for each in requests] == [
        ("e", True), ("cb", True), ("ed", True),
        ("y", True), ("", False), ("yx", False),
        ("", False), ("", False), ("", False),
    ]  # fmt: skip


def test_beside_a_customer_without_any_nobody_elses_take_the_place_of_ones_own(filled):
    mine, nobodys = (PageRequest(who, 2) for who in ("cus_1", "cus_9"))
    found = PAGES.read(filled, [mine, nobodys])
    assert (ids(found[mine].rows), ids(found[nobodys].rows)) == ("ed", "")


def test_a_cursor_is_the_same_moment_on_every_machine(filled, far_west):
    (everything,) = PAGES.read(filled, [PageRequest("cus_1", 9)]).values()
    (page,) = PAGES.read(filled, [PageRequest("cus_1", 9, everything.cursor_of(everything.rows[1]))]).values()
    assert ids(page.rows) == "cba"


@pytest.mark.parametrize(
    ("customers", "after", "expected"),
    [
        ("1", None, ["ed"]),
        ("1", "in_d", ["cb"]),
        ("12", None, ["ed", "yx"]),
        ("12", "in_d", ["cb", ""]),
        ("19", None, ["ed", ""]),
    ],
)
def test_pages_of_one_and_of_many_with_and_without_a_cursor(filled, customers, after, expected):
    columns = INVOICES.c.id, INVOICES.c.customer_id, INVOICES.c.created
    shown = INVOICES.c.status == "paid", INVOICES.c.deleted.is_(False)
    pages: Pages[Invoice] = Pages(columns, Order(INVOICES.c.created, INVOICES.c.id), *shown)
    cursor = after and pages.order.cursor_of(Invoice(id=after, created=at(-3)))
    requests = [PageRequest(f"cus_{each}", 2, cursor) for each in customers]
    found = pages.read(filled, requests)
    assert (pages.empty.rows, pages.empty.has_next, pages.empty.has_previous) == ((), False, False)
    assert [ids(found[each].rows) for each in requests] == expected


def test_a_cursor_is_a_place_in_time_which_stays(filled):
    gone = Invoice(id="in_cc", created=at(-3))
    (page,) = PAGES.read(filled, [PageRequest("cus_1", 9, PAGES.order.cursor_of(gone))]).values()
    assert ids(page.rows) == "cba"


@pytest.mark.parametrize("place", ["", "1", "x in_1", "1 ", "1 in\x00", f"{10**30} in_1"])
def test_what_is_no_place_in_time_is_refused(filled, place):
    with pytest.raises(BadInput, match="no cursor of this list"):
        PAGES.read(filled, [PageRequest("cus_1", 1, encode_cursor(place))])


@pytest.mark.parametrize("first", [0, 101])
def test_a_page_of_a_table_has_1_to_100(filled, first):
    with pytest.raises(BadInput, match="1 to 100"):
        PAGES.read(filled, [PageRequest("cus_1", first)])


@pytest.mark.parametrize(
    ("url", "days", "old"),
    [("https://x.example", 9, False), ("https://x.example", 9 + 1 / 86_400, True), (None, 99, False)],
)
def test_a_link_may_have_expired_after_nine_days(url, days, old):
    row = invoice("in_1", hosted_invoice_url=url, as_of=int(NOW.timestamp()))
    assert has_old_links(row, NOW + days * DAY) is old


def seconds(days: float) -> int:
    return int(at(days).timestamp())


@pytest.mark.parametrize(
    ("moments", "earliest"), [([-3], -3), ([-3, -2], -3), ([-2, -3], -3), ([-2, -3, -2.5], -3), ([-3, -3], -3)]
)
def test_the_earliest_failure_of_an_invoice_counts(connection, moments, earliest):
    put(connection, invoice("in_1"), invoice("in_2"))
    for moment in moments:
        note_failed_charge(connection, "in_1", seconds(moment))
    rows = connection.execute(sa.select(INVOICES.c.id, INVOICES.c.first_failed_at)).all()
    assert dict(rows) == {"in_1": at(earliest), "in_2": None}


def test_a_failed_charge_has_access_looked_at(connection):
    put(connection, invoice("in_1"), invoice("in_2", customer_id=None))
    note_failed_charge(connection, "in_2", seconds(-3))
    assert list(connection.execute(sa.select(WATCHES.c.customer_id)).scalars()) == []
    note_failed_charge(connection, "in_1", seconds(-3))
    assert list(connection.execute(sa.select(WATCHES.c.customer_id)).scalars()) == ["cus_1"]
