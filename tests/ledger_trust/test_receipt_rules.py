"""A receipt is checked by anyone, with nothing but the public key; no changed byte passes."""

from __future__ import annotations

import copy
from datetime import UTC, datetime
from uuid import UUID

import orjson
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from changke.kernel import merkle, signatures
from changke.kernel.merkle import Spot
from changke.modules.ledger import rules_sealing as sealing
from changke.modules.ledger.terms_trust import Head, Verdict

NOON = datetime(2026, 3, 1, 4, tzinfo=UTC)
KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
PUBLIC = signatures.public_key(KEY)
STRANGER = Ed25519PrivateKey.from_private_bytes(bytes(range(1, 33)))


def a_leaf(number: int) -> dict[str, object]:
    return {
        "v": 1,
        "posting": str(UUID(int=number)),
        "kind": "earn",
        "entries": [{"wallet": str(UUID(int=7)), "type": "points", "version": number + 1, "points": 100}],
    }


def signed(key: Ed25519PrivateKey, size: int, root: bytes) -> Head:
    name, at = signatures.key_id(signatures.public_key(key)), sealing.instant_text(NOON)
    statement = sealing.head_statement(size=size, root=root, signed_at=at, key_name=name)
    return Head(size, root, at, name, key.sign(statement))


class Log:
    """A log in memory, with the heads it signed on the way."""

    def __init__(self, leaves: list[dict[str, object]], *, heads_at: tuple[int, ...], key: Ed25519PrivateKey = KEY):
        self.leaves, self.kept, self.heads, edge = leaves, {}, {}, []
        for number, leaf in enumerate(leaves):
            digest = sealing.leaf_hash(leaf)
            self.kept[Spot(0, number)] = digest
            size, edge, nodes = merkle.grow(number, edge, [digest])
            self.kept.update(nodes)
            if size in heads_at:
                self.heads[size] = signed(key, size, merkle.fold(edge))

    def receipt(self, index: int, size: int) -> dict[str, object]:
        proof = merkle.hashes(merkle.inclusion_spans(index, size), self.kept)
        return sealing.make_receipt(
            leaf=self.leaves[index], index=index, proof=proof, head=self.heads[size], public_key=PUBLIC
        )

    def consistency(self, old: int, new: int) -> dict[str, object]:
        proof = merkle.hashes(merkle.consistency_spans(old, new), self.kept)
        return sealing.make_consistency(old=self.heads[old], new=self.heads[new], proof=proof, public_key=PUBLIC)


LOG = Log([a_leaf(number) for number in range(150)], heads_at=(100, 150))


def codes(verdict: Verdict) -> list[str]:
    return [one.code for one in verdict.reasons]


def test_a_receipt_survives_the_mail_and_verifies():
    received = orjson.loads(orjson.dumps(LOG.receipt(42, 150)))
    verdict = sealing.verify_receipt(received, PUBLIC)
    assert verdict.holds
    assert verdict.notes == ()


def test_without_a_key_the_verdict_says_what_it_rests_on():
    verdict = sealing.verify_receipt(LOG.receipt(42, 150))
    assert verdict.holds
    assert [note.code for note in verdict.notes] == ["key_taken_on_trust"]
    assert "公钥" in verdict.notes[0].say("zh-CN")


def test_any_flipped_bit_of_a_receipt_is_refused():
    whole = orjson.dumps(LOG.receipt(42, 150), option=orjson.OPT_SORT_KEYS)
    accepted = 0
    for at in range(len(whole)):
        for bit in (0x01, 0x20):
            forged = bytearray(whole)
            forged[at] ^= bit
            try:
                document = orjson.loads(bytes(forged))
            except orjson.JSONDecodeError:
                continue
            accepted += sealing.verify_receipt(document, PUBLIC).holds
    assert accepted == 0


def test_a_head_of_another_key_is_refused():
    theirs = Log(LOG.leaves, heads_at=(150,), key=STRANGER)
    assert "other_key" in codes(sealing.verify_receipt(theirs.receipt(42, 150), PUBLIC))


@pytest.mark.parametrize(
    "document", [None, 7, [], {}, {"format": "other"}, {"format": "changke-receipt-v1", "leaf": 1}]
)
def test_what_is_not_a_receipt_is_said_to_be_malformed(document):
    assert codes(sealing.verify_receipt(document, PUBLIC)) == ["malformed"]


def test_a_receipt_with_huge_numbers_or_long_proofs_is_malformed():
    receipt = LOG.receipt(42, 150)
    for change in ({"leaf_index": 2**70}, {"leaf_index": True}, {"proof": ["00" * 32] * 1000}, {"leaf": {"v": 2**70}}):
        assert codes(sealing.verify_receipt({**receipt, **change}, PUBLIC)) == ["malformed"]


def test_consistency_of_two_heads():
    assert sealing.verify_consistency(LOG.consistency(100, 150), PUBLIC).holds
    document = copy.deepcopy(LOG.consistency(100, 150))
    document["proof"][0] = "00" * 32
    assert codes(sealing.verify_consistency(document, PUBLIC)) == ["not_consistent"]


def test_a_fork_shown_to_two_witnesses_is_seen_when_they_compare():
    other = Log([*LOG.leaves[:120], *(a_leaf(1_000 + number) for number in range(30))], heads_at=(100, 150))
    assert sealing.compare_heads([LOG.heads[100], other.heads[100]], PUBLIC).holds
    assert codes(sealing.compare_heads([LOG.heads[150], other.heads[150]], PUBLIC)) == ["forked"]


def test_every_reason_speaks_both_languages():
    verdict = sealing.verify_receipt({**LOG.receipt(3, 100), "leaf_index": 4}, PUBLIC)
    assert {one.say("en") for one in verdict.reasons}.isdisjoint({one.say("zh-CN") for one in verdict.reasons})
