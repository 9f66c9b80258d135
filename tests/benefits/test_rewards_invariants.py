"""Whatever happens in whatever order: stock, quotas and money add up."""

from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from changke.kernel import audit
from changke.kernel.errors import Refusal
from changke.kernel.ids import new_id
from changke.modules.benefits import commands_matrix, commands_uses, commands_uses_back
from changke.modules.benefits import commands_rewards as rewards
from changke.modules.benefits import queries_audit_benefits as checks
from changke.modules.benefits import queries_entitlements as views
from changke.modules.benefits import queries_rewards as queries
from changke.modules.benefits import rules_entitlements as rules
from changke.modules.benefits import rules_stored_value as value
from changke.modules.benefits import terms_entitlements as rights
from changke.modules.benefits import terms_rewards as terms
from changke.modules.benefits.rules_stored_value import Sides
from changke.modules.benefits.terms_entitlements import Allowance
from changke.modules.benefits.terms_rewards import OrderState
from changke.modules.ledger import commands as ledger
from changke.modules.ledger import queries_audit as ledger_checks
from tests.benefits.mall import NOON, balance, earn, ladder, matrix, person
from tests.benefits.test_rewards_orders import MUG

tries = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
minor = st.integers(0, 10**9)


def audited(tx) -> None:
    skip = {"ledger.log_recomputes", "ledger.entries_are_announced", "ledger.announced_entries_exist"}
    report = audit.run(tx, [one for one in (*checks.CHECKS, *ledger_checks.CHECKS) if one.name not in skip])
    assert report.holds, report.broken


@tries
@given(
    st.lists(st.tuples(st.sampled_from(["order", "cancel", "pack", "ship", "return"]), st.integers(0, 7)), max_size=25)
)
def test_orders_cancels_and_returns_conserve_stock_and_points(worker_database, steps):
    with worker_database.rehearsal() as tx:
        ledger.install_wallet_types(tx, at=NOON)
        rewards.put_rewards(tx, [replace(MUG, stock=6)], at=NOON)
        who = [person(tx), person(tx)]
        for one in who:
            earn(tx, one, 1_500)
        orders: list[tuple] = []
        for number, (step, pick) in enumerate(steps):
            do(tx, step, pick, number, who, orders)
        kept = [queries.order(tx, order_id) for _, order_id in orders]
        out = [one for one in kept if one.state not in (OrderState.CANCELLED, OrderState.RETURNED)]
        view = queries.reward(tx, "mug")
        assert view.stock + sum(one.quantity for one in out) == 6
        assert view.ordered == sum(one.quantity for one in out)
        assert sum(balance(tx, one) for one in who) + sum(one.points for one in out) == 3_000
        audited(tx)


def do(tx, step, pick, number, who, orders) -> None:
    if step == "order":
        one = who[pick % 2]
        asked = terms.PlaceOrder(f"k{number}", one, "mug", "app", NOON, quantity=pick % 3 + 1)
        (answer,) = rewards.place(tx, [asked], at=NOON)
        if isinstance(answer, terms.Ordered):
            orders.append((one, answer.order.order_id))
    elif orders:
        one, order_id = orders[pick % len(orders)]
        if step in ("cancel", "return"):
            to = OrderState.CANCELLED if step == "cancel" else OrderState.RETURNED
            rewards.withdraw(tx, [terms.Withdraw(f"k{number}", one, order_id, to, "staff", "why", NOON)], at=NOON)
        else:
            to = OrderState.PACKED if step == "pack" else OrderState.SHIPPED
            asked = terms.Advance(f"k{number}", one, order_id, to, "staff", NOON, tracking_number="SF1")
            rewards.advance(tx, [asked], at=NOON)


@tries
@given(st.lists(st.tuples(st.sampled_from(["use", "back", "pass"]), st.integers(0, 5), st.integers(1, 3)), max_size=25))
def test_uses_never_go_beyond_quotas_and_undoing_gives_all_back(worker_database, steps):
    with worker_database.rehearsal() as tx:
        ladder(tx)
        base = matrix()
        parking = replace(base.benefits[1], transferable="anyone")
        share = replace(base.base[1], quota=5)
        commands_matrix.put_benefits(tx, matrix(benefits=(parking,), base=(share,), tiers=()), at=NOON)
        who = [person(tx), person(tx)]
        standing: dict[str, tuple] = {}
        for number, (step, pick, quantity) in enumerate(steps):
            key, one = f"k{number}", who[pick % 2]
            if step == "use":
                asked = rights.UseBenefit(key, one, "parking", "app", NOON, quantity=quantity)
                (answer,) = commands_uses.use(tx, [asked], at=NOON)
                if isinstance(answer, rights.Used):
                    standing[key] = (one, quantity)
            elif step == "back" and standing:
                undone = sorted(standing)[pick % len(standing)]
                back = rights.GiveBackBenefit(key, standing.pop(undone)[0], undone, NOON)
                commands_uses_back.give_back(tx, [back], at=NOON)
            elif step == "pass":
                moved = rights.TransferBenefit(key, one, who[1 - pick % 2], "parking", NOON, quantity)
                commands_uses_back.transfer(tx, [moved], at=NOON)
        found = views.benefits_of(tx, who, as_of=NOON)
        left = sum(view.left for one in who for view in found[one])
        assert left + sum(quantity for _, quantity in standing.values()) == 10
        audited(tx)


@given(st.lists(st.tuples(st.integers(0, 50), st.integers(0, 60)), max_size=6), st.integers(1, 200))
def test_a_use_takes_exactly_what_was_asked_or_nothing(sizes, quantity):
    found = [
        Allowance(f"s{place}", "p", quota, min(used, quota), None, None) for place, (quota, used) in enumerate(sizes)
    ]
    total = sum(one.left for one in found)
    if quantity > total:
        with pytest.raises(Refusal) as caught:
            rules.take(found, quantity)
        assert (caught.value.have, caught.value.need) == (total, quantity)
    else:
        parts = rules.take(found, quantity)
        assert sum(one.quantity for one in parts) == quantity
        left = {one.source: one.left for one in found}
        assert all(0 < one.quantity <= left[one.source] for one in parts)


@given(minor, minor, st.sampled_from(["paid_first", "bonus_first", "proportional"]), st.data())
def test_both_sides_pay_what_they_have(paid, bonus, consumption, data):
    from tests.benefits.test_stored_value_accounts import WALLET

    amount = data.draw(st.integers(0, paid + bonus))
    parts = value.sides_of(replace(WALLET, consumption=consumption), amount, Sides(paid, bonus))
    assert parts.total == amount
    assert 0 <= parts.paid <= paid
    assert 0 <= parts.bonus <= bonus


@given(minor, minor, st.lists(st.integers(1, 10**8), max_size=8))
def test_returns_in_any_pieces_end_at_the_payment(paid, bonus, pieces):
    payment, before = Sides(paid, bonus), Sides(0, 0)
    for piece in pieces:
        left = payment.total - before.total
        if not left:
            break
        back = value.given_back(payment, before, min(piece, left))
        assert back.paid >= 0
        assert back.bonus >= 0
        before = Sides(before.paid + back.paid, before.bonus + back.bonus)
        assert before.paid <= paid
        assert before.bonus <= bonus
    if before.total < payment.total:
        rest = value.given_back(payment, before, None)
        before = Sides(before.paid + rest.paid, before.bonus + rest.bonus)
    assert before == payment


@given(st.integers(1, 10**9), minor, st.data())
def test_a_refund_never_gives_out_more_than_was_paid_in(paid, bonus, data):
    from tests.benefits.test_stored_value_accounts import WALLET

    amount = data.draw(st.integers(1, paid))
    out = value.refunded(WALLET, Sides(paid, bonus), amount)
    assert out.paid == amount
    assert 0 <= out.bonus <= bonus
    assert value.refunded(WALLET, Sides(paid, bonus), None) == Sides(paid, bonus)


@given(st.binary(min_size=16, max_size=16))
def test_card_codes_keep_eighty_bits(secret):
    code = value.card_code(secret)
    assert len(code) == 16
    assert value.typed(f" {code[:4]}-{code[4:].lower()}") == code
    assert value.card_code(secret[:10] + bytes(6)) == code
    assert new_id() != new_id()
