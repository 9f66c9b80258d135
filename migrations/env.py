"""How Alembic runs here: the connection comes from `changke.kernel.migrations`, the shape from every `tables.py`."""

from collections.abc import MutableMapping
from typing import Any

import sqlalchemy as sa
from alembic import context
from alembic.operations.ops import ExecuteSQLOp, MigrationScript
from alembic.runtime.migration import MigrationContext

from changke.kernel.migrations import VERSION_SCHEMA
from changke.kernel.schema import load_tables, schemas


def ours(name: str | None, kind: str, _parents: MutableMapping[Any, Any]) -> bool:
    """Look only at our own schemas, and never at Alembic's own table."""
    return name in schemas() if kind == "schema" else name != "alembic_version"


def with_schemas(drafting: MigrationContext, _revision: Any, drafts: list[MigrationScript]) -> None:
    """Let a draft begin with the schemas its tables need; Alembic does not think of them."""
    there = set(sa.inspect(drafting.connection).get_schema_names()) if drafting.connection else set()
    for draft in drafts:
        assert draft.upgrade_ops is not None
        missing = [ExecuteSQLOp(f"CREATE SCHEMA IF NOT EXISTS {name}") for name in schemas() if name not in there]
        draft.upgrade_ops.ops[:0] = missing


options: dict[str, Any] = {
    "target_metadata": load_tables(),
    "include_schemas": True,
    "include_name": ours,
    "version_table_schema": VERSION_SCHEMA,
    "transaction_per_migration": True,
    "process_revision_directives": with_schemas,
}

if context.is_offline_mode():
    context.configure(dialect_name="postgresql", literal_binds=True, **options)
    with context.begin_transaction():
        context.run_migrations()
else:
    connection = context.config.attributes["connection"]
    with connection.begin():
        connection.execute(sa.text(f"CREATE SCHEMA IF NOT EXISTS {VERSION_SCHEMA}"))
    context.configure(connection=connection, **options)
    with context.begin_transaction():
        context.run_migrations()
    if connection.in_transaction():
        connection.commit()
