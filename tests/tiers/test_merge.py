"""Two members turn out to be one, or turn out not to be."""

from datetime import timedelta
from uuid import uuid4

from changke.kernel.log import Delivered
from changke.modules.tiers import commands_reviewing as reviewing
from changke.modules.tiers import reactions
from changke.modules.tiers.terms_definition import Validity
from tests.tiers.conftest import map_profile, moment, yuan_set


def merge(tx, loser, winner, day, merge_id):
    map_profile(tx, loser, winner)
    return tell(tx, "identity.members_merged.v1", loser, loser, winner, day, merge_id)


def undo(tx, loser, winner, day, merge_id):
    map_profile(tx, loser, loser)
    return tell(tx, "identity.merge_undone.v1", loser, winner, loser, day, merge_id)


def tell(tx, topic, profile, source, target, day, merge_id):
    move = {"profile_id": str(profile), "from_member": str(source), "to_member": str(target)}
    news = Delivered(topic, 0, 1, {"merge_id": str(merge_id), "moves": [move]})
    for _ in range(2):
        reactions.on_news(tx, [news], at=moment(day))


def test_the_higher_of_both_stands_with_its_safety(shop, tx, anna, ben):
    club = shop(yuan_set(validity=Validity("months", months=12)))
    club.buys(anna, "2026-01-10", 100)
    club.buys(ben, "2026-01-15", 1000)
    merge(tx, ben, anna, "2026-02-01", uuid4())
    now = club.standing(anna)
    assert (now.tier, now.valid_until) == ("silver", club.standing(ben).valid_until)


def test_what_both_did_counts_together(shop, tx, anna, ben):
    club = shop()
    club.buys(anna, "2026-01-10", 600)
    club.buys(ben, "2026-01-15", 600)
    merge(tx, ben, anna, "2026-02-01", uuid4())
    assert club.tier(anna) == "silver"
    assert club.tier(anna, "2026-01-31") == "basic"


def test_nobody_falls_by_merging(shop, tx, anna, ben):
    club = shop()
    club.buys(anna, "2026-01-10", 5000)
    club.buys(anna, "2026-01-10", -4500, heard="2026-01-20")
    club.buys(ben, "2026-01-15", 100)
    merge(tx, anna, ben, "2026-01-25", uuid4())
    assert club.tier(ben) == "gold"
    reviewing.review_members(tx, club.tier_set, sorted([anna, ben]), at=moment("2026-02-01"))
    assert club.tier(ben) == "silver", "the review reads the sums of both"
    assert club.tier(anna) == "gold", "one who is gone is not reviewed"


def test_undoing_gives_everybody_back_what_was_theirs(shop, tx, anna, ben):
    club = shop()
    club.buys(anna, "2026-01-10", 600)
    club.buys(ben, "2026-01-15", 1100)
    before = club.standing(ben)
    merge_id = uuid4()
    merge(tx, ben, anna, "2026-02-01", merge_id)
    assert club.tier(anna) == "silver"
    undo(tx, ben, anna, "2026-02-10", merge_id)
    assert club.tier(anna) == "basic"
    assert club.standing(ben) == before


def test_who_leaves_rises_by_what_they_did_meanwhile(shop, tx, anna, ben):
    club = shop()
    club.buys(anna, "2026-01-10", 1000)
    club.buys(ben, "2026-01-15", 600)
    merge_id = uuid4()
    merge(tx, ben, anna, "2026-02-01", merge_id)
    club.buys(ben, "2026-02-05", 600)
    undo(tx, ben, anna, "2026-02-10", merge_id)
    assert club.tier(ben) == "silver"
    assert club.tier(anna) == "silver"


def test_what_was_reached_together_is_for_the_next_review(shop, tx, anna, ben):
    club = shop(yuan_set(validity=Validity("months", months=12)))
    club.buys(anna, "2026-01-10", 900)
    club.buys(ben, "2026-01-15", 900)
    merge_id = uuid4()
    merge(tx, ben, anna, "2026-02-01", merge_id)
    club.buys(anna, "2026-02-05", 3300)
    assert club.tier(anna) == "gold"
    undo(tx, ben, anna, "2026-02-10", merge_id)
    assert club.tier(anna) == "gold", "nobody falls before the review"
    assert club.tier(ben) == "basic"
    reviewing.review_members(tx, club.tier_set, [anna], at=moment("2026-03-01") - timedelta(hours=12))
    assert club.tier(anna) == "silver"
