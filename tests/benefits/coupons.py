"""Short words for coupons of named people."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

from changke.kernel import audit
from changke.kernel.database import Database, Tx
from changke.kernel.i18n import Text
from changke.modules.benefits import commands_coupons as coupons
from changke.modules.benefits.queries_audit import COUPON_CHECKS
from changke.modules.benefits.terms_coupons import Asked, Done, Issue, Refused, Template, Validity

NOON = datetime(2026, 3, 1, 4, tzinfo=UTC)
SOON = NOON + timedelta(minutes=15)


def template(code: str = "ten-off", **parts) -> Template:
    parts = {"validity": Validity(days=30)} | parts
    return Template(code, Text("10 off", "立减十元"), **parts)


def put(tx: Tx, *, at: datetime = NOON, **parts) -> Template:
    return coupons.put_template(tx, template(**parts), at=at).template


def give(tx: Tx, profile, kind: Template, *, key="k1", quantity=1, at=NOON) -> list[str]:
    """Issue coupons and return their codes."""
    outcome = good(coupons.issue(tx, [Issue(key, profile, kind.code, quantity, at)], at=at)[0])
    return [one.code for one in outcome.coupons]


def good(outcome) -> Done:
    assert isinstance(outcome, Done), outcome.refusal
    return outcome


def no(outcome) -> tuple:
    assert isinstance(outcome, Refused), outcome
    return outcome.refusal.code.code, outcome.refusal.have, outcome.refusal.need


def worth(tx: Tx, code: str, member=None, *, at: datetime = NOON, session=None) -> str | None:
    """Why a code cannot be used now, or None."""
    from changke.modules.benefits import queries_coupons as queries

    return queries.in_hand(tx, [Asked(code, member)], as_of=at, session_id=session)[0].refusal_code


def check(tx: Tx) -> None:
    report = audit.run(tx, COUPON_CHECKS)
    assert report.holds, report.broken


def audited(database: Database) -> None:
    with database.snapshot() as tx:
        check(tx)


def at_once(count: int, work, *, threads: int = 16) -> list:
    with ThreadPoolExecutor(min(count, threads)) as pool:
        return list(pool.map(work, range(count)))
