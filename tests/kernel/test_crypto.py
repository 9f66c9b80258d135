"""Keys: sealed values open only where they belong, equal values index equally, files are ours alone."""

import stat

import pytest
from hypothesis import given
from hypothesis import strategies as st

from changke.kernel.crypto import BLIND_INDEX_BYTES, KeyRing, NotOurs

PLACE = b"identity.identifier|value|row-1"


@given(st.binary(max_size=200), st.binary(max_size=50))
def test_a_sealed_value_opens_in_its_place(plain, place):
    ring = KeyRing.generate()
    sealed = ring.seal(plain, aad=place)
    assert ring.open_sealed(sealed, aad=place) == plain
    assert len(sealed) == len(plain) + 30


def test_a_value_moved_to_another_row_does_not_open(keyring):
    sealed = keyring.seal(b"13800138000", aad=PLACE)
    with pytest.raises(NotOurs):
        keyring.open_sealed(sealed, aad=b"identity.identifier|value|row-2")


def test_a_changed_byte_does_not_open(keyring):
    sealed = keyring.seal(b"13800138000", aad=PLACE)
    for position in range(len(sealed)):
        changed = bytearray(sealed)
        changed[position] ^= 1
        with pytest.raises(NotOurs):
            keyring.open_sealed(bytes(changed), aad=PLACE)


@pytest.mark.parametrize("rubbish", [b"", b"\x01", b"\x01\x01short", b"\x09" * 64])
def test_rubbish_does_not_open(keyring, rubbish):
    with pytest.raises(NotOurs):
        keyring.open_sealed(rubbish, aad=PLACE)


def test_sealing_twice_gives_different_bytes(keyring):
    assert keyring.seal(b"Anna", aad=PLACE) != keyring.seal(b"Anna", aad=PLACE)


def test_an_old_key_still_opens_what_it_sealed():
    old = KeyRing.generate()
    sealed = old.seal(b"Anna", aad=PLACE)
    both = KeyRing(sealing={**old.sealing, 2: b"2" * 32}, index=old.index, signing=old.signing)
    assert both.open_sealed(sealed, aad=PLACE) == b"Anna"
    assert both.seal(b"Ben", aad=PLACE)[1] == 2
    only_new = KeyRing(sealing={2: b"2" * 32}, index=old.index, signing=old.signing)
    with pytest.raises(NotOurs):
        only_new.open_sealed(sealed, aad=PLACE)


def test_a_data_key_is_kept_wrapped(keyring):
    key, wrapped = keyring.new_data_key(aad=PLACE)
    assert keyring.open_data_key(wrapped, aad=PLACE) == key
    assert key.open_sealed(key.seal(b"Anna", aad=PLACE), aad=PLACE) == b"Anna"


def test_equal_values_have_equal_indexes_and_kinds_do_not_mix(keyring):
    phone = keyring.blind_index("phone", "+8613800138000")
    assert phone == keyring.blind_index("phone", "+8613800138000")
    assert phone != keyring.blind_index("phone", "+8613800138001")
    assert phone != keyring.blind_index("card", "+8613800138000")
    assert phone != KeyRing.generate().blind_index("phone", "+8613800138000")
    assert len(phone) == BLIND_INDEX_BYTES


def test_the_key_file_is_made_once_and_is_ours_alone(tmp_path):
    first = KeyRing.open(tmp_path)
    assert KeyRing.open(tmp_path) == first
    assert stat.S_IMODE((tmp_path / "keys.json").stat().st_mode) == 0o600
    assert [path.name for path in tmp_path.iterdir()] == ["keys.json"]


def test_a_signature_is_verified_with_the_public_key(keyring):
    signature = keyring.signing_key().sign(b"tree head")
    keyring.signing_key().public_key().verify(signature, b"tree head")
    assert len(keyring.public_key()) == 32
