"""The nightly shadow replay: a sample of yesterday's decisions of every programme, read again."""

from datetime import datetime, timedelta

from changke.kernel.clock import Clock
from changke.kernel.database import Database
from changke.modules.programs import commands_accuracy as accuracy
from changke.modules.programs import queries_accuracy as queries
from changke.modules.programs import queries_versions as versions
from changke.modules.programs.terms_accuracy import Accuracy

SAMPLE = 500
EVERY_SECONDS = 3_600
_SPAN = timedelta(days=1)


def measure_due(database: Database, *, clock: Clock) -> int:
    """Measure every programme that was not measured for a day; returns how many were."""
    now = clock.now()
    with database.transaction() as tx:
        codes = [one.code for one in versions.programs(tx, at=now)]
        due = [code for code in codes if not _is_fresh(queries.measurements(tx, code, limit=1), now)]
    for code in due:
        with database.transaction(statement_timeout_ms=600_000) as tx:
            accuracy.measure(tx, code, since=now - _SPAN, until=now, sample=SAMPLE, at=now)
    return len(due)


def _is_fresh(newest: list[Accuracy], now: datetime) -> bool:
    return bool(newest) and now - newest[0].measured_at < _SPAN
