"""All customers: listed by pages and filters on both databases, changed and given to users by the back end."""

import asyncio
from datetime import timedelta
from functools import partial

import pytest
import sqlalchemy as sa

from gateway.auth.principal import Principal
from gateway.billing.audit import ENTRIES, Action, AuditLog
from gateway.billing.checkout.sessions import Sessions
from gateway.billing.customers.directory import CustomerDesk, CustomerFilter, list_customers
from gateway.billing.customers.profile import CLAIMS
from gateway.billing.customers.service import CUSTOMERS, Customers
from gateway.billing.user_errors import Rejected
from gateway.db.database import Database
from gateway.db.locks import user_lock
from gateway.db.notifications import Notifications
from gateway.errors import BadInput, StripeUnavailable
from gateway.models.checkout import CustomerClaim
from gateway.models.mirrored import CheckoutSession
from gateway.settings import Settings
from harness.databases import both_databases, waiters
from harness.rejected import codes
from harness.rows import NOW, charge, customer, invoice, put, subscription


@both_databases
async def test_pages_and_filters_of_all_customers(database_url):
    database = Database(database_url, endpoints=(), on_commit=Notifications())
    rows = [
        customer("cus_1", external_id="ada", email="Ada@x.example", email_lower="ada@x.example", created=NOW),
        customer("cus_2", created=NOW),  # in the same second
        customer("cus_3", delinquent=True, created=NOW + timedelta(days=1)),
        customer("cus_4", deleted=True, created=NOW),
        customer("acct_1/cus_5", created=NOW),  # a connected account's
        subscription("sub_1", customer_id="cus_1"),
    ]
    await database.transaction(lambda connection: put(connection, *rows))

    async def listed(first: int = 50, after: str | None = None, **wanted) -> list[str]:
        page = await list_customers(database, CustomerFilter(**wanted), first, after)
        return [row.id for row in page.rows]

    assert await listed() == ["cus_3", "cus_2", "cus_1"]
    assert (
        await listed(email="ADA@x.example") == await listed(linked=True) == await listed(status="active") == ["cus_1"]
    )
    assert await listed(linked=False, delinquent=False) == ["cus_2"]
    assert await listed(delinquent=True) == ["cus_3"]
    assert await listed(status="canceled") == await listed(email="nobody@x.example") == []
    assert (
        await listed(search=" ADA@x.example ")
        == await listed(search="ada")
        == await listed(search="cus_1")
        == ["cus_1"]
    )
    seen, after = [], None
    while page := await list_customers(database, CustomerFilter(), 1, after):
        seen += [row.id for row in page.rows]
        after = page.cursor_of(page.rows[-1])
        if not page.has_next:
            break
    assert seen == ["cus_3", "cus_2", "cus_1"]
    for bad in ("cus_1", "bm90aGluZw==", "OTk5OTk5OTk5OTk5OTk5OSBjdXNfMQ=="):
        with pytest.raises(BadInput):
            await listed(after=bad)
    await database.close()


def bought(id: str, customer_id: str, external_id: str | None = None) -> CheckoutSession:
    given = {"mode": "payment", "ui_mode": "hosted_page", "status": "open", "payment_status": "unpaid", "as_of": 0}
    its = {"customer_id": customer_id, "external_id": external_id}
    return CheckoutSession(id=id, created=NOW, expires_at=NOW, **its, **given)


async def test_a_customer_is_found_by_what_is_its_own(database, fill):
    await fill(customer("cus_1", name="sub_1"), customer("cus_2"), customer("cus_3", external_id="Ada"))
    await fill(
        subscription(),
        bought("cs_test_1", "cus_1"),
        charge("ch_1"),
        invoice("in_1"),
        subscription("sub_2", "canceled", deleted=True),
    )

    async def found(**wanted) -> list[str]:
        return [row.id for row in (await list_customers(database, CustomerFilter(**wanted), 9, None)).rows]

    for named in ("sub_1", "cs_test_1", "ch_1", "in_1", "cus_1"):
        assert await found(search=named) == ["cus_1"], named
    for named in ("sub_9", "pi_1", "ch_", "", "ada", "_"):
        assert await found(search=named) == [], named
    assert await found(search="Ada") == await found(linked=True) == ["cus_3"]
    assert await found(status="canceled") == []  # which was deleted


# What the back end does ------------------------------------------------------------------------------------------

ADA, CUS = Principal(subject="ada", is_service=True), "/v1/customers/cus_1"


@pytest.fixture
def desk(mirror, stripe, scripted, database) -> CustomerDesk:
    settings = Settings.load(stripe_secret_key="sk_test_tests", stripe_api_base=scripted.url)
    customers, close_checkouts = Customers(settings, mirror, stripe), Sessions(mirror, stripe).close_all
    return CustomerDesk(customers, mirror, stripe, AuditLog(database), close_checkouts=close_checkouts)


def theirs(id: str = "cus_1", **columns) -> dict:
    obj = {"id": id, "object": "customer", "email": "ada@example.com", "metadata": {"external_id": "ada"}}
    return {**obj, "created": int(NOW.timestamp()) - 10**9, **columns}


def by(key: str | None = None) -> partial:
    return partial(Action, by="test", key=key)


def written(scripted) -> list[tuple[str, str, dict]]:
    return [call for call in scripted.calls if call[0] != "GET"]


async def entries(database) -> list[tuple]:
    columns = (ENTRIES.c.action, ENTRIES.c.external_id, ENTRIES.c.target, ENTRIES.c.input, ENTRIES.c.status)
    return [tuple(row) for row in await database.read(lambda connection: connection.execute(sa.select(*columns)).all())]


async def owners(database) -> dict[str, str | None]:
    query = sa.select(CUSTOMERS.c.id, CUSTOMERS.c.external_id)
    return dict(await database.read(lambda connection: connection.execute(query).all()))


CHANGES = {
    "both": ("new@example.com", "Ada", {"email": "new@example.com", "name": "Ada"}),
    "the address": ("new@example.com", None, {"email": "new@example.com"}),
    "the name is taken away": (None, "", {"name": ""}),
    "a long name": (None, "n" * 256, {"name": "n" * 256}),
}


@pytest.mark.parametrize(("email", "name", "changes"), CHANGES.values(), ids=CHANGES)
async def test_a_users_customer_is_changed_once_for_a_key(desk, database, fill, scripted, email, name, changes):
    await fill(customer(external_id="ada", meta={"external_id": "ada"}))
    scripted.answer("POST", CUS, theirs(name="as Stripe has it"))
    for _ in range(2):
        assert (await desk.update(ADA, email, name, by("k"))).name == "as Stripe has it"
    assert written(scripted) == [("POST", CUS, changes)]
    assert await entries(database) == [("customer.update", "ada", None, changes, "done")]


async def test_who_is_none_yet_becomes_a_customer(desk, scripted, database):
    scripted.answer("POST", "/v1/customers", theirs(email=None))
    for method in ("POST", "GET"):
        scripted.answer(method, CUS, theirs(name="Ada"))
    assert (await desk.update(ADA, None, "Ada", by())).name == "Ada"
    assert [call[1] for call in written(scripted)] == ["/v1/customers", CUS]
    assert await owners(database) == {"cus_1": "ada"}


async def test_which_change_is_refused(desk, database, fill, scripted):
    await fill(customer(external_id="ada", meta={"external_id": "ada"}))
    bad, long = ("EMAIL_INVALID", "email"), ("TEXT_TOO_LONG", "name")
    assert await codes(desk.update(ADA, "ada", "n" * 257, by())) == [bad, long]
    assert (scripted.calls, await entries(database)) == ([], [])
    scripted.refuse("POST", CUS, "email_invalid")
    assert await codes(desk.update(ADA, "ada@example.test", None, by())) == [("STRIPE_REFUSED", None)]
    assert [each[-1] for each in await entries(database)] == ["refused"]


async def test_what_stripe_did_not_answer_is_asked_for_by_the_same_key(desk, fill, scripted):
    await fill(customer(external_id="ada", meta={"external_id": "ada"}))
    scripted.answer("POST", CUS, {"error": {"type": "api_error", "message": "no"}}, status=500)
    for key in ("k", "k", "l"):
        with pytest.raises(StripeUnavailable):
            await desk.update(ADA, None, "Ada", by(key))
    first, again, other = dict.fromkeys(scripted.keys[:1]), scripted.keys[1], scripted.keys[-1]
    assert ([*first], other == again) == ([again], False)
    assert again.startswith("action-")


UNAVAILABLE = [("CUSTOMER_UNAVAILABLE", "customerId")]


@pytest.mark.parametrize(("instead_of", "asked"), [(None, {}), ("bob", {"instead_of": "bob"})])
async def test_a_customer_is_given_to_a_user(desk, database, fill, scripted, instead_of, asked):
    await fill(customer(), customer("cus_0", "bob"))
    scripted.answer("GET", CUS, theirs(metadata={"external_id": instead_of} if instead_of else {}))
    scripted.answer("POST", CUS, theirs())
    for _ in range(2):
        assert (await desk.link("ada", "cus_1", by("k"), instead_of=instead_of)).external_id == "ada"
    assert await owners(database) == {"cus_0": "bob", "cus_1": "ada"}
    assert written(scripted) == [("POST", CUS, {"metadata[external_id]": "ada"})]
    assert await entries(database) == [("customer.link", "ada", "cus_1", asked, "done")]


async def test_which_customer_is_not_given(desk, database, fill, scripted):
    await fill(
        customer(external_id="bob"),
        customer("cus_2"),
        CustomerClaim(external_id="eve", generation=1, customer_id="cus_2", created=NOW),
    )
    scripted.answer("GET", CUS, theirs(metadata={}))
    scripted.answer("GET", "/v1/customers/cus_2", theirs("cus_2", metadata={}))
    scripted.answer("POST", "/v1/customers/cus_2", theirs("cus_2"))
    scripted.refuse("GET", "/v1/customers/cus_9", "resource_missing", status=404)
    for its in ("cus_1", "cus_9", "cus_", "x", "cus_1/sources", "cus_" + "1" * 251):
        assert await codes(desk.link("ada", its, by())) == UNAVAILABLE, its
    assert await codes(desk.link("ada", "cus_2", by(), relink=False)) == UNAVAILABLE  # taken from Eve
    with pytest.raises(Rejected, match="another user's, bob"):
        await desk.link("ada", "cus_1", by())
    assert {call[1] for call in scripted.calls} == {CUS, "/v1/customers/cus_2", "/v1/customers/cus_9"}
    assert await owners(database) == {"cus_1": "bob", "cus_2": None}
    assert (await desk.link("ada", "cus_2", by())).external_id == "ada"


async def test_a_customer_is_taken_from_its_user_at_stripe_first(desk, database, fill, scripted):
    await fill(customer(external_id="ada", meta={"external_id": "ada"}))
    scripted.answer("POST", CUS, theirs(metadata={}))
    for _ in range(2):
        taken = await desk.unlink("ada", "cus_1", by("k"))
    assert (taken.external_id, taken.meta, await owners(database)) == (None, {}, {"cus_1": None})
    assert written(scripted) == [("POST", CUS, {"metadata[external_id]": ""})]
    assert scripted.keys[0].startswith("action-")
    assert await entries(database) == [("customer.unlink", "ada", "cus_1", {}, "done")]
    claims = sa.select(CLAIMS.c.external_id, CLAIMS.c.customer_id)
    assert await database.read(lambda connection: connection.execute(claims).all()) == [("ada", "cus_1")]


@pytest.mark.parametrize(
    ("loses", "owner", "held"),
    [("unlink", None, "owner:ada"), ("link", "ada", "owner:ada"), ("link", "ada", "customer:cus_1")],
)
async def test_what_a_user_loses_waits_for_who_acts_upon_it(desk, database, fill, scripted, loses, owner, held):
    """What could be paid yet is closed before: it would be the customer's who is nobody's then."""
    lost = "cus_1" if loses == "unlink" else "cus_0"
    await fill(customer(external_id=None if owner else "ada"), customer("cus_0", owner), bought("cs_1", lost, "ada"))
    scripted.answer("GET", CUS, theirs(metadata={}))
    scripted.answer("POST", CUS, theirs(metadata={}))
    path, session = "/v1/checkout/sessions/cs_1/expire", {"id": "cs_1", "object": "checkout.session", "mode": "payment"}
    columns = {"customer": lost, "ui_mode": "hosted_page", "status": "expired", "payment_status": "unpaid"}
    scripted.answer("POST", path, {"error": {"type": "api_error", "message": "no"}}, status=500)
    scripted.answer("POST", path, {**session, **columns, "created": 1, "expires_at": 2})
    with pytest.raises(StripeUnavailable):
        await getattr(desk, loses)("ada", "cus_1", by("k"))
    assert await owners(database) == {"cus_1": None if owner else "ada", "cus_0": owner}
    scripted.calls.clear()
    async with user_lock(database, held):  # by the user, or by an operator who acts for nobody's customer
        asked = asyncio.create_task(getattr(desk, loses)("ada", "cus_1", by("k")))
        await waiters(database, held)
        assert scripted.calls == []
    assert (await asked).external_id == owner
    assert [call[1] for call in written(scripted)] == [path, CUS]


async def test_what_is_anothers_or_not_there_is_not_taken(desk, database, fill, scripted):
    await fill(customer(external_id="bob"), customer("cus_2"), customer("cus_3", "ada"))
    scripted.refuse("POST", "/v1/customers/cus_3", "no")
    for its in ("cus_1", "cus_2", "cus_9"):
        assert await codes(desk.unlink("ada", its, by())) == UNAVAILABLE, its
    assert scripted.calls == []
    assert await codes(desk.unlink("ada", "cus_3", by())) == [("STRIPE_REFUSED", None)]
    assert await owners(database) == {"cus_1": "bob", "cus_2": None, "cus_3": "ada"}


@pytest.mark.parametrize("taken", [True, False])
async def test_what_was_taken_before_the_answer_was_lost_is_answered(desk, database, fill, scripted, taken):
    """The first attempt ends after Stripe was asked; its event, or another's link, comes before the second one."""
    await fill(customer(external_id="ada", meta={"external_id": "ada"}))
    scripted.answer("POST", CUS, {"error": {"type": "api_error", "message": "no"}}, status=500)
    with pytest.raises(StripeUnavailable):
        await desk.unlink("ada", "cus_1", by("k"))
    now = sa.update(CUSTOMERS).values(external_id=None if taken else "bob")
    await database.transaction(lambda connection: connection.execute(now).rowcount)
    scripted.forget()
    scripted.answer("POST", CUS, theirs(metadata={}))
    again = desk.unlink("ada", "cus_1", by("k"))
    assert (await again).external_id is None if taken else await codes(again) == UNAVAILABLE
    assert scripted.keys[0] == scripted.keys[-1]
