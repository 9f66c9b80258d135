from datetime import timedelta

from changke.modules.identity import commands as identity
from changke.modules.identity.terms import Refusal
from tests.identity.sights import NOON, good, seen


def test_a_phone_and_a_card_of_one_sale_are_one_member(tx, keyring):
    (anna,) = good(identity.resolve(tx, [seen(phone="138 1234 5678", card_number="C-1001")], at=NOON, keyring=keyring))
    by_card, by_phone = good(
        identity.resolve(tx, [seen(card_number="c1001"), seen(phone="+8613812345678")], at=NOON, keyring=keyring)
    )
    assert anna.profile_id == by_card.profile_id != by_phone.profile_id
    assert anna.member_id == by_card.member_id == by_phone.member_id


def test_a_replay_writes_nothing(tx, keyring):
    sightings = [seen(phone=f"1381234{n:04}", app_account=f"anna{n}", device=f"d{n}") for n in range(50)]
    first = identity.resolve(tx, sightings, at=NOON, keyring=keyring)
    before = _counts(tx)
    assert identity.resolve(tx, sightings, at=NOON + timedelta(hours=1), keyring=keyring) == first
    assert _counts(tx) == before


def test_a_bad_phone_is_refused_for_its_sighting_alone(tx, keyring):
    bad, anna = identity.resolve(tx, [seen(phone="12"), seen(card_number="1001")], at=NOON, keyring=keyring)
    assert isinstance(bad, Refusal)
    assert bad.code.code == "identifier_phone_invalid"
    assert bad.field == "identifiers[0].value"
    assert anna.member_id == anna.profile_id


def _counts(tx):
    tables = ("identifier", "profile_map", "member", "identity_edge", "merge", "review_case")
    return {
        name: tx.raw.execute(f"SELECT count(*), max(xmin::text) FROM identity.{name}").fetchone() for name in tables
    }
