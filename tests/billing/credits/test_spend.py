"""Spending credits, and what of them is shown: on a database of the test's own, without a server."""

import base64
from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa

from gateway.billing.credits.ledger import ENTRIES, LOTS, PAGE
from gateway.billing.credits.service import PAGES, balances, spend
from gateway.billing.credits.spending import Purses, Spend
from gateway.billing.pagination import PageRequest
from gateway.billing.user_errors import Rejected
from gateway.errors import BadInput
from gateway.models.credits import CreditAccount, CreditEntry, CreditLot
from harness.rows import customer, put

PAST, FUTURE = datetime(2020, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC)


def lot(id: str, granted: int = 100, expires_at: datetime | None = None, **columns) -> CreditLot:
    given = {"customer_id": "cus_1", "purchase_id": "in_1", "granted_at": PAST, **columns}
    return CreditLot(id=id, granted=granted, expires_at=expires_at, **given)


async def filled(database, *rows, balance: int = 0) -> None:
    rows = customer(external_id="ada"), CreditAccount(customer_id="cus_1", balance=balance, clock=PAST), *rows
    await database.transaction(lambda connection: put(connection, *rows))


async def spent(database, **wanted) -> CreditEntry | tuple[str, str | None]:
    """The entry of a spend, or the code and the field of what stands against it."""
    try:
        entry = await spend(database, Spend(**{"external_id": "ada", "amount": 30, "key": "k", **wanted}))
    except Rejected as rejected:
        (problem,) = rejected.problems
        return problem.code.name, problem.field
    assert entry.customer_id == "cus_1"
    return entry


async def rows(database, table) -> list[dict]:
    found = await database.read(lambda connection: connection.execute(sa.select(table)).mappings().all())
    return [dict(row) for row in found]


SPREAD = {
    "from one": ([lot("a")], {"a": 30}),
    "what runs out first": ([lot("a"), lot("b", expires_at=FUTURE)], {"b": 30}),
    "from several": ([lot("a"), lot("b", 20, FUTURE)], {"b": 20, "a": 10}),
    "all there is": ([lot("a", 10), lot("b", 20, FUTURE)], {"b": 20, "a": 10}),
    "one more than one has": ([lot("a", 1), lot("b", 29, FUTURE)], {"b": 29, "a": 1}),
    "exactly what one has": ([lot("a"), lot("b", 30, FUTURE)], {"b": 30}),
    "what is left of one": ([lot("a"), lot("b", 100, FUTURE, spent=60, revoked=10, expired=5)], {"b": 25, "a": 5}),
    "more than the lots have": ([lot("a", 10)], {"a": 10}),
}


@pytest.mark.parametrize(("lots", "parts"), SPREAD.values(), ids=SPREAD)
async def test_which_lots_a_spend_comes_from(database, lots, parts):
    await filled(database, *lots, balance=200)
    entry = await spent(database, reason="an image", meta={"size": "large"})
    assert (entry.kind, entry.amount, entry.balance, entry.parts) == ("spend", -30, 170, parts)
    assert (entry.key, entry.reason, entry.meta) == ("k", "an image", {"size": "large"})
    before = {each.id: each.spent for each in lots}
    more = {row["id"]: row["spent"] - before[row["id"]] for row in await rows(database, LOTS)}
    assert {name: count for name, count in more.items() if count} == parts
    (written,) = await rows(database, ENTRIES)
    assert {name: written[name] for name in entry.model_dump()} == entry.model_dump()


@pytest.mark.parametrize("balance", [29, 0, -50])
async def test_nobody_spends_what_is_not_there(database, balance):
    await filled(database, lot("a"), balance=balance)
    with pytest.raises(Rejected) as raised:
        await spend(database, Spend("ada", 30, "k"))
    (problem,) = raised.value.problems
    assert (problem.code.name, problem.field) == ("INSUFFICIENT_CREDITS", "amount")
    assert problem.message == f"30 credits are wanted and {max(balance, 0)} are there"
    assert raised.value.current == "cus_1"
    assert await rows(database, ENTRIES) == []


async def test_all_that_is_there_can_be_spent(database):
    await filled(database, lot("a", 30), balance=30)
    assert (await spent(database)).balance == 0


async def test_what_has_run_out_cannot_be_spent(database):
    await filled(database, lot("a", expires_at=PAST), lot("b", 20), balance=120)
    assert await spent(database) == ("INSUFFICIENT_CREDITS", "amount")
    entry = await spent(database, amount=20)
    assert (entry.balance, entry.parts) == (0, {"b": 20})


async def test_one_key_spends_once(database):
    await filled(database, lot("a"), balance=100)
    first = await spent(database, reason="x", meta={"a": "1", "b": "2"})
    again = await spent(database, reason="x", meta={"b": "2", "a": "1"})
    assert (again.id, again.balance) == (first.id, 70)
    for other in ({"amount": 31}, {"reason": "y"}, {"meta": {"a": "2"}}, {"meta": {}}, {"reason": None}):
        wanted = {"reason": "x", "meta": {"a": "1", "b": "2"}, **other}
        assert await spent(database, **wanted) == ("IDEMPOTENCY_KEY_REUSED", "idempotencyKey")
    assert (await spent(database, key="l", reason="x")).balance == 40


async def test_a_spend_is_told_and_drops_nothing_that_is_known_of_access(database):
    await filled(database, lot("a"), balance=100)
    heard: list[str] = []
    database.on_commit.follow(lambda topics: heard.extend(topics or ()))
    await spent(database)
    assert heard == ["credits:cus_1"]
    await spent(database)
    assert heard == ["credits:cus_1"]


async def test_more_lots_than_are_read_at_a_time_are_spent_in_one_transaction(database):
    lots = [lot(f"a{place:03}", 1, FUTURE + timedelta(days=place)) for place in range(PAGE + 5)]
    await filled(database, *lots, lot("z"), balance=PAGE + 105)

    def work(connection):
        purses = Purses(connection, ["cus_1"], ["k", "l"])
        assert purses.spend("cus_1", Spend("ada", 3, "k"), 0) is None
        assert purses.spend("cus_1", Spend("ada", PAGE + 3, "l"), 0) is None
        purses.save()

    await database.transaction(work)
    left = {row["id"]: row["granted"] - row["spent"] for row in await rows(database, LOTS)}
    assert {name: count for name, count in left.items() if count} == {"z": 99}
    parts = [row["parts"] for row in await rows(database, ENTRIES)]
    assert parts[0] == {"a000": 1, "a001": 1, "a002": 1}
    assert (len(parts[1]), parts[1]["z"], sum(parts[1].values())) == (PAGE + 3, 1, PAGE + 3)


async def test_what_is_spent_at_once_comes_from_one_lot_after_the_other_and_once_for_a_key(database):
    theirs = CreditAccount(customer_id="cus_2", balance=100, clock=PAST), lot("x", expires_at=PAST, customer_id="cus_2")
    await filled(database, lot("a", expires_at=FUTURE), lot("z"), *theirs, balance=200)

    def work(connection):
        purses = Purses(connection, ["cus_1"], ["k", "l"])
        for key in ("k", "k", "l"):
            assert purses.spend("cus_1", Spend("ada", 60, key), 0) is None
        problem = purses.spend("cus_1", Spend("ada", 60, "m"), 30)
        assert problem.message == "60 credits are wanted and 50 are there"
        purses.save()

    await database.transaction(work)
    assert [row["parts"] for row in await rows(database, ENTRIES)] == [{"a": 60}, {"a": 40, "z": 20}]
    assert {row["id"]: row["spent"] for row in await rows(database, LOTS)} == {"a": 100, "z": 20, "x": 0}


OVER = {
    "all of it": ({}, 100, 0),
    "the last one": ({"spent": 99}, 1, 0),
    "what was taken back after it had run out": ({"expired": 100, "revoked": 30}, -30, 0),
    "one of what was": ({"granted": 1, "expired": 1, "revoked": 1}, -1, 0),
    "nothing of what is owed": ({"revoked": 130}, -30, -30),
    "nothing of what has another end": ({"expires_at": FUTURE}, 100, 100),
}


@pytest.mark.parametrize(("columns", "balance", "left"), OVER.values(), ids=OVER)
def test_what_has_run_out_is_gone_before_anything_is_spent(connection, columns, balance, left):
    put(connection, customer(external_id="ada"), CreditAccount(customer_id="cus_1", balance=balance, clock=PAST))
    put(connection, lot("a", **{"expires_at": PAST, **columns}))
    assert Purses(connection, ["cus_1"], []).balance("cus_1") == left


async def test_a_key_is_of_one_customer(database):
    theirs = customer("cus_2", "bob"), CreditAccount(customer_id="cus_2", balance=50, clock=PAST)
    await filled(database, lot("a"), *theirs, lot("b", customer_id="cus_2"), balance=100)
    await spent(database)
    entry = await spend(database, Spend("bob", 20, "k"))
    assert (entry.balance, entry.customer_id) == (30, "cus_2")


@pytest.mark.parametrize("columns", [{"external_id": "bob"}, {"external_id": "ada", "deleted": True}])
async def test_who_has_bought_nothing_has_nothing_to_spend(database, columns):
    await database.transaction(lambda connection: put(connection, customer("cus_1", **columns)))
    assert await spent(database) == ("NO_CUSTOMER", "externalId")


LONG = "x" * 501
WRONG = {
    "nothing": ({"amount": 0}, ("AMOUNT_INVALID", "amount")),
    "less": ({"amount": -1}, ("AMOUNT_INVALID", "amount")),
    "too much": ({"amount": 2**53}, ("AMOUNT_INVALID", "amount")),
    "as much as can be": ({"amount": 2**53 - 1}, ("INSUFFICIENT_CREDITS", "amount")),
    "one": ({"amount": 1}, None),
    "no key": ({"key": ""}, ("IDEMPOTENCY_KEY_INVALID", "idempotencyKey")),
    "a short key": ({"key": "x"}, None),
    "a long key": ({"key": "x" * 255}, None),
    "a longer one": ({"key": "x" * 256}, ("IDEMPOTENCY_KEY_INVALID", "idempotencyKey")),
    "a long reason": ({"reason": "x" * 500}, None),
    "a longer reason": ({"reason": LONG}, ("COMMENT_TOO_LONG", "reason")),
    "much metadata": ({"meta": {str(n): "" for n in range(50)}}, None),
    "more": ({"meta": {str(n): "" for n in range(51)}}, ("METADATA_INVALID", "metadata")),
    "a long name in it": ({"meta": {"x" * 40: "x" * 500}}, None),
    "a longer name": ({"meta": {"x" * 41: ""}}, ("METADATA_INVALID", "metadata")),
    "a longer text": ({"meta": {"x": LONG, "y": ""}}, ("METADATA_INVALID", "metadata")),
}


@pytest.mark.parametrize(("wanted", "expected"), WRONG.values(), ids=WRONG)
async def test_what_a_spend_may_say(database, wanted, expected):
    await filled(database, lot("a"), balance=100)
    found = await spent(database, **wanted)
    assert (None if isinstance(found, CreditEntry) else found) == expected


async def test_everything_wrong_is_said_at_once(database):
    with pytest.raises(Rejected) as raised:
        await spend(database, Spend("ada", 0, "", LONG, {"x": LONG}))
    assert [problem.field for problem in raised.value.problems] == ["amount", "idempotencyKey", "reason", "metadata"]


# --- What is shown ------------------------------------------------------------------------------------------------


def test_the_balance_is_without_what_has_run_out(connection):
    ahead = FUTURE + timedelta(days=1)
    for name, balance, clock in (("1", 128, PAST), ("2", 14, ahead), ("3", -1, PAST), ("4", 100, PAST), ("5", 0, PAST)):
        put(connection, CreditAccount(customer_id=f"cus_{name}", balance=balance, clock=clock))
    put(connection, lot("a", spent=30), lot("b", 50, PAST), lot("c", 7, FUTURE), lot("d", expires_at=PAST, expired=100))
    put(connection, lot("e", 5, customer_id="cus_2"), lot("f", 9, FUTURE, customer_id="cus_2"))
    put(connection, lot("g", spent=101, customer_id="cus_3", expires_at=PAST), lot("h", customer_id="cus_4"))
    put(connection, lot("i", 1, PAST))
    found = balances(connection, ["cus_1", "cus_2", "cus_3", "cus_5", "cus_9"])
    assert found == {"cus_1": 77, "cus_2": 5, "cus_3": -1}


def entry(id: int, customer_id: str = "cus_1") -> CreditEntry:
    return CreditEntry(id=id, customer_id=customer_id, kind="grant", amount=1, balance=1, created=PAST)


def test_the_ledger_is_read_in_pages(connection):
    put(connection, *(entry(n) for n in range(1, 6)), entry(9, "cus_2"))
    first, other = PageRequest("cus_1", 2), PageRequest("cus_2", 2)
    found = PAGES.read(connection, [first, other])
    assert [[row.id for row in found[each].rows] for each in (first, other)] == [[5, 4], [9]]
    after = found[first].cursor_of(found[first].rows[-1])
    request = PageRequest("cus_1", 3, after)
    page = PAGES.read(connection, [request])[request]
    assert ([row.id for row in page.rows], page.has_next, page.has_previous) == ([3, 2, 1], False, True)


@pytest.mark.parametrize("text", ["credit 1", "credit 0", f"credit {'9' * 18}"])
def test_a_cursor_is_read(connection, text):
    request = PageRequest("cus_1", 3, base64.urlsafe_b64encode(text.encode()).decode())
    assert request in PAGES.read(connection, [request])


@pytest.mark.parametrize(
    "text", ["credit", "credit x", "credit -1", "other 1", f"credit {'9' * 19}", "credit 1 2", "credit ²"]
)
def test_what_is_no_cursor_is_refused(connection, text):
    request = PageRequest("cus_1", 3, base64.urlsafe_b64encode(text.encode()).decode())
    with pytest.raises(BadInput, match="cursor"):
        PAGES.read(connection, [request])


def test_what_is_not_even_base64_is_refused(connection):
    with pytest.raises(BadInput, match="cursor"):
        PAGES.read(connection, [PageRequest("cus_1", 3, "x")])
