"""Locks and writes of coupon codes."""

from collections.abc import Mapping, Sequence

from changke.kernel.database import Tx
from changke.modules.benefits.rules_coupons import CouponKey


def add_owned(tx: Tx, template: str, codes: Mapping[str, CouponKey]) -> set[str]:
    """Insert codes with their coupons; returns those that are new, since a code is never given twice."""
    rows = tx.raw.execute(
        "INSERT INTO benefits.coupon_code (code, template, profile_id, coupon_id)"
        " SELECT code, %s, profile_id, coupon_id"
        " FROM unnest(%s::text[], %s::uuid[], %s::uuid[]) AS n (code, profile_id, coupon_id)"
        " ON CONFLICT DO NOTHING RETURNING code",
        (template, list(codes), [key[0] for key in codes.values()], [key[1] for key in codes.values()]),
    ).fetchall()
    return {row[0] for row in rows}


def give_places(tx: Tx, template: str, first: int, owners: Sequence[CouponKey]) -> list[tuple[str, str]]:
    """Give the codes of a pool from place `first` on to coupons, in order; returns (code, as written) of each."""
    rows = tx.raw.execute(
        "UPDATE benefits.coupon_code c SET profile_id = n.profile_id, coupon_id = n.coupon_id"
        " FROM unnest(%s::bigint[], %s::uuid[], %s::uuid[]) AS n (place, profile_id, coupon_id)"
        " WHERE c.template = %s AND c.place = n.place RETURNING c.place, c.code, coalesce(c.written, c.code)",
        (
            list(range(first, first + len(owners))),
            [key[0] for key in owners],
            [key[1] for key in owners],
            template,
        ),
    ).fetchall()
    assert len(rows) == len(owners), "a pool's places are dense"
    return [(code, written) for _, code, written in sorted(rows)]


def set_owner(tx: Tx, code: str, owner: CouponKey) -> None:
    """Point a code at another coupon."""
    tx.raw.execute("UPDATE benefits.coupon_code SET profile_id = %s, coupon_id = %s WHERE code = %s", (*owner, code))


def stage(tx: Tx, codes: Mapping[str, str]) -> list[str]:
    """Put codes (as looked up: as written) aside for this transaction; returns those that are there already."""
    tx.raw.execute(
        'CREATE TEMPORARY TABLE IF NOT EXISTS coupon_code_staged (code text COLLATE "C" NOT NULL, written text)'
        " ON COMMIT DROP"
    )
    tx.copy(
        "coupon_code_staged",
        ("code", "written"),
        [(code, None if written == code else written) for code, written in sorted(codes.items())],
    )
    rows = tx.raw.execute(
        "DELETE FROM coupon_code_staged s USING benefits.coupon_code c WHERE c.code = s.code RETURNING s.code"
    ).fetchall()
    return [row[0] for row in rows]


def add_staged(tx: Tx, template: str, *, after: int) -> int:
    """Move what was put aside into the pool, from the place behind `after` on; returns how many."""
    added = tx.raw.execute(
        "INSERT INTO benefits.coupon_code (code, template, place, written)"
        " SELECT code, %s, %s + row_number() OVER (ORDER BY code), written FROM coupon_code_staged ORDER BY code",
        (template, after),
    ).rowcount
    tx.raw.execute("TRUNCATE coupon_code_staged")
    return added


def own_missing(tx: Tx, owners: Mapping[str, CouponKey]) -> None:
    """Note which coupon of nobody stands for a code of an open pool."""
    tx.raw.execute(
        "UPDATE benefits.coupon_code c SET profile_id = n.profile_id, coupon_id = n.coupon_id"
        " FROM unnest(%s::text[], %s::uuid[], %s::uuid[]) AS n (code, profile_id, coupon_id)"
        " WHERE c.code = n.code AND c.coupon_id IS NULL",
        (list(owners), [key[0] for key in owners.values()], [key[1] for key in owners.values()]),
    )
