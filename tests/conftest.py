"""Fixtures: a real PostgreSQL for the whole run, a database of its own for each worker, a clock that stands still.

One throw-away server is started by the process that runs the tests; each worker clones its database from a migrated
template. `tx` is rolled back after the test. `database` is a fresh clone for tests that commit.
"""

import os
import shutil
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest

from changke.adapters.embedded_postgres import EmbeddedPostgres, Sizing
from changke.kernel import migrations
from changke.kernel.clock import FixedClock
from changke.kernel.crypto import KeyRing
from changke.kernel.database import Database, Tx

_TEMPLATE = "changke_template"
_server: EmbeddedPostgres | None = None
_folder: Path | None = None


def pytest_configure(config: pytest.Config) -> None:
    if hasattr(config, "workerinput"):
        return
    config.stash[_HOST] = ""


_HOST = pytest.StashKey[str]()


def _start_server() -> str:
    global _server, _folder
    if _server is None:
        _folder = Path(tempfile.mkdtemp(prefix="changke-test-", dir="/tmp"))
        _folder.chmod(0o755)
        _server = EmbeddedPostgres(_folder, durable=False, sizing=Sizing(shared_buffers_mb=256)).start()
        _make_template(_server)
    return _server.url_of("{}")


def _make_template(server: EmbeddedPostgres) -> None:
    with psycopg.connect(server.url_of("postgres"), autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {_TEMPLATE}")
    prepare_database(server.url_of(_TEMPLATE))


def prepare_database(url: str) -> None:
    """Bring an empty database to the newest schema, by the same migrations as everywhere."""
    migrations.upgrade(url)


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node) -> None:
    node.workerinput["server_url"] = _start_server()


def pytest_unconfigure(config: pytest.Config) -> None:
    if hasattr(config, "workerinput") or _server is None:
        return
    _server.stop()
    shutil.rmtree(_folder, ignore_errors=True)


@pytest.fixture(scope="session")
def server_url(request: pytest.FixtureRequest) -> str:
    """The address of the test server, with a place for the database's name."""
    workerinput = getattr(request.config, "workerinput", None)
    return workerinput["server_url"] if workerinput else _start_server()


def clone(server_url: str) -> str:
    """Make a database from the migrated template and return its address."""
    name = f"t_{os.getpid()}_{uuid4().hex[:10]}"
    with psycopg.connect(server_url.format("postgres"), autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name} TEMPLATE {_TEMPLATE} STRATEGY wal_log")
    return server_url.format(name)


def drop(server_url: str, url: str) -> None:
    """Remove a cloned database, whoever is still connected to it."""
    name = psycopg.conninfo.conninfo_to_dict(url)["dbname"]
    with psycopg.connect(server_url.format("postgres"), autocommit=True) as connection:
        connection.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")


@pytest.fixture(scope="session")
def database_url(server_url: str) -> str:
    """A database of this worker; tests on it roll back."""
    return clone(server_url)


@pytest.fixture(scope="session")
def worker_database(database_url: str) -> Iterator[Database]:
    database = Database(database_url, pool_size=4)
    yield database
    database.close()


@pytest.fixture
def tx(worker_database: Database) -> Iterator[Tx]:
    """A transaction that is rolled back after the test."""
    with worker_database.rehearsal() as tx:
        yield tx


@pytest.fixture
def database(server_url: str) -> Iterator[Database]:
    """A fresh database, for tests that commit."""
    url = clone(server_url)
    database = Database(url, pool_size=24)
    yield database
    database.close()
    drop(server_url, url)


@pytest.fixture
def clock() -> FixedClock:
    """Noon in Shanghai on 1 March 2026."""
    return FixedClock(datetime(2026, 3, 1, 4, tzinfo=UTC))


@pytest.fixture(scope="session")
def keyring() -> KeyRing:
    return KeyRing.generate()


@pytest.fixture
def edge(database: Database, clock: FixedClock, keyring: KeyRing, tmp_path: Path):
    """Everything a route may use, wired as in production, on a fresh database."""
    from changke.entry import wiring
    from changke.kernel.settings import Settings

    return wiring.make_edge(Settings(home=tmp_path), database, keyring, clock=clock)


@pytest.fixture
def client(edge, clock: FixedClock):
    """An HTTP client on the real application, with the bootstrap key."""
    from fastapi.testclient import TestClient

    from changke.entry import server, setup

    secret = setup.first_things(edge.database, clock)
    app = server.make_app(edge)
    with TestClient(app, headers={"Authorization": f"Bearer {secret}"}, raise_server_exceptions=False) as client:
        yield client
