"""Writes of the straight lane: one statement for the wallets, one binary COPY each for postings, entries and lots.

Rows are packed by hand because at this rate the text form of an instant or an identifier costs more than its storage.
The announcement of every entry is made in the same pass.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from struct import Struct
from uuid import UUID

import orjson

from changke.kernel.database import Tx
from changke.kernel.log import LANES
from changke.modules.ledger import terms
from changke.modules.ledger.events import PostedAnnouncement
from changke.modules.ledger.rules.credits import Award
from changke.modules.ledger.state import LOT_SHIFT

_HEAD = b"PGCOPY\n\xff\r\n\0" + bytes(8)
_TAIL = b"\xff\xff"
_NULL = b"\xff\xff\xff\xff"
_EPOCH = datetime(2000, 1, 1, tzinfo=UTC)
_INSTANT = Struct(">iq").pack
_LENGTH = Struct(">i").pack
_FALSE, _TRUE = b"\0\0\0\1\0", b"\0\0\0\1\1"
_ISSUANCE = terms.ISSUANCE.bytes

_POSTING_COLUMNS = "posting_id,body_hash,owner_id,wallet_type,version"
_ENTRY_COLUMNS = (
    "member_id,wallet_type,version,posting_id,kind,amount,balance_after,held_after,counter_id,occurred_at,"
    "recorded_at,txid,reference"
)
_LOT_COLUMNS = (
    "member_id,wallet_type,lot_id,amount,remaining,held,awarded_at,activates_at,expires_at,activation_due,"
    "profile_id,reference"
)


@dataclass(slots=True)
class Standing:
    """A wallet as it stands between two awards of a batch."""

    balance: int
    held: int
    version: int


@dataclass(frozen=True, slots=True)
class Layout:
    """The packers of one wallet type, whose code stands in every row."""

    code: bytes
    posting: Struct
    entry: Struct
    lot: Struct


class InDebt(Exception):
    """A wallet of the batch owes points: its lots have to be looked at."""


def credit_wallets(tx: Tx, sums: dict[tuple[str, str], tuple[int, int]]) -> tuple[dict[tuple[str, str], Standing], int]:
    """Create, lock and credit wallets in order; returns how each stood before and the transaction's number."""
    rows = tx.raw.execute(
        "INSERT INTO ledger.wallet AS w (member_id, wallet_type, balance, version)"
        " SELECT * FROM unnest(%s::uuid[], %s::text[], %s::bigint[], %s::bigint[])"
        " ON CONFLICT (member_id, wallet_type) DO UPDATE"
        " SET balance = w.balance + excluded.balance, version = w.version + excluded.version"
        " RETURNING balance, held, debt, version, pg_current_xact_id()::text::bigint",
        (
            [member for member, _ in sums],
            [code for _, code in sums],
            [points for points, _ in sums.values()],
            [count for _, count in sums.values()],
        ),
        binary=True,
    ).fetchall()
    standing = {}
    for (key, (points, count)), (balance, held, debt, version, _) in zip(sums.items(), rows, strict=True):
        if debt:
            raise InDebt
        standing[key] = Standing(balance - points, held, version - count)
    return standing, rows[0][4]


def layout(code: str) -> Layout:
    """Return the packers for a wallet type."""
    name = code.encode()
    size = len(name)
    return Layout(
        name,
        Struct(f">hi16si16si16si{size}siq"),
        Struct(f">hi16si{size}siqi16si4siqiqiqi16siq"),
        Struct(f">hi16si{size}siqiqiqiqiq"),
    )


def write(
    tx: Tx, awards: Sequence[Award], standing: dict[tuple[str, str], Standing], txid: int, *, at: datetime
) -> list[terms.Posted]:
    """Write postings, entries and lots, announce the entries, and return the answers in the order of the awards."""
    layouts = {code: layout(code) for code in {award.request.wallet_type for award in awards}}
    postings, entries, lots = [_HEAD], [_HEAD], [_HEAD]
    answers: list[terms.Posted] = []
    news: dict[int, list[bytes]] = defaultdict(list)
    recorded = _micros(at)
    recorded_part = _INSTANT(8, recorded) + _INSTANT(8, txid)
    recorded_text = at.isoformat()
    for award in awards:
        request, pid = award.request, award.posting_id
        amount, code, occurred = request.amount, request.wallet_type, _micros(request.occurred_at)
        stand = standing[award.member_hex, code]
        stand.balance += amount
        stand.version += 1
        balance, version, held = stand.balance, stand.version, stand.held
        one = layouts[code]
        member, size = request.member_id.bytes, len(one.code)
        reference = _NULL if request.reference is None else _text(request.reference)
        postings.append(one.posting.pack(5, 16, pid, 16, award.body_hash, 16, member, size, one.code, 8, version))
        entries.append(
            one.entry.pack(
                13, 16, member, size, one.code, 8, version, 16, pid, 4, b"earn", 8, amount, 8, balance, 8, held,
                16, _ISSUANCE, 8, occurred,
            )
            + recorded_part + reference
        )  # fmt: skip
        lots.append(
            one.lot.pack(
                12, 16, member, size, one.code, 8, version << LOT_SHIFT, 8, amount, 8, amount, 8, 0, 8, occurred
            )
            + _lot_tail(award, member, reference, at)
        )
        news[request.member_id.int % LANES].append(_news(award, pid.hex(), version, balance, held, recorded_text))
        movement = terms.Movement(request.member_id, code, version, amount, balance, held)
        answers.append(terms.Posted(UUID(bytes=pid), (movement,)))
    _copy(tx, "posting", _POSTING_COLUMNS, postings)
    _copy(tx, "entry", _ENTRY_COLUMNS, entries)
    _copy(tx, "lot", _LOT_COLUMNS, lots)
    for lane, items in news.items():
        tx.announce_packed(PostedAnnouncement.topic, lane, items)
    return answers


def _lot_tail(award: Award, member: bytes, reference: bytes, at: datetime) -> bytes:
    activates, expires, profile = award.activates_at, award.expires_at, award.request.profile_id
    return b"".join(
        (
            _NULL if activates is None else _INSTANT(8, _micros(activates)),
            _NULL if expires is None else _INSTANT(8, _micros(expires)),
            _TRUE if activates is not None and activates > at else _FALSE,
            b"\0\0\0\x10",
            member if profile is None else profile.bytes,
            reference,
        )
    )


def _news(award: Award, pid: str, version: int, balance: int, held: int, recorded_at: str) -> bytes:
    request = award.request
    member, posting = _dashed(award.member_hex), _dashed(pid)
    reference = "null" if request.reference is None else orjson.dumps(request.reference).decode()
    return (
        f'{{"event_id":"{posting}","lane_key":"{member}","posting_id":"{posting}","kind":"earn","member_id":"{member}",'
        f'"wallet_type":"{request.wallet_type}","version":{version},"amount":{request.amount},'
        f'"balance_after":{balance},"held_after":{held},"reference":{reference},'
        f'"occurred_at":"{request.occurred_at.isoformat()}","recorded_at":"{recorded_at}"}}'
    ).encode()


def _dashed(digits: str) -> str:
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


def _micros(at: datetime) -> int:
    since = at - _EPOCH
    return (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds


def _text(value: str) -> bytes:
    encoded = value.encode()
    return _LENGTH(len(encoded)) + encoded


def _copy(tx: Tx, table: str, columns: str, rows: list[bytes]) -> None:
    statement = f"COPY ledger.{table} ({columns}) FROM STDIN (FORMAT BINARY)"
    with tx.raw.cursor() as cursor, cursor.copy(statement) as copy:
        copy.write(b"".join(rows) + _TAIL)
