"""What-ifs that are kept: started with a draft, worked off in pages, asked for when the draft is published."""

from datetime import datetime
from uuid import UUID

from changke.kernel.database import Tx
from changke.kernel.errors import Refusal
from changke.kernel.ids import new_id
from changke.modules.tiers import commands, queries, queries_what_if, store_what_if
from changke.modules.tiers.rules import documents
from changke.modules.tiers.terms import WHAT_IF_NEEDED, TierSet, WhatIf


def load(data: object, *, code: str) -> TierSet:
    """Return the tier set that JSON data describes, under the code of its address; refuses what makes no sense."""
    return documents.load({**data, "code": code} if isinstance(data, dict) else data)


def start(tx: Tx, draft: TierSet, *, as_of: datetime, by: str, at: datetime) -> WhatIf:
    """Keep a what-if of a draft, to be worked off by `step`; refuses a draft of a set that does not exist yet."""
    documents.check(draft)
    queries.tier_set(tx, draft.code)
    run_id = new_id()
    store_what_if.add(tx, run_id, draft, queries_what_if.count_members(tx, draft.code), as_of=as_of, by=by, at=at)
    return queries_what_if.what_if(tx, draft.code, run_id)


def step(tx: Tx, *, at: datetime, run_id: UUID | None = None) -> int:
    """Look at the next page of members of an unfinished what-if, the oldest or the one named.

    Returns how many steps of work it was, 0 when nothing is left to do.
    """
    run = store_what_if.lock_open(tx, run_id=run_id)
    if run is None:
        return 0
    page = queries_what_if.members_behind(tx, run.tier_set, run.reached)
    cells, movers = run.cells, run.movers
    if page:
        more_cells, more_movers = queries_what_if.look(tx, run.draft, page, as_of=run.as_of)
        cells = queries_what_if.added(cells, more_cells)
        movers = queries_what_if.top(run.draft, (*movers, *more_movers))
    store_what_if.advance(
        tx, run, page[-1] if page else None, len(page), cells, movers, finished_at=None if page else at
    )
    return max(1, len(page))


def publish(tx: Tx, draft: TierSet, *, what_if: UUID | None, at: datetime) -> TierSet:
    """Store a draft as the next version. One that changes what is counted or the ladder needs its finished what-if."""
    standing = queries.tier_sets(tx).get(draft.code)
    if standing is not None and _counts_otherwise(standing, draft):
        run = store_what_if.find(tx, draft.code, what_if) if what_if else None
        if run is None or not run.is_done or documents.dump(run.draft) != documents.dump(draft):
            raise Refusal(WHAT_IF_NEEDED, field="what_if", have=str(what_if) if what_if else None)
    return commands.put_tier_set(tx, draft, at=at)


def _counts_otherwise(standing: TierSet, draft: TierSet) -> bool:
    ladders = [[(tier.code, tier.rank, tier.threshold) for tier in one.tiers] for one in (standing, draft)]
    return ladders[0] != ladders[1] or (standing.basis, standing.immediate) != (draft.basis, draft.immediate)
