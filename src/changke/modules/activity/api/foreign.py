"""What the routes for foreign protocols share: bodies, a batch taken in, answers."""

import zlib
from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any

import psycopg

from changke.kernel.errors import INVALID_VALUE, TOO_LARGE, Refusal
from changke.kernel.i18n import Locale
from changke.kernel.web import Edge
from changke.modules.activity import commands, queries_heard
from changke.modules.activity.api.wording import counts, receipt_json
from changke.modules.activity.terms import Envelope, Malformed, Receipt, Status

_TRIES = 3
_GZIP_OR_ZLIB = 32 + zlib.MAX_WBITS


def unpacked(body: bytes, encoding: str | None, *, bytes_max: int) -> bytes:
    """Return a body as it was before gzip; refuses one over `bytes_max` without unpacking more than that."""
    if encoding and encoding.strip().lower() in ("gzip", "x-gzip", "deflate"):
        stream = zlib.decompressobj(_GZIP_OR_ZLIB)
        try:
            body = stream.decompress(body, bytes_max + 1)
        except zlib.error:
            raise Refusal(INVALID_VALUE, field="body", reason="not gzip") from None
        if not stream.eof and len(body) <= bytes_max:
            raise Refusal(INVALID_VALUE, field="body", reason="gzip cut short")
    if len(body) > bytes_max:
        raise Refusal(TOO_LARGE, field="body", have=f"> {bytes_max}", need=bytes_max)
    return body


def take_in(
    edge: Edge,
    items: Sequence[Envelope | Malformed],
    *,
    at: datetime,
    timeless: Collection[int] = (),
    sync: bool = False,
) -> list[Receipt]:
    """Take in a batch; one that lost a deadlock is tried again (nothing of it was kept).

    `timeless` are the places of events that state no time: they happened when they were first received.
    """
    for left in reversed(range(_TRIES)):
        try:
            with edge.database.transaction() as tx:
                ready = queries_heard.as_first_heard(tx, items, timeless)
                decide = edge.decide if sync else None
                return commands.intake(
                    tx, ready, at=at, keyring=edge.keyring, decide=decide, region=edge.settings.default_region
                )
        except psycopg.errors.DeadlockDetected:
            if not left:
                raise
    raise AssertionError("the last try returns or raises")


def answer(receipts: Sequence[Receipt], locale: Locale) -> dict[str, Any]:
    """Return counts, and an answer for each item that was refused."""
    errors = [
        {"index": index, **receipt_json(one, locale)}
        for index, one in enumerate(receipts)
        if one.status is Status.REJECTED
    ]
    return {"counts": counts(receipts), "errors": errors}
