"""What a replay adds up, in a form that pieces can be kept in and added together."""

import heapq
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import TYPE_CHECKING, Any, TypeVar
from uuid import UUID

from changke.modules.programs.terms_evaluation import Evaluation, Take
from changke.modules.programs.terms_simulation import TOP_MEMBERS

if TYPE_CHECKING:
    from changke.modules.programs.rules.replaying import PastCart, Values

SUMS = (
    "orders", "initial_minor", "net_minor", "discount_minor", "shipping_discount_minor", "gifts_minor", "points",
    "points_minor", "due",
)  # fmt: skip
Key = TypeVar("Key")


@dataclass(slots=True)
class Tally:
    """Sums by (side, dimension, key), uses of rules, takes of shared limits by day, and members by what changed.

    `cells` are sums of orders that `fold` adds to each of their dimensions: one addition an order instead of five.
    """

    cells: dict[tuple[str, str, str | None, str | None, int, int], list[int]] = field(default_factory=dict)
    goods: dict[tuple[str, str], list[int]] = field(default_factory=dict)
    sums: dict[tuple[str, str, str], list[int]] = field(default_factory=dict)
    rules: dict[tuple[str, str], list[int]] = field(default_factory=dict)
    members: dict[tuple[str, str], int] = field(default_factory=dict)
    takes: dict[tuple[str, str, str, str], dict[str, int]] = field(default_factory=dict)
    change_count: dict[str, int] = field(default_factory=dict)
    change_sum: int = 0
    change_squares: int = 0
    gained: list[tuple[int, str, int, int]] = field(default_factory=list)
    lost: list[tuple[int, str, int, int]] = field(default_factory=list)

    def add_order(self, side: str, order: "PastCart", tier: str, answer: Evaluation, values: "Values") -> None:
        """Add an order to its tier, store, channel and month, its lines to their categories, and its rules' uses."""
        totals, at = answer.totals, order.at
        points = points_minor = 0
        for credit in answer.credits:
            points += credit.points
            points_minor += values.cost_minor(credit.wallet, credit.points)
            self._rule(side, f"{credit.campaign}/{credit.rule}", 1, 0, credit.points)
        gifts_minor = sum([gift.cost_minor * gift.quantity for gift in answer.gifts])
        due = sum([one.count for one in answer.due])
        figures = (
            1, totals.initial_minor, totals.net_minor, totals.discount_minor, totals.shipping_discount_minor,
            gifts_minor, points, points_minor, due,
        )  # fmt: skip
        _plus(self.cells, (side, tier, order.store, order.channel, at.year, at.month), figures)
        for line, result in zip(order.cart.lines, answer.lines, strict=False):
            sums = self.goods.get((side, line.category[0] if line.category else ""))
            if sums is None:
                sums = self.goods[side, line.category[0] if line.category else ""] = [0, 0]
            sums[0] += result.initial_minor
            sums[1] += result.net_minor
        for one in answer.applied:
            self._rule(side, f"{one.campaign}/{one.rule}", 1, one.value_minor, 0)
        for one_due in answer.due:
            self._rule(side, f"{one_due.campaign}/{one_due.rule}", one_due.count, 0, 0)

    def fold(self) -> None:
        """Bring what was added order by order into the sums by dimension."""
        for (side, tier, store, channel, year, month), figures in self.cells.items():
            places = (("all", ""), ("tier", tier), ("store", store or ""), ("channel", channel or ""),
                      ("month", f"{year}-{month:02d}"))  # fmt: skip
            for dimension, key in places:
                _plus(self.sums, (side, dimension, key), figures)
        for (side, category), (initial_minor, net_minor) in self.goods.items():
            figures = [0, initial_minor, net_minor, initial_minor - net_minor, 0, 0, 0, 0, 0]
            _plus(self.sums, (side, "category", category), figures)
        self.cells, self.goods = {}, {}

    def add_member(self, side: str, reached: bool) -> None:
        """Count a member, and whether anything reached them."""
        key = (side, "reached" if reached else "not_reached")
        self.members[key] = self.members.get(key, 0) + 1

    def add_change(self, member_id: UUID, *, live_minor: int, draft_minor: int) -> None:
        """Note what a member gains or loses by the draft; the most changed ones are kept by name."""
        change = draft_minor - live_minor
        kind = "unchanged" if change == 0 else "gained" if change > 0 else "lost"
        self.change_count[kind] = self.change_count.get(kind, 0) + 1
        self.change_sum += change
        self.change_squares += change * change
        if change:
            kept = self.gained if change > 0 else self.lost
            _keep(kept, (abs(change), member_id.hex, live_minor, draft_minor))

    def add_take(self, side: str, take: Take, day: date) -> None:
        """Note what was taken of a limit that members share, on its day."""
        days = self.takes.setdefault((side, take.key.limit, take.key.scope, take.key.window), {"max": take.max})
        days[day.isoformat()] = days.get(day.isoformat(), 0) + take.amount

    def merge(self, other: "Tally") -> None:
        """Add another tally to this one; both are folded."""
        self.fold()
        other.fold()
        for key, figures in other.sums.items():
            _plus(self.sums, key, figures)
        for (side, rule), figures in other.rules.items():
            self._rule(side, rule, *figures)
        for place, days in other.takes.items():
            mine = self.takes.setdefault(place, {"max": days["max"]})
            for day, amount in days.items():
                if day != "max":
                    mine[day] = mine.get(day, 0) + amount
        for member_key, count in other.members.items():
            self.members[member_key] = self.members.get(member_key, 0) + count
        for kind, count in other.change_count.items():
            self.change_count[kind] = self.change_count.get(kind, 0) + count
        self.change_sum += other.change_sum
        self.change_squares += other.change_squares
        for kept, more in ((self.gained, other.gained), (self.lost, other.lost)):
            for one in more:
                _keep(kept, one)

    def _rule(self, side: str, rule: str, uses: int, off_minor: int, points: int) -> None:
        figures = self.rules.setdefault((side, rule), [0, 0, 0])
        figures[0] += uses
        figures[1] += off_minor
        figures[2] += points


def _plus(sums: dict[Key, list[int]], key: Key, figures: Sequence[int]) -> None:
    found = sums.get(key)
    if found is None:
        sums[key] = list(figures)
    else:
        sums[key] = [one + other for one, other in zip(found, figures, strict=True)]


def _keep(kept: list[tuple[int, str, int, int]], one: tuple[int, str, int, int]) -> None:
    if len(kept) < TOP_MEMBERS:
        heapq.heappush(kept, one)
    else:
        heapq.heappushpop(kept, one)


def dump(tally: Tally) -> dict[str, Any]:
    """Return a tally as plain JSON data."""
    tally.fold()
    return {
        "sums": [[*key, figures] for key, figures in tally.sums.items()],
        "rules": [[*key, figures] for key, figures in tally.rules.items()],
        "members": [[*key, count] for key, count in tally.members.items()],
        "takes": [[*key, days] for key, days in tally.takes.items()],
        "change": [tally.change_count, tally.change_sum, tally.change_squares],
        "gained": tally.gained,
        "lost": tally.lost,
    }


def load(data: Mapping[str, Any]) -> Tally:
    """Return the tally that `dump` wrote."""
    counts, total, squares = data["change"]
    return Tally(
        sums={(side, dimension, key): figures for side, dimension, key, figures in data["sums"]},
        rules={(side, rule): figures for side, rule, figures in data["rules"]},
        members={(side, kind): count for side, kind, count in data["members"]},
        takes={(side, limit, scope, window): days for side, limit, scope, window, days in data["takes"]},
        change_count=counts,
        change_sum=total,
        change_squares=squares,
        gained=[tuple(one) for one in data["gained"]],
        lost=[tuple(one) for one in data["lost"]],
    )
