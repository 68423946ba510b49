"""The guarded write: what overwrites what, item by item and row by row, on tables in memory."""

from datetime import UTC, datetime

import pytest
import sqlalchemy as sa

from gateway.db.database import PUBLISHED
from gateway.db.tables import table_for
from gateway.mirror import upsert as guarded_write
from gateway.mirror.effects import Written
from gateway.mirror.resources import RESOURCES
from gateway.mirror.subscription_items import items_of, replace_items
from gateway.mirror.upsert import Candidate, Guard, WriteResult, bump_catalog, upsert
from gateway.models.infra import CatalogChange, CatalogVersion
from gateway.models.mirrored import Coupon, Customer, Price, Subscription, SubscriptionItem
from harness.databases import both_connections
from harness.rows import NOW, at, price, put

CREATED, UPDATED, STALE, UNCLEAR = WriteResult


@pytest.fixture(autouse=True)
def statements_are_made_anew():
    """So that it shows which tests a part of a statement matters to."""
    guarded_write._statement.cache_clear()


SUBSCRIPTIONS, CUSTOMERS, ITEMS = table_for(Subscription), table_for(Customer), table_for(SubscriptionItem)


def candidate(
    kind: str, id: str, as_of: int, lag: int = 0, deleted: bool = False, account: str | None = None, **columns
):
    return Candidate(RESOURCES[kind], id, columns, as_of, lag, deleted, account)


def customer(name: str = "Ada", as_of: int = 10, id: str = "cus_1", **more) -> Candidate:
    return candidate("customer", id, as_of, name=name, created=NOW, meta={}, **more)


def item(id: str, subscription: str = "sub_1", **columns) -> dict:
    given = {"price_id": "month", "product_id": "pro", "quantity": 1, "position": 0, "created": NOW}
    given |= {"current_period_start": at(-3), "current_period_end": at(27)}
    return {"id": id, "subscription_id": subscription, **given, **columns}


def subscription(status: str = "active", as_of: int = 10, id: str = "sub_1", items: tuple = (), **more) -> Candidate:
    columns = {"customer_id": "cus_1", "currency": "usd", "created": NOW, "start_date": NOW, "meta": {}, **more}
    return candidate("subscription", id, as_of, status=status, _items=list(items), **columns)


def write(connection, *candidates, guard: Guard = Guard.NEWER, seen: int | None = None) -> list[WriteResult]:
    return upsert(connection, candidates, (), guard, seen)


def row(connection, table: sa.Table, id: str) -> sa.RowMapping:
    return connection.execute(sa.select(table).where(table.c.id == id)).mappings().one()


@both_connections
def test_a_new_row_has_what_was_said_and_defaults_for_the_rest(connection):
    assert write(connection, customer(email="ada@example.com", lag=3)) == [CREATED]
    found = row(connection, CUSTOMERS, "cus_1")
    assert {name: found[name] for name in ("id", "name", "email", "as_of", "staleness_seconds", "revision")} == {
        "id": "cus_1", "name": "Ada", "email": "ada@example.com", "as_of": 10, "staleness_seconds": 3, "revision": 1,
    }  # fmt: skip
    assert (found["deleted"], found["delinquent"], found["meta"], found["created"]) == (False, False, {}, NOW)


def test_a_default_that_is_made_for_each_row(connection):
    columns = {"product_id": "pro", "active": True, "currency": "usd", "billing_scheme": "per_unit", "created": NOW}
    put(connection, CatalogVersion(id=1, version=1, changed_at=NOW))
    assert write(connection, candidate("price", "month", 10, **columns)) == [CREATED]
    found = row(connection, table_for(Price), "month")
    assert (found["tiers"], found["currency_options"], found["custom_unit_amount"], found["meta"]) == (
        [],
        {},
        False,
        {},
    )


KNOWN = {"as_of": 10, "staleness_seconds": 0}
NEWER = {
    "newer": (11, 0, {}, UPDATED),
    "of the same second": (10, 0, {}, UNCLEAR),
    "older": (9, 0, {}, STALE),
    "read after what is known": (12, 1, {}, UPDATED),
    "read perhaps before": (11, 1, {}, UNCLEAR),
    "read surely before": (9, 5, {}, STALE),
    "older than what was read perhaps later": (9, 0, {"staleness_seconds": 1}, UNCLEAR),
    "older than what was read surely later": (8, 0, {"staleness_seconds": 1}, STALE),
    "newer than what was read": (11, 0, {"staleness_seconds": 9}, UPDATED),
}


@both_connections
@pytest.mark.parametrize(("as_of", "lag", "known", "result"), NEWER.values(), ids=NEWER)
def test_what_is_surely_newer_is_written(connection, as_of, lag, known, result):
    put(connection, Customer(id="cus_1", name="Old", created=NOW, **{**KNOWN, **known}))
    assert write(connection, customer("New", as_of, lag=lag)) == [result]
    found = row(connection, CUSTOMERS, "cus_1")
    expected = ("New", as_of, lag, 2) if result is UPDATED else ("Old", 10, known.get("staleness_seconds", 0), 1)
    assert tuple(found[name] for name in ("name", "as_of", "staleness_seconds", "revision")) == expected


def test_what_says_the_same_is_no_conflict(connection):
    write(connection, customer(email="a@example.com"))
    assert write(connection, customer(email="a@example.com")) == [STALE]
    assert write(connection, customer(email="b@example.com")) == [UNCLEAR]
    assert write(connection, customer("Eve", email="a@example.com")) == [UNCLEAR]


def test_a_deletion_is_final(connection):
    write(connection, customer())
    assert write(connection, customer(as_of=10, deleted=True)) == [UPDATED]
    assert row(connection, CUSTOMERS, "cus_1")["deleted"]
    assert write(connection, customer("New", 99)) == [STALE]
    assert write(connection, customer(as_of=99, deleted=True)) == [STALE]
    found = row(connection, CUSTOMERS, "cus_1")
    assert (found["name"], found["as_of"], found["deleted"], found["revision"]) == ("Ada", 10, True, 2)
    write(connection, subscription(deleted=True))
    assert write(connection, subscription("past_due", 99)) == [STALE]


@pytest.mark.parametrize(("as_of", "result"), [(9, STALE), (10, UNCLEAR), (11, UNCLEAR)])
def test_a_new_object_may_have_the_id_of_one_that_is_gone_where_the_seller_chooses_it(connection, as_of, result):
    def coupon(as_of: int, percent: float = 50.0, **more) -> Candidate:
        return candidate("coupon", "SUMMER", as_of, percent_off=percent, duration="once", **more)

    write(connection, coupon(10))
    write(connection, coupon(10, deleted=True))
    assert write(connection, coupon(99, deleted=True)) == [STALE]
    assert write(connection, coupon(as_of, 10.0)) == [result], "Stripe is asked"
    assert row(connection, table_for(Coupon), "SUMMER")["deleted"]
    assert write(connection, coupon(12, 10.0), guard=Guard.UNCHANGED, seen=2) == [UPDATED], "and has it again"
    found = row(connection, table_for(Coupon), "SUMMER")
    assert (found["percent_off"], found["deleted"]) == (10.0, False)


def test_a_deletion_that_was_said_earlier_moves_no_clock_back(connection):
    write(connection, customer(as_of=10, lag=2))
    assert write(connection, customer(as_of=5, deleted=True, lag=1)) == [UPDATED]
    found = row(connection, CUSTOMERS, "cus_1")
    assert (found["as_of"], found["staleness_seconds"], found["deleted"]) == (10, 2, True)


def test_of_the_same_second_the_new_staleness_counts(connection):
    write(connection, customer(as_of=10, lag=2))
    write(connection, customer(as_of=10, lag=1, deleted=True))
    assert row(connection, CUSTOMERS, "cus_1")["staleness_seconds"] == 1


def test_a_row_may_be_gone_from_the_beginning(connection):
    assert write(connection, customer(deleted=True)) == [CREATED]
    assert write(connection, customer(as_of=99)) == [STALE]
    assert row(connection, CUSTOMERS, "cus_1")["deleted"]


@both_connections
@pytest.mark.parametrize("final", ["canceled", "incomplete_expired"])
def test_a_final_status_is_true_whenever_it_was_said(connection, final):
    write(connection, subscription(as_of=10))
    assert write(connection, subscription(final, as_of=4)) == [UPDATED]
    found = row(connection, SUBSCRIPTIONS, "sub_1")
    assert (found["status"], found["as_of"]) == (final, 10)
    assert write(connection, subscription("active", as_of=99)) == [STALE]
    assert write(connection, subscription("past_due", as_of=10)) == [STALE]


def test_a_status_that_is_not_final_must_be_newer(connection):
    write(connection, subscription(as_of=10))
    assert write(connection, subscription("past_due", as_of=4)) == [STALE]
    assert write(connection, subscription("past_due", as_of=11)) == [UPDATED]


def test_what_stripe_never_changes_no_event_writes_again(connection):
    write(connection, subscription())
    assert write(connection, subscription("past_due", 11, customer_id="cus_2")) == [UPDATED]
    found = row(connection, SUBSCRIPTIONS, "sub_1")
    assert (found["customer_id"], found["status"]) == ("cus_1", "past_due")
    assert write(connection, subscription("past_due", 12, customer_id="cus_2"), guard=Guard.UNCHANGED, seen=2) == [
        UPDATED
    ]
    assert row(connection, SUBSCRIPTIONS, "sub_1")["customer_id"] == "cus_2", "a repair writes all"


def test_what_may_fill_a_gap_writes_nothing_over(connection):
    assert write(connection, customer(), guard=Guard.NEVER) == [CREATED]
    assert write(connection, customer("New", 99), guard=Guard.NEVER) == [UNCLEAR]
    assert write(connection, customer("New", 99, deleted=True), guard=Guard.NEVER) == [UNCLEAR]
    assert row(connection, CUSTOMERS, "cus_1")["name"] == "Ada"


@both_connections
def test_a_repair_writes_over_the_revision_that_it_has_seen(connection):
    write(connection, customer(as_of=10))
    write(connection, customer("Eve", as_of=11))
    assert write(connection, customer("New", 3), guard=Guard.UNCHANGED, seen=1) == [STALE]
    assert write(connection, customer("New", 11), guard=Guard.UNCHANGED, seen=1) == [UNCLEAR]
    assert write(connection, customer("New", 3), guard=Guard.UNCHANGED, seen=2) == [UPDATED]
    found = row(connection, CUSTOMERS, "cus_1")
    assert (found["name"], found["as_of"], found["revision"]) == ("New", 11, 3)


@both_connections
def test_each_candidate_has_its_result_in_order(connection):
    write(connection, customer(as_of=10, id="cus_2"), subscription(as_of=10))
    found = write(
        connection,
        customer(id="cus_3"),
        customer("New", 9, id="cus_2"),
        subscription("past_due", 11),
        customer("New", 10, id="cus_2"),
        customer("New", 20, id="cus_1"),
        subscription("past_due", 10, id="sub_2"),
    )
    assert found == [CREATED, STALE, UPDATED, UNCLEAR, CREATED, CREATED]


@both_connections
def test_what_is_refused_is_told_of_each_table(connection):
    write(connection, customer(as_of=10), subscription(as_of=10))
    assert write(connection, customer("New", 9), subscription("past_due", 9)) == [STALE, STALE]


def test_a_repair_brings_nothing_back(connection):
    write(connection, customer(deleted=True))
    assert write(connection, customer("New", 20), guard=Guard.UNCHANGED, seen=1) == [UPDATED]
    found = row(connection, CUSTOMERS, "cus_1")
    assert (found["name"], found["deleted"]) == ("New", True)


@both_connections
def test_several_states_of_one_row_are_written_in_the_order_of_their_time(connection):
    found = write(connection, customer("C", 12), customer("A", 10), customer("B", 11))
    assert found == [UPDATED, CREATED, UPDATED]
    assert [row(connection, CUSTOMERS, "cus_1")[name] for name in ("name", "as_of", "revision")] == ["C", 12, 3]


def test_two_states_of_one_second_are_told_apart_by_their_place(connection):
    assert write(connection, customer("A", 10), customer("B", 10)) == [CREATED, UNCLEAR]
    assert row(connection, CUSTOMERS, "cus_1")["name"] == "A"


def test_states_with_other_columns_are_written_by_another_statement(connection):
    found = write(
        connection, customer("A"), customer("B", id="cus_2", email="b@example.com"), customer("C", id="cus_3")
    )
    assert found == [CREATED] * 3
    names = connection.execute(sa.select(CUSTOMERS.c.id, CUSTOMERS.c.name, CUSTOMERS.c.email).order_by(CUSTOMERS.c.id))
    assert names.all() == [("cus_1", "A", None), ("cus_2", "B", "b@example.com"), ("cus_3", "C", None)]


def test_a_price_and_a_plan_share_a_row(connection):
    put(connection, CatalogVersion(id=1, version=1, changed_at=NOW))
    columns = {"product_id": "pro", "active": True, "currency": "usd", "billing_scheme": "per_unit", "created": NOW}
    found = write(connection, candidate("plan", "month", 11, **columns), candidate("price", "month", 10, **columns))
    assert found == [UPDATED, CREATED]


# --- Items ------------------------------------------------------------------------------------------------------


def its_items(connection, id: str = "sub_1") -> dict[str, int]:
    return {name: found["quantity"] for name, found in items_of(connection, [id]).get(id, {}).items()}


def test_the_items_come_with_their_subscription(connection):
    write(connection, subscription(items=(item("si_b", position=1), item("si_a", quantity=2))))
    found = items_of(connection, ["sub_1", "sub_2"])
    assert found == {"sub_1": {"si_a": item("si_a", quantity=2), "si_b": item("si_b", position=1)}}
    assert items_of(connection, []) == {}
    assert items_of(connection, ["sub_2"]) == {}


def test_what_is_the_same_is_not_written_again(connection):
    same = {"sub_1": [item("si_a"), item("si_b")]}
    replace_items(connection, same, repair=True)
    written = connection.connection.driver_connection.total_changes
    for repair in (False, True):
        replace_items(connection, same, repair=repair)
    assert connection.connection.driver_connection.total_changes == written


@both_connections
def test_items_that_are_gone_go(connection):
    put(connection, SubscriptionItem(**item("si_9", "sub_9")))
    write(connection, subscription(items=(item("si_a"), item("si_b"))))
    write(connection, subscription(as_of=11, items=(item("si_b", quantity=5), item("si_c"))))
    assert its_items(connection) == {"si_b": 5, "si_c": 1}
    write(connection, subscription(as_of=12))
    assert (its_items(connection), its_items(connection, "sub_9")) == ({}, {"si_9": 1})


def test_the_items_of_what_is_not_written_stay(connection):
    write(connection, subscription(items=(item("si_a"),)))
    assert write(connection, subscription("past_due", 9, items=(item("si_b"),))) == [STALE]
    assert its_items(connection) == {"si_a": 1}


def test_of_several_states_the_items_of_the_latest_count(connection):
    states = [subscription(as_of=as_of, items=(item(f"si_{as_of}"),)) for as_of in (12, 10, 11)]
    write(connection, *states, subscription(id="sub_2", items=(item("si_x", "sub_2"),)))
    assert (its_items(connection), its_items(connection, "sub_2")) == ({"si_12": 1}, {"si_x": 1})


@both_connections
def test_an_item_stays_its_subscriptions_unless_it_is_repaired(connection):
    replace_items(connection, {"sub_1": [item("si_a")]}, repair=False)
    replace_items(connection, {"sub_2": [item("si_a", "sub_2", quantity=3)]}, repair=False)
    assert (its_items(connection), its_items(connection, "sub_2")) == ({"si_a": 3}, {})
    replace_items(connection, {"sub_2": [item("si_a", "sub_2", quantity=3)]}, repair=True)
    assert (its_items(connection), its_items(connection, "sub_2")) == ({}, {"si_a": 3})


@both_connections
@pytest.mark.parametrize("guard", [Guard.NEVER, Guard.UNCHANGED])
def test_what_repairs_a_subscription_repairs_whose_its_items_are(connection, guard):
    replace_items(connection, {"sub_9": [item("si_a", "sub_9")]}, repair=False)
    write(connection, subscription(items=(item("si_a"),)), guard=guard, seen=1)
    assert its_items(connection) == {"si_a": 1}


def test_an_event_does_not(connection):
    replace_items(connection, {"sub_9": [item("si_a", "sub_9")]}, repair=False)
    write(connection, subscription(items=(item("si_a"),)))
    assert (its_items(connection), its_items(connection, "sub_9")) == ({}, {"si_a": 1})


def test_where_no_subscription_came_no_item_goes(connection):
    put(connection, SubscriptionItem(**item("si_a")))
    replace_items(connection, {}, repair=True)
    write(connection, customer())
    assert its_items(connection) == {"si_a": 1}


@both_connections
def test_other_items_are_another_state(connection):
    write(connection, subscription(items=(item("si_a"),)))
    assert write(connection, subscription(items=(item("si_a"),))) == [STALE]
    assert write(connection, subscription(items=(item("si_a", quantity=2),))) == [UNCLEAR]
    assert write(connection, subscription(items=(item("si_a"), item("si_b")))) == [UNCLEAR]
    assert write(connection, subscription()) == [UNCLEAR]
    write(connection, subscription(id="sub_2"))
    assert write(connection, subscription(id="sub_2")) == [STALE]


# --- What follows -------------------------------------------------------------------------------------------------


def test_effects_hear_of_what_was_written(connection):
    heard: list[tuple[sa.Connection, list[Written]]] = []
    write(connection, customer(as_of=10, id="cus_2"))
    new, changed, late = customer("A"), customer("B", 11, id="cus_2"), customer("C", 9, id="cus_2")
    other = subscription(account="acct_1", id="acct_1/sub_1")
    effect = lambda *heard_of: heard.append(heard_of)  # noqa: E731
    upsert(connection, [late, changed, other, new], (effect, effect))
    rows = [
        Written("customer", "cus_2", changed.columns, created=False),
        Written("customer", "cus_1", new.columns, created=True),
    ]
    rows.sort(key=lambda row: row.id)  # as they are written: for one row in the order of time
    assert heard == [(connection, rows)] * 2


def topics(connection, *candidates) -> set[str]:
    put(connection, CatalogVersion(id=1, version=5, changed_at=datetime(2020, 1, 1, tzinfo=UTC)))
    connection.info[PUBLISHED].clear()
    write(connection, *candidates)
    return connection.info[PUBLISHED]


def catalog(connection) -> tuple[int, bool]:
    """The catalogue's version, and whether it has just changed."""
    found = connection.execute(sa.select(table_for(CatalogVersion))).mappings().one()
    return found["version"], abs((found["changed_at"] - datetime.now(UTC)).total_seconds()) < 60


PRICE = price("month", "pro").model_dump(exclude={"id", "as_of", "staleness_seconds", "revision", "deleted"})
PRODUCT = {"name": "Pro", "active": True, "created": NOW, "updated": NOW}
SESSION = {"mode": "payment", "ui_mode": "hosted", "status": "open", "payment_status": "unpaid", "created": NOW}
SESSION |= {"expires_at": NOW, "customer_id": None}


@pytest.mark.parametrize(
    ("written", "expected", "version"),
    [
        (customer(), {"customer:cus_1"}, 5),
        (subscription(), {"customer:cus_1"}, 5),
        (candidate("checkout.session", "cs_1", 10, **SESSION), {"session:cs_1"}, 5),
        (
            candidate("checkout.session", "cs_1", 10, **{**SESSION, "customer_id": "cus_3"}),
            {"session:cs_1", "customer:cus_3"},
            5,
        ),
        (
            candidate("checkout.session", "cs_1", 10, **{**SESSION, "client_reference_id": "ada"}),
            {"session:cs_1", "user:ada"},
            5,
        ),
        (candidate("price", "month", 10, **PRICE), {"catalog"}, 6),
        (candidate("plan", "month", 10, **PRICE), {"catalog"}, 6),
        (candidate("product", "pro", 10, **PRODUCT), {"catalog"}, 6),
        (candidate("product", "acct_1/pro", 10, account="acct_1", **PRODUCT), set(), 5),  # a connected account's
    ],
)
def test_whose_state_has_changed_is_published(connection, written, expected, version):
    assert topics(connection, written) == expected
    assert catalog(connection) == (version, version > 5)


def test_what_is_not_written_is_not_published(connection):
    write(connection, customer())
    assert topics(connection, customer("Eve", 9)) == set()


def test_two_prices_are_one_change_of_the_catalogue(connection):
    rows = [candidate("price", name, 10, **PRICE) for name in ("a", "b")]
    assert topics(connection, *rows) == {"catalog"}
    assert catalog(connection) == (6, True)
    bump_catalog(connection, [("product", "prod_1"), ("customer", "cus_1")])
    bump_catalog(connection, [("customer", "cus_1")])
    assert catalog(connection) == (7, True)
    rows = connection.execute(sa.select(table_for(CatalogChange))).all()
    assert [tuple(row) for row in rows] == [(6, [], ["a", "b"]), (7, ["prod_1"], [])]


def test_the_latest_thousand_changes_of_the_catalogue_are_told(connection):
    for start in (98, 1098):
        connection.execute(sa.delete(table_for(CatalogVersion)))
        put(connection, CatalogVersion(id=1, version=start, changed_at=NOW))
        bump_catalog(connection, [("product", "prod_1")])
        bump_catalog(connection, [("product", "prod_2")])
    rows = connection.execute(sa.select(table_for(CatalogChange).c.version).order_by("version"))
    assert list(rows.scalars()) == [1099, 1100]
