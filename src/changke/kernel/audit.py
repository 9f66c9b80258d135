"""The audit: every promise of every module, asked of the live system in one consistent picture.

A `Check` is a promise and a way to find the rows that break it: one SQL statement that returns offenders and nothing
else, or, where SQL cannot say it (a tree to recompute, say), a function of the transaction. Modules contribute their
checks as `queries_audit.CHECKS`; the entry layer gathers them and calls `audit`.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from time import perf_counter
from typing import Any

from changke.kernel.database import Database, Tx
from changke.kernel.i18n import Text

ROWS_MAX = 20
_STATEMENT_TIMEOUT_MS = 1_800_000

Row = Mapping[str, Any]
Probe = Callable[[Tx, int], Sequence[Row]]


@dataclass(frozen=True, slots=True)
class Check:
    """One promise. `find` is a SELECT of offending rows, or a function (tx, rows_max) that returns some of them."""

    name: str
    module: str
    text: Text
    find: str | Probe


@dataclass(frozen=True, slots=True)
class Finding:
    """What one check answered: no rows is good. `more` says that there were more rows than are shown."""

    check: Check
    rows: tuple[Row, ...]
    more: bool
    seconds: float

    @property
    def holds(self) -> bool:
        """Whether the promise is kept."""
        return not self.rows


@dataclass(frozen=True, slots=True)
class Report:
    """The answer of all checks, in the order they were given."""

    findings: tuple[Finding, ...]
    seconds: float = field(default=0.0)

    @property
    def holds(self) -> bool:
        """Whether every promise is kept."""
        return all(finding.holds for finding in self.findings)

    @property
    def broken(self) -> tuple[Finding, ...]:
        """The findings that have offending rows."""
        return tuple(finding for finding in self.findings if not finding.holds)


def audit(database: Database, checks: Sequence[Check], *, rows_max: int = ROWS_MAX) -> Report:
    """Run every check in one REPEATABLE READ, READ ONLY transaction; takes no lock that a writer would wait for."""
    with database.snapshot() as tx:
        tx.raw.execute(f"SET LOCAL statement_timeout = {_STATEMENT_TIMEOUT_MS}")
        return run(tx, checks, rows_max=rows_max)


def run(tx: Tx, checks: Sequence[Check], *, rows_max: int = ROWS_MAX) -> Report:
    """Run checks in a transaction that is open already (tests and tools that hold their own picture)."""
    names = [check.name for check in checks]
    assert len(names) == len(set(names)), "a check has a name of its own"
    started = perf_counter()
    findings = tuple(_ask(tx, check, rows_max) for check in checks)
    return Report(findings, perf_counter() - started)


def _ask(tx: Tx, check: Check, rows_max: int) -> Finding:
    started = perf_counter()
    found = _select(tx, check.find, rows_max + 1) if isinstance(check.find, str) else check.find(tx, rows_max + 1)
    return Finding(check, tuple(found[:rows_max]), len(found) > rows_max, perf_counter() - started)


def _select(tx: Tx, statement: str, limit: int) -> list[Row]:
    cursor = tx.raw.execute(f"SELECT * FROM ({statement}) AS offender LIMIT {int(limit)}")
    columns = [column.name for column in cursor.description or ()]
    return [dict(zip(columns, row, strict=True)) for row in cursor.fetchall()]


CHECKS = (
    Check(
        "kernel.readers_within_log",
        "kernel",
        Text("no consumer group has read beyond what the log ever had", "没有消费组的读取位置超出事件日志"),
        "SELECT consumer_group, lane, seq FROM kernel.log_position WHERE seq >"
        " (SELECT CASE WHEN is_called THEN last_value ELSE 0 END FROM kernel.event_log_seq_seq)",
    ),
    Check(
        "kernel.rows_hold_what_they_say",
        "kernel",
        Text("every row of the log has as many announcements as it says", "事件日志每行的通知数与标注一致"),
        "SELECT lane, seq, topic, items, json_array_length(payload) AS found FROM kernel.event_log"
        " WHERE items <> json_array_length(payload)",
    ),
)
