"""A pooler before PostgreSQL: one that pools by sessions will do, any other is refused in a line."""

import asyncio

import httpx
import pytest
from psycopg.errors import DuplicatePreparedStatement, InvalidSqlStatementName
from sqlalchemy.exc import ProgrammingError

from gateway.db.checks import POOLER, pooler_problem
from gateway.db.engines import database_url
from gateway.db.errors import translate_errors
from gateway.db.notifications import publish
from gateway.errors import DatabaseUnavailable
from harness.databases import runtime_at
from harness.gateway import make_world
from harness.pgbouncer import pgbouncer
from harness.waiting import eventually

pytestmark = pytest.mark.postgres


@pytest.mark.parametrize("mode", ["transaction", "statement"])
async def test_a_pooler_that_gives_a_connection_to_others_is_recognised_each_time(postgres_url, mode):
    assert await pooler_problem(database_url(postgres_url)) is None
    with pgbouncer(postgres_url, mode) as url:
        assert [await pooler_problem(database_url(url)) for _ in range(5)] == [POOLER] * 5


@pytest.mark.parametrize("error", [InvalidSqlStatementName, DuplicatePreparedStatement])
def test_a_prepared_statement_of_another_connection_is_the_databases_fault(error):
    with pytest.raises(DatabaseUnavailable, match="pooler"), translate_errors():
        raise ProgrammingError("SELECT 1", {}, error("prepared statement"))


def test_behind_a_pooler_by_transactions_the_gateway_is_not_ready_and_says_why(postgres_url):
    with pgbouncer(postgres_url, "transaction") as url, make_world(url, fill=False) as world:
        eventually(lambda: httpx.get(f"{world.url}/readyz").json(), {"status": POOLER})
        assert httpx.get(f"{world.url}/readyz").status_code == 503


async def test_behind_a_pooler_by_sessions_changes_of_other_processes_are_heard(postgres_url):
    with pgbouncer(postgres_url, "session") as url:
        assert await pooler_problem(database_url(url)) is None
        one, other = runtime_at(url), runtime_at(url)
        hearing = asyncio.create_task(one.notifications.run(one.database))
        with one.notifications.subscribe("customer:cus_1") as changes:
            async with asyncio.timeout(10):
                await changes.wait()  # once it hears, everybody looks again
                await other.database.transaction(lambda connection: publish(connection, "customer:cus_1"))
                await changes.wait()
        hearing.cancel()
        await asyncio.gather(hearing, return_exceptions=True)
        for runtime in (one, other):
            await runtime.close()
