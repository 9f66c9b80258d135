"""Many at the same time: nothing is used, issued or claimed beyond what there is."""

from collections import Counter

from changke.kernel.group_commit import GroupCommit
from changke.kernel.ids import new_id, new_ids
from changke.modules.benefits import commands_coupons as coupons
from changke.modules.benefits import queries_coupons as queries
from changke.modules.benefits.terms_coupons import (
    Claim,
    ClaimWindow,
    CodeKind,
    Done,
    GiveBack,
    Issue,
    PerMember,
    Refused,
    Reserve,
    Use,
    Validity,
)

from .coupons import NOON, SOON, at_once, audited, check, give, good, no, put


def spring(tx, uses=10):
    return put(tx, code="spring", kind=CodeKind.PUBLIC, public_code="SPRING", stock=uses, validity=Validity())


def use_spring(tx, number):
    return coupons.use(tx, [Use(None, "SPRING", None, number, NOON)], at=NOON)[0]


def told(outcomes):
    return Counter("done" if isinstance(one, Done) else one.refusal.code.code for one in outcomes)


def test_case_27_a_hundred_tills_want_the_last_use(database):
    with database.transaction() as tx:
        spring(tx)
        for order in new_ids(9):
            good(use_spring(tx, order))
    orders = new_ids(100)

    def till(number):
        with database.transaction(lock_timeout_ms=60_000) as tx:
            return use_spring(tx, orders[number])

    outcomes = at_once(100, till, threads=20)
    assert told(outcomes) == {"done": 1, "limit_reached": 99}
    assert {no(one) for one in outcomes if isinstance(one, Refused)} == {("limit_reached", 10, 10)}
    with database.snapshot() as tx:
        assert queries.statistics(tx, "spring").used_uses == 10
    audited(database)


def test_case_27_in_one_batch(tx):
    spring(tx)
    for order in new_ids(9):
        good(use_spring(tx, order))
    asked = [Use(None, "SPRING", None, order, NOON) for order in new_ids(100)]
    assert told(coupons.use(tx, asked, at=NOON)) == {"done": 1, "limit_reached": 99}
    check(tx)


def test_one_coupon_presented_at_many_tills_is_used_once(database):
    anna = new_id()
    with database.transaction() as tx:
        (code,) = give(tx, anna, put(tx))

    def till(number):
        with database.transaction(lock_timeout_ms=60_000) as tx:
            if number % 2:
                return coupons.reserve(tx, [Reserve(new_id(), code, anna, SOON)], at=NOON)[0]
            return coupons.use(tx, [Use(None, code, anna, new_id(), NOON)], at=NOON)[0]

    outcomes = at_once(24, till)
    assert told(outcomes)["done"] == 1
    audited(database)


def test_ten_thousand_claim_one_of_a_hundred(database):
    """Callers wait in line for a shared commit, as over HTTP; a hundred get one each, nobody two."""
    with database.transaction() as tx:
        put(tx, stock=100, claim=ClaimWindow(), per_member=PerMember(issue=1))
    people = new_ids(5_000)
    line = GroupCommit(database, lambda tx, asked: coupons.claim(tx, asked, at=NOON))

    def ask(number):
        who = people[number % 5_000]
        return who, line.submit(Claim(f"claim:{number}", who, "ten-off", NOON))

    answers = at_once(10_000, ask, threads=64)
    winners = [who for who, one in answers if isinstance(one, Done)]
    assert len(winners) == len(set(winners)) == 100
    with database.snapshot() as tx:
        assert queries.statistics(tx, "ten-off").claimed == 100
    audited(database)


def test_claims_from_many_connections_keep_to_the_stock_and_the_member(database):
    with database.transaction() as tx:
        put(tx, stock=7, claim=ClaimWindow(), per_member=PerMember(issue=2))
    people = new_ids(4)

    def ask(number):
        claim = Claim(f"c{number}", people[number % 4], "ten-off", NOON)
        with database.transaction(lock_timeout_ms=60_000) as tx:
            return claim.profile_id, coupons.claim(tx, [claim], at=NOON)[0]

    answers = at_once(40, ask)
    served = Counter(who for who, one in answers if isinstance(one, Done))
    assert sum(served.values()) == 7
    assert max(served.values()) == 2
    audited(database)


def test_the_same_issue_from_many_connections_gives_once(database):
    with database.transaction() as tx:
        kind = put(tx)
    anna = new_id()

    def ask(number):
        issue = Issue("birthday:anna", anna if number % 3 else new_id(), kind.code, 2, NOON)
        with database.transaction(lock_timeout_ms=60_000) as tx:
            return coupons.issue(tx, [issue], at=NOON)[0]

    outcomes = at_once(18, ask)
    fresh = [one for one in outcomes if isinstance(one, Done) and not one.duplicate]
    assert len(fresh) == 1
    assert {one.coupon_ids for one in outcomes if isinstance(one, Done)} == {fresh[0].coupon_ids}
    audited(database)


def test_pool_codes_go_to_one_member_each(database):
    from changke.modules.benefits import commands_codes

    with database.transaction() as tx:
        kind = put(tx, code="pool", kind=CodeKind.POOL)
        commands_codes.import_codes(tx, template="pool", texts=[f"PARTNER{number:04}" for number in range(50)])

    def ask(number):
        issues = [Issue(f"{number}:{part}", new_id(), kind.code, 2, NOON) for part in range(3)]
        with database.transaction(lock_timeout_ms=60_000) as tx:
            return coupons.issue(tx, issues, at=NOON)

    outcomes = [one for batch in at_once(16, ask) for one in batch]
    codes = [coupon.code for one in outcomes if isinstance(one, Done) for coupon in one.coupons]
    assert len(codes) == len(set(codes)) == 50
    assert told(outcomes)["no_codes_left"] == 48 - 25
    audited(database)


def test_crossing_batches_do_not_deadlock(database):
    people = new_ids(6)
    with database.transaction() as tx:
        kinds = [put(tx, code=f"t{number}", per_member=PerMember(use=100, issue=100), stock=1000) for number in (1, 2)]
        codes = [give(tx, who, kind, key=f"{who}{kind.code}")[0] for who in people for kind in kinds]

    def work(number):
        for step in range(6):
            session, order = new_id(), new_id()
            mine = [codes[(number * 5 + step * 7 + part * (1 if number % 2 else -1)) % 12] for part in range(4)]
            with database.transaction(lock_timeout_ms=60_000) as tx:
                coupons.reserve(tx, [Reserve(session, code, None, SOON) for code in mine], at=NOON)
            with database.transaction(lock_timeout_ms=60_000) as tx:
                issues = [Issue(f"{number}{step}{kind.code}", people[step], kind.code, 1, NOON) for kind in kinds]
                coupons.issue(tx, issues if number % 2 else issues[::-1], at=NOON)
            with database.transaction(lock_timeout_ms=60_000) as tx:
                coupons.use(tx, [Use(session, code, None, order, NOON) for code in mine], at=NOON)
            with database.transaction(lock_timeout_ms=60_000) as tx:
                coupons.release(tx, [session], at=NOON)
                coupons.give_back(tx, [GiveBack(order, whole=True)], at=NOON)

    at_once(8, work)
    audited(database)


def test_two_profiles_of_a_member_share_its_limit(database, keyring):
    from changke.modules.identity import commands as identity
    from tests.identity.sights import seen

    with database.transaction() as tx:
        anna, app = (
            one.profile_id
            for one in identity.resolve(
                tx, [seen(card_number="C1"), seen(app_account="anna")], at=NOON, keyring=keyring
            )
        )
        identity.merge(tx, member_ids=[anna, app], actor="Mei", reason="the same person", at=NOON)
        put(tx, per_member=PerMember(issue=1))

    def ask(number):
        issue = Issue(f"i{number}", (anna, app)[number % 2], "ten-off", 1, NOON)
        with database.transaction(lock_timeout_ms=60_000) as tx:
            return coupons.issue(tx, [issue], at=NOON)[0]

    assert told(at_once(12, ask)) == {"done": 1, "limit_reached": 11}
    audited(database)
