from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from itertools import count
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest

from changke.kernel.database import Tx
from changke.kernel.ids import new_id
from changke.modules.ledger import commands, queries, terms, wallet_types
from changke.modules.ledger.wallet_types import ExpiryKind, ExpiryPolicy, WalletType

SHANGHAI = ZoneInfo("Asia/Shanghai")
NOON = datetime(2026, 3, 1, 4, tzinfo=UTC)


def day(text: str) -> datetime:
    """Noon in Shanghai on a day."""
    return datetime.fromisoformat(f"{text}T12:00:00").replace(tzinfo=SHANGHAI).astimezone(UTC)


class Shop:
    """A till with a ledger: keeps the time and makes keys."""

    def __init__(self, tx: Tx, at: datetime = NOON) -> None:
        self.tx = tx
        self.at = at
        self._keys = count()
        self._names: dict[UUID, str] = {}

    def person(self, name: str) -> UUID:
        member = new_id()
        self._names[member] = name
        return member

    def key(self) -> str:
        return f"till:{next(self._keys)}"

    def install(self, code: str = "points", **changes: object) -> WalletType:
        base = next(one for one in wallet_types.SHIPPED if one.code == "points")
        made = replace(base, code=code, **changes)
        commands.install_wallet_types(self.tx, [made], at=self.at)
        return made

    def post(self, *requests: terms.Request) -> list[terms.Outcome]:
        return commands.post(self.tx, requests, at=self.at)

    def earn(self, who: UUID, amount: int, **more) -> terms.Posted:
        more = {"key": self.key(), "wallet_type": "points", "occurred_at": self.at} | more
        return commands.earn(self.tx, terms.Earn(member_id=who, amount=amount, **more), at=self.at)

    def redeem(self, who: UUID, amount: int, **more) -> terms.Posted:
        more = {"key": self.key(), "wallet_type": "points", "occurred_at": self.at} | more
        return commands.redeem(self.tx, terms.Redeem(member_id=who, amount=amount, **more), at=self.at)

    def hold(self, who: UUID, amount: int, ttl: int = 900, **more) -> UUID:
        more = {"key": self.key(), "wallet_type": "points", "occurred_at": self.at} | more
        request = terms.Hold(member_id=who, amount=amount, ttl_seconds=ttl, **more)
        return commands.hold(self.tx, request, at=self.at).posting_id

    def capture(self, hold: UUID, amount: int | None = None) -> terms.Posted:
        return commands.capture(self.tx, terms.Capture(self.key(), hold, self.at, amount), at=self.at)

    def release(self, hold: UUID) -> terms.Posted:
        return commands.release(self.tx, terms.Release(self.key(), hold, self.at), at=self.at)

    def reverse(self, posting: UUID, amount: int | None = None) -> terms.Posted:
        return commands.reverse(self.tx, terms.Reverse(self.key(), posting, self.at, amount), at=self.at)

    def clawback(self, who: UUID, amount: int, reference: str, **more) -> terms.Posted:
        more = {"wallet_type": "points", "occurred_at": self.at} | more
        request = terms.Clawback(self.key(), who, amount=amount, reference=reference, **more)
        return commands.clawback(self.tx, request, at=self.at)

    def transfer(self, source: UUID, target: UUID, amount: int) -> terms.Posted:
        request = terms.Transfer(self.key(), source, target, "points", amount, self.at)
        return commands.transfer(self.tx, request, at=self.at)

    def expire(self) -> int:
        total = 0
        while done := commands.expire(self.tx, at=self.at, limit=10):
            total += done
        return total

    def balance(self, who: UUID, wallet_type: str = "points") -> terms.Balance:
        found = queries.balances(self.tx, member_ids=[who], at=self.at, wallet_type=wallet_type)
        return found[0] if found else terms.Balance(who, wallet_type, 0, 0, 0, 0, 0, 0, 0)

    def lots(self, who: UUID, wallet_type: str = "points") -> list[tuple[str | None, int]]:
        rows = self.tx.raw.execute(
            "SELECT reference, remaining FROM ledger.lot WHERE member_id = %s AND wallet_type = %s ORDER BY lot_id",
            (who, wallet_type),
        )
        return [(row[0], row[1]) for row in rows]

    def audit(self) -> None:
        """Everything the ledger promises, of every wallet there is."""
        audit(self.tx)


def audit(tx: Tx) -> None:
    broken = tx.raw.execute(
        "SELECT w.* FROM ledger.wallet w LEFT JOIN LATERAL (SELECT coalesce(sum(remaining), 0) AS remaining,"
        " coalesce(sum(held), 0) AS held FROM ledger.lot l WHERE l.member_id = w.member_id"
        " AND l.wallet_type = w.wallet_type) l ON true LEFT JOIN LATERAL (SELECT coalesce(sum(amount), 0) AS amount,"
        " count(*) AS entries, coalesce(max(version), 0) AS version FROM ledger.entry e"
        " WHERE e.member_id = w.member_id AND e.wallet_type = w.wallet_type) e ON true"
        " WHERE l.remaining <> w.balance + w.debt OR l.held <> w.held OR e.amount <> w.balance"
        " OR e.entries <> w.version OR e.version <> w.version"
    ).fetchall()
    assert broken == []
    running = tx.raw.execute(
        "SELECT * FROM (SELECT member_id, wallet_type, version, balance_after, sum(amount) OVER"
        " (PARTITION BY member_id, wallet_type ORDER BY version) AS summed FROM ledger.entry) r"
        " WHERE balance_after <> summed"
    ).fetchall()
    assert running == []
    unbalanced = tx.raw.execute(
        "SELECT posting_id, wallet_type FROM ledger.leg GROUP BY 1, 2 HAVING sum(amount) <> 0"
    ).fetchall()
    assert unbalanced == []
    hidden = tx.raw.execute(
        "SELECT * FROM ledger.wallet w JOIN ledger.lot l USING (member_id, wallet_type)"
        " WHERE l.remaining > 0 AND l.lot_id < w.live_from"
    ).fetchall()
    assert hidden == []


@pytest.fixture
def shop(tx: Tx):
    till = Shop(tx)
    commands.install_wallet_types(tx, at=till.at)
    yield till
    till.audit()


@pytest.fixture
def refused() -> Callable[..., object]:
    """Expect a refusal by its code; gives the refusal for its figures."""
    from contextlib import contextmanager

    from changke.kernel.errors import Refusal

    @contextmanager
    def expect(code, **figures):
        with pytest.raises(Refusal) as caught:
            yield caught
        assert caught.value.code.code == code.code
        for name, value in figures.items():
            assert getattr(caught.value, name) == value
        assert caught.value.say("en") != caught.value.say("zh-CN")

    return expect


NEVER = ExpiryPolicy(ExpiryKind.NEVER)
