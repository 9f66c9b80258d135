"""What staff and the clock do to coupons: void, hand on, end what is over, let go of what nobody fetched."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from changke.kernel.database import Tx
from changke.kernel.errors import TOO_LARGE, Refusal
from changke.kernel.ids import derived_id
from changke.modules.benefits import commands_batch_coupons as batches
from changke.modules.benefits import commands_issuing_coupons as issuing
from changke.modules.benefits import events, store_codes
from changke.modules.benefits import queries_coupons as queries
from changke.modules.benefits import rules_codes as codes
from changke.modules.benefits import rules_coupons as rules
from changke.modules.benefits import store_coupons as store
from changke.modules.benefits.commands_batch_coupons import Batch
from changke.modules.benefits.rules_coupons import Coupon
from changke.modules.benefits.terms_coupons import (
    BATCH_MAX,
    NOT_TRANSFERABLE,
    Asked,
    CodeKind,
    CouponIssued,
    Done,
    Outcome,
    Refused,
    State,
    Template,
    Transfer,
    UseState,
    Void,
)
from changke.modules.identity import queries as identity


def void(tx: Tx, asked: Sequence[Void], *, at: datetime, actor: str) -> list[Outcome]:
    """Take coupons out of use, or public codes for everybody; one that is void already is done.

    Refuses one that is used up or that was handed on. What a session keeps of it can no longer be used.
    """
    _check_size(asked)
    batch, presented = batches.lock_presented(
        tx, [Asked(one.code) for one in asked], sessions=(), orders=(), at=at, actor=actor
    )
    outcomes = [_void(batch, coupon, one) for coupon, one in zip(presented, asked, strict=True)]
    batch.save(tx)
    return outcomes


def _void(batch: Batch, coupon: Coupon | Refusal, asked: Void) -> Outcome:
    if isinstance(coupon, Refusal):
        return Refused(coupon)
    if coupon.state is State.VOID:
        return Done(coupon_ids=(coupon.coupon_id,), duplicate=True)
    refusal = rules.void_refusal(coupon)
    if refusal is not None:
        return Refused(refusal)
    coupon.state = State.VOID
    batch.recycle(coupon, batch.kinds[coupon.template])
    batch.note(coupon, "voided", asked.reason)
    batch.news.append(
        events.CouponVoided(
            derived_id("coupon_voided", coupon.coupon_id.hex), coupon.profile_id, coupon.profile_id, coupon.coupon_id,
            coupon.template, asked.reason, batch.actor, batch.at,
        )
    )  # fmt: skip
    return Done(coupon_ids=(coupon.coupon_id,))


def transfer(tx: Tx, asked: Sequence[Transfer], *, at: datetime, actor: str) -> list[Outcome]:
    """Hand coupons to other profiles; the new coupon ends when the old one would have.

    Refuses what is used, kept, over, or was handed on as often as its template allows. The same key again answers the
    same coupon.
    """
    _check_size(asked)
    batch, presented = batches.lock_presented(
        tx,
        [Asked(one.code, one.from_member) for one in asked],
        sessions=(),
        orders=(),
        at=at,
        actor=actor,
    )
    batch.members |= identity.members_of(tx, {one.to_profile for one in asked})
    known = queries.issued(tx, [(one.to_profile, _new_id(one)) for one in asked])
    outcomes: list[Outcome] = []
    for coupon, one in zip(presented, asked, strict=True):
        before = known.get(_new_id(one))
        if before is not None:
            outcomes.append(Done((before,), (before.coupon_id,), duplicate=True))
            continue
        outcome = _transfer(tx, batch, coupon, one)
        known |= {new.coupon_id: new for new in (outcome.coupons if isinstance(outcome, Done) else ())}
        outcomes.append(outcome)
    batch.save(tx)
    return outcomes


def _new_id(asked: Transfer) -> UUID:
    return derived_id("coupon_transfer", asked.key)


def _transfer(tx: Tx, batch: Batch, coupon: Coupon | Refusal, asked: Transfer) -> Outcome:
    if isinstance(coupon, Refusal):
        return Refused(coupon)
    kind = batch.kinds[coupon.template]
    if asked.from_member is not None:
        refusal = rules.owner_refusal(coupon, kind, asked.from_member, batch.members)
        if refusal is not None:
            return Refused(refusal)
    refusal = rules.transfer_refusal(coupon, kind, batch.at)
    if refusal is not None:
        return Refused(refusal)
    owner, taker = (batch.members.get(one, one) for one in (coupon.profile_id, asked.to_profile))
    if owner == taker:
        return Refused(Refusal(NOT_TRANSFERABLE, field="to_member"))
    return _hand_over(tx, batch, coupon, kind, asked)


def _hand_over(tx: Tx, batch: Batch, old: Coupon, kind: Template, asked: Transfer) -> Outcome:
    new = Coupon(
        asked.to_profile, _new_id(asked), old.template, "", State.ISSUED, old.uses_max, 1, batch.at, old.starts_at,
        old.expires_at, transfers=old.transfers + 1, reference=old.reference,
    )  # fmt: skip
    if kind.kind is CodeKind.POOL:
        new.code = old.code
        store_codes.set_owner(tx, old.code, new.key)
    else:
        issuing.own_codes(tx, kind.code, kind.barcode, [new])
    old.state = State.TRANSFERRED
    batch.note(old, "transferred", str(new.coupon_id))
    store.add_coupons(tx, [new])
    batch.entries.append(store.Entry(new.key, 1, "received", State.ISSUED, 0, 0, asked.key))
    batch.news += [
        events.CouponTransferred(
            derived_id("coupon_transferred", old.coupon_id.hex), old.profile_id, old.profile_id, old.coupon_id,
            old.template, new.profile_id, new.coupon_id, batch.at,
        ),
        issuing.issued_news(new, "received", at=batch.at),
    ]  # fmt: skip
    issued = CouponIssued(new.coupon_id, codes.write_code(new.code), new.starts_at, new.expires_at)
    return Done((issued,), (new.coupon_id,))


def expire(tx: Tx, *, at: datetime, limit: int, actor: str = "clock") -> int:
    """End up to `limit` coupons whose time is over; returns how many. Stock comes back where the template says so."""
    coupons = store.lock_expiring(tx, at=at, limit=limit)
    if not coupons:
        return 0
    kinds = queries.templates(tx, {one.template for one in coupons})
    batch = Batch(at, actor, {code: one.template for code, one in kinds.items()}, {one.key: one for one in coupons})
    for coupon in coupons:
        assert coupon.expires_at is not None
        coupon.state = State.EXPIRED
        batch.recycle(coupon, batch.kinds[coupon.template])
        batch.note(coupon, "expired", None)
        batch.news.append(
            events.CouponExpired(
                derived_id("coupon_expired", coupon.coupon_id.hex, str(coupon.version)), coupon.profile_id,
                coupon.profile_id, coupon.coupon_id, coupon.template, coupon.expires_at, at,
            )
        )  # fmt: skip
    batch.save(tx)
    return len(coupons)


def lapse(tx: Tx, *, at: datetime, limit: int, actor: str = "clock") -> int:
    """Let go of up to `limit` coupons' reservations whose time is over; returns how many reservations ended."""
    keys = store.lapsing(tx, at=at, limit=limit)
    batch = batches.lock(tx, keys, at=at, actor=actor)
    lapsed = store.lapsed(tx, list(batch.coupons), at=at)
    for use in lapsed:
        batch.let_go(use, UseState.LAPSED)
    batch.save(tx)
    return len(lapsed)


def _check_size(asked: Sequence[object]) -> None:
    if len(asked) > BATCH_MAX:
        raise Refusal(TOO_LARGE, field="requests", have=len(asked), need=BATCH_MAX)
