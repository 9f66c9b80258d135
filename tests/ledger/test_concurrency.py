from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from changke.kernel.clock import FixedClock
from changke.kernel.database import Database
from changke.kernel.group_commit import GroupCommit
from changke.kernel.ids import new_ids
from changke.modules.ledger import commands, jobs, queries, terms

from .conftest import audit

NOW = datetime(2026, 3, 1, 4, tzinfo=UTC)


def install(database: Database) -> None:
    with database.transaction() as tx:
        commands.install_wallet_types(tx, at=NOW)


def at_once(count: int, work) -> list:
    with ThreadPoolExecutor(count) as threads:
        return list(threads.map(work, range(count)))


def post(database: Database, *requests: terms.Request, at: datetime = NOW) -> list[terms.Outcome]:
    with database.transaction() as tx:
        return commands.post(tx, requests, at=at)


def test_case_29_the_same_key_from_many_connections_posts_once(database):
    install(database)
    (anna,) = new_ids(1)
    earn = terms.Earn("order:1", anna, "points", 100, NOW)
    outcomes = [one for (one,) in at_once(12, lambda _: post(database, earn))]
    assert Counter(one.duplicate for one in outcomes) == {False: 1, True: 11}
    with database.snapshot() as tx:
        assert queries.balances(tx, member_ids=[anna], at=NOW)[0].balance == 100
        audit(tx)


def test_case_29_one_key_for_two_members_posts_once(database):
    install(database)
    people = new_ids(8)
    outcomes = at_once(8, lambda i: post(database, terms.Earn("order:1", people[i], "points", 100, NOW))[0])
    assert Counter(type(one).__name__ for one in outcomes) == {"Posted": 1, "Refused": 7}
    with database.snapshot() as tx:
        assert sum(one.balance for one in queries.balances(tx, member_ids=people, at=NOW)) == 100
        audit(tx)


def test_a_balance_is_spent_once_whoever_comes_first(database):
    install(database)
    (anna,) = new_ids(1)
    post(database, terms.Earn("e", anna, "points", 100, NOW))
    outcomes = at_once(16, lambda i: post(database, terms.Redeem(f"r{i}", anna, "points", 30, NOW))[0])
    assert Counter(type(one).__name__ for one in outcomes) == {"Posted": 3, "Refused": 13}


def test_crossing_transfers_do_not_deadlock(database):
    install(database)
    people = new_ids(6)
    post(database, *(terms.Earn(f"e{i}", who, "points", 1000, NOW) for i, who in enumerate(people)))

    def work(number: int) -> None:
        for step in range(10):
            source, target = people[(number + step) % 6], people[(number * step + 1) % 6]
            third = people[(number + 3 * step) % 6]
            key = f"{number}:{step}"
            post(
                database,
                terms.Transfer(f"t{key}", source, target, "points", 5, NOW),
                terms.Earn(f"x{key}", third, "points", 1, NOW),
            )
            post(database, *(terms.Earn(f"y{key}{i}", who, "points", 1, NOW) for i, who in enumerate(people)))

    at_once(8, work)
    with database.snapshot() as tx:
        assert sum(one.balance for one in queries.balances(tx, member_ids=people, at=NOW)) == 6000 + 80 + 480
        audit(tx)


def test_group_commit_gives_each_caller_its_own_answer(database):
    install(database)
    (anna, ben) = new_ids(2)
    group = GroupCommit(database, lambda tx, requests: commands.post(tx, requests, at=NOW))
    good = terms.Earn("k", anna, "points", 1, NOW)

    def work(number: int) -> terms.Outcome:
        who = anna if number % 2 else ben
        return group.submit(replace(good, key=f"k{number}", member_id=who, amount=1 if number % 7 else -1))

    outcomes = at_once(32, work)
    assert [isinstance(one, terms.Refused) for one in outcomes] == [number % 7 == 0 for number in range(32)]
    with database.snapshot() as tx:
        audit(tx)


def test_expiry_beside_spending_loses_nothing(database):
    install(database)
    people = new_ids(40)
    end = NOW + timedelta(days=1)
    for round_ in range(3):
        post(
            database,
            *(terms.Earn(f"e{round_}:{who}", who, "points", 10, NOW, expires_at=end) for who in people),
            *(terms.Earn(f"f{round_}:{who}", who, "points", 10, NOW) for who in people),
        )
    clock = FixedClock(end)

    def work(number: int) -> int:
        if number < 2:
            return jobs.expire_due(database, clock=clock, limit=7)
        for who in people[number::6]:
            post(database, terms.Redeem(f"r{who}", who, "points", 25, NOW), at=end)
        return 0

    assert sum(at_once(6, work)) <= 120
    jobs.expire_due(database, clock=clock)
    with database.snapshot() as tx:
        spent = tx.raw.execute("SELECT count(*) FROM ledger.entry WHERE kind = 'redeem'").fetchone()[0]
        balances = queries.balances(tx, member_ids=people, at=end)
        assert sum(one.balance for one in balances) == 40 * 30 - 25 * spent
        assert not any(one.past for one in balances)
        audit(tx)
