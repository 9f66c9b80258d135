"""What a database needs before the first sale: the schema, wallet types, a first programme, a first key."""

from datetime import UTC, datetime
from pathlib import Path

import changke
from changke.adapters import program_files
from changke.kernel import migrations
from changke.kernel.clock import Clock
from changke.kernel.database import Database, Tx
from changke.modules.identity import commands as identity
from changke.modules.identity import queries as identities
from changke.modules.ledger import commands as ledger
from changke.modules.ledger import queries as wallets
from changke.modules.ledger.wallet_types import SHIPPED as WALLETS
from changke.modules.programs import commands as programs
from changke.modules.programs import commands_versions as versions
from changke.modules.programs import queries_versions
from changke.modules.tiers import commands as tiers
from changke.modules.tiers import queries as ladders
from changke.modules.tiers.terms import SHIPPED as TIERS

BOOTSTRAP_KEY_NAME = "bootstrap"

FIRST_INSTANT = datetime(2000, 1, 1, tzinfo=UTC)
STARTER = "starter"


def programme_folder(name: str) -> Path:
    """Return where an example programme lies: inside the installed package, or at the top of a checkout."""
    package = Path(changke.__file__).parent
    inside = package / "programs"
    return (inside if inside.is_dir() else package.parents[1] / "programs") / name


def migrate(url: str) -> list[str]:
    """Bring the database to the newest schema; returns the revisions applied."""
    return migrations.upgrade(url)


def first_things(database: Database, clock: Clock) -> str | None:
    """Install the shipped wallet types and the first programme; returns the bootstrap key when it was made just now.

    Doing it again changes nothing: what a retailer made of a shipped wallet type or ladder stays, the key is made once,
    and only its hash is kept.
    """
    at = clock.now()
    with database.transaction() as tx:
        standing = wallets.wallet_types(tx)
        ledger.install_wallet_types(tx, [one for one in WALLETS if one.code not in standing], at=at)
        _first_program(tx, at)
        if identities.has_api_keys(tx):
            return None
        _, secret = identity.create_api_key(tx, name=BOOTSTRAP_KEY_NAME, permissions=frozenset({"*"}), at=at)
        return secret


def _first_program(tx: Tx, at: datetime) -> None:
    """Publish the starter programme and let every source belong to it that belongs to no other."""
    if TIERS.code not in ladders.tier_sets(tx):
        tiers.put_tier_set(tx, TIERS, at=at)
    if queries_versions.timeline(tx, STARTER).moments:
        return
    starter = program_files.Folder(programme_folder(STARTER)).contents().program
    versions.publish_first(tx, starter, at=at, effective_from=FIRST_INSTANT)
    programs.assign(tx, kind="source", codes=["*"], program=STARTER, at=at)
