"""How Alembic runs here: the connection comes from `changke.kernel.migrations`, the shape from every `tables.py`."""

import importlib
import pkgutil
from collections.abc import MutableMapping
from typing import Any

import sqlalchemy as sa
from alembic import context

import changke.kernel
import changke.modules
from changke.kernel.database import metadata
from changke.kernel.migrations import VERSION_SCHEMA


def load_tables() -> None:
    """Import every `tables.py`, so that `metadata` is complete."""
    for package in (changke.kernel, changke.modules):
        for found in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            if found.name.rpartition(".")[2] == "tables":
                importlib.import_module(found.name)


def ours(name: str | None, kind: str, _parents: MutableMapping[Any, Any]) -> bool:
    """Look only at our own schemas, and never at Alembic's own table."""
    if kind == "schema":
        return name in {table.schema for table in metadata.tables.values()}
    return name != "alembic_version"


load_tables()
options: dict[str, Any] = {
    "target_metadata": metadata,
    "include_schemas": True,
    "include_name": ours,
    "version_table_schema": VERSION_SCHEMA,
    "transaction_per_migration": True,
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
