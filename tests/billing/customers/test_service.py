"""A user's customer, found, made, told and linked: on a database, asked of a Stripe that is scripted."""

import asyncio
import threading
from datetime import UTC, datetime
from functools import partial

import pytest
import sqlalchemy as sa
import structlog

from gateway.auth.principal import Principal
from gateway.billing.customers.linking import fulfil, give, release
from gateway.billing.customers.profile import CLAIMS
from gateway.billing.customers.service import Customers
from gateway.billing.subscriptions.exclusion import owner_lock
from gateway.billing.user_errors import Rejected
from gateway.db.tables import table_for
from gateway.errors import BadInput, StripeUnavailable
from gateway.models.checkout import CustomerClaim
from gateway.models.mirrored import CheckoutSession, Customer
from gateway.settings import Settings
from harness.databases import both_databases, waiters
from harness.rows import NOW, customer, subscription
from harness.waiting import eventually_async

ADA = Principal(subject="ada", email="Ada@example.com", email_verified=True)
UNPROVED = Principal(subject="ada", email="ada@example.com")
BACK_END = Principal(subject="ada", email="ada@example.com", is_service=True)
TABLE = table_for(Customer)
GONE = {"id": "cus_8", "object": "customer", "deleted": True}


def theirs(id: str = "cus_1", **columns) -> dict:
    made = int(datetime.now(UTC).timestamp()) - 60
    obj = {"id": id, "object": "customer", "email": "ada@example.com", "metadata": {"external_id": "ada"}}
    return {**obj, "created": made, **columns}


def mailed(id: str = "cus_1", **columns) -> Customer:
    return customer(id, **{"email": "ada@example.com", "email_lower": "ada@example.com", **columns})


def claim(customer_id: str | None = "cus_1", email: str | None = None, generation: int = 1) -> CustomerClaim:
    given = {"external_id": "ada", "generation": generation, "email": email, "created": NOW}
    return CustomerClaim(customer_id=customer_id, **given)


def begun() -> CustomerClaim:
    """Ada's customer is being made, or the process that made it has ended."""
    return CustomerClaim(external_id="ada", generation=1, email="Ada@example.com", making=True, created=NOW)


def bought(customer_id: str = "cus_1", **columns) -> CheckoutSession:
    given = {"mode": "payment", "ui_mode": "hosted_page", "status": "complete", "payment_status": "paid", "as_of": 0}
    given |= {"created": NOW, "expires_at": NOW, "customer_id": customer_id}
    return CheckoutSession(id=f"cs_of_{customer_id}", **{**given, **columns})


@pytest.fixture
def customers(mirror, stripe, scripted):
    def make(leftover_seconds: float = 600, **settings) -> Customers:
        chosen = Settings.load(stripe_secret_key="sk_test_tests", stripe_api_base=scripted.url, **settings)
        return Customers(chosen, mirror, stripe, leftover_seconds=leftover_seconds)

    return make


def written(scripted) -> list[tuple[str, str, dict]]:
    return [call for call in scripted.calls if call[0] != "GET"]


async def owners(database) -> dict[str, str | None]:
    query = sa.select(TABLE.c.id, TABLE.c.external_id)
    return dict(await database.read(lambda connection: connection.execute(query).all()))


FOUND = {
    "one's own": (ADA, {}, [customer(external_id="ada")], "cus_1"),
    "another's": (ADA, {}, [mailed(external_id="bob")], None),
    "of a connected account, with the e-mail": (ADA, {}, [mailed("acct_1/cus_1")], None),
    "of a connected account's checkout": (
        UNPROVED, {}, [customer("acct_1/cus_1"), bought("acct_1/cus_1", client_reference_id="ada")], None,
    ),
    "a deleted one": (ADA, {}, [customer(external_id="ada", deleted=True)], None),
    "none": (ADA, {}, [], None),
    "of the verified e-mail": (ADA, {}, [mailed()], "cus_1"),
    "of an e-mail that nobody has proved": (UNPROVED, {}, [mailed()], None),
    "of a member's e-mail, for an organisation": (ADA, {"auth_subject_claim": "org"}, [mailed()], None),
    "where e-mail proves nothing": (ADA, {"link_customers_by_email": False}, [mailed()], None),
    "of a checkout that names the user": (UNPROVED, {}, [customer(), bought(client_reference_id="ada")], "cus_1"),
    "of a payment link": (UNPROVED, {}, [customer(), bought(client_reference_id="ada", payment_link="plink_1")], None),
    "of a trusted payment link": (
        UNPROVED, {"trust_payment_link_references": True},
        [customer(), bought(client_reference_id="ada", payment_link="plink_1")], "cus_1",
    ),
    "after another one, by e-mail": (ADA, {}, [customer("cus_0", deleted=True), claim("cus_0"), mailed()], None),
    "after another one, by a checkout": (
        ADA, {},
        [customer("cus_0", deleted=True), claim("cus_0"), customer(), bought(client_reference_id="ada")], "cus_1",
    ),
    "without an address, of who has an empty one": (UNPROVED, {}, [mailed(email="", email_lower="")], None),
    "one that is being made": (ADA, {}, [begun(), customer("cus_8", "ada")], "cus_8"),
    "the one of the e-mail, beside one that is being made": (
        ADA, {}, [begun(), customer("cus_8", "ada"), mailed()], "cus_1",
    ),
    "one that was being made and is in use": (
        ADA, {}, [begun(), customer("cus_8", "ada"), bought("cus_8"), mailed()], "cus_8",
    ),
    "one of two": (ADA, {}, [mailed(), mailed("cus_2"), subscription(customer_id="cus_2")], "cus_2"),
    "none of two that live": (
        ADA, {}, [mailed(), mailed("cus_2"), subscription(), subscription("sub_2", customer_id="cus_2")], None,
    ),
}  # fmt: skip


@pytest.mark.parametrize(("who", "settings", "rows", "found"), FOUND.values(), ids=FOUND)
async def test_which_customer_is_found(customers, database, fill, scripted, who, settings, rows, found):
    await fill(*rows)
    mine = await customers(**settings).find(who)
    assert (mine and mine.id) == found
    assert found is None or (await owners(database))[found] == "ada"
    assert scripted.calls == []


async def test_the_address_that_proves_whose_a_customer_is_is_written_down(customers, database, fill):
    await fill(mailed())
    await customers().find(ADA)
    query = sa.select(CLAIMS.c.customer_id, CLAIMS.c.email)
    told = await database.read(lambda connection: connection.execute(query).all())
    assert [*map(tuple, told)] == [("cus_1", "Ada@example.com")]


@pytest.mark.parametrize("guest", [False, True])
async def test_of_what_a_guest_bought_the_cards_are_not_the_users(customers, fill, guest):
    await fill(mailed(), bought(guest=guest))
    assert (await customers().find(ADA)).payer_unverified is guest


async def test_a_customer_is_made_once_and_named_after_its_user(customers, database, scripted):
    scripted.list("/v1/customers", [])
    scripted.answer("POST", "/v1/customers", theirs())
    made, is_new = await customers().find_or_make(ADA)
    assert written(scripted) == [
        ("POST", "/v1/customers", {"metadata[external_id]": "ada", "email": "Ada@example.com"})
    ]
    assert ("GET", "/v1/customers", {"email": "Ada@example.com", "limit": "100"}) in scripted.calls
    assert (made.id, is_new, await owners(database)) == ("cus_1", True, {"cus_1": "ada"})
    again, is_new = await customers().find_or_make(ADA)
    assert (again.id, is_new) == ("cus_1", False)
    await customers().delete_leftovers()
    assert len(written(scripted)) == 1, "nothing is left of it"


async def test_the_key_is_of_the_user_and_of_how_often_there_was_one(customers, database, scripted, fill):
    keys = []
    for subject, number in (("ada", 1), ("bob", 2), ("ada", 3)):
        scripted.answer("POST", "/v1/customers", theirs(f"cus_{number}", email=None, metadata={"external_id": subject}))
        scripted.calls.clear()
        assert (await customers().find_or_make(Principal(subject=subject)))[0].id == f"cus_{number}"
        assert written(scripted) == [("POST", "/v1/customers", {"metadata[external_id]": subject})]
        keys.append(scripted.keys[-1])
        gone = sa.update(TABLE).where(TABLE.c.id == "cus_1").values(deleted=True)
        await database.transaction(lambda connection, gone=gone: connection.execute(gone).rowcount)
        scripted.forget()
    first, other, again = (key.rsplit("-", 1) for key in keys)
    assert (first[0] == again[0], first[0] == other[0]) == (True, False)
    assert (first[0].startswith("customer-"), [first[1], other[1], again[1]]) == (True, ["1", "1", "2"])


async def test_an_unfinished_claim_asks_for_the_same(customers, scripted, fill):
    await fill(claim(None, "old@example.com"))
    scripted.answer("POST", "/v1/customers", theirs(email="old@example.com"))
    await customers().find_or_make(UNPROVED)
    assert written(scripted)[0][2]["email"] == "old@example.com"
    assert scripted.keys[0].endswith("-1")


async def test_what_stripe_made_for_a_claim_that_is_gone_takes_no_customer_from_the_user(
    customers, database, fill, scripted
):
    """As after an erasure: one number is of a customer that is deleted, the next one of another request."""
    await fill(customer("cus_1", deleted=True))
    scripted.answer("POST", "/v1/customers", theirs("cus_1"), replayed=True)
    error = {"type": "idempotency_error", "message": "used with other parameters"}
    scripted.answer("POST", "/v1/customers", {"error": error}, status=400)
    scripted.answer("POST", "/v1/customers", theirs("cus_2", email=None))
    assert (await customers().find_or_make(Principal(subject="ada")))[0].id == "cus_2"
    assert [key[-2:] for key in scripted.keys] == ["-1", "-2", "-3"]
    assert await owners(database) == {"cus_1": None, "cus_2": "ada"}


async def test_after_five_numbers_of_others_the_sixth_is_asked_for(customers, scripted):
    error = {"type": "idempotency_error", "message": "used with other parameters"}
    for _ in range(5):
        scripted.answer("POST", "/v1/customers", {"error": error}, status=400)
    scripted.answer("POST", "/v1/customers", theirs("cus_6", email=None))
    assert (await customers().find_or_make(Principal(subject="ada")))[0].id == "cus_6"
    assert [key[-2:] for key in scripted.keys] == [f"-{number}" for number in range(1, 7)]


async def test_what_stripe_has_under_the_e_mail_is_taken_up(customers, database, scripted):
    """What was made at the same moment goes again."""
    scripted.list("/v1/customers", [theirs("cus_7", metadata={}), theirs("cus_8")])
    scripted.answer("POST", "/v1/customers", theirs("cus_8"))
    scripted.answer("POST", "/v1/customers/cus_7", theirs("cus_7"))
    scripted.answer("DELETE", "/v1/customers/cus_8", GONE)
    scripted.answer("GET", "/v1/customers/cus_8", GONE)
    found, is_new = await customers().find_or_make(ADA)
    assert (found.id, is_new) == ("cus_7", False)
    assert [call[:2] for call in written(scripted)] == [
        ("POST", "/v1/customers"),
        ("DELETE", "/v1/customers/cus_8"),
        ("POST", "/v1/customers/cus_7"),
    ]
    assert written(scripted)[-1][2] == {"metadata[external_id]": "ada"}
    assert (await owners(database)) == {"cus_7": "ada"}
    assert (await customers().customer_for(ADA)).id == "cus_7"


async def test_what_stripe_has_under_the_e_mail_is_taken_up_though_none_could_be_made(customers, database, scripted):
    scripted.list("/v1/customers", [theirs("cus_7", metadata={})])
    scripted.refuse("POST", "/v1/customers", "no")
    scripted.answer("POST", "/v1/customers/cus_7", theirs("cus_7"))
    found, is_new = await customers().find_or_make(ADA)
    assert (found.id, is_new, await owners(database)) == ("cus_7", False, {"cus_7": "ada"})


async def test_nobody_makes_or_deletes_a_customer_while_another_acts_for_the_user(customers, database, fill, scripted):
    await fill(customer("cus_7", external_id="ada"), CustomerClaim(**MAKING.model_dump()))
    scripted.answer("POST", "/v1/customers", theirs("cus_8"), replayed=True)
    scripted.list("/v1/subscriptions", [])
    async with owner_lock(database, "ada"):
        waiting = [
            asyncio.create_task(each) for each in (customers().customer_for(ADA), customers().delete_leftovers())
        ]
        await waiters(database, "owner:ada", 2)
        assert (scripted.calls, [each.done() for each in waiting]) == ([], [False, False])
        for each in waiting:
            each.cancel()
        await asyncio.wait(waiting)


@pytest.mark.parametrize("known", [False, True])
async def test_what_an_earlier_call_has_made_and_is_in_use_is_the_users_and_stays(
    customers, database, fill, scripted, known
):
    await fill(begun(), bought("cus_8"), *([customer("cus_8", external_id="ada")] if known else []))
    scripted.list("/v1/customers", [theirs("cus_7", metadata={}), theirs("cus_8")])
    scripted.answer("POST", "/v1/customers", theirs("cus_8"), replayed=True)
    scripted.answer("GET", "/v1/customers/cus_8", theirs("cus_8"))
    found, is_new = await customers().find_or_make(ADA)
    assert (found.id, is_new, await owners(database)) == ("cus_8", False, {"cus_8": "ada"})
    asked = [call[:2] for call in written(scripted) if call[1] != "/v1/customers/cus_8"]
    assert asked == ([] if known else [("POST", "/v1/customers")]), "it is known to stay, or Stripe says which it is"
    claims = await database.read(lambda connection: connection.execute(sa.select(CLAIMS.c.customer_id)).scalars().all())
    assert known or claims == ["cus_8"]


async def test_one_that_is_the_users_meanwhile_stays_so_and_what_was_made_beside_goes(
    customers, database, fill, scripted
):
    await fill(begun(), customer("cus_7", "ada", meta={"external_id": "ada"}, email="ada@example.com"))
    scripted.list("/v1/customers", [])
    scripted.answer("POST", "/v1/customers", theirs("cus_8"))
    scripted.answer("DELETE", "/v1/customers/cus_8", GONE)
    scripted.answer("GET", "/v1/customers/cus_8", GONE)
    found, is_new = await customers().find_or_make(ADA)
    assert (found.id, is_new, await owners(database)) == ("cus_7", False, {"cus_7": "ada"})
    assert written(scripted)[1:] == [("DELETE", "/v1/customers/cus_8", {})]


@pytest.mark.parametrize("mirrored", [False, True])
async def test_what_a_process_made_that_died_leaves_its_place_to_what_the_user_bought_before(
    customers, database, fill, scripted, mirrored
):
    """Its own event has given it to the user meanwhile."""
    await fill(begun(), customer("cus_8", external_id="ada"), *([mailed("cus_7")] if mirrored else []))
    scripted.list("/v1/customers", [theirs("cus_7", metadata={}), theirs("cus_8")])
    scripted.answer("POST", "/v1/customers", theirs("cus_8"), replayed=True)
    scripted.answer("POST", "/v1/customers/cus_7", theirs("cus_7"))
    await customers().delete_leftovers()
    assert scripted.calls == []  # only the user's address says which one is the user's
    if mirrored:
        assert (await customers().find(ADA)).id == "cus_7"
    assert (await customers().find_or_make(ADA))[0].id == "cus_7"
    assert await owners(database) == {"cus_7": "ada", "cus_8": None}
    scripted.list("/v1/subscriptions", [])
    scripted.answer("DELETE", "/v1/customers/cus_8", GONE)
    scripted.answer("GET", "/v1/customers/cus_8", GONE)
    await customers().delete_leftovers()
    assert ("DELETE", "/v1/customers/cus_8", {}) in scripted.calls


async def test_what_may_be_anybodys_at_stripe_is_asked_about_and_nothing_is_left_of_it(customers, fill, scripted):
    """Two with the address live. That it could not be asked what Stripe has leaves nothing either."""
    await fill(subscription(customer_id="cus_6"), subscription("sub_2", customer_id="cus_7"))
    scripted.list("/v1/customers", [theirs("cus_6", metadata={}), theirs("cus_7", metadata={})])
    scripted.answer("POST", "/v1/customers", theirs("cus_8"))
    scripted.answer("DELETE", "/v1/customers/cus_8", GONE)
    scripted.answer("GET", "/v1/customers/cus_8", GONE)
    with pytest.raises(Rejected):
        await customers().find_or_make(ADA)
    scripted.forget("GET", "/v1/customers")
    with pytest.raises(StripeUnavailable):
        await customers().find_or_make(Principal(subject="bob", email="bob@example.com", email_verified=True))
    assert [call[:2] for call in written(scripted)] == [
        ("POST", "/v1/customers"),
        ("DELETE", "/v1/customers/cus_8"),
    ] * 2


async def test_what_was_made_beside_the_users_customer_goes_even_if_nobody_could_delete_it_at_once(
    customers, database, scripted
):
    scripted.list("/v1/customers", [theirs("cus_7", metadata={})])
    scripted.answer("POST", "/v1/customers", theirs("cus_8"))
    scripted.answer("POST", "/v1/customers/cus_7", theirs("cus_7"))
    scripted.answer("DELETE", "/v1/customers/cus_8", {"error": {"type": "api_error", "message": "no"}}, status=500)
    found, _ = await customers().find_or_make(ADA)
    assert (found.id, await owners(database)) == ("cus_7", {"cus_7": "ada"})
    scripted.calls.clear()
    scripted.forget("DELETE", "/v1/customers/cus_8")
    scripted.answer("DELETE", "/v1/customers/cus_8", GONE)
    scripted.answer("GET", "/v1/customers/cus_8", GONE)
    scripted.list("/v1/subscriptions", [])
    for _ in range(2):  # the second time nothing is left to do
        await customers().delete_leftovers()
        assert [call[:2] for call in written(scripted)] == [
            ("POST", "/v1/customers"),
            ("DELETE", "/v1/customers/cus_8"),
        ]
    assert scripted.keys[0] == scripted.keys[-1]  # so that Stripe says which one it was


async def test_leftovers_are_deleted_from_time_to_time(customers, fill, scripted):
    await fill(customer("cus_7", external_id="ada"), CustomerClaim(**MAKING.model_dump()))
    running = asyncio.create_task(customers(leftover_seconds=0.01).run())
    await eventually_async(lambda: asyncio.sleep(0, len(written(scripted)) > 1), True, 5)  # Stripe says nothing yet
    scripted.answer("POST", "/v1/customers", theirs("cus_8"), replayed=True)
    scripted.list("/v1/subscriptions", [])
    scripted.answer("DELETE", "/v1/customers/cus_8", GONE)
    scripted.answer("GET", "/v1/customers/cus_8", GONE)
    deleted = ("DELETE", "/v1/customers/cus_8", {})
    await eventually_async(lambda: asyncio.sleep(0, deleted in scripted.calls), True, 5)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


MAKING = CustomerClaim(external_id="ada", generation=1, customer_id="cus_7", making=True, created=NOW)
LEFT = {
    "sold to meanwhile": ([customer("cus_7", external_id="ada"), MAKING], [{"id": "sub_1"}], ["POST"]),
    "bought with": ([customer("cus_7", external_id="ada"), MAKING, bought("cus_8")], [], ["POST"]),
    "linked meanwhile": ([customer("cus_7", external_id="ada"), MAKING, claim("cus_8", generation=2)], [], ["POST"]),
    "the user's own": ([customer("cus_8", external_id="ada"), MAKING], [], ["POST"]),
    "of a user who has none yet": ([MAKING], [], []),
}


@pytest.mark.parametrize(("rows", "subscriptions", "asked"), LEFT.values(), ids=LEFT)
async def test_what_is_in_use_is_not_deleted(customers, fill, scripted, rows, subscriptions, asked):
    await fill(*(type(row)(**row.model_dump()) for row in rows))
    scripted.answer("POST", "/v1/customers", theirs("cus_8"), replayed=True)
    scripted.list("/v1/subscriptions", subscriptions)
    for _ in range(2):  # and is not looked at again
        await customers().delete_leftovers()
        assert [call[0] for call in written(scripted)] == asked
    looked = [call[2] for call in scripted.calls if call[1] == "/v1/subscriptions"]
    assert looked == ([{"customer": "cus_8", "limit": "1"}] if subscriptions else [])


async def test_what_an_earlier_process_made_for_the_user_fulfils_its_claim(customers, database, fill, scripted):
    await fill(customer("cus_8", external_id="ada"), bought("cus_8"))
    await fill(CustomerClaim(external_id="ada", generation=1, making=True, created=NOW))
    scripted.answer("POST", "/v1/customers", theirs("cus_8"), replayed=True)
    await customers().delete_leftovers()
    query = sa.select(CLAIMS.c.external_id, CLAIMS.c.customer_id, CLAIMS.c.making)
    kept = await database.read(lambda connection: connection.execute(query).all())
    assert [*map(tuple, kept)] == [("ada", "cus_8", False)]
    assert await owners(database) == {"cus_8": "ada"}


async def test_what_stripe_has_no_longer_is_used_by_nobody(customers, fill, scripted):
    await fill(customer("cus_7", external_id="ada"), CustomerClaim(**MAKING.model_dump()))
    scripted.answer("POST", "/v1/customers", theirs("cus_8"), replayed=True)
    for method, path in (("GET", "/v1/subscriptions"), *((each, "/v1/customers/cus_8") for each in ("DELETE", "GET"))):
        scripted.refuse(method, path, "resource_missing", status=404)
    for _ in range(2):  # and is not looked at again
        await customers().delete_leftovers()
        assert [call[0] for call in written(scripted)] == ["POST", "DELETE"]


async def test_who_was_given_a_customer_meanwhile_keeps_it(database, fill):
    await fill(customer("cus_7", external_id="ada"), customer("cus_8"), claim("cus_7"))
    late = partial(fulfil, claim=claim(None), customer_id="cus_8", made=True)
    await database.transaction(late)
    assert await owners(database) == {"cus_7": "ada", "cus_8": None}


async def test_what_was_made_for_a_user_stays_though_a_reading_found_another_meanwhile(customers, database, fill):
    begun = CustomerClaim(external_id="ada", generation=1, making=True, created=NOW)
    linked = customer("cus_7"), bought("cus_7", client_reference_id="ada")
    await fill(begun, customer("cus_8", external_id="ada"), *linked)
    is_found = threading.Event()

    def make(connection: sa.Connection) -> None:
        fulfil(connection, claim=claim(None), customer_id="cus_8", made=True)
        is_found.wait(5)

    making, finding = asyncio.create_task(database.transaction(make)), asyncio.create_task(customers().find(ADA))
    await asyncio.sleep(0.1)  # so that it has looked, and waits for the one writer: nothing tells
    is_found.set()
    await making
    assert ((await finding).id, await owners(database)) == ("cus_8", {"cus_7": None, "cus_8": "ada"})


async def test_what_could_not_be_decided_is_asked_for_anew_and_not_as_what_was_deleted(customers, scripted):
    scripted.answer("POST", "/v1/customers", theirs("cus_8"))
    scripted.answer("DELETE", "/v1/customers/cus_8", GONE)
    scripted.answer("GET", "/v1/customers/cus_8", GONE)
    with pytest.raises(StripeUnavailable):
        await customers().find_or_make(ADA)  # nobody has said what there is under the address
    scripted.list("/v1/customers", [])
    scripted.forget("POST", "/v1/customers")
    scripted.answer("POST", "/v1/customers", theirs("cus_9"))
    assert [(made.id, is_new) for made, is_new in [await customers().find_or_make(ADA)]] == [("cus_9", True)]
    assert scripted.keys[0] != scripted.keys[-1]


async def test_what_was_just_made_and_is_in_use_stays_though_stripe_fails(customers, fill, scripted):
    await fill(bought("cus_8"))
    scripted.answer("POST", "/v1/customers", theirs("cus_8"))
    with pytest.raises(StripeUnavailable):
        await customers().find_or_make(ADA)
    assert [call[0] for call in written(scripted)] == ["POST"]


async def test_of_several_that_live_none_is_guessed(customers, scripted, fill):
    await fill(mailed(), mailed("cus_2"), subscription(), subscription("sub_2", customer_id="cus_2"))
    with pytest.raises(Rejected) as raised:
        await customers().find_or_make(ADA)
    assert [problem.code.name for problem in raised.value.problems] == ["CUSTOMER_AMBIGUOUS"]
    assert scripted.calls == []


NAMED = {"external_id": "ada"}
TOLD = {
    "nothing new": (ADA, {"meta": NAMED}, claim(email="Ada@example.com"), {}),
    "whose it is": (UNPROVED, {"meta": {}}, claim(), {"metadata[external_id]": "ada"}),
    "whose it is now": (UNPROVED, {"meta": {"external_id": "bob"}}, claim(), {"metadata[external_id]": "ada"}),
    "another verified address": (ADA, {"meta": NAMED}, claim(email="old@example.com"), {"email": "Ada@example.com"}),
    "another address that nobody has proved": (UNPROVED, {"meta": NAMED}, claim(email="old@example.com"), {}),
    "the seller's address stays": (ADA, {"meta": NAMED}, claim(), {}),
    "the first address": (ADA, {"meta": NAMED, "email": None}, claim(), {"email": "Ada@example.com"}),
    "what the back end knows": (BACK_END, {"meta": NAMED}, claim(), {"email": "ada@example.com"}),
    "without a claim": (ADA, {"meta": NAMED}, None, {}),
    "an address without a claim": (ADA, {"meta": NAMED, "email": None}, None, {"email": "Ada@example.com"}),
}


@pytest.mark.parametrize(("who", "columns", "kept", "changes"), TOLD.values(), ids=TOLD)
async def test_what_stripe_is_told(customers, database, fill, scripted, who, columns, kept, changes):
    row = mailed(external_id="ada", **columns)
    bobs = CustomerClaim(external_id="bob", generation=1, customer_id="cus_2", email="Ada@example.com", created=NOW)
    await fill(bobs, row, *([kept] if kept else []))
    scripted.answer("POST", "/v1/customers/cus_1", theirs())
    await customers().tell_stripe(who, row)
    assert written(scripted) == ([("POST", "/v1/customers/cus_1", changes)] if changes else [])
    proved = who.email if who.email_verified or who.is_service else None
    query = sa.select(CLAIMS.c.email).where(CLAIMS.c.customer_id == "cus_1")
    emails = set(await database.read(lambda connection: connection.execute(query).scalars().all()))
    assert emails == ({proved or kept.email} if kept else set())


async def test_what_stripe_cannot_be_told_is_told_the_next_time(customers, fill, scripted):
    row = mailed(external_id="ada", meta={})
    await fill(row, claim(email="old@example.com"))
    scripted.refuse("POST", "/v1/customers/cus_1", "no")
    with structlog.testing.capture_logs() as logs:
        for who in (ADA, ADA, UNPROVED):
            await customers().tell_stripe(who, row)
    assert [(each["event"], each["customer"]) for each in logs] == [("customer.not_told", "cus_1")] * 3
    same, again, of_something_else = scripted.keys
    assert (same == again, same == of_something_else, same.startswith("tell-")) == (True, False, True)


async def test_of_what_is_taken_from_a_user_meanwhile_stripe_is_not_told_that_it_is_the_users(
    customers, database, fill, scripted
):
    """Else the event of it would give it back."""
    row = mailed(external_id="ada", meta={})
    await fill(row, claim())
    async with owner_lock(database, "ada"):  # as an operator holds it who unlinks
        telling = asyncio.create_task(customers().tell_stripe(ADA, row))
        await waiters(database, "owner:ada")
        await database.transaction(partial(release, external_id="ada", customer_id="cus_1"))
    await telling
    assert (scripted.calls, await owners(database)) == ([], {"cus_1": None})


@pytest.mark.parametrize(("unverified", "for_good", "asked"), [(False, True, 0), (True, False, 1), (True, True, 1)])
async def test_whose_cards_are_withheld(customers, database, fill, scripted, unverified, for_good, asked):
    row = customer(external_id="ada", payer_unverified=unverified)
    await fill(row)
    scripted.list("/v1/customers/cus_1/payment_methods", [])
    await customers().withhold_cards(row, for_good=for_good)
    assert len(scripted.calls) == asked
    query = sa.select(TABLE.c.payer_unverified)
    still = await database.read(lambda connection: connection.execute(query).scalar_one())
    assert bool(still) is (unverified and not for_good)


async def test_the_cards_of_a_guest_are_withheld_at_the_checkout(customers, fill, scripted):
    await fill(mailed(meta=NAMED), bought(guest=True))
    scripted.list("/v1/customers/cus_1/payment_methods", [])
    await customers().find_or_make(ADA)
    assert (await customers().find(ADA)).payer_unverified, "until a page opens that charges whatever is there"
    assert [call[1] for call in scripted.calls] == ["/v1/customers/cus_1/payment_methods"]


LINKED = {
    "nobody's": ([customer()], {"cus_1": "ada"}),
    "one's own with a stranger's cards": (
        [customer(external_id="ada", payer_unverified=True), claim(email="ada@example.com")], {"cus_1": "ada"},
    ),
    "instead of another": (
        [customer(), customer("cus_0", "ada"), claim("cus_0")], {"cus_0": None, "cus_1": "ada"},
    ),
    "one that was taken from its user": ([customer(), claim(email="ada@example.com")], {"cus_1": "ada"}),
    "another's": ([customer(external_id="bob")], "another user's, bob"),
}  # fmt: skip


@pytest.mark.parametrize(("rows", "expected"), LINKED.values(), ids=LINKED)
async def test_an_operator_says_whose_a_customer_is(customers, database, fill, scripted, rows, expected):
    await fill(*rows)
    scripted.answer("GET", "/v1/customers/cus_1", theirs(metadata={}))
    scripted.answer("POST", "/v1/customers/cus_1", theirs())
    if isinstance(expected, str):
        with pytest.raises(BadInput, match=expected):
            await customers().link("ada", "cus_1")
        return
    await customers().link("ada", "cus_1")
    assert await owners(database) == expected
    assert written(scripted) == [("POST", "/v1/customers/cus_1", {"metadata[external_id]": "ada"})]
    query = sa.select(CLAIMS.c.customer_id, CLAIMS.c.email).where(CLAIMS.c.customer_id.is_not(None))
    claims = dict(await database.read(lambda connection: connection.execute(query).all()))
    assert claims["cus_1"] == "ada@example.com"
    unverified = sa.select(TABLE.c.payer_unverified).where(TABLE.c.id == "cus_1")
    assert not await database.read(lambda connection: connection.execute(unverified).scalar_one())


async def test_whom_the_metadata_at_stripe_name_loses_nothing_by_a_link(customers, database, fill, scripted):
    await fill(customer(), customer("cus_0", "bob"), claim("cus_0"))
    scripted.answer("GET", "/v1/customers/cus_1", theirs(metadata={"external_id": "bob"}))
    with pytest.raises(BadInput, match="its metadata at Stripe name bob"):
        await customers().link("ada", "cus_1")
    assert (await owners(database), written(scripted)) == ({"cus_0": "bob", "cus_1": None}, [])
    scripted.answer("POST", "/v1/customers/cus_1", theirs())
    with pytest.raises(BadInput, match="its metadata at Stripe name bob"):
        await customers().link("ada", "cus_1", instead_of="eve")
    await customers().link("ada", "cus_1", instead_of="bob")
    assert await owners(database) == {"cus_0": "bob", "cus_1": "ada"}
    assert written(scripted) == [("POST", "/v1/customers/cus_1", {"metadata[external_id]": "ada"})]


async def test_what_an_operator_took_from_its_user_is_not_linked_by_a_list(customers, database, fill, scripted):
    await fill(customer(), claim())
    scripted.answer("GET", "/v1/customers/cus_1", theirs(metadata={}))
    with pytest.raises(BadInput, match="it was taken from a user before"):
        await customers().link("ada", "cus_1", relink=False)
    assert (await owners(database), written(scripted)) == ({"cus_1": None}, [])


@both_databases
async def test_of_five_users_who_are_given_a_customer_at_once_one_has_it(database, fill):
    await fill(customer())
    gifts = (partial(give, external_id=user, customer_id="cus_1", relink=True) for user in "abcde")
    told = await asyncio.gather(*map(database.transaction, gifts), return_exceptions=True)
    (given,) = [each for each in told if not isinstance(each, BadInput)]
    assert (given.external_id, [*(await owners(database))]) == (None, ["cus_1"])


async def test_what_stripe_does_not_have_is_not_linked(customers, fill, scripted):
    scripted.refuse("GET", "/v1/customers/cus_1", "resource_missing", status=404)
    with pytest.raises(BadInput, match="Stripe has no customer cus_1"):
        await customers().link("ada", "cus_1")


async def test_whether_stripe_still_has_a_customer_is_asked_and_written_down(customers, fill, scripted):
    await fill(customer(), customer("cus_2"))
    scripted.answer("GET", "/v1/customers/cus_1", theirs())
    scripted.answer("GET", "/v1/customers/cus_2", {"id": "cus_2", "object": "customer", "deleted": True})
    scripted.answer("GET", "/v1/customers/cus_4", {"error": {"type": "api_error", "message": "no"}}, status=500)
    scripted.refuse("GET", "/v1/customers/cus_3", "resource_missing", status=404)
    asked = customers().is_deleted_at_stripe
    assert [await asked(f"cus_{number}") for number in (1, 2, 3)] == [False, True, True]
    with pytest.raises(StripeUnavailable):
        await asked("cus_4")
