"""Postings asked for from outside: whose wallets they mean is made sure of before the ledger is asked.

Inside the house an id is always a member's present id. A till may remember an id that was merged away since, or mistype
one: the first finds where it went, the second is refused, so that no wallet of nobody comes to be.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any
from uuid import UUID

from changke.kernel.database import Tx
from changke.kernel.errors import CONFLICT_IDEMPOTENCY, NOT_FOUND, Refusal
from changke.modules.identity import queries as identity
from changke.modules.ledger import commands, queries, terms
from changke.modules.ledger.wallet_types import Holder, WalletType

_HOLDERS = ("member_id", "source", "target")


def resolve(tx: Tx, asked: Sequence[terms.Request]) -> list[terms.Request | Refusal]:
    """Return each request under the present ids of its members, or the refusal of an unknown one."""
    wanted = {holder for one in asked for holder in _holders(one).values()}
    now = identity.members_of(tx, wanted)
    types = queries.wallet_types(tx) if wanted - now.keys() else {}
    return [_resolved(one, now, types) for one in asked]


def _holders(request: terms.Request) -> dict[str, UUID]:
    return {name: getattr(request, name) for name in _HOLDERS if hasattr(request, name)}


def _resolved(
    request: terms.Request, now: Mapping[UUID, UUID], types: Mapping[str, WalletType]
) -> terms.Request | Refusal:
    changes: dict[str, Any] = {}
    for name, holder in _holders(request).items():
        if holder not in now:
            held_by = types.get(getattr(request, "wallet_type", ""))
            if held_by is None or held_by.holder is Holder.MEMBER:
                return Refusal(NOT_FOUND, field=name, have=str(holder), what="member")
        elif now[holder] != holder:
            changes[name] = now[holder]
    return replace(request, **changes) if changes else request


def post(tx: Tx, asked: Sequence[terms.Request], *, at: datetime) -> list[terms.Outcome]:
    """Post requests from outside; each is posted or refused on its own, in order."""
    told = resolve(tx, asked)
    fit = [one for one in told if not isinstance(one, Refusal)]
    outcomes = iter(commands.post(tx, fit, at=at))
    answers = [terms.Refused(one) if isinstance(one, Refusal) else next(outcomes) for one in told]
    stale = [place for place, outcome in enumerate(answers) if told[place] is not asked[place] and is_conflict(outcome)]
    if stale:  # posted before the merge, under the id of then
        for place, outcome in zip(stale, commands.post(tx, [asked[place] for place in stale], at=at), strict=True):
            answers[place] = outcome
    return answers


def is_conflict(outcome: terms.Outcome) -> bool:
    """Whether a key was refused because its body differs."""
    return isinstance(outcome, terms.Refused) and outcome.refusal.code is CONFLICT_IDEMPOTENCY
