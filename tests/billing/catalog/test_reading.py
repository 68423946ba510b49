"""When the catalogue is read, and which one is served meanwhile: on a database, without a server."""

import asyncio

import pytest
import sqlalchemy as sa
from billing.catalog.test_catalog import read_tables
from prometheus_client import REGISTRY

from gateway.billing.catalog import service
from gateway.billing.catalog.service import Catalog
from gateway.errors import DatabaseUnavailable
from gateway.mirror.upsert import bump_catalog
from gateway.settings import Settings
from harness.rows import price, product, put
from harness.waiting import eventually_async


@pytest.fixture
def heard() -> list[bool]:
    """Whether everything is heard that others have changed: the last one."""
    return [True]


@pytest.fixture
async def catalog(database, heard, fill) -> Catalog:
    await fill(product("pro"), price("month", "pro", currency_options={"eur": {"unit_amount": 800}}))
    return Catalog(Settings.load(default_currency="eur"), database, lambda: heard[-1], pause_seconds=0.2)


@pytest.fixture
def change(database):
    """Writes a product as another process does it."""

    async def write(id: str) -> None:
        def both(connection: sa.Connection) -> None:
            put(connection, product(id))
            bump_catalog(connection, [("product", id)])

        await database.transaction(both)

    return write


def counted(result: str) -> float:
    return REGISTRY.get_sample_value("gateway_cache_total", {"cache": "catalog", "result": result}) or 0


async def renamed(database, one: str, other: str) -> None:
    """Keep the database from being read, or no longer."""
    await database.transaction(lambda connection: connection.execute(sa.text(f"ALTER TABLE {one} RENAME TO {other}")))


async def test_the_present_one_is_known_without_looking_until_something_changes(catalog, heard):
    assert catalog.current is None
    hits, misses = counted("hit"), counted("miss")
    first = await catalog.snapshot()
    assert (catalog.current, first.currency, [*first.prices]) == (first, "eur", ["month"])
    assert await catalog.snapshot() is first
    assert (counted("hit"), counted("miss")) == (hits + 1, misses + 1)
    catalog.hear({"customer:cus_1"})
    assert catalog.current is first
    heard.append(False)
    assert catalog.current is None
    heard.append(True)
    for topics in ({"catalog"}, None):
        catalog.hear(topics)
        assert catalog.current is None
        await catalog.snapshot()
        assert catalog.current is not None


async def test_what_was_not_heard_is_found_by_looking(catalog, heard, change, database):
    before = await catalog.snapshot()
    await change("late")
    assert await catalog.snapshot() is before  # nobody has told
    heard.append(False)
    with read_tables(database) as asked:
        after = await catalog.snapshot()
    assert asked == ["catalog_version", "catalog_version", "catalog_change", "product"]
    assert after.version == before.version + 1
    moment = sa.select(service.VERSION.c.changed_at)
    assert after.as_of == await database.read(lambda connection: connection.execute(moment).scalar())
    assert after.as_of > before.as_of
    hits, misses = counted("hit"), counted("miss")
    assert await catalog.snapshot() is after
    assert (counted("hit"), counted("miss")) == (hits + 1, misses)


async def test_beside_other_work_the_version_is_asked_in_the_same_trip(catalog, heard, change, database):
    def work(connection: sa.Connection) -> str:
        return str(connection.execute(sa.text("SELECT 'done'")).scalar())

    found, first = await catalog.read_beside(work, seconds=5)
    assert (found, catalog.current) == ("done", first)
    hits, misses = counted("hit"), counted("miss")
    assert await catalog.read_beside(work, seconds=5) == ("done", first)
    assert (counted("hit"), counted("miss")) == (hits + 1, misses)
    await change("late")
    found, second = await catalog.read_beside(work, seconds=5)
    assert (found, second.version) == ("done", first.version + 1)
    assert (counted("hit"), counted("miss")) == (hits + 1, misses + 1)
    heard.append(False)
    with read_tables(database) as asked:
        assert await catalog.read_beside(work, seconds=5) == ("done", second)
    assert asked == ["catalog_version"]
    heard.append(True)
    hits += 1
    catalog.hear({"catalog"})
    assert await catalog.read_beside(work, seconds=5) == ("done", second)
    assert (counted("hit"), counted("miss")) == (hits + 1, misses + 2)
    await renamed(database, "product", "gone")
    with pytest.raises(DatabaseUnavailable):
        await Catalog(Settings.load(), database).read_beside(work, seconds=5)


@pytest.mark.parametrize("hears", [True, False])
async def test_while_nothing_can_be_read_the_last_one_is_served_and_not_asked_for_again_at_once(
    catalog, heard, database, change, hears
):
    heard.append(hears)
    before = await catalog.snapshot()
    await change("late")
    await renamed(database, "catalog_version", "gone")
    catalog.hear({"catalog"} if hears else set())
    assert await catalog.snapshot() is before
    await renamed(database, "gone", "catalog_version")
    assert await catalog.snapshot() is before
    assert catalog.current is None

    async def version() -> int:
        return (await catalog.snapshot()).version

    await eventually_async(version, before.version + 1, 20)


async def test_who_asks_after_a_change_does_not_wait_for_what_was_read_before_it(catalog, change):
    early = asyncio.create_task(catalog.snapshot())
    await asyncio.sleep(0)
    await change("late")
    catalog.hear({"catalog"})
    late = await catalog.snapshot()
    await early
    assert catalog.current is late
    assert late.version == 1
    catalog.hear(None)  # a gap: all of it is read again, once
    after = await catalog.snapshot()
    assert after.by_product["pro"] is not late.by_product["pro"]
    await change("later")
    catalog.hear({"catalog"})
    assert (await catalog.snapshot()).by_product["pro"] is after.by_product["pro"]


async def test_a_database_that_has_no_version_yet_is_read(catalog, database):
    await database.transaction(lambda connection: connection.execute(sa.text("DELETE FROM catalog_version")))
    found = await catalog.snapshot()
    assert (found.version, [*found.prices]) == (0, ["month"])
    assert await catalog.read_beside(lambda _: "done", seconds=5) == ("done", found)


async def test_a_change_among_others_is_read_alone_and_one_that_nobody_names_with_all(catalog, change, database):
    first = await catalog.snapshot()
    await change("late")
    catalog.hear({"catalog"})
    second = await catalog.snapshot()
    assert second.by_product["pro"] is first.by_product["pro"]
    catalog.hear({"catalog"})
    assert await catalog.snapshot() is second  # heard twice
    for untold in ("UPDATE catalog_version SET version = version + 1", "DELETE FROM product WHERE id = 'late'"):
        await database.transaction(lambda connection, its=untold: connection.execute(sa.text(its)))
    catalog.hear({"catalog"})
    third = await catalog.snapshot()
    assert ({*second.by_product}, {*third.by_product}) == ({"pro", "late"}, {"pro"})
    assert third.by_product["pro"] is not first.by_product["pro"]
    assert third.version == second.version + 1
