"""The coupon campaigns of the demo: 27 mailings of the year, who got them, and what was redeemed, as it really was.

A mailing is one coupon template with the dates of its campaign; everybody who got it holds one coupon, a booklet that
works as often as there are coupons in it. Every redemption of the data is one use, on its day.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import Any
from uuid import UUID

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from changke.kernel.clock import Clock
from changke.kernel.crypto import KeyRing
from changke.kernel.database import Database, Tx
from changke.kernel.i18n import Text
from changke.kernel.ids import derived_id
from changke.modules.benefits import commands_coupons as coupons
from changke.modules.benefits.terms_coupons import Done, Issue, OnReturn, Template, Use, Validity
from changke.modules.identity import queries as identity
from changke.modules.identity.terms import Identifier

HOUSEHOLD = "household_id"
BATCH = 5_000
BOOKLET_USES = 100
ZONE = "UTC"


@dataclass(frozen=True, slots=True)
class CouponsLoaded:
    """What stands of coupons; a second run changes nothing. What they took off is that of the baskets, in cents."""

    mailings: int
    issued: int
    redeemed: int
    brand_minor: int
    store_minor: int


def template_code(campaign: int) -> str:
    """Return the code of a mailing's template."""
    return f"mailing-{campaign:02d}"


def load(database: Database, clock: Clock, keyring: KeyRing, data: Path, *, shift: timedelta) -> CouponsLoaded:
    """Make the templates, hand the booklets out and redeem what was redeemed, all dates moved by `shift`."""
    campaigns = _read(data, "campaign_descriptions")
    begun = {one["campaign_id"]: one["start_date"].replace(tzinfo=UTC) + shift for one in campaigns}
    at = clock.now()
    with database.transaction() as tx:
        for one in campaigns:
            coupons.put_template(tx, _template(one, shift), at=at)
    households = _profiles(database, keyring, _read(data, "campaigns", HOUSEHOLD))
    held: dict[tuple[int, int], str] = {}
    issued = 0
    for batch in _batches(_read(data, "campaigns")):
        known = [one for one in batch if one[HOUSEHOLD] in households]
        with database.transaction() as tx:
            answers = coupons.issue(tx, [_issue(one, households, begun) for one in known], at=at)
        for one, answer in zip(known, answers, strict=True):
            assert isinstance(answer, Done), answer
            issued += len(answer.coupons)
            held[one[HOUSEHOLD], one["campaign_id"]] = answer.coupons[0].code
    redeemed = 0
    for batch in _batches(_read(data, "coupon_redemptions")):
        uses = [_use(number, one, held, households, shift) for number, one in enumerate(batch, start=redeemed)]
        with database.transaction() as tx:
            answers = coupons.use(tx, uses, at=at)
        redeemed += sum(isinstance(answer, Done) for answer in answers)
    brand, store = (_cents(data, column) for column in ("coupon_disc", "coupon_match_disc"))
    return CouponsLoaded(len(campaigns), issued, redeemed, brand, store)


def _cents(data: Path, column: str) -> int:
    total: float = pc.sum(pq.read_table(data / "transactions.parquet", columns=[column])[column]).as_py()
    return round(100 * total)


def _template(one: dict[str, Any], shift: timedelta) -> Template:
    number, kind = one["campaign_id"], one["campaign_type"].removeprefix("Type ")
    since, until = one["start_date"] + shift, one["end_date"] + shift + timedelta(days=1)
    return Template(
        code=template_code(number),
        name=Text(f"Mailing {number} (type {kind})", f"第 {number} 期邮寄券册（{kind} 类）"),
        uses=BOOKLET_USES,
        validity=Validity(starts_at=since, ends_at=until),
        time_zone=ZONE,
        visible=False,
        member_only=True,
        on_return=OnReturn.KEEP_USED,
        cost_owner="brand",
    )


def _issue(one: dict[str, Any], households: dict[int, UUID], begun: dict[int, datetime]) -> Issue:
    household, campaign = one[HOUSEHOLD], one["campaign_id"]
    return Issue(
        key=f"demo:mailing:{campaign}:{household}",
        profile_id=households[household],
        template=template_code(campaign),
        quantity=1,
        occurred_at=begun[campaign],
        reference=f"campaign-{campaign}",
    )


def _use(
    number: int,
    one: dict[str, Any],
    held: dict[tuple[int, int], str],
    households: dict[int, UUID],
    shift: timedelta,
) -> Use:
    household, campaign = one[HOUSEHOLD], one["campaign_id"]
    return Use(
        session_id=None,
        code=held[household, campaign],
        member_id=households[household],
        order_id=derived_id("demo-redemption", str(household), str(one["coupon_upc"]), str(number)),
        occurred_at=one["redemption_date"].replace(tzinfo=UTC) + shift + timedelta(hours=12),
    )


def _profiles(database: Database, keyring: KeyRing, rows: Iterable[dict[str, Any]]) -> dict[int, UUID]:
    """Return the profile of every household that ever bought something."""
    with database.snapshot() as tx:
        return {
            household: profile
            for household in sorted({one[HOUSEHOLD] for one in rows})
            if (profile := _find(tx, household, keyring))
        }


def _find(tx: Tx, household: int, keyring: KeyRing) -> UUID | None:
    return identity.find(tx, Identifier(HOUSEHOLD, str(household)), keyring)


def _read(data: Path, name: str, *columns: str) -> list[dict[str, Any]]:
    table = pq.read_table(data / f"{name}.parquet", columns=list(columns) or None)
    for number, field in enumerate(table.schema):
        if pa.types.is_timestamp(field.type):
            table = table.set_column(number, field.name, table[number].cast(pa.timestamp("us")))
    rows: list[dict[str, Any]] = table.to_pylist()
    return rows


def _batches(rows: Sequence[dict[str, Any]]) -> Iterable[list[dict[str, Any]]]:
    left = iter(rows)
    while batch := list(islice(left, BATCH)):
        yield batch
