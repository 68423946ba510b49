"""Which pairs of a list are linked, which are left and why: on a database, asked of a Stripe that is scripted."""

import asyncio
from collections.abc import Sequence
from functools import partial

import pytest
import sqlalchemy as sa

from gateway.billing.audit import ENTRIES, Action, AuditLog
from gateway.billing.checkout.sessions import Sessions
from gateway.billing.customers.directory import CustomerDesk
from gateway.billing.customers.moving_in import Outcome, Pair, move_in
from gateway.billing.customers.service import CUSTOMERS, Customers
from gateway.models.checkout import CustomerClaim
from gateway.settings import Settings
from harness.rows import NOW, customer

LINKED, WOULD, ALREADY, CONFLICT = Outcome.LINKED, Outcome.WOULD_LINK, Outcome.ALREADY, Outcome.CONFLICT
BY = partial(Action, by="import test")


def theirs(id: str, **columns) -> dict:
    return {"id": id, "object": "customer", "email": None, "metadata": {}, "created": 1, **columns}


@pytest.fixture
def moved(database, mirror, stripe, scripted):
    """Moves pairs in, and returns what became of each; whoever runs it is told why, where that is not plain."""
    settings = Settings.load(stripe_secret_key="sk_test_tests", stripe_api_base=scripted.url)
    customers, close_checkouts = Customers(settings, mirror, stripe), Sessions(mirror, stripe).close_all
    desk = CustomerDesk(customers, mirror, stripe, AuditLog(database), close_checkouts=close_checkouts)

    async def move(
        pairs: Sequence[tuple[str, str]], *, look: bool = False, **options: int
    ) -> list[tuple[str, str, Outcome]]:
        listed = [Pair(*pair) for pair in pairs]
        found = [each async for each in move_in(listed, desk, database, stripe, None if look else BY, **options)]
        assert all(bool(each.why) is (each.outcome in {CONFLICT, Outcome.INVALID}) for each in found)
        whys.extend(each.why for each in found)
        return [(*each.pair, each.outcome) for each in found]

    move.whys = whys = []

    return move


async def owners(database) -> dict[str, str | None]:
    query = sa.select(CUSTOMERS.c.id, CUSTOMERS.c.external_id)
    return dict(await database.read(lambda connection: connection.execute(query).all()))


INVALID = [
    ("", "cus_1"),
    ("a\nb", "cus_1"),
    ("u" * 201, "cus_1"),
    ("ada", "ada@example.com"),
    ("ada", "cus_"),
    ("ada", ""),
]


@pytest.mark.parametrize("look", [True, False])
async def test_what_names_nobody_or_no_customer_is_told_and_left(moved, scripted, look):
    assert await moved(INVALID, look=look) == [(*pair, Outcome.INVALID) for pair in INVALID]
    assert scripted.calls == []


async def test_pairs_that_contradict_each_other_are_left_and_one_that_stands_twice_is_one(moved, database, fill):
    longest = "u" * 200
    await fill(*(customer(f"cus_{number}") for number in range(1, 6)))
    pairs = [
        ("ada", "cus_1"),
        ("ada", "cus_2"),
        ("bob", "cus_3"),
        ("eve", "cus_3"),
        (longest, "cus_4"),
        (longest, "cus_4"),
    ]
    pairs.append(("a", "cus_5"))
    expected = [*((*pair, CONFLICT) for pair in pairs[:4]), (longest, "cus_4", WOULD), ("a", "cus_5", WOULD)]
    assert await moved(pairs, look=True, batch_size=2) == expected
    assert len(set(moved.whys)) == 3, "several customers, several users, nothing"
    assert set((await owners(database)).values()) == {None}


KNOWN = {
    "nobody's": ([customer()], LINKED),
    "nobody's, whom its metadata name": ([customer(meta={"external_id": "ada"})], LINKED),
    "the user's": ([customer(external_id="ada")], ALREADY),
    "another's": ([customer(external_id="bob")], CONFLICT),
    "nobody's, of who has another": ([customer(), customer("cus_2", "ada")], CONFLICT),
    "nobody's, of who had another": ([customer(), customer("cus_2", "ada", deleted=True)], LINKED),
    "nobody's, whose metadata name another": ([customer(meta={"external_id": "bob"})], CONFLICT),
    "taken from its user": (
        [customer(), CustomerClaim(external_id="bob", generation=1, customer_id="cus_1", created=NOW)], CONFLICT,
    ),
    "nobody's, while another was taken": (
        [customer(), CustomerClaim(external_id="bob", generation=1, customer_id="cus_2", created=NOW)], LINKED,
    ),
}  # fmt: skip


@pytest.mark.parametrize(("rows", "outcome"), KNOWN.values(), ids=KNOWN)
async def test_nothing_is_taken_from_anybody(moved, database, fill, scripted, rows, outcome):
    await fill(*(type(row)(**row.model_dump()) for row in rows))
    meta = next(row.meta for row in rows if row.id == "cus_1")
    scripted.answer("GET", "/v1/customers/cus_1", theirs("cus_1", metadata=meta))
    scripted.answer("POST", "/v1/customers/cus_1", theirs("cus_1", metadata={"external_id": "ada"}))
    before, pair = await owners(database), ("ada", "cus_1")
    assert await moved([pair], look=True) == [(*pair, WOULD if outcome is LINKED else outcome)]
    assert (scripted.calls, await owners(database)) == ([], before)
    assert await moved([pair]) == [(*pair, outcome)]
    assert (await owners(database))["cus_1"] == ("ada" if outcome in {LINKED, ALREADY} else before["cus_1"])
    done = sa.select(ENTRIES.c.action, ENTRIES.c.by, ENTRIES.c.external_id, ENTRIES.c.target)
    noted = await database.read(lambda connection: connection.execute(done).all())
    assert noted == ([("customer.link", "import test", "ada", "cus_1")] if outcome is LINKED else [])


AT_STRIPE = {
    "there": (theirs("cus_1"), 200, LINKED),
    "without metadata": (theirs("cus_1", metadata=None), 200, WOULD),
    "the user's by its metadata": (theirs("cus_1", metadata={"external_id": "ada"}), 200, LINKED),
    "another's by its metadata": (theirs("cus_1", metadata={"external_id": "bob"}), 200, CONFLICT),
    "deleted": ({"id": "cus_1", "object": "customer", "deleted": True}, 200, Outcome.NOT_FOUND),
    "not there": (
        {"error": {"type": "invalid_request_error", "code": "resource_missing", "message": "no"}}, 404,
        Outcome.NOT_FOUND,
    ),
}  # fmt: skip


@pytest.mark.parametrize(("answer", "status", "outcome"), AT_STRIPE.values(), ids=AT_STRIPE)
async def test_what_the_mirror_does_not_have_is_asked_of_stripe(moved, database, scripted, answer, status, outcome):
    scripted.answer("GET", "/v1/customers/cus_1", answer, status=status)
    scripted.answer("POST", "/v1/customers/cus_1", theirs("cus_1", metadata={"external_id": "ada"}))
    pair = ("ada", "cus_1")
    assert await moved([pair], look=True) == [(*pair, WOULD if outcome is LINKED else outcome)]
    if outcome is not WOULD:
        assert await moved([pair]) == [(*pair, outcome)]
        assert await owners(database) == ({"cus_1": "ada"} if outcome is LINKED else {})


async def test_who_was_faster_is_told_and_the_others_are_linked_all_the_same(moved, fill, scripted):
    """Stripe has deleted the first one since the mirror heard of it."""
    await fill(customer(), customer("cus_2"))
    scripted.answer("GET", "/v1/customers/cus_1", {"id": "cus_1", "object": "customer", "deleted": True})
    scripted.answer("GET", "/v1/customers/cus_2", theirs("cus_2"))
    scripted.answer("POST", "/v1/customers/cus_2", theirs("cus_2", metadata={"external_id": "bob"}))
    assert await moved([("ada", "cus_1"), ("bob", "cus_2")]) == [("ada", "cus_1", CONFLICT), ("bob", "cus_2", LINKED)]
    assert "cus_1" in moved.whys[0]


async def test_what_an_operator_takes_from_its_user_meanwhile_is_left(moved, database, fill, scripted):
    await fill(customer(), customer("cus_2"))
    for name, user in (("cus_1", "ada"), ("cus_2", "bob")):
        scripted.answer("GET", f"/v1/customers/{name}", theirs(name))
        scripted.answer("POST", f"/v1/customers/{name}", theirs(name, metadata={"external_id": user}))
    loop = asyncio.get_running_loop()

    def take() -> None:
        taken = CustomerClaim(external_id="eve", generation=1, customer_id="cus_2", created=NOW)
        asyncio.run_coroutine_threadsafe(fill(taken), loop).result()

    scripted.meanwhile["POST", "/v1/customers/cus_1"] = take
    assert await moved([("ada", "cus_1"), ("bob", "cus_2")]) == [("ada", "cus_1", LINKED), ("bob", "cus_2", CONFLICT)]
    assert await owners(database) == {"cus_1": "ada", "cus_2": None}


async def test_a_list_is_read_by_batches_and_contradictions_are_found_across_them(moved, fill):
    await fill(*(customer(f"cus_{number}") for number in range(1, 6)))
    pairs = [(f"user_{number}", f"cus_{number}") for number in range(1, 6)] + [("user_6", "cus_1")]
    expected = [(*pair, CONFLICT if pair[1] == "cus_1" else WOULD) for pair in pairs]
    assert await moved(pairs, look=True, batch_size=2) == expected
