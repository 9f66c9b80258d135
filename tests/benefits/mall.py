"""Short words for benefits, rewards and stored value of named people."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from uuid import UUID, uuid4
from zoneinfo import ZoneInfo

import orjson

from changke.kernel.database import Tx
from changke.kernel.errors import Refusal
from changke.kernel.i18n import Text
from changke.kernel.ids import new_id
from changke.kernel.log import Delivered
from changke.modules.benefits import commands_entitlements as rights
from changke.modules.benefits import commands_matrix, commands_uses, commands_uses_back, reactions
from changke.modules.benefits import queries_entitlements as queries
from changke.modules.benefits import terms_entitlements as terms
from changke.modules.benefits.terms_matrix import Benefit, Counted, Layer, Matrix, Pass, Period, Share, TierShares
from changke.modules.ledger import commands as ledger
from changke.modules.ledger import queries as wallets
from changke.modules.ledger import terms as points
from changke.modules.tiers import commands as tiers
from changke.modules.tiers.events import TierChanged
from changke.modules.tiers.terms import Contribution, TierSet
from changke.modules.tiers.terms_definition import Dimension, ScoreBasis, Tier, Window

SHANGHAI = ZoneInfo("Asia/Shanghai")
NOON = datetime(2026, 3, 1, 4, tzinfo=UTC)


def day(text: str, hour: int = 12, minute: int = 0) -> datetime:
    """A local time in Shanghai on a day such as 2026-01-15."""
    one = date.fromisoformat(text)
    return datetime(one.year, one.month, one.day, hour, minute, tzinfo=SHANGHAI).astimezone(UTC)


def person(tx: Tx, *, at: datetime = NOON) -> UUID:
    """A member with one profile, which has the same id."""
    (one,) = people(tx, 1, at=at)
    return one


def people(tx: Tx, count: int, *, at: datetime = NOON) -> list[UUID]:
    members = [new_id() for _ in range(count)]
    tx.copy("identity.member", ("member_id", "created_at"), [(one, at) for one in members])
    tx.copy("identity.profile_map", ("profile_id", "member_id", "since"), [(one, one, at) for one in members])
    return members


def merge(tx: Tx, loser: UUID, winner: UUID) -> None:
    """Let the profile of one be the other's; the other way round undoes it."""
    tx.raw.execute("UPDATE identity.profile_map SET member_id = %s WHERE profile_id = %s", (winner, loser))


def no(outcome) -> tuple:
    """The code and figures of a refusal."""
    refusal: Refusal = outcome.refusal
    assert refusal.say("en") != refusal.say("zh-CN")
    return refusal.code.code, refusal.have, refusal.need


def counted(code: str, quota: int, period: Period = Period.MONTH, *, layer: Layer = Layer.UPGRADE, **more) -> Benefit:
    return Benefit(code, Text(code, "权益"), layer, Counted("counted", quota, period), **more)


def shown(code: str, *, layer: Layer = Layer.BASE, **more) -> Benefit:
    return Benefit(code, Text(code, "权益"), layer, Pass("pass"), **more)


def ladder(tx: Tx) -> TierSet:
    """Silver from 1,000 yuan in twelve months, gold from 5,000."""
    steps = (("basic", 0), ("silver", 1000), ("gold", 5000))
    levels = tuple(Tier(code, Text(code, "级"), rank, Decimal(need)) for rank, (code, need) in enumerate(steps))
    basis = ScoreBasis("score", Window("running_months", 12), spend=Dimension(Decimal(1), per=100))
    club = TierSet("club", Text("Club", "俱乐部"), "Asia/Shanghai", "CNY", levels, basis)
    return tiers.put_tier_set(tx, club, at=day("2020-01-01"))


PARKING = counted("parking", 2, cost_minor=500)
LOUNGE = counted("lounge", 4, Period.QUARTER, on_loss="end_of_period")
COUNTER = shown("priority_counter", layer=Layer.UPGRADE)
WATER = counted("water", 1, Period.DAY, layer=Layer.BASE)


def matrix(**changes) -> Matrix:
    given = {
        "code": "grocery",
        "name": Text("Grocery benefits", "商超权益"),
        "currency": "CNY",
        "time_zone": "Asia/Shanghai",
        "benefits": (WATER, PARKING, LOUNGE, COUNTER),
        "tier_set": "club",
        "base": (Share("water"), Share("parking", 1)),
        "tiers": (
            TierShares("silver", (Share("parking"), Share("priority_counter"))),
            TierShares("gold", (Share("parking", 4), Share("lounge"), Share("priority_counter"))),
        ),
    }
    return Matrix(**{**given, **changes})


class Mall:
    """A till and an app that use benefits; keeps the time and makes keys."""

    def __init__(self, tx: Tx, at: datetime = NOON, *, put: Matrix | None = None) -> None:
        self.tx = tx
        self.at = at
        ladder(tx)
        self.put(put or matrix())

    def put(self, one: Matrix):
        return commands_matrix.put_benefits(self.tx, one, at=self.at)

    def person(self) -> UUID:
        return person(self.tx)

    def buys(self, who: UUID, yuan: int) -> None:
        """Spend so much; a tier that is reached is heard of as the worker would."""
        just_before = self.at - timedelta(seconds=1)
        fact = Contribution(uuid4(), who, just_before, spend_minor=yuan * 100, orders=1)
        for change in tiers.record(self.tx, [fact], at=self.at):
            self.hears(who, change.old, change.new)

    def hears(self, who: UUID, old: str, new: str) -> None:
        news = TierChanged(new_id(), who, who, "club", old, new, "up", "spend", self.at, None)
        delivered = Delivered(TierChanged.topic, 0, 1, orjson.loads(orjson.dumps(news)))
        reactions.on_tier_changed(self.tx, [delivered], at=self.at)

    def use(self, who: UUID | None, benefit: str | None = "parking", *, key: str | None = None, **more):
        given = {"channel": "store", "occurred_at": self.at} | more
        request = terms.UseBenefit(key or uuid4().hex, who, benefit, **given)
        return commands_uses.use(self.tx, [request], at=self.at)[0]

    def claim(self, who: UUID, benefit: str = "parking", *, key: str | None = None, channel: str = "app"):
        request = terms.Claim(key or uuid4().hex, who, benefit, channel, self.at)
        return rights.claim(self.tx, [request], at=self.at)[0]

    def gives_back(self, who: UUID, use_key: str):
        request = terms.GiveBackBenefit(uuid4().hex, who, use_key, self.at)
        return commands_uses_back.give_back(self.tx, [request], at=self.at)[0]

    def passes_on(self, source: UUID, target: UUID, benefit: str, quantity: int = 1, *, key: str | None = None):
        request = terms.TransferBenefit(key or uuid4().hex, source, target, benefit, self.at, quantity)
        return commands_uses_back.transfer(self.tx, [request], at=self.at)[0]

    def grant(self, who: UUID, benefit: str, *, key: str | None = None, **more):
        request = terms.Grant(key or uuid4().hex, who, benefit, self.at, **more)
        return rights.grant(self.tx, [request], at=self.at)[0]

    def left(self, who: UUID, benefit: str = "parking") -> int | None:
        """What is left of a benefit; -1 when there is no right to it."""
        found = {one.benefit.code: one.left for one in queries.benefits_of(self.tx, [who], as_of=self.at)[who]}
        return found.get(benefit, -1)

    def later(self, **span: int) -> None:
        self.at += timedelta(**span)


def earn(tx: Tx, who: UUID, amount: int, *, at: datetime = NOON) -> None:
    ledger.earn(tx, points.Earn(uuid4().hex, who, "points", amount, at), at=at)


def balance(tx: Tx, who: UUID, wallet: str = "points", *, at: datetime = NOON) -> int:
    found = wallets.balances(tx, member_ids=[who], at=at, wallet_type=wallet)
    return found[0].available if found else 0
