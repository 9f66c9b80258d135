"""What the worker process does: its consumer groups, its periodic tasks, its MQTT subscription."""

import signal
import threading
from functools import partial

from changke.entry import wiring
from changke.entry.supervisor import stop_with_parent
from changke.entry.worker import Group, Task, Worker
from changke.kernel import log, telemetry
from changke.kernel.crypto import KeyRing
from changke.kernel.settings import Settings
from changke.kernel.web import Edge
from changke.modules.activity import jobs as activity_jobs
from changke.modules.ledger import jobs as ledger_jobs
from changke.modules.ledger import reactions as ledger_reactions
from changke.modules.programs import reactions as programs_reactions

_TRIM_ROWS = 5000


def groups(edge: Edge) -> list[Group]:
    """Return every consumer group of the house."""
    return [
        Group(
            "programs",
            programs_reactions.TOPICS,
            lambda tx, batch: programs_reactions.on_facts_recorded(tx, batch, at=edge.clock.now()),
        ),
        Group(
            "ledger",
            ledger_reactions.TOPICS,
            lambda tx, batch: ledger_reactions.on_members_changed(tx, batch, at=edge.clock.now()),
        ),
    ]


def tasks(edge: Edge) -> list[Task]:
    """Return everything the clock asks for."""
    return [
        Task("ledger_seal", 1, partial(_in_transaction, edge, ledger_jobs.seal)),
        Task("ledger_expire", 60, partial(_in_transaction, edge, ledger_jobs.expire)),
        Task("log_trim", 300, lambda: _trim(edge)),
    ]


def _trim(edge: Edge) -> int:
    with edge.database.transaction() as tx:
        return log.trim(tx, keep_days=edge.settings.event_log_retention_days, limit=_TRIM_ROWS)
