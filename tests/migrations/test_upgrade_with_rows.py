# ruff: noqa: S608 - statements of our own
"""A database with rows of an earlier release is upgraded, keeps every row, and can go back."""

import asyncio

import pytest
import sqlalchemy as sa
from alembic import command

from gateway import migrations
from harness.databases import runtime_at

BEFORE = "0006"
MOMENT = "'2026-01-02 03:04:05.678901'"
ROWS = [
    f"INSERT INTO turn VALUES ('checkout:user:ada', 'somebody', {MOMENT})",
    """INSERT INTO notice (origin, topics) VALUES ('one', '["catalog"]')""",
    f"""INSERT INTO event (id, type, livemode, created, payload, source, status, needs, attempts, received_at)
    VALUES ('evt_1', 'a', false, {MOMENT}, '{{}}', 'webhook', 'pending', '["product:prod_1"]', 0, {MOMENT})""",
    f"INSERT INTO access_watch (customer_id, told, look_at) VALUES ('cus_1', 'ACTIVE', {MOMENT})",
    f"""INSERT INTO checkout_intent (id, scope, key, fingerprint, offer, session_id, created)
    VALUES ('intent_1', 'guest', 'k', 'f', 'digest', 'cs_1', {MOMENT})""",
    f"""INSERT INTO customer (id, external_id, as_of, as_of_lag, revision, deleted, delinquent, meta, created)
    VALUES ('cus_1', 'ada', 7, 3, 1, false, false, '{{}}', {MOMENT})""",
]
EXPECTED = {
    "SELECT name, holder FROM lease": [("checkout:user:ada", "somebody")],
    "SELECT id, origin, CAST(topics AS text) FROM notification": [(1, "one", '["catalog"]')],
    "SELECT id, CAST(pending_fetches AS text) FROM event": [("evt_1", '["product:prod_1"]')],
    "SELECT customer_id, last_notified, check_at IS NOT NULL FROM access_watch": [("cus_1", "ACTIVE", True)],
    "SELECT id, parameters_digest FROM checkout_intent": [("intent_1", "digest")],
    "SELECT id, as_of, staleness_seconds FROM customer": [("cus_1", 7, 3)],
}


def migrated(work, to):
    """Migrate up or down to a revision, within a transaction of the gateway's."""

    def run(connection):
        work(migrations._config(connection), to)

    return run


@pytest.mark.parametrize(
    "url_fixture",
    ["empty_sqlite_url", pytest.param("empty_postgres_url", marks=pytest.mark.postgres)],
    ids=["sqlite", "postgres"],
)
def test_rows_of_the_release_before_are_kept_by_the_upgrade_and_by_the_way_back(url_fixture, request):
    url = request.getfixturevalue(url_fixture)

    async def main():
        database = runtime_at(url).database
        try:
            await database.transaction(migrated(command.upgrade, BEFORE))
            await database.transaction(lambda c: [c.exec_driver_sql(row) for row in ROWS] and None)
            for _ in range(2):
                await migrations.upgrade(database)
                assert await migrations.drift(database) == []
                for query, rows in EXPECTED.items():
                    found = await database.read(lambda c, query=query: c.execute(sa.text(query)).all())
                    assert [tuple(row) for row in found] == rows
                await database.transaction(migrated(command.downgrade, BEFORE))
            back = await database.read(lambda c: c.execute(sa.text("SELECT offer FROM checkout_intent")).all())
            assert [tuple(row) for row in back] == [("digest",)]
        finally:
            await database.close()

    asyncio.run(main())


@pytest.fixture
def empty_sqlite_url(tmp_path):
    """An SQLite database with no tables in it."""
    return f"sqlite:///{tmp_path}/empty.db"
