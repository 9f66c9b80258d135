"""Limits: which count stands behind each, and what is left of it while one order is decided."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from changke.modules.programs.terms_definition import Limit
from changke.modules.programs.terms_evaluation import CounterKey, Situation, Take


@dataclass(frozen=True, slots=True)
class LimitRef:
    """A limit with its id; `shared` by the rules of a campaign."""

    id: str
    limit: Limit
    shared: bool = False


def key(ref: LimitRef, situation: Situation, member_id: UUID | None, local: datetime) -> CounterKey | None:
    """Return the count of a limit; None when there is none: within one order, or of nobody."""
    limit = ref.limit
    scopes = {
        "member": None if member_id is None else member_id.hex,
        "store": situation.store,
        "channel": situation.channel,
        "program": "",
    }
    scope = scopes[limit.per]
    if limit.window == "order" or scope is None:
        return None
    return CounterKey(ref.id, scope, window(limit.window, local))


def window(name: str, local: datetime) -> str:
    """Return the name of the window that a local moment falls in: 2026-03-01, 2026-W09, 2026-03, 2026-Q1, 2026."""
    match name:
        case "day":
            return local.date().isoformat()
        case "week":
            year, week, _ = local.isocalendar()
            return f"{year}-W{week:02}"
        case "month":
            return f"{local.year}-{local.month:02}"
        case "quarter":
            return f"{local.year}-Q{(local.month + 2) // 3}"
        case "year":
            return str(local.year)
    return ""


class Gauge:
    """What is left of limits during one evaluation. `taken` may be saved and put back while choices are tried."""

    __slots__ = ("_keys", "_local", "_member_id", "_refs", "_situation", "_used", "taken")

    def __init__(
        self, used: Mapping[CounterKey, int], situation: Situation, member_id: UUID | None, local: datetime
    ) -> None:
        self._used = used
        self._situation = situation
        self._member_id = member_id
        self._local = local
        self._keys: dict[str, CounterKey | None] = {}
        self._refs: dict[str, LimitRef] = {}
        self.taken: dict[str, int] = {}

    def left(self, ref: LimitRef) -> int:
        """Return what is left of a limit."""
        return max(0, ref.limit.max - self.used(ref))

    def used(self, ref: LimitRef) -> int:
        """Return what was used of a limit, in this order too."""
        if ref.id not in self._keys:
            self._keys[ref.id] = key(ref, self._situation, self._member_id, self._local)
            self._refs[ref.id] = ref
        counter = self._keys[ref.id]
        before = 0 if counter is None else self._used.get(counter, 0)
        return before + self.taken.get(ref.id, 0)

    def take(self, ref: LimitRef, amount: int) -> None:
        """Use so much of a limit."""
        if amount:
            self.taken[ref.id] = self.taken.get(ref.id, 0) + amount

    def takes(self) -> tuple[Take, ...]:
        """Return what to take of each count, in the order of the limits' ids."""
        found = []
        for limit, amount in sorted(self.taken.items()):
            counter = self._keys.get(limit)
            if counter is not None and amount:
                found.append(Take(counter, amount, self._refs[limit].limit.max))
        return tuple(found)


def spent(refs: Sequence[LimitRef], gauge: Gauge, of: str) -> LimitRef | None:
    """Return the first limit of a kind of which nothing is left."""
    for ref in refs:
        if ref.limit.of == of and not gauge.left(ref):
            return ref
    return None


def tightest(refs: Iterable[LimitRef], gauge: Gauge) -> tuple[int, LimitRef | None]:
    """Return how much the tightest of some limits leaves, and which it is; a limit of none leaves a flood."""
    least, which = 10**18, None
    for ref in refs:
        left = gauge.left(ref)
        if left < least:
            least, which = left, ref
    return least, which
