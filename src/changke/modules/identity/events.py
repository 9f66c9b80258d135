"""What identity announces."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar
from uuid import UUID

from changke.kernel.ids import derived_id
from changke.modules.identity.terms import Move


@dataclass(frozen=True, slots=True)
class MemberCreated:
    """A member exists that did not exist before."""

    topic: ClassVar[str] = "identity.member_created.v1"
    event_id: UUID
    lane_key: UUID
    member_id: UUID


@dataclass(frozen=True, slots=True)
class MembersMerged:
    """Profiles moved to the member `winner`; `losers` have no profile any more."""

    topic: ClassVar[str] = "identity.members_merged.v1"
    event_id: UUID
    lane_key: UUID
    merge_id: UUID
    winner: UUID
    losers: tuple[UUID, ...]
    moves: tuple[Move, ...]


@dataclass(frozen=True, slots=True)
class MergeUndone:
    """A merge was taken back; `moves` say where its profiles are now."""

    topic: ClassVar[str] = "identity.merge_undone.v1"
    event_id: UUID
    lane_key: UUID
    merge_id: UUID
    moves: tuple[Move, ...]


def created(members: Iterable[UUID]) -> list[MemberCreated]:
    """Return the news of new members."""
    return [MemberCreated(derived_id(MemberCreated.topic, str(one)), one, one) for one in members]


def merged(merge_id: UUID, winner: UUID, losers: tuple[UUID, ...], moves: tuple[Move, ...]) -> MembersMerged:
    """Return the news of a merge."""
    return MembersMerged(derived_id(MembersMerged.topic, str(merge_id)), winner, merge_id, winner, losers, moves)


def undone(merge_id: UUID, winner: UUID, moves: tuple[Move, ...]) -> MergeUndone:
    """Return the news of a merge that was taken back."""
    return MergeUndone(derived_id(MergeUndone.topic, str(merge_id)), winner, merge_id, moves)
