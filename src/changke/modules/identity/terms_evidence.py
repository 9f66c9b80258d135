"""What matching works on: profiles and the evidence between them."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import IntEnum
from uuid import UUID

from changke.modules.identity.terms import CaseKind, Strength, strength_of


class EvidenceKind(IntEnum):
    """What ties two profiles (or keeps them apart)."""

    SEEN = 1
    PROVEN = 2
    SAME = 3
    NOT_SAME = 4


@dataclass(frozen=True, slots=True)
class Profile:
    """One identifier value, as far as matching needs it."""

    profile_id: UUID
    namespace: str
    value_hash: bytes
    verified: bool = False
    blocked: bool = False
    cleared: bool = False

    @property
    def known(self) -> bool:
        """Whether this tells who somebody is, and not only where or on what."""
        return strength_of(self.namespace, verified=self.verified) < Strength.C


@dataclass(frozen=True, slots=True)
class Evidence:
    """Two profiles and what was seen or said of them, `since` when."""

    low: UUID
    high: UUID
    kind: EvidenceKind
    since: datetime


@dataclass(frozen=True, slots=True)
class Limits:
    """How far the rules may go without a person."""

    crowd_max: int = 10
    joined_profiles_max: int = 10


@dataclass(frozen=True, slots=True)
class Conflict:
    """A piece of evidence that was demoted, or a crowded value (`low` and `high` are the same then)."""

    kind: CaseKind
    low: UUID
    high: UUID
    namespace: str | None


@dataclass(frozen=True, slots=True)
class Partition:
    """The members (`member_of` each profile), the values that are crowded, and what waits for a person."""

    member_of: Mapping[UUID, UUID]
    crowded: frozenset[UUID]
    conflicts: tuple[Conflict, ...]


@dataclass(frozen=True, slots=True)
class Graph:
    """Profiles and the live evidence between them, by its id; no live evidence leads out but to blocked ones."""

    profiles: Mapping[UUID, Profile]
    evidence: Mapping[UUID, Evidence]
