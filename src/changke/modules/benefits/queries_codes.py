"""Codes of a template as a stream, for printers and mailings."""

from collections.abc import Iterator
from datetime import datetime

from changke.kernel.database import Tx
from changke.modules.benefits import rules_codes as codes

_CHUNK = 10_000


def stream_codes(tx: Tx, template: str) -> Iterator[list[tuple[str, str, datetime | None]]]:
    """Yield (code, state, end) of every code of a template in chunks; `free` ones of a pool belong to nobody yet."""
    with tx.raw.cursor(name="coupon_codes") as cursor:
        cursor.execute(
            "SELECT coalesce(o.written, o.code), coalesce(c.state, 'free'), c.expires_at FROM benefits.coupon_code o"
            " LEFT JOIN benefits.coupon c USING (profile_id, coupon_id) WHERE o.template = %s AND o.place IS NOT NULL"
            " UNION ALL SELECT c.code, c.state, c.expires_at FROM benefits.coupon c WHERE c.template = %s"
            " AND NOT EXISTS (SELECT FROM benefits.coupon_code o WHERE o.code = c.code AND o.place IS NOT NULL)",
            (template, template),
        )
        while rows := cursor.fetchmany(_CHUNK):
            yield [(codes.write_code(code), state, expires) for code, state, expires in rows]
