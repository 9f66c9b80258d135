"""Members, tier sets and purchases for the stories about tiers."""

from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from uuid import UUID, uuid4
from zoneinfo import ZoneInfo

import pytest

from changke.kernel.database import Tx
from changke.kernel.i18n import Text
from changke.modules.tiers import commands, queries
from changke.modules.tiers.terms import Contribution, TierSet
from changke.modules.tiers.terms_definition import Dimension, ScoreBasis, Tier, Window

SHANGHAI = ZoneInfo("Asia/Shanghai")
NOON = time(12)


def moment(text: str, at: time = NOON) -> datetime:
    """Noon in Shanghai on a day such as 2026-01-15."""
    return datetime.combine(date.fromisoformat(text), at, SHANGHAI).astimezone(UTC)


def after(day: str) -> datetime:
    """Right after what happened at noon of a day."""
    return moment(day) + timedelta(microseconds=1)


def tiers(*steps: tuple[str, int]) -> tuple[Tier, ...]:
    return tuple(Tier(code, Text(code, "级"), rank, Decimal(need)) for rank, (code, need) in enumerate(steps))


def yuan_set(**changes) -> TierSet:
    """One point of score for each yuan spent in twelve months; Silver from 1,000, Gold from 5,000."""
    given = {
        "code": "club",
        "name": Text("Club", "俱乐部"),
        "time_zone": "Asia/Shanghai",
        "currency": "CNY",
        "tiers": tiers(("basic", 0), ("silver", 1000), ("gold", 5000)),
        "basis": ScoreBasis("score", Window("running_months", 12), spend=Dimension(Decimal(1), per=100)),
    }
    return TierSet(**{**given, **changes})


def new_member(tx: Tx) -> UUID:
    """A member with one profile, which has the same id."""
    one = uuid4()
    add_members(tx, [one])
    return one


def add_members(tx: Tx, members) -> None:
    at = moment("2020-01-01")
    tx.copy("identity.member", ("member_id", "created_at"), [(one, at) for one in members])
    tx.copy("identity.profile_map", ("profile_id", "member_id", "since"), [(one, one, at) for one in members])


def map_profile(tx: Tx, profile: UUID, member: UUID) -> None:
    tx.raw.execute("UPDATE identity.profile_map SET member_id = %s WHERE profile_id = %s", (member, profile))


def bought(profile: UUID, day: str | datetime, yuan, **more) -> Contribution:
    at = moment(day) if isinstance(day, str) else day
    return Contribution(uuid4(), profile, at, spend_minor=round(yuan * 100), orders=1 if yuan > 0 else 0, **more)


class Shop:
    """Says what people buy and asks where they stand."""

    def __init__(self, tx: Tx, tier_set: TierSet) -> None:
        self.tx = tx
        self.tier_set = commands.put_tier_set(tx, tier_set, at=moment("2020-01-01"))

    def buys(self, member: UUID, day: str, yuan, *, heard: str | None = None):
        return commands.record(self.tx, [bought(member, day, yuan)], at=moment(heard or day) + timedelta(minutes=1))

    def standing(self, member: UUID, day: str | None = None, at: time = time(23)):
        as_of = moment(day, at) if day else moment("2199-01-01")
        return queries.standings(self.tx, [member], tier_set=self.tier_set.code, as_of=as_of)[member]

    def tier(self, member: UUID, day: str | None = None, at: time = time(23)) -> str:
        return self.standing(member, day, at).tier


@pytest.fixture
def shop(tx):
    return lambda tier_set=None: Shop(tx, tier_set or yuan_set())


@pytest.fixture
def anna(tx) -> UUID:
    return new_member(tx)


@pytest.fixture
def ben(tx) -> UUID:
    return new_member(tx)
