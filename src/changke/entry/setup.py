"""What a database needs before the first sale: the schema, wallet types, a first rule, a first key."""

from datetime import UTC, datetime
from fractions import Fraction
from pathlib import Path

import changke
from changke.kernel import migrations
from changke.kernel.clock import Clock
from changke.kernel.database import Database
from changke.modules.identity import commands as identity
from changke.modules.identity import queries as identities
from changke.modules.ledger import commands as ledger
from changke.modules.ledger.wallet_types import SHIPPED
from changke.modules.programs import commands as programs
from changke.modules.programs.terms import EarnRule

BOOTSTRAP_KEY_NAME = "bootstrap"

FIRST_RULE = EarnRule(
    code="one_point_per_yuan",
    version=0,
    wallet_type="points",
    currency="CNY",
    points_per_unit=Fraction(1),
    pending_days=None,
    valid_months=None,
    effective_from=datetime(2000, 1, 1, tzinfo=UTC),
    effective_until=None,
)


def programme_folder(name: str) -> Path:
    """Return where an example programme lies: inside the installed package, or at the top of a checkout."""
    package = Path(changke.__file__).parent
    inside = package / "programs"
    return (inside if inside.is_dir() else package.parents[1] / "programs") / name


def migrate(url: str) -> list[str]:
    """Bring the database to the newest schema; returns the revisions applied."""
    return migrations.upgrade(url)


def first_things(database: Database, clock: Clock) -> str | None:
    """Install the shipped wallet types and the first rule; returns the bootstrap key when it was made just now.

    Doing it again changes nothing: the key is made once, and only its hash is kept.
    """
    at = clock.now()
    with database.transaction() as tx:
        ledger.install_wallet_types(tx, SHIPPED, at=at)
        programs.put_earn_rule(tx, FIRST_RULE, at=at)
        if identities.has_api_keys(tx):
            return None
        _, secret = identity.create_api_key(tx, name=BOOTSTRAP_KEY_NAME, permissions=frozenset({"*"}), at=at)
        return secret
