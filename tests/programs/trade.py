"""People, orders and small programmes for the stories about decisions."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from changke.kernel.crypto import KeyRing
from changke.kernel.database import Tx
from changke.kernel.ids import new_id
from changke.modules.activity.terms import Behaviour, OrderPlaced, OrderReturned
from changke.modules.identity import commands as identity
from changke.modules.identity.terms import Identifier, Sighting
from changke.modules.ledger import commands as ledger
from changke.modules.ledger import queries as wallets
from changke.modules.programs import commands_versions as versions
from changke.modules.programs.rules import documents

NOON = datetime(2026, 3, 1, 4, tzinfo=UTC)
JANUARY = datetime(2026, 1, 10, 2, tzinfo=UTC)
EVER = datetime(2000, 1, 1, tzinfo=UTC)


def rule(code: str, *effects: dict[str, Any], on: str = "order", **parts: Any) -> dict[str, Any]:
    """A rule on orders, one point a yuan where no effect is given."""
    trigger = {"kind": on, **parts.pop("trigger", {})}
    credit = {"kind": "credit", "points_per_unit": "1"}
    return {
        "code": code,
        "name": {"en": code, "zh": parts.pop("zh", "规则")},
        "trigger": trigger,
        "effects": list(effects) or [credit],
        **parts,
    }


def credit(points: int | None = None, rate: str | None = None, wallet: str = "points", **more: Any) -> dict[str, Any]:
    """Points once, or for each yuan."""
    found: dict[str, Any] = {"kind": "credit", "wallet": wallet, **more}
    return found | ({"points": points} if points is not None else {"points_per_unit": rate or "1"})


def document(*rules: dict[str, Any], code: str = "shop", limits: Sequence[Any] = (), **parts: Any) -> dict[str, Any]:
    """A programme of one campaign."""
    campaign = {"code": "base", "name": {"en": "base", "zh": "基础"}, "rules": list(rules) or [rule("base")]}
    if limits:
        campaign["limits"] = list(limits)
    return {
        "code": code,
        "name": {"en": "Shop", "zh": "小店"},
        "currency": "CNY",
        "time_zone": "Asia/Shanghai",
        "campaigns": [campaign],
        **parts,
    }


def publish(tx: Tx, wanted: dict[str, Any], *, at: datetime = NOON, since: datetime | None = None) -> int:
    """Publish a programme, or its next version at `since`; returns its number."""
    parsed = documents.parse(wanted)
    first = versions.publish_first(tx, parsed, actor="ben", at=at, effective_from=since or EVER)
    if first.version == 1 and first.published_at == at and first.digest == _digest(tx, parsed.code, 1, parsed):
        return 1
    draft = versions.put_draft(tx, parsed, author="anna", at=at)
    versions.submit(tx, parsed.code, draft.version, actor="anna", at=at)
    warnings = ("unlimited_credit", "shadowed_rule", "never_true", "unlimited_discount")
    versions.approve(
        tx, parsed.code, draft.version, approver="ben", at=at, acknowledged=warnings, without_simulation="a test"
    )
    return versions.publish(tx, parsed.code, draft.version, actor="ben", at=at, effective_from=since).version


def _digest(tx: Tx, code: str, number: int, parsed: Any) -> str:
    row = tx.raw.execute(
        "SELECT digest, document FROM programs.version WHERE program = %s AND version = %s", (code, number)
    ).fetchone()
    assert row is not None
    return str(row[0]) if documents.load(row[1]) == parsed else ""


def opened(tx: Tx, *rules: dict[str, Any], **parts: Any) -> Tx:
    """A house with its wallet types and a programme."""
    ledger.install_wallet_types(tx, at=NOON)
    publish(tx, document(*rules, **parts))
    return tx


def member(tx: Tx, name: str, keyring: KeyRing) -> UUID:
    """Somebody with a card."""
    card = Identifier("card_number", f"CARD-{name.upper()}")
    [resolved] = identity.resolve(tx, [Sighting((card,), "till", f"sign-up-{name}")], at=NOON, keyring=keyring)
    assert not isinstance(resolved, Exception)
    return resolved.profile_id


def line(net_minor: int, sku: str = "tea", *, quantity: int = 1, category: str | None = None, **more: Any) -> Any:
    """A line of an order."""
    found = {"sku": sku, "quantity": quantity, "net_minor": net_minor, **more}
    return found | ({"category": category} if category else {})


def order(
    profile_id: UUID, *lines: Any, net_minor: int | None = None, at: datetime = JANUARY, **more: Any
) -> OrderPlaced:
    """An order of some lines, or of one sum."""
    fact_id = new_id()
    net = sum(one["net_minor"] for one in lines) if net_minor is None else net_minor
    fields = {"store": None, "channel": None, "currency": "CNY", "shipping_minor": 0, "source": "till"} | more
    return OrderPlaced(
        fact_id, profile_id, fields["source"], str(fact_id), fields["store"], fields["channel"], fields["currency"],
        net, net, net, fields["shipping_minor"], at, tuple(lines),
    )  # fmt: skip


def given_back(
    sale: OrderPlaced, kept_minor: int, *, refund_minor: int = 0, at: datetime | None = None
) -> OrderReturned:
    """A part of an order comes back."""
    return OrderReturned(
        new_id(), sale.profile_id, "till", sale.fact_id, sale.order_number, None, sale.currency, refund_minor,
        sale.net_minor, kept_minor, sale.occurred_at, at or sale.occurred_at + timedelta(days=1),
    )  # fmt: skip


def did(profile_id: UUID, kind: str, *, at: datetime = JANUARY, **payload: Any) -> Behaviour:
    """Something somebody did."""
    return Behaviour(new_id(), profile_id, "app", kind, "app", at, payload)


def balance(tx: Tx, member_id: UUID, wallet: str = "points", *, at: datetime = NOON) -> int:
    """What is in a wallet."""
    found = wallets.balances(tx, member_ids=[member_id], at=at, wallet_type=wallet)
    return found[0].balance if found else 0


def given(effects: Any, fact: Any) -> list[tuple[str, Any]]:
    """The points effects of a fact, in short."""
    key = getattr(fact, "occasion_id", None) or fact.fact_id
    return [(one.kind, one.data.get("points")) for one in effects.get(key, ())]
