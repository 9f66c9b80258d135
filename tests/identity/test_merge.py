from datetime import timedelta
from uuid import uuid4

import pytest

from changke.kernel import audit
from changke.kernel.errors import Refusal
from changke.modules.identity import commands as identity
from changke.modules.identity import queries
from changke.modules.identity.queries_audit import CHECKS
from changke.modules.identity.terms import CaseKind, Decision, Identifier
from tests.identity.sights import NOON, good, seen

LATER = NOON + timedelta(days=3)


def resolve(tx, keyring, *sightings, at=NOON):
    return good(identity.resolve(tx, list(sightings), at=at, keyring=keyring))


def picture(tx, keyring):
    """Every read of identity, but for the list of merges."""
    members = queries.list_members(tx, limit=200)
    return {one.member_id: queries.identifiers_of(tx, one.member_id, keyring) for one in members}


def clean(tx):
    report = audit.run(tx, CHECKS)
    assert report.holds, report.broken


def test_merging_and_undoing_restores_every_read(tx, keyring):
    anna, ben, _ = resolve(
        tx,
        keyring,
        seen(app_account="anna", phone="13812345678", device="tablet"),
        seen(app_account="ben", phone="13912345678", device="tablet"),
        seen(card_number="C900"),
    )
    before = picture(tx, keyring)
    merged = identity.merge(
        tx, member_ids=[anna.member_id, ben.member_id], actor="Li Wei", reason="same person at the desk", at=LATER
    )
    clean(tx)
    assert merged.winner == anna.member_id
    assert ben.member_id in merged.losers
    assert [one.value for one in queries.identifiers_of(tx, anna.member_id, keyring) if one.namespace == "phone"] == [
        "138****5678",
        "139****5678",
    ]
    assert len(queries.profiles_of(tx, [anna.member_id])) == 5
    assert queries.members_of(tx, [ben.profile_id]) == {ben.profile_id: anna.member_id}
    identity.undo_merge(tx, merge_id=merged.merge_id, actor="Li Wei", reason="they are twins", at=LATER)
    assert picture(tx, keyring) == before
    clean(tx)


def test_undone_members_stay_apart_whatever_is_seen_later(tx, keyring):
    anna, ben = resolve(tx, keyring, seen(card_number="C1", device="d1"), seen(card_number="C2", device="d2"))
    resolve(tx, keyring, seen(card_number="C1", email="a@example.com"), seen(card_number="C2", email="a@example.com"))
    (merged,) = queries.merges_of(tx, anna.member_id)
    moves = identity.undo_merge(tx, merge_id=merged.merge_id, actor="Li Wei", reason="shared mailbox", at=LATER)
    assert ben.profile_id in {one.profile_id for one in moves}
    resolve(
        tx,
        keyring,
        seen(card_number="C1", email="a@example.com"),
        seen(card_number="C2", email="a@example.com"),
        seen(card_number="C2", wechat_unionid="u1"),
        seen(card_number="C1", wechat_unionid="u1"),
        at=LATER,
    )
    found = queries.members_of(tx, [anna.profile_id, ben.profile_id])
    assert len(set(found.values())) == 2
    clean(tx)


def test_an_anonymous_visitor_who_signs_in_brings_her_history(tx, keyring):
    (visitor,) = resolve(tx, keyring, seen(anonymous_id="cookie-1"))
    (anna,) = resolve(tx, keyring, seen(anonymous_id="cookie-1", app_account="anna"))
    assert queries.members_of(tx, [visitor.profile_id]) == {visitor.profile_id: anna.member_id}
    (merged,) = queries.merges_of(tx, anna.member_id)
    assert [(one.profile_id, one.from_member, one.to_member) for one in merged.moves] == [
        (visitor.profile_id, visitor.member_id, anna.member_id)
    ]
    identity.undo_merge(tx, merge_id=merged.merge_id, actor="Li Wei", reason="borrowed phone", at=LATER)
    assert queries.members_of(tx, [visitor.profile_id]) == {visitor.profile_id: visitor.member_id}
    clean(tx)


def test_a_second_login_with_her_phone_waits_for_a_person(tx, keyring):
    anna, other = resolve(
        tx, keyring, seen(app_account="anna", phone="13812345678"), seen(app_account="anna2", phone="13812345678")
    )
    assert anna.member_id != other.member_id
    (case,) = queries.review_cases(tx, limit=10)
    assert case.kind is CaseKind.LIMIT
    assert set(case.member_ids) == {anna.member_id, other.member_id}
    identity.decide(
        tx, case_id=case.case_id, decision=Decision.SAME, actor="Li Wei", reason="she showed both", at=LATER
    )
    found = queries.members_of(tx, [anna.profile_id, other.profile_id])
    assert len(set(found.values())) == 1
    assert queries.review_cases(tx, limit=10) == []
    assert len(queries.review_cases(tx, limit=10, is_open=False)) == 1
    clean(tx)


def test_deciding_that_two_are_different_parts_them(tx, keyring):
    resolve(tx, keyring, seen(app_account="anna", phone="13812345678"), seen(app_account="b", phone="13812345678"))
    (case,) = queries.review_cases(tx, limit=10)
    identity.decide(tx, case_id=case.case_id, decision=Decision.DIFFERENT, actor="Li", reason="no", at=LATER)
    clean(tx)
    with pytest.raises(Refusal, match="decided already"):
        identity.decide(tx, case_id=case.case_id, decision=Decision.SAME, actor="Li", reason="no", at=LATER)


def test_the_phone_of_a_call_centre_blocks_itself_until_it_is_released(tx, keyring):
    sightings = [seen(app_account=f"agent-{n}", typed_phone="4008123123") for n in range(12)]
    answers = resolve(tx, keyring, *sightings)
    assert len({one.member_id for one in answers}) == 12
    (case,) = queries.review_cases(tx, limit=10)
    assert case.kind is CaseKind.CROWDED
    assert queries.identifiers_of(tx, case.member_ids[0], keyring)[0].blocked
    with pytest.raises(Refusal, match="no answer"):
        identity.decide(tx, case_id=case.case_id, decision=Decision.SAME, actor="Li", reason="?", at=LATER)
    identity.decide(tx, case_id=case.case_id, decision=Decision.RELEASE, actor="Li", reason="checked", at=LATER)
    assert not queries.identifiers_of(tx, case.member_ids[0], keyring)[0].blocked
    resolve(tx, keyring, *sightings, at=LATER)
    clean(tx)


def test_refusals_of_staff_verbs(tx, keyring):
    (anna,) = resolve(tx, keyring, seen(app_account="anna", card_number="C1"))
    words = {"actor": "Li Wei", "reason": "test", "at": LATER}
    with pytest.raises(Refusal, match="one member already"):
        identity.merge(tx, member_ids=[anna.member_id, anna.profile_id], **words)
    with pytest.raises(Refusal, match="no such member"):
        identity.merge(tx, member_ids=[anna.member_id, uuid4()], **words)
    with pytest.raises(Refusal, match="no such merge"):
        identity.undo_merge(tx, merge_id=uuid4(), **words)
    (ben,) = resolve(tx, keyring, seen(app_account="ben"))
    merged = identity.merge(tx, member_ids=[anna.member_id, ben.member_id], **words)
    identity.undo_merge(tx, merge_id=merged.merge_id, **words)
    with pytest.raises(Refusal, match="undone already"):
        identity.undo_merge(tx, merge_id=merged.merge_id, **words)
    again = identity.merge(tx, member_ids=[anna.member_id, ben.member_id], **words)
    assert again.winner == anna.member_id
    clean(tx)


def test_finding_and_viewing_a_member(tx, keyring):
    (anna,) = resolve(tx, keyring, seen(app_account="anna-2026", phone="13812348000", email="Anna.Z@Example.com"))
    profile_id = queries.find(tx, Identifier("phone", "+86 138 1234 8000"), keyring)
    view = queries.member_view(tx, profile_id, keyring)
    assert view.member_id == anna.member_id
    assert [one.value for one in view.identifiers] == ["****2026", "138****8000", "a***@example.com"]
    plain = queries.identifiers_of(tx, anna.member_id, keyring, unmasked=True)
    assert [one.value for one in plain] == ["anna-2026", "+8613812348000", "anna.z@example.com"]
    assert queries.find(tx, Identifier("card_number", "C404"), keyring) is None
    with pytest.raises(Refusal, match="no such member"):
        queries.member_view(tx, uuid4(), keyring)


def test_news_of_members_merges_and_undoing(tx, keyring):
    anna, ben = resolve(tx, keyring, seen(card_number="C1"), seen(card_number="C2"))
    merged = identity.merge(tx, member_ids=[anna.member_id, ben.member_id], actor="Li", reason="r", at=LATER)
    identity.undo_merge(tx, merge_id=merged.merge_id, actor="Li", reason="r", at=LATER)
    tx.flush_announcements()
    rows = tx.raw.execute("SELECT topic, payload FROM kernel.event_log ORDER BY seq").fetchall()
    news = [(topic, one) for topic, payload in rows for one in payload]
    assert sorted(topic for topic, _ in news) == [
        "identity.member_created.v1",
        "identity.member_created.v1",
        "identity.members_merged.v1",
        "identity.merge_undone.v1",
    ]
    told = dict(news)
    there = {"profile_id": str(ben.profile_id), "from_member": str(ben.member_id), "to_member": str(anna.member_id)}
    back = {**there, "from_member": there["to_member"], "to_member": there["from_member"]}
    assert told["identity.members_merged.v1"]["moves"] == [there]
    assert told["identity.merge_undone.v1"]["moves"] == [back]
    assert told["identity.merge_undone.v1"]["merge_id"] == str(merged.merge_id)
