"""Members are a function of the evidence: no order, no batching and no id changes who is one."""

import hashlib
from datetime import UTC, datetime, timedelta
from uuid import UUID

from hypothesis import given, settings
from hypothesis import strategies as st

from changke.modules.identity.rules_partition import partition
from changke.modules.identity.rules_sightings import Seen, pairs
from changke.modules.identity.terms import CaseKind, Strength, kind_of, rank_of, strength_of
from changke.modules.identity.terms_evidence import Evidence, EvidenceKind, Profile

START = datetime(2026, 1, 1, tzinfo=UTC)
KINDS = ("app_account", "card_number", "phone", "email", "wechat_unionid", "device", "anonymous_id")
values = st.tuples(st.sampled_from(KINDS), st.integers(0, 3), st.booleans())
sightings = st.lists(st.lists(values, min_size=1, max_size=4, unique_by=lambda one: one[:2]), min_size=1, max_size=14)


def members(sighted, order, *, apart=()):
    """Take sightings in `order`, give ids as they arrive, and return the members as sets of (kind, number)."""
    profiles: dict[tuple[str, int], Profile] = {}
    evidence: dict[tuple[frozenset, EvidenceKind], Evidence] = {}
    for place in order:
        seen = [_seen(*one) for one in sighted[place]]
        for one in seen:
            key = (one.namespace, int(one.value))
            known = profiles.get(key)
            profile_id = known.profile_id if known else UUID(int=len(profiles) + 1)
            verified = one.verified or bool(known and known.verified)
            profiles[key] = Profile(profile_id, one.namespace, one.value_hash, verified)
        for one, other, kind in pairs(sorted(seen, key=lambda each: each.value_hash)):
            first, second = (profiles[each.namespace, int(each.value)].profile_id for each in (one, other))
            since = START + timedelta(days=place)
            known = evidence.get((frozenset((first, second)), kind))
            if known is None or since < known.since:
                evidence[frozenset((first, second)), kind] = _evidence(first, second, kind, since)
    for one, other in apart:
        if one in profiles and other in profiles and one != other:
            ends = profiles[one].profile_id, profiles[other].profile_id
            evidence[frozenset(ends), EvidenceKind.NOT_SAME] = _evidence(*ends, EvidenceKind.NOT_SAME, START)
    result = partition(profiles.values(), evidence.values())
    names = {one.profile_id: key for key, one in profiles.items()}
    found: dict[UUID, set] = {}
    for profile_id, member in result.member_of.items():
        found.setdefault(member, set()).add(names[profile_id])
    assert all(member in result.member_of and result.member_of[member] == member for member in found)
    return {frozenset(one) for one in found.values()}, result


def _seen(kind, number, verified):
    digest = hashlib.sha256(f"{kind}:{number}".encode()).digest()[:16]
    proven = verified or not kind_of(kind).proof
    strength = strength_of(kind, verified=proven)
    return Seen((strength, rank_of(kind)), kind, digest, str(number), proven, strength < Strength.C)


def _evidence(first, second, kind, since):
    return Evidence(min(first, second), max(first, second), kind, since)


@settings(max_examples=300, deadline=None)
@given(st.data(), sightings)
def test_any_order_gives_the_same_members(data, sighted):
    straight, _ = members(sighted, range(len(sighted)))
    shuffled, _ = members(sighted, data.draw(st.permutations(range(len(sighted)))))
    assert straight == shuffled


@settings(max_examples=150, deadline=None)
@given(st.data(), sightings)
def test_a_replay_changes_nothing(data, sighted):
    order = list(range(len(sighted)))
    again = data.draw(st.lists(st.sampled_from(order), max_size=10))
    assert members(sighted, order)[0] == members(sighted, order + again)[0]


@settings(max_examples=200, deadline=None)
@given(sightings)
def test_nobody_has_two_logins_or_two_proven_phones(sighted):
    found, _ = members(sighted, range(len(sighted)))
    proven = {one[:2] for sighting in sighted for one in sighting if one[2]}
    for member in found:
        assert sum(kind == "app_account" for kind, _ in member) <= 1
        assert sum(kind == "phone" and (kind, number) in proven for kind, number in member) <= 1


@settings(max_examples=200, deadline=None)
@given(sightings, st.lists(st.tuples(values, values), max_size=3))
def test_what_a_person_kept_apart_is_never_one(sighted, words):
    apart = [(one[:2], other[:2]) for one, other in words if one[:2] != other[:2]]
    found, _ = members(sighted, range(len(sighted)), apart=apart)
    for one, other in apart:
        assert not any({one, other} <= member for member in found)


def sight(*names):
    """`phone1` is proven, `phone1?` is not."""
    return [(name.rstrip("?")[:-1], int(name.rstrip("?")[-1]), not name.endswith("?")) for name in names]


def together(*sighted):
    found, result = members([sight(*one) for one in sighted], range(len(sighted)))
    return [{f"{kind}{number}" for kind, number in member} for member in found], result


def test_a_shared_tablet_belongs_to_nobody():
    found, _ = together(("app_account1", "device1"), ("app_account2", "device1"))
    assert sorted(map(sorted, found)) == [["app_account1"], ["app_account2"], ["device1"]]


def test_a_cookie_follows_its_device_to_the_one_member():
    found, _ = together(("anonymous_id1", "device1"), ("app_account1", "device1"))
    assert found == [{"anonymous_id1", "device1", "app_account1"}]


def test_a_phone_the_cashier_typed_joins_no_two_cards():
    found, _ = together(("card_number1", "phone1?"), ("card_number2", "phone1?"))
    assert sorted(map(sorted, found)) == [["card_number1"], ["card_number2"], ["phone1"]]


def test_a_proven_phone_joins_two_cards():
    found, _ = together(("card_number1", "phone1"), ("card_number2", "phone1"))
    assert found == [{"card_number1", "card_number2", "phone1"}]


def test_a_recycled_phone_stays_with_its_first_owner_and_opens_a_case():
    found, result = together(("app_account1", "phone1"), ("app_account2", "phone1", "card_number2"))
    assert {"app_account1", "phone1"} in found
    assert {"app_account2", "card_number2"} in found
    assert {one.kind for one in result.conflicts} == {CaseKind.LIMIT}


def test_two_proven_phones_are_never_joined_by_themselves():
    found, _ = together(("phone1", "card_number1"), ("phone2", "card_number1"))
    assert len(found) == 2


def test_the_eleventh_known_identifier_waits_for_a_person():
    sighted = [[("email", n, True), ("card_number", n % 5, True)] for n in range(5)]
    sighted += [[("card_number", n, True), ("card_number", (n + 1) % 5, True)] for n in range(5)]
    sighted += [[("wechat_unionid", 1, True), ("email", 0, True)]]
    found, result = members(sighted, range(len(sighted)))
    assert sorted(map(len, found)) == [1, 10]
    assert [one.kind for one in result.conflicts] == [CaseKind.FAN_OUT]


def test_a_value_of_eleven_logins_ties_nobody():
    sighted = [[("app_account", n, True), ("phone", 0, True)] for n in range(11)]
    found, result = members(sighted, range(len(sighted)))
    assert len(found) == 12
    assert [one.kind for one in result.conflicts] == [CaseKind.CROWDED]
    ten, _ = members(sighted[:10], range(10))
    assert frozenset({("app_account", 0), ("phone", 0)}) in ten


def test_no_evidence_no_members():
    assert partition([], []).member_of == {}
