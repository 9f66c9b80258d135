"""Verbs of the rewards mall: put rewards, restock, order, advance, withdraw.

An order locks the reward's stock first, then spends the points, then stands: stock and a member's limit are exact, and
an order that is refused leaves nothing behind.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime
from typing import TypeVar
from uuid import UUID

from changke.kernel.database import Tx
from changke.kernel.errors import BUSY, CONFLICT_IDEMPOTENCY, NOT_FOUND, TOO_LARGE, Refusal
from changke.kernel.ids import derived_id
from changke.modules.benefits import commands_coupons as coupons
from changke.modules.benefits import commands_stored_value as stored_value
from changke.modules.benefits import events_rewards as events
from changke.modules.benefits import queries_coupons, queries_stored_value, terms_coupons
from changke.modules.benefits import queries_rewards as queries
from changke.modules.benefits import rules_rewards as rules
from changke.modules.benefits import store_rewards as store
from changke.modules.benefits import terms_rewards as terms
from changke.modules.benefits.rules_entitlements import body_hash
from changke.modules.benefits.terms_rewards import AsCoupon, AsStoredValue, OrderState, PaymentState, RewardOrder
from changke.modules.identity import queries as identity
from changke.modules.ledger import commands as ledger
from changke.modules.ledger import queries as wallet_types
from changke.modules.ledger import terms as points
from changke.modules.tiers import queries as tiers

_Asked = TypeVar("_Asked")


def order_id_of(member_id: UUID, key: str) -> UUID:
    """Return the id of the order a member's key stands for."""
    return derived_id("reward_order", member_id.hex, key)


def put_rewards(tx: Tx, rewards: Sequence[terms.Reward], *, at: datetime) -> list[terms.RewardView]:
    """Add a version of each reward that differs from what stands; the same again adds nothing.

    The stock of the first version is what there is then; later only `restock` changes it. Refuses `invalid_reward`:
    what makes no sense, and a wallet, template, scheme or tier nobody defined.
    """
    store.lock_rewards(tx)
    standing = queries.rewards(tx, codes=[one.code for one in rewards])
    named = {one.fulfilment.template for one in rewards if isinstance(one.fulfilment, AsCoupon)}
    wallets, templates = wallet_types.wallet_types(tx).keys(), queries_coupons.templates(tx, named).keys()
    schemes = queries_stored_value.schemes(tx).keys()
    ladders = {code: {tier.code for tier in ladder.tiers} for code, ladder in tiers.tier_sets(tx).items()}
    for one in map(rules.check, rewards):
        rules.check_parts(one, wallets=wallets, templates=templates, schemes=schemes, ladders=ladders)
        known = standing.get(one.code)
        if known is None or known.reward != one:
            version = known.version + 1 if known else 1
            store.add_reward(tx, one.code, version, rules.dump(one), one.stock, at=at)
    views = queries.rewards(tx, codes=[one.code for one in rewards])
    return [views[one.code] for one in rewards]


def restock(tx: Tx, asked: Sequence[terms.Restock], *, at: datetime) -> list[terms.RewardView]:
    """Change stocks; the same key again changes nothing. Refuses to take away more than there is."""
    stocks = store.lock_stock(tx, {one.reward for one in asked})
    for one in asked:
        if one.reward not in stocks:
            raise Refusal(terms.UNKNOWN_REWARD, field="reward", have=one.reward)
        move_id = derived_id("reward_stock", one.key)
        known = store.known_restock(tx, move_id)
        if known == (one.reward, one.change):
            continue
        if known is not None:
            raise Refusal(CONFLICT_IDEMPOTENCY, field="key", have=one.key)
        rules.check_stock(stocks[one.reward], -one.change)
        store.add_restock(tx, move_id, one.reward, one.change, one.actor, one.reason, one.occurred_at, at=at)
        store.move_stock(tx, one.reward, stock=one.change, ordered=0)
        left = stocks[one.reward]
        stocks[one.reward] = None if left is None else left + one.change
    views = queries.rewards(tx, codes=[one.reward for one in asked])
    return [views[one.reward] for one in asked]


def place(tx: Tx, asked: Sequence[terms.PlaceOrder], *, at: datetime) -> list[terms.Outcome]:
    """Order rewards for points and money; each order is placed whole or refused on its own.

    Refuses `out_of_stock`, `reward_limit_reached`, a time, tier or store the reward is not for, and what the ledger
    refuses. What needs no hands (digital, coupon, stored value) is delivered as soon as it is paid.
    """
    store.lock_stock(tx, {one.reward for one in asked})
    return _each(tx, asked, lambda one: _place(tx, one, at))


def _each(tx: Tx, asked: Sequence[_Asked], verb: Callable[[_Asked], terms.Ordered]) -> list[terms.Outcome]:
    """Do each item in a savepoint of its own."""
    if len(asked) > terms.BATCH_MAX:
        raise Refusal(TOO_LARGE, field="orders", have=len(asked), need=terms.BATCH_MAX)
    answers: list[terms.Outcome] = []
    for one in asked:
        try:
            with tx.savepoint():
                answers.append(verb(one))
        except Refusal as refusal:
            answers.append(terms.Refused(refusal))
    return answers


def _place(tx: Tx, asked: terms.PlaceOrder, at: datetime) -> terms.Ordered:
    order_id, body = order_id_of(asked.member_id, asked.key), body_hash(asked)
    known = store.known_orders(tx, [order_id]).get(order_id)
    if known is not None:
        if known[1] != body:
            raise Refusal(CONFLICT_IDEMPOTENCY, field="key", have=asked.key)
        return terms.Ordered(known[0], duplicate=True)
    member_id = identity.members_of(tx, [asked.member_id]).get(asked.member_id)
    if member_id is None:
        raise Refusal(NOT_FOUND, field="member_id", have=str(asked.member_id), what="member")
    view = queries.reward(tx, asked.reward)
    _check(tx, view, asked, member_id)
    posting_id = _spend(tx, view.reward, asked, member_id, order_id, at)
    order = _new(view, asked, member_id, order_id, posting_id, at)
    if not store.add_order(tx, order, body):
        raise Refusal(BUSY, need=1)
    store.move_stock(tx, asked.reward, stock=-asked.quantity, ordered=asked.quantity)
    _note(tx, order, key=f"place:{asked.key}", actor=asked.channel, body=body, occurred_at=asked.occurred_at, at=at)
    return terms.Ordered(_hand_over(tx, order, view.reward, asked.occurred_at, at))


def _check(tx: Tx, view: terms.RewardView, asked: terms.PlaceOrder, member_id: UUID) -> None:
    """Refuse what the reward is not for, beyond the member's limit, beyond the stock."""
    reward = view.reward
    tier = None
    if reward.tier_set is not None:
        standing = tiers.standings(tx, [member_id], tier_set=reward.tier_set, as_of=asked.occurred_at)
        tier = standing[member_id].tier
    rules.check_order(reward, asked, tier)
    if reward.per_member is not None:
        span = rules.limit_bounds(reward, asked.occurred_at)
        profiles = [*identity.profiles_of(tx, [member_id])]
        had = store.had(tx, profiles, reward.code, span.starts_at, span.ends_at)
        rules.check_limit(reward, had, asked.quantity)
    rules.check_stock(view.stock, asked.quantity)


def _spend(
    tx: Tx, reward: terms.Reward, asked: terms.PlaceOrder, member_id: UUID, order_id: UUID, at: datetime
) -> UUID | None:
    """Spend the points of an order; returns the posting, None when it costs none."""
    if not reward.points:
        return None
    request = points.Redeem(
        f"reward:{order_id}", member_id, reward.wallet, reward.points * asked.quantity, asked.occurred_at,
        reference=str(order_id),
    )  # fmt: skip
    return ledger.redeem(tx, request, at=at).posting_id


def _new(
    view: terms.RewardView,
    asked: terms.PlaceOrder,
    member_id: UUID,
    order_id: UUID,
    posting_id: UUID | None,
    at: datetime,
) -> RewardOrder:
    reward, quantity = view.reward, asked.quantity
    state, payment = rules.first_states(reward.money_minor, asked.payment_reference)
    return RewardOrder(
        order_id, member_id, reward.code, view.version, quantity, reward.wallet, reward.points * quantity,
        reward.money_minor * quantity, reward.currency, reward.fulfilment.kind, state, payment, posting_id,
        asked.payment_reference, asked.deliver_to, None, None, asked.channel, reward.tax, reward.cost_minor * quantity,
        asked.occurred_at, at, at,
    )  # fmt: skip


def _note(
    tx: Tx,
    order: RewardOrder,
    *,
    key: str,
    actor: str,
    body: bytes,
    occurred_at: datetime,
    at: datetime,
    note: str | None = None,
) -> None:
    """Add an order's state to its steps and announce it."""
    number = store.add_step(tx, order, key=key, actor=actor, note=note, body_hash=body, occurred_at=occurred_at, at=at)
    tx.announce(events.changed(order, number, occurred_at))


def _hand_over(tx: Tx, order: RewardOrder, reward: terms.Reward, occurred_at: datetime, at: datetime) -> RewardOrder:
    """Deliver what needs no hands once it is paid; raises what refuses it."""
    if order.state is not OrderState.PAID or order.fulfilment in ("ship", "pick_up"):
        return order
    key, how = f"reward:{order.order_id}", reward.fulfilment
    if isinstance(how, AsCoupon):
        issue = terms_coupons.Issue(
            key, order.profile_id, how.template, order.quantity, occurred_at, str(order.order_id)
        )
        (outcome,) = coupons.issue(tx, [issue], at=at)
        if isinstance(outcome, terms_coupons.Refused):
            raise outcome.refusal
    elif isinstance(how, AsStoredValue):
        stored_value.credit_bonus(
            tx, key=key, member_id=order.profile_id, scheme=how.scheme, amount_minor=how.amount_minor * order.quantity,
            reference=str(order.order_id), channel=order.channel, occurred_at=occurred_at, at=at,
        )  # fmt: skip
    delivered = replace(order, state=OrderState.DELIVERED, changed_at=at)
    store.save_order(tx, delivered)
    _note(tx, delivered, key="handed over", actor="house", body=b"", occurred_at=occurred_at, at=at)
    return delivered


def advance(tx: Tx, asked: Sequence[terms.Advance], *, at: datetime) -> list[terms.Outcome]:
    """Bring orders to their next state: paid, packed, shipped, delivered; the same key again changes nothing.

    Refuses a state that does not follow, a payment that is not named, a parcel without its tracking number.
    """
    return _each(tx, asked, lambda one: _advance(tx, one, at))


def _advance(tx: Tx, asked: terms.Advance, at: datetime) -> terms.Ordered:
    order, again = _locked(tx, asked)
    if again:
        return terms.Ordered(order, duplicate=True)
    if asked.to in (OrderState.CANCELLED, OrderState.RETURNED):
        raise Refusal(terms.WRONG_STATE, field="to", have=order.state.value, need=asked.to.value)
    rules.check_step(order.fulfilment, order.state, asked.to)
    if asked.to is OrderState.PAID and not asked.payment_reference:
        raise Refusal(terms.PAYMENT_NEEDED, field="payment_reference", need=f"{order.money_minor} {order.currency}")
    if asked.to is OrderState.SHIPPED and not asked.tracking_number:
        raise Refusal(terms.TRACKING_NEEDED, field="tracking_number")
    changed = replace(
        order,
        state=asked.to,
        payment=PaymentState.PAID if asked.to is OrderState.PAID else order.payment,
        payment_reference=asked.payment_reference or order.payment_reference,
        carrier=asked.carrier or order.carrier,
        tracking_number=asked.tracking_number or order.tracking_number,
        changed_at=at,
    )
    store.save_order(tx, changed)
    _note(tx, changed, key=asked.key, actor=asked.actor, body=body_hash(asked), occurred_at=asked.occurred_at, at=at)
    reward = queries.reward_version(tx, order.reward, order.version)
    return terms.Ordered(_hand_over(tx, changed, reward, asked.occurred_at, at))


def withdraw(tx: Tx, asked: Sequence[terms.Withdraw], *, at: datetime) -> list[terms.Outcome]:
    """Cancel orders, or take back what was sent: points return to their lots, stock too unless it is spoiled.

    Money that was paid is then due to be refunded. Refuses where the order is too far, or not far enough, for that.
    """
    return _each(tx, asked, lambda one: _withdraw(tx, one, at))


def _withdraw(tx: Tx, asked: terms.Withdraw, at: datetime) -> terms.Ordered:
    order, again = _locked(tx, asked)
    if again:
        return terms.Ordered(order, duplicate=True)
    rules.check_step(order.fulfilment, order.state, asked.to)
    store.lock_stock(tx, [order.reward])
    restored = expired = 0
    if order.posting_id is not None:
        back = points.Reverse(f"reward-back:{order.order_id}", order.posting_id, asked.occurred_at)
        posted = ledger.reverse(tx, back, at=at)
        restored, expired = posted.restored, posted.expired
    store.move_stock(tx, order.reward, stock=0 if asked.spoiled else order.quantity, ordered=-order.quantity)
    changed = replace(order, state=asked.to, payment=rules.payment_after(order.payment), changed_at=at)
    store.save_order(tx, changed)
    _note(
        tx, changed, key=asked.key, actor=asked.actor, note=asked.reason, body=body_hash(asked),
        occurred_at=asked.occurred_at, at=at,
    )  # fmt: skip
    return terms.Ordered(changed, restored=restored, expired=expired)


def _locked(tx: Tx, asked: terms.Advance | terms.Withdraw) -> tuple[RewardOrder, bool]:
    """Lock a member's order; returns it and whether this step was made before."""
    found = store.known_orders(tx, [asked.order_id], lock=True).get(asked.order_id)
    owners = identity.members_of(tx, {asked.member_id, *([found[0].profile_id] if found else [])})
    if found is None or owners.get(found[0].profile_id) != owners.get(asked.member_id):
        raise Refusal(terms.UNKNOWN_ORDER, field="order_id", have=str(asked.order_id))
    body = store.known_steps(tx, found[0]).get(asked.key)
    if body is not None and body != body_hash(asked):
        raise Refusal(CONFLICT_IDEMPOTENCY, field="key", have=asked.key)
    return found[0], body is not None
