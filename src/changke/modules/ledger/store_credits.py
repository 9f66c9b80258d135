"""Writes of the straight lane: one statement for the wallets, one binary COPY each for postings, entries and lots.

Rows are packed by hand because at this rate the text form of an instant or an identifier costs more than its storage.
The announcement of every entry is made in the same pass.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from struct import Struct
from typing import Any
from uuid import UUID

import orjson

from changke.kernel.database import Tx
from changke.kernel.log import LANES
from changke.modules.ledger import terms
from changke.modules.ledger.events import PostedAnnouncement
from changke.modules.ledger.rules.credits import Award

Sums = dict[tuple[str, str], tuple[int, int]]  # of (member in hex, wallet type): points and postings, in lock order

_HEAD = b"PGCOPY\n\xff\r\n\0" + bytes(8)
_TAIL = b"\xff\xff"
FEW = 100
_NULL = b"\xff\xff\xff\xff"
_EPOCH = datetime(2000, 1, 1, tzinfo=UTC)
_INSTANT = Struct(">iq").pack
_LENGTH = Struct(">i").pack
_SIXTEEN = b"\0\0\0\x10"
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
    posting: Callable[..., bytes]
    entry: Callable[..., bytes]
    lot: Callable[..., bytes]


class InDebt(Exception):
    """A wallet of the batch owes points: its lots have to be looked at."""


def credit(tx: Tx, awards: Sequence[Award], sums: Sums, *, at: datetime) -> list[terms.Posted]:
    """Credit the wallets and write everything else by COPY; returns the answers in the order of the awards."""
    standing, txid = _credit_wallets(tx, sums)
    return _write(tx, awards, standing, txid, at=at)


def _credit_wallets(tx: Tx, sums: Sums) -> tuple[dict[tuple[str, str], Standing], int]:
    """Create, lock and credit wallets in order; returns how each stood before and the transaction's number."""
    rows = tx.raw.execute(
        "INSERT INTO ledger.wallet AS w (member_id, wallet_type, balance, version)"
        " SELECT * FROM unnest(%s::uuid[], %s::text[], %s::bigint[], %s::bigint[])"
        " ON CONFLICT (member_id, wallet_type) DO UPDATE"
        " SET balance = w.balance + excluded.balance, version = w.version + excluded.version"
        " RETURNING balance, held, debt, version, pg_current_xact_id()::text::bigint",
        (
            _array(member for member, _ in sums),
            _array(code for _, code in sums),
            _array(str(points) for points, _ in sums.values()),
            _array(str(count) for _, count in sums.values()),
        ),
        binary=True,
    ).fetchall()
    return _standing(sums, rows), rows[0][4]


def _standing(sums: Sums, rows: Iterable[tuple[Any, ...]]) -> dict[tuple[str, str], Standing]:
    """Return how wallets stood before, given (balance, held, debt, version, ...) after, in the same order."""
    standing = {}
    for (key, (points, count)), (balance, held, debt, version, *_) in zip(sums.items(), rows, strict=True):
        if debt:
            raise InDebt
        standing[key] = Standing(balance - points, held, version - count)
    return standing


def _array(values: Iterable[str]) -> str:
    """Return an array literal of identifiers or numbers, ten times faster than the driver's adapter."""
    return "{" + ",".join(values) + "}"


def layout(code: str) -> Layout:
    """Return the packers for a wallet type."""
    name = code.encode()
    size = len(name)
    return Layout(
        name,
        Struct(f">hi16si16si16si{size}siq").pack,
        Struct(f">hi16si{size}siqi16si4siqiqiqi16siq").pack,
        Struct(f">hi16si{size}siqiqiqiqiq").pack,
    )


def _write(
    tx: Tx, awards: Sequence[Award], standing: dict[tuple[str, str], Standing], txid: int, *, at: datetime
) -> list[terms.Posted]:
    """Write postings, entries and lots, announce the entries, and return the answers in the order of the awards."""
    layouts = {code: layout(code) for code in {award.request.wallet_type for award in awards}}
    postings: list[bytes] = []
    entries: list[bytes] = []
    lots: list[bytes] = []
    answers: list[terms.Posted] = []
    news: dict[int, list[bytes]] = defaultdict(list)
    recorded = _INSTANT(8, _micros(at)) + _INSTANT(8, txid)
    recorded_text = at.isoformat()
    validity = _Validity(at)
    for award in awards:
        request, pid, member = award.request, award.posting_id, award.member
        amount, code, occurred = request.amount, request.wallet_type, _micros(request.occurred_at)
        stand = standing[award.member_hex, code]
        stand.balance = balance = stand.balance + amount
        stand.version = version = stand.version + 1
        held, one = stand.held, layouts[code]
        name, size = one.code, len(one.code)
        reference = _NULL if request.reference is None else _text(request.reference)
        postings.append(one.posting(5, 16, pid, 16, award.body_hash, 16, member, size, name, 8, version))
        entries.append(
            one.entry(
                13, 16, member, size, name, 8, version, 16, pid, 4, b"earn", 8, amount, 8, balance, 8, held,
                16, _ISSUANCE, 8, occurred,
            ) + recorded + reference
        )  # fmt: skip
        profile = member if request.profile_id is None else request.profile_id.bytes
        lots.append(
            one.lot(12, 16, member, size, name, 8, version << 16, 8, amount, 8, amount, 8, 0, 8, occurred)
            + validity.packed(award) + _SIXTEEN + profile + reference
        )  # fmt: skip
        news[member[15] % LANES].append(_news(award, stand, recorded_text))
        movement = terms.Movement(request.member_id, code, version, amount, balance, held)
        answers.append(terms.Posted(UUID(bytes=pid), (movement,)))
    _copy(tx, "posting", _POSTING_COLUMNS, postings)
    _copy(tx, "entry", _ENTRY_COLUMNS, entries)
    _copy(tx, "lot", _LOT_COLUMNS, lots)
    for lane, items in news.items():
        tx.announce_packed(PostedAnnouncement.topic, lane, items)
    return answers


class _Validity:
    """Packs activation, expiry and whether the activation is still due; most awards have those of the one before."""

    def __init__(self, at: datetime) -> None:
        self._at = at
        self._last: tuple[datetime | None, datetime | None, bytes] = None, None, _NULL + _NULL + _FALSE

    def packed(self, award: Award) -> bytes:
        """Return the three fields of an award's lot."""
        activates, expires = award.activates_at, award.expires_at
        if activates is not self._last[0] or expires is not self._last[1]:
            start = _NULL if activates is None else _INSTANT(8, _micros(activates))
            end = _NULL if expires is None else _INSTANT(8, _micros(expires))
            due = _TRUE if activates is not None and activates > self._at else _FALSE
            self._last = activates, expires, start + end + due
        return self._last[2]


def credit_few(tx: Tx, awards: Sequence[Award], sums: Sums, *, at: datetime) -> list[terms.Posted]:
    """Do what `credit` does in one statement: four cost more round trips than a few rows are worth."""
    rows = [_few(award, at) for award in awards]
    left = dict(sums)
    for row, award in zip(rows, awards, strict=True):
        key = award.member_hex, award.request.wallet_type
        points, count = left[key]
        left[key] = points, count = points - award.request.amount, count - 1
        row += (str(points), str(count))
    wallets = (
        [member for member, _ in sums], [code for _, code in sums],
        [str(points) for points, _ in sums.values()], [str(count) for _, count in sums.values()],
    )  # fmt: skip
    columns = map(_array, (*zip(*rows, strict=True), *wallets))
    after = tx.raw.execute(_FEW, (*columns, terms.ISSUANCE, at), binary=True).fetchall()
    standing, recorded_text = _standing(sums, after), at.isoformat()
    answers: list[terms.Posted] = []
    for award in awards:
        request, stand = award.request, standing[award.member_hex, award.request.wallet_type]
        stand.balance += request.amount
        stand.version += 1
        movement = terms.Movement(
            request.member_id, request.wallet_type, stand.version, request.amount, stand.balance, stand.held
        )
        answers.append(terms.Posted(UUID(bytes=award.posting_id), (movement,)))
        tx.announce_packed(PostedAnnouncement.topic, award.member[15] % LANES, [_news(award, stand, recorded_text)])
    return answers


def _few(award: Award, at: datetime) -> list[str]:
    """Return an award's row for `_FEW`, as elements of array literals, without what depends on the others."""
    request, activates, expires = award.request, award.activates_at, award.expires_at
    return [
        award.posting_id.hex(), award.body_hash.hex(), award.member_hex, request.wallet_type, str(request.amount),
        award.occurred_text,
        "NULL" if activates is None else activates.isoformat(),
        "NULL" if expires is None else expires.isoformat(),
        "t" if activates is not None and activates > at else "f",
        award.member_hex if request.profile_id is None else request.profile_id.hex,
        "NULL" if request.reference is None else _element(request.reference),
    ]  # fmt: skip


def _element(text: str) -> str:
    """Return a text as an element of an array literal."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


# A balance in the middle of the batch is the wallet's at its end, less what the rest of the batch brings.
_FEW = """
WITH a AS MATERIALIZED (
    SELECT * FROM unnest(%s::uuid[], %s::uuid[], %s::uuid[], %s::text[], %s::bigint[], %s::timestamptz[],
                         %s::timestamptz[], %s::timestamptz[], %s::boolean[], %s::uuid[], %s::text[], %s::bigint[],
                         %s::bigint[])
        AS a(posting_id, body_hash, member_id, wallet_type, amount, occurred_at, activates_at, expires_at, due,
             profile_id, reference, points_after, count_after)
), w AS (
    INSERT INTO ledger.wallet AS w (member_id, wallet_type, balance, version)
    SELECT * FROM unnest(%s::uuid[], %s::text[], %s::bigint[], %s::bigint[])
    ON CONFLICT (member_id, wallet_type) DO UPDATE
       SET balance = w.balance + excluded.balance, version = w.version + excluded.version
    RETURNING member_id, wallet_type, balance, held, debt, version
), u AS MATERIALIZED (
    SELECT a.*, w.version - a.count_after AS version, w.balance - a.points_after AS balance, w.held
      FROM a JOIN w ON w.member_id = a.member_id AND w.wallet_type = a.wallet_type
), p AS (
    INSERT INTO ledger.posting (posting_id, body_hash, owner_id, wallet_type, version)
    SELECT posting_id, body_hash, member_id, wallet_type, version FROM u
), e AS (
    INSERT INTO ledger.entry (member_id, wallet_type, version, posting_id, kind, amount, balance_after, held_after,
                              counter_id, occurred_at, recorded_at, txid, reference)
    SELECT member_id, wallet_type, version, posting_id, 'earn', amount, balance, held, %s, occurred_at, %s,
           pg_current_xact_id()::text::bigint, reference FROM u
), l AS (
    INSERT INTO ledger.lot (member_id, wallet_type, lot_id, amount, remaining, held, awarded_at, activates_at,
                            expires_at, activation_due, profile_id, reference)
    SELECT member_id, wallet_type, version << 16, amount, amount, 0, occurred_at, activates_at, expires_at, due,
           profile_id, reference FROM u
)
SELECT balance, held, debt, version FROM w
"""


def _news(award: Award, stand: Standing, recorded_text: str) -> bytes:
    """Return the announcement of an award's entry, as its dataclass would be serialised."""
    request = award.request
    return (
        f'{{"posting_id":"{_dashed(award.posting_id.hex())}","kind":"earn",'
        f'"member_id":"{_dashed(award.member_hex)}","wallet_type":"{request.wallet_type}","version":{stand.version},'
        f'"amount":{request.amount},"balance_after":{stand.balance},"held_after":{stand.held},'
        f'"reference":{_quoted(request.reference)},"occurred_at":"{award.occurred_text}",'
        f'"recorded_at":"{recorded_text}"}}'
    ).encode()


def _quoted(value: str | None) -> str:
    return "null" if value is None else orjson.dumps(value).decode()


def _dashed(digits: str) -> str:
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


def _micros(at: datetime) -> int:
    since = at - _EPOCH
    return (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds


def _text(value: str) -> bytes:
    encoded = value.encode()
    return _LENGTH(len(encoded)) + encoded


def _copy(tx: Tx, table: str, columns: str, rows: list[bytes]) -> None:
    """COPY packed rows in the order of their keys, with which they begin: neighbours share pages of the index."""
    statement = f"COPY ledger.{table} ({columns}) FROM STDIN (FORMAT BINARY)"
    rows.sort()
    with tx.raw.cursor() as cursor, cursor.copy(statement) as copy:
        copy.write(b"".join((_HEAD, *rows, _TAIL)))
