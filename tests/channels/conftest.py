"""The channels on an application that holds the routes of activity alone."""

import pytest


@pytest.fixture
def edge(database, clock, keyring, tmp_path):
    """Everything a route may use, without effects: the worker is not part of these stories."""
    from changke.kernel.settings import Settings
    from changke.kernel.web import Edge
    from changke.modules.identity import queries as identity

    return Edge(Settings(home=tmp_path), database, clock, keyring, identity.authenticate)


@pytest.fixture
def client(edge, clock):
    """An HTTP client with a key that may do everything."""
    from fastapi import FastAPI
    from fastapi.testclient import TestClient

    from changke.entry import setup
    from changke.kernel import web
    from changke.modules.activity import api

    secret = setup.first_things(edge.database, clock)
    app = FastAPI()
    app.state.edge = edge
    for router in api.routers:
        app.include_router(router)
    web.check_permissions(app)
    web.answer_refusals(app)
    app.add_middleware(web.Gate)
    with TestClient(app, headers={"Authorization": f"Bearer {secret}"}, raise_server_exceptions=False) as client:
        yield client
