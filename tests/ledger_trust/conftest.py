"""Members for the tests of the API."""

from __future__ import annotations

from collections.abc import Callable
from uuid import UUID

import pytest

from changke.modules.identity import commands as identity
from changke.modules.identity.terms import Identifier, Sighting


@pytest.fixture
def member(edge) -> Callable[[str], UUID]:
    """Make a member known by an app account."""

    def make(name: str) -> UUID:
        sighting = Sighting((Identifier("app_account", name, True),), "test", f"hello {name}")
        with edge.database.transaction() as tx:
            (found,) = identity.resolve(tx, [sighting], at=edge.clock.now(), keyring=edge.keyring)
        return found.member_id

    return make
