"""Who may use what, how often, and where."""

from datetime import time, timedelta

from changke.kernel.i18n import Text
from changke.modules.benefits import queries_entitlements as queries
from changke.modules.benefits.terms_matrix import Hours, Layer, Partner, Period, Share, TierShares
from tests.benefits.mall import NOON, Mall, counted, day, matrix, merge, no, shown


def test_everybody_has_the_base_and_reading_it_costs_no_row(tx):
    mall = Mall(tx)
    anna = mall.person()
    assert (mall.left(anna, "water"), mall.left(anna), mall.left(anna, "lounge")) == (1, 1, -1)
    assert tx.raw.execute("SELECT count(*) FROM benefits.benefit_allowance").fetchone() == (0,)
    used = mall.use(anna, "water")
    assert (used.left, used.benefit) == (0, "water")
    assert no(mall.use(anna, "water")) == ("quota_reached", 0, 1)


def test_a_new_period_begins_by_itself(tx):
    mall = Mall(tx)
    anna = mall.person()
    mall.use(anna, "water")
    mall.at = day("2026-03-02", 0, 1)
    assert mall.left(anna, "water") == 1
    mall.use(anna, "parking")
    assert mall.left(anna) == 0
    mall.at = day("2026-03-31", 23, 59)
    assert mall.left(anna) == 0
    mall.at = day("2026-04-01", 0)
    assert mall.left(anna) == 1


def test_a_higher_tier_raises_the_quota_and_what_was_used_stays_used(tx):
    mall = Mall(tx)
    anna = mall.person()
    mall.use(anna)
    mall.buys(anna, 1000)
    assert mall.left(anna) == 1
    mall.buys(anna, 4000)
    assert (mall.left(anna), mall.left(anna, "lounge"), mall.left(anna, "priority_counter")) == (3, 4, None)
    assert [mall.use(anna).left for _ in range(3)] == [2, 1, 0]
    assert no(mall.use(anna)) == ("quota_reached", 0, 1)


def test_the_right_is_that_of_the_tier_when_it_happened(tx):
    mall = Mall(tx)
    ben = mall.person()
    mall.at = day("2026-02-10")
    mall.buys(ben, 1000)
    assert no(mall.use(ben, "priority_counter", occurred_at=day("2026-02-09"))) == (
        "not_entitled", "priority_counter", None,
    )  # fmt: skip
    assert mall.use(ben, "priority_counter", occurred_at=day("2026-02-11")).left is None


def test_a_lost_tier_keeps_some_benefits_to_the_end_of_their_period(tx):
    mall = Mall(tx, day("2026-02-10"))
    chen = mall.person()
    mall.buys(chen, 5000)
    mall.use(chen, "lounge")
    mall.at = day("2026-02-20")
    tx.raw.execute(
        "UPDATE tiers.standing SET tier = 'basic', rank = 0, since = %s, changed_at = %s", (mall.at, mall.at)
    )
    mall.hears(chen, "gold", "basic")
    mall.hears(chen, "gold", "basic")
    assert mall.left(chen, "lounge") == 3, "lasts until the quarter ends"
    assert mall.left(chen, "priority_counter") == -1, "ends at once"
    assert mall.left(chen) == 1, "the base is left"
    mall.at = day("2026-04-01", 0)
    assert mall.left(chen, "lounge") == -1


def test_the_same_key_uses_once_and_another_body_is_refused(tx):
    mall = Mall(tx)
    anna = mall.person()
    first, second = (mall.use(anna, key="till:1", store="s1") for _ in range(2))
    assert (second.duplicate, second.use_id, second.left) == (True, first.use_id, first.left)
    assert no(mall.use(anna, key="till:1", store="s2"))[0] == "idempotency_conflict"
    assert mall.left(anna) == 0


def test_a_use_is_given_back_once(tx):
    mall = Mall(tx)
    anna = mall.person()
    mall.use(anna, key="till:1")
    assert mall.gives_back(anna, "till:1").duplicate is False
    assert mall.gives_back(anna, "till:1").duplicate is True
    assert mall.left(anna) == 1
    assert no(mall.gives_back(anna, "till:2")) == ("unknown_use", "till:2", None)
    assert mall.use(anna, key="till:1").duplicate, "the key is spent all the same"


def test_several_at_once_are_all_or_nothing(tx):
    mall = Mall(tx)
    anna = mall.person()
    mall.buys(anna, 5000)
    assert no(mall.use(anna, quantity=5)) == ("quota_reached", 4, 5)
    assert mall.use(anna, quantity=3).left == 1


def test_only_where_when_and_by_whom_it_is_for(tx):
    hours = Hours(weekdays=("sat", "sun"), since=time(22), until=time(2))
    spa = counted(
        "spa", 9, layer=Layer.BASE, use_channels=("store",), stores=("s1",), hours=hours,
        partner=Partner("lotus", Text("Lotus", "莲花"), "https://lotus.example", None),
    )  # fmt: skip
    mall = Mall(tx, put=matrix(benefits=(spa,), base=(Share("spa"),), tiers=(), tier_set=None))
    anna = mall.person()
    mall.at = day("2026-03-07", 23)
    assert no(mall.use(anna, "spa", channel="app", store="s1")) == ("benefit_wrong_channel", "app", "store")
    assert no(mall.use(anna, "spa", store="s2")) == ("benefit_wrong_store", "s2", "s1")
    assert no(mall.use(anna, "spa", store="s1", partner="other")) == ("benefit_wrong_partner", "other", "lotus")
    assert mall.use(anna, "spa", store="s1", partner="lotus").left == 8
    mall.at = day("2026-03-09", 1)
    assert mall.use(anna, "spa", store="s1").left == 7, "Sunday's night goes on after midnight"
    mall.at = day("2026-03-09", 3)
    assert no(mall.use(anna, "spa", store="s1"))[0] == "benefit_not_now"
    mall.at = day("2026-03-09", 23)
    assert no(mall.use(anna, "spa", store="s1"))[0] == "benefit_not_now"
    (view,) = queries.benefits_of(tx, [anna], as_of=mall.at)[anna]
    assert view.refusal.code.code == "benefit_not_now"


def test_what_is_not_counted_is_shown_as_often_as_one_comes(tx):
    mall = Mall(tx)
    anna = mall.person()
    mall.buys(anna, 1000)
    assert [mall.use(anna, "priority_counter").left for _ in range(3)] == [None] * 3


def test_strangers_and_unknown_benefits(tx):
    mall = Mall(tx)
    from changke.kernel.ids import new_id

    assert no(mall.use(new_id()))[0] == "not_found"
    assert no(mall.use(mall.person(), "yacht")) == ("unknown_benefit", "yacht", None)
    assert no(mall.use(mall.person(), quantity=0))[0] == "invalid_use"


def test_two_members_who_turn_out_to_be_one_share_a_quota(tx):
    mall = Mall(tx)
    anna, twin = mall.person(), mall.person()
    mall.use(anna)
    mall.use(twin)
    merge(tx, twin, anna)
    assert mall.left(anna) == 0
    assert no(mall.use(twin, "parking")) == ("quota_reached", 0, 1)
    mall.at = day("2026-04-02")
    assert mall.use(twin, "parking").left == 0
    assert mall.left(anna) == 0
    merge(tx, twin, twin)
    mall.at = NOON
    assert (mall.left(anna), mall.left(twin)) == (0, 0)


def test_a_quota_of_the_tier_period_lasts_as_long_as_the_tier(tx):
    gift = counted("welcome_gift", 1, Period.TIER_PERIOD)
    mall = Mall(tx, put=matrix(benefits=(gift,), base=(), tiers=(TierShares("silver", (Share("welcome_gift"),)),)))
    anna = mall.person()
    mall.buys(anna, 1000)
    assert mall.use(anna, "welcome_gift").left == 0
    mall.later(days=200)
    assert mall.left(anna, "welcome_gift") == 0


def test_uses_are_listed_newest_first(tx):
    mall = Mall(tx)
    anna = mall.person()
    mall.use(anna, "water", key="a")
    mall.later(days=1)
    mall.use(anna, "water", key="b")
    newest, oldest = queries.uses_of(tx, anna)
    assert newest.recorded_at - oldest.recorded_at == timedelta(days=1)
    assert queries.uses_of(tx, anna, before=(newest.recorded_at, newest.use_id)) == [oldest]


def test_a_segment_adds_to_what_one_has(tx):
    from changke.modules.benefits import commands_entitlements as rights
    from changke.modules.benefits.terms_entitlements import Follow
    from changke.modules.benefits.terms_matrix import AddedShares

    mall = Mall(tx, put=matrix(added=(AddedShares("segment", "young_parents", (Share("parking", 3),)),)))
    anna = mall.person()
    entry = Follow(anna, "segment", "young_parents", "young_parents", None, mall.at)
    for _ in range(2):
        rights.follow(tx, [entry], at=mall.at)
    assert mall.left(anna) == 4
    assert mall.use(anna, quantity=4).left == 0
    mall.later(days=1)
    rights.follow(tx, [Follow(anna, "segment", "young_parents", None, "young_parents", mall.at)], at=mall.at)
    assert mall.left(anna) == 0
    mall.at = day("2026-04-01")
    assert mall.left(anna) == 1


def test_shown_benefits_need_a_right_too(tx):
    gate = shown("vip_gate", layer=Layer.ADDED)
    mall = Mall(tx, put=matrix(benefits=(gate,), base=(), tiers=()))
    anna = mall.person()
    assert no(mall.use(anna, "vip_gate"))[0] == "not_entitled"
    mall.grant(anna, "vip_gate")
    assert mall.use(anna, "vip_gate").left is None
