"""Alembic's entry: it runs on the connection that `gateway.migrations` opened."""

from typing import Any, Literal

from alembic import context
from sqlmodel import AutoString, SQLModel

from gateway.models.columns import UtcDateTime


def plain_type(kind: str, thing: Any, _context: Any) -> str | Literal[False]:
    """Render our column types as SQLAlchemy's own, because a migration must still run after the models have changed."""
    if kind == "type" and isinstance(thing, UtcDateTime):
        return "sa.DateTime(timezone=True)"
    if kind == "type" and isinstance(thing, AutoString):
        return "sa.String()"
    return False


for index in (index for table in SQLModel.metadata.tables.values() for index in table.indexes):
    if "where" in index.info:  # of `partial_index`
        index.dialect_kwargs["postgresql_where"] = index.dialect_kwargs["sqlite_where"] = index.info["where"]

connection = context.config.attributes["connection"]
context.configure(
    connection=connection,
    target_metadata=SQLModel.metadata,
    compare_type=True,
    render_item=plain_type,
    render_as_batch=True,  # SQLite cannot alter a column in place
)
with context.begin_transaction():
    context.run_migrations()
