"""A batch of coupon uses on its way: what is locked, what was decided, what has to be written."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from changke.kernel.database import Tx
from changke.kernel.errors import Refusal
from changke.kernel.ids import derived_id
from changke.kernel.log import Announcement
from changke.modules.benefits import events, store_codes
from changke.modules.benefits import queries_coupons as queries
from changke.modules.benefits import rules_codes as codes
from changke.modules.benefits import rules_coupons as rules
from changke.modules.benefits import store_coupons as store
from changke.modules.benefits.rules_coupons import Coupon, CouponKey, CouponUse
from changke.modules.benefits.terms_coupons import COUPON_NOT_FOUND, NOBODY, Asked, State, Template, UseState
from changke.modules.identity import queries as identity

TallyKey = tuple[UUID, str, str]


@dataclass(slots=True)
class Batch:
    """Locked coupons with their uses and counts. Decide on it, then `save` once."""

    at: datetime
    actor: str
    kinds: dict[str, Template] = field(default_factory=dict)
    coupons: dict[CouponKey, Coupon] = field(default_factory=dict)
    uses: dict[tuple[CouponKey, UUID], CouponUse] = field(default_factory=dict)
    by_order: dict[tuple[CouponKey, UUID], CouponUse] = field(default_factory=dict)
    members: dict[UUID, UUID] = field(default_factory=dict)
    sums: dict[TallyKey, tuple[int, int]] = field(default_factory=dict)
    deltas: dict[TallyKey, tuple[int, int]] = field(default_factory=dict)
    changed: dict[CouponKey, Coupon] = field(default_factory=dict)
    changed_uses: dict[tuple[CouponKey, UUID], CouponUse] = field(default_factory=dict)
    entries: list[store.Entry] = field(default_factory=list)
    news: list[Announcement] = field(default_factory=list)
    recycled: dict[str, int] = field(default_factory=lambda: defaultdict(int))

    # reading ---------------------------------------------------------------------------------------------------------

    def use_of_session(self, coupon: Coupon, session_id: UUID | None) -> CouponUse | None:
        """Return what a session has of a coupon."""
        return self.uses.get((coupon.key, use_id(coupon, session_id))) if session_id else None

    def use_of_order(self, coupon: Coupon, order_id: UUID) -> CouponUse | None:
        """Return what an order had of a coupon."""
        return self.by_order.get((coupon.key, order_id))

    def who(self, coupon: Coupon, member_id: UUID | None) -> UUID | None:
        """Return the profile a use counts for: the owner's, or that of the member who brings a code for everybody."""
        return member_id if coupon.profile_id == NOBODY else coupon.profile_id

    def refusal(self, coupon: Coupon, kind: Template, member_id: UUID | None, *, moment: datetime) -> Refusal | None:
        """Say why a member may not take a use of a coupon."""
        return (
            rules.standing_refusal(coupon)
            or rules.owner_refusal(coupon, kind, member_id, self.members)
            or rules.free_refusal(coupon)
            or rules.time_refusal(coupon, kind, moment)
            or self._count_refusal(coupon, kind, member_id)
        )

    def _count_refusal(self, coupon: Coupon, kind: Template, member_id: UUID | None) -> Refusal | None:
        profile = self.who(coupon, member_id)
        if profile is None or not rules.counts_uses(kind):
            return None
        member, day = self.members.get(profile, profile), rules.local_day(kind, self.at)
        ever, today = (self.sums.get((member, kind.code, window), (0, 0))[1] for window in ("", day))
        return rules.count_refusal(ever, today, 1, rules.use_limits(kind), "code")

    # deciding --------------------------------------------------------------------------------------------------------

    def note(self, coupon: Coupon, kind: str, reference: str | None) -> None:
        """Settle a coupon after a change and write the change into the journal."""
        coupon.settle()
        coupon.version += 1
        self.changed[coupon.key] = coupon
        self.entries.append(
            store.Entry(coupon.key, coupon.version, kind, coupon.state, coupon.reserved, coupon.used, reference)
        )

    def know_use(self, use: CouponUse) -> None:
        """Keep a use in mind."""
        key = (use.profile_id, use.coupon_id)
        self.uses[key, use.use_id] = use
        if use.order_id is not None:
            self.by_order[key, use.order_id] = use

    def put_use(self, use: CouponUse) -> None:
        """Keep a use that is new or changed."""
        self.know_use(use)
        self.changed_uses[(use.profile_id, use.coupon_id), use.use_id] = use

    def count_use(self, coupon: Coupon, kind: Template, use: CouponUse, profile: UUID | None) -> None:
        """Count a use that was just taken, where the template has limits."""
        use.user_id, use.day = profile, None
        if profile is not None and rules.counts_uses(kind):
            use.day = rules.local_day(kind, self.at)
            self._add(coupon.template, use, 1)

    def uncount_use(self, coupon: Coupon, use: CouponUse) -> None:
        """Take back the count of a use."""
        if use.day is not None:
            self._add(coupon.template, use, -1)
            use.day = None

    def _add(self, template: str, use: CouponUse, more: int) -> None:
        assert use.user_id is not None
        assert use.day is not None
        for window in ("", use.day):
            for sums, who in ((self.sums, self.members.get(use.user_id, use.user_id)), (self.deltas, use.user_id)):
                issued, used = sums.get((who, template, window), (0, 0))
                sums[who, template, window] = issued, used + more

    def let_go(self, use: CouponUse, state: UseState) -> None:
        """End a reservation."""
        coupon = self.coupons[use.profile_id, use.coupon_id]
        use.state = state
        coupon.reserved -= 1
        self.uncount_use(coupon, use)
        self.put_use(use)
        self.note(coupon, state.value, str(use.session_id or use.order_id))

    def recycle(self, coupon: Coupon, kind: Template) -> None:
        """Return a coupon that is over to the stock, where the template says so and nothing of it was used."""
        if kind.recycle and coupon.profile_id != NOBODY and not (coupon.used or coupon.reserved or coupon.recycled):
            coupon.recycled = True
            self.recycled[coupon.template] += 1

    def save(self, tx: Tx) -> None:
        """Write what was decided and announce it."""
        with store.together(tx, len(self.entries)):
            store.change_coupons(tx, list(self.changed.values()))
            store.save_uses(tx, list(self.changed_uses.values()))
            store.count(tx, self.deltas)
            store.add_entries(tx, self.entries, actor=self.actor, at=self.at)
        store.give_stock_back(tx, self.recycled)
        tx.announce(*self.news)


def use_id(coupon: Coupon, of: UUID) -> UUID:
    """Return the id of the use a session, or an order without one, has of a coupon."""
    return derived_id("coupon_use", coupon.coupon_id.hex, of.hex)


def lane_of(coupon: Coupon, use: CouponUse | None = None) -> UUID:
    """Return whose lane news of a coupon go to."""
    return use.user_id if use is not None and use.user_id and coupon.profile_id == NOBODY else coupon.profile_id


# loading -------------------------------------------------------------------------------------------------------------


def lock(
    tx: Tx, keys: Iterable[CouponKey], *, at: datetime, actor: str, kinds: Mapping[str, Template] | None = None
) -> Batch:
    """Lock coupons and find their templates, where they are not known before."""
    batch = Batch(at, actor, dict(kinds or {}))
    batch.coupons = store.lock_coupons(tx, keys)
    unknown = {one.template for one in batch.coupons.values()} - batch.kinds.keys()
    if unknown:
        batch.kinds |= {code: one.template for code, one in queries.templates(tx, unknown).items()}
    return batch


def lock_presented(
    tx: Tx,
    asked: Sequence[Asked],
    *,
    sessions: Sequence[UUID],
    orders: Sequence[UUID],
    at: datetime,
    actor: str,
) -> tuple[Batch, list[Coupon | Refusal]]:
    """Lock the coupons of presented codes with all that a decision about them needs.

    Returns for each code its coupon, or why there is none. Reservations that are over are ended where they stand in
    the way.
    """
    found = _owned(tx, [codes.read_code(one.code) for one in asked], at=at, actor=actor)
    kinds = {
        code: one.template for code, one in queries.templates(tx, {one.template for one in found.values()}).items()
    }
    batch = lock(tx, {one.owner for one in found.values() if one.owner}, at=at, actor=actor, kinds=kinds)
    presented: list[Coupon | Refusal] = []
    for one in asked:
        place = found.get(codes.read_code(one.code) or "")
        if place is None:
            presented.append(queries.unknown_code(one.code))
        elif place.owner is None:
            presented.append(Refusal(COUPON_NOT_FOUND, field="code", have=one.code[:64]))
        else:
            presented.append(batch.coupons[place.owner])
    asking = {one.member_id for one in asked if one.member_id}
    people = ({one.profile_id for one in batch.coupons.values()} | asking) - {NOBODY}
    batch.members = identity.members_of(tx, people) if people else {}
    _load_uses(tx, batch, sessions, orders)
    _load_counts(tx, batch, asked, presented)
    full = [one.key for one in batch.coupons.values() if one.is_full and one.reserved]
    for use in store.lapsed(tx, full, at=at):
        batch.let_go(batch.uses.get(((use.profile_id, use.coupon_id), use.use_id), use), UseState.LAPSED)
    return batch, presented


def _owned(tx: Tx, read: Sequence[str | None], *, at: datetime, actor: str) -> dict[str, queries.Found]:
    """Find codes; a code of an open pool becomes a coupon of nobody when it is first presented."""
    found = queries.find_codes(tx, [code for code in read if code])
    loose = {code: one for code, one in found.items() if one.owner is None}
    if not loose:
        return found
    kinds = queries.templates(tx, {one.template for one in loose.values()})
    fresh = {code: queries.unissued(one, kinds[one.template].template, at) for code, one in loose.items()}
    coupons = {code: one for code, one in fresh.items() if one is not None}
    added = store.add_missing(tx, list(coupons.values()))
    entries = [store.Entry(key, 1, "issued", State.ISSUED, 0, 0, None) for key in added]
    store.add_entries(tx, entries, actor=actor, at=at)
    store_codes.own_missing(tx, {code: one.key for code, one in coupons.items()})
    return found | {
        code: queries.Found(code, one.template, loose[code].written, one.key) for code, one in coupons.items()
    }


def _load_uses(tx: Tx, batch: Batch, sessions: Sequence[UUID], orders: Sequence[UUID]) -> None:
    for use in store.uses_of(tx, sessions=sessions, orders=orders):
        if (use.profile_id, use.coupon_id) in batch.coupons:
            batch.know_use(use)


def _load_counts(tx: Tx, batch: Batch, asked: Sequence[Asked], presented: Sequence[Coupon | Refusal]) -> None:
    anchors = set()
    for one, coupon in zip(asked, presented, strict=True):
        if isinstance(coupon, Coupon) and rules.counts_uses(batch.kinds[coupon.template]):
            profile = batch.who(coupon, one.member_id)
            if profile is not None:
                anchors.add((batch.members.get(profile, profile), coupon.template))
    store.lock_tallies(tx, anchors)
    days = {rules.local_day(batch.kinds[template], batch.at) for _, template in anchors}
    batch.sums = queries.tallies(tx, anchors, days)


def lock_used(
    tx: Tx, *, sessions: Sequence[UUID] = (), orders: Sequence[UUID] = (), state: UseState, at: datetime, actor: str
) -> tuple[Batch, list[CouponUse]]:
    """Lock the coupons that sessions or orders have uses of, and return those uses that are in a state."""
    keys = {(one.profile_id, one.coupon_id) for one in store.uses_of(tx, sessions=sessions, orders=orders)}
    batch = lock(tx, keys, at=at, actor=actor)
    _load_uses(tx, batch, sessions, orders)
    return batch, [one for one in batch.uses.values() if one.state is state]


def used_news(batch: Batch, coupon: Coupon, use: CouponUse) -> events.CouponUsed:
    """Return the news that a coupon was used."""
    assert use.order_id is not None
    assert use.used_at is not None
    return events.CouponUsed(
        event_id=derived_id("coupon_used", use.use_id.hex, str(coupon.version)),
        lane_key=lane_of(coupon, use),
        profile_id=coupon.profile_id,
        coupon_id=coupon.coupon_id,
        template=coupon.template,
        used_by=use.user_id,
        order_id=use.order_id,
        value_minor=use.value_minor,
        currency=use.currency,
        cost_owner=batch.kinds[coupon.template].cost_owner,
        occurred_at=use.used_at,
        recorded_at=batch.at,
    )


def given_back_news(batch: Batch, coupon: Coupon, use: CouponUse, *, renewed: bool) -> events.CouponGivenBack:
    """Return the news that a coupon can be used again."""
    assert use.order_id is not None
    return events.CouponGivenBack(
        event_id=derived_id("coupon_given_back", use.use_id.hex, str(coupon.version)),
        lane_key=lane_of(coupon, use),
        profile_id=coupon.profile_id,
        coupon_id=coupon.coupon_id,
        template=coupon.template,
        order_id=use.order_id,
        renewed=renewed,
        expires_at=coupon.expires_at,
        value_minor=use.value_minor,
        currency=use.currency,
        cost_owner=batch.kinds[coupon.template].cost_owner,
        recorded_at=batch.at,
    )
