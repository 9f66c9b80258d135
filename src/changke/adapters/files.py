"""Files as rows: CSV, JSON Lines and Parquet as a stream of columns, whatever back office wrote them.

A text file's encoding is found by reading all of it once (the same pass takes its SHA-256): a byte order mark, else the
zero bytes of UTF-16, else UTF-8 if all of it decodes, else GB18030 (of which GBK and GB2312 are parts). Bytes that fit
no encoding spoil their own row and no other. Rows come in file order, or, where the mapping sorts or groups, in an
order that is the same at every reading; DuckDB sorts, and spills to disk when the file is bigger than its memory.
"""

import codecs
import csv
import hashlib
import io
import json
import re
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import duckdb
import pyarrow as pa

from changke.kernel import strict_json
from changke.kernel.errors import INVALID_JSON, INVALID_VALUE, Refusal
from changke.modules.activity.terms_import import (
    FIELD_TOO_LONG,
    FILE_UNREADABLE,
    NUL_CHARACTER,
    RAGGED_ROW,
    UNKNOWN_COLUMN,
    WRONG_ENCODING,
    BadRow,
    Rows,
    Wanted,
)

PIECE_ROWS = 16_384
LINE_CHARS_MAX = 1 << 20
FIELD_CHARS_MAX = 131_072
EXCERPT_CHARS = 200
HEADER_COLUMNS_MAX = 2_000
SORT_MEMORY = "1GB"
_BLOCK = 1 << 20
_DELIMITERS = ",;\t|"
_SURROGATE = re.compile("[\ud800-\udfff]")
_MARKS = ((codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be"))


@dataclass(frozen=True, slots=True)
class _Content:
    digest: str
    size: int
    encoding: str
    clean: bool


class File:
    """One CSV, JSON Lines or Parquet file; `encoding` and `delimiter` are found out where they are not given."""

    def __init__(
        self, path: Path, *, format: str | None = None, encoding: str | None = None, delimiter: str | None = None
    ) -> None:
        self.path = path
        self.format = format or _format_of(path)
        self._delimiter = delimiter
        self._share = 0.0
        try:
            self._content = _inspect(path, text=self.format != "parquet", encoding=encoding)
        except OSError as error:
            raise Refusal(FILE_UNREADABLE, field=path.name, reason=error.strerror or str(error)) from error

    @property
    def name(self) -> str:
        """The file's name, for people."""
        return self.path.name

    @property
    def digest(self) -> str:
        """SHA-256 of the content, in hex."""
        return self._content.digest

    @property
    def encoding(self) -> str:
        """The encoding the file is read with."""
        return self._content.encoding

    def share_read(self) -> float:
        """How much of the file was read, 0 to 1."""
        return self._share

    def rows(self, wanted: Wanted) -> Iterator[Rows]:
        """Yield the wanted columns in pieces; refuses a column the file does not have."""
        if self.format == "parquet":
            yield from self._sorted_rows(wanted, f"read_parquet({_quoted(str(self.path))}, file_row_number = true)")
        elif wanted.group_by or wanted.sort_by:
            yield from self._staged_rows(wanted)
        else:
            yield from self._text_rows(wanted.columns)

    def json_items(self) -> Iterator[tuple[int, Any]]:
        """Yield (line number, value or Refusal) for each line of a JSON Lines file."""
        with self.path.open("rb") as raw:
            lines = _Lines(raw, self._content)
            for line in lines:
                self._share = raw.tell() / max(1, self._content.size)
                if text := line.strip():
                    yield lines.number, _parse_line(lines.fault() or text)

    def _text_rows(self, columns: Sequence[str]) -> Iterator[Rows]:
        if self.format == "jsonl":
            yield from _json_rows(self.json_items(), columns)
            return
        with self.path.open("rb") as raw:
            for piece in _csv_rows(_Lines(raw, self._content), columns, self._delimiter):
                self._share = raw.tell() / max(1, self._content.size)
                yield piece

    def _staged_rows(self, wanted: Wanted) -> Iterator[Rows]:
        """Copy the text rows into DuckDB, give the bad ones out first, then the good ones in order."""
        with tempfile.TemporaryDirectory(prefix="changke-import-") as folder, _duckdb(folder) as connection:
            names = [f"{_name(column)} varchar" for column in wanted.columns]
            connection.execute(f"create table staged (file_row_number bigint, {', '.join(names)})")
            for piece in self._text_rows(wanted.columns):
                texts = [pa.array(map(_as_text, piece.columns[column]), pa.string()) for column in wanted.columns]
                numbers = pa.array((number - 1 for number in piece.numbers), pa.int64())
                table = pa.table([numbers, *texts], names=["file_row_number", *wanted.columns])
                connection.register("piece", table).execute("insert into staged select * from piece")
                if piece.bad:
                    yield Rows([], {column: [] for column in wanted.columns}, piece.bad)
            yield from self._query(connection, wanted, "staged")

    def _sorted_rows(self, wanted: Wanted, relation: str) -> Iterator[Rows]:
        with tempfile.TemporaryDirectory(prefix="changke-import-") as folder, _duckdb(folder) as connection:
            try:
                yield from self._query(connection, wanted, relation)
            except (duckdb.IOException, duckdb.InvalidInputException) as error:
                reason = str(error).splitlines()[0][:EXCERPT_CHARS]
                raise Refusal(FILE_UNREADABLE, field=self.name, reason=reason) from error

    def _query(self, connection: duckdb.DuckDBPyConnection, wanted: Wanted, relation: str) -> Iterator[Rows]:
        types = {
            name: str(kind) for name, kind, *_ in connection.execute(f"describe select * from {relation}").fetchall()
        }
        _check_columns(wanted.columns, [name for name in types if name != "file_row_number"])
        counted = connection.execute(f"select count(*) from {relation}").fetchone()
        total, read = max(1, counted[0] if counted else 0), 0
        reader = connection.execute(_select(wanted, relation, types)).to_arrow_reader(PIECE_ROWS)
        for batch in reader:
            columns = {name: _values(batch.column(index + 1)) for index, name in enumerate(wanted.columns)}
            yield Rows(batch.column(0).to_pylist(), columns)
            read += batch.num_rows
            self._share = read / total


def _format_of(path: Path) -> str:
    known = {".csv": "csv", ".tsv": "csv", ".txt": "csv", ".jsonl": "jsonl", ".ndjson": "jsonl", ".parquet": "parquet"}
    try:
        return known[path.suffix.lower()]
    except KeyError:
        raise Refusal(INVALID_VALUE, field=path.name, reason=f"{path.suffix!r}; need: {' '.join(known)}") from None


def _inspect(path: Path, *, text: bool, encoding: str | None) -> _Content:
    digest, size, head, utf8, clean = hashlib.sha256(), 0, b"", codecs.getincrementaldecoder("utf-8")(), True
    with path.open("rb") as raw:
        while block := raw.read(_BLOCK):
            head, size = head or block, size + len(block)
            digest.update(block)
            clean = clean and text and encoding is None and _decodes(utf8, block)
    clean = clean and _decodes(utf8, b"", final=True)
    found = encoding or (_encoding_of(path, head, clean) if text else "")
    return _Content(digest.hexdigest(), size, found, clean and found == "utf-8")


def _decodes(decoder: codecs.IncrementalDecoder, block: bytes, *, final: bool = False) -> bool:
    try:
        decoder.decode(block, final)
    except UnicodeDecodeError:
        return False
    return True


def _encoding_of(path: Path, head: bytes, is_utf8: bool) -> str:
    for mark, encoding in _MARKS:
        if head.startswith(mark):
            return encoding
    even, odd = head[0:4096:2].count(0), head[1:4096:2].count(0)
    if max(even, odd) > len(head[:4096]) // 8:
        return "utf-16-be" if even > odd else "utf-16-le"
    return "utf-8" if is_utf8 or not _is_all(path, "gb18030") else "gb18030"


def _is_all(path: Path, encoding: str) -> bool:
    decoder = codecs.getincrementaldecoder(encoding)()
    with path.open("rb") as raw:
        while block := raw.read(_BLOCK):
            if not _decodes(decoder, block):
                return False
    return _decodes(decoder, b"", final=True)


class _Lines:
    """The physical lines of a text, none longer than LINE_CHARS_MAX, and what was wrong since the last `fault()`."""

    def __init__(self, raw: BinaryIO, content: _Content) -> None:
        self.encoding = content.encoding
        errors = "strict" if content.clean else "surrogateescape"
        if content.encoding.startswith("utf-16"):
            errors = "replace"
        self._text = io.TextIOWrapper(raw, encoding=content.encoding, errors=errors, newline="")
        self._clean = content.clean
        self._fault: Refusal | None = None
        self.number = 0
        self.last = ""

    def __iter__(self) -> Iterator[str]:
        while line := self._text.readline(LINE_CHARS_MAX):
            self.number += 1
            if len(line) >= LINE_CHARS_MAX:
                self._skip_rest(line)
            if self.number == 1:
                line = line.removeprefix("\ufeff")
            if "\0" in line:
                self._fault = Refusal(NUL_CHARACTER, field=f"line {self.number}")
            elif not self._clean and (_SURROGATE.search(line) or ("\ufffd" in line and self._replaced)):
                self._fault = Refusal(WRONG_ENCODING, field=f"line {self.number}", need=self.encoding)
            self.last = line
            yield line

    @property
    def _replaced(self) -> bool:
        return self.encoding.startswith("utf-16")

    def fault(self) -> Refusal | None:
        """Return what was wrong with the lines read since the last call."""
        fault, self._fault = self._fault, None
        return fault

    def _skip_rest(self, line: str) -> None:
        self._fault = Refusal(FIELD_TOO_LONG, field=f"line {self.number}", need=LINE_CHARS_MAX)
        while line and not line.endswith(("\n", "\r")):
            line = self._text.readline(LINE_CHARS_MAX)


def _csv_rows(lines: _Lines, columns: Sequence[str], delimiter: str | None) -> Iterator[Rows]:
    source = iter(lines)
    first = next(source, "")
    found = delimiter or max(_DELIMITERS, key=first.count)
    header = [name.strip() for name in next(csv.reader([first], delimiter=found), [])]
    if fault := lines.fault():
        raise Refusal(FILE_UNREADABLE, field="header", reason=fault.say("en"))
    _check_columns(columns, header)
    places = [header.index(column) for column in columns]
    reader = csv.reader(source, delimiter=found)
    good: list[list[str]] = []
    numbers: list[int] = []
    bad: list[BadRow] = []
    for number, row in _rows_of(reader, lines, len(header)):
        if isinstance(row, Refusal):
            bad.append(BadRow(number, row, lines.last[:EXCERPT_CHARS]))
        else:
            good.append(row)
            numbers.append(number)
        if len(good) + len(bad) >= PIECE_ROWS:
            yield _piece(numbers, good, columns, places, bad)
            good, numbers, bad = [], [], []
    yield _piece(numbers, good, columns, places, bad)


def _rows_of(reader: Any, lines: _Lines, width: int) -> Iterator[tuple[int, list[str] | Refusal]]:
    """Yield (line number, fields or Refusal); a row the reader chokes on costs that row only."""
    while True:
        number = lines.number + 1
        try:
            row = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            yield (
                number,
                lines.fault() or Refusal(FIELD_TOO_LONG, field=f"line {number}", need=f"{FIELD_CHARS_MAX} ({error})"),
            )
            continue
        fault = lines.fault()
        if fault is None and len(row) != width:
            if not row:
                continue
            if any(row[width:]) or len(row) < width:
                fault = Refusal(RAGGED_ROW, field=f"line {number}", have=len(row), need=width)
        yield number, fault or row


def _piece(
    numbers: list[int], rows: list[list[str]], columns: Sequence[str], places: Sequence[int], bad: Sequence[BadRow]
) -> Rows:
    turned: Sequence[Sequence[str]] = list(zip(*rows, strict=False)) if rows else [()] * (max(places, default=0) + 1)
    return Rows(numbers, {name: list(turned[place]) for name, place in zip(columns, places, strict=True)}, tuple(bad))


def _check_columns(columns: Iterable[str], known: Sequence[str]) -> None:
    if len(known) > HEADER_COLUMNS_MAX:
        raise Refusal(FILE_UNREADABLE, field="header", reason=f"{len(known)} columns")
    twice = {name for name in columns if known.count(name) > 1}
    if twice:
        raise Refusal(FILE_UNREADABLE, field="header", reason=f"column named twice: {', '.join(sorted(twice))}")
    for column in columns:
        if column not in known:
            raise Refusal(UNKNOWN_COLUMN, field=column, have=column, need=", ".join(known)[:EXCERPT_CHARS])


def _parse_line(line: str | Refusal) -> Any:
    if isinstance(line, Refusal):
        return line
    try:
        return strict_json.loads(line.encode())
    except Refusal as refusal:
        return refusal


def _json_rows(items: Iterable[tuple[int, Any]], columns: Sequence[str]) -> Iterator[Rows]:
    paths = [column.split(".") for column in columns]
    numbers: list[int] = []
    good: list[list[Any]] = []
    bad: list[BadRow] = []
    for number, item in items:
        if isinstance(item, dict):
            numbers.append(number)
            good.append([_at(item, path) for path in paths])
        else:
            refusal = item if isinstance(item, Refusal) else Refusal(INVALID_JSON, field="line", reason="not an object")
            bad.append(BadRow(number, refusal, ""))
        if len(good) + len(bad) >= PIECE_ROWS:
            yield _piece(numbers, good, columns, range(len(columns)), bad)
            numbers, good, bad = [], [], []
    yield _piece(numbers, good, columns, range(len(columns)), bad)


def _at(item: Any, path: Sequence[str]) -> Any:
    for name in path:
        item = item.get(name) if isinstance(item, dict) else None
    return item


def _values(column: pa.Array) -> list[Any]:
    """Return the plain values of a column; an instant in nanoseconds becomes one that Python has, in microseconds."""
    if pa.types.is_timestamp(column.type) and column.type.unit == "ns":
        column = column.cast(pa.timestamp("us", column.type.tz), safe=False)
    values: list[Any] = column.to_pylist()
    return values


def _as_text(value: Any) -> str | None:
    return value if value is None or isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _duckdb(folder: str) -> duckdb.DuckDBPyConnection:
    connection = duckdb.connect(
        config={
            "memory_limit": SORT_MEMORY,
            "temp_directory": folder,
            "threads": 2,
            "autoinstall_known_extensions": False,
        }
    )
    return connection.execute("set timezone = 'UTC'")


def _select(wanted: Wanted, relation: str, types: dict[str, str]) -> str:
    picked = ", ".join(_name(column) for column in wanted.columns)
    number = 'file_row_number + 1 as "#row"'
    keys = [_sort_key(column, types[column], wanted.time_formats) for column in wanted.sort_by]
    if not wanted.group_by:
        order_by = f"order by {', '.join([*keys, 'file_row_number'])}" if keys else ""
        return f"select {number}, {picked} from {relation} {order_by}"
    group = _name(wanted.group_by)
    firsts = [f'min({key}) as "#key{index}"' for index, key in enumerate(keys)]
    order = [f'"#key{index}"' for index in range(len(keys))]
    grouped = ", ".join([f'{group} as "#group"', *firsts])
    return (
        f"with firsts as (select {grouped} from {relation} group by 1) "
        f'select {number}, {picked} from {relation} join firsts on {group} is not distinct from "#group" '
        f"order by {', '.join([*order, group, 'file_row_number'])}"
    )


def _sort_key(column: str, kind: str, formats: Sequence[str]) -> str:
    if kind != "VARCHAR":
        return _name(column)
    name = _name(column)
    parsed = f"try_strptime({name}, [{', '.join(map(_quoted, formats))}])" if formats else "null::timestamp"
    return f"coalesce({parsed}, try_cast({name} as timestamptz)::timestamp)"


def _name(column: str) -> str:
    return '"' + column.replace('"', '""') + '"'


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
