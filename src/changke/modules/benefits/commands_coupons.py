"""The verbs of coupons: templates, issue and claim, reserve, use, release, give back.

Each takes many at once, answers each one with `Done` or `Refused`, and is idempotent by its key, session or order. A
refused one leaves nothing behind. In a transaction with several of them, take first and give then: reserve or use, give
back, issue; everybody who keeps this order, with one call for many, waits for others without deadlock.
`commands_keeping_coupons` has what the house does by itself or by hand: void,
transfer, expire, lapse; `commands_codes` makes and imports codes.
"""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from changke.kernel.database import Tx
from changke.kernel.errors import INVALID_VALUE, TOO_LARGE, Refusal
from changke.modules.benefits import commands_batch_coupons as batches
from changke.modules.benefits import commands_issuing_coupons as issuing
from changke.modules.benefits import queries_coupons as queries
from changke.modules.benefits import rules_coupons as rules
from changke.modules.benefits import store_codes
from changke.modules.benefits import store_coupons as store
from changke.modules.benefits.commands_batch_coupons import Batch
from changke.modules.benefits.rules_codes import write_code
from changke.modules.benefits.rules_coupons import Coupon, CouponUse
from changke.modules.benefits.terms_coupons import (
    BATCH_MAX,
    COUPON_USED,
    NOBODY,
    TEMPLATE_INVALID,
    Asked,
    Claim,
    CodeKind,
    CouponIssued,
    Done,
    GiveBack,
    Issue,
    OnReturn,
    Outcome,
    Refused,
    Reserve,
    State,
    Template,
    TemplateVersion,
    Use,
    UseState,
)

HOUSE = "house"


def put_template(tx: Tx, template: Template, *, at: datetime, actor: str = HOUSE) -> TemplateVersion:
    """Store a version of a template; the same again adds nothing.

    Coupons in people's hands keep their dates and uses; a public code follows its template. Refuses what makes no
    sense, and a change of kind, code or barcode of a template that has coupons.
    """
    rules.check_template(template)
    store.lock_template(tx, template.code)
    standing = queries.templates(tx, [template.code]).get(template.code)
    if standing is not None and standing.template == template:
        return standing
    if standing is not None:
        rules.check_change(standing.template, template, in_use=queries.is_in_use(tx, template.code))
    version = standing.version + 1 if standing else 1
    nobodys = template.kind is CodeKind.PUBLIC
    store.add_template(
        tx, template.code, version, queries.write_template(template), None if nobodys else template.stock, at=at
    )
    if nobodys:
        _put_public(tx, template, at=at, actor=actor)
    return TemplateVersion(template, version, at)


def _put_public(tx: Tx, template: Template, *, at: datetime, actor: str) -> None:
    """Make the coupon of nobody that a public code stands for, or bring it to what the template says now."""
    assert template.public_code is not None
    key = (NOBODY, rules.nobodys_id(template.public_code))
    starts, expires = rules.valid_span(template, at)
    batch = batches.lock(tx, [key], at=at, actor=actor)
    coupon = batch.coupons.get(key)
    taken = coupon.template != template.code if coupon else False
    if taken or (coupon is None and not store_codes.add_owned(tx, template.code, {template.public_code: key})):
        raise Refusal(TEMPLATE_INVALID, field="public_code", reason=f"{template.public_code} is taken")
    if coupon is None:
        uses = rules.uses_of(template)
        coupon = Coupon(*key, template.code, template.public_code, State.ISSUED, uses, 1, at, starts, expires)
        store.add_coupons(tx, [coupon])
        store.add_entries(tx, [store.Entry(key, 1, "issued", State.ISSUED, 0, 0, None)], actor=actor, at=at)
        return
    coupon.starts_at, coupon.expires_at = starts, expires
    coupon.uses_max = max(rules.uses_of(template), coupon.reserved + coupon.used)
    if coupon.state is State.EXPIRED:
        coupon.state = State.ISSUED
    batch.note(coupon, "changed", template.code)
    batch.save(tx)


def issue(tx: Tx, asked: Sequence[Issue], *, at: datetime, actor: str = HOUSE) -> list[Outcome]:
    """Give coupons to profiles; each request gets all of its quantity or nothing, first come, first served.

    Refuses beyond the stock, the pool and the member's limits. The same key again gets the same coupons; with another
    body it is refused.
    """
    _check_size(asked)
    return issuing.give(tx, asked, claimed=False, at=at, actor=actor)


def claim(tx: Tx, asked: Sequence[Claim], *, at: datetime, actor: str = HOUSE) -> list[Outcome]:
    """Let members take a coupon each, within the template's claim window; otherwise as `issue`."""
    _check_size(asked)
    issues = [Issue(one.key, one.profile_id, one.template, 1, one.occurred_at, one.reference) for one in asked]
    return issuing.give(tx, issues, claimed=True, at=at, actor=actor)


def reserve(tx: Tx, asked: Sequence[Reserve], *, at: datetime, actor: str = HOUSE) -> list[Outcome]:
    """Keep uses of coupons for sessions; a session that has one already keeps it longer.

    Refuses what cannot be used now. A reservation whose time is over makes room by itself.
    """
    _check_size(asked)
    batch, presented = batches.lock_presented(
        tx,
        [Asked(one.code, one.member_id) for one in asked],
        sessions=[one.session_id for one in asked],
        orders=(),
        at=at,
        actor=actor,
    )
    outcomes = [_reserve(batch, coupon, one) for coupon, one in zip(presented, asked, strict=True)]
    batch.save(tx)
    return outcomes


def _reserve(batch: Batch, coupon: Coupon | Refusal, asked: Reserve) -> Outcome:
    if isinstance(coupon, Refusal):
        return Refused(coupon)
    if asked.until <= batch.at:
        return Refused(Refusal(INVALID_VALUE, field="until", reason="it is over already"))
    kind = batch.kinds[coupon.template]
    until = min(asked.until, rules.kept_until(kind, batch.at))
    use = batch.use_of_session(coupon, asked.session_id)
    if use is not None and use.state in (UseState.RESERVED, UseState.USED):
        if use.state is UseState.RESERVED and use.until is not None and use.until < until:
            use.until = until
            batch.put_use(use)
        return Done(coupon_ids=(coupon.coupon_id,), duplicate=True, until=use.until)
    refusal = batch.refusal(coupon, kind, asked.member_id, moment=batch.at)
    if refusal is not None:
        return Refused(refusal)
    use = _open_use(coupon, asked.session_id, asked.session_id)
    use.state, use.until = UseState.RESERVED, until
    batch.count_use(coupon, kind, use, batch.who(coupon, asked.member_id))
    coupon.reserved += 1
    batch.put_use(use)
    batch.note(coupon, "reserved", str(asked.session_id))
    return Done(coupon_ids=(coupon.coupon_id,), until=until)


def _open_use(coupon: Coupon, session_id: UUID | None, of: UUID) -> CouponUse:
    return CouponUse(*coupon.key, batches.use_id(coupon, of), None, session_id, None, UseState.RELEASED)


def use(tx: Tx, asked: Sequence[Use], *, at: datetime, actor: str = HOUSE) -> list[Outcome]:
    """Use coupons for orders: what their session reserved, or straight away.

    A reserved use stands even if the coupon ended meanwhile. Otherwise the coupon has to have been good when the order
    happened; the member's limits are those of now. The same order again changes nothing. A public code is one row that
    everybody waits for until the commit: use it late in a transaction, or many at once.
    """
    _check_size(asked)
    batch, presented = batches.lock_presented(
        tx,
        [Asked(one.code, one.member_id) for one in asked],
        sessions=[one.session_id for one in asked if one.session_id],
        orders=[one.order_id for one in asked],
        at=at,
        actor=actor,
    )
    outcomes = [_use(batch, coupon, one) for coupon, one in zip(presented, asked, strict=True)]
    batch.save(tx)
    return outcomes


def _use(batch: Batch, coupon: Coupon | Refusal, asked: Use) -> Outcome:
    if isinstance(coupon, Refusal):
        return Refused(coupon)
    done = Done(coupon_ids=(coupon.coupon_id,), duplicate=True)
    before = batch.use_of_order(coupon, asked.order_id)
    if before is not None and before.state in (UseState.USED, UseState.GIVEN_BACK):
        return done
    kind = batch.kinds[coupon.template]
    kept = batch.use_of_session(coupon, asked.session_id)
    if kept is not None and kept.state is UseState.USED:
        return Refused(Refusal(COUPON_USED, field="code"))
    if kept is not None and kept.state is UseState.RESERVED:
        refusal = rules.standing_refusal(coupon)
        if refusal is not None:
            return Refused(refusal)
        coupon.reserved -= 1
    else:
        refusal = batch.refusal(coupon, kind, asked.member_id, moment=asked.occurred_at)
        if refusal is not None:
            return Refused(refusal)
        kept = _open_use(coupon, asked.session_id, asked.session_id or asked.order_id)
        batch.count_use(coupon, kind, kept, batch.who(coupon, asked.member_id))
    coupon.used += 1
    kept.state, kept.order_id, kept.used_at, kept.until = UseState.USED, asked.order_id, asked.occurred_at, None
    kept.value_minor, kept.currency = asked.value_minor, asked.currency
    batch.put_use(kept)
    batch.note(coupon, "used", str(asked.order_id))
    batch.news.append(batches.used_news(batch, coupon, kept))
    return Done(coupon_ids=(coupon.coupon_id,))


def release(tx: Tx, session_ids: Sequence[UUID], *, at: datetime, actor: str = HOUSE) -> list[Outcome]:
    """Let go of everything that sessions keep; a session that keeps nothing is done already."""
    _check_size(session_ids)
    batch, kept = batches.lock_used(tx, sessions=session_ids, state=UseState.RESERVED, at=at, actor=actor)
    touched: dict[UUID, list[UUID]] = {one: [] for one in session_ids}
    for one in kept:
        assert one.session_id is not None
        batch.let_go(one, UseState.RELEASED)
        touched[one.session_id].append(one.coupon_id)
    batch.save(tx)
    return [Done(coupon_ids=tuple(touched[one]), duplicate=not touched[one]) for one in session_ids]


def give_back(tx: Tx, asked: Sequence[GiveBack], *, at: datetime, actor: str = HOUSE) -> list[Outcome]:
    """Do with the coupons of returned orders what their templates say; answers which can be used again.

    A part of an order gives nothing back. Doing it again, or for an order without coupons, changes nothing.
    """
    _check_size(asked)
    whole = [one.order_id for one in asked if one.whole]
    batch, used = batches.lock_used(tx, orders=whole, state=UseState.USED, at=at, actor=actor)
    back: dict[UUID, list[CouponIssued]] = {one.order_id: [] for one in asked}
    for one in used:
        policy = batch.kinds[batch.coupons[one.profile_id, one.coupon_id].template].on_return
        if one.order_id in back and rules.comes_back(policy, whole=True):
            _give_back(batch, one, renewed=policy is OnReturn.REISSUE)
            coupon = batch.coupons[one.profile_id, one.coupon_id]
            there = CouponIssued(one.coupon_id, write_code(coupon.code), coupon.starts_at, coupon.expires_at)
            back[one.order_id].append(there)
    batch.save(tx)
    found = [back[one.order_id] for one in asked]
    return [Done(tuple(some), tuple(one.coupon_id for one in some), duplicate=not some) for some in found]


def _give_back(batch: Batch, use: CouponUse, *, renewed: bool) -> None:
    coupon = batch.coupons[use.profile_id, use.coupon_id]
    renewed = renewed and coupon.profile_id != NOBODY
    use.state = UseState.GIVEN_BACK
    coupon.used -= 1
    batch.uncount_use(coupon, use)
    if renewed:
        coupon.starts_at, coupon.expires_at = rules.valid_span(batch.kinds[coupon.template], batch.at)
        if coupon.state is State.EXPIRED:
            coupon.state = State.ISSUED
    batch.put_use(use)
    batch.note(coupon, "renewed" if renewed else "given_back", str(use.order_id))
    batch.news.append(batches.given_back_news(batch, coupon, use, renewed=renewed))


def _check_size(asked: Sequence[object]) -> None:
    if len(asked) > BATCH_MAX:
        raise Refusal(TOO_LARGE, field="requests", have=len(asked), need=BATCH_MAX)
