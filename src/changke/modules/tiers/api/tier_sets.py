"""Tier sets: what there is, a new version, and who would move under a draft."""

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

import orjson
from fastapi import Body, Depends, Path, Query
from pydantic import AfterValidator, AwareDatetime, BaseModel, Field

from changke.kernel.clock import check_instant
from changke.kernel.principal import Principal
from changke.kernel.web import Edge, EdgeNow, PermissionRouter, principal_of
from changke.modules.tiers import commands_what_if as commands
from changke.modules.tiers import queries, queries_what_if
from changke.modules.tiers.api.wording import CodePath, WhatIfOut
from changke.modules.tiers.terms import TierSet, WhatIf

router = PermissionRouter(prefix="/v1", tags=["tiers"])
PAGES_AT_ONCE = 5

_EXAMPLE = {
    "name": {"en": "Club", "zh": "俱乐部"},
    "time_zone": "Asia/Shanghai",
    "currency": "CNY",
    "tiers": [
        {"code": "basic", "name": {"en": "Basic", "zh": "基础"}, "rank": 0, "threshold": "0"},
        {"code": "gold", "name": {"en": "Gold", "zh": "金卡"}, "rank": 1, "threshold": "5000"},
    ],
    "basis": {
        "kind": "score",
        "window": {"kind": "running_months", "months": 12},
        "spend": {"weight": "1", "per": 100},
    },
    "validity": {"kind": "months", "months": 12},
    "grace": {"days": 30, "to_end_of_month": True},
}


def _plain(data: dict[str, Any]) -> dict[str, Any]:
    """Refuse what cannot be written as JSON again, such as half of a surrogate pair."""
    try:
        orjson.dumps(data)
    except orjson.JSONEncodeError as error:
        raise ValueError(str(error)) from None
    return data


Definition = Annotated[
    dict[str, Any],
    AfterValidator(_plain),
    Body(
        description="ladder, basis (score or wallet), immediate rules, review, downgrade, validity, grace;"
        " what is not valid is refused with its path",
        examples=[_EXAMPLE],
    ),
]
Caller = Annotated[Principal, Depends(principal_of)]


class TierSetOut(BaseModel):
    """A version of a tier set."""

    code: str
    version: int
    definition: dict[str, Any]


class TierSets(BaseModel):
    """The newest version of every tier set."""

    tier_sets: list[TierSetOut]


class VersionOut(TierSetOut):
    """A version and the moment from which it holds."""

    valid_from: datetime


class Versions(BaseModel):
    """Every version of a tier set, oldest first."""

    code: str
    versions: list[VersionOut]


class Put(BaseModel):
    """The version that is now in force, or with `dry_run` the one that would be, and who would move."""

    tier_set: TierSetOut
    stored: bool
    what_if: WhatIfOut | None = Field(description="its id goes with the PUT that publishes exactly this draft")


@router.get("/tier-sets", permission="tiers.read", summary="Every tier set 等级体系")
def list_tier_sets(edge: EdgeNow) -> TierSets:
    """Return the ladders there are."""
    with edge.database.transaction() as tx:
        found = queries.tier_sets(tx)
    return TierSets(tier_sets=[_out(found[code]) for code in sorted(found)])


@router.get("/tier-sets/{code}", permission="tiers.read", summary="A tier set with its versions 等级体系版本")
def get_tier_set(code: CodePath, edge: EdgeNow) -> Versions:
    """Return every version of a tier set, oldest first: thresholds and weights with their history."""
    with edge.database.transaction() as tx:
        queries.tier_set(tx, code)
        found = queries.versions(tx, code)
    return Versions(
        code=code,
        versions=[VersionOut(**_out(one).model_dump(), valid_from=valid_from) for one, valid_from in found],
    )


@router.put("/tier-sets/{code}", permission="tiers.write", summary="Define a tier set 定义等级体系")
def put_tier_set(
    code: CodePath,
    body: Definition,
    edge: EdgeNow,
    caller: Caller,
    dry_run: Annotated[bool, Query(description="store nothing; answer who would move")] = False,
    what_if: Annotated[
        UUID | None, Query(description="id of the finished what-if of this draft; needed when figures change")
    ] = None,
) -> Put:
    """Store a new version; the same again adds nothing. Standings stay until the next fact or review."""
    draft = commands.load(body, code=code)
    if dry_run:
        found = _try_out(edge, draft, caller, as_of=edge.clock.now()) if _exists(edge, code) else None
        return Put(tier_set=_out(draft), stored=False, what_if=WhatIfOut.model_validate(found) if found else None)
    with edge.database.transaction() as tx:
        stored = commands.publish(tx, draft, what_if=what_if, at=edge.clock.now())
    return Put(tier_set=_out(stored), stored=True, what_if=None)


@router.post("/tier-sets/{code}/what-if", permission="tiers.read", summary="Who would move under a draft 等级试算")
def start_what_if(
    code: CodePath,
    body: Definition,
    edge: EdgeNow,
    caller: Caller,
    as_of: Annotated[AwareDatetime | None, Query(description="as things stood then; empty: now")] = None,
) -> WhatIfOut:
    """Look at every member with the draft. Up to 10,000 members are answered at once, more go on in the background."""
    draft = commands.load(body, code=code)
    moment = check_instant(as_of, "as_of") if as_of else edge.clock.now()
    return WhatIfOut.model_validate(_try_out(edge, draft, caller, as_of=moment))


@router.get("/tier-sets/{code}/what-ifs/{run_id}", permission="tiers.read", summary="How far a what-if is 试算进度")
def get_what_if(code: CodePath, run_id: Annotated[UUID, Path(description="its id")], edge: EdgeNow) -> WhatIfOut:
    """Return what was found so far."""
    with edge.database.transaction() as tx:
        return WhatIfOut.model_validate(queries_what_if.what_if(tx, code, run_id))


def _exists(edge: Edge, code: str) -> bool:
    with edge.database.transaction() as tx:
        return code in queries.tier_sets(tx)


def _try_out(edge: Edge, draft: TierSet, caller: Principal, *, as_of: datetime) -> WhatIf:
    with edge.database.transaction() as tx:
        run = commands.start(tx, draft, as_of=as_of, by=caller.name, at=edge.clock.now())
    for _ in range(PAGES_AT_ONCE + 1):
        with edge.database.transaction() as tx:
            commands.step(tx, at=edge.clock.now(), run_id=run.run_id)
            found = queries_what_if.what_if(tx, draft.code, run.run_id)
        if found.state == "done":
            break
    return found


def _out(one: TierSet) -> TierSetOut:
    return TierSetOut(code=one.code, version=one.version, definition=queries.as_data(one))
