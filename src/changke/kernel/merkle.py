"""The tree of RFC 9162 (Certificate Transparency 2.0, section 2.1): hashes, roots and proofs. Pure.

Nothing but hashes comes in or goes out. A caller keeps the hashes of *perfect subtrees*, named
``Spot(level, number)``: the subtree over leaves ``[number << level, (number + 1) << level)``. Such a hash never
changes once its last leaf is there, so the store is append-only. Only the levels divisible by ``STRIDE`` are kept
(leaves, then every 64th node, every 4,096th ...): the levels between are folded again from at most 64 hashes when a
proof is wanted, which keeps one row in sixty-four instead of one row a leaf.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from hashlib import sha256
from typing import NamedTuple

STRIDE = 6
SIZE_MAX = 1 << 62
EMPTY_ROOT = sha256(b"").digest()


class Spot(NamedTuple):
    """Where a perfect subtree stands: its height (0 = a leaf) and its number from the left."""

    level: int
    number: int


Growth = tuple[int, list[bytes], list[tuple[Spot, bytes]]]


class Span(NamedTuple):
    """Leaves ``[start, stop)`` whose subtree hash is one element of a proof."""

    start: int
    stop: int


def leaf_hash(data: bytes) -> bytes:
    """Hash of a leaf: SHA-256(0x00 || data)."""
    return sha256(b"\x00" + data).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Hash of an inner node: SHA-256(0x01 || left || right)."""
    return sha256(b"\x01" + left + right).digest()


def fold(hashes: Sequence[bytes]) -> bytes:
    """Root over perfect subtrees given from left (largest) to right; of none: the empty root."""
    if not hashes:
        return EMPTY_ROOT
    root = hashes[-1]
    for left in reversed(hashes[:-1]):
        root = node_hash(left, root)
    return root


def cover(span: Span) -> list[Spot]:
    """The perfect subtrees a subtree of the tree falls into, left to right (``span`` starts where its size allows)."""
    spots, start = [], span.start
    while start < span.stop:
        level = (span.stop - start).bit_length() - 1
        assert start % (1 << level) == 0, "a span of the tree starts on a multiple of its largest perfect subtree"
        spots.append(Spot(level, start >> level))
        start += 1 << level
    return spots


def frontier(size: int) -> list[Spot]:
    """The perfect subtrees of a whole tree of that size: one a set bit, largest first."""
    return cover(Span(0, size))


def stored_under(spot: Spot) -> Iterator[Spot]:
    """The kept subtrees a perfect subtree is folded from: itself if its level is kept, else up to 32 below it."""
    depth = spot.level % STRIDE
    first = spot.number << depth
    return (Spot(spot.level - depth, number) for number in range(first, first + (1 << depth)))


def subtree(spot: Spot, kept: Mapping[Spot, bytes]) -> bytes:
    """Hash of a perfect subtree out of kept hashes; KeyError where one is missing."""
    row = [kept[below] for below in stored_under(spot)]
    while len(row) > 1:
        row = [node_hash(row[at], row[at + 1]) for at in range(0, len(row), 2)]
    return row[0]


def grow(size: int, edge: Sequence[bytes], leaves: Iterable[bytes]) -> Growth:
    """Append leaf hashes to a tree of ``size`` whose frontier hashes are ``edge``.

    Answers the new size, the new frontier and the inner nodes to keep (leaves themselves are the caller's).
    """
    assert len(edge) == size.bit_count(), "the frontier has one hash a set bit of the size"
    tops, kept = list(edge), []
    for leaf in leaves:
        top, level, index = leaf, 0, size
        while index & 1:
            top, level, index = node_hash(tops.pop(), top), level + 1, index >> 1
            if level % STRIDE == 0:
                kept.append((Spot(level, index), top))
        tops.append(top)
        size += 1
    return size, tops, kept


def _split(count: int) -> int:
    """Largest power of two smaller than ``count`` (RFC 9162 calls it k)."""
    return 1 << ((count - 1).bit_length() - 1)


def inclusion_spans(index: int, size: int) -> list[Span]:
    """Subtrees of the inclusion proof of a leaf, from the leaf upwards (RFC 9162 §2.1.3.1)."""
    if not 0 <= index < size <= SIZE_MAX:
        raise ValueError(f"no leaf {index} in a tree of {size}")
    spans, start, stop = [], 0, size
    while stop - start > 1:
        middle = start + _split(stop - start)
        if index < middle:
            spans.append(Span(middle, stop))
            stop = middle
        else:
            spans.append(Span(start, middle))
            start = middle
    return spans[::-1]


def consistency_spans(old: int, new: int) -> list[Span]:
    """Subtrees of the proof that the tree of ``new`` starts with the tree of ``old`` (RFC 9162 §2.1.4.1)."""
    if not 0 < old <= new <= SIZE_MAX:
        raise ValueError(f"no consistency proof from {old} to {new}")
    spans, start, stop = [], 0, new
    while stop != old:
        middle = start + _split(stop - start)
        if old <= middle:
            spans.append(Span(middle, stop))
            stop = middle
        else:
            spans.append(Span(start, middle))
            start = middle
    # The old root itself is left out when the whole old tree is one subtree: the verifier has it.
    return ([Span(start, stop)] if start else []) + spans[::-1]


def wanted(spans: Iterable[Span]) -> set[Spot]:
    """Every kept subtree needed to answer these spans."""
    return {below for span in spans for spot in cover(span) for below in stored_under(spot)}


def hashes(spans: Iterable[Span], kept: Mapping[Spot, bytes]) -> list[bytes]:
    """The proof: one hash a span, folded out of kept subtrees."""
    return [fold([subtree(spot, kept) for spot in cover(span)]) for span in spans]


def verify_inclusion(*, leaf: bytes, index: int, size: int, proof: Sequence[bytes], root: bytes) -> bool:
    """Whether ``leaf`` (its hash) stands at ``index`` in the tree of ``size`` with that root (RFC 9162 §2.1.3.2)."""
    if not 0 <= index < size <= SIZE_MAX or not _sound(proof):
        return False
    number, last, node = index, size - 1, leaf
    for sibling in proof:
        if last == 0:
            return False
        if number & 1 or number == last:
            node = node_hash(sibling, node)
            number, last = _climb(number, last, until=lambda at: bool(at & 1))
        else:
            node = node_hash(node, sibling)
        number, last = number >> 1, last >> 1
    return last == 0 and node == root


def verify_consistency(*, old: int, new: int, old_root: bytes, new_root: bytes, proof: Sequence[bytes]) -> bool:
    """Whether the tree (new, new_root) starts with the tree (old, old_root) (RFC 9162 §2.1.4.2)."""
    if not 0 <= old <= new <= SIZE_MAX or not _sound(proof):
        return False
    if old == new:
        return not proof and old_root == new_root
    if old == 0:
        return not proof and old_root == EMPTY_ROOT
    path = [old_root, *proof] if old & (old - 1) == 0 else list(proof)
    if not path:
        return False
    number, last = _climb(old - 1, new - 1, until=lambda at: not at & 1)
    was = now = path[0]
    for sibling in path[1:]:
        if last == 0:
            return False
        if number & 1 or number == last:
            was, now = node_hash(sibling, was), node_hash(sibling, now)
            number, last = _climb(number, last, until=lambda at: bool(at & 1))
        else:
            now = node_hash(now, sibling)
        number, last = number >> 1, last >> 1
    return last == 0 and was == old_root and now == new_root


def _climb(number: int, last: int, *, until: Callable[[int], bool]) -> tuple[int, int]:
    """Go up the right edge, where a node has no sibling, until the node number satisfies the condition (or is 0)."""
    while number and not until(number):
        number, last = number >> 1, last >> 1
    return number, last


def _sound(proof: Sequence[bytes]) -> bool:
    return len(proof) <= 128 and all(len(node) == 32 for node in proof)
