"""The RFC 9162 tree: known vectors, a naive twin, and every forged proof refused."""

from __future__ import annotations

from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from changke.kernel import merkle
from changke.kernel.merkle import Span, Spot

# The vectors of the reference implementation of Certificate Transparency (RFC 6962/9162 share the hash tree).
VECTOR_LEAVES = [
    bytes.fromhex(text)
    for text in (
        "",
        "00",
        "10",
        "2021",
        "3031",
        "40414243",
        "5051525354555657",
        "606162636465666768696a6b6c6d6e6f",
    )
]
VECTOR_ROOTS = (
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
)
SIZES = 200


def naive_root(leaves: list[bytes]) -> bytes:
    """Straight from the definition of the RFC, without any cleverness."""
    if not leaves:
        return sha256(b"").digest()
    if len(leaves) == 1:
        return leaves[0]
    split = 1
    while split * 2 < len(leaves):
        split *= 2
    return sha256(b"\x01" + naive_root(leaves[:split]) + naive_root(leaves[split:])).digest()


def a_log(size: int) -> tuple[list[bytes], dict[Spot, bytes], list[bytes]]:
    """Leaves, kept subtrees and the root of every size up to ``size``."""
    leaves = [merkle.leaf_hash(str(number).encode()) for number in range(size)]
    kept = {Spot(0, number): leaf for number, leaf in enumerate(leaves)}
    roots, edge = [merkle.EMPTY_ROOT], []
    for number, leaf in enumerate(leaves):
        _, edge, nodes = merkle.grow(number, edge, [leaf])
        kept.update(nodes)
        roots.append(merkle.fold(edge))
    return leaves, kept, roots


LEAVES, KEPT, ROOTS = a_log(SIZES)


def inclusion(index: int, size: int) -> list[bytes]:
    spans = merkle.inclusion_spans(index, size)
    return merkle.hashes(spans, {spot: KEPT[spot] for spot in merkle.wanted(spans)})


def consistency(old: int, new: int) -> list[bytes]:
    spans = merkle.consistency_spans(old, new)
    return merkle.hashes(spans, {spot: KEPT[spot] for spot in merkle.wanted(spans)})


def test_the_empty_tree_is_the_hash_of_nothing():
    assert merkle.EMPTY_ROOT.hex() == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    assert merkle.grow(0, [], []) == (0, [], [])


def test_published_vectors():
    size, edge = 0, []
    for data, root in zip(VECTOR_LEAVES, VECTOR_ROOTS, strict=True):
        size, edge, _ = merkle.grow(size, edge, [merkle.leaf_hash(data)])
        assert merkle.fold(edge).hex() == root


def test_roots_equal_the_naive_tree():
    assert [naive_root(LEAVES[:size]) for size in range(SIZES + 1)] == ROOTS


def test_appending_in_one_go_or_leaf_by_leaf_is_the_same():
    size, edge, kept = merkle.grow(0, [], LEAVES)
    assert (size, merkle.fold(edge)) == (SIZES, ROOTS[SIZES])
    assert dict(kept) == {spot: node for spot, node in KEPT.items() if spot.level}
    assert {spot.level for spot, _ in kept} == {merkle.STRIDE}


def test_every_inclusion_proof_verifies():
    for size in range(1, SIZES + 1):
        for index in range(size):
            assert merkle.verify_inclusion(
                leaf=LEAVES[index], index=index, size=size, proof=inclusion(index, size), root=ROOTS[size]
            )


def test_every_consistency_proof_verifies():
    for new in range(1, SIZES + 1):
        for old in range(1, new + 1):
            proof = consistency(old, new)
            assert merkle.verify_consistency(old=old, new=new, old_root=ROOTS[old], new_root=ROOTS[new], proof=proof)


def test_anything_grows_from_nothing_but_only_with_the_empty_root():
    assert merkle.verify_consistency(old=0, new=7, old_root=merkle.EMPTY_ROOT, new_root=ROOTS[7], proof=[])
    assert not merkle.verify_consistency(old=0, new=7, old_root=ROOTS[3], new_root=ROOTS[7], proof=[])


@given(st.data())
def test_a_forged_inclusion_is_refused(data: st.DataObject):
    size = data.draw(st.integers(1, SIZES))
    index = data.draw(st.integers(0, size - 1))
    proof = inclusion(index, size)
    whole = b"".join([LEAVES[index], ROOTS[size], *proof])
    flipped = bytearray(whole)
    flipped[data.draw(st.integers(0, len(whole) - 1))] ^= data.draw(st.integers(1, 255))
    parts = [bytes(flipped[at : at + 32]) for at in range(0, len(flipped), 32)]
    assert not merkle.verify_inclusion(leaf=parts[0], index=index, size=size, proof=parts[2:], root=parts[1])
    for other in set(range(size + 3)) - {index}:
        assert not merkle.verify_inclusion(leaf=LEAVES[index], index=other, size=size, proof=proof, root=ROOTS[size])
    assert not merkle.verify_inclusion(
        leaf=LEAVES[index], index=index, size=size, proof=[*proof, ROOTS[1]], root=ROOTS[size]
    )
    assert not proof or not merkle.verify_inclusion(
        leaf=LEAVES[index], index=index, size=size, proof=proof[:-1], root=ROOTS[size]
    )


@given(st.data())
def test_a_forged_consistency_is_refused(data: st.DataObject):
    new = data.draw(st.integers(2, SIZES))
    old = data.draw(st.integers(1, new - 1))
    proof = consistency(old, new)
    whole = b"".join([ROOTS[old], ROOTS[new], *proof])
    flipped = bytearray(whole)
    flipped[data.draw(st.integers(0, len(whole) - 1))] ^= data.draw(st.integers(1, 255))
    parts = [bytes(flipped[at : at + 32]) for at in range(0, len(flipped), 32)]
    assert not merkle.verify_consistency(old=old, new=new, old_root=parts[0], new_root=parts[1], proof=parts[2:])
    for other in set(range(1, new + 1)) - {old}:
        assert not merkle.verify_consistency(old=other, new=new, old_root=ROOTS[old], new_root=ROOTS[new], proof=proof)
    assert not merkle.verify_consistency(
        old=old, new=new, old_root=ROOTS[old], new_root=ROOTS[new], proof=[*proof, ROOTS[1]]
    )


@given(st.data())
def test_a_proof_for_another_size_is_refused_unless_the_path_is_the_same(data: st.DataObject):
    """The RFC's proof binds the root, not the size: the signed head binds both; a wrong size mostly fails by itself."""
    size = data.draw(st.integers(2, SIZES))
    index = data.draw(st.integers(0, size - 1))
    other = data.draw(st.integers(1, SIZES).filter(lambda value: value != size))
    proof = inclusion(index, size)
    accepted = merkle.verify_inclusion(leaf=LEAVES[index], index=index, size=other, proof=proof, root=ROOTS[size])
    assert not accepted or _turns(index, other) == _turns(index, size)
    assert not merkle.verify_inclusion(leaf=LEAVES[index], index=index, size=size, proof=proof, root=ROOTS[other])


def _turns(index: int, size: int) -> list[bool]:
    return [span.start > index for span in merkle.inclusion_spans(index, size)] if index < size else []


def test_proofs_of_what_is_not_there_are_refused():
    for index, size in ((0, 0), (5, 5), (-1, 5)):
        with pytest.raises(ValueError, match="no leaf"):
            merkle.inclusion_spans(index, size)
    for old, new in ((0, 3), (4, 3)):
        with pytest.raises(ValueError, match="no consistency"):
            merkle.consistency_spans(old, new)
    assert not merkle.verify_inclusion(leaf=LEAVES[0], index=0, size=1, proof=[b"short"], root=ROOTS[1])


def test_a_million_leaves_ask_for_few_kept_hashes():
    size = 1_000_000
    assert len(merkle.wanted(merkle.inclusion_spans(777_777, size))) < 4 * 64
    assert Span(0, 524_288) in merkle.inclusion_spans(777_777, size)
