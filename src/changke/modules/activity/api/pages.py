"""Pages: a list and where it goes on."""

from collections.abc import Sequence
from typing import Annotated, Generic, TypeVar
from uuid import UUID

from fastapi import Query
from pydantic import BaseModel

from changke.kernel.errors import INVALID_VALUE, Refusal
from changke.kernel.web import PAGE_MAX

Item = TypeVar("Item")
Limit = Annotated[int, Query(ge=1, le=PAGE_MAX)]
Cursor = Annotated[str | None, Query(max_length=500)]


class Page(BaseModel, Generic[Item]):
    """A part of a list; `next_cursor` asks for the next part."""

    items: Sequence[Item]
    next_cursor: str | None = None


def uuids_of(parts: Sequence[str] | None) -> list[UUID] | None:
    """Return the ids in a cursor; refuses one we did not make."""
    try:
        return None if parts is None else [UUID(part) for part in parts]
    except ValueError:
        raise Refusal(INVALID_VALUE, field="cursor", reason="not one of ours") from None
