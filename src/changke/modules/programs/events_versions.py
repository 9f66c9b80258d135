"""What programme versions announce."""

from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar
from uuid import UUID

from changke.kernel.ids import derived_id


@dataclass(frozen=True, slots=True)
class VersionPublished:
    """A version of a programme was published; it is in force from `effective_from` on."""

    topic: ClassVar[str] = "programs.version_published.v1"
    event_id: UUID
    lane_key: UUID
    program: str
    version: int
    base: int | None
    digest: str
    author: str
    approver: str
    published_by: str
    reason: str | None
    effective_from: datetime
    published_at: datetime


@dataclass(frozen=True, slots=True)
class VersionMoved:
    """A version took a step towards publication, or away from it: someone may have to look at it."""

    topic: ClassVar[str] = "programs.version_moved.v1"
    event_id: UUID
    lane_key: UUID
    program: str
    version: int
    step: int
    old_state: str | None
    new_state: str
    actor: str
    reason: str | None
    at: datetime


def published(
    program: str, version: int, *, base: int | None, digest: str, author: str, approver: str, published_by: str,
    reason: str | None, effective_from: datetime, at: datetime,
) -> VersionPublished:  # fmt: skip
    """Return the announcement of a publication."""
    return VersionPublished(
        derived_id("program_published", program, str(version)), _lane(program), program, version, base, digest, author,
        approver, published_by, reason, effective_from, at,
    )  # fmt: skip


def moved(
    program: str, version: int, step: int, *, old: str | None, new: str, actor: str, reason: str | None, at: datetime
) -> VersionMoved:
    """Return the announcement of a step."""
    event_id = derived_id("program_moved", program, str(version), str(step))
    return VersionMoved(event_id, _lane(program), program, version, step, old, new, actor, reason, at)


def _lane(program: str) -> UUID:
    return derived_id("program", program)
