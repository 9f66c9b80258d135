"""Claimed on the phone and used in the store, and the other way round; grants; passing on."""

from changke.kernel.i18n import Text
from changke.modules.benefits import commands_coupons as coupons
from changke.modules.benefits import commands_entitlements as rights
from changke.modules.benefits import queries_entitlements as queries
from changke.modules.benefits import terms_entitlements as terms
from changke.modules.benefits.terms_matrix import Benefit, CouponEach, Layer, Period, Share
from changke.modules.ledger import commands_pools as pools
from changke.modules.ledger.terms import PoolPolicy
from tests.benefits.coupons import template
from tests.benefits.mall import Mall, counted, day, matrix, no

TEA = counted("tea", 2, layer=Layer.BASE, claim_needed=True, claim_channels=("app", "kiosk"), claim_minutes=10)


def tea_house(tx) -> Mall:
    return Mall(tx, put=matrix(benefits=(TEA,), base=(Share("tea"),), tiers=(), tier_set=None))


def test_claimed_on_the_phone_used_in_the_store(tx):
    mall = tea_house(tx)
    anna = mall.person()
    assert no(mall.use(anna, "tea")) == ("claim_needed", "tea", None)
    claim = mall.claim(anna, "tea")
    mall.later(minutes=9)
    spoken = f"{claim.code[:4].lower()} {claim.code[4:]}"
    used = mall.use(None, None, code=spoken, channel="store", store="s1")
    assert (used.member_id, used.benefit, used.left) == (anna, "tea", 1)
    assert no(mall.use(None, None, code=claim.code))[0] == "claim_used"


def test_claimed_in_the_store_used_on_the_phone(tx):
    mall = tea_house(tx)
    anna = mall.person()
    claim = mall.claim(anna, "tea", channel="kiosk")
    assert mall.use(anna, "tea", code=claim.code, channel="app").left == 1


def test_a_code_lapses_and_takes_nothing(tx):
    mall = tea_house(tx)
    anna = mall.person()
    claim = mall.claim(anna, "tea")
    mall.later(minutes=10)
    code, have, _ = no(mall.use(None, None, code=claim.code))
    assert (code, have) == ("claim_expired", claim.expires_at.isoformat())
    assert mall.left(anna, "tea") == 2


def test_a_code_is_for_its_member_and_benefit_only(tx):
    mall = tea_house(tx)
    anna, ben = mall.person(), mall.person()
    claim = mall.claim(anna, "tea")
    assert no(mall.use(ben, "tea", code=claim.code))[0] == "claim_of_another"
    assert no(mall.use(ben, "tea", code="AAAAAAAAA"))[0] == "unknown_claim"


def test_the_same_claim_answers_the_same_code(tx):
    mall = tea_house(tx)
    anna = mall.person()
    first, second = (mall.claim(anna, "tea", key="tap") for _ in range(2))
    assert (first.code, first.duplicate, second.code, second.duplicate) == (first.code, False, first.code, True)
    assert no(mall.claim(anna, "tea", key="tap", channel="kiosk"))[0] == "idempotency_conflict"


def test_nothing_is_claimed_that_could_not_be_used(tx):
    mall = tea_house(tx)
    anna = mall.person()
    assert no(mall.claim(anna, "tea", channel="fax")) == ("benefit_wrong_channel", "fax", "app, kiosk")
    for _ in range(2):
        mall.use(anna, "tea", code=mall.claim(anna, "tea").code)
    assert no(mall.claim(anna, "tea")) == ("quota_reached", 0, 1)


def test_two_codes_for_one_use_let_only_one_through(tx):
    mall = Mall(tx, put=matrix(benefits=(counted("tea", 1, layer=Layer.BASE),), base=(Share("tea"),), tiers=()))
    anna = mall.person()
    first, second = mall.claim(anna, "tea", key="a"), mall.claim(anna, "tea", key="b")
    assert mall.use(None, None, code=first.code).left == 0
    assert no(mall.use(None, None, code=second.code)) == ("quota_reached", 0, 1)


def test_a_grant_adds_a_right_of_its_own_and_ends_with_its_date(tx):
    mall = Mall(tx)
    anna = mall.person()
    until = day("2026-03-15")
    first, second = (mall.grant(anna, "parking", key="birthday:2026", until=until, quota=3) for _ in range(2))
    assert (first.duplicate, second.duplicate) == (False, True)
    assert no(mall.grant(anna, "parking", key="birthday:2026", until=until, quota=4))[0] == "idempotency_conflict"
    assert mall.left(anna) == 4
    assert mall.use(anna).left == 3
    assert queries.benefits_of(tx, [anna], as_of=mall.at)[anna][1].allowances[0].used == 1, "what ends first goes first"
    mall.at = until
    assert mall.left(anna) == 1


def test_a_revoked_grant_is_over(tx):
    mall = Mall(tx)
    anna = mall.person()
    mall.grant(anna, "lounge", key="g")
    revoke = terms.Revoke("r", anna, "g", mall.at, "granted by mistake")
    first, second = (rights.revoke(tx, [revoke], at=mall.at)[0] for _ in range(2))
    assert (first.duplicate, second.duplicate) == (False, True)
    assert mall.left(anna, "lounge") == -1
    (stays,) = queries.grants_of(tx, anna)
    assert (stays.state, stays.reason) == ("ended", "granted by mistake")
    assert no(rights.revoke(tx, [terms.Revoke("r2", anna, "x", mall.at, "?")], at=mall.at)[0])[0] == "not_entitled"


def test_bad_grants_are_refused_one_by_one(tx):
    mall = Mall(tx)
    anna = mall.person()
    good = terms.Grant("a", anna, "lounge", mall.at)
    from changke.kernel.ids import new_id

    bad = [
        terms.Grant("b", anna, "yacht", mall.at),
        terms.Grant("c", new_id(), "lounge", mall.at),
        terms.Grant("d", anna, "lounge", mall.at, until=mall.at),
        terms.Grant("e", anna, "lounge", mall.at, quota=0),
    ]
    first, *others = rights.grant(tx, [good, *bad], at=mall.at)
    assert first.duplicate is False
    assert [no(one)[0] for one in others] == ["unknown_benefit", "not_found", "invalid_use", "invalid_use"]


def test_passed_on_within_the_household(tx):
    pool_pass = counted("swim", 3, layer=Layer.BASE, transferable="household")
    mall = Mall(tx, put=matrix(benefits=(pool_pass,), base=(Share("swim"),), tiers=()))
    anna, ben, eve = mall.person(), mall.person(), mall.person()
    assert no(mall.passes_on(anna, ben, "swim")) == ("benefit_not_transferable", "swim", "household")
    pools.create_pool(tx, key="home", policy=PoolPolicy.EVEN, members=[anna, ben], at=mall.at)
    first, second = (mall.passes_on(anna, ben, "swim", 2, key="t") for _ in range(2))
    assert (first.duplicate, second.duplicate) == (False, True)
    assert (mall.left(anna, "swim"), mall.left(ben, "swim")) == (1, 5)
    assert no(mall.passes_on(anna, ben, "swim", 2)) == ("quota_reached", 1, 2)
    assert no(mall.passes_on(anna, eve, "swim"))[0] == "benefit_not_transferable"
    assert no(mall.passes_on(ben, anna, "swim", 4)) == ("quota_reached", 3, 4), "what was received stays"
    mall.at = day("2026-04-01")
    assert (mall.left(anna, "swim"), mall.left(ben, "swim")) == (3, 3)


def test_most_benefits_are_not_for_giving(tx):
    mall = Mall(tx)
    anna, ben = mall.person(), mall.person()
    assert no(mall.passes_on(anna, ben, "parking"))[0] == "benefit_not_transferable"


def test_a_coupon_benefit_issues_its_coupon(tx):
    kind = coupons.put_template(tx, template("monthly-ten"), at=day("2026-01-01")).template
    monthly = Benefit(
        "monthly_coupon", Text("Monthly coupon", "每月优惠券"), Layer.BASE,
        CouponEach("coupon", kind.code, Period.MONTH),
    )  # fmt: skip
    mall = Mall(tx, put=matrix(benefits=(monthly,), base=(Share("monthly_coupon"),), tiers=()))
    anna = mall.person()
    mall.use(anna, "monthly_coupon", key="march", channel="app")
    assert mall.use(anna, "monthly_coupon", key="march", channel="app").duplicate
    assert no(mall.use(anna, "monthly_coupon", channel="app")) == ("quota_reached", 0, 1)
    assert no(mall.gives_back(anna, "march"))[0] == "use_not_returnable"
    issued = tx.raw.execute("SELECT count(*) FROM benefits.coupon WHERE profile_id = %s", (anna,)).fetchone()
    assert issued == (1,)
