"""Which event types there are: the shipped ones and a retailer's own."""

from collections.abc import Iterable

from changke.kernel.database import Tx
from changke.kernel.errors import NOT_FOUND, Refusal
from changke.modules.activity.rules import schemas
from changke.modules.activity.rules.judging import EventTypes
from changke.modules.activity.terms import EventType


def known(tx: Tx, names: Iterable[str]) -> EventTypes:
    """Return the versions of the named types that exist; asks the database only for names that are not shipped."""
    shipped = schemas.shipped()
    own = [name for name in names if name not in shipped and len(name) <= 100 and name.isprintable()]
    if not own:
        return shipped
    types = dict(shipped)
    for name, document in tx.raw.execute(
        "SELECT type, document FROM activity.event_type WHERE type = ANY(%s)", (own,)
    ).fetchall():
        one = schemas.compiled(document)
        types[name] = {**types.get(name, {}), one.version: one}
    return types


def list_types(tx: Tx) -> list[EventType]:
    """Return every version of every event type, by name and version."""
    own = [
        schemas.compiled(document)
        for (document,) in tx.raw.execute("SELECT document FROM activity.event_type ORDER BY type, version").fetchall()
    ]
    shipped = [one for versions in schemas.shipped().values() for one in versions.values()]
    return sorted([*shipped, *own], key=lambda one: (one.name, one.version))


def get_type(tx: Tx, name: str, version: int) -> EventType:
    """Return one version of an event type; refuses one that does not exist."""
    found = known(tx, [name]).get(name, {}).get(version)
    if found is None:
        raise Refusal(NOT_FOUND, what="event type", have=f"{name} v{version}")
    return found
