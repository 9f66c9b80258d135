"""What limits of a whole programme, store or channel have left: rows that are never overspent.

A large limit is spread over slots, so that tills do not queue for one row. What is left is read first, without a lock;
what was used is taken last, from one slot of each limit in the order of the keys, just before the commit. Where a slot
does not have it, the work is done a second time, undone to the savepoint before: then every slot of every limit is
locked first, in the same order, the exact remainder is known, and what is left is swept together. Nobody ever asks for
a slot out of order, so nobody waits in a circle.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from changke.kernel import money
from changke.kernel.database import Tx
from changke.kernel.ids import new_id
from changke.modules.programs.state import Key

SLOTS = 16
_SPREAD_FROM = 50 * SLOTS
_KEY = "program, limit_id, scope, period"


class WholeLimitNeeded(Exception):
    """One slot was not enough: the work has to be done again with the whole limit in hand."""


@dataclass(slots=True)
class Allowance:
    """A limit as this transaction knows it: what each slot has left, locked where `whole`, and what it will take."""

    maximum: int
    slots: dict[int, int]
    whole: bool = False
    taken: int = 0

    @property
    def left(self) -> int:
        """What all slots together have left."""
        return sum(self.slots.values())

    @property
    def used(self) -> int:
        """What is used, with what this transaction takes."""
        return self.maximum - self.left + self.taken


def load(tx: Tx, limits: Mapping[Key, int], *, whole: bool) -> dict[Key, Allowance]:
    """Return what is left of limits (key: maximum), every slot locked where `whole`; the first to ask opens a limit."""
    if not limits:
        return {}
    keys = sorted(limits)
    found = _read(tx, keys, lock=whole)
    missing = [key for key in keys if key not in found]
    if missing:
        _open(tx, {key: limits[key] for key in missing})
        found |= _read(tx, missing, lock=whole)
    for key, one in found.items():
        if one.maximum == limits[key]:
            continue
        if not whole:
            raise WholeLimitNeeded
        _fit(one, limits[key])
    return found


def look_at(tx: Tx, limits: Mapping[Key, int]) -> dict[Key, Allowance]:
    """Return what is left of limits, for answers that write nothing; one nobody used yet has all of it."""
    if not limits:
        return {}
    found = _read(tx, sorted(limits), lock=False)
    for key, maximum in limits.items():
        if key not in found:
            found[key] = Allowance(maximum, {0: maximum})
        elif found[key].maximum != maximum:
            _fit(found[key], maximum)
    return found


def _fit(one: Allowance, maximum: int) -> None:
    """Let a limit that was raised or lowered since have more or less left."""
    left = max(0, one.left + maximum - one.maximum)
    one.slots, one.maximum = _spread(one.slots, left), maximum


def _spread(slots: Mapping[int, int], left: int) -> dict[int, int]:
    """Share out what is left evenly, or keep it together when it is little."""
    numbers = sorted(slots)
    even = len(numbers) > 1 and left >= _SPREAD_FROM
    parts = money.split(left, [1] * len(numbers)) if even else [left] + [0] * (len(numbers) - 1)
    return dict(zip(numbers, parts, strict=True))


def save(tx: Tx, allowances: Mapping[Key, Allowance]) -> None:
    """Write what was taken or given back. Raises `WholeLimitNeeded` where a slot does not have it."""
    rows: list[tuple[Key, int, int, int]] = []
    chosen: dict[Key, int] = {}
    for key, one in allowances.items():
        if one.whole:
            assert one.left >= one.taken, "with the whole limit in hand nobody takes more than is left"
            after = _spread(one.slots, one.left - one.taken)
            rows += [(key, slot, left, one.maximum) for slot, left in after.items()]
        elif one.taken:
            chosen[key] = _pick(one)
    for key, slot, left in _lock_slots(tx, chosen):
        if allowances[key].taken > left:
            raise WholeLimitNeeded
        rows.append((key, slot, left - allowances[key].taken, allowances[key].maximum))
    _write(tx, rows)
    for one in allowances.values():
        one.taken = 0


def _pick(one: Allowance) -> int:
    """Return by chance a slot that has enough."""
    enough = [slot for slot, left in one.slots.items() if left >= one.taken]
    if not enough:
        raise WholeLimitNeeded
    return enough[new_id().int % len(enough)]


def _columns(keys: Sequence[Key]) -> tuple[list[str], list[str], list[str], list[str]]:
    return (
        [key.program for key in keys],
        [key.counter.limit for key in keys],
        [key.counter.scope for key in keys],
        [key.counter.window for key in keys],
    )


def _read(tx: Tx, keys: Sequence[Key], *, lock: bool) -> dict[Key, Allowance]:
    rows = tx.raw.execute(
        "SELECT i, a.slot, a.left_over, a.maximum FROM unnest(%s::text[], %s::text[], %s::text[], %s::text[])"
        f" WITH ORDINALITY AS u ({_KEY}, i) JOIN programs.allowance a USING ({_KEY}) ORDER BY i, a.slot"
        + (" FOR UPDATE OF a" if lock else ""),
        _columns(keys),
    ).fetchall()
    found: dict[Key, Allowance] = {}
    for place, slot, left, maximum in rows:
        found.setdefault(keys[place - 1], Allowance(maximum, {}, lock)).slots[slot] = left
    return found


def _open(tx: Tx, limits: Mapping[Key, int]) -> None:
    rows = []
    for key in sorted(limits):
        maximum = limits[key]
        slots = SLOTS if maximum >= _SPREAD_FROM else 1
        rows += [(key, slot, part, maximum) for slot, part in enumerate(money.split(maximum, [1] * slots))]
    tx.raw.execute(
        f"INSERT INTO programs.allowance ({_KEY}, slot, left_over, maximum)"
        " SELECT * FROM unnest(%s::text[], %s::text[], %s::text[], %s::text[], %s::smallint[], %s::bigint[],"
        " %s::bigint[]) ON CONFLICT DO NOTHING",
        (*_columns([row[0] for row in rows]), *_figures(rows)),
    )


def _figures(rows: Sequence[tuple[Key, int, int, int]]) -> tuple[list[int], list[int], list[int]]:
    return [row[1] for row in rows], [row[2] for row in rows], [row[3] for row in rows]


def _lock_slots(tx: Tx, chosen: Mapping[Key, int]) -> list[tuple[Key, int, int]]:
    if not chosen:
        return []
    places = sorted(chosen.items())
    rows = tx.raw.execute(
        "SELECT i, a.slot, a.left_over FROM unnest(%s::text[], %s::text[], %s::text[], %s::text[], %s::smallint[])"
        f" WITH ORDINALITY AS u ({_KEY}, slot, i) JOIN programs.allowance a USING ({_KEY}, slot) ORDER BY i"
        " FOR UPDATE OF a",
        (*_columns([key for key, _ in places]), [slot for _, slot in places]),
    ).fetchall()
    return [(places[place - 1][0], slot, left) for place, slot, left in rows]


def _write(tx: Tx, rows: Sequence[tuple[Key, int, int, int]]) -> None:
    if rows:
        tx.raw.execute(
            "UPDATE programs.allowance a SET left_over = n.left_over, maximum = n.maximum"
            " FROM unnest(%s::text[], %s::text[], %s::text[], %s::text[], %s::smallint[], %s::bigint[], %s::bigint[])"
            f" AS n ({_KEY}, slot, left_over, maximum)"
            " WHERE (a.program, a.limit_id, a.scope, a.period, a.slot)"
            " = (n.program, n.limit_id, n.scope, n.period, n.slot)",
            (*_columns([row[0] for row in rows]), *_figures(rows)),
        )
