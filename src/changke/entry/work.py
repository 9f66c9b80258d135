"""What the worker process does: its consumer groups, its periodic tasks, its MQTT subscription."""

import signal
from collections.abc import Callable
from datetime import datetime

from changke.adapters import mqtt
from changke.entry import wiring
from changke.entry.supervisor import stop_with_parent
from changke.entry.worker import Group, Task, Worker
from changke.kernel import log, telemetry
from changke.kernel.crypto import KeyRing
from changke.kernel.database import Tx
from changke.kernel.settings import Settings
from changke.kernel.web import Edge
from changke.modules.activity import jobs as activity_jobs
from changke.modules.benefits import jobs_coupons, jobs_entitlements
from changke.modules.benefits import reactions as benefits_reactions
from changke.modules.ledger import jobs as ledger_jobs
from changke.modules.ledger import jobs_sealing
from changke.modules.ledger import reactions as ledger_reactions
from changke.modules.programs import jobs as programs_jobs
from changke.modules.programs import jobs_accuracy, jobs_simulation
from changke.modules.programs import reactions as programs_reactions
from changke.modules.tiers import jobs as tiers_jobs
from changke.modules.tiers import reactions as tiers_reactions

_TRIM_ROWS = 5000


def groups(edge: Edge) -> list[Group]:
    """Return every consumer group of the house."""
    return [
        Group(
            "programs",
            programs_reactions.TOPICS,
            lambda tx, batch: programs_reactions.on_facts(tx, batch, at=edge.clock.now()),
        ),
        Group(
            "ledger",
            ledger_reactions.TOPICS,
            lambda tx, batch: ledger_reactions.on_members_changed(tx, batch, at=edge.clock.now()),
        ),
        Group(
            "benefits",
            benefits_reactions.TOPICS,
            lambda tx, batch: benefits_reactions.on_tier_changed(tx, batch, at=edge.clock.now()),
        ),
        Group(
            "tiers",
            tiers_reactions.TOPICS,
            lambda tx, batch: tiers_reactions.on_news(tx, batch, at=edge.clock.now()),
        ),
    ]


def tasks(edge: Edge) -> list[Task]:
    """Return everything the clock asks for."""
    database, clock = edge.database, edge.clock
    return [
        Task(
            "ledger_seal",
            jobs_sealing.EVERY_SECONDS,
            lambda: jobs_sealing.seal_tick(database, clock=clock, keyring=edge.keyring),
        ),
        Task("ledger_expire", 60, lambda: ledger_jobs.expire_due(database, clock=clock)),
        Task("coupons", jobs_coupons.EVERY_SECONDS, lambda: jobs_coupons.tick(database, clock=clock)),
        Task(
            "benefit_coupons",
            jobs_entitlements.EVERY_SECONDS,
            lambda: jobs_entitlements.issue_coupons(database, clock=clock),
        ),
        Task("tiers_review", 60, lambda: tiers_jobs.review_due(database, clock=clock)),
        Task("tiers_what_if", 5, lambda: tiers_jobs.what_if_due(database, clock=clock)),
        Task("programs_simulate", 5, lambda: jobs_simulation.work(database, clock=clock, pieces_max=5)),
        Task(
            "programs_accuracy",
            jobs_accuracy.EVERY_SECONDS,
            lambda: jobs_accuracy.measure_due(database, clock=clock),
        ),
        Task("programs_daily", 30, lambda: programs_jobs.fire_daily(database, clock=clock)),
        Task("programs_lapse", 5, lambda: programs_jobs.lapse_sessions(database, clock=clock)),
        Task("activity_tallies", 10, _at(edge, lambda tx, at: activity_jobs.roll_up_tallies(tx, at=at))),
        Task("activity_forget", 3600, _at(edge, lambda tx, at: activity_jobs.forget(tx, at=at))),
        Task(
            "log_trim",
            300,
            _at(
                edge,
                lambda tx, _: log.trim(tx, keep_days=edge.settings.event_log_retention_days, limit=_TRIM_ROWS),
            ),
        ),
    ]


def _at(edge: Edge, job: Callable[[Tx, datetime], int]) -> Callable[[], int]:
    def run() -> int:
        with edge.database.transaction(lock_timeout_ms=10_000, statement_timeout_ms=600_000) as tx:
            return job(tx, edge.clock.now())

    return run


def _subscribe(edge: Edge) -> Callable[[], None]:
    """Read from the broker in a thread of its own; returns what stops it."""
    return mqtt.subscribe(
        edge.database,
        keyring=edge.keyring,
        clock=edge.clock,
        url=edge.settings.mqtt_url or "",
        topic_patterns=edge.settings.mqtt_topics,
        region=edge.settings.default_region,
    )


def run(settings: Settings, *, leash: int | None = None) -> None:
    """Work until SIGTERM, or until the process at the other end of the leash is gone."""
    telemetry.configure(level=settings.log_level, form=settings.log_format)
    if settings.telemetry_endpoint:
        telemetry.trace_to(settings.telemetry_endpoint)
    house = wiring.open_house(settings, start=False)
    wiring.calm_the_collector()
    database = wiring.open_database(house, application_name="changke-worker", pool_size=6)
    edge = wiring.make_edge(settings, database, KeyRing.open(settings.home))
    worker = Worker(edge, groups=groups(edge), tasks=tasks(edge), lanes=settings.lane_numbers)
    unsubscribe = _subscribe(edge) if settings.mqtt_url else None

    def stop(*_: object) -> None:
        worker.stop()
        if unsubscribe:
            unsubscribe()

    signal.signal(signal.SIGTERM, stop)
    stop_with_parent(leash, stop)
    worker.run()
    database.close()
