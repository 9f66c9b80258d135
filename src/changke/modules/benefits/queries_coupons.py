"""Public reads of coupons: templates, what a code is worth now, a member's wallet, what became of a template."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import lru_cache
from uuid import UUID

from pydantic import TypeAdapter

from changke.kernel.database import Tx
from changke.kernel.errors import NOT_FOUND, Refusal
from changke.modules.benefits import rules_codes as codes
from changke.modules.benefits import rules_coupons as rules
from changke.modules.benefits import terms_coupons as terms
from changke.modules.benefits.rules_coupons import Coupon, CouponKey
from changke.modules.benefits.terms_coupons import (
    NOBODY,
    Asked,
    CouponIssued,
    CouponView,
    Held,
    State,
    Statistics,
    Template,
    TemplateVersion,
    UseState,
)
from changke.modules.identity import queries as identity

Tally = Mapping[tuple[UUID, str, str], tuple[int, int]]
_TEMPLATE: TypeAdapter[Template] = TypeAdapter(Template)
_COUPON = (
    "c.profile_id, c.coupon_id, c.template, c.code, c.state, c.uses_max, c.version, c.issued_at, c.starts_at,"
    " c.expires_at, c.reserved, c.used, c.claimed, c.recycled, c.transfers, c.reference"
)


@dataclass(frozen=True, slots=True)
class Found:
    """A code that exists; `owner` is its coupon, None for a code of a pool that belongs to nobody yet."""

    code: str
    template: str
    written: str
    owner: CouponKey | None


# templates -----------------------------------------------------------------------------------------------------------


@lru_cache(maxsize=4096)
def _parse(definition: str) -> Template:
    return _TEMPLATE.validate_json(definition)


def write_template(template: Template) -> str:
    """Return a template as JSON."""
    return _TEMPLATE.dump_json(template).decode()


def templates(tx: Tx, names: Iterable[str] | None = None, *, limit: int = 10_000) -> dict[str, TemplateVersion]:
    """Return the newest version of templates, or of all, by code; unknown ones are left out."""
    asked = None if names is None else sorted(set(names))
    rows = tx.raw.execute(
        "SELECT DISTINCT ON (code) code, version, definition::text, valid_from FROM benefits.coupon_template"
        " WHERE %s::text[] IS NULL OR code = ANY(%s::text[]) ORDER BY code, version DESC LIMIT %s",
        (asked, asked, limit),
    ).fetchall()
    return {code: TemplateVersion(_parse(text), version, since) for code, version, text, since in rows}


def template(tx: Tx, code: str) -> TemplateVersion:
    """Return a template; refuses with `not_found`."""
    found = templates(tx, [code]).get(code)
    if found is None:
        raise Refusal(NOT_FOUND, field="template", what="coupon template", have=code)
    return found


def claimable(tx: Tx, *, as_of: datetime) -> list[TemplateVersion]:
    """Return what the claim centre shows: visible templates that can be claimed now and have stock left."""
    gone = {
        row[0]
        for row in tx.raw.execute(
            "SELECT template FROM benefits.coupon_stock WHERE stock IS NOT NULL AND issued - recycled >= stock"
        ).fetchall()
    }
    return [
        one
        for code, one in templates(tx).items()
        if one.template.visible and code not in gone and rules.claim_refusal(one.template, as_of) is None
    ]


def is_in_use(tx: Tx, code: str) -> bool:
    """Return whether a template has coupons or codes in people's hands."""
    row = tx.raw.execute(
        "SELECT EXISTS (SELECT FROM benefits.coupon WHERE template = %s)"
        " OR EXISTS (SELECT FROM benefits.coupon_code WHERE template = %s AND place IS NOT NULL)",
        (code, code),
    ).fetchone()
    return bool(row and row[0])


def sold_out(tx: Tx, names: Iterable[str]) -> dict[str, Refusal]:
    """Return the templates that have nothing left to give at this moment, with the answer; takes no lock."""
    rows = tx.raw.execute(
        "SELECT template, issued - recycled, stock FROM benefits.coupon_stock"
        " WHERE template = ANY(%s) AND issued - recycled >= stock",
        (sorted(set(names)),),
    ).fetchall()
    return {row[0]: Refusal(terms.LIMIT_REACHED, field="template", have=row[1], need=row[2]) for row in rows}


def issues(tx: Tx, issue_ids: Sequence[UUID]) -> dict[UUID, tuple[UUID, UUID]]:
    """Return (hash of the body, profile) of the issues that are known."""
    rows = tx.raw.execute(
        "SELECT issue_id, body_hash, owner_id FROM benefits.coupon_issue WHERE issue_id = ANY(%s)", (list(issue_ids),)
    ).fetchall()
    return {row[0]: (row[1], row[2]) for row in rows}


def issued(tx: Tx, keys: Sequence[CouponKey]) -> dict[UUID, CouponIssued]:
    """Return coupons as they were issued, by their ids."""
    rows = tx.raw.execute(
        "SELECT c.coupon_id, coalesce(o.written, c.code), c.starts_at, c.expires_at FROM benefits.coupon c"
        " JOIN unnest(%s::uuid[], %s::uuid[]) AS k (profile_id, coupon_id) USING (profile_id, coupon_id)"
        " LEFT JOIN benefits.coupon_code o ON o.code = c.code",
        ([key[0] for key in keys], [key[1] for key in keys]),
    ).fetchall()
    return {row[0]: CouponIssued(row[0], codes.write_code(row[1]), *row[2:]) for row in rows}


def pool_size(tx: Tx, code: str) -> int:
    """Return how many codes the pool of a template ever had."""
    row = tx.raw.execute("SELECT codes_total FROM benefits.coupon_stock WHERE template = %s", (code,)).fetchone()
    return int(row[0]) if row else 0


# codes ---------------------------------------------------------------------------------------------------------------


def find_codes(tx: Tx, names: Iterable[str]) -> dict[str, Found]:
    """Return the codes that exist, by how they are looked up."""
    rows = tx.raw.execute(
        "SELECT code, template, coalesce(written, code), profile_id, coupon_id FROM benefits.coupon_code"
        " WHERE code = ANY(%s)",
        (sorted(set(names)),),
    ).fetchall()
    return {row[0]: Found(row[0], row[1], row[2], (row[3], row[4]) if row[4] else None) for row in rows}


def unknown_code(text: str) -> Refusal:
    """Return why a code was not found: there is none, or it was typed wrongly."""
    code = codes.read_code(text)
    if code is None or codes.looks_mistyped(code):
        return Refusal(terms.COUPON_MISTYPED, field="code", have=text[:64])
    return Refusal(terms.COUPON_NOT_FOUND, field="code", have=text[:64])


def tallies(
    tx: Tx, anchors: Iterable[tuple[UUID, str]], days: Iterable[str]
) -> dict[tuple[UUID, str, str], tuple[int, int]]:
    """Return (issued, used) of (member, template, day), summed over the member's profiles; day '' is ever."""
    asked = sorted(set(anchors))
    if not asked:
        return {}
    members = identity.profiles_of(tx, {member for member, _ in asked})
    members |= {member: members.get(member, member) for member, _ in asked}
    rows = tx.raw.execute(
        "SELECT profile_id, template, day, issued, used FROM benefits.coupon_tally"
        " WHERE profile_id = ANY(%s) AND template = ANY(%s) AND day = ANY(%s)",
        (list(members), sorted({name for _, name in asked}), sorted({"", *days})),
    ).fetchall()
    sums: dict[tuple[UUID, str, str], tuple[int, int]] = defaultdict(lambda: (0, 0))
    for profile, name, day, issued, used in rows:
        before = sums[members[profile], name, day]
        sums[members[profile], name, day] = before[0] + issued, before[1] + used
    return dict(sums)


# what a code is worth ------------------------------------------------------------------------------------------------


def in_hand(
    tx: Tx, asked: Sequence[Asked | tuple[str, UUID | None]], *, as_of: datetime, session_id: UUID | None = None
) -> list[CouponView]:
    """Return what each presented code is worth to the member it is presented for, in their order; writes nothing.

    What `session_id` keeps for itself does not stand in its own way, nor does what others kept too long.
    """
    wanted = [one if isinstance(one, Asked) else Asked(*one) for one in asked]
    read = [codes.read_code(one.code) for one in wanted]
    found = find_codes(tx, [code for code in read if code])
    kinds = templates(tx, {one.template for one in found.values()})
    coupons = _coupons(tx, [one.owner for one in found.values() if one.owner])
    members = identity.members_of(
        tx, {one.profile_id for one in coupons.values()} | {one.member_id for one in wanted if one.member_id}
    )
    _let_lapsed_go(tx, coupons, as_of)
    own = _kept(tx, session_id)
    days = {rules.local_day(one.template, as_of) for one in kinds.values()}
    anchors = {
        (members.get(one.member_id, one.member_id), name)
        for one in wanted
        if one.member_id
        for name, kind in kinds.items()
        if rules.counts_uses(kind.template)
    }
    sums = tallies(tx, anchors, days)
    views = []
    for one, code in zip(wanted, read, strict=True):
        place = found.get(code) if code else None
        if place is None:
            views.append(CouponView(one.code, refusal_code=unknown_code(one.code).code.code))
            continue
        kind = kinds[place.template].template
        coupon = coupons.get(place.owner) if place.owner else unissued(place, kind, as_of)
        views.append(_view(one, place, kind, coupon, members, own, sums, as_of))
    return views


def unissued(place: Found, kind: Template, at: datetime) -> Coupon | None:
    """Return the coupon of nobody that a code of an open pool stands for; None for a pool that is not open."""
    if not kind.open_pool:
        return None
    starts, expires = rules.valid_span(kind, at)
    coupon_id = rules.nobodys_id(place.code)
    return Coupon(NOBODY, coupon_id, kind.code, place.code, State.ISSUED, rules.uses_of(kind), 1, at, starts, expires)


def _view(
    asked: Asked,
    place: Found,
    kind: Template,
    coupon: Coupon | None,
    members: Mapping[UUID, UUID],
    own: set[UUID],
    sums: Tally,
    as_of: datetime,
) -> CouponView:
    if coupon is None:
        return CouponView(asked.code, kind.code, refusal_code=terms.COUPON_NOT_FOUND.code)
    refusal = rules.standing_refusal(coupon) or rules.owner_refusal(coupon, kind, asked.member_id, members)
    if refusal is None and coupon.coupon_id not in own:
        refusal = rules.free_refusal(coupon) or rules.time_refusal(coupon, kind, as_of)
        if refusal is None and rules.counts_uses(kind) and asked.member_id:
            who = members.get(asked.member_id, asked.member_id)
            ever, today = (sums.get((who, kind.code, day), (0, 0))[1] for day in ("", rules.local_day(kind, as_of)))
            refusal = rules.count_refusal(ever, today, 1, rules.use_limits(kind), "code")
    if refusal is None:
        return CouponView(asked.code, kind.code, coupon.coupon_id, coupon.expires_at)
    return CouponView(
        asked.code, kind.code, coupon.coupon_id, coupon.expires_at, refusal.code.code,
        rules.plain(refusal.have), rules.plain(refusal.need),
    )  # fmt: skip


def _coupons(tx: Tx, keys: Sequence[CouponKey]) -> dict[CouponKey, Coupon]:
    rows = tx.raw.execute(
        f"SELECT {_COUPON} FROM benefits.coupon c JOIN unnest(%s::uuid[], %s::uuid[]) AS k (profile_id, coupon_id)"
        " USING (profile_id, coupon_id)",
        ([key[0] for key in keys], [key[1] for key in keys]),
    ).fetchall()
    return {(row[0], row[1]): replace(Coupon(*row), state=State(row[4])) for row in rows}


def _let_lapsed_go(tx: Tx, coupons: Mapping[CouponKey, Coupon], as_of: datetime) -> None:
    """Leave out reservations that are over: whoever reserves next gets their room."""
    full = [one.key for one in coupons.values() if one.reserved and one.is_full]
    if full:
        rows = tx.raw.execute(
            "SELECT profile_id, coupon_id, count(*) FROM benefits.coupon_use WHERE state = 'reserved' AND until <= %s"
            " AND (profile_id, coupon_id) IN (SELECT * FROM unnest(%s::uuid[], %s::uuid[])) GROUP BY 1, 2",
            (as_of, [key[0] for key in full], [key[1] for key in full]),
        ).fetchall()
        for profile, coupon, lapsed in rows:
            coupons[profile, coupon].reserved -= lapsed


def _kept(tx: Tx, session_id: UUID | None) -> set[UUID]:
    """Return the coupons a session keeps."""
    if session_id is None:
        return set()
    rows = tx.raw.execute(
        "SELECT coupon_id FROM benefits.coupon_use WHERE session_id = %s AND state = %s",
        (session_id, UseState.RESERVED.value),
    ).fetchall()
    return {row[0] for row in rows}


# wallet and statistics -----------------------------------------------------------------------------------------------


def wallet(
    tx: Tx, member_id: UUID, *, states: Sequence[State] = (State.ISSUED, State.RESERVED), limit: int = 200
) -> list[Held]:
    """Return the coupons of a member, those that end first in front."""
    profiles = list(identity.profiles_of(tx, [member_id])) or [member_id]
    rows = tx.raw.execute(
        "SELECT c.profile_id, c.coupon_id, c.template, coalesce(o.written, c.code), c.state,"
        " c.uses_max - c.used - c.reserved, c.issued_at, c.starts_at, c.expires_at, c.reference"
        " FROM benefits.coupon c LEFT JOIN benefits.coupon_code o ON o.code = c.code"
        " WHERE c.profile_id = ANY(%s) AND c.state = ANY(%s)"
        " ORDER BY c.expires_at NULLS LAST, c.issued_at, c.coupon_id LIMIT %s",
        (profiles, [one.value for one in states], limit),
    ).fetchall()
    return [Held(row[0], row[1], row[2], codes.write_code(row[3]), State(row[4]), *row[5:]) for row in rows]


def statistics(tx: Tx, code: str) -> Statistics:
    """Return what became of the coupons of a template; refuses with `not_found`."""
    standing = template(tx, code)
    rows = tx.raw.execute(
        "SELECT state, count(*), count(*) FILTER (WHERE claimed), sum(reserved), sum(used) FROM benefits.coupon"
        " WHERE template = %s GROUP BY state",
        (code,),
    ).fetchall()
    stock = tx.raw.execute(
        "SELECT stock, issued, recycled, codes_total, codes_taken FROM benefits.coupon_stock WHERE template = %s",
        (code,),
    ).fetchone() or (None, 0, 0, 0, 0)
    told = tx.raw.execute(
        "SELECT u.currency, coalesce(sum(u.value_minor) FILTER (WHERE u.state = 'used'), 0),"
        " count(*) FILTER (WHERE u.state = 'given_back') FROM benefits.coupon c JOIN benefits.coupon_use u"
        " USING (profile_id, coupon_id) WHERE c.template = %s GROUP BY u.currency",
        (code,),
    ).fetchall()
    return Statistics(
        template=code,
        version=standing.version,
        stock=stock[0],
        issued=stock[1],
        claimed=sum(row[2] for row in rows),
        states={State(row[0]): row[1] for row in rows},
        reserved_uses=int(sum(row[3] for row in rows)),
        used_uses=int(sum(row[4] for row in rows)),
        given_back=sum(row[2] for row in told),
        recycled=stock[2],
        codes_total=stock[3],
        codes_left=stock[3] - stock[4],
        discount_minor={row[0]: int(row[1]) for row in told if row[0]},
    )
