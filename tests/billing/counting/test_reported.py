"""Thresholds of customers whose usage is reported and not consumed: on both databases, without a server."""

import asyncio
import json

import pytest
import sqlalchemy as sa

from gateway.billing.catalog.service import Catalog
from gateway.billing.counting.controls import ALERTS
from gateway.billing.counting.service import CountedFeatures
from gateway.billing.customers.access_memory import AccessMemory
from gateway.billing.customers.service import Customers
from gateway.billing.metering.usage import Report
from gateway.billing.user_errors import Rejected
from gateway.db.database import Database
from gateway.db.notifications import Notifications
from gateway.mirror.sync import Mirror
from gateway.models.metering import UsageControl, UsageCounter
from gateway.models.outbound import OutboxMessage
from gateway.settings import Settings
from gateway.stripe_api.client import Stripe
from harness.databases import both_databases
from harness.rows import DAY, customer, item, product, put, subscription
from harness.till import ADA, CALLS, PERIOD

META = {"features": "tokens, notes", "limit_tokens": "100", "use_tokens": "meter:calls", "use_notes": "meter:calls"}
SETTINGS = Settings.load(stripe_secret_key="sk_test_tests")


@pytest.fixture
async def counted(database_url):
    """The counting of a process, for Ada, who has a limit, and Bob, who has bought nothing."""
    notifications = Notifications()
    given = {"endpoints": ("https://shop.example/hooks",), "info": {ALERTS: (80, 100)}}
    database = Database(database_url, on_commit=notifications, **given)
    plan = item("si_1", "month", "pro")
    plan.current_period_start, plan.current_period_end = PERIOD
    rows = product("pro", meta=META), ADA, CALLS, subscription(), plan, customer("cus_2", "bob")
    await database.transaction(lambda connection: put(connection, *rows))
    catalog = Catalog(SETTINGS, database, hears=lambda: False)
    customers = Customers(SETTINGS, Mirror(database, ()), Stripe(SETTINGS))
    memory = AccessMemory(database, catalog, customers, notifications, 7 * DAY, max_bytes=0)
    yield CountedFeatures(database, memory), database
    await database.close()


async def rows(database, model) -> list[dict]:
    found = await database.read(lambda connection: connection.execute(sa.select(model.__table__)).mappings().all())
    return [dict(row) for row in found]


async def notifications(database) -> list[tuple]:
    data = [json.loads(row["payload"])["data"] for row in await rows(database, OutboxMessage)]
    return [(each["externalId"], each["feature"], each["threshold"], each["used"], each["limit"]) for each in data]


@both_databases
async def test_what_is_reported_is_told_of_once_whoever_reports_and_consumes_at_a_time(counted):
    features, database = counted
    await features.report([("", Report("ada", "calls", 79, "first")), ("", Report("bob", "calls", 500, "his"))])
    assert await notifications(database) == []

    def reported(place: int):
        return features.report([("", Report("ada", "calls", 1, f"r{place // 2}"))])

    def consumed(place: int):
        return features.consume("ada", "tokens", 1, f"c{place // 2}")

    await asyncio.gather(*(each(place) for place in range(12) for each in (reported, consumed)))
    ((*first, used, limit),) = await notifications(database)
    assert (first, 80 <= used <= 91, limit) == (["ada", "tokens", 80], True, 100)
    await features.report([("", Report("ada", "calls", 20, "last"))])
    await features.report([("", Report("ada", "calls", 20, "last"))])
    assert (await notifications(database))[1:] == [("ada", "tokens", 100, 111, 100)]
    (counter,) = await rows(database, UsageCounter)
    assert (counter["customer_id"], counter["name"], counter["used"]) == ("cus_1", "calls", 111)


async def test_what_is_reported_is_told_at_the_customers_own_thresholds(counted):
    features, database = counted
    own = UsageControl(customer_id="cus_1", alerts=[10])
    await database.transaction(lambda connection: put(connection, own))
    await features.report([("", Report("ada", "calls", 90, "first"))])
    assert await notifications(database) == [("ada", "tokens", 10, 90, 100)]


async def test_what_no_feature_counts_is_refused_where_there_is_no_such_meter(counted):
    features, database = counted
    with pytest.raises(Rejected) as raised:
        await features.report([("", Report("ada", "calls", 90, "a")), ("", Report("ada", "tea", 1, "b"))])
    assert [problem.code.name for problem in raised.value.problems] == ["METER_NOT_FOUND"]
    assert await notifications(database) == []
