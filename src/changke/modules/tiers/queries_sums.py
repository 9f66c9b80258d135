"""What contributions come to: the one statement behind immediate upgrades, reviews, what-ifs and paths."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from uuid import UUID
from zoneinfo import ZoneInfo

from changke.kernel import arrays
from changke.kernel.database import Tx
from changke.modules.ledger import queries as ledger
from changke.modules.tiers.rules.periods import Periods, periods
from changke.modules.tiers.rules.scoring import Sums
from changke.modules.tiers.terms_definition import TierSet, WalletBasis

_NONE = (0, 0, 0, 0)
_BALANCES_MAX = 10_000
_MEASURES = ("spend_minor", "orders", "interactions", "social")


@dataclass(frozen=True, slots=True)
class Asked:
    """One member at one moment."""

    member_id: UUID
    moment: datetime


def sums(
    tx: Tx,
    tier_set: TierSet,
    asked: Sequence[Asked],
    profiles: Mapping[UUID, UUID],
    *,
    at: datetime,
    review: bool = False,
) -> list[Sums]:
    """Return what counts for members at moments, in the order they were asked for.

    `profiles` maps every profile of the members to its member. What happened after a moment does not count at it. A
    wallet has the balance it has at `at`.
    """
    added = _added(tx, tier_set, asked, profiles, review)
    balances = _balances(tx, tier_set.basis, asked, at) if isinstance(tier_set.basis, WalletBasis) else {}
    return [
        Sums(score, spend, balances.get(one.member_id, 0)) for one, (score, spend) in zip(asked, added, strict=True)
    ]


def _balances(tx: Tx, basis: WalletBasis, asked: Sequence[Asked], at: datetime) -> dict[UUID, int]:
    members = sorted({one.member_id for one in asked})
    found: dict[UUID, int] = {}
    for start in range(0, len(members), _BALANCES_MAX):
        part = members[start : start + _BALANCES_MAX]
        for wallet in ledger.balances(tx, member_ids=part, at=at, wallet_type=basis.wallet):
            found[wallet.member_id] = wallet.balance - wallet.past
    return found


_Added = tuple[tuple[tuple[int, int, int, int], ...], tuple[int, ...]]


def _added(
    tx: Tx, tier_set: TierSet, asked: Sequence[Asked], profiles: Mapping[UUID, UUID], review: bool
) -> list[_Added]:
    zone = ZoneInfo(tier_set.time_zone)
    days: dict[date, int] = {}
    places: dict[datetime, int] = {}
    shapes: list[Periods] = []
    rows: list[tuple[UUID, int, datetime, int]] = []
    of_member: dict[UUID, list[UUID]] = {}
    for profile, member in profiles.items():
        of_member.setdefault(member, []).append(profile)
    for number, one in enumerate(asked):
        place = places.get(one.moment, -1)
        if place < 0:
            day = one.moment.astimezone(zone).date()
            place = places[one.moment] = days.setdefault(day, len(days))
            if place == len(shapes):
                shapes.append(periods(tier_set, day, review=review))
        rows += [(profile, number, one.moment, place) for profile in of_member.get(one.member_id, ())]
    if not shapes:
        return []
    empty = ((_NONE,) * len(shapes[0].score), (0,) * len(shapes[0].spend))
    if not rows or not (shapes[0].score or shapes[0].spend):
        return [empty] * len(asked)
    found = _ask(tx, tier_set, shapes, rows)
    return [found.get(number, empty) for number in range(len(asked))]


def _ask(
    tx: Tx, tier_set: TierSet, shapes: Sequence[Periods], rows: Sequence[tuple[UUID, int, datetime, int]]
) -> dict[int, _Added]:
    scores, spends = len(shapes[0].score), len(shapes[0].spend)
    ends = [day for shape in shapes for period in (*shape.score, *shape.spend) for day in period]
    width = len(ends) // len(shapes)
    with tx.raw.cursor(binary=True) as cursor:
        cursor.execute(
            _statement(scores, spends),
            {
                "profiles": arrays.uuids(row[0] for row in rows),
                "numbers": arrays.numbers(row[1] for row in rows),
                "moments": arrays.instants(row[2] for row in rows),
                "places": arrays.numbers(row[3] for row in rows),
                "days": arrays.numbers(range(len(shapes))),
                "first": arrays.days(shape.first for shape in shapes),
                "last": arrays.days(shape.last for shape in shapes),
                "book": tier_set.book,
                **{f"d{column}": arrays.days(ends[column::width]) for column in range(width)},
            },
        )
        fetched = cursor.fetchall()
    return {
        row[0]: (tuple(tuple(row[1 + 4 * n : 5 + 4 * n]) for n in range(scores)), tuple(row[1 + 4 * scores :]))
        for row in fetched
    }


def _statement(scores: int, spends: int) -> bytes:
    """Build the statement for so many periods: only numbers of columns go into its text."""

    def total(measure: str, period: int) -> str:
        days = f"c.day BETWEEN d.d{2 * period} AND d.d{2 * period + 1}"
        return f"coalesce(sum(c.{measure}) FILTER (WHERE {days}), 0)::bigint"

    columns = [total(measure, period) for period in range(scores) for measure in _MEASURES]
    columns += [total("spend_minor", period) for period in range(scores, scores + spends)]
    names = [f"d{column}" for column in range(2 * (scores + spends))]
    arrays = "".join(f", %({name})s::date[]" for name in names)
    return (
        f"SELECT m.number, {', '.join(columns)}"
        " FROM unnest(%(profiles)s::uuid[], %(numbers)s::int[], %(moments)s::timestamptz[], %(places)s::int[])"
        " AS m (profile_id, number, moment, place)"
        f" JOIN unnest(%(days)s::int[], %(first)s::date[], %(last)s::date[]{arrays})"
        f" AS d (place, first, last, {', '.join(names)}) ON d.place = m.place"
        " JOIN tiers.contribution c ON c.profile_id = m.profile_id AND c.tier_set = %(book)s"
        " AND c.day BETWEEN d.first AND d.last AND c.occurred_at <= m.moment"
        " GROUP BY m.number"
    ).encode()
