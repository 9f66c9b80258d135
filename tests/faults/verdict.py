"""What must be true after every ordeal: the audit of the house, and the notes of those who called it."""

import json
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from changke.entry import checks
from changke.kernel import audit, log
from changke.kernel.audit import Check
from changke.kernel.database import Database
from changke.kernel.i18n import Text
from changke.kernel.ids import derived_id
from changke.modules.ledger import queries_audit as ledger


@dataclass(slots=True)
class Noted:
    """What callers wrote down: operations tried, operations they were told are done, refusals and errors."""

    tried: set[str] = field(default_factory=set)
    told: dict[str, dict[str, Any]] = field(default_factory=dict)
    refused: list[dict[str, Any]] = field(default_factory=list)
    troubles: Counter[str] = field(default_factory=Counter)


def read_notes(paths: Iterable[Path]) -> Noted:
    """Read the notes of all callers; a line cut off by a kill is left out."""
    noted = Noted()
    for path in paths:
        for line in path.read_bytes().splitlines():
            try:
                note = json.loads(line)
            except ValueError:
                continue
            if "tried" in note:
                noted.tried.add(note["tried"])
            elif "told" in note:
                noted.told[note["told"]] = note
            elif "trouble" in note:
                noted.troubles[note["trouble"]] += 1
            else:
                noted.refused.append(note)
    return noted


# The audit of the modules says that the books agree with themselves; these say that they agree with the events.
_EXTRA: tuple[Check, ...] = (
    Check(
        "ordeal.decided_once",
        "ordeal",
        Text("every sale of somebody known was decided", "每笔有主的销售都已判定"),
        "SELECT o.order_id, o.event_id FROM activity.sale_order o LEFT JOIN programs.order_decision d"
        " ON d.profile_id = o.profile_id AND d.order_id = o.order_id"
        " WHERE o.profile_id <> '00000000-0000-0000-0000-000000000000' AND d.order_id IS NULL",
    ),
    Check(
        "ordeal.points_follow_decisions",
        "ordeal",
        Text("a sale gave the points that were decided, once", "每笔销售仅按判定发放一次积分"),
        "SELECT d.order_id, d.points, coalesce(e.points, 0) AS posted FROM programs.order_decision d LEFT JOIN"
        " (SELECT reference, sum(amount) AS points FROM ledger.entry WHERE kind IN ('earn', 'clawback') GROUP BY 1)"
        " AS e ON e.reference = d.order_id::text WHERE d.points <> coalesce(e.points, 0)",
    ),
    Check(
        "ordeal.points_follow_sales",
        "ordeal",
        Text("the points of a sale follow what was kept of it", "积分与保留的商品金额一致"),
        "SELECT order_id, o.net_minor, d.points, coalesce(r.refund_minor, 0) AS refund_minor"
        " FROM activity.sale_order o JOIN programs.order_decision d USING (profile_id, order_id)"
        " LEFT JOIN (SELECT order_id, sum(refund_minor)::bigint AS refund_minor FROM activity.order_return GROUP BY 1)"
        " AS r USING (order_id) WHERE d.points <> (o.net_minor - coalesce(r.refund_minor, 0)) / 100",
    ),
)


def broken_promises(database: Database, noted: Noted, *, ignore: Sequence[str] = ()) -> list[str]:
    """Return every promise that does not hold, in words; an empty list is the verdict we want."""
    report = audit.audit(database, [check for check in (*checks.every(), *_EXTRA) if check.name not in ignore])
    found = [f"{one.check.name}: {[dict(row) for row in one.rows[:3]]}" for one in report.broken]
    return [*found, *_lost(database, noted), *_doubled(database, noted)]


def _lost(database: Database, noted: Noted) -> list[str]:
    events = {name: note for name, note in noted.told.items() if "type" in note}
    facts = {derived_id("fact", "till", name): name for name in events}
    with database.snapshot() as tx:
        keys = [note["key"] for note in noted.told.values() if "key" in note]
        missing = ledger.acknowledged_but_missing(tx, keys)
        stored = tx.raw.execute(
            "SELECT order_id FROM activity.sale_order WHERE order_id = ANY(%s) UNION ALL"
            " SELECT return_id FROM activity.order_return WHERE return_id = ANY(%s) UNION ALL"
            " SELECT fact_id FROM activity.parked_return WHERE fact_id = ANY(%s)",
            (list(facts),) * 3,
        ).fetchall()
    missing += [facts[fact] for fact in facts.keys() - {row[0] for row in stored}]
    return [f"acknowledged but lost: {len(missing)} ({missing[:3]})"] if missing else []


def _doubled(database: Database, noted: Noted) -> list[str]:
    with database.snapshot() as tx:
        rows = tx.raw.execute(
            "SELECT coalesce(reference, detail ->> 'note') AS operation, count(DISTINCT posting_id) FROM ledger.entry"
            " WHERE coalesce(reference, detail ->> 'note') = ANY(%s) GROUP BY 1 HAVING count(DISTINCT posting_id) > 1",
            (list(noted.tried),),
        ).fetchall()
        rows += tx.raw.execute(
            "SELECT event_id, count(*) FROM (SELECT source, event_id FROM activity.sale_order UNION ALL"
            " SELECT source, event_id FROM activity.order_return UNION ALL SELECT 'till', envelope ->> 'event_id'"
            " FROM activity.parked_return) AS facts WHERE event_id = ANY(%s) GROUP BY 1 HAVING count(*) > 1",
            (list(noted.tried),),
        ).fetchall()
    return [f"done twice: {len(rows)} ({rows[:3]})"] if rows else []


def wait_until_read(database: Database, *, seconds: float = 60) -> None:
    """Wait until every consumer group has read the whole event log."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        with database.transaction() as tx:
            if not any(rows for _, rows, _ in log.backlog(tx)):
                return
        time.sleep(0.1)
    raise AssertionError("the worker did not read the event log to its end")


def dead_letters(database: Database) -> list[tuple[str, str, str]]:
    """Return (group, topic, error) of everything that was buried."""
    with database.snapshot() as tx:
        return tx.raw.execute("SELECT consumer_group, topic, error FROM kernel.dead_letter").fetchall()
