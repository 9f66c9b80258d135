from datetime import timedelta

import pytest

from changke.kernel.errors import Refusal
from changke.modules.identity import commands as identity
from changke.modules.identity import queries
from tests.identity.sights import NOON


def test_a_key_opens_the_door_until_it_is_revoked(tx):
    key, secret = identity.create_api_key(tx, name="till 7", permissions=["activity.write"], at=NOON)
    assert secret.startswith(f"ck_live_{key.key_id}_")
    principal = identity.authenticate(tx, secret, at=NOON)
    assert principal is not None
    assert principal.name == "till 7"
    assert principal.may("activity.write")
    assert not principal.may("identity.keys")
    assert queries.api_keys(tx)[0].last_used_at == NOON
    identity.revoke_api_key(tx, key_id=key.key_id, at=NOON)
    assert identity.authenticate(tx, secret, at=NOON) is None
    with pytest.raises(Refusal, match="no such API key"):
        identity.revoke_api_key(tx, key_id=key.key_id, at=NOON)


def test_a_key_ends_by_itself(tx):
    until = NOON + timedelta(hours=1)
    _, secret = identity.create_api_key(tx, name="fair", permissions=["*"], at=NOON, expires_at=until)
    assert queries.authenticate(tx, secret, at=until - timedelta(seconds=1)) is not None
    assert queries.authenticate(tx, secret, at=until) is None
    with pytest.raises(Refusal):
        identity.create_api_key(tx, name="old", permissions=["*"], at=NOON, expires_at=NOON)


def test_only_the_hash_is_kept(tx):
    _, secret = identity.create_api_key(tx, name="till", permissions=["*"], at=NOON)
    dump = tx.raw.execute("SELECT k::text FROM identity.api_key AS k").fetchone()[0]
    assert secret.rpartition("_")[2] not in dump
    assert secret.rpartition("_")[2].encode().hex() not in dump


def test_wrong_secrets(tx):
    key, secret = identity.create_api_key(tx, name="till", permissions=["*"], at=NOON)
    other = "a" if secret[-1] != "a" else "b"
    wrong = ["", "x", "ck_live_", f"ck_live_{key.key_id}_", secret[:-1], secret + "a", secret[:-1] + other]
    for one in [*wrong, "\x00" * 63, "ck_live_" + "\ud800" * 12 + "_" + "a" * 43]:
        assert queries.authenticate(tx, one, at=NOON) is None


def test_permissions_have_a_form(tx):
    for one in ("", "all", "a.b.c", "identity.", ".read", "Identity.Read", "*.*"):
        with pytest.raises(Refusal):
            identity.create_api_key(tx, name="odd", permissions=[one], at=NOON)
