"""The database: one pool, one way to open a transaction, and the only place that commits.

`Tx` is what every command and query receives. Announcements made on it are written to the event log as the last act
before the commit, under the locks of their lanes (see `changke.kernel.log`), so they exist exactly when the rows do.
"""

import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, LiteralString
from uuid import UUID

import orjson
import psycopg
import sqlalchemy as sa
from psycopg.types.json import set_json_loads
from sqlalchemy.exc import DisconnectionError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.pool import ConnectionPoolEntry

from changke.kernel import log
from changke.kernel.errors import BUSY, Refusal

metadata = sa.MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

set_json_loads(orjson.loads)

WAKE_CHANNEL = "changke_log"
_WAKE_INTERVAL_SECONDS = 0.02
_WAITERS_PER_CONNECTION = 4
_IDLE_SECONDS = 0.5
_COPY_ESCAPES = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"})


class Tx:
    """One open transaction. Nothing but the kernel commits or rolls it back."""

    def __init__(self, connection: sa.Connection) -> None:
        self.sql = connection
        driver = connection.connection.driver_connection
        assert isinstance(driver, psycopg.Connection)
        self.raw: psycopg.Connection[Any] = driver
        self._announced = log.Outbox()
        self._savepoints = 0
        self._finished: str | None = None
        self._last: list[Callable[[Tx], None]] = []

    def at_last(self, step: "Callable[[Tx], None]") -> None:
        """Let a step write just before the commit, after everything else.

        For rows that anybody may be the first to meet (codes of a catalogue): others who meet them wait for us, so we
        must not wait for anybody any more.
        """
        self._last.append(step)

    def write_last(self) -> None:
        """Run the steps that were put off; the kernel does it before the commit."""
        while self._last:
            self._last.pop(0)(self)

    def announce(self, *announcements: log.Announcement) -> None:
        """Add announcements to the event log; they appear when the transaction commits."""
        self._announced.add(announcements)

    def announce_packed(self, topic: str, lane: int, items: Sequence[bytes]) -> None:
        """Add announcements of one topic and lane that are JSON already (hot paths)."""
        self._announced.add_packed(topic, lane, items)

    def copy(self, table: str, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
        """COPY rows into a table; None is NULL, texts are escaped, everything else is written by `str`."""
        writer = _COPY_WRITERS.get
        lines = ["\t".join([writer(type(value), str)(value) for value in row]) for row in rows]
        if lines:
            self.copy_text(table, columns, ("\n".join(lines) + "\n").encode())

    def copy_text(self, table: str, columns: Sequence[str], data: bytes) -> None:
        """COPY lines that are in PostgreSQL's text format already into a table."""
        with self.raw.cursor() as cursor, cursor.copy(f"COPY {table} ({','.join(columns)}) FROM STDIN") as copy:
            copy.write(data)

    @contextmanager
    def savepoint(self, ask: LiteralString | None = None) -> Iterator[list[Any]]:
        """Undo what was done inside, announcements too, when it raises; the transaction itself goes on.

        The rows of the query `ask` come along in the same trip to the database. A savepoint that is over is released
        by the next one or by the commit, which costs no trip of its own.
        """
        mark, last = self._announced.mark(), len(self._last)
        self._savepoints += 1
        name = f"changke_{self._savepoints}"
        with self.raw.pipeline():
            if self._finished:
                self.raw.execute(f"RELEASE SAVEPOINT {self._finished}")
            self.raw.execute(f"SAVEPOINT {name}")
            asked = self.raw.execute(ask) if ask else None
        self._finished = None
        try:
            yield asked.fetchall() if asked else []
        except BaseException:
            self._announced.back_to(mark)
            del self._last[last:]
            if not self.raw.broken:
                self.raw.execute(f"ROLLBACK TO SAVEPOINT {name}")
            raise
        finally:
            self._finished = name

    def flush_announcements(self) -> int:
        """Write what was announced so far to the event log; called by the kernel just before the commit."""
        return self._announced.flush(self.raw)

    def commit(self) -> int:
        """Write the announcements and commit, in one trip when they are few; returns how many. For the kernel only."""
        self.write_last()
        if not self._announced.is_small:
            announced = self.flush_announcements()
            self.raw.commit()
            return announced
        with self.raw.pipeline():  # where the log cannot be written, PostgreSQL skips the COMMIT behind it
            announced = self.flush_announcements()
            self.raw.execute("COMMIT")
        return announced


def _note_use(_connection: object, record: ConnectionPoolEntry) -> None:
    record.info["used_at"] = time.monotonic()


def _ping_if_idle(connection: Any, record: ConnectionPoolEntry, _proxy: object) -> None:
    """Ask a connection that has been idle for a while whether it lives; under traffic that would be a trip for nothing.

    One that died is replaced by the pool.
    """
    if time.monotonic() - record.info.get("used_at", 0.0) < _IDLE_SECONDS:
        return
    try:
        connection.execute("SELECT 1")
        connection.rollback()
    except psycopg.OperationalError as error:
        raise DisconnectionError from error


def _copy_text(value: str) -> str:
    return value if value.isalnum() else value.translate(_COPY_ESCAPES)


_COPY_WRITERS: dict[type, Callable[[Any], str]] = {
    type(None): lambda _: "\\N",
    str: _copy_text,
    bool: lambda value: "t" if value else "f",
    bytes: lambda value: "\\\\x" + value.hex(),
    UUID: lambda value: value.hex,
}


class Database:
    """A bounded pool of connections to one PostgreSQL."""

    def __init__(
        self,
        url: str,
        *,
        pool_size: int = 8,
        pool_timeout_seconds: float = 2.0,
        lock_timeout_ms: int = 2000,
        statement_timeout_ms: int = 60000,
        application_name: str = "changke",
    ) -> None:
        options = (
            f"-c timezone=UTC -c lock_timeout={lock_timeout_ms} -c statement_timeout={statement_timeout_ms}"
            f" -c idle_in_transaction_session_timeout=60000 -c default_toast_compression=pglz"
        )
        self.url = url
        self._engine = sa.create_engine(
            url.replace("postgresql://", "postgresql+psycopg://", 1),
            pool_size=pool_size,
            max_overflow=0,
            pool_timeout=pool_timeout_seconds,
            connect_args={"application_name": application_name, "options": options, "connect_timeout": 5},
        )
        sa.event.listen(self._engine, "checkin", _note_use)
        sa.event.listen(self._engine, "checkout", _ping_if_idle)
        self._places = threading.BoundedSemaphore(pool_size * (1 + _WAITERS_PER_CONNECTION))
        self._woken_at = 0.0

    @contextmanager
    def transaction(
        self, *, lock_timeout_ms: int | None = None, statement_timeout_ms: int | None = None
    ) -> Iterator[Tx]:
        """Open a READ COMMITTED transaction; commit at the end, roll back when the block raises.

        Refuses with `busy` (503) at once when too many already wait for a connection, or after the pool's timeout.
        """
        with self._connection() as connection:
            with connection.begin():
                tx = Tx(connection)
                for name, value in (("lock_timeout", lock_timeout_ms), ("statement_timeout", statement_timeout_ms)):
                    if value is not None:
                        tx.raw.execute(f"SET LOCAL {name} = {int(value)}")
                yield tx
                announced = tx.commit()
            if announced:
                self._wake_readers(connection)

    @contextmanager
    def snapshot(self) -> Iterator[Tx]:
        """Open a REPEATABLE READ, READ ONLY transaction: one consistent picture for audits and reports."""
        with self._connection() as connection:
            isolated = connection.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
            with isolated.begin():
                yield Tx(isolated)

    @contextmanager
    def rehearsal(self) -> Iterator[Tx]:
        """Open a transaction that is always rolled back: for dry runs, which leave no trace."""
        with self._connection() as connection:
            trial = connection.begin()
            try:
                yield Tx(connection)
            finally:
                trial.rollback()

    def close(self) -> None:
        """Close every connection of the pool."""
        self._engine.dispose()

    @contextmanager
    def _connection(self) -> Iterator[sa.Connection]:
        if not self._places.acquire(blocking=False):
            raise Refusal(BUSY, need=1)
        try:
            try:
                connection = self._engine.connect()
            except PoolTimeout:
                raise Refusal(BUSY, need=1) from None
            with connection:
                yield connection
        finally:
            self._places.release()

    def _wake_readers(self, connection: sa.Connection) -> None:
        """Hint that there is news. After the commit and not inside it: NOTIFY there would queue all commits."""
        now = time.monotonic()
        if now - self._woken_at < _WAKE_INTERVAL_SECONDS:
            return
        self._woken_at = now
        connection.exec_driver_sql(f"NOTIFY {WAKE_CHANNEL}")
        connection.commit()
