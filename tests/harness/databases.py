"""The parameter that makes a test run on SQLite and on PostgreSQL."""

import pytest

both_databases = pytest.mark.parametrize(
    "database_url",
    ["sqlite_url", pytest.param("postgres_url", marks=pytest.mark.postgres)],
    indirect=True,
    ids=["sqlite", "postgres"],
)
