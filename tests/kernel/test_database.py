"""The database: one way to open a transaction, a pool that refuses in time, COPY that loses no character."""

import shutil
import tempfile
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar
from uuid import UUID

import psycopg
import pytest

from changke.adapters.embedded_postgres import EmbeddedPostgres, Sizing
from changke.kernel.database import Database
from changke.kernel.errors import Refusal
from changke.kernel.ids import new_id


def test_what_a_block_wrote_is_there_after_it_and_gone_when_it_raises(database):
    with database.transaction() as tx:
        tx.raw.execute("CREATE TABLE note (text text)")
        tx.raw.execute("INSERT INTO note VALUES ('kept')")
    with pytest.raises(psycopg.errors.DivisionByZero), database.transaction() as tx:
        tx.raw.execute("INSERT INTO note SELECT 'lost' WHERE 1 / length('') = 0")
    with database.transaction() as tx:
        assert tx.raw.execute("SELECT text FROM note").fetchall() == [("kept",)]


def test_copy_keeps_every_character(tx):
    tx.raw.execute("CREATE TEMP TABLE note (text text, number bigint, good boolean, data bytea)")
    rows = [
        ("a\tb\nc\\d\re", 1, True, b"\x00\xff\\"),
        ("\\N", -5, False, b""),
        (None, None, None, None),
        ("常客 😀", 0, True, b"x"),
    ]
    tx.copy("note", ["text", "number", "good", "data"], rows)
    assert tx.raw.execute("SELECT * FROM note").fetchall() == rows


def test_copying_nothing_is_fine(tx):
    tx.raw.execute("CREATE TEMP TABLE note (text text)")
    tx.copy("note", ["text"], [])
    assert tx.raw.execute("SELECT count(*) FROM note").fetchone() == (0,)


def test_a_snapshot_reads_one_picture_and_writes_nothing(database):
    with database.snapshot() as tx:
        assert tx.raw.execute("SHOW transaction_isolation").fetchone() == ("repeatable read",)
        with pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
            tx.raw.execute("CREATE TABLE note (text text)")


def test_timeouts_can_be_set_for_one_transaction(database):
    with database.transaction(lock_timeout_ms=123, statement_timeout_ms=456) as tx:
        assert tx.raw.execute("SHOW lock_timeout").fetchone() == ("123ms",)
        assert tx.raw.execute("SHOW statement_timeout").fetchone() == ("456ms",)
    with database.transaction() as tx:
        assert tx.raw.execute("SHOW lock_timeout").fetchone() == ("2s",)


def test_a_full_pool_refuses_as_busy(database_url):
    little = Database(database_url, pool_size=1, pool_timeout_seconds=0.1)
    try:
        with little.transaction(), pytest.raises(Refusal) as refused, little.transaction():
            pass
    finally:
        little.close()
    assert refused.value.code.code == "busy"
    assert refused.value.code.status == 503


def test_a_crowd_before_a_full_pool_is_sent_away_at_once(database_url):
    little = Database(database_url, pool_size=2, pool_timeout_seconds=0.3)
    release, answers = threading.Event(), []

    def call():
        try:
            with little.transaction():
                release.wait(5)
            answers.append("served")
        except Refusal as refusal:
            answers.append(refusal.code.code)

    callers = [threading.Thread(target=call) for _ in range(30)]
    for caller in callers:
        caller.start()
    release_later = threading.Timer(0.6, release.set)
    release_later.start()
    for caller in callers:
        caller.join()
    try:
        assert answers.count("served") == 2
        assert answers.count("busy") == 28
        with little.transaction() as tx:
            assert tx.raw.execute("SELECT 1").fetchone() == (1,)
    finally:
        little.close()


def test_connections_speak_utc(tx):
    assert tx.raw.execute("SHOW timezone").fetchone() == ("UTC",)


def test_savepoints_undo_only_what_failed_inside_each_other_and_one_after_the_other(tx):
    tx.raw.execute("CREATE TEMP TABLE note (text text PRIMARY KEY)")

    def note(text, *, fails=False):
        with tx.savepoint("SELECT count(*) FROM note") as rows:
            tx.raw.execute("INSERT INTO note VALUES (%s)", (text,))
            if fails:
                tx.raw.execute("INSERT INTO note VALUES (%s)", (text,))
        return rows

    assert note("first") == [(0,)]
    with pytest.raises(psycopg.errors.UniqueViolation):
        note("lost", fails=True)
    assert note("second") == [(1,)]
    with pytest.raises(psycopg.errors.UniqueViolation), tx.savepoint():
        note("first", fails=note("inside what fails") == [(2,)])
    with tx.savepoint():
        note("inside")
        with pytest.raises(psycopg.errors.UniqueViolation):
            note("lost too", fails=True)
    note("last")
    assert tx.raw.execute("SELECT text FROM note").fetchall() == [("first",), ("second",), ("inside",), ("last",)]


@dataclass(frozen=True)
class Noted:
    topic: ClassVar[str] = "test.noted.v1"
    event_id: UUID
    lane_key: UUID


@pytest.mark.parametrize("many", [1, 100], ids=["in one trip", "by copy"])
def test_nothing_is_kept_when_the_announcements_cannot_be(database, many):
    with database.transaction() as tx:
        tx.raw.execute("CREATE TABLE note (text text)")
        tx.raw.execute("ALTER TABLE kernel.event_log ADD CHECK (topic <> 'test.noted.v1')")

    def announce():
        with database.transaction() as tx:
            tx.raw.execute("INSERT INTO note VALUES ('lost')")
            tx.announce(*(Noted(new_id(), new_id()) for _ in range(many)))

    with pytest.raises(psycopg.errors.CheckViolation):
        announce()
    with database.transaction() as tx:
        assert tx.raw.execute("SELECT * FROM note").fetchall() == []


def test_the_server_that_comes_with_the_package_has_our_settings_and_yields_to_the_users():
    folder = Path(tempfile.mkdtemp(prefix="changke-test-", dir="/tmp"))
    folder.chmod(0o755)
    server = EmbeddedPostgres(folder, durable=False, sizing=Sizing(shared_buffers_mb=48, max_wal_mb=640))
    names = ("shared_buffers", "max_wal_size", "max_connections")
    try:
        with server, psycopg.connect(server.url) as connection:
            got = [connection.execute(f"SHOW {name}").fetchone()[0] for name in names]
            assert got == ["48MB", "640MB", "200"]
        with (folder / "data" / "postgresql.conf").open("a") as file:
            file.write("max_connections = 50\n")
        with server, psycopg.connect(server.url) as connection:
            assert connection.execute("SHOW max_connections").fetchone() == ("50",)
    finally:
        shutil.rmtree(folder)
