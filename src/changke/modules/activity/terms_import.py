"""Words of the file intake: rows as they were read, the report of a run, and what a file is refused for."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from changke.kernel.errors import Refusal, RefusalCode
from changke.kernel.i18n import Text

WRONG_ENCODING = RefusalCode(
    "wrong_encoding", 422, Text("{field} is not {need} text", "{field} 不是有效的 {need} 文本")
)
NUL_CHARACTER = RefusalCode("nul_character", 422, Text("{field} holds a NUL character", "{field} 含有 NUL 字符"))
RAGGED_ROW = RefusalCode(
    "ragged_row",
    422,
    Text("the row has {have} fields; the header has {need}", "该行有 {have} 个字段，表头有 {need} 个"),
)
FIELD_TOO_LONG = RefusalCode(
    "field_too_long", 413, Text("{field} is longer than {need} characters", "{field} 超过 {need} 个字符")
)
UNKNOWN_COLUMN = RefusalCode(
    "unknown_column", 422, Text("the file has no column {have}; it has: {need}", "文件中没有列 {have}；已有：{need}")
)
FILE_UNREADABLE = RefusalCode(
    "file_unreadable", 422, Text("{field} can't be read: {reason}", "无法读取 {field}：{reason}")
)
MAPPING_INVALID = RefusalCode(
    "mapping_invalid",
    422,
    Text("line {line} of the mapping, {field}: {reason}", "映射文件第 {line} 行，{field}：{reason}"),
)
IMPORT_BUSY = RefusalCode("import_busy", 409, Text("another run is importing {have} now", "另一个任务正在导入 {have}"))


@dataclass(frozen=True, slots=True)
class BadRow:
    """A row that could not even be read, with the beginning of what it holds."""

    number: int
    refusal: Refusal
    excerpt: str


@dataclass(frozen=True, slots=True)
class Rows:
    """A piece of a table: its columns as lists of one length, the number of each row in its file, and the bad rows.

    A number is the line of the file where the row begins (CSV, JSON Lines) or its place in the table, from 1.
    """

    numbers: list[int]
    columns: Mapping[str, list[Any]]
    bad: tuple[BadRow, ...] = ()


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the translator asks of a file: columns, the column that joins rows to one event, the order of events."""

    columns: tuple[str, ...]
    group_by: str | None = None
    sort_by: tuple[str, ...] = ()
    time_formats: tuple[str, ...] = ()


class RowSource(Protocol):
    """A file that can be read again and again, each time in the same order."""

    @property
    def name(self) -> str:
        """The file's name, for people."""
        ...

    @property
    def digest(self) -> str:
        """SHA-256 of the content, in hex."""
        ...

    def rows(self, wanted: Wanted) -> Iterator[Rows]:
        """Yield the rows in order, a piece at a time; rows of one group follow one another."""
        ...

    def json_items(self) -> Iterator[tuple[int, Any]]:
        """Yield (line number, value or Refusal) for each line of a JSON Lines file."""
        ...

    def share_read(self) -> float:
        """How much of the file was read, 0 to 1."""
        ...


@dataclass(frozen=True, slots=True)
class Progress:
    """Where a run stands."""

    share: float
    rows: int
    items: int
    items_per_second: float
    seconds_left: float | None


ProgressReport = Callable[[Progress], None]


@dataclass(frozen=True, slots=True)
class Reject:
    """One line of the rejects file."""

    position: int
    rows: Sequence[int]
    event_id: str | None
    refusal: Refusal
    raw: Any


@dataclass(frozen=True, slots=True)
class ImportReport:
    """What a run did. `counts` holds items by status (applied, accepted, duplicate, parked, rejected)."""

    file: str
    kind: str
    rows: int
    items: int
    counts: Mapping[str, int] = field(default_factory=dict)
    resumed_at: int = 0
    dry_run: bool = False
    seconds: float = 0.0
    rejects_path: str | None = None
    first_rejects: tuple[Reject, ...] = ()

    @property
    def changed(self) -> bool:
        """Whether this run brought anything new."""
        return not self.dry_run and any(self.counts.get(status) for status in ("applied", "accepted", "parked"))
