"""Rows of a mapped file into envelopes: one a row, or one for all rows that share the value of the grouping column."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson

from changke.kernel.errors import MISSING_FIELD, Refusal
from changke.modules.activity.terms import ORDER_PLACED, Envelope, Identifier, Malformed
from changke.modules.activity.terms_import import BadRow, Rows
from changke.modules.activity.translate.mapped_values import Column, Faults, convert, instant
from changke.modules.activity.translate.mapping import FileMapping, Value

RAW_BYTES_MAX = 32 * 1024
ROW_FORMAT = "row"


@dataclass(frozen=True, slots=True)
class Translated:
    """Items in the order of the file, and beside each the numbers of the rows it came from."""

    items: list[Envelope | Malformed]
    rows: list[Sequence[int]]


@dataclass(slots=True)
class _Faulty:
    """The faults of a piece by row; a row's first one counts."""

    by_row: Faults = field(default_factory=dict)

    def add(self, faults: Faults, rows: Sequence[int] | None = None) -> None:
        for index, refusal in faults.items():
            self.by_row.setdefault(rows[index] if rows else index, refusal)

    def within(self, start: int, end: int) -> tuple[int, Refusal] | None:
        return next(((index, self.by_row[index]) for index in range(start, end) if index in self.by_row), None)


def translate(pieces: Iterable[Rows], mapping: FileMapping, *, digest: str) -> Iterator[Translated]:
    """Yield the envelopes of all pieces; a group that is cut by the end of a piece is held until it is whole.

    `digest` names the content: rows without an event id of their own get one from it and their row number, so that the
    same file always says the same.
    """
    held: Rows | None = None
    for piece in pieces:
        if piece.bad:
            yield _unreadable(piece.bad, mapping, digest)
        whole = _joined(held, piece)
        whole, held = _split_last_group(whole, mapping.group_by) if mapping.group_by else (whole, None)
        if whole.numbers:
            yield _events(whole, mapping, digest)
    if held and held.numbers:
        yield _events(held, mapping, digest)


def records(pieces: Iterable[Rows], mapping: FileMapping) -> Iterator[tuple[list[dict[str, Any]], list[BadRow]]]:
    """Yield (records, bad rows) of a catalogue file (products, stores): a record has the mapped fields of one row."""
    for piece in pieces:
        faulty = _Faulty()
        names, paths = _tree(mapping.fields)
        columns = _convert_all(mapping.fields, piece, mapping, faulty, range(len(piece.numbers)))
        rows = _nested(names, paths, columns, len(piece.numbers), mapping.fields)
        bad = [
            BadRow(piece.numbers[index], refusal, _raw(piece, index, index + 1).decode()[:200])
            for index, refusal in faulty.by_row.items()
        ]
        yield [row for index, row in enumerate(rows) if index not in faulty.by_row], [*piece.bad, *bad]


def _unreadable(bad: Sequence[BadRow], mapping: FileMapping, digest: str) -> Translated:
    items: list[Envelope | Malformed] = [
        Malformed(mapping.source, row.excerpt.encode("utf-8", "replace"), row.refusal, event_id, ROW_FORMAT)
        for row in bad
        for event_id in (_row_id(digest, row.number),)
    ]
    return Translated(items, [(row.number,) for row in bad])


def _row_id(digest: str, number: int) -> str:
    return f"{digest[:16]}:{number}"


def _joined(held: Rows | None, piece: Rows) -> Rows:
    if held is None or not held.numbers:
        return piece
    return Rows(
        held.numbers + piece.numbers, {name: held.columns[name] + piece.columns[name] for name in piece.columns}
    )


def _split_last_group(rows: Rows, group_by: str) -> tuple[Rows, Rows]:
    keys = rows.columns[group_by]
    cut = len(keys)
    while cut > 0 and keys[cut - 1] == keys[-1]:
        cut -= 1
    return _slice(rows, 0, cut), _slice(rows, cut, len(keys))


def _slice(rows: Rows, start: int, end: int) -> Rows:
    return Rows(rows.numbers[start:end], {name: column[start:end] for name, column in rows.columns.items()})


def _starts(rows: Rows, group_by: str | None) -> Sequence[int]:
    """Where each event begins; rows without a group value stand alone, to be refused one by one."""
    if group_by is None:
        return range(len(rows.numbers))
    keys = rows.columns[group_by]
    before = [None, *keys[:-1]]
    return [index for index, (key, last) in enumerate(zip(keys, before, strict=True)) if key is None or key != last]


def _events(rows: Rows, mapping: FileMapping, digest: str) -> Translated:
    starts = _starts(rows, mapping.group_by)
    faulty = _Faulty()
    heads = _heads(rows, mapping, starts, faulty, digest)
    names, paths = _tree(mapping.fields)
    fields = _convert_all(mapping.fields, rows, mapping, faulty, starts)
    payloads = _nested(names, paths, fields, len(starts), mapping.fields)
    lines = _lines(rows, mapping, faulty) if mapping.lines else None
    ends = [*starts[1:], len(rows.numbers)]
    items: list[Envelope | Malformed] = []
    for (event_id, at, known), payload, start, end in zip(heads, payloads, starts, ends, strict=True):
        fault = faulty.within(start, end) if faulty.by_row else None
        if fault is not None:
            items.append(_refused(rows, mapping, event_id, start, end, fault))
            continue
        if lines is not None:
            payload["lines"] = lines[start:end]
            _complete(payload, mapping)
        items.append(Envelope(mapping.source, event_id, mapping.type, at, payload, known, channel=mapping.channel))
    return Translated(items, [rows.numbers[start:end] for start, end in zip(starts, ends, strict=True)])


def _complete(payload: dict[str, Any], mapping: FileMapping) -> None:
    """Give an order the mapping's currency and the total of its lines where the file states none."""
    payload.setdefault("currency", mapping.currency)
    if "total_minor" not in payload and mapping.type == ORDER_PLACED:
        total = sum([line.get("net_minor", 0) for line in payload["lines"]]) + payload.get("shipping_minor", 0)
        payload["total_minor"] = total + (0 if payload.get("tax_included", True) else payload.get("tax_minor", 0))


def _heads(
    rows: Rows, mapping: FileMapping, starts: Sequence[int], faulty: _Faulty, digest: str
) -> Iterator[tuple[str, Any, tuple[Identifier, ...]]]:
    """Return event id, instant and identifiers of each event."""
    if mapping.event_id:
        (ids,) = _convert_all((mapping.event_id,), rows, mapping, faulty, starts)
    elif mapping.group_by:
        (ids,) = _convert_all((Value("event_id", (mapping.group_by,), required=True),), rows, mapping, faulty, starts)
    else:
        ids = [_row_id(digest, number) for number in rows.numbers]
    if mapping.occurred_at is None:
        raise Refusal(MISSING_FIELD, field="occurred_at")
    (instants,) = _convert_all((mapping.occurred_at,), rows, mapping, faulty, starts)
    known = _convert_all([item.value for item in mapping.identifiers], rows, mapping, faulty, starts)
    kinds = [(item.namespace, item.verified) for item in mapping.identifiers]
    people: list[tuple[Identifier, ...]]
    if len(kinds) == 1:
        namespace, verified = kinds[0]
        people = [(Identifier(namespace, value, verified),) if value else () for value in known[0]]
    else:
        people = [
            tuple(Identifier(name, value, sure) for (name, sure), value in zip(kinds, values, strict=True) if value)
            for values in zip(*known, strict=True)
        ] or [()] * len(starts)
    return zip(ids, instants, people, strict=True)


def _convert_all(
    values: Sequence[Value], rows: Rows, mapping: FileMapping, faulty: _Faulty, starts: Sequence[int]
) -> list[Column]:
    """Convert each value for the rows at `starts`."""
    whole = len(starts) == len(rows.numbers)
    columns: list[Column] = []
    for value in values:
        if not value.columns:
            constant = instant(value.constant, mapping) if value.type == "time" else value.constant
            columns.append([constant] * len(starts))
            continue
        sources = [rows.columns[name] for name in value.columns]
        if not whole:
            sources = [[column[index] for index in starts] for column in sources]
        cells, faults = convert(value, sources, mapping)
        faulty.add(faults, starts)
        columns.append(cells)
    return columns


def _lines(rows: Rows, mapping: FileMapping, faulty: _Faulty) -> list[dict[str, Any]]:
    names, paths = _tree(mapping.lines)
    columns = _convert_all(mapping.lines, rows, mapping, faulty, range(len(rows.numbers)))
    return _nested(names, paths, columns, len(rows.numbers), mapping.lines)


def _tree(values: Sequence[Value]) -> tuple[list[str], list[tuple[str, ...]]]:
    return [value.target for value in values], [value.path for value in values]


def _nested(
    names: Sequence[str],
    paths: Sequence[tuple[str, ...]],
    columns: Sequence[Column],
    count: int,
    values: Sequence[Value],
) -> list[dict[str, Any]]:
    """Turn columns into one dict a row: full flat columns at once, the others cell by cell where there is something."""
    full: list[tuple[str, tuple[str, ...], Column, Any]] = []
    rest: list[tuple[str, tuple[str, ...], Column, Any]] = []
    for name, path, column, value in zip(names, paths, columns, values, strict=True):
        whole = len(path) == 1 and value.omit is None and None not in column
        (full if whole else rest).append((name, path, column, value.omit))
    flat = [name for name, *_ in full]
    if full:
        cells_of = zip(*(column for _, _, column, _ in full), strict=True)
        made = [dict(zip(flat, cells, strict=True)) for cells in cells_of]
    else:
        made = [{} for _ in range(count)]
    for _, path, column, omit in rest:
        for target, cell in zip(made, column, strict=True):
            if cell is not None and cell != omit:
                _put(target, path, cell)
    return made


def _put(target: dict[str, Any], path: tuple[str, ...], cell: Any) -> None:
    for step in path[:-1]:
        target = target.setdefault(step, {})
    target[path[-1]] = cell


def _refused(
    rows: Rows, mapping: FileMapping, event_id: Any, start: int, end: int, fault: tuple[int, Refusal]
) -> Malformed:
    index, refusal = fault
    if mapping.group_by and end - start > 1:
        refusal = refusal.at(f"lines[{index - start}]")
    return Malformed(mapping.source, _raw(rows, start, end), refusal, str(event_id) if event_id else None, ROW_FORMAT)


def _raw(rows: Rows, start: int, end: int) -> bytes:
    made = [{name: column[index] for name, column in rows.columns.items()} for index in range(start, end)]
    return orjson.dumps(made[0] if len(made) == 1 else made, default=str)[:RAW_BYTES_MAX]
