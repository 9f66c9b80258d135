"""Limits and budgets: exact, trimmed and named, given back when goods come back."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from tests.programs import trade
from tests.programs.trade import JANUARY, NOON, balance, credit, given, given_back, line, order, rule

from changke.modules.ledger import commands as ledger
from changke.modules.programs import commands, queries
from changke.modules.programs import store_allowances as allowances
from changke.modules.programs.state import Key
from changke.modules.programs.terms_evaluation import CounterKey

WEEKLY = {"of": "points", "max": 500, "per": "member", "window": "week"}


def decide(tx, *facts, at=NOON):
    return commands.decide(tx, facts, at=at)


def left(tx):
    rows = tx.raw.execute("SELECT limit_id, sum(left_over)::bigint FROM programs.allowance GROUP BY 1").fetchall()
    return dict(rows)


def test_case_5_a_weekly_cap_trims_and_the_next_week_starts_again(tx, keyring):
    trade.opened(tx, rule("base", limits=[WEEKLY]), late_limits="as_of_occurred")
    anna = trade.member(tx, "anna", keyring)
    first, second = order(anna, line(45_000)), order(anna, line(10_000), at=JANUARY + timedelta(hours=1))
    later = order(anna, line(10_000), at=JANUARY + timedelta(days=7))
    effects = decide(tx, first, second, later)
    assert [given(effects, one) for one in (first, second, later)] == [
        [("points_earned", 450)], [("points_earned", 50)], [("points_earned", 100)],
    ]  # fmt: skip
    decide(tx, given_back(second, 0))
    third = order(anna, line(10_000), at=JANUARY + timedelta(hours=2))
    assert given(decide(tx, third), third) == [("points_earned", 50)], "the return gave its part back"


def test_a_budget_ends_in_the_middle_of_a_batch_and_is_exact(tx, keyring):
    budget = {"of": "points", "max": 1000, "per": "program"}
    trade.opened(tx, rule("base", limits=[budget]))
    people = [trade.member(tx, f"p{number}", keyring) for number in range(12)]
    decide(tx, *(order(one, line(9_000)) for one in people))
    assert sum(balance(tx, one) for one in people) == 1000
    assert left(tx) == {"base/base/0": 0}
    more = order(people[0], line(9_000), at=JANUARY + timedelta(hours=1))
    assert given(decide(tx, more), more) == []


def test_a_return_gives_a_budget_back(tx, keyring):
    trade.opened(tx, rule("base", limits=[{"of": "points", "max": 100, "per": "program"}]))
    anna = trade.member(tx, "anna", keyring)
    sale = order(anna, line(8_000))
    decide(tx, sale)
    assert left(tx) == {"base/base/0": 20}
    decide(tx, given_back(sale, 2_000))
    assert left(tx) == {"base/base/0": 80}
    decide(tx, given_back(sale, 0))
    assert left(tx) == {"base/base/0": 100}
    assert queries.decision(tx, sale.fact_id).takes == []


def test_a_budget_that_is_raised_has_more_left(tx, keyring):
    limited = [{"of": "points", "max": 50, "per": "program"}]
    trade.opened(tx, rule("base", limits=limited))
    anna = trade.member(tx, "anna", keyring)
    decide(tx, order(anna, line(9_000), at=NOON))
    more = rule("base", limits=[{"of": "points", "max": 80, "per": "program"}])
    trade.publish(tx, trade.document(more), at=NOON)
    sale = order(anna, line(9_000), at=NOON + timedelta(hours=1))
    assert given(decide(tx, sale, at=NOON + timedelta(hours=2)), sale) == [("points_earned", 30)]


def test_a_limit_per_store_counts_each_store(tx, keyring):
    trade.opened(tx, rule("base", credit(10), limits=[{"of": "uses", "max": 1, "per": "store", "window": "day"}]))
    anna, ben = trade.member(tx, "anna", keyring), trade.member(tx, "ben", keyring)
    one, two = order(anna, line(100), store="east"), order(ben, line(100), store="east")
    three = order(ben, line(100), store="west", at=JANUARY + timedelta(minutes=1))
    effects = decide(tx, one, two, three)
    assert [given(effects, sale) for sale in (one, two, three)] == [
        [("points_earned", 10)],
        [],
        [("points_earned", 10)],
    ]


def test_slots_are_exact_to_the_last_one_under_many_hands(database, keyring):
    key = Key("shop", CounterKey("base/base/0", "", ""))
    with database.transaction() as tx:
        trade.opened(tx, rule("base"))

    def take(amount):
        for whole in (False, True):
            try:
                with database.transaction() as tx:
                    [one] = allowances.load(tx, {key: 16_000}, whole=whole).values()
                    one.taken = min(amount, one.left)
                    allowances.save(tx, {key: one})
                    return one.maximum and min(amount, one.left)
            except allowances.WholeLimitNeeded:
                continue
        raise AssertionError

    taken = []
    with ThreadPoolExecutor(8) as threads:
        for _ in range(3):
            taken += list(threads.map(take, [37] * 200))
    with database.transaction() as tx:
        [(left_over,)] = tx.raw.execute("SELECT sum(left_over)::bigint FROM programs.allowance").fetchall()
    assert left_over == 0
    assert sum(taken) >= 16_000


@pytest.mark.parametrize("hands", [8])
def test_batches_of_many_workers_never_overspend_a_budget(database, keyring, hands):
    budget = {"of": "points", "max": 2_000, "per": "program"}
    with database.transaction() as tx:
        trade.opened(tx, rule("base", limits=[budget]))
        people = [trade.member(tx, f"p{number}", keyring) for number in range(40)]

    def work(number):
        with database.transaction() as tx:
            return decide(tx, *(order(people[(number * 5 + n) % 40], line(3_000)) for n in range(5)))

    with ThreadPoolExecutor(hands) as threads:
        list(threads.map(work, range(40)))
    with database.transaction() as tx:
        assert sum(balance(tx, one) for one in people) == 2_000
        assert left(tx) == {"base/base/0": 0}


def test_a_house_without_wallets_for_a_rule_says_so(tx, keyring):
    ledger.install_wallet_types(tx, at=NOON)
    assert left(tx) == {}
