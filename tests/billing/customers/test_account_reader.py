"""Accounts of many requests, read together: each its own, none older than its question."""

import asyncio
import contextlib
from datetime import timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa

from gateway.billing.catalog.service import Catalog
from gateway.billing.customers.account import AccountSelection
from gateway.billing.customers.account_reader import LEAST_SECONDS, AccountReader
from gateway.db.database import READ_SECONDS
from gateway.db.tables import table_for
from gateway.errors import BadInput, DatabaseUnavailable
from gateway.models.infra import CatalogVersion
from gateway.models.mirrored import Customer, Subscription
from gateway.settings import Settings
from harness.databases import both_databases, runtime_at
from harness.rows import NOW, customer, invoice, item, put, subscription

CUSTOMERS, VERSION = table_for(Customer), table_for(CatalogVersion)
GRACE = timedelta(days=3)


def page_of(user: str, first: int = 2, **more: bool) -> AccountSelection:
    return AccountSelection(user, pages=frozenset({(first, None)}), **more)


@contextlib.asynccontextmanager
async def people(url: str, count: int = 2):
    """A reader of accounts, and its catalogue: of p0, p1, …, each with a subscription and an invoice of that number."""
    runtime = runtime_at(url)
    catalog = Catalog(Settings.load(), runtime.database, hears=lambda: False)
    reader = AccountReader(catalog, GRACE)

    def write(connection: sa.Connection) -> None:
        early = int(NOW.timestamp())
        for each in range(count):
            mine = {"customer_id": f"cus_{each}"}
            put(connection, customer(f"cus_{each}", external_id=f"p{each}"))
            put(connection, subscription(f"sub_{each}", as_of=early, **mine))
            put(connection, item(f"si_{each}", "month", "pro", subscription_id=f"sub_{each}"))
            put(connection, invoice(f"in_{each}", subscription_id=f"sub_{each}", **mine))

    try:
        await runtime.database.transaction(write)
        async with asyncio.timeout(10):  # who is never answered waits for ever
            yield runtime.database, catalog, reader
    finally:
        await runtime.close()


def shown(found) -> list[str]:
    """What an account is made of, by its ids."""
    account, _ = found
    invoices = [row.id for page in account.pages.values() for row in page.rows]
    return [account.customer.id, *(each.subscription.id for each in account.subscriptions), *invoices]


@both_databases
async def test_everybody_gets_their_own_and_some_that_cannot_be_read_cost_the_others_nothing(database_url):
    async with people(database_url) as (_, _, reader):
        wanted = [page_of("p0"), page_of("p1", ended=True), page_of("p1", 0), page_of("\ud800"), page_of("nobody")]
        first, all_of_second, no_page, no_text, nobody = await asyncio.gather(
            *map(reader.read, wanted), return_exceptions=True
        )
        assert shown(first) == ["cus_0", "sub_0", "in_0"]
        assert shown(all_of_second) == ["cus_1", "sub_1", "in_1"]
        with pytest.raises(BadInput, match="1 to 100"):
            no_page[0].invoices(0, None)
        assert isinstance(no_text, Exception)
        assert nobody[0].customer is None
        assert not nobody[0].invoices(2, None).rows
        first, no_text = await asyncio.gather(*map(reader.read, (wanted[0], wanted[3])), return_exceptions=True)
        assert (shown(first), isinstance(no_text, Exception)) == (["cus_0", "sub_0", "in_0"], True)


async def test_readings_of_one_each_have_together_the_time_of_one(sqlite_url, monkeypatch):
    async with people(sqlite_url) as (_, catalog, reader):
        given: list[float] = []
        read_beside = catalog.read_beside

        async def noted(work, *, seconds):
            given.append(asyncio.get_running_loop().time() + seconds)
            await asyncio.sleep(0.05)  # as a reading that takes time
            return await read_beside(work, seconds=seconds)

        monkeypatch.setattr(catalog, "read_beside", noted)
        wanted = [page_of("p0"), page_of("p1"), page_of("\ud800")]
        await asyncio.gather(*map(reader.read, wanted), return_exceptions=True)
        assert len(given) == 1 + len(wanted)
        assert given == pytest.approx([given[0]] * len(given), abs=0.04, rel=0)


async def test_a_reading_is_of_so_many_at_most_and_has_a_second_however_long_they_have_waited(sqlite_url, monkeypatch):
    async with people(sqlite_url, 5) as (_, catalog, _):
        reader = AccountReader(catalog, GRACE, together=2, read_seconds=0)
        given: list[tuple[int, float]] = []
        read_beside = catalog.read_beside

        async def noted(work, *, seconds):
            given.append((len(work.keywords["wanted"]), seconds))
            return await read_beside(work, seconds=READ_SECONDS)

        monkeypatch.setattr(catalog, "read_beside", noted)
        everybody = await asyncio.gather(*(reader.read(AccountSelection(f"p{each}")) for each in range(5)))
        assert [shown(each)[0] for each in everybody] == [f"cus_{each}" for each in range(5)]
        assert [count for count, _ in given] == [2, 2, 1]
        assert [seconds for _, seconds in given] == pytest.approx([LEAST_SECONDS] * 3, abs=0.2, rel=0)


async def test_access_goes_on_for_as_long_as_the_reader_was_told(sqlite_url):
    late = sa.update(table_for(Subscription)).values(status="past_due")
    async with people(sqlite_url, 1) as (database, catalog, _):
        await database.transaction(lambda connection: connection.execute(late).rowcount)
        for days in (2, 4):
            (account, _) = await AccountReader(catalog, timedelta(days=days)).read(AccountSelection("p0"))
            (its,) = account.subscriptions
            assert its.access.allowed is (days == 4), "its period began three days ago"


async def test_however_many_ask_at_a_time_the_statements_are_those_of_one(sqlite_url):
    async with people(sqlite_url, 9) as (database, catalog, reader):
        await catalog.snapshot()
        statements: list[str] = []
        sa.event.listen(database._reader, "before_cursor_execute", lambda *given: statements.append(given[2]))
        (alone,) = await asyncio.gather(reader.read(AccountSelection("p0")))
        of_one = len(statements)
        together = await asyncio.gather(*(reader.read(page_of(f"p{each}")) for each in range(9)))
        assert len(statements) == of_one + of_one + 1
        assert [shown(each) for each in together] == [[f"cus_{each}", f"sub_{each}", f"in_{each}"] for each in range(9)]
        assert shown(alone) == ["cus_0", "sub_0"]


@both_databases
async def test_who_asks_while_others_are_read_sees_what_was_written_before(database_url):
    async with people(database_url) as (database, _, reader):
        for name in ("Ann", "Bea", "Cleo"):
            early = asyncio.create_task(reader.read(AccountSelection("p0")))
            await asyncio.sleep(0)
            await asyncio.sleep(0)  # it is on its way now
            renamed = sa.update(CUSTOMERS).values(name=name)
            await database.transaction(lambda connection, its=renamed: connection.execute(its))
            account, _ = await reader.read(AccountSelection("p0"))
            assert account.customer.name == name
            assert shown(await early) == ["cus_0", "sub_0"]


async def test_who_goes_away_takes_nobodys_answer_along(sqlite_url):
    async with people(sqlite_url) as (_, _, reader):
        leaving, staying = (asyncio.create_task(reader.read(AccountSelection("p0"))) for _ in range(2))
        await asyncio.sleep(0)
        leaving.cancel()
        assert shown(await staying) == ["cus_0", "sub_0"]
        assert leaving.cancelled()


async def test_a_database_that_is_away_is_told_to_all_and_asked_again(sqlite_url):
    async with people(sqlite_url) as (database, _, reader):
        file = Path(database.url.database)
        away = await asyncio.to_thread(file.rename, file.with_suffix(".away"))
        failed = await asyncio.gather(*map(reader.read, map(page_of, ("p0", "p1"))), return_exceptions=True)
        assert {type(each) for each in failed} == {DatabaseUnavailable}
        await asyncio.to_thread(away.rename, file)
        assert shown(await reader.read(page_of("p0"))) == ["cus_0", "sub_0", "in_0"]


@both_databases
async def test_with_accounts_a_change_of_the_catalogue_is_seen_that_was_not_heard(database_url):
    async with people(database_url) as (database, catalog, reader):
        before = await catalog.snapshot()
        assert (await reader.read(AccountSelection("p0")))[1] is before

        def change(connection: sa.Connection) -> None:
            connection.execute(sa.delete(VERSION))
            connection.execute(sa.insert(VERSION).values(id=1, version=before.version + 1, changed_at=NOW))

        await database.transaction(change)
        assert (await reader.read(AccountSelection("p0")))[1].version == before.version + 1
