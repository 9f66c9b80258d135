"""The migrations, run from nothing, make exactly the tables the code describes."""

import os

import psycopg
import pytest
import sqlalchemy as sa
from sqlalchemy.pool import NullPool

from changke.kernel import migrations, schema

pytestmark = pytest.mark.xdist_group("migrations")

CATALOG = """
SELECT 'column ' || n.nspname || '.' || c.relname || '.' || a.attname || ' ' || format_type(a.atttypid, a.atttypmod)
       || CASE WHEN a.attnotnull THEN ' not null' ELSE '' END || ' identity=' || a.attidentity::text
       || ' generated=' || a.attgenerated::text || ' default=' || coalesce(pg_get_expr(d.adbin, d.adrelid), '')
  FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace
  LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
 WHERE n.nspname = ANY(%(schemas)s) AND c.relkind IN ('r', 'p', 'v', 'm') AND a.attnum > 0 AND NOT a.attisdropped
UNION ALL
SELECT 'constraint ' || n.nspname || '.' || c.relname || ' ' || k.conname || ' ' || pg_get_constraintdef(k.oid)
  FROM pg_constraint k JOIN pg_class c ON c.oid = k.conrelid JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE n.nspname = ANY(%(schemas)s)
UNION ALL
SELECT 'index ' || indexdef FROM pg_indexes WHERE schemaname = ANY(%(schemas)s)
UNION ALL
SELECT 'view ' || schemaname || '.' || viewname || ' ' || definition FROM pg_views WHERE schemaname = ANY(%(schemas)s)
UNION ALL
SELECT 'storage ' || n.nspname || '.' || c.relname || ' ' || c.relpersistence::text || ' '
       || coalesce((SELECT string_agg(one, ' ' ORDER BY one) FROM unnest(c.reloptions) AS one), '')
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE n.nspname = ANY(%(schemas)s) AND c.relkind IN ('r', 'p')
UNION ALL
SELECT 'function ' || n.nspname || '.' || pg_get_functiondef(p.oid)
  FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace WHERE n.nspname = ANY(%(schemas)s)
UNION ALL
SELECT 'trigger ' || n.nspname || '.' || pg_get_triggerdef(t.oid)
  FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE n.nspname = ANY(%(schemas)s) AND NOT t.tgisinternal
"""


@pytest.fixture(scope="module")
def empty_databases(server_url):
    """Two databases with nothing in them."""
    names = [f"from_migrations_{os.getpid()}", f"from_tables_{os.getpid()}"]
    with psycopg.connect(server_url.format("postgres"), autocommit=True) as connection:
        for name in names:
            connection.execute(f"CREATE DATABASE {name}")
        yield [server_url.format(name) for name in names]
        for name in names:
            connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture(scope="module")
def migrated(empty_databases):
    migrations.upgrade(empty_databases[0])
    return empty_databases[0]


def catalog(url):
    """Everything about our schemas, one line each."""
    with psycopg.connect(url) as connection:
        rows = connection.execute(CATALOG, {"schemas": schema.schemas()}).fetchall()
    return {line for (line,) in rows if ".alembic_version" not in line}


def create_from_tables(url):
    engine = sa.create_engine(url.replace("postgresql://", "postgresql+psycopg://", 1), poolclass=NullPool)
    with engine.begin() as connection:
        metadata = schema.load_tables()
        for name in schema.schemas():
            connection.execute(sa.text(f"CREATE SCHEMA IF NOT EXISTS {name}"))
        metadata.create_all(connection)


def test_migrations_from_zero_equal_the_tables(empty_databases, migrated):
    create_from_tables(empty_databases[1])
    by_migrations, by_tables = catalog(migrated), catalog(empty_databases[1])
    assert sorted(by_migrations - by_tables) == []
    assert sorted(by_tables - by_migrations) == []


def test_a_migrated_database_has_nothing_pending_and_nothing_astray(migrated):
    assert migrations.pending(migrated) == []
    assert migrations.check(migrated) == []
    assert migrations.upgrade(migrated) == []


def test_check_notices_a_column_somebody_added_by_hand(server_url, migrated):
    with psycopg.connect(migrated, autocommit=True) as connection:
        connection.execute("ALTER TABLE kernel.job ADD COLUMN by_hand int")
        try:
            assert any("by_hand" in difference for difference in migrations.check(migrated))
        finally:
            connection.execute("ALTER TABLE kernel.job DROP COLUMN by_hand")


def test_there_is_one_line_of_history():
    script = migrations.sql()
    assert script.count("INSERT INTO kernel.alembic_version") == 1
    assert "DROP TABLE" not in script.upper().replace("DROP TABLE KERNEL.ALEMBIC_VERSION", "")
