"""Who would move under a draft of a tier set, without storing the draft."""

from collections import Counter
from collections.abc import Callable, Sequence
from datetime import datetime
from heapq import nsmallest
from typing import Any
from uuid import UUID

from changke.kernel.database import Tx
from changke.kernel.errors import Refusal
from changke.modules.identity import queries as identity
from changke.modules.tiers import queries, queries_sums
from changke.modules.tiers.rules import documents
from changke.modules.tiers.rules.scoring import Scale
from changke.modules.tiers.terms import NO_SUCH_WHAT_IF, Cell, Mover, TierSet, WhatIf

PAGE = 2_000
MOVERS_MAX = 20
_UNSTORED = UUID(int=0)


def moves(tx: Tx, draft: TierSet, *, as_of: datetime, progress: Callable[[int, int], None] | None = None) -> WhatIf:
    """Look at every member with a standing in the set and return who would move; reads only.

    `progress` is told (members looked at, of how many) after every page.
    """
    documents.check(draft)
    total = count_members(tx, draft.code)
    cells: tuple[Cell, ...] = ()
    movers: tuple[Mover, ...] = ()
    reached, seen = UUID(int=0), 0
    while page := members_behind(tx, draft.code, reached):
        more_cells, more_movers = look(tx, draft, page, as_of=as_of)
        cells, movers = added(cells, more_cells), top(draft, (*movers, *more_movers))
        reached, seen = page[-1], seen + len(page)
        if progress is not None:
            progress(seen, total)
    return WhatIf(draft.code, _UNSTORED, "done", as_of, seen, total, cells, movers)


def count_members(tx: Tx, code: str) -> int:
    """Return how many members have a standing in a tier set."""
    row = tx.raw.execute("SELECT count(*) FROM tiers.standing WHERE tier_set = %s", (code,)).fetchone()
    return int(row[0]) if row else 0


def members_behind(tx: Tx, code: str, reached: UUID) -> list[UUID]:
    """Return the next page of members with a standing in a tier set."""
    rows = tx.raw.execute(
        "SELECT member_id FROM tiers.standing WHERE tier_set = %s AND member_id > %s ORDER BY member_id LIMIT %s",
        (code, reached, PAGE),
    ).fetchall()
    return [row[0] for row in rows]


def look(
    tx: Tx, draft: TierSet, member_ids: Sequence[UUID], *, as_of: datetime
) -> tuple[tuple[Cell, ...], tuple[Mover, ...]]:
    """Return what a draft means for some members: counts, and those it moves furthest."""
    current = queries.tier_set(tx, draft.code)
    profiles = identity.profiles_of(tx, member_ids)
    there = set(profiles.values())
    asked = [queries_sums.Asked(one, as_of) for one in member_ids if one in there]
    standings = queries.standings(tx, [one.member_id for one in asked], tier_set=draft.code, as_of=as_of)
    now = queries_sums.sums(tx, current, asked, profiles, at=as_of, review=True)
    then = queries_sums.sums(tx, draft, asked, profiles, at=as_of, review=True)
    scale_now, scale_then = Scale(current), Scale(draft)
    cells: Counter[tuple[str, str, str]] = Counter()
    movers: list[Mover] = []
    for one, sums_now, sums_then in zip(asked, now, then, strict=True):
        fit_now, fit_then = scale_now.fit(sums_now), scale_then.fit(sums_then)
        old = standings[one.member_id].tier
        as_is, new = current.by_rank(fit_now.rank).code, draft.by_rank(fit_then.rank).code
        cells[old, as_is, new] += 1
        if as_is != new:
            scores = scale_now.shown(fit_now.scaled), scale_then.shown(fit_then.scaled)
            movers.append(Mover(one.member_id, old, as_is, new, *scores))
    return tuple(Cell(*key, count) for key, count in cells.items()), top(draft, movers)


def added(some: Sequence[Cell], more: Sequence[Cell]) -> tuple[Cell, ...]:
    """Return the counts of both."""
    counts: Counter[tuple[str, str, str]] = Counter()
    for cell in (*some, *more):
        counts[cell.old, cell.as_is, cell.new] += cell.members
    return tuple(Cell(*key, counts[key]) for key in sorted(counts))


def top(draft: TierSet, movers: Sequence[Mover]) -> tuple[Mover, ...]:
    """Return those who move furthest: by tiers, then by score, then by id."""

    def distance(one: Mover) -> tuple[Any, ...]:
        before, after = draft.by_code(one.as_is), draft.by_code(one.new)
        ranks = abs(after.rank - before.rank) if before and after else len(draft.tiers)
        return (-ranks, -abs(one.score_then - one.score_now), one.member_id)

    return tuple(nsmallest(MOVERS_MAX, movers, key=distance))


def what_if(tx: Tx, code: str, run_id: UUID) -> WhatIf:
    """Return a stored what-if as far as it is; refuses with `no_such_what_if`."""
    row = tx.raw.execute(
        "SELECT tier_set, run_id, finished_at, as_of, members, of_members, cells, movers FROM tiers.what_if_run"
        " WHERE tier_set = %s AND run_id = %s",
        (code, run_id),
    ).fetchone()
    if row is None:
        raise Refusal(NO_SUCH_WHAT_IF, field="run_id", have=str(run_id))
    code, run_id, finished_at, as_of, members, of_members, cells, movers = row
    return WhatIf(
        code, run_id, "running" if finished_at is None else "done", as_of, members, of_members,
        documents.cells(cells), documents.movers(movers),
    )  # fmt: skip
