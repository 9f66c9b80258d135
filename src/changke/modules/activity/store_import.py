"""Rows of the file intake."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import orjson
import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from changke.kernel.database import Tx
from changke.kernel.errors import Refusal
from changke.modules.activity.tables_import import COUNTS, import_run
from changke.modules.activity.terms_import import IMPORT_BUSY


@dataclass(frozen=True, slots=True)
class Run:
    """Where a run stands: items committed, rows they came from, and what became of them."""

    run_id: UUID
    file_name: str
    file_digest: str
    mapping_digest: str
    kind: str
    source: str
    position: int = 0
    rows: int = 0
    finished: bool = False
    counts: Mapping[str, int] | None = None


def begin(tx: Tx, run: Run, *, at: datetime) -> Run:
    """Return the stored state of a run, a new one where there is none."""
    opening = insert(import_run).values(
        run_id=run.run_id,
        file_name=run.file_name,
        file_digest=run.file_digest,
        mapping_digest=run.mapping_digest,
        kind=run.kind,
        source=run.source,
        started_at=at,
        moved_at=at,
    )
    tx.sql.execute(opening.on_conflict_do_nothing())
    row = tx.sql.execute(sa.select(import_run).where(import_run.c.run_id == run.run_id)).one()
    counts = {name: getattr(row, name) for name in COUNTS}
    finished = row.state == "finished"
    return Run(
        run.run_id, row.file_name, row.file_digest, row.mapping_digest, row.kind, row.source,
        row.position, row.rows_read, finished, counts,
    )  # fmt: skip


def move(tx: Tx, run_id: UUID, *, since: int, counts: Mapping[str, int], rows: int, at: datetime) -> None:
    """Move a run on from `since` by the items in `counts`; refuses with `import_busy` when somebody else moved it."""
    added = {name: import_run.c[name] + counts.get(name, 0) for name in COUNTS}
    moved = tx.sql.execute(
        import_run.update()
        .where(import_run.c.run_id == run_id, import_run.c.position == since, import_run.c.state == "running")
        .values(position=since + sum(counts.values()), rows_read=import_run.c.rows_read + rows, moved_at=at, **added)
        .returning(import_run.c.file_name)
    ).first()
    if moved is None:
        raise Refusal(IMPORT_BUSY, have=str(run_id))


def finish(tx: Tx, run_id: UUID, *, position: int, at: datetime) -> None:
    """Mark a run as finished at `position`."""
    ended = import_run.update().where(import_run.c.run_id == run_id, import_run.c.position == position)
    tx.sql.execute(ended.values(state="finished", moved_at=at))


_CATALOGUES = {
    "products": ("product", ("name", "category", "brand", "price_minor")),
    "stores": ("store", ("name", "kind", "region", "time_zone")),
}


def put_catalogue(tx: Tx, kind: str, records: Sequence[Mapping[str, Any]], *, at: datetime) -> int:
    """Write products or stores; returns how many are new or differ. Of a code that repeats, the last one stays."""
    if not records:
        return 0
    table, names = _CATALOGUES[kind]
    latest = {record["code"]: record for record in records}
    columns = (*names, "attributes")
    values = [
        [record["code"], *(record.get(name) for name in names), orjson.dumps(record.get("attributes", {})).decode()]
        for _, record in sorted(latest.items())
    ]
    kinds = ["text" if name != "price_minor" else "bigint" for name in ("code", *names)] + ["json"]
    places = ", ".join(f"%s::{'text' if kind == 'json' else kind}[]" for kind in kinds)
    picked = ", ".join(["u.code", *(f"u.{name}" for name in names), "u.attributes::json"])
    updates = ", ".join(f"{name} = excluded.{name}" for name in columns)
    before = ", ".join(f"t.{name}::text" for name in columns)
    after = ", ".join(f"excluded.{name}::text" for name in columns)
    rows = tx.raw.execute(
        f"INSERT INTO activity.{table} AS t (code, {', '.join(columns)}, state, seen_at, updated_at)"
        f" SELECT {picked}, 'known', %s, %s FROM unnest({places}) AS u (code, {', '.join(columns)})"
        f" ON CONFLICT (code) DO UPDATE SET {updates}, state = 'known', updated_at = excluded.updated_at"
        f" WHERE ({before}, t.state) IS DISTINCT FROM ({after}, 'known')",
        (at, at, *(list(column) for column in zip(*values, strict=True))),
    )
    return rows.rowcount
