"""A quote is kept, and is good only for the state and the minutes that it was made for: without a server."""

from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa

from gateway.billing.subscriptions.quotes import QUOTES, expired, remember
from gateway.models.subscriptions import ChangeQuote
from gateway.stripe_api.client import StripeResponse

MOMENT = datetime(2026, 11, 23, 12, tzinfo=UTC)
MINUTE, SECOND = timedelta(minutes=1), timedelta(seconds=1)


def subscription(quantity: int = 1, id: str = "sub_1", **more) -> dict:
    only = {"id": "si_1", "price": {"id": "month"}, "quantity": quantity, "current_period_end": 5}
    return {"id": id, "status": "active", "items": {"data": [only]}, **more}


def present(obj: dict, after: timedelta = MINUTE) -> StripeResponse:
    return StripeResponse(obj, int((MOMENT + after).timestamp()), 0, replayed=False)


async def refused(database, obj: dict, moment: datetime | None = MOMENT, after: timedelta = MINUTE):
    problem = await expired(database, moment, present(obj, after))
    return problem and (problem.code.name, problem.field, "changed" in problem.message)


OLD, CHANGED = ("PREVIEW_EXPIRED", "prorationDate", False), ("PREVIEW_EXPIRED", "prorationDate", True)


async def test_a_quote_is_of_one_state(database):
    await remember(database, subscription(), MOMENT)
    assert await refused(database, subscription()) is None
    assert await refused(database, subscription(2)) == CHANGED
    assert await refused(database, subscription(2, test_clock="clock_1")) == CHANGED
    assert await refused(database, subscription(), after=16 * MINUTE) == OLD
    await remember(database, subscription(2), MOMENT)  # two tabs
    assert [await refused(database, subscription(n)) for n in (1, 2, 3)] == [None, None, CHANGED]


async def test_a_date_that_was_given_to_nobody_is_no_quote(database):
    await remember(database, subscription(id="sub_2"), MOMENT)
    await remember(database, subscription(), MOMENT + SECOND)
    assert await refused(database, subscription()) == OLD
    assert await refused(database, subscription(), MOMENT + SECOND) is None


async def test_without_a_preview_there_is_nothing_to_expire(database):
    assert await refused(database, subscription(), None, 99 * MINUTE) is None


async def test_quotes_are_forgotten_after_a_day(database, fill):
    now = datetime.now(UTC)
    for name, age in (("a", timedelta(hours=25)), ("b", timedelta(hours=23))):
        row = {"subscription_id": name, "proration_date": MOMENT, "state": name, "created": now - age}
        await fill(ChangeQuote(**row))
    await remember(database, subscription(), MOMENT)
    await remember(database, subscription(), MOMENT)
    rows = await database.read(lambda connection: connection.execute(sa.select(QUOTES)).mappings().all())
    assert [(row["subscription_id"], row["proration_date"]) for row in rows] == [("b", MOMENT), ("sub_1", MOMENT)]
    assert abs((rows[1]["created"] - now).total_seconds()) < 60


@pytest.mark.parametrize(("age", "good"), [(15 * MINUTE, True), (15 * MINUTE + SECOND, False), (-MINUTE, True)])
async def test_a_quote_is_good_for_minutes(database, age, good):
    await remember(database, subscription(), MOMENT)
    problem = await expired(database, MOMENT, present(subscription(), age))
    assert (problem is None) is good
    assert good or problem.message.startswith("a quote is good for 15 minutes")
