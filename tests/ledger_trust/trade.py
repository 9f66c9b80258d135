"""A small year of trade through the ledger's door: every verb, three members, enough to audit and to report on."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from uuid import UUID

from changke.kernel.database import Tx
from changke.modules.ledger import commands as ledger
from changke.modules.ledger import terms
from changke.modules.ledger.terms import (
    Adjust,
    Capture,
    Clawback,
    Earn,
    Exchange,
    Hold,
    PoolRedeem,
    Posted,
    Redeem,
    Release,
    Reverse,
    Transfer,
)

ANNA, BEN, CHEN = (UUID(f"01950000-0000-7000-8000-00000000b00{number}") for number in (1, 2, 3))
NEW_YEAR = datetime(2026, 1, 5, 4, tzinfo=UTC)


def trade(tx: Tx, *, start: datetime = NEW_YEAR, months: int = 4, seed: int = 7) -> list[str]:
    """Trade for some months; returns the keys that were accepted."""
    ledger.install_wallet_types(tx, at=start)
    luck, accepted, taken = random.Random(seed), list[str](), list[UUID]()
    for number in range(months * 15):
        at = start + timedelta(days=2 * number)
        one = next_request(luck, number, at, taken)
        (outcome,) = ledger.post(tx, [one], at=at)
        if isinstance(outcome, Posted):
            accepted.append(one.key)
            if isinstance(one, Redeem):
                taken.append(outcome.posting_id)
            if isinstance(one, Hold):
                ending = luck.choice([Capture, Release, None])
                if ending:
                    ledger.post(tx, [ending(f"end:{number}", outcome.posting_id, at + timedelta(hours=1))], at=at)
    return accepted


def next_request(luck: random.Random, number: int, at: datetime, taken: list[UUID]) -> terms.Request:
    """Pick what happens next; half of it is earning."""
    member, other = luck.sample([ANNA, BEN, CHEN], 2)
    key, points = f"trade:{number}", luck.randint(20, 300)
    reference = f"order {number}"
    match luck.randint(0, 15):
        case 0:
            return Hold(key, member, "points", points, 3600, at)
        case 1:
            return Transfer(key, member, other, "points", points, at)
        case 2:
            return Clawback(key, member, "points", points, f"order {luck.randint(0, number)}", at)
        case 3:
            return Adjust(key, member, "points", luck.choice([-1, 1]) * points, "counted again", "clerk", at)
        case 4:
            return Exchange(key, member, "points", "social", points, Fraction(1, 2), at)
        case 5:
            return PoolRedeem(key, UUID(int=99), (ANNA, BEN, CHEN), member, "points", points, at)
        case 6 if taken:
            return Reverse(key, luck.choice(taken), at)
        case 7 | 8 | 9:
            return Redeem(key, member, "points", points, at, reference)
        case _:
            return Earn(key, member, "points", 2 * points, at, reference)
