"""Rewards ordered with points and money: stock, limits, states, withdrawals."""

from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest

from changke.kernel.database import Tx
from changke.kernel.errors import Refusal
from changke.kernel.i18n import Text
from changke.modules.benefits import commands_coupons as coupons
from changke.modules.benefits import commands_rewards as rewards
from changke.modules.benefits import commands_stored_value as stored_value
from changke.modules.benefits import queries_rewards as queries
from changke.modules.benefits import terms_rewards as terms
from changke.modules.benefits.terms_rewards import (
    AsCoupon,
    AsStoredValue,
    Digital,
    OrderState,
    PaymentState,
    PerMember,
    PickUp,
    Reward,
    Ship,
)
from changke.modules.benefits.terms_stored_value import Scheme
from changke.modules.ledger import commands as ledger
from tests.benefits.coupons import template
from tests.benefits.mall import NOON, balance, day, earn, ladder, merge, no, person

MUG = Reward("mug", Text("Mug", "马克杯"), Ship("ship"), points=300, stock=5, cost_minor=900)
KETTLE = Reward("kettle", Text("Kettle", "水壶"), Ship("ship"), points=500, money_minor=4_900, stock=2)


class Rewards:
    """A rewards mall with its counter and its warehouse."""

    def __init__(self, tx: Tx, *kinds: Reward, at: datetime = NOON) -> None:
        self.tx, self.at = tx, at
        ledger.install_wallet_types(tx, at=at)
        self.put(*kinds)

    def put(self, *kinds: Reward) -> list[terms.RewardView]:
        return rewards.put_rewards(self.tx, kinds, at=self.at)

    def member(self, points: int = 1_000) -> UUID:
        one = person(self.tx)
        if points:
            earn(self.tx, one, points)
        return one

    def order(self, who: UUID, reward: str = "mug", quantity: int = 1, *, key: str | None = None, **more):
        given = {"channel": "app", "occurred_at": self.at, "quantity": quantity} | more
        return rewards.place(self.tx, [terms.PlaceOrder(key or uuid4().hex, who, reward, **given)], at=self.at)[0]

    def to(self, who: UUID, order_id: UUID, state: OrderState, *, key: str | None = None, **more):
        request = terms.Advance(key or uuid4().hex, who, order_id, state, "warehouse", self.at, **more)
        return rewards.advance(self.tx, [request], at=self.at)[0]

    def withdraw(self, who: UUID, order_id: UUID, to: OrderState = OrderState.CANCELLED, *, key=None, **more):
        request = terms.Withdraw(key or uuid4().hex, who, order_id, to, "service", "changed mind", self.at, **more)
        return rewards.withdraw(self.tx, [request], at=self.at)[0]

    def stock(self, code: str = "mug") -> int | None:
        return queries.reward(self.tx, code).stock

    def points(self, who: UUID) -> int:
        return balance(self.tx, who, at=self.at)


def test_points_and_stock_move_together(tx):
    mall = Rewards(tx, MUG)
    anna = mall.member()
    placed = mall.order(anna, quantity=2, deliver_to="address:7").order
    assert (placed.state, placed.payment, placed.points) == (OrderState.PAID, PaymentState.NONE, 600)
    assert (mall.stock(), mall.points(anna)) == (3, 400)
    assert no(mall.order(anna, quantity=2)) == ("insufficient_points", 400, 600)
    assert (mall.stock(), mall.points(anna)) == (3, 400), "what is refused leaves nothing behind"


def test_the_same_key_orders_once(tx):
    mall = Rewards(tx, MUG)
    anna = mall.member()
    first, second = (mall.order(anna, key="tap") for _ in range(2))
    assert (second.duplicate, second.order) == (True, first.order)
    assert no(mall.order(anna, quantity=2, key="tap"))[0] == "idempotency_conflict"
    assert mall.stock() == 4


def test_nothing_is_oversold(tx):
    mall = Rewards(tx, MUG)
    anna, ben = mall.member(2_000), mall.member()
    mall.order(anna, quantity=4)
    assert no(mall.order(ben, quantity=2)) == ("out_of_stock", 1, 2)
    mall.order(ben)
    assert no(mall.order(ben)) == ("out_of_stock", 0, 1)


def test_an_order_travels_from_the_shelf_to_the_door(tx):
    mall = Rewards(tx, MUG)
    anna = mall.member()
    order_id = mall.order(anna).order.order_id
    assert no(mall.to(anna, order_id, OrderState.SHIPPED, tracking_number="SF1")) == (
        "reward_order_state", "paid", "shipped",
    )  # fmt: skip
    mall.to(anna, order_id, OrderState.PACKED)
    assert no(mall.to(anna, order_id, OrderState.SHIPPED))[0] == "tracking_needed"
    sent = mall.to(anna, order_id, OrderState.SHIPPED, key="ship", carrier="SF", tracking_number="SF123")
    assert (sent.order.carrier, sent.order.tracking_number) == ("SF", "SF123")
    assert mall.to(anna, order_id, OrderState.SHIPPED, key="ship", carrier="SF", tracking_number="SF123").duplicate
    assert no(mall.to(anna, order_id, OrderState.SHIPPED, key="ship", tracking_number="SF9"))[0] == (
        "idempotency_conflict"
    )
    mall.to(anna, order_id, OrderState.DELIVERED)
    order = queries.order(tx, order_id)
    assert [one.state.value for one in queries.steps(tx, order)] == ["paid", "packed", "shipped", "delivered"]
    assert queries.orders_of(tx, anna) == [order]
    assert queries.orders_in(tx, OrderState.DELIVERED) == [order]
    assert queries.orders_in(tx, OrderState.PAID) == []


def test_the_money_part_is_due_until_it_is_paid(tx):
    mall = Rewards(tx, KETTLE)
    anna = mall.member()
    placed = mall.order(anna, "kettle").order
    assert (placed.state, placed.payment, placed.money_minor) == (OrderState.PLACED, PaymentState.DUE, 4_900)
    assert no(mall.to(anna, placed.order_id, OrderState.PACKED))[0] == "reward_order_state"
    assert no(mall.to(anna, placed.order_id, OrderState.PAID)) == ("payment_needed", None, "4900 CNY")
    paid = mall.to(anna, placed.order_id, OrderState.PAID, payment_reference="wx:1").order
    assert (paid.state, paid.payment, paid.payment_reference) == (OrderState.PAID, PaymentState.PAID, "wx:1")
    back = mall.withdraw(anna, placed.order_id)
    assert (back.order.state, back.order.payment, back.restored) == (
        OrderState.CANCELLED, PaymentState.REFUND_DUE, 500,
    )  # fmt: skip
    assert mall.order(anna, "kettle", payment_reference="wx:2").order.state is OrderState.PAID


def test_a_cancelled_order_gives_points_and_stock_back_once(tx):
    mall = Rewards(tx, MUG)
    anna = mall.member()
    order_id = mall.order(anna, quantity=2).order.order_id
    first, second = (mall.withdraw(anna, order_id, key="c") for _ in range(2))
    assert (first.restored, second.duplicate) == (600, True)
    assert no(mall.withdraw(anna, order_id)) == ("reward_order_state", "cancelled", "cancelled")
    assert (mall.stock(), mall.points(anna)) == (5, 1_000)


def test_points_past_their_date_come_back_expired(tx):
    mall = Rewards(tx, MUG)
    anna = mall.member()
    order_id = mall.order(anna).order.order_id
    mall.at = day("2027-04-01")
    back = mall.withdraw(anna, order_id)
    assert (back.restored, back.expired, mall.points(anna)) == (0, 300, 0)


def test_what_comes_back_spoiled_is_not_sold_again(tx):
    mall = Rewards(tx, MUG)
    anna = mall.member()
    order_id = mall.order(anna).order.order_id
    assert no(mall.withdraw(anna, order_id, OrderState.RETURNED))[0] == "reward_order_state", "it never left"
    mall.to(anna, order_id, OrderState.PACKED)
    mall.to(anna, order_id, OrderState.SHIPPED, tracking_number="SF1")
    mall.withdraw(anna, order_id, OrderState.RETURNED, spoiled=True)
    assert (mall.stock(), mall.points(anna)) == (4, 1_000)


def test_a_member_has_so_many_in_a_month(tx):
    from dataclasses import replace

    mall = Rewards(tx, replace(MUG, per_member=PerMember(2, "month"), points=1))
    anna, twin = mall.member(), mall.member()
    order_id = mall.order(anna).order.order_id
    mall.order(twin)
    merge(tx, twin, anna)
    assert no(mall.order(anna)) == ("reward_limit_reached", 2, 2)
    mall.withdraw(anna, order_id)
    assert mall.order(anna).order.state is OrderState.PAID
    mall.at = day("2026-04-01", 0)
    assert mall.order(anna).order.state is OrderState.PAID


def test_for_gold_members_in_season_and_in_one_store(tx):
    ladder(tx)
    robe = Reward(
        "robe", Text("Robe", "浴袍"), PickUp("pick_up", ("s1",)), points=10, tier_set="club", tiers=("gold",),
        available_from=day("2026-03-01", 0), available_until=day("2026-04-01", 0),
    )  # fmt: skip
    mall = Rewards(tx, robe)
    anna = mall.member()
    assert no(mall.order(anna, "robe", deliver_to="s1")) == ("reward_not_for_tier", "basic", "gold")
    from changke.modules.tiers import commands as tiers
    from changke.modules.tiers.terms import Contribution

    just_before = mall.at - timedelta(seconds=1)
    tiers.record(tx, [Contribution(uuid4(), anna, just_before, spend_minor=600_000, orders=1)], at=mall.at)
    assert no(mall.order(anna, "robe", deliver_to="s2")) == ("reward_wrong_store", "s2", "s1")
    order_id = mall.order(anna, "robe", deliver_to="s1").order.order_id
    mall.to(anna, order_id, OrderState.PACKED)
    assert mall.to(anna, order_id, OrderState.DELIVERED).order.state is OrderState.DELIVERED
    mall.at = day("2026-04-01", 0)
    assert no(mall.order(anna, "robe", deliver_to="s1")) == ("reward_not_now", "robe", None)


def test_what_needs_no_hands_is_delivered_as_it_is_paid(tx):
    kind = coupons.put_template(tx, template("ten-off"), at=day("2026-01-01")).template
    ledger.install_wallet_types(tx, at=NOON)
    stored_value.put_scheme(tx, Scheme("wallet", Text("Wallet", "钱包")), at=NOON)
    mall = Rewards(
        tx,
        Reward("song", Text("Song", "歌曲"), Digital("digital"), points=10),
        Reward("ten", Text("Ten off", "十元券"), AsCoupon("coupon", kind.code), points=100, money_minor=100),
        Reward("cash", Text("Fifty", "五十元"), AsStoredValue("stored_value", "wallet", 5_000), points=500),
    )
    anna = mall.member()
    assert mall.order(anna, "song").order.state is OrderState.DELIVERED
    due = mall.order(anna, "ten", quantity=2).order
    assert due.state is OrderState.PLACED
    assert mall.to(anna, due.order_id, OrderState.PAID, payment_reference="wx:1").order.state is OrderState.DELIVERED
    issued = tx.raw.execute("SELECT count(*) FROM benefits.coupon WHERE profile_id = %s", (anna,)).fetchone()
    assert issued == (2,)
    assert mall.order(anna, "cash").order.state is OrderState.DELIVERED
    assert balance(tx, anna, "stored_value_bonus") == 5_000
    assert no(mall.withdraw(anna, due.order_id, OrderState.RETURNED))[0] == "reward_order_state"


def test_a_coupon_that_cannot_be_issued_costs_nothing(tx):
    kind = coupons.put_template(tx, template("rare", stock=1), at=day("2026-01-01")).template
    mall = Rewards(tx, Reward("rare", Text("Rare", "稀有"), AsCoupon("coupon", kind.code), points=100))
    anna = mall.member()
    mall.order(anna, "rare")
    assert no(mall.order(anna, "rare"))[0] == "limit_reached"
    assert mall.points(anna) == 900


def test_restocking_is_counted_once_and_signed(tx):
    Rewards(tx, MUG)
    move = terms.Restock("delivery:1", "mug", 10, "warehouse", "delivery", NOON)
    for _ in range(2):
        (view,) = rewards.restock(tx, [move], at=NOON)
        assert view.stock == 15
    with pytest.raises(Refusal, match="16 were asked for, 15 are left"):
        rewards.restock(tx, [terms.Restock("loss:1", "mug", -16, "warehouse", "lost", NOON)], at=NOON)


def test_putting_the_same_reward_adds_nothing_and_keeps_the_stock(tx):
    from dataclasses import replace

    mall = Rewards(tx, MUG)
    anna = mall.member()
    mall.order(anna)
    assert mall.put(MUG)[0].version == 1
    assert mall.put(replace(MUG, points=400))[0].version == 2
    assert mall.stock() == 4
    assert mall.put(replace(MUG, stock=None))[0].stock is None


@pytest.mark.parametrize(
    "change",
    [
        {"points": 0},
        {"currency": "XXQ"},
        {"time_zone": "Mars/Base"},
        {"tiers": ("gold",)},
        {"available_from": day("2026-04-01"), "available_until": day("2026-03-01")},
        {"available_from": datetime(2026, 3, 1)},
        {"wallet": "gold_bars"},
        {"fulfilment": AsCoupon("coupon", "nothing")},
        {"fulfilment": AsStoredValue("stored_value", "nothing", 100)},
        {"tier_set": "nobody"},
        {"tier_set": "club", "tiers": ("platinum",)},
    ],
)
def test_rewards_that_make_no_sense_are_refused(tx, change):
    from dataclasses import replace

    ladder(tx)
    ledger.install_wallet_types(tx, at=NOON)
    with pytest.raises(Refusal) as caught:
        rewards.put_rewards(tx, [replace(MUG, **change)], at=datetime(2026, 3, 1, tzinfo=UTC))
    assert caught.value.code.code in ("invalid_reward", "unknown_currency")


def test_an_order_of_another_member_is_not_found(tx):
    mall = Rewards(tx, MUG)
    anna, eve = mall.member(), mall.member()
    order_id = mall.order(anna).order.order_id
    assert no(mall.withdraw(eve, order_id))[0] == "unknown_reward_order"
    assert no(mall.to(anna, uuid4(), OrderState.PACKED))[0] == "unknown_reward_order"
    assert no(mall.order(anna, "yacht"))[0] == "unknown_reward"
    assert no(mall.order(uuid4()))[0] == "not_found"
