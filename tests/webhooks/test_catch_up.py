"""The process that reads Stripe's list of events."""

import asyncio
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa
import structlog

from gateway.db.locks import leader
from gateway.db.rows import row_by_id
from gateway.db.tables import table_for
from gateway.models.infra import SyncState
from gateway.operators.checks import run_checks
from gateway.runtime import compose
from gateway.webhooks import catch_up as missed
from gateway.webhooks.catch_up import run_catch_up
from gateway.webhooks.inbox import Inbox
from harness.gateway import make_world
from harness.waiting import eventually_async


@pytest.mark.postgres
async def test_of_several_processes_one_reads_stripes_list_and_warns_before_its_thirty_days_are_over(postgres_url):
    with make_world(postgres_url, fill=False, event_catch_up_minutes=0) as world:
        runtime = compose(world.settings)
        database, stripe = runtime.database, runtime.require_stripe()

        async def read():
            state = await database.read(lambda connection: row_by_id(connection, SyncState, missed.NAME))
            return state and state.completed_at

        @asynccontextmanager
        async def process():
            task = asyncio.create_task(run_catch_up(Inbox(runtime.mirror), stripe, 0.2))
            yield
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

        async with leader(database, missed.NAME) as leading:
            assert leading
            async with process():
                await asyncio.sleep(0.6)  # as long as three rounds of it
                assert await read() is None  # another one leads
        async with process():  # which has ended
            await eventually_async(read)

        long_ago = sa.update(table_for(SyncState)).values(completed_at=datetime.now(UTC) - timedelta(days=21))
        await database.transaction(lambda connection: connection.execute(long_ago))
        checks = {check.name: check async for check in run_checks(runtime)}
        assert "before Stripe's 30 days are over" in checks["missed events"].fix
        with structlog.testing.capture_logs() as logs:
            async with process():
                await eventually_async(lambda: _said(logs, "events_soon_lost"))
        await runtime.close()


async def _said(logs, event):
    return any(each["event"] == event for each in logs)
