"""Many at once: stock, quotas and stored value stay exact, with real threads and real commits."""

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from uuid import uuid4

from changke.kernel import audit
from changke.kernel.database import Database
from changke.kernel.errors import BUSY, Refusal
from changke.modules.benefits import commands_cards_stored_value as cards
from changke.modules.benefits import commands_entitlements as entitlements
from changke.modules.benefits import commands_matrix, commands_uses, commands_uses_back
from changke.modules.benefits import commands_rewards as rewards
from changke.modules.benefits import commands_stored_value as stored_value
from changke.modules.benefits import queries_audit_benefits as checks
from changke.modules.benefits import queries_rewards as queries
from changke.modules.benefits import terms_entitlements as rights
from changke.modules.benefits import terms_rewards as terms
from changke.modules.benefits import terms_stored_value as value
from changke.modules.benefits.terms_rewards import OrderState
from changke.modules.ledger import commands as ledger
from changke.modules.ledger import queries_audit as ledger_checks
from tests.benefits.mall import NOON, PARKING, Mall, balance, earn, ladder, matrix, people
from tests.benefits.test_rewards_orders import MUG
from tests.benefits.test_stored_value_accounts import WALLET


def at_once(count: int, work, *, threads: int = 20) -> list:
    with ThreadPoolExecutor(threads) as pool:
        return list(pool.map(work, range(count)))


def kinds(outcomes) -> Counter:
    return Counter(one.refusal.code.code if hasattr(one, "refusal") else "done" for one in outcomes)


def audited(database: Database) -> None:
    with database.snapshot() as tx:
        report = audit.run(tx, [*checks.CHECKS, *ledger_checks.CHECKS])
        assert report.holds, report.broken


def test_a_hundred_members_and_ten_mugs(database):
    with database.transaction() as tx:
        ledger.install_wallet_types(tx, at=NOON)
        rewards.put_rewards(tx, [replace(MUG, stock=10)], at=NOON)
        members = people(tx, 100)
        for one in members:
            earn(tx, one, 1_000)

    def order(number: int):
        asked = terms.PlaceOrder("tap", members[number], "mug", "app", NOON)
        while True:
            try:
                with database.transaction(lock_timeout_ms=60_000) as tx:
                    return rewards.place(tx, [asked], at=NOON)[0]
            except Refusal as busy:
                if busy.code is not BUSY:  # too many at once wait and try again
                    raise

    assert kinds(at_once(100, order, threads=100)) == {"done": 10, "out_of_stock": 90}
    with database.snapshot() as tx:
        assert queries.reward(tx, "mug").stock == 0
        assert sum(balance(tx, one) for one in members) == 100_000 - 10 * 300
    audited(database)


def test_one_member_with_many_fingers_stays_within_the_limit(database):
    with database.transaction() as tx:
        ledger.install_wallet_types(tx, at=NOON)
        limit = terms.PerMember(2)
        rewards.put_rewards(tx, [replace(MUG, stock=None, points=1, per_member=limit)], at=NOON)
        (anna,) = people(tx, 1)
        earn(tx, anna, 1_000)

    def order(number: int):
        with database.transaction(lock_timeout_ms=60_000) as tx:
            asked = terms.PlaceOrder(f"tap:{number % 20}", anna, "mug", "app", NOON)
            return rewards.place(tx, [asked], at=NOON)[0]

    outcomes = at_once(60, order)
    placed = {one.order.order_id for one in outcomes if isinstance(one, terms.Ordered)}
    assert len(placed) == 2
    audited(database)


def test_an_order_is_cancelled_once_whoever_cancels(database):
    with database.transaction() as tx:
        ledger.install_wallet_types(tx, at=NOON)
        rewards.put_rewards(tx, [MUG], at=NOON)
        (anna,) = people(tx, 1)
        earn(tx, anna, 300)
        order = rewards.place(tx, [terms.PlaceOrder("tap", anna, "mug", "app", NOON)], at=NOON)[0].order

    def cancel(number: int):
        with database.transaction(lock_timeout_ms=60_000) as tx:
            asked = terms.Withdraw(f"c{number}", anna, order.order_id, OrderState.CANCELLED, "app", "no", NOON)
            return rewards.withdraw(tx, [asked], at=NOON)[0]

    assert kinds(at_once(20, cancel)) == {"done": 1, "reward_order_state": 19}
    with database.snapshot() as tx:
        assert (balance(tx, anna), queries.reward(tx, "mug").stock) == (300, 5)
    audited(database)


def test_a_quota_of_forty_gives_forty(database):
    with database.transaction() as tx:
        ladder(tx)
        benefit = replace(PARKING, use=replace(PARKING.use, quota=40))
        commands_matrix.put_benefits(tx, matrix(benefits=(benefit,), base=matrix().base[1:], tiers=()), at=NOON)
        (anna,) = people(tx, 1)
        shares = matrix().base[1:]
        commands_matrix.put_benefits(
            tx, matrix(benefits=(benefit,), base=(replace(shares[0], quota=40),), tiers=()), at=NOON
        )

    def use(number: int):
        with database.transaction(lock_timeout_ms=60_000) as tx:
            channel = "store" if number % 2 else "app"
            asked = rights.UseBenefit(f"u{number}", anna, "parking", channel, NOON)
            return commands_uses.use(tx, [asked], at=NOON)[0]

    assert kinds(at_once(100, use)) == {"done": 40, "quota_reached": 60}
    audited(database)


def test_uses_and_their_undoing_at_the_same_time(database):
    with database.transaction() as tx:
        ladder(tx)
        commands_matrix.put_benefits(tx, matrix(), at=NOON)
        members = people(tx, 3)

    def work(number: int):
        who = members[number % 3]
        with database.transaction(lock_timeout_ms=60_000) as tx:
            asked = rights.UseBenefit(f"u{number}", who, "parking", "app", NOON)
            done = commands_uses.use(tx, [asked], at=NOON)[0]
        if isinstance(done, rights.Used):
            with database.transaction(lock_timeout_ms=60_000) as tx:
                back = rights.GiveBackBenefit(f"b{number}", who, f"u{number}", NOON)
                commands_uses_back.give_back(tx, [back], at=NOON)

    at_once(90, work)
    with database.transaction() as tx:
        assert {Mall.left(_Reader(tx), one) for one in members} == {1}
    audited(database)


class _Reader:
    def __init__(self, tx) -> None:
        self.tx, self.at = tx, NOON


def test_a_purse_is_spent_once_whoever_pays(database):
    with database.transaction() as tx:
        ledger.install_wallet_types(tx, at=NOON)
        stored_value.put_scheme(tx, replace(WALLET, consumption="proportional"), at=NOON)
        (anna,) = people(tx, 1)
        topped = value.TopUp("t", anna, "wallet", 10_000, "wx:1", "app", NOON)
        stored_value.top_up(tx, [topped], at=NOON)

    def pay(number: int):
        with database.transaction(lock_timeout_ms=60_000) as tx:
            asked = value.Pay(f"p{number}", anna, "wallet", 1_000, f"order:{number}", "store", NOON)
            return stored_value.pay(tx, [asked], at=NOON)[0]

    assert kinds(at_once(40, pay)) == {"done": 10, "insufficient_stored_value": 30}
    audited(database)


def test_a_card_is_loaded_and_spent_once(database, keyring):
    with database.transaction() as tx:
        ledger.install_wallet_types(tx, at=NOON)
        stored_value.put_scheme(tx, WALLET, at=NOON)
        asked = value.IssueCards("b", "wallet", 1_000, 1, "ops", NOON)
        (card,) = cards.issue_cards(tx, asked, keyring=keyring, at=NOON)

    def load(number: int):
        with database.transaction(lock_timeout_ms=60_000) as tx:
            one = value.ActivateCard(f"a{number}", card.code, "wx:1", "store", NOON)
            return cards.activate(tx, [one], at=NOON)[0]

    def pay(number: int):
        with database.transaction(lock_timeout_ms=60_000) as tx:
            one = value.CardPay(uuid4().hex, card.code, card.pin, 300, "receipt", "store", NOON)
            return cards.pay(tx, [one], at=NOON)[0]

    assert kinds(at_once(10, load)) == {"done": 1, "card_state": 9}
    assert kinds(at_once(10, pay)) == {"done": 3, "insufficient_stored_value": 7}
    audited(database)


def test_a_code_opens_one_door(database):
    with database.transaction() as tx:
        ladder(tx)
        benefit = replace(PARKING, claim_needed=True, use=replace(PARKING.use, quota=40))
        share = replace(matrix().base[1], quota=40)
        commands_matrix.put_benefits(tx, matrix(benefits=(benefit,), base=(share,), tiers=()), at=NOON)
        (anna,) = people(tx, 1)
        claim = entitlements.claim(tx, [rights.Claim("c", anna, "parking", "app", NOON)], at=NOON)[0]

    def use(number: int):
        with database.transaction(lock_timeout_ms=60_000) as tx:
            asked = rights.UseBenefit(f"u{number}", None, None, "store", NOON, code=claim.code)
            asked = replace(asked, member_id=anna) if number % 2 else asked
            return commands_uses.use(tx, [asked], at=NOON)[0]

    assert kinds(at_once(20, use)) == {"done": 1, "claim_used": 19}
    audited(database)


def test_what_is_passed_around_in_circles_stays_what_it_was(database):
    with database.transaction() as tx:
        ladder(tx)
        benefit = replace(PARKING, transferable="anyone", use=replace(PARKING.use, quota=10))
        share = replace(matrix().base[1], quota=10)
        commands_matrix.put_benefits(tx, matrix(benefits=(benefit,), base=(share,), tiers=()), at=NOON)
        members = people(tx, 3)

    def give(number: int):
        source, target = members[number % 3], members[(number + 1 + number % 2) % 3]
        with database.transaction(lock_timeout_ms=60_000) as tx:
            asked = rights.TransferBenefit(f"t{number}", source, target, "parking", NOON)
            return commands_uses_back.transfer(tx, [asked], at=NOON)[0]

    assert kinds(at_once(60, give)) == {"done": 30, "quota_reached": 30}
    with database.transaction() as tx:
        assert sum(Mall.left(_Reader(tx), one) for one in members) == 30
    audited(database)
