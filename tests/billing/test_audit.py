"""Actions are done once for an idempotency key, and kept: on both databases, without a server."""

import asyncio

import pytest
import sqlalchemy as sa

from gateway.billing.audit import ENTRIES, Action, AuditLog
from gateway.billing.pagination import encode_cursor
from gateway.billing.user_errors import Problem, ProblemCode, Rejected
from gateway.db.database import Database
from gateway.db.notifications import Notifications
from gateway.db.tables import table_for
from gateway.errors import BadInput, NotFound, StripeUnavailable
from gateway.models.infra import Lease
from harness.databases import both_databases
from harness.rows import invoice, put, subscription

REFUND = {"name": "invoice.refund", "by": "service token 1", "external_id": "ada", "target": "in_1"}


@pytest.fixture
async def database(database_url):
    database = Database(database_url, endpoints=(), on_commit=Notifications())
    yield database
    await database.close()


def action(key: str | None = "k", **columns) -> Action:
    return Action(**{**REFUND, "input": {"amount": 500, "reason": None}, "key": key, **columns})


def answering(done: list, answer: dict, failure: BaseException | None = None):
    """Work that notes each try, and answers or fails."""

    async def work(attempt):
        done.append((attempt.reference, attempt.again))
        await asyncio.sleep(0)
        if failure is not None:
            raise failure
        return answer

    return work


async def entries(database) -> list:
    return list(await database.read(lambda connection: connection.execute(sa.select(ENTRIES)).all()))


@both_databases
async def test_two_at_once_do_it_once_and_both_get_the_answer(database):
    log, done = AuditLog(database), []
    work = answering(done, {"id": "re_1"})
    assert await asyncio.gather(*(log.once(action(), work) for _ in range(3))) == [{"id": "re_1"}] * 3
    assert len(done) == 1
    (entry,) = await entries(database)
    assert (entry.status, entry.by, entry.external_id, entry.target) == ("done", "service token 1", "ada", "in_1")
    assert entry.input == {"amount": 500, "reason": None}
    assert entry.finished >= entry.created

    for other in (action(input={"amount": 501}), action(external_id="eve"), action(name="invoice.credit")):
        with pytest.raises(Rejected) as refused:
            await log.once(other, work)
        assert refused.value.problems[0].code is ProblemCode.IDEMPOTENCY_KEY_REUSED
    assert await log.once(action(actor="another agent"), work) == {"id": "re_1"}  # who wants it is no other wish
    await log.once(action(None), work)
    await log.once(action(None), work)  # without a key it is done each time
    assert len(done) == 3


@both_databases
@pytest.mark.parametrize("failure", [StripeUnavailable("away"), asyncio.CancelledError(), KeyError("a fault of ours")])
async def test_what_was_not_finished_is_gone_on_with_under_the_same_name(database, failure):
    log, done = AuditLog(database), []
    with pytest.raises(type(failure)):
        await log.once(action(), answering(done, {}, failure))
    assert [entry.status for entry in await entries(database)] == ["pending"]
    assert await log.once(action(), answering(done, {"id": "re_1"})) == {"id": "re_1"}
    (first, second) = done
    assert (first[1], second) == (False, (first[0], True))


@both_databases
async def test_what_was_refused_is_refused_again_in_the_same_words(database):
    log, done = AuditLog(database), []
    rejected = Rejected(Problem(ProblemCode.AMOUNT_INVALID, "too much", "amount"))
    for _ in range(2):
        with pytest.raises(Rejected) as refused:
            await log.once(action(), answering(done, {}, rejected))
        assert refused.value.problems == rejected.problems
    assert len(done) == 1
    with pytest.raises(NotFound):  # which says nothing of the wish: it may be there the next time
        await log.once(action("other"), answering(done, {}, NotFound("gone")))
    assert await log.once(action("other"), answering(done, {"id": "re_1"})) == {"id": "re_1"}
    with pytest.raises(Rejected):
        await log.once(action(""), answering(done, {}))
    with pytest.raises(Rejected):
        await log.once(action("long", actor="a" * 201), answering(done, {}))


@pytest.mark.parametrize(("key", "leases"), [("a", 1), (None, 0)])
async def test_what_has_no_key_holds_no_lock_and_may_take_its_time(database, key, leases):
    count = sa.select(sa.func.count()).select_from(table_for(Lease))

    async def work(_):
        return {"leases": await database.read(lambda connection: connection.execute(count).scalar_one())}

    assert await AuditLog(database).once(action(key), work) == {"leases": leases}


@both_databases
async def test_pages_of_the_log_are_the_newest_first(database):
    log = AuditLog(database)
    for number in range(5):
        await log.once(action(str(number), external_id="ada" if number % 2 else "eve"), answering([], {}))
    first = await log.page(2, None)
    rest = await log.page(100, first.cursor_of(first.rows[-1]))
    assert [entry.key for entry in (*first.rows, *rest.rows)] == ["4", "3", "2", "1", "0"]
    assert (first.has_next, first.has_previous, rest.has_next, rest.has_previous) == (True, False, False, True)
    assert [entry.key for entry in (await log.page(10, None, external_id="ada")).rows] == ["3", "1"]
    assert (await log.page(10, None, action="customer.link")).rows == []
    for bad in ("audit", "YXVkaXQgeA==", "Y3JlZGl0IDE="):
        with pytest.raises(BadInput):
            await log.page(1, bad)


async def test_what_was_done_to_a_customer_while_it_was_nobodys_is_among_what_was_done_for_its_user(database):
    others = {"customer_id": "cus_2"}
    rows = subscription(), invoice("in_1"), subscription("sub_2", **others), invoice("in_2", **others)
    await database.transaction(lambda connection: put(connection, *rows))
    done = {
        "of ada": ("ada", "in_9"), "of eve": ("eve", "in_1"), "to the customer": (None, "cus_1"),
        "to its subscription": (None, "sub_1"), "to its invoice": (None, "in_1"), "to another": (None, "cus_2"),
        "to another's": (None, "sub_2"), "to another's invoice": (None, "in_2"), "to nothing": (None, None),
    }  # fmt: skip
    log = AuditLog(database)
    for key, (external_id, target) in done.items():
        await log.once(action(key, external_id=external_id, target=target), answering([], {}))
    nobodys = ["to its invoice", "to its subscription", "to the customer"]
    for user, keys in (("ada", [*nobodys, "of ada"]), (None, nobodys), ("bob", nobodys)):
        page = await log.page_of_customer(100, None, "cus_1", user)
        assert [entry.key for entry in page.rows] == keys
    first = await log.page_of_customer(1, None, "cus_1", "ada")
    rest = await log.page_of_customer(2, first.cursor_of(first.rows[0]), "cus_1", "ada")
    assert [entry.key for entry in (*first.rows, *rest.rows)] == nobodys
    assert (first.has_next, first.has_previous, rest.has_next, rest.has_previous) == (True, False, True, True)


@pytest.mark.parametrize("length", [0, 1, 200, 201, 1000])
def test_how_long_the_name_of_an_actor_may_be(length):
    found = [(problem.code.name, problem.field) for problem in action(actor="a" * length).problems()]
    assert found == ([] if length <= 200 else [("TEXT_TOO_LONG", "actor")])


def test_the_order_of_what_is_asked_is_no_other_wish():
    one, other = ({"amount": 500, "reason": None}, {"reason": None, "amount": 500})
    assert action(input=one).fingerprint == action(input=other).fingerprint


@pytest.mark.parametrize(
    ("key", "fits"), [("k", True), ("k" * 255, True), ("k" * 256, False), ("", False), (None, True)]
)
def test_how_long_a_key_may_be(key, fits):
    assert [each.field for each in action(key=key).problems()] == ([] if fits else ["idempotencyKey"])


async def test_a_cursor_may_have_as_many_digits_as_an_entry_can_have(database):
    assert (await AuditLog(database).page(1, encode_cursor(f"audit {'9' * 18}"))).rows == []
    with pytest.raises(BadInput, match="cursor"):
        await AuditLog(database).page(1, encode_cursor(f"audit {'9' * 19}"))
