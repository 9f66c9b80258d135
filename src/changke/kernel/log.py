"""The event log, which is also the outbox: what happened, in order, written in the transaction that made it happen.

A row packs the announcements of one transaction, one topic and one lane. A lane is a sixteenth of all keys (member
or profile), so everything about one key stays in one lane, in order. The rows are inserted as the last act before the
commit and under the lane's advisory lock. That gives two promises at once: in a lane, rows become visible in the order
of their numbers, so a reader that remembers the last number it saw never passes a row still in flight; and a long
transaction elsewhere does not hold readers back, as waiting for `pg_snapshot_xmin` would.

Consumer groups read lanes in batches. A group's position moves in the same transaction as the effects of what it read,
so effects happen once.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Protocol
from uuid import UUID

import orjson
import psycopg
import structlog

if TYPE_CHECKING:
    from changke.kernel.database import Database, Tx

LANES = 16
ROW_ITEMS_MAX = 500
_LOCK_SPACE = 7_274_016
_COPY = "COPY kernel.event_log (lane, topic, items, payload) FROM STDIN"
_LOCK = "SELECT pg_advisory_xact_lock(%s, lane) FROM unnest(%s::int[]) AS lane"
_LOCK_AND_INSERT = (
    f"WITH held AS MATERIALIZED (SELECT count(*) FROM ({_LOCK}) AS one)"
    " INSERT INTO kernel.event_log (lane, topic, items, payload)"
    " SELECT (n->>0)::smallint, n->>1, (n->>2)::int, n->3 FROM held CROSS JOIN json_array_elements(%s::json) AS n"
)
_FEW_ITEMS = 64
_BACKSLASH, _TWO = "\\", "\\\\"
_logger = structlog.get_logger(__name__)


class Announcement(Protocol):
    """News: a frozen dataclass in the past tense with a versioned topic, one id of its own and a key for its lane."""

    topic: ClassVar[str]

    @property
    def event_id(self) -> UUID:
        """The id by which a reaction knows that it has seen this one."""
        ...

    @property
    def lane_key(self) -> UUID:
        """The member or profile this is about."""
        ...


@dataclass(frozen=True, slots=True)
class Delivered:
    """One announcement as a consumer group reads it."""

    topic: str
    lane: int
    seq: int
    data: dict[str, Any]


Handler = Callable[["Tx", Sequence[Delivered]], None]


def lane_of(key: UUID) -> int:
    """Return the lane of a member or profile."""
    return key.int % LANES


class Outbox:
    """What a transaction has announced so far."""

    def __init__(self) -> None:
        self._items: list[tuple[str, int, bytes]] = []

    def add(self, announcements: Iterable[Announcement]) -> None:
        """Serialise announcements now, so that later changes to mutable parts cannot leak in."""
        self._items.extend((one.topic, lane_of(one.lane_key), orjson.dumps(one)) for one in announcements)

    def add_packed(self, topic: str, lane: int, items: Sequence[bytes]) -> None:
        """Add announcements of one topic and lane that are JSON already."""
        self._items.extend((topic, lane, item) for item in items)

    def mark(self) -> int:
        """Return a place to come `back_to`."""
        return len(self._items)

    def back_to(self, mark: int) -> None:
        """Forget what was announced after `mark`."""
        del self._items[mark:]

    @property
    def is_small(self) -> bool:
        """Whether `flush` will be a single statement."""
        return 0 < len(self._items) <= _FEW_ITEMS and len({item[:2] for item in self._items}) <= LANES

    def flush(self, connection: psycopg.Connection[Any]) -> int:
        """Insert everything under the locks of its lanes; returns how many announcements were written."""
        packed: dict[tuple[int, str], list[bytes]] = defaultdict(list)
        for topic, lane, item in self._items:
            packed[lane, topic].append(item)
        count, small = len(self._items), self.is_small
        self._items = []
        if not count:
            return 0
        rows = [
            (lane, topic, len(part), "[" + b",".join(part).decode() + "]")
            for (lane, topic), items in packed.items()
            for part in (items[start : start + ROW_ITEMS_MAX] for start in range(0, len(items), ROW_ITEMS_MAX))
        ]
        lanes = sorted({row[0] for row in rows})
        if small:
            document = ",".join([f'[{lane},"{topic}",{items},{payload}]' for lane, topic, items, payload in rows])
            connection.execute(_LOCK_AND_INSERT, (_LOCK_SPACE, lanes, f"[{document}]"))
            return count
        connection.execute(_LOCK, (_LOCK_SPACE, lanes))
        lines = "".join(
            [f"{lane}\t{topic}\t{items}\t{payload.replace(_BACKSLASH, _TWO)}\n" for lane, topic, items, payload in rows]
        )
        with connection.cursor() as cursor, cursor.copy(_COPY) as copy:
            copy.write(lines.encode())
        return count


def subscribe(tx: "Tx", *, group: str) -> None:
    """Make sure the group has a position in every lane; a new group starts at the oldest row that is kept."""
    tx.raw.execute(
        "INSERT INTO kernel.log_position (consumer_group, lane, seq) SELECT %s, lane, 0"
        " FROM generate_series(0, %s) AS lane ON CONFLICT DO NOTHING",
        (group, LANES - 1),
    )


def consume(
    database: "Database",
    *,
    group: str,
    topics: Sequence[str],
    handler: Handler,
    lanes: Sequence[int] = tuple(range(LANES)),
    limit: int = 64,
) -> int:
    """Deliver the next batch to `handler` and move the group on, in one transaction; returns how many were delivered.

    `limit` is in rows a lane. Lanes another worker holds are passed over. When the handler fails, the same rows are
    given to it one announcement at a time, and those that still fail go to `kernel.dead_letter` with their error, so
    one poisoned announcement never stops a lane. A database that is away is not poison: that error is raised.
    """
    try:
        with database.transaction(statement_timeout_ms=600_000) as tx:
            rows = _next_rows(tx, group, lanes, limit)
            deliveries = _unpack(rows, topics)
            if deliveries:
                handler(tx, deliveries)
            _move(tx, group, rows)
            return len(deliveries)
    except psycopg.OperationalError:
        raise
    except Exception as defect:  # whatever a handler raises, its lane must go on
        if _is_passing(defect):
            raise
        _logger.warning("batch_failed", group=group, error=repr(defect)[:500])
        return _one_by_one(database, group=group, topics=topics, handler=handler, lanes=lanes)


def _is_passing(defect: BaseException) -> bool:
    original = getattr(defect, "orig", defect)
    return isinstance(original, psycopg.OperationalError)


def _one_by_one(
    database: "Database", *, group: str, topics: Sequence[str], handler: Handler, lanes: Sequence[int]
) -> int:
    delivered = 0
    for lane in lanes:
        with database.transaction(statement_timeout_ms=600_000) as tx:
            rows = _next_rows(tx, group, [lane], 1)
            for delivery in _unpack(rows, topics):
                try:
                    with tx.savepoint():
                        handler(tx, [delivery])
                    delivered += 1
                except Exception as defect:  # kept in the dead letters with its error
                    if _is_passing(defect):
                        raise
                    _bury(tx, group, delivery, defect)
            _move(tx, group, rows)
    return delivered


_Row = tuple[int, int, str, list[dict[str, Any]] | None]


def _next_rows(tx: "Tx", group: str, lanes: Sequence[int], limit: int) -> list[_Row]:
    positions = tx.raw.execute(
        "SELECT lane, seq FROM kernel.log_position WHERE consumer_group = %s AND lane = ANY(%s)"
        " ORDER BY lane FOR UPDATE SKIP LOCKED",
        (group, list(lanes)),
    ).fetchall()
    if not positions:
        return []
    return tx.raw.execute(
        "SELECT l.lane, l.seq, l.topic, l.payload FROM unnest(%s::smallint[], %s::bigint[]) AS p (lane, seq)"
        " CROSS JOIN LATERAL (SELECT * FROM kernel.event_log e WHERE e.lane = p.lane AND e.seq > p.seq"
        " ORDER BY e.seq LIMIT %s) AS l ORDER BY l.seq",
        ([lane for lane, _ in positions], [seq for _, seq in positions], limit),
    ).fetchall()


def _unpack(rows: Sequence[_Row], topics: Sequence[str]) -> list[Delivered]:
    wanted = set(topics)
    return [
        Delivered(topic, lane, seq, data)
        for lane, seq, topic, payload in rows
        if topic in wanted
        for data in payload or ()
    ]


def _move(tx: "Tx", group: str, rows: Sequence[_Row]) -> None:
    reached: dict[int, int] = {lane: seq for lane, seq, _, _ in rows}
    if reached:
        tx.raw.execute(
            "UPDATE kernel.log_position SET seq = r.seq, moved_at = clock_timestamp()"
            " FROM unnest(%s::smallint[], %s::bigint[]) AS r (lane, seq)"
            " WHERE consumer_group = %s AND log_position.lane = r.lane",
            (list(reached), list(reached.values()), group),
        )


def _bury(tx: "Tx", group: str, delivery: Delivered, defect: BaseException) -> None:
    _logger.error("announcement_buried", group=group, topic=delivery.topic, seq=delivery.seq, error=repr(defect)[:500])
    tx.raw.execute(
        "INSERT INTO kernel.dead_letter (consumer_group, topic, lane, seq, data, error) VALUES (%s,%s,%s,%s,%s,%s)",
        (group, delivery.topic, delivery.lane, delivery.seq, orjson.dumps(delivery.data).decode(), repr(defect)[:4000]),
    )


def retry_dead_letters(tx: "Tx", *, group: str, handler: Handler, limit: int = 100) -> int:
    """Give buried announcements of a group to its handler again; those that pass are taken out. Returns how many."""
    rows = tx.raw.execute(
        "SELECT letter_id, topic, lane, seq, data FROM kernel.dead_letter WHERE consumer_group = %s"
        " ORDER BY letter_id LIMIT %s FOR UPDATE SKIP LOCKED",
        (group, limit),
    ).fetchall()
    for letter_id, topic, lane, seq, data in rows:
        handler(tx, [Delivered(topic, lane, seq, data)])
        tx.raw.execute("DELETE FROM kernel.dead_letter WHERE letter_id = %s", (letter_id,))
    return len(rows)


def backlog(tx: "Tx") -> list[tuple[str, int, float]]:
    """Return (group, rows waiting, age in seconds of the oldest waiting row) for every consumer group."""
    return tx.raw.execute(
        "SELECT p.consumer_group, count(e.seq),"
        " coalesce(extract(epoch FROM clock_timestamp() - min(e.recorded_at)), 0)::float8"
        " FROM kernel.log_position p LEFT JOIN kernel.event_log e ON e.lane = p.lane AND e.seq > p.seq"
        " GROUP BY p.consumer_group ORDER BY 1"
    ).fetchall()


def trim(tx: "Tx", *, keep_days: int, limit: int = 5000) -> int:
    """Delete rows older than `keep_days` that every group has read; returns how many, `limit` at most."""
    return tx.raw.execute(
        "DELETE FROM kernel.event_log WHERE (lane, seq) IN (SELECT e.lane, e.seq FROM kernel.event_log e"
        " WHERE e.recorded_at < clock_timestamp() - make_interval(days => %s)"
        " AND e.seq <= (SELECT min(p.seq) FROM kernel.log_position p WHERE p.lane = e.lane) LIMIT %s)",
        (keep_days, limit),
    ).rowcount
