"""The straight lane for batches that only earn: what every award comes to, before any state is read.

An earn into a wallet without debt depends on nothing but its wallet type, so a batch of them needs no lots and no
loaded state: wallets are credited by one statement, and the rows of posting, entry and lot follow from its answer.
The fold of `fold.py` gives the same result (a test holds the two together) and takes over whenever this lane cannot.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256

from changke.kernel.clock import MAX_INSTANT, MIN_INSTANT
from changke.kernel.errors import Refusal
from changke.modules.ledger import terms
from changke.modules.ledger.rules import moves, requests
from changke.modules.ledger.wallet_types import WalletType

# The two bytes of a derived id that carry version and variant.
_VERSION = [bytes([0x80 | value & 0x0F]) for value in range(256)]
_NOTHING = (0, 0)
_VARIANT = [bytes([0x80 | value & 0x3F]) for value in range(256)]


@dataclass(slots=True)
class Award:
    """One checked earn, ready to be written."""

    place: int
    request: terms.Earn
    posting_id: bytes
    body_hash: bytes
    member: bytes
    member_hex: str
    occurred_text: str
    activates_at: datetime | None
    expires_at: datetime | None


def quick_posting_id(key: bytes) -> bytes:
    """Return the bytes of `requests.posting_id_of`, without building the object."""
    digest = sha256(b"7:posting%d:%b" % (len(key), key)).digest()
    return digest[:6] + _VERSION[digest[6]] + digest[7:8] + _VARIANT[digest[8]] + digest[9:16]


def quick_body(request: terms.Earn, member_hex: str, occurred_text: str) -> bytes:
    """Return `requests.body_of` of an earn whose instants are the wallet type's and in UTC."""
    profile = "" if request.profile_id is None else request.profile_id.hex
    return (
        f"Earn\x1f{member_hex}\x1f{request.wallet_type}\x1f{request.amount}\x1f{occurred_text}"
        f"\x1f{request.reference or ''}\x1f{profile}\x1f\x1f"
    ).encode()


class Validity:
    """Remembers the day it answered last for each wallet type, because a batch mostly stays within one day."""

    def __init__(self, types: dict[str, WalletType], at: datetime) -> None:
        self._types = types
        self._at = at
        self._days: dict[str, tuple[datetime, datetime, datetime | None]] = {}

    def of(self, request: terms.Earn) -> tuple[datetime | None, datetime | None]:
        """Return (activation, expiry) of an earn, as `moves.validity` does."""
        found = self._days.get(request.wallet_type)
        if (
            found is not None
            and found[0] <= request.occurred_at < found[1]
            and not (request.activates_at or request.expires_at)
        ):
            return None, found[2]
        wallet_type = self._types[request.wallet_type]
        answer = moves.validity(wallet_type, request, self._at)
        if not (wallet_type.pending_days or request.activates_at or request.expires_at):
            start, end = requests.day_of(request.occurred_at, wallet_type)
            self._days[request.wallet_type] = start, end, answer[1]
        return answer


def prepare(
    asked: Sequence[terms.Earn], types: dict[str, WalletType], at: datetime
) -> tuple[list[Award], dict[int, terms.Refused]]:
    """Check every earn on its own; returns the good ones and, by place, the refused ones."""
    awards: list[Award] = []
    refused: dict[int, terms.Refused] = {}
    validity = Validity(types, at)
    for place, request in enumerate(asked):
        try:
            awards.append(_award(place, request, types, validity))
        except Refusal as refusal:
            refused[place] = terms.Refused(refusal)
    return awards, refused


def _award(place: int, request: terms.Earn, types: dict[str, WalletType], validity: Validity) -> Award:
    reference, amount, occurred_at = request.reference, request.amount, request.occurred_at
    plain = (
        type(amount) is int
        and 0 < amount <= terms.AMOUNT_MAX
        and occurred_at.tzinfo is UTC
        and MIN_INSTANT <= occurred_at < MAX_INSTANT
        and 0 < len(request.key) <= terms.KEY_MAX
        and request.key.isascii()
        and "\0" not in request.key
        and (reference is None or (reference.isascii() and 0 < len(reference) <= 200 and "\0" not in reference))
        and request.activates_at is None
        and request.expires_at is None
    )
    if not plain:
        requests.check(request)
    if request.wallet_type not in types:
        raise Refusal(terms.UNKNOWN_WALLET_TYPE, field="wallet_type", have=str(request.wallet_type))
    activates_at, expires_at = validity.of(request)
    member = request.member_id.bytes
    member_hex, occurred_text = member.hex(), occurred_at.isoformat()
    body = quick_body(request, member_hex, occurred_text) if plain else requests.body_of(request)
    posting_id = quick_posting_id(request.key.encode())
    body_hash = sha256(body).digest()[:16]
    return Award(place, request, posting_id, body_hash, member, member_hex, occurred_text, activates_at, expires_at)


def sums(awards: Iterable[Award]) -> dict[tuple[str, str], tuple[int, int]]:
    """Return (points, postings) for each (member in hex, wallet type), in lock order."""
    found: dict[tuple[str, str], tuple[int, int]] = {}
    for award in awards:
        key = award.member_hex, award.request.wallet_type
        points, count = found.get(key, _NOTHING)
        found[key] = points + award.request.amount, count + 1
    return {key: found[key] for key in sorted(found)}
