"""The credit ledger: what is left in which lot, who carries what was spent, and what runs out. On tables in memory."""

from datetime import UTC, datetime

import pytest
import sqlalchemy as sa

from gateway.billing.credits.ledger import (
    ACCOUNTS,
    ENDING,
    ENTRIES,
    LASTING,
    LONG_AGO,
    LOTS,
    Account,
    Lots,
    expire_credits,
    expired,
    lock_accounts,
    remaining,
)
from gateway.db.database import ENDPOINTS, PUBLISHED
from gateway.models.credits import CreditAccount, CreditLot
from gateway.models.mirrored import Customer
from gateway.outbound.outbox import MESSAGES
from harness.rows import DAY, NOW, at, put


def lot(id: str, granted: int = 100, expires: float | None = None, **columns) -> CreditLot:
    given = {"customer_id": "cus_1", "purchase_id": f"in_{id}", "granted_at": at(-3)}
    given["expires_at"] = None if expires is None else at(expires)
    return CreditLot(id=id, granted=granted, **{**given, **columns})


def account(connection: sa.Connection, *lots: CreditLot, balance: int = 0) -> Account:
    """An account with some lots, locked, as it is now."""
    put(connection, CreditAccount(customer_id="cus_1", balance=balance, clock=LONG_AGO), *lots)
    return Account(connection, "cus_1", balance, NOW)


def sums(connection: sa.Connection) -> dict[str, tuple[int, int, dict[str, int]]]:
    """What is spent and expired of each lot, and what it carries for others."""
    rows = connection.execute(sa.select(LOTS)).mappings()
    return {row["id"]: (row["spent"], row["expired"], row["debts"]) for row in rows}


def entries(connection: sa.Connection) -> list[tuple[str, int, int, str | None]]:
    rows = connection.execute(sa.select(ENTRIES).order_by(ENTRIES.c.id))
    return [(row.kind, row.amount, row.balance, row.lot_id) for row in rows]


def test_lots_are_read_in_their_order_as_far_as_something_is_left(connection):
    account(connection, lot("b"), lot("a", 7), lot("c", spent=100), lot("d", expires=1), lot("e", customer_id="cus_2"))
    lasting = Lots(LOTS.c.expires_at.is_(None), (LOTS.c.id,))
    assert [(row.id, row.left) for row in lasting.each(connection, "cus_1")] == [("a", 7), ("b", 100)]


def test_an_entry_moves_the_balance_and_is_told(connection):
    put(connection, Customer(id="cus_1", as_of=0, created=NOW, external_id="ada"))
    put(connection, CreditAccount(customer_id="cus_2", balance=7, clock=NOW))
    mine = account(connection, balance=5)
    first = mine.append("grant", 100, lot_id="a", purchase_id="in_1")
    second = mine.append("spend", -30, key="k", parts={"a": 30}, meta={"what": "image"})
    balances = connection.execute(sa.select(ACCOUNTS.c.customer_id, ACCOUNTS.c.balance)).all()
    assert dict(balances) == {"cus_1": 75, "cus_2": 7}
    rows = [dict(row) for row in connection.execute(sa.select(ENTRIES).order_by(ENTRIES.c.id)).mappings()]
    for row, entry in zip(rows, (first, second), strict=True):
        assert entry == {name: row[name] for name in entry}
        assert abs((row["created"] - datetime.now(UTC)).total_seconds()) < 60
    assert [(row["amount"], row["balance"], row["parts"], row["meta"]) for row in rows] == [
        (100, 105, {}, {}),
        (-30, 75, {"a": 30}, {"what": "image"}),
    ]
    assert {row["customer_id"] for row in rows} == {"cus_1"}
    assert connection.info[PUBLISHED] == {"customer:cus_1"}
    (message,) = connection.execute(sa.select(MESSAGES)).mappings()  # the application spends itself
    assert (message["type"], message["customer_id"]) == ("credits.granted", "cus_1")
    assert '"amount":100,"balance":105,"purchaseId":"in_1","kind":null' in message["payload"]


def test_what_is_told_of_a_kind_names_the_customer_the_purchase_and_the_kind(connection):
    put(connection, Customer(id="cus_1", as_of=0, created=NOW, external_id="ada"))
    account_ = lock_accounts(connection, {"cus_1 ai": NOW})["cus_1 ai"]
    account_.append("grant", 100, lot_id="a ai", purchase_id="in_1 ai")
    payload = connection.execute(sa.select(MESSAGES.c.payload)).scalar()
    assert '"externalId":"ada","amount":100,"balance":100,"purchaseId":"in_1","kind":"ai"' in payload
    assert connection.info[PUBLISHED] == {"customer:cus_1"}


@pytest.mark.parametrize(
    ("kind", "expected"),
    [("grant", "credits.granted"), ("restore", "credits.granted"), ("revoke", "credits.revoked"), ("expire", None)],
)
def test_what_the_application_is_told_of(connection, kind, expected):
    mine = account(connection)
    for _ in range(2):  # a lot is granted once
        mine.append(kind, 1, lot_id="a")
    found = connection.execute(sa.select(MESSAGES.c.type, MESSAGES.c.payload)).all()
    assert [row.type for row in found] == [expected] * {"grant": 1, "expire": 0}.get(kind, 2)
    assert all('"purchaseId":null' in row.payload for row in found), "of a gift"


def test_nobody_is_told_where_nobody_listens(connection):
    connection.info[ENDPOINTS] = ()
    account(connection).append("grant", 1)
    assert connection.execute(sa.select(MESSAGES.c.type)).all() == []


def test_a_sum_of_one_lot_grows(connection):
    mine = account(connection, lot("a", spent=5), lot("b"))
    mine.add_to_lot("a", "spent", 7)
    mine.add_to_lot("b", "expired", 2)
    assert sums(connection) == {"a": (12, 0, {}), "b": (0, 2, {})}


def test_the_expiry_of_one_lot_moves(connection):
    mine = account(connection, lot("a", expires=3), lot("b", expires=3))
    mine.move_expiry("a", at(9))
    found = connection.execute(sa.select(LOTS.c.id, LOTS.c.expires_at)).all()
    assert dict(found) == {"a": at(9), "b": at(3)}
    mine.move_expiry("a", None)
    assert connection.execute(sa.select(LOTS.c.expires_at).where(LOTS.c.id == "a")).scalar() is None


def test_lots_are_spent_in_the_order_in_which_they_run_out(connection):
    mine = account(
        connection,
        lot("never"),
        lot("b", expires=9),
        lot("a", expires=9),
        lot("first", expires=9, granted_at=at(-4)),
        lot("soon", expires=2),
        lot("empty", expires=1, spent=60, revoked=20, expired=20),
        lot("over", spent=101),
        lot("another's", customer_id="cus_2"),
    )
    assert [row.id for row in mine.lots()] == ["soon", "first", "a", "b", "never"]
    assert [row.left for row in mine.lots()] == [100] * 5


@pytest.mark.parametrize(("kind", "expires"), [(ENDING, 9), (LASTING, None)])
@pytest.mark.parametrize("names", ["dbacefg", "dba", ""])
def test_of_many_lots_each_is_read_once(connection, kind, expires, names):
    account(connection, *(lot(name, expires=expires, granted_at=at(day)) for day, name in enumerate(names)))
    by_threes = Lots(kind.condition, kind.order, size=3)
    assert "".join(row.id for row in by_threes.each(connection, "cus_1")) == names


@pytest.mark.parametrize(
    ("sums", "left"),
    [({}, 100), ({"revoked": 1}, 99), ({"spent": 20}, 80), ({"expired": 3}, 97), ({"revoked": 90, "spent": 30}, -20)],
)
def test_what_is_left_of_a_lot(connection, sums, left):
    account(connection, lot("a", **sums))
    assert connection.execute(sa.select(remaining)).scalar() == left


BALANCED = {
    "nothing to do": ([lot("a")], {"a": (0, 0, {})}, []),
    "one carries what was spent from another": (
        [lot("a", revoked=50, spent=100), lot("b")],
        {"a": (50, 0, {}), "b": (50, 0, {"a": 50})},
        [],
    ),
    "as far as it goes": (
        [lot("a", revoked=100, spent=100), lot("b", granted=30)],
        {"a": (70, 0, {}), "b": (30, 0, {"a": 30})},
        [],
    ),
    "several carry it, the one that runs out first at first": (
        [lot("a", revoked=100, spent=100), lot("b", expires=9), lot("c", granted=40, expires=2)],
        {"a": (0, 0, {}), "b": (60, 0, {"a": 60}), "c": (40, 0, {"a": 40})},
        [],
    ),
    "one carries for several": (
        [lot("a", revoked=10, spent=100), lot("b", revoked=20, spent=100), lot("c")],
        {"a": (90, 0, {}), "b": (80, 0, {}), "c": (30, 0, {"a": 10, "b": 20})},
        [],
    ),
    "more of what it carries already": (
        [lot("a", revoked=30, spent=90), lot("b", spent=10, debts={"a": 10})],
        {"a": (70, 0, {}), "b": (30, 0, {"a": 30})},
        [],
    ),
    "a lot that has credits again takes its spends back": (
        [lot("a", revoked=0, spent=50), lot("b", spent=50, debts={"a": 50})],
        {"a": (100, 0, {}), "b": (0, 0, {})},
        [],
    ),
    "as many as it can": (
        [lot("a", revoked=30, spent=50), lot("b", spent=50, debts={"a": 50})],
        {"a": (70, 0, {}), "b": (30, 0, {"a": 30})},
        [],
    ),
    "one credit is enough": (
        [lot("a", spent=99), lot("b", spent=50, debts={"a": 50})],
        {"a": (100, 0, {}), "b": (49, 0, {"a": 49})},
        [],
    ),
    "of several each its own": (
        [lot("a", spent=90), lot("b", spent=95), lot("c", spent=30, debts={"a": 10, "b": 20})],
        {"a": (100, 0, {}), "b": (100, 0, {}), "c": (15, 0, {"b": 15})},
        [],
    ),
    "a lot that is gone gives nothing back": (
        [lot("b", spent=50, debts={"gone": 50})],
        {"b": (50, 0, {"gone": 50})},
        [],
    ),
    "what has run out is written down": (
        [lot("a", expires=-1, spent=30), lot("b", expires=0), lot("c", expires=0.001)],
        {"a": (30, 70, {}), "b": (0, 100, {}), "c": (0, 0, {})},
        [("expire", -70, 130, "a"), ("expire", -100, 30, "b")],
    ),
    "what has run out pays no debt": (
        [lot("a", expires=-1), lot("b", revoked=10, spent=100)],
        {"a": (0, 100, {}), "b": (100, 0, {})},
        [("expire", -100, 100, "a")],
    ),
    "what was refunded after it ran out is taken from that": (
        [lot("a", expires=-1, revoked=40, spent=30, expired=70)],
        {"a": (30, 30, {})},
        [("expire", 40, 240, "a")],
    ),
    "also all of it": (
        [lot("a", expires=-1, revoked=100, spent=30, expired=70)],
        {"a": (30, 0, {})},
        [("expire", 70, 270, "a")],
    ),
    "one credit runs out, and one lives": (
        [lot("a", granted=1, expires=-1), lot("b", revoked=1, spent=100), lot("c", granted=1)],
        {"a": (0, 1, {}), "b": (99, 0, {}), "c": (1, 0, {"b": 1})},
        [("expire", -1, 199, "a")],
    ),
    "what is written down already is not written again": (
        [lot("a", expires=-1, spent=30, expired=70)],
        {"a": (30, 70, {})},
        [],
    ),
    "of one credit that ran out": (
        [lot("a", expires=-1, spent=99, expired=1, revoked=1)],
        {"a": (99, 0, {})},
        [("expire", 1, 201, "a")],
    ),
    "what ran out with nothing left is no entry": ([lot("a", expires=-1, spent=100)], {"a": (100, 0, {})}, []),
    "what ran out with a debt keeps it": ([lot("a", expires=-1, revoked=1, spent=100)], {"a": (100, 0, {})}, []),
    "a debt of what ran out is paid by what lives": (
        [lot("a", expires=-1, revoked=1, spent=100), lot("b")],
        {"a": (99, 0, {}), "b": (1, 0, {"a": 1})},
        [],
    ),
}


@pytest.mark.parametrize(("lots", "expected", "written"), BALANCED.values(), ids=BALANCED)
def test_the_lots_are_brought_into_order(connection, lots, expected, written):
    account(connection, *lots, balance=200).balance_lots()
    assert (sums(connection), entries(connection)) == (expected, written)
    purchases = connection.execute(sa.select(ENTRIES.c.purchase_id, ENTRIES.c.lot_id)).all()
    assert all(purchase == f"in_{about}" for purchase, about in purchases)


def test_accounts_are_locked_in_one_order_and_their_clock_only_goes_forward(connection):
    past, ahead = datetime(2020, 1, 1, tzinfo=UTC), at(999)  # a test clock runs ahead of ours
    put(connection, CreditAccount(customer_id="cus_2", balance=7, clock=past))
    put(connection, CreditAccount(customer_id="cus_3", balance=8, clock=at(900)))
    found = lock_accounts(connection, {"cus_3": at(-9), "cus_2": past - DAY, "cus_1": ahead})
    assert [(name, each.id, each.balance) for name, each in found.items()] == [
        ("cus_1", "cus_1", 0),
        ("cus_2", "cus_2", 7),
        ("cus_3", "cus_3", 8),
    ]
    assert all(each.connection is connection for each in found.values())
    assert (found["cus_1"].now, found["cus_3"].now) == (ahead, at(900))
    assert abs((found["cus_2"].now - datetime.now(UTC)).total_seconds()) < 60
    clocks = connection.execute(sa.select(ACCOUNTS.c.customer_id, ACCOUNTS.c.clock, ACCOUNTS.c.balance)).all()
    assert sorted(clocks) == [("cus_1", ahead, 0), ("cus_2", past, 7), ("cus_3", at(900), 8)]
    later = lock_accounts(connection, {"cus_2": at(800)})
    assert later["cus_2"].now == at(800)


@pytest.mark.parametrize(
    ("expires", "clock", "over"),
    [(-1, -9, True), (0, -9, True), (1, -9, False), (1, 1, True), (1, 0.9, False), (None, 9, False)],
)
def test_a_lot_has_expired_by_our_clock_or_its_accounts(connection, expires, clock, over):
    put(connection, CreditAccount(customer_id="cus_1", clock=at(clock)), lot("a", expires=expires))
    query = sa.select(LOTS.c.id).join(ACCOUNTS, ACCOUNTS.c.customer_id == LOTS.c.customer_id).where(expired(NOW))
    assert bool(connection.execute(query).all()) is over


def test_what_has_run_out_is_written_down_for_everybody(connection):
    past, ahead = datetime(2020, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC)
    for name, clock in (("cus_1", LONG_AGO), ("cus_2", ahead), ("cus_3", LONG_AGO), ("cus_4", LONG_AGO)):
        put(connection, CreditAccount(customer_id=name, balance=100, clock=clock))
    lots = [lot("a"), lot("b", customer_id="cus_2"), lot("c", customer_id="cus_3"), lot("d", customer_id="cus_4")]
    for each, moment in zip(lots, (past, ahead, ahead, past), strict=True):
        each.expires_at = moment
    lots[1].spent, lots[3].spent = 99, 100  # one is left, and none
    put(connection, *lots, lot("e", expires_at=past))
    assert expire_credits(connection) == 2
    gone = {name: expired for name, (_, expired, _) in sums(connection).items()}
    assert gone == {"a": 100, "b": 1, "c": 0, "d": 0, "e": 100}
    assert sorted(entries(connection)) == [
        ("expire", -100, -100, "e"),
        ("expire", -100, 0, "a"),
        ("expire", -1, 99, "b"),
    ]
    assert expire_credits(connection) == 0


def test_what_has_run_out_is_written_down_of_so_many_accounts_at_most(connection):
    for n in range(103):
        put(connection, CreditAccount(customer_id=f"cus_{n}", balance=100, clock=LONG_AGO))
        put(connection, lot(f"a{n}", customer_id=f"cus_{n}", expires_at=datetime(2020, 1, 1, tzinfo=UTC)))
    assert [expire_credits(connection, 1), expire_credits(connection), expire_credits(connection)] == [1, 100, 2]
