import pytest

from changke.kernel.crypto import NotOurs
from changke.modules.identity import commands as identity
from changke.modules.identity import queries
from changke.modules.identity.tables import SCHEMA
from changke.modules.identity.terms import DATA_KEY_PLACE
from tests.identity.sights import NOON, good, seen

CANARIES = ("13812348765", "canary.anna@example.com", "CARD-CANARY-77", "wxcanary:oCanary12345", "canary-login")


def test_no_table_holds_a_value_in_plain_text(tx, keyring):
    phone, email, card, openid, login = CANARIES
    anna, ben = good(
        identity.resolve(
            tx,
            [
                seen(phone=phone, email=email, card_number=card, wechat_openid=openid, app_account=login),
                seen(phone=phone, app_account="ben", device="d1"),
            ],
            at=NOON,
            keyring=keyring,
        )
    )
    identity.merge(tx, member_ids=[anna.member_id, ben.member_id], actor="Li", reason="r", at=NOON)
    names = tx.raw.execute("SELECT tablename FROM pg_tables WHERE schemaname = %s", (SCHEMA,)).fetchall()
    assert len(names) == 7
    plain = [*CANARIES, "+8613812348765", "CARDCANARY77", "12348765", "canary"]
    for (name,) in names:
        rows = tx.raw.execute(f"SELECT t::text FROM {SCHEMA}.{name} AS t").fetchall()
        dump = "\n".join(row[0] for row in rows).lower()
        for value in plain:
            assert value.lower() not in dump
            assert value.encode().hex() not in dump
    tx.flush_announcements()
    log = str(tx.raw.execute("SELECT payload FROM kernel.event_log").fetchall())
    assert not any(value in log for value in plain)


def test_a_sealed_value_moved_to_another_row_does_not_open(tx, keyring):
    anna, ben = good(
        identity.resolve(tx, [seen(card_number="C100200"), seen(card_number="C300400")], at=NOON, keyring=keyring)
    )
    tx.raw.execute(
        "UPDATE identity.identifier SET value_enc = (SELECT value_enc FROM identity.identifier WHERE profile_id = %s)"
        " WHERE profile_id = %s",
        (anna.profile_id, ben.profile_id),
    )
    assert queries.identifiers_of(tx, anna.member_id, keyring, unmasked=True)[0].value == "C100200"
    with pytest.raises(NotOurs):
        queries.identifiers_of(tx, ben.member_id, keyring)


def test_equal_values_seal_differently_and_index_equally(tx, keyring):
    identity.resolve(tx, [seen(card_number="C1"), seen(external_crm="C1")], at=NOON, keyring=keyring)
    rows = tx.raw.execute("SELECT value_hash, value_enc FROM identity.identifier").fetchall()
    assert len({row[0] for row in rows}) == 2
    assert len({row[1] for row in rows}) == 2


def test_without_its_own_key_a_value_is_gone_for_good(tx, keyring):
    [anna] = good(identity.resolve(tx, [seen(card_number="C100200")], at=NOON, keyring=keyring))
    other = keyring.new_data_key(aad=DATA_KEY_PLACE + anna.profile_id.bytes)[1]
    tx.raw.execute("UPDATE identity.identifier SET data_key = %s WHERE profile_id = %s", (other, anna.profile_id))
    with pytest.raises(NotOurs):
        queries.identifiers_of(tx, anna.member_id, keyring)
