"""Identifiers: UUIDv7 for things that happen, derived ids for things that must be equal on every try."""

import hashlib
import os
import threading
import time
from uuid import UUID

_RANDOM_BITS = 62
_COUNTER_BITS = 12


class _Sequence:
    """Hands out (millisecond, counter) pairs that only ever grow, whatever the system clock does."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._millisecond = 0
        self._counter = 0

    def take(self, count: int) -> tuple[int, int]:
        """Reserve `count` consecutive positions; returns the first as (millisecond, counter)."""
        now = time.time_ns() // 1_000_000
        with self._lock:
            if now > self._millisecond:
                self._millisecond, self._counter = now, 0
            first = (self._millisecond << _COUNTER_BITS) + self._counter
            following = first + count
            self._millisecond, self._counter = divmod(following, 1 << _COUNTER_BITS)
        return divmod(first, 1 << _COUNTER_BITS)


_sequence = _Sequence()


def new_id() -> UUID:
    """Return a UUIDv7 (RFC 9562, method 1: a 12-bit counter under the millisecond), growing within a process."""
    return new_ids(1)[0]


def new_ids(count: int) -> list[UUID]:
    """Return `count` UUIDv7 in growing order, with one read of the clock and of the random source."""
    if count <= 0:
        return []
    millisecond, counter = _sequence.take(count)
    position = (millisecond << _COUNTER_BITS) + counter
    noise = os.urandom(8 * count)
    ids = []
    for index in range(count):
        millisecond, counter = divmod(position + index, 1 << _COUNTER_BITS)
        random = int.from_bytes(noise[8 * index : 8 * index + 8]) >> (64 - _RANDOM_BITS)
        ids.append(UUID(int=millisecond << 80 | 0x7 << 76 | counter << 64 | 0b10 << 62 | random))
    return ids


def derived_id(*parts: str) -> UUID:
    """Return the same UUIDv8 for the same parts, always: the first 16 bytes of a SHA-256 over them.

    Each part is prefixed with its length, so ("ab", "c") and ("a", "bc") differ.
    """
    digest = hashlib.sha256()
    for part in parts:
        encoded = part.encode("utf-8", "surrogatepass")
        digest.update(b"%d:" % len(encoded) + encoded)
    value = int.from_bytes(digest.digest()[:16])
    value = value & ~(0xF << 76) | 0x8 << 76
    value = value & ~(0b11 << 62) | 0b10 << 62
    return UUID(int=value)
