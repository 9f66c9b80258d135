"""Pools of codes: made here or brought from outside, a million at a time, none of them twice."""

import secrets
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice

from changke.kernel.database import Tx
from changke.kernel.errors import CONFLICT_IDEMPOTENCY, OUT_OF_RANGE, Refusal
from changke.kernel.ids import derived_id
from changke.modules.benefits import queries_coupons as queries
from changke.modules.benefits import rules_codes as codes
from changke.modules.benefits import store_codes
from changke.modules.benefits import store_coupons as store
from changke.modules.benefits.terms_coupons import (
    GENERATE_MAX,
    NOBODY,
    NOT_A_POOL,
    POOL_MAX,
    CodeKind,
    Imported,
    Symbology,
    Template,
)

_CHUNK = 50_000
_SHOWN = 100
_TRIES = 200


def import_codes(tx: Tx, *, template: str, texts: Iterable[str]) -> Imported:
    """Add codes to a template's pool, read as a stream; reports those that are there already or cannot be codes.

    Importing the same file again adds nothing. Refuses a template without a pool.
    """
    kind = _pool(tx, template)
    store.lock_imports(tx)
    before = _codes_total(tx, template)
    added = repeated = wrong = 0
    duplicates: list[str] = []
    malformed: list[str] = []
    for chunk in _chunks(texts):
        fresh, twice, bad = codes.sort_out(chunk, kind.barcode)
        there = store_codes.stage(tx, fresh)
        added += store_codes.add_staged(tx, template, after=before + added)
        if before + added > POOL_MAX:
            raise Refusal(OUT_OF_RANGE, field="codes", have=before + added, need=f"..{POOL_MAX}")
        repeated, wrong = repeated + len(twice) + len(there), wrong + len(bad)
        duplicates += [*twice, *there][: _SHOWN - len(duplicates)]
        malformed += bad[: _SHOWN - len(malformed)]
    _grow(tx, template, added)
    return Imported(added, repeated, wrong, tuple(duplicates), tuple(malformed))


def generate_codes(tx: Tx, *, key: str, template: str, count: int) -> Imported:
    """Make `count` new codes for a template's pool; the same key again makes none and answers the same."""
    if not 1 <= count <= GENERATE_MAX:
        raise Refusal(OUT_OF_RANGE, field="count", have=count, need=f"1..{GENERATE_MAX}")
    kind = _pool(tx, template)
    issue_id, body = derived_id("coupon_codes", key), derived_id(template, str(count))
    if not store.claim_keys(tx, [(issue_id, body, NOBODY, count)]):
        if queries.issues(tx, [issue_id])[issue_id][0] != body:
            raise Refusal(CONFLICT_IDEMPOTENCY, field="key", have=key)
        return Imported(count, 0, 0)
    store.lock_imports(tx)
    before, added = _codes_total(tx, template), 0
    for _ in range(_TRIES):
        if added == count:
            break
        store_codes.stage(tx, _draw(min(_CHUNK, count - added), kind.barcode))
        added += store_codes.add_staged(tx, template, after=before + added)
    _grow(tx, template, added)
    return Imported(added, 0, 0)


def _draw(count: int, symbology: Symbology) -> dict[str, str]:
    noise, size = secrets.token_bytes(count * codes.RANDOM_BYTES), codes.RANDOM_BYTES
    drawn = (codes.make_code(noise[start : start + size], symbology) for start in range(0, len(noise), size))
    return {code: code for code in drawn}


def _pool(tx: Tx, template: str) -> Template:
    kind = queries.template(tx, template).template
    if kind.kind is not CodeKind.POOL:
        raise Refusal(NOT_A_POOL, field="template", have=template)
    return kind


def _codes_total(tx: Tx, template: str) -> int:
    return queries.pool_size(tx, template)


def _grow(tx: Tx, template: str, added: int) -> None:
    if added:
        stock = store.lock_stock(tx, [template])[template]
        stock.codes_total += added
        store.move_stock(tx, [stock])


def _chunks(texts: Iterable[str]) -> Iterator[Sequence[str]]:
    stream = iter(texts)
    while chunk := list(islice(stream, _CHUNK)):
        yield chunk
