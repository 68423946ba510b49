"""Decisions from memory: as good as the database's, or none."""

import asyncio
import contextlib
import time
from datetime import timedelta

import pytest
import sqlalchemy as sa

from gateway.billing.catalog.service import Catalog
from gateway.billing.customers.access_memory import BYTES, GRANT_BYTES, MAX_FEATURES, STATE_BYTES, AccessMemory
from gateway.billing.customers.service import Customers
from gateway.db.clock import Clock
from gateway.db.database import Database
from gateway.db.notifications import Notifications, publish
from gateway.db.tables import table_for
from gateway.mirror.sync import Mirror
from gateway.models.infra import CatalogVersion
from gateway.models.mirrored import CheckoutSession, Product
from gateway.settings import Settings
from gateway.stripe_api.client import Stripe
from harness.databases import both_databases
from harness.rows import DAY, NOW, at, customer, invoice, item, line, product, put, subscription
from harness.waiting import eventually_async

SETTINGS = Settings.load(stripe_secret_key="sk_test_tests")


class Process:
    """What one process of the gateway has of this."""

    def __init__(self, url: str, *, max_bytes: int = 4_000_000, settings: Settings = SETTINGS) -> None:
        self.clock, self.notifications = Clock(), Notifications()
        self.database = Database(url, endpoints=(), on_commit=self.notifications, clock=self.clock)
        catalog = Catalog(SETTINGS, self.database, hears=lambda: self.notifications.healthy)
        self.notifications.on("catalog", catalog.invalidate)
        customers = Customers(settings, Mirror(self.database, ()), Stripe(settings))
        self.memory = AccessMemory(self.database, catalog, customers, self.notifications, 7 * DAY, max_bytes=max_bytes)
        self._hearing: asyncio.Task[None] | None = None

    async def hear(self) -> None:
        self._hearing = asyncio.create_task(self.notifications.run(self.database))
        await self.current()

    async def hear_no_more(self) -> None:
        if self._hearing:
            self._hearing.cancel()
            await asyncio.gather(self._hearing, return_exceptions=True)

    async def write(self, *rows, topics=()) -> None:
        def work(connection):
            put(connection, *rows)
            publish(connection, *topics)

        await self.database.transaction(work)

    async def current(self) -> None:
        """Wait until it knows that it hears everything, which a busy machine may keep it from for a while."""

        async def probe() -> bool:
            return self.notifications.is_current()

        await eventually_async(probe)

    def recalled(self, user="ada", feature="boards"):
        """What is answered from memory at this moment; None for nothing."""
        grant = self.memory.recall(user, feature)
        return grant and grant.access.allowed

    async def remembered(self, user="ada", feature="boards"):
        """What is answered from memory, once it was decided."""
        await self.memory.grant(user, feature)
        await self.current()
        return self.recalled(user, feature)


@contextlib.asynccontextmanager
async def process(url: str, *, hears: bool = True, **options):
    made = Process(url, **options)
    if hears:
        await made.hear()
    try:
        yield made
    finally:
        await made.hear_no_more()
        await made.database.close()


@pytest.fixture
def rows():
    """Ada, whose subscription gives boards."""
    early = int(NOW.timestamp())
    pro = product("pro", meta={"features": "boards,sso", "limit_boards": "5"})
    return pro, customer(external_id="ada"), subscription(as_of=early), item("si_1", "month", "pro")


@both_databases
async def test_what_is_kept_is_answered_until_something_is_heard_of_its_customer(database_url, rows):
    async with process(database_url) as here, process(database_url) as there:
        await here.write(*rows, topics=["catalog"])
        assert await here.remembered()
        await eventually_async(there.remembered)  # once it has heard of the writing, which ends what it had read before
        assert here.recalled(feature="other") is False
        await here.write(topics=["customer:cus_2", "user:bob"])
        await here.current()
        assert here.recalled()
        await here.write(topics=["customer:cus_1"])
        assert here.recalled() is None
        await asyncio.sleep(0.05)  # no answer is older than this
        assert there.recalled() is None  # it has heard, or knows that it does not hear
        assert await there.remembered()
        await here.write(topics=["user:ada"])
        assert here.recalled() is None


@both_databases
async def test_nothing_is_answered_from_memory_by_who_does_not_hear(database_url, rows):
    async with process(database_url, hears=False) as deaf:
        await deaf.write(*rows)
        for _ in range(2):
            assert (await deaf.memory.grant("ada", "boards")).access.allowed
            assert deaf.recalled() is None
        await deaf.hear()
        assert await deaf.remembered()
        await deaf.hear_no_more()
        assert deaf.recalled() is None
        await deaf.hear()
        assert deaf.recalled() is None  # what was kept before the gap is gone


@both_databases
async def test_what_a_loop_that_stood_still_has_not_heard_is_not_answered(database_url, rows):
    async with process(database_url) as here:
        await here.write(*rows)
        assert await here.remembered()
        remembered = here.memory.recall("ada", "boards")
        time.sleep(0.05)  # noqa: ASYNC251 - the loop itself stands still
        assert here.recalled() is None
        assert await here.memory.grant("ada", "boards") is remembered  # after one more look
        await here.current()
        assert here.recalled()


async def test_a_kept_decision_ends_when_time_alone_may_end_it_and_is_not_there_before_it_was_made(sqlite_url, rows):
    pro, ada, held, its = rows
    held.status, held.as_of = "past_due", 0
    async with process(sqlite_url) as here:
        present = here.clock.now()
        its.current_period_start, its.current_period_end = present - 6 * DAY, present + 24 * DAY
        await here.write(pro, ada, held, its)
        assert await here.remembered()
        for hours, expected in ((23, True), (25, None), (-1, None)):
            here.clock.follow(hours * 3600)
            await here.current()
            assert here.recalled() is expected, hours
        here.clock.follow(25 * 3600)
        assert (await here.memory.grant("ada", "boards")).access.allowed is False


async def test_a_product_that_changes_is_decided_anew_without_reading_the_customer(sqlite_url, rows):
    async with process(sqlite_url) as here:
        await here.write(*rows)
        assert await here.remembered()
        await here.write(product("new", meta={}), topics=["catalog"])
        assert here.recalled() is None
        assert await here.remembered()
        products = table_for(Product)
        less = sa.update(products).where(products.c.id == "pro").values(meta={"features": "sso"})
        version = table_for(CatalogVersion)
        newer = sa.update(version).values(version=version.c.version + 1)
        await here.database.transaction(
            lambda connection: [connection.execute(each).rowcount for each in (less, newer)]
        )
        await here.write(topics=["catalog"])
        assert (await here.remembered(), await here.remembered(feature="sso")) == (False, True)


async def test_a_decision_is_made_once_until_there_are_too_many(sqlite_url, rows):
    async with process(sqlite_url) as here:
        await here.write(*rows)
        names = [f"feature {number}" for number in range(MAX_FEATURES + 1)]
        first, again = await here.memory.some("ada", names), await here.memory.some("ada", names)
        assert [first[name] is again[name] for name in names] == [True] * MAX_FEATURES + [False]
        assert first == again


HEARD = {
    "of the customer": ({"customer:cus_1"}, None),
    "of the user": ({"user:ada", "user:zoe"}, None),
    "of both": ({"user:ada", "customer:cus_1"}, None),
    "of others": ({"user:zoe", "customer:cus_2"}, True),
    "nothing for certain": (None, None),
}


@pytest.mark.parametrize(("topics", "remembered"), HEARD.values(), ids=HEARD)
async def test_what_was_read_while_its_topic_was_heard_is_not_kept(sqlite_url, rows, topics, remembered):
    async with process(sqlite_url) as here:
        await here.write(*rows)
        assert await here.remembered("bob") is False  # the catalogue is there
        leaving, deciding = (asyncio.create_task(here.memory.grant(user, "boards")) for user in ("zoe", "ada"))
        await asyncio.sleep(0)
        leaving.cancel()  # whoever stops reading first takes nobody's place in what is heard
        await asyncio.wait([leaving])
        here.notifications.dispatch(topics) if topics else here.notifications._look_at_everything()
        assert (await deciding).access.allowed
        await here.current()
        assert here.recalled() is remembered


async def test_who_has_no_customer_is_kept_unless_a_checkout_names_them(sqlite_url, rows):
    async with process(sqlite_url) as here:
        given = {"mode": "payment", "ui_mode": "hosted", "status": "open", "payment_status": "unpaid", "as_of": 0}
        session = CheckoutSession(id="cs_1", client_reference_id="eve", created=NOW, expires_at=NOW, **given)
        await here.write(*rows, session)
        assert await here.remembered("bob") is False
        assert await here.remembered("eve") is None
        await here.write(topics=["user:bob"])
        assert here.recalled("bob") is None


async def test_what_a_trusted_payment_link_sold_is_its_users_at_the_first_question(sqlite_url, rows):
    pro, _, held, its = rows
    trusting = Settings.load(stripe_secret_key="sk_test_tests", trust_payment_link_references=True)
    given = {"mode": "payment", "ui_mode": "hosted_page", "status": "complete", "payment_status": "paid", "as_of": 0}
    given |= {"customer_id": "cus_1", "payment_link": "plink_1", "created": NOW, "expires_at": NOW}
    async with process(sqlite_url, settings=trusting) as here:
        await here.write(pro, customer(), held, its, CheckoutSession(id="cs_1", client_reference_id="eve", **given))
        assert (await here.memory.of_customer("eve", "boards"))[0] == "cus_1"
        assert await here.remembered("eve")
        assert await here.remembered("bob") is False
        assert [grant.feature for grant in await here.memory.all("eve")] == ["boards", "sso"]
        known = {grant.feature: grant.access.allowed for grant in await here.memory.known("eve")}
        assert (known["boards"], known["sso"]) == (True, True)
        assert not any(grant.access.allowed for grant in await here.memory.known("bob"))
        assert await here.memory.all("bob") == []


@pytest.mark.parametrize(("room", "remembered"), [(0, True), (-1, None)])
async def test_what_a_users_metadata_takes_counts(sqlite_url, rows, room, remembered):
    pro, ada, held, its = rows
    held.meta = {"note": "x" * 996}
    share = BYTES + STATE_BYTES + GRANT_BYTES + 2 * 1_000
    async with process(sqlite_url, max_bytes=3 * (share + room)) as here:
        await here.write(pro, ada, held, its)
        assert await here.remembered() is remembered


async def test_the_least_recently_used_make_room(sqlite_url, rows):
    room = 3 * (BYTES + STATE_BYTES + GRANT_BYTES)
    async with process(sqlite_url, max_bytes=room) as here:
        await here.write(*rows)
        assert await here.remembered("ada")
        for number in range(30):
            await here.remembered(f"user {number}")
        assert here.recalled("ada") is None
        assert here.memory._by_user.currsize <= room
        assert len(here.memory._by_topic) == len(here.memory._by_user)
        for number in range(20):  # who takes more than a share is read each time
            assert (await here.memory.grant("ada", f"feature {number}")).access.allowed is False
        assert here.recalled("ada") is None


@both_databases
async def test_paid_rests_end_with_their_invoices(database_url, rows):
    pro, ada, held, its = rows
    held.status = "canceled"
    async with process(database_url) as here:
        await here.write(pro, ada, held, its, invoice("in_1", line(-3, 27)))
        assert await here.remembered()
        here.clock.follow(int((at(27) - here.clock.now() + timedelta(seconds=1)).total_seconds()))
        assert here.recalled() is None
        assert (await here.memory.grant("ada", "boards")).access.allowed is False
