"""Coupons of named people: dates, limits, returns, codes that nobody owns, codes typed wrongly."""

import itertools
from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from changke.kernel.clock import FixedClock
from changke.kernel.errors import Refusal
from changke.kernel.ids import new_id, new_ids
from changke.modules.benefits import commands_codes, jobs_coupons, rules_codes, rules_coupons
from changke.modules.benefits import commands_coupons as coupons
from changke.modules.benefits import commands_keeping_coupons as keeping
from changke.modules.benefits import queries_coupons as queries
from changke.modules.benefits.terms_coupons import (
    Claim,
    ClaimWindow,
    CodeKind,
    GiveBack,
    Issue,
    OnReturn,
    PerMember,
    Reserve,
    State,
    Symbology,
    Transfer,
    Use,
    Validity,
    Void,
)

from .coupons import NOON, SOON, audited, check, give, good, no, put, template, worth

DAY = timedelta(days=1)


def use(tx, code, member, order=None, *, session=None, at=NOON, happened=None):
    asked = Use(session, code, member, order or new_id(), happened or at, 500, "CNY")
    return coupons.use(tx, [asked], at=at)[0]


# when it is good -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("validity", "issued", "starts", "ends"),
    [
        (Validity(days=0), "2026-03-01T12:00", None, "2026-03-02T00:00"),
        (Validity(days=7), "2026-03-01T23:59", None, "2026-03-09T00:00"),
        (Validity(months=1), "2026-01-31T08:00", None, "2026-03-01T00:00"),
        (Validity(months=12), "2028-02-29T08:00", None, "2029-03-01T00:00"),
        (Validity(starts_after_days=1, days=2), "2026-03-01T12:00", "2026-03-02T00:00", "2026-03-05T00:00"),
        (Validity(days=30, ends_at=datetime(2026, 3, 8, 20)), "2026-03-01T12:00", None, "2026-03-08T20:00"),
        (
            Validity(datetime(2026, 4, 1), datetime(2026, 5, 1)),
            "2026-03-01T12:00",
            "2026-04-01T00:00",
            "2026-05-01T00:00",
        ),
        (Validity(), "2026-03-01T12:00", None, None),
    ],
)
def test_a_coupon_is_good_to_the_end_of_the_local_day(validity, issued, starts, ends):
    kind = template(validity=validity)
    zone = rules_coupons.zone_of(kind.time_zone)

    def local(text):
        return text and datetime.fromisoformat(text).replace(tzinfo=zone)

    assert rules_coupons.valid_span(kind, local(issued)) == (local(starts), local(ends))


def test_anna_comes_too_early_and_too_late(tx):
    anna = new_id()
    kind = put(tx, validity=Validity(starts_after_days=1, days=2))
    (code,) = give(tx, anna, kind)
    assert no(use(tx, code, anna)) == ("coupon_not_started", None, "2026-03-02 00:00")
    late = NOON + 4 * DAY
    assert no(use(tx, code, anna, at=late)) == ("coupon_expired", "2026-03-04 23:59", None)
    assert worth(tx, code, anna, at=late) == "coupon_expired"
    check(tx)


def test_a_till_that_was_offline_may_tell_late_what_happened_in_time(tx):
    anna = new_id()
    (code,) = give(tx, anna, put(tx, validity=Validity(days=1)))
    late = NOON + 5 * DAY
    assert keeping.expire(tx, at=late, limit=10) == 1
    good(use(tx, code, anna, at=late, happened=NOON + DAY))
    assert queries.statistics(tx, "ten-off").states == {State.USED: 1}
    check(tx)


def test_what_was_reserved_in_time_can_be_used_though_it_ended_meanwhile(tx):
    anna, session = new_id(), new_id()
    (code,) = give(tx, anna, put(tx, validity=Validity(ends_at=datetime(2026, 3, 1, 12, 5))))
    good(coupons.reserve(tx, [Reserve(session, code, anna, SOON)], at=NOON)[0])
    later = NOON + timedelta(minutes=10)
    keeping.expire(tx, at=later, limit=10)
    good(use(tx, code, anna, session=session, at=later))
    check(tx)


# reservations --------------------------------------------------------------------------------------------------------


def test_a_reservation_lapses_and_makes_room_by_itself(tx):
    anna, first, second = new_ids(3)
    (code,) = give(tx, anna, put(tx, reserve_seconds_max=60))
    kept = good(coupons.reserve(tx, [Reserve(first, code, anna, SOON)], at=NOON)[0])
    assert kept.until == NOON + timedelta(seconds=60)
    assert no(coupons.reserve(tx, [Reserve(second, code, anna, SOON)], at=NOON)[0])[0] == "coupon_reserved"
    later = NOON + timedelta(seconds=61)
    assert worth(tx, code, anna, at=later) is None
    good(coupons.reserve(tx, [Reserve(second, code, anna, SOON)], at=later)[0])
    assert no(use(tx, code, anna, session=first, at=later))[0] == "coupon_reserved"
    good(use(tx, code, anna, session=second, at=later))
    check(tx)


def test_releasing_twice_or_nothing_is_done_already(tx):
    anna, session = new_ids(2)
    (code,) = give(tx, anna, put(tx))
    coupons.reserve(tx, [Reserve(session, code, anna, SOON)], at=NOON)
    first, again, stranger = (good(coupons.release(tx, [one], at=NOON)[0]) for one in (session, session, new_id()))
    assert (first.duplicate, again.duplicate, stranger.duplicate) == (False, True, True)
    good(use(tx, code, anna))
    check(tx)


def test_reserving_until_yesterday_is_no_use(tx):
    anna = new_id()
    (code,) = give(tx, anna, put(tx))
    assert no(coupons.reserve(tx, [Reserve(new_id(), code, anna, NOON)], at=NOON)[0])[0] == "invalid_value"


# whose it is ---------------------------------------------------------------------------------------------------------


def test_ben_cannot_use_annas_coupon_and_whoever_has_the_code_can(tx):
    anna, ben = new_ids(2)
    (code,) = give(tx, anna, put(tx))
    assert no(use(tx, code, ben))[0] == "coupon_of_another_member"
    assert worth(tx, code, None) is None


def test_a_coupon_for_members_needs_its_member(tx):
    anna = new_id()
    (code,) = give(tx, anna, put(tx, member_only=True))
    assert no(use(tx, code, None))[0] == "members_only"
    assert worth(tx, code) == "members_only"
    good(use(tx, code, anna))


def test_after_a_merge_either_profile_uses_the_coupon(tx, keyring):
    from changke.modules.identity import commands as identity
    from tests.identity.sights import seen

    sights = [seen(card_number="C1"), seen(app_account="anna")]
    card, app = (one.profile_id for one in identity.resolve(tx, sights, at=NOON, keyring=keyring))
    (code,) = give(tx, card, put(tx))
    assert worth(tx, code, app) == "coupon_of_another_member"
    merged = identity.merge(tx, member_ids=[card, app], actor="Mei", reason="one person", at=NOON)
    assert worth(tx, code, app) is None
    assert [one.coupon_id for one in queries.wallet(tx, merged.winner)]
    identity.undo_merge(tx, merge_id=merged.merge_id, actor="Mei", reason="two people", at=NOON)
    assert worth(tx, code, app) == "coupon_of_another_member"


def test_anna_hands_her_coupon_to_ben_and_it_keeps_its_end(tx):
    anna, ben = new_ids(2)
    kind = put(tx, transfers_max=1)
    (code,) = give(tx, anna, kind)
    asked = Transfer("t1", code, anna, ben)
    new = good(keeping.transfer(tx, [asked], at=NOON + DAY, actor="app")[0])
    assert good(keeping.transfer(tx, [asked], at=NOON + DAY, actor="app")[0]) == replace(new, duplicate=True)
    mine, his = (queries.wallet(tx, who) for who in (anna, ben))
    assert (mine, [one.code for one in his]) == ([], [new.coupons[0].code])
    assert (
        his[0].expires_at
        == good(coupons.issue(tx, [Issue("k2", anna, kind.code, 1, NOON)], at=NOON)[0]).coupons[0].expires_at
    )
    assert worth(tx, code, anna) == "coupon_of_another_member"
    assert no(keeping.transfer(tx, [Transfer("t2", new.coupons[0].code, ben, anna)], at=NOON, actor="app")[0]) == (
        "coupon_not_transferable", 1, 1,
    )  # fmt: skip
    check(tx)


# limits and stock ----------------------------------------------------------------------------------------------------


def test_a_member_gets_so_many_ever_and_so_many_a_day(tx):
    anna = new_id()
    kind = put(tx, per_member=PerMember(issue=3, issue_per_day=2))
    outcomes = coupons.issue(tx, [Issue(f"k{n}", anna, kind.code, 1, NOON) for n in range(4)], at=NOON)
    assert [no(one) for one in outcomes[2:]] == [("limit_reached", 2, 2)] * 2
    evening = NOON + timedelta(hours=11, minutes=59)
    assert no(coupons.issue(tx, [Issue("k5", anna, kind.code, 1, evening)], at=evening)[0]) == ("limit_reached", 2, 2)
    midnight = NOON + timedelta(hours=12)
    good(coupons.issue(tx, [Issue("k5", anna, kind.code, 1, midnight)], at=midnight)[0])
    assert no(coupons.issue(tx, [Issue("k6", anna, kind.code, 1, midnight)], at=midnight)[0]) == ("limit_reached", 3, 3)
    check(tx)


def test_a_public_code_once_a_member_needs_to_know_the_member(tx):
    anna, ben = new_ids(2)
    put(tx, code="spring", kind=CodeKind.PUBLIC, public_code="SPRING", validity=Validity(), per_member=PerMember(use=1))
    order = new_id()
    good(use(tx, "spring", anna, order))
    assert no(use(tx, "SPRING", anna)) == ("limit_reached", 1, 1)
    assert worth(tx, "SPRING", anna) == "limit_reached"
    assert no(use(tx, "SPRING", None))[0] == "members_only"
    good(use(tx, "SPRING", ben))
    coupons.give_back(tx, [GiveBack(order, whole=True)], at=NOON)
    good(use(tx, "SPRING", anna))
    check(tx)


def test_a_public_code_follows_its_template(tx):
    put(tx, code="spring", kind=CodeKind.PUBLIC, public_code="SPRING", stock=1, validity=Validity())
    good(use(tx, "SPRING", None))
    assert worth(tx, "SPRING") == "coupon_used"
    put(tx, code="spring", kind=CodeKind.PUBLIC, public_code="SPRING", stock=2, validity=Validity())
    good(use(tx, "SPRING", None))
    assert worth(tx, "SPRING") == "limit_reached"
    ended = Validity(ends_at=datetime(2026, 3, 1))
    put(tx, code="spring", kind=CodeKind.PUBLIC, public_code="SPRING", stock=3, validity=ended)
    assert worth(tx, "SPRING") == "coupon_expired"
    with pytest.raises(Refusal, match="is taken"):
        put(tx, code="other", kind=CodeKind.PUBLIC, public_code="SPRING", validity=Validity())
    with pytest.raises(Refusal, match="stays"):
        put(tx, code="spring")
    check(tx)


def test_stock_comes_back_from_coupons_that_were_not_used(tx):
    anna, ben = new_ids(2)
    kind = put(tx, stock=2, recycle=True)
    first, second = give(tx, anna, kind, quantity=2)
    assert no(coupons.issue(tx, [Issue("b", ben, kind.code, 1, NOON)], at=NOON)[0]) == ("limit_reached", 2, 2)
    good(keeping.void(tx, [Void(first, "sent by mistake")], at=NOON, actor="Mei")[0])
    good(coupons.issue(tx, [Issue("b", ben, kind.code, 1, NOON)], at=NOON)[0])
    late = NOON + 31 * DAY
    assert keeping.expire(tx, at=late, limit=10) == 2
    assert no(use(tx, second, anna, at=late, happened=NOON))[0] == "coupon_expired"
    figures = queries.statistics(tx, kind.code)
    assert (figures.issued, figures.recycled, figures.stock) == (3, 3, 2)
    check(tx)


def test_coupons_are_claimed_while_the_window_is_open(tx):
    anna = new_id()
    put(tx, claim=ClaimWindow(datetime(2026, 3, 2), datetime(2026, 3, 3)))

    def claim(at):
        return coupons.claim(tx, [Claim(f"c{at}", anna, "ten-off", at)], at=at)[0]

    assert no(claim(NOON))[0] == "claim_not_open"
    assert queries.claimable(tx, as_of=NOON) == []
    good(claim(NOON + DAY))
    assert [one.template.code for one in queries.claimable(tx, as_of=NOON + DAY)] == ["ten-off"]
    assert no(claim(NOON + 2 * DAY))[0] == "claim_not_open"
    assert queries.statistics(tx, "ten-off").claimed == 1


# returns -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("policy", "after", "days"),
    [
        (OnReturn.GIVE_BACK_WHEN_WHOLE, None, 30),
        (OnReturn.KEEP_USED, "coupon_used", None),
        (OnReturn.REISSUE, None, 40),
    ],
)
def test_case_1_what_becomes_of_a_coupon_when_its_order_comes_back(tx, policy, after, days):
    anna, order = new_ids(2)
    (code,) = give(tx, anna, put(tx, on_return=policy))
    good(use(tx, code, anna, order))
    coupons.give_back(tx, [GiveBack(order, whole=False)], at=NOON)
    assert worth(tx, code, anna) == "coupon_used"
    later = NOON + 10 * DAY
    coupons.give_back(tx, [GiveBack(order, whole=True)], at=later)
    again = good(coupons.give_back(tx, [GiveBack(order, whole=True)], at=later)[0])
    assert again.duplicate
    assert worth(tx, code, anna, at=later) == after
    if days:
        (held,) = queries.wallet(tx, anna)
        assert held.expires_at == datetime(2026, 3, 1, 16, tzinfo=NOON.tzinfo) + days * DAY
        assert good(use(tx, code, anna, order, at=later)).duplicate, "the order had its coupon"
        good(use(tx, code, anna, at=later))
    check(tx)


def test_a_coupon_that_came_back_too_late_ends_with_the_next_tick(database):
    clock = FixedClock(NOON + 31 * DAY)
    anna, order = new_ids(2)
    with database.transaction() as tx:
        (code,) = give(tx, anna, put(tx))
        good(use(tx, code, anna, order))
        coupons.give_back(tx, [GiveBack(order, whole=True)], at=clock.now())
    assert jobs_coupons.tick(database, clock=clock) == 1
    assert jobs_coupons.tick(database, clock=clock) == 0
    with database.snapshot() as tx:
        assert worth(tx, code, anna, at=clock.now()) == "coupon_expired"
    audited(database)


# codes ---------------------------------------------------------------------------------------------------------------


def test_codes_of_an_open_pool_work_without_having_been_issued(tx):
    put(tx, code="leaflet", kind=CodeKind.POOL, open_pool=True, validity=Validity())
    commands_codes.import_codes(tx, template="leaflet", texts=["LEAF-0001", "LEAF-0002"])
    assert worth(tx, "leaf0001") is None
    order = new_id()
    good(use(tx, "leaf0001", None, order))
    assert good(use(tx, "LEAF-0001", None, order)).duplicate
    assert no(use(tx, "LEAF-0001", None))[0] == "coupon_used"
    assert no(coupons.issue(tx, [Issue("i", new_id(), "leaflet", 1, NOON)], at=NOON)[0])[0] == "not_issued_singly"
    check(tx)


def test_codes_of_a_closed_pool_are_worth_nothing_before_they_are_issued(tx):
    anna = new_id()
    kind = put(tx, code="partner", kind=CodeKind.POOL)
    commands_codes.import_codes(tx, template="partner", texts=["PARTNER1"])
    assert worth(tx, "PARTNER1", anna) == "coupon_not_found"
    assert no(use(tx, "PARTNER1", anna))[0] == "coupon_not_found"
    assert give(tx, anna, kind) == ["PARTNER1"]
    assert no(coupons.issue(tx, [Issue("k2", anna, kind.code, 1, NOON)], at=NOON)[0]) == ("no_codes_left", 0, 1)
    good(use(tx, "PARTNER1", anna))
    check(tx)


def test_every_slip_of_the_finger_is_told_from_an_unknown_code(tx):
    (code,) = give(tx, new_id(), put(tx))
    plain = code.replace("-", "")
    for place, letter in itertools.product(range(16), rules_codes.ALPHABET):
        wrong = plain[:place] + letter + plain[place + 1 :]
        assert wrong == plain or rules_codes.looks_mistyped(wrong)
    for place in range(15):
        swapped = plain[:place] + plain[place + 1] + plain[place] + plain[place + 2 :]
        assert swapped == plain or rules_codes.looks_mistyped(swapped)
    assert worth(tx, plain[:-1] + ("2" if plain[-1] != "2" else "3")) == "coupon_mistyped"
    assert worth(tx, plain.replace(plain[0], "O", 1)) == "coupon_mistyped"
    assert worth(tx, "SUMMER") == "coupon_not_found"


@given(st.binary(min_size=16, max_size=16))
def test_a_code_reads_as_it_is_written(noise):
    code = rules_codes.make_code(noise, Symbology.QR)
    assert rules_codes.read_code(f" {rules_codes.write_code(code).lower()} ") == code
    assert not rules_codes.looks_mistyped(code)
    assert not set(code) & set("01IOL")
    ean = rules_codes.make_code(noise, Symbology.EAN13)
    assert rules_codes.fits_barcode(ean, Symbology.EAN13)


def test_the_ean_check_digit_is_that_of_gs1():
    assert rules_codes.ean_check("400638133393") == "1"
    assert rules_codes.ean_check("629104150021") == "3"


def test_a_pool_of_made_codes_holds_what_was_asked_for(tx):
    put(tx, code="mail", kind=CodeKind.POOL, member_only=True, barcode=Symbology.EAN13)
    assert commands_codes.generate_codes(tx, key="g", template="mail", count=3_000).added == 3_000
    assert commands_codes.generate_codes(tx, key="g", template="mail", count=3_000).added == 3_000
    assert queries.statistics(tx, "mail").codes_total == 3_000
    check(tx)


def test_a_code_of_another_template_is_a_duplicate(tx):
    put(tx, code="one", kind=CodeKind.POOL)
    put(tx, code="two", kind=CodeKind.POOL)
    commands_codes.import_codes(tx, template="one", texts=["SAME-CODE"])
    again = commands_codes.import_codes(tx, template="two", texts=["same code", "NEW-CODE", "x", ""])
    assert (again.added, again.duplicate, again.malformed) == (1, 1, 1)
    check(tx)
