"""Taking in a file, batch by batch, so that it can be stopped at any point and started again with nothing doubled.

A run is known by the content of the file and of the mapping. The items of a file always come in the same order; the
number of those that are done moves in the same transaction as their facts, and a run that starts again skips them.
"""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Protocol

import orjson
import psycopg
from sqlalchemy.exc import OperationalError

from changke.kernel.clock import Clock
from changke.kernel.crypto import KeyRing
from changke.kernel.database import Database, Tx
from changke.kernel.errors import Refusal
from changke.kernel.ids import derived_id
from changke.kernel.read_ahead import read_ahead
from changke.modules.activity import commands, store_import
from changke.modules.activity.ports import Decide
from changke.modules.activity.terms import Envelope, Malformed, Status
from changke.modules.activity.terms_import import (
    BadRow,
    ImportReport,
    Progress,
    ProgressReport,
    Reject,
    RowSource,
)
from changke.modules.activity.translate import mapped_rows, wire
from changke.modules.activity.translate.mapping import FileMapping
from changke.modules.identity.terms import DEFAULT_REGION

BATCH_ITEMS = 2_000
OWN_EVENTS = "changke-events-v1"
FIRST_REJECTS = 20
_TRIES = 3
_LOCK_TIMEOUT_MS = 60_000
_STATEMENT_TIMEOUT_MS = 600_000


class RejectSink(Protocol):
    """Where the rejects of a run are written beside its file."""

    def keep_before(self, position: int) -> None:
        """Forget what was written of items from `position` on: their batch was never committed."""
        ...

    def write(self, rejects: Sequence[Reject]) -> None:
        """Write rejects down; called before their batch commits."""
        ...

    @property
    def path(self) -> str | None:
        """Where they are, when there are any."""
        ...


@dataclass(frozen=True, slots=True)
class _Step:
    """What one transaction takes in: events, or records of a catalogue, each with the rows it came from."""

    items: Sequence[Envelope | Malformed] = ()
    records: Sequence[dict[str, Any]] = ()
    bad: Sequence[BadRow] = ()
    rows: Sequence[Sequence[int]] = ()
    position: int = 0

    @property
    def size(self) -> int:
        return len(self.items) + len(self.records) + len(self.bad)


@dataclass(slots=True)
class _Tally:
    counts: dict[str, int] = field(default_factory=dict)
    items: int = 0
    rows: int = 0
    first: list[Reject] = field(default_factory=list)

    def add(self, counts: Mapping[str, int], step: _Step, rejects: Sequence[Reject]) -> None:
        for name, count in counts.items():
            self.counts[name] = self.counts.get(name, 0) + count
        self.items += step.size
        self.rows += sum(map(len, step.rows)) or step.size
        self.first += rejects[: FIRST_REJECTS - len(self.first)]


@dataclass(frozen=True, slots=True)
class Importer:
    """What every run needs. `decide` makes a run synchronous: effects are applied with the facts."""

    database: Database
    keyring: KeyRing
    clock: Clock
    decide: Decide | None = None
    batch_items: int = BATCH_ITEMS
    region: str = DEFAULT_REGION

    def run(
        self,
        source: RowSource,
        mapping: FileMapping | None,
        *,
        rejects: RejectSink,
        dry_run: bool = False,
        progress: ProgressReport | None = None,
    ) -> ImportReport:
        """Take in a file from where its last run stopped. Without a mapping each line is one of our own events.

        A dry run takes in each batch and rolls it back; a return whose order stands in an earlier batch shows as
        parked.
        """
        began = self.clock.now()
        run = self._begin(_run_of(source, mapping), dry_run)
        report = ImportReport(source.name, run.kind, run.rows, run.position, dict.fromkeys(_STATUSES, 0), run.position)
        if run.finished:
            return replace(report, rejects_path=rejects.path)
        rejects.keep_before(0 if dry_run else run.position)
        tally = _Tally(dict.fromkeys(_STATUSES, 0))
        position = 0 if dry_run else run.position
        for step in read_ahead(_steps(source, mapping, batch=self.batch_items, since=position)):
            self._take_in(run, step, mapping, tally, rejects, dry_run)
            if progress:
                progress(_progress(source, tally, (self.clock.now() - began).total_seconds()))
        if not dry_run:
            with self.database.transaction() as tx:
                store_import.finish(tx, run.run_id, position=position + tally.items, at=self.clock.now())
        return replace(
            report,
            rows=run.rows + tally.rows,
            items=position + tally.items,
            counts=tally.counts,
            resumed_at=position,
            dry_run=dry_run,
            seconds=(self.clock.now() - began).total_seconds(),
            rejects_path=rejects.path,
            first_rejects=tuple(tally.first),
        )

    def _begin(self, run: store_import.Run, dry_run: bool) -> store_import.Run:
        if dry_run:
            return run
        with self.database.transaction() as tx:
            return store_import.begin(tx, run, at=self.clock.now())

    def _take_in(
        self,
        run: store_import.Run,
        step: _Step,
        mapping: FileMapping | None,
        tally: _Tally,
        rejects: RejectSink,
        dry_run: bool,
    ) -> None:
        """Commit one step; what failed for a lock or a lost connection is tried again, as nothing of it is there."""
        for attempt in range(1, _TRIES + 1):
            try:
                counts, refused = self._attempt(run, step, mapping, rejects, dry_run)
            except (psycopg.OperationalError, OperationalError):
                if attempt == _TRIES:
                    raise
                rejects.keep_before(step.position)
                continue
            tally.add(counts, step, refused)
            return

    def _attempt(
        self, run: store_import.Run, step: _Step, mapping: FileMapping | None, rejects: RejectSink, dry_run: bool
    ) -> tuple[dict[str, int], list[Reject]]:
        at = self.clock.now()
        opened = (
            self.database.rehearsal()
            if dry_run
            else self.database.transaction(lock_timeout_ms=_LOCK_TIMEOUT_MS, statement_timeout_ms=_STATEMENT_TIMEOUT_MS)
        )
        with opened as tx:
            if step.items:
                counts, refused = self._intake(tx, step, at)
            else:
                assert mapping is not None
                counts, refused = self._catalogue(tx, step, mapping, at)
            rejects.write(refused)
            if not dry_run:
                rows = sum(map(len, step.rows)) or step.size
                store_import.move(tx, run.run_id, since=step.position, counts=counts, rows=rows, at=at)
        return counts, refused

    def _intake(self, tx: Tx, step: _Step, at: datetime) -> tuple[dict[str, int], list[Reject]]:
        receipts = commands.intake(tx, step.items, at=at, keyring=self.keyring, decide=self.decide, region=self.region)
        counts: dict[str, int] = {}
        refused = []
        for index, (item, receipt) in enumerate(zip(step.items, receipts, strict=True)):
            counts[receipt.status] = counts.get(receipt.status, 0) + 1
            if receipt.status is Status.REJECTED:
                assert receipt.refusal is not None
                rows = step.rows[index]
                refused.append(Reject(step.position + index, rows, item.event_id, receipt.refusal, _raw(item)))
        return counts, refused

    def _catalogue(
        self, tx: Tx, step: _Step, mapping: FileMapping, at: datetime
    ) -> tuple[dict[str, int], list[Reject]]:
        changed = store_import.put_catalogue(tx, mapping.kind, step.records, at=at)
        refused = [
            Reject(step.position + index, (row.number,), None, row.refusal, row.excerpt)
            for index, row in enumerate(step.bad)
        ]
        malformed = [
            Malformed(
                mapping.source, row.excerpt.encode("utf-8", "replace"), row.refusal, format=mapped_rows.ROW_FORMAT
            )
            for row in step.bad
        ]
        commands.intake(tx, malformed, at=at, keyring=self.keyring)
        counts = {"applied": changed, "duplicate": len(step.records) - changed, "rejected": len(step.bad)}
        return {name: count for name, count in counts.items() if count}, refused


_STATUSES = tuple(str(status) for status in Status)


def _run_of(source: RowSource, mapping: FileMapping | None) -> store_import.Run:
    text = mapping.text if mapping else OWN_EVENTS
    digest = hashlib.sha256(text.encode()).hexdigest()
    return store_import.Run(
        run_id=derived_id("import", source.digest, digest),
        file_name=source.name[-255:],
        file_digest=source.digest,
        mapping_digest=digest,
        kind=mapping.kind if mapping else "events",
        source=mapping.source if mapping else "file",
    )


def _steps(source: RowSource, mapping: FileMapping | None, *, batch: int, since: int) -> Iterator[_Step]:
    """Yield the steps of a file from its item `since` on; the cuts do not matter, the order of the items does."""
    if mapping is not None and mapping.kind in ("products", "stores"):
        yield from _catalogue_steps(source, mapping, since)
        return
    pieces = (
        mapped_rows.translate(source.rows(mapping.wanted), mapping, digest=source.digest)
        if mapping
        else _own_events(source)
    )
    items: list[Envelope | Malformed] = []
    rows: list[Sequence[int]] = []
    skip, position = since, since
    for piece in pieces:
        dropped = min(skip, len(piece.items))
        skip -= dropped
        items += piece.items[dropped:]
        rows += piece.rows[dropped:]
        while len(items) >= batch:
            yield _Step(items=items[:batch], rows=rows[:batch], position=position)
            items, rows, position = items[batch:], rows[batch:], position + batch
    if items:
        yield _Step(items=items, rows=rows, position=position)


def _catalogue_steps(source: RowSource, mapping: FileMapping, since: int) -> Iterator[_Step]:
    position = 0
    for records, bad in mapped_rows.records(source.rows(mapping.wanted), mapping):
        done = min(max(0, since - position), len(records) + len(bad))
        step = _Step(records=records[done:], bad=bad[max(0, done - len(records)) :], position=position + done)
        position += len(records) + len(bad)
        if step.size:
            yield step


def _own_events(source: RowSource) -> Iterator[mapped_rows.Translated]:
    """Read a file whose lines are events as `POST /v1/events` takes them."""
    items: list[Envelope | Malformed] = []
    rows: list[Sequence[int]] = []
    for number, value in source.json_items():
        items.append(_own_event(value, number, source))
        rows.append((number,))
        if len(items) == BATCH_ITEMS:
            yield mapped_rows.Translated(items, rows)
            items, rows = [], []
    yield mapped_rows.Translated(items, rows)


def _own_event(value: Any, number: int, source: RowSource) -> Envelope | Malformed:
    if isinstance(value, Refusal):
        return Malformed("file", f"{source.name}:{number}".encode("utf-8", "replace"), value)
    try:
        return wire.parse(value, source="file")
    except Refusal as refusal:
        event_id = value.get("event_id") if isinstance(value, dict) else None
        return Malformed("file", orjson.dumps(value), refusal, event_id if isinstance(event_id, str) else None)


def _raw(item: Envelope | Malformed) -> Any:
    raw = wire.to_wire(item) if isinstance(item, Envelope) else item.raw
    try:
        return orjson.loads(raw)
    except orjson.JSONDecodeError:
        return raw.decode("utf-8", "replace")


def _progress(source: RowSource, tally: _Tally, seconds: float) -> Progress:
    share = min(1.0, source.share_read())
    rate = tally.items / seconds if seconds > 0 else 0.0
    left = seconds / share - seconds if share > 0 and seconds > 0 else None
    return Progress(share, tally.rows, tally.items, rate, left)
