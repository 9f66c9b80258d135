"""Wiring: the one place that knows which part answers which port."""

import gc
from dataclasses import dataclass
from pathlib import Path

from changke.adapters.embedded_postgres import EmbeddedPostgres
from changke.kernel.clock import Clock, SystemClock
from changke.kernel.crypto import KeyRing
from changke.kernel.database import Database
from changke.kernel.group_commit import GroupCommit
from changke.kernel.rates import RateLimiter
from changke.kernel.settings import Settings
from changke.kernel.web import Edge
from changke.modules.benefits import commands_coupons as coupons
from changke.modules.identity import commands as identity
from changke.modules.ledger import commands as ledger
from changke.modules.programs import commands as programs
from changke.modules.programs import commands_committing as committing
from changke.modules.programs import commands_sessions as sessions

_TILLS_GATHER_SECONDS = 0.01
"""A call of a till takes some milliseconds on its way: those just answered come again a little later than callers of a
posting. With 8 tills an order costs a quarter less when all share a commit instead of half of them."""


@dataclass(frozen=True, slots=True)
class House:
    """A running Changke as seen from one process: settings, the embedded server if there is one, the address."""

    settings: Settings
    server: EmbeddedPostgres | None
    url: str


def open_house(settings: Settings, *, start: bool = True) -> House:
    """Find the database: the one in the settings, or the embedded server, started when it is not running yet."""
    if settings.database_url:
        return House(settings, None, settings.database_url)
    server = EmbeddedPostgres(postgres_folder(settings.home))
    if start:
        server.start()
    return House(settings, server, server.url)


def postgres_folder(home: Path) -> Path:
    """The folder of the embedded server under a home."""
    return home / "postgres"


def open_database(house: House, *, application_name: str, pool_size: int | None = None) -> Database:
    """Open a pool with the settings' limits."""
    settings = house.settings
    return Database(
        house.url,
        pool_size=pool_size or settings.pool_size,
        pool_timeout_seconds=settings.pool_timeout_seconds,
        lock_timeout_ms=settings.lock_timeout_ms,
        statement_timeout_ms=settings.statement_timeout_ms,
        application_name=application_name,
    )


def make_edge(settings: Settings, database: Database, keyring: KeyRing, *, clock: Clock | None = None) -> Edge:
    """Put the edge together."""
    clock = clock or SystemClock()
    return Edge(
        settings=settings,
        database=database,
        clock=clock,
        keyring=keyring,
        authenticate=identity.authenticate,
        decide=programs.decide,
        post=GroupCommit(database, lambda tx, requests: ledger.post(tx, requests, at=clock.now())).submit,
        open_session=GroupCommit(
            database,
            lambda tx, asked: sessions.open_sessions(tx, asked, at=clock.now(), keyring=keyring),
            batch_max=32,
            gather_seconds=_TILLS_GATHER_SECONDS,
        ).submit,
        commit_session=GroupCommit(
            database,
            lambda tx, asked: committing.commit_sessions(tx, asked, at=clock.now(), keyring=keyring),
            batch_max=32,
            gather_seconds=_TILLS_GATHER_SECONDS,
        ).submit,
        claim=GroupCommit(database, lambda tx, claims: coupons.claim(tx, claims, at=clock.now())).submit,
        limiter=RateLimiter(per_second=settings.rate_limit_per_second),
    )


def calm_the_collector() -> None:
    """Keep what was imported out of garbage collection, and collect less often: batches make much and keep little."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)
