from datetime import timedelta

from changke.kernel.errors import NOT_FOUND
from changke.modules.ledger import commands, terms

from .conftest import day


def test_a_hold_puts_points_aside_and_a_capture_spends_them(shop):
    anna = shop.person("Anna")
    shop.earn(anna, 100)
    hold = shop.hold(anna, 60)
    assert (shop.balance(anna).available, shop.balance(anna).held) == (40, 60)
    shop.capture(hold)
    assert (shop.balance(anna).balance, shop.balance(anna).held) == (40, 0)


def test_a_partial_capture_releases_the_rest(shop):
    anna = shop.person("Anna")
    shop.earn(anna, 100)
    shop.capture(shop.hold(anna, 60), 25)
    assert (shop.balance(anna).available, shop.balance(anna).held) == (75, 0)


def test_a_capture_succeeds_though_the_lots_date_has_passed(shop):
    anna = shop.person("Anna")
    shop.earn(anna, 100, expires_at=shop.at + timedelta(minutes=5))
    hold = shop.hold(anna, 60, ttl=900)
    shop.at += timedelta(minutes=10)
    assert shop.expire() == 1
    assert (shop.balance(anna).balance, shop.balance(anna).held) == (60, 60)
    shop.capture(hold, 50)
    assert shop.balance(anna).balance == 0


def test_released_points_past_their_date_expire_at_once(shop):
    anna = shop.person("Anna")
    shop.earn(anna, 100, expires_at=shop.at + timedelta(minutes=5))
    hold = shop.hold(anna, 60, ttl=900)
    shop.at += timedelta(minutes=10)
    posted = shop.release(hold)
    assert [one.amount for one in posted.movements] == [0, -60]
    assert (shop.balance(anna).balance, shop.balance(anna).past) == (40, 40)


def test_a_lapsed_hold_counts_no_more_before_anyone_posts_it(shop, refused):
    anna = shop.person("Anna")
    shop.earn(anna, 100)
    hold = shop.hold(anna, 60, ttl=60)
    shop.at += timedelta(seconds=60)
    assert (shop.balance(anna).available, shop.balance(anna).held) == (100, 0)
    with refused(terms.HOLD_LAPSED):
        shop.capture(hold)
    shop.redeem(anna, 90)
    assert (shop.balance(anna).balance, shop.balance(anna).held) == (10, 0)
    with refused(terms.HOLD_CLOSED, have="lapsed"):
        shop.release(hold)


def test_the_sweep_ends_holds_whose_time_is_over(shop):
    anna = shop.person("Anna")
    shop.earn(anna, 100)
    shop.hold(anna, 10, ttl=60)
    shop.hold(anna, 20, ttl=600)
    shop.at += timedelta(seconds=60)
    assert commands.lapse(shop.tx, at=shop.at) == 1
    assert commands.lapse(shop.tx, at=shop.at) == 0
    assert (shop.balance(anna).available, shop.balance(anna).held) == (80, 20)


def test_a_hold_can_be_extended_within_the_longest_life(shop, refused):
    shop.install(hold_ttl_seconds_max=1000)
    anna = shop.person("Anna")
    shop.earn(anna, 100)
    hold = shop.hold(anna, 60, ttl=600)
    shop.at += timedelta(seconds=500)
    commands.extend(shop.tx, terms.Extend("x1", hold, 400, shop.at), at=shop.at)
    with refused(terms.HOLD_TOO_LONG, need=1000):
        commands.extend(shop.tx, terms.Extend("x2", hold, 501, shop.at), at=shop.at)
    shop.at += timedelta(seconds=399)
    shop.capture(hold)


def test_holds_that_make_no_sense_are_refused(shop, refused):
    anna = shop.person("Anna")
    shop.earn(anna, 100)
    with refused(terms.HOLD_TOO_LONG):
        shop.hold(anna, 10, ttl=10**6)
    with refused(terms.INSUFFICIENT_POINTS, have=100):
        shop.hold(anna, 101)
    hold = shop.hold(anna, 10)
    with refused(terms.HOLD_TOO_SMALL, have=10, need=11):
        shop.capture(hold, 11)
    with refused(terms.UNKNOWN_HOLD):
        shop.capture(anna)


def test_hold_and_capture_in_one_batch(shop):
    from changke.modules.ledger.rules.requests import posting_id_of

    anna = shop.person("Anna")
    outcomes = shop.post(
        terms.Earn("e", anna, "points", 10, shop.at),
        terms.Hold("h", anna, "points", 8, 60, shop.at),
        terms.Capture("c", posting_id_of("h"), shop.at, 3),
        terms.Release("r", posting_id_of("h"), shop.at),
    )
    assert [type(one).__name__ for one in outcomes] == ["Posted", "Posted", "Posted", "Refused"]
    assert shop.balance(anna).available == 7


def test_pending_points_become_available_by_an_event_and_by_time(shop, refused):
    shop.install(pending_days=7)
    anna = shop.person("Anna")
    shop.at = day("2026-03-01")
    shop.earn(anna, 50, reference="order-1")
    shop.earn(anna, 30, reference="order-2")
    with refused(terms.INSUFFICIENT_POINTS, have=0):
        shop.redeem(anna, 1)
    shop.at = day("2026-03-02")
    commands.activate(shop.tx, terms.Activate("a1", anna, "points", "order-1", shop.at), at=shop.at)
    assert (shop.balance(anna).available, shop.balance(anna).pending) == (50, 30)
    with refused(terms.NOTHING_PENDING):
        commands.activate(shop.tx, terms.Activate("a2", anna, "points", "order-1", shop.at), at=shop.at)
    assert commands.announce_activations(shop.tx, at=shop.at) == 0
    shop.at = day("2026-03-08")
    assert commands.announce_activations(shop.tx, at=shop.at) == 1
    assert commands.announce_activations(shop.tx, at=shop.at) == 0


def test_an_adjustment_above_the_limit_needs_a_second_person(shop, refused):
    anna = shop.person("Anna")
    request = terms.Adjust("adj", anna, "points", 10_001, "till broke down", "li", shop.at)
    proposed = commands.adjust(shop.tx, request, at=shop.at)
    assert isinstance(proposed, terms.Proposed)
    assert commands.adjust(shop.tx, request, at=shop.at) == terms.Proposed(proposed.proposal_id, duplicate=True)
    assert shop.balance(anna).balance == 0
    with refused(terms.FOUR_EYES, have="li"):
        commands.approve_adjustment(shop.tx, proposal_id=proposed.proposal_id, approver="li", at=shop.at)
    commands.approve_adjustment(shop.tx, proposal_id=proposed.proposal_id, approver="wang", at=shop.at)
    assert shop.balance(anna).balance == 10_001
    again = commands.approve_adjustment(shop.tx, proposal_id=proposed.proposal_id, approver="wang", at=shop.at)
    assert again.duplicate
    with refused(terms.ALREADY_APPROVED, have="wang"):
        commands.approve_adjustment(shop.tx, proposal_id=proposed.proposal_id, approver="zhao", at=shop.at)
    with refused(NOT_FOUND):
        commands.approve_adjustment(shop.tx, proposal_id=anna, approver="zhao", at=shop.at)


def test_an_adjustment_says_why_and_never_overdraws(shop, refused):
    anna = shop.person("Anna")
    commands.adjust(shop.tx, terms.Adjust("a", anna, "points", 50, "goodwill", "li", shop.at), at=shop.at)
    commands.adjust(shop.tx, terms.Adjust("b", anna, "points", -20, "mistake", "li", shop.at), at=shop.at)
    assert shop.balance(anna).balance == 30
    with refused(terms.INSUFFICIENT_POINTS):
        commands.adjust(shop.tx, terms.Adjust("c", anna, "points", -31, "mistake", "li", shop.at), at=shop.at)
    with refused(terms.REASON_NEEDED):
        commands.adjust(shop.tx, terms.Adjust("d", anna, "points", 1, "  ", "li", shop.at), at=shop.at)
