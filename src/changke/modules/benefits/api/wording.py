"""What the routes of benefits, rewards and stored value share: codes, moments, members."""

from datetime import datetime, timedelta
from typing import Annotated
from uuid import UUID

from fastapi import Path
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from changke.kernel.clock import check_instant
from changke.kernel.database import Tx
from changke.kernel.errors import INVALID_VALUE, NOT_FOUND, OUT_OF_RANGE, Refusal
from changke.modules.identity import queries as identity

CODE = r"^[a-z0-9][a-z0-9_.-]{0,63}$"
AHEAD_MAX = timedelta(days=1)

BenefitCode = Annotated[str, Path(pattern=CODE)]
CodeIn = Annotated[str, Field(pattern=CODE)]
Plain = Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[^\x00]+$")]
MinorIn = Annotated[int, Field(strict=True, ge=1, le=10**13, description="minor units")]

Occurred = Annotated[
    AwareDatetime,
    Field(description="when it happened (RFC 3339 with a zone), the same on every retry; at most a day ahead of us"),
]


class Out(BaseModel):
    """An answer that is read off a term."""

    model_config = ConfigDict(from_attributes=True)


def happened(occurred_at: datetime, now: datetime) -> datetime:
    """Return when something happened, in UTC; refuses what is more than a day ahead of us."""
    moment = check_instant(occurred_at, "occurred_at")
    if moment > now + AHEAD_MAX:
        raise Refusal(OUT_OF_RANGE, field="occurred_at", have=moment.isoformat(), need=f"≤ {now + AHEAD_MAX}")
    return moment


def member_of(tx: Tx, member_id: UUID) -> UUID:
    """Return the id a member has now; refuses with `not_found` one who never was."""
    found = identity.members_of(tx, [member_id]).get(member_id)
    if found is None:
        raise Refusal(NOT_FOUND, field="member_id", have=str(member_id), what="member")
    return found


def moment_of(cursor: list[str] | None) -> tuple[datetime, UUID] | None:
    """Return the (moment, id) a page ended with; refuses a cursor we did not make."""
    if cursor is None:
        return None
    try:
        return check_instant(datetime.fromisoformat(cursor[0]), "cursor"), UUID(cursor[1])
    except ValueError:
        raise Refusal(INVALID_VALUE, field="cursor", reason="not one of ours") from None
