"""`/readyz` for whoever balances the load."""

import time

import pytest
import sqlalchemy as sa

from harness.databases import both_databases


@both_databases
def test_readiness_waits_for_no_writer(world):
    url = sa.make_url(world.settings.database_url.get_secret_value())
    driver = "sqlite" if url.drivername == "sqlite" else "postgresql+psycopg"
    engine = sa.create_engine(url.set(drivername=driver), poolclass=sa.NullPool)
    with engine.connect() as connection:
        if driver == "sqlite":
            connection.exec_driver_sql("BEGIN IMMEDIATE")
        connection.execute(sa.text("UPDATE catalog_version SET version = version"))
        began = time.monotonic()
        answer = world.client.get(f"{world.url}/readyz")
        assert (answer.status_code, answer.json()) == (200, {"status": "ok"})
        assert time.monotonic() - began < 3
        connection.rollback()
    engine.dispose()


@both_databases
def test_readiness_says_what_is_missing(world):
    with world.renamed("alembic_version", "away"):
        answer = world.client.get(f"{world.url}/readyz")
    assert answer.status_code == 503
    assert "gateway db upgrade" in answer.json()["status"]


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/metrics"])
def test_a_probe_may_ask_by_get_alone(shop, path):
    assert shop.client.post(f"{shop.url}{path}").status_code == 405
