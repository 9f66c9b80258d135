"""Routes of identity: members, merges, review cases, API keys. Identifier values never stand in a URL."""

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from fastapi import Depends, Path, Query
from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from changke.kernel.clock import check_instant
from changke.kernel.errors import FORBIDDEN, INVALID_VALUE, Refusal
from changke.kernel.i18n import Locale
from changke.kernel.principal import Principal
from changke.kernel.web import (
    PAGE_MAX,
    EdgeNow,
    PermissionRouter,
    decode_cursor,
    encode_cursor,
    locale_of,
    principal_of,
)
from changke.modules.identity import commands, queries
from changke.modules.identity.terms import (
    IDENTIFIERS_MAX,
    ApiKey,
    Decision,
    Identifier,
    KnownIdentifier,
    MemberView,
    Merge,
    Move,
    ReviewCase,
    Sighting,
    kind_of,
)

router = PermissionRouter(prefix="/v1", tags=["identity"])
routers = (router,)

_BATCH_MAX = 1_000
_READABLE = r"^[^\x00-\x1f\x7f]+$"
Code = Annotated[str, StringConstraints(min_length=1, max_length=128, pattern=_READABLE)]
Reason = Annotated[str, StringConstraints(min_length=1, max_length=500, pattern=_READABLE)]
Limit = Annotated[int, Query(ge=1, le=PAGE_MAX, description="items on a page")]
Cursor = Annotated[str | None, Query(max_length=200, description="`next` of the page before")]
Caller = Annotated[Principal, Depends(principal_of)]
Language = Annotated[Locale, Depends(locale_of)]


class _In(BaseModel):
    model_config = ConfigDict(extra="forbid")


class IdentifierIn(_In):
    """A value in a namespace: phone, email, card_number, app_account, external:<source> …"""

    namespace: Annotated[str, StringConstraints(min_length=1, max_length=64)]
    value: Annotated[str, StringConstraints(min_length=1, max_length=1_000)] = Field(
        description="as the channel has it; a WeChat openid is written appid:openid"
    )
    verified: bool = Field(default=False, description="the channel has proof: an OTP was entered, a link was clicked")

    def term(self) -> Identifier:
        """Return it as the commands take it."""
        return Identifier(self.namespace, self.value, self.verified)


class SightingIn(_In):
    """Identifiers that came together in one event."""

    source: Code
    event_id: Code
    occurred_at: datetime | None = Field(default=None, description="when it happened; absent: now")
    identifiers: list[IdentifierIn] = Field(min_length=1, max_length=IDENTIFIERS_MAX)


class ResolveIn(_In):
    """A batch of sightings."""

    sightings: list[SightingIn] = Field(min_length=1, max_length=_BATCH_MAX)


class SearchIn(_In):
    """Whom to look for."""

    identifier: IdentifierIn


class MergeIn(_In):
    """Members that are the same person as the one in the path."""

    with_members: list[UUID] = Field(min_length=1, max_length=20)
    reason: Reason


class UndoIn(_In):
    """Why a merge is taken back."""

    reason: Reason


class DecisionIn(_In):
    """The answer to a review case."""

    decision: Decision
    reason: Reason


class KeyIn(_In):
    """A new API key."""

    name: Code
    permissions: list[Annotated[str, StringConstraints(min_length=1, max_length=101)]] = Field(
        min_length=1, max_length=100, description="module.verb, module.* or *; never more than the caller has"
    )
    expires_at: datetime | None = None


@router.get("/members", permission="identity.read", summary="List members")
def list_members(edge: EdgeNow, limit: Limit = 50, cursor: Cursor = None) -> dict[str, Any]:
    """Members in the order of their ids."""
    with edge.database.transaction() as tx:
        found = queries.list_members(tx, limit=limit, after=_after(cursor))
    return {
        "members": [
            {"member_id": one.member_id, "created_at": one.created_at, "profiles": one.profiles} for one in found
        ],
        "next": encode_cursor(found[-1].member_id) if len(found) == limit else None,
    }


@router.post("/members/search", permission="identity.read", summary="Find a member by an identifier")
def search_members(edge: EdgeNow, body: SearchIn) -> dict[str, Any]:
    """The member an identifier belongs to, if it was ever seen: a list of one or none."""
    with edge.database.transaction() as tx:
        profile_id = queries.find(tx, body.identifier.term(), edge.keyring, region=edge.settings.default_region)
        found = [queries.member_view(tx, profile_id, edge.keyring)] if profile_id else []
    return {"members": [_member(one) for one in found]}


@router.post("/members/resolve", permission="identity.resolve", summary="Resolve sightings to members")
def resolve(edge: EdgeNow, body: ResolveIn, locale: Language) -> dict[str, Any]:
    """One answer for each sighting, in order: the profile and member, or a problem. Unknown identifiers are stored."""
    wanted = [_sighting(one, f"sightings[{index}]") for index, one in enumerate(body.sightings)]
    with edge.database.transaction() as tx:
        answers = commands.resolve(
            tx, wanted, at=edge.clock.now(), keyring=edge.keyring, region=edge.settings.default_region
        )
    return {
        "results": [
            {"problem": one.at(f"sightings[{index}]").problem(locale)}
            if isinstance(one, Refusal)
            else {"profile_id": one.profile_id, "member_id": one.member_id}
            for index, one in enumerate(answers)
        ]
    }


@router.get("/members/{member_id}", permission="identity.read", summary="A member")
def get_member(edge: EdgeNow, member_id: UUID) -> dict[str, Any]:
    """A member with its profiles, masked identifiers and merges; the id of a merged member finds where it went."""
    with edge.database.transaction() as tx:
        return _member(queries.member_view(tx, member_id, edge.keyring))


@router.post("/members/{member_id}/merge", permission="identity.merge", summary="Merge members")
def merge_members(edge: EdgeNow, member_id: UUID, body: MergeIn, caller: Caller) -> dict[str, Any]:
    """Join members on a person's word, beyond what the rules would; can be undone."""
    with edge.database.transaction() as tx:
        return _merge(
            commands.merge(
                tx,
                member_ids=[member_id, *body.with_members],
                actor=caller.name,
                reason=body.reason,
                at=edge.clock.now(),
            )
        )


@router.post("/merges/{merge_id}/undo", permission="identity.merge", summary="Undo a merge")
def undo_merge(edge: EdgeNow, merge_id: UUID, body: UndoIn, caller: Caller) -> dict[str, Any]:
    """Take a merge back; its members are kept apart from then on."""
    with edge.database.transaction() as tx:
        moves = commands.undo_merge(tx, merge_id=merge_id, actor=caller.name, reason=body.reason, at=edge.clock.now())
    return {"merge_id": merge_id, "moves": [_move(one) for one in moves]}


@router.get("/review-cases", permission="identity.review", summary="List review cases")
def list_review_cases(edge: EdgeNow, limit: Limit = 50, cursor: Cursor = None, decided: bool = False) -> dict[str, Any]:
    """What the rules leave to a person, the oldest first; with `decided`, what was answered."""
    with edge.database.transaction() as tx:
        found = queries.review_cases(tx, limit=limit, after=_after(cursor), is_open=not decided)
    return {
        "cases": [_case(one) for one in found],
        "next": encode_cursor(found[-1].case_id) if len(found) == limit else None,
    }


@router.post("/review-cases/{case_id}/decision", permission="identity.review", summary="Decide a review case")
def decide_review_case(edge: EdgeNow, case_id: UUID, body: DecisionIn, caller: Caller) -> dict[str, Any]:
    """`same` or `different` for two profiles; `keep_blocked` or `release` for a value that many share."""
    with edge.database.transaction() as tx:
        moves = commands.decide(
            tx,
            case_id=case_id,
            decision=body.decision,
            actor=caller.name,
            reason=body.reason,
            at=edge.clock.now(),
        )
    return {"case_id": case_id, "moves": [_move(one) for one in moves]}


@router.get("/api-keys", permission="identity.keys", summary="List API keys")
def list_api_keys(edge: EdgeNow) -> dict[str, Any]:
    """Every API key, without its secret."""
    with edge.database.transaction() as tx:
        return {"api_keys": [_key(one) for one in queries.api_keys(tx)]}


@router.post("/api-keys", permission="identity.keys", status_code=201, summary="Make an API key")
def create_api_key(edge: EdgeNow, body: KeyIn, caller: Caller) -> dict[str, Any]:
    """Make a key; its secret stands in this answer and nowhere else."""
    for one in body.permissions:
        if not caller.may(one):
            raise Refusal(FORBIDDEN, field="permissions", need=one)
    expires_at = check_instant(body.expires_at, "expires_at") if body.expires_at else None
    with edge.database.transaction() as tx:
        key, secret = commands.create_api_key(
            tx, name=body.name, permissions=body.permissions, at=edge.clock.now(), expires_at=expires_at
        )
    return {**_key(key), "secret": secret}


@router.delete("/api-keys/{key_id}", permission="identity.keys", status_code=204, summary="Revoke an API key")
def revoke_api_key(
    edge: EdgeNow, key_id: Annotated[str, Path(min_length=1, max_length=32, pattern=r"^[0-9A-Za-z]+$")]
) -> None:
    """End a key; running servers forget it within seconds."""
    with edge.database.transaction() as tx:
        commands.revoke_api_key(tx, key_id=key_id, at=edge.clock.now())


def _after(cursor: str | None) -> UUID | None:
    parts = decode_cursor(cursor, parts=1)
    try:
        return UUID(parts[0]) if parts else None
    except ValueError:
        raise Refusal(INVALID_VALUE, field="cursor", reason="not one of ours") from None


def _sighting(body: SightingIn, field: str) -> Sighting:
    at = check_instant(body.occurred_at, f"{field}.occurred_at") if body.occurred_at else None
    return Sighting(tuple(one.term() for one in body.identifiers), body.source, body.event_id, at)


def _member(view: MemberView) -> dict[str, Any]:
    return {
        "member_id": view.member_id,
        "created_at": view.created_at,
        "profile_ids": view.profile_ids,
        "identifiers": [_identifier(one) for one in view.identifiers],
        "merges": [_merge(one) for one in view.merges],
    }


def _identifier(one: KnownIdentifier) -> dict[str, Any]:
    kind = kind_of(one.namespace)
    return {
        "profile_id": one.profile_id,
        "namespace": one.namespace,
        "name": {"en": kind.text.en, "zh-CN": kind.text.zh},
        "value": one.value,
        "verified": one.verified,
        "blocked": one.blocked,
        "source": one.source,
        "first_seen": one.first_seen,
        "last_seen": one.last_seen,
    }


def _merge(one: Merge) -> dict[str, Any]:
    return {
        "merge_id": one.merge_id,
        "kind": one.kind,
        "winner": one.winner,
        "losers": one.losers,
        "reason": one.reason,
        "actor": one.actor,
        "moves": [_move(move) for move in one.moves],
        "at": one.at,
        "undone_at": one.undone_at,
        "undone_by": one.undone_by,
    }


def _move(one: Move) -> dict[str, Any]:
    return {"profile_id": one.profile_id, "from_member": one.from_member, "to_member": one.to_member}


def _case(one: ReviewCase) -> dict[str, Any]:
    return {
        "case_id": one.case_id,
        "kind": one.kind,
        "profile_ids": one.profile_ids,
        "member_ids": one.member_ids,
        "namespace": one.namespace,
        "opened_at": one.opened_at,
        "decision": one.decision,
        "decided_at": one.decided_at,
        "decided_by": one.decided_by,
    }


def _key(one: ApiKey) -> dict[str, Any]:
    return {
        "key_id": one.key_id,
        "name": one.name,
        "permissions": one.permissions,
        "created_at": one.created_at,
        "expires_at": one.expires_at,
        "last_used_at": one.last_used_at,
        "revoked_at": one.revoked_at,
    }
