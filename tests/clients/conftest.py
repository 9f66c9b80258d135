"""A live server on loopback, for the official libraries of others."""

import socket
import threading
import time
from dataclasses import dataclass
from typing import Any

import pytest
import uvicorn

from changke.kernel.clock import SystemClock
from changke.kernel.database import Database


@dataclass
class Live:
    """A server that listens, its write key, and its database."""

    url: str
    key: str
    database: Database

    def wait_for(self, events: int, seconds: float = 10) -> dict[str, Any]:
        """Wait until so many events were heard; returns the tallies of all sources."""
        deadline = time.monotonic() + seconds
        while True:
            tallies = self.tallies()
            if sum(tallies.values()) >= events or time.monotonic() > deadline:
                return tallies
            time.sleep(0.05)

    def tallies(self) -> dict[str, Any]:
        [row] = self.rows(
            "SELECT coalesce(sum(accepted), 0)::int, coalesce(sum(duplicate), 0)::int, coalesce(sum(parked), 0)::int,"
            " coalesce(sum(rejected), 0)::int FROM activity.source_tally"
        )
        return {
            name: count
            for name, count in zip(("accepted", "duplicate", "parked", "rejected"), row, strict=True)
            if count
        }

    def rows(self, sql: str) -> list[Any]:
        with self.database.transaction() as tx:
            return tx.raw.execute(sql).fetchall()


@pytest.fixture
def live(database, keyring, tmp_path):
    from fastapi import FastAPI

    from changke.entry import setup
    from changke.kernel import web
    from changke.kernel.settings import Settings
    from changke.modules.activity import api
    from changke.modules.identity import queries as identity

    clock = SystemClock()
    app = FastAPI()
    app.state.edge = web.Edge(Settings(home=tmp_path), database, clock, keyring, identity.authenticate)
    for router in api.routers:
        app.include_router(router)
    web.answer_refusals(app)
    app.add_middleware(web.Gate)
    listening = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning", lifespan="off"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
    thread.start()
    port = listening.getsockname()[1]
    secret = setup.first_things(database, clock)
    while not server.started:
        time.sleep(0.01)
    yield Live(f"http://127.0.0.1:{port}", secret, database)
    server.should_exit = True
    thread.join(10)
