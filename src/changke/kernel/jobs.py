"""Jobs: rows claimed in batches, leased, retried with back-off, and kept as dead when they go on failing.

A batch is claimed, worked on and finished in few statements. Whoever dies leaves a lease that runs out. Finished rows
are deleted, so the table stays small.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from changke.kernel.clock import Clock
from changke.kernel.database import Database, Tx
from changke.kernel.strict_json import dumps

ATTEMPTS_MAX = 8
LEASE = timedelta(minutes=5)
_BACK_OFF_SECONDS = 5


@dataclass(frozen=True, slots=True)
class Job:
    """One claimed piece of work."""

    job_id: int
    payload: dict[str, Any]
    attempts: int


def enqueue(
    tx: Tx, *, queue: str, payloads: Sequence[dict[str, Any]], due_at: datetime, keys: Sequence[str] | None = None
) -> int:
    """Add jobs in one statement; a key that already waits in the queue is not added again. Returns how many were."""
    return tx.raw.execute(
        "INSERT INTO kernel.job (queue, key, payload, due_at)"
        " SELECT %s, key, payload, %s FROM unnest(%s::text[], %s::json[]) AS j (key, payload) ON CONFLICT DO NOTHING",
        (
            queue,
            due_at,
            list(keys) if keys else [None] * len(payloads),
            [dumps(payload).decode() for payload in payloads],
        ),
    ).rowcount


def claim(tx: Tx, *, queue: str, at: datetime, limit: int, lease: timedelta = LEASE) -> list[Job]:
    """Lease up to `limit` due jobs, oldest first, passing over those others hold."""
    rows = tx.raw.execute(
        "UPDATE kernel.job SET leased_until = %s, attempts = attempts + 1 WHERE job_id IN ("
        " SELECT job_id FROM kernel.job WHERE queue = %s AND NOT dead AND due_at <= %s"
        " AND (leased_until IS NULL OR leased_until < %s) ORDER BY due_at LIMIT %s FOR UPDATE SKIP LOCKED)"
        " RETURNING job_id, payload, attempts",
        (at + lease, queue, at, at, limit),
    ).fetchall()
    return [Job(*row) for row in sorted(rows)]


def finish(tx: Tx, *, job_ids: Sequence[int]) -> int:
    """Delete finished jobs; returns how many were still there."""
    return tx.raw.execute("DELETE FROM kernel.job WHERE job_id = ANY(%s)", (list(job_ids),)).rowcount


def fail(tx: Tx, *, job_id: int, error: str, at: datetime) -> None:
    """Give a job back: due again after 5 s, 10 s, 20 s and so on; dead after the last attempt."""
    tx.raw.execute(
        "UPDATE kernel.job SET leased_until = NULL, error = %s, dead = attempts >= %s,"
        " due_at = %s + make_interval(secs => %s * power(2, attempts - 1)) WHERE job_id = %s",
        (error[:4000], ATTEMPTS_MAX, at, _BACK_OFF_SECONDS, job_id),
    )


def work(
    database: Database,
    *,
    queue: str,
    handler: Callable[[Sequence[Job]], Mapping[int, str]],
    clock: Clock,
    limit: int = 100,
    lease: timedelta = LEASE,
) -> int:
    """Hand due jobs to `handler` batch by batch until none is left; returns how many were finished.

    The handler works outside any transaction and answers those that failed, with the reason. A batch is finished in
    the transaction that claims the next one: one commit a batch. Who dies on the way leaves leases that run out, so
    a job is done at least once.
    """
    finished = 0
    done: list[int] = []
    failed: Mapping[int, str] = {}
    while True:
        with database.transaction() as tx:
            at = clock.now()
            if done:
                finished += finish(tx, job_ids=done)
            for job_id, error in failed.items():
                fail(tx, job_id=job_id, error=error, at=at)
            claimed = claim(tx, queue=queue, at=at, limit=limit, lease=lease)
        if not claimed:
            return finished
        failed = handler(claimed)
        done = [job.job_id for job in claimed if job.job_id not in failed]


def waiting(tx: Tx) -> list[tuple[str, int, int]]:
    """Return (queue, jobs waiting, jobs dead)."""
    return tx.raw.execute(
        "SELECT queue, count(*) FILTER (WHERE NOT dead), count(*) FILTER (WHERE dead) FROM kernel.job GROUP BY queue"
    ).fetchall()
