"""The report reads entries and lots; it must add up with them to the point."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

from tests.ledger_trust.trade import ANNA, BEN, trade

from changke.modules.ledger import commands as ledger
from changke.modules.ledger import queries_liability as liability
from changke.modules.ledger.terms import Earn, Redeem, Transfer
from changke.modules.ledger.terms_liability import month_name


def noon(month: int, day: int = 10) -> datetime:
    return datetime(2026, month, day, 4, tzinfo=UTC)


def of_points(report):
    return next(one for one in report.wallet_types if one.wallet_type == "points")


def test_issued_less_redeemed_less_lapsed_is_what_the_lots_have(tx):
    trade(tx, months=10)
    at = noon(12)
    report = liability.liability(tx, at=at)
    for one in report.wallet_types:
        (remaining,) = tx.raw.execute(
            "SELECT coalesce(sum(remaining), 0) FROM ledger.lot WHERE wallet_type = %s", (one.wallet_type,)
        ).fetchone()
        assert one.issued - one.redeemed - one.lapsed == remaining
        assert sum(month.issued for month in one.by_month) <= one.issued
        assert one.outstanding == remaining
        assert all(month.outstanding >= 0 for month in one.by_issue_month)


def test_a_quarter_of_one_shop(tx):
    """1,000 points in January, 400 of them redeemed in February; 500 in March; a point is worth one fen."""
    ledger.install_wallet_types(tx, at=noon(1))
    ledger.post(tx, [Earn("1", ANNA, "points", 1_000, noon(1))], at=noon(1))
    ledger.post(tx, [Redeem("2", ANNA, "points", 400, noon(2))], at=noon(2))
    ledger.post(tx, [Earn("3", BEN, "points", 500, noon(3))], at=noon(3))
    one = of_points(liability.liability(tx, at=noon(4)))
    assert [month_name(month.month) for month in one.by_issue_month] == ["2026-01", "2026-03"]
    assert [month.outstanding for month in one.by_issue_month] == [600, 500]
    assert (one.currency, one.outstanding, one.liability_minor) == ("CNY", 1_100, 1_100)
    assert [(month_name(end.month), end.deferred_minor, end.revenue_minor) for end in one.by_month] == [
        ("2026-01", 1_000, 0),
        ("2026-02", 0, 400),
        ("2026-03", 500, 0),
    ]
    cautious = of_points(liability.liability(tx, at=noon(4), prior=Decimal("0.5")))
    assert cautious.breakage > 0
    assert cautious.liability_minor < one.liability_minor


def test_the_price_of_the_goods_is_shared_when_sales_are_known(tx):
    ledger.install_wallet_types(tx, at=noon(1))
    ledger.post(tx, [Earn("1", ANNA, "points", 9_500, noon(1))], at=noon(1))
    january = 2026 * 12
    report = liability.liability(tx, at=noon(2), sales_minor={"points": {january: 100_000}})
    assert of_points(report).liability_minor == 8_676


def test_a_gift_changes_the_owner_and_nothing_else(tx):
    ledger.install_wallet_types(tx, at=noon(1))
    ledger.post(tx, [Earn("1", ANNA, "points", 1_000, noon(1))], at=noon(1))
    before = of_points(liability.liability(tx, at=noon(3)))
    ledger.post(tx, [Transfer("2", ANNA, BEN, "points", 300, noon(2))], at=noon(2))
    ledger.post(tx, [Redeem("3", BEN, "points", 100, noon(2))], at=noon(2))
    after = of_points(liability.liability(tx, at=noon(3)))
    assert after.issued == before.issued
    assert [month.month for month in after.by_issue_month] == [month.month for month in before.by_issue_month]
    assert (after.redeemed, after.outstanding) == (100, 900)


def test_the_past_is_reported_as_it_was(tx):
    ledger.install_wallet_types(tx, at=noon(1))
    ledger.post(tx, [Earn("1", ANNA, "points", 1_000, noon(1))], at=noon(1))
    ledger.post(tx, [Redeem("2", ANNA, "points", 400, noon(3))], at=noon(3))
    assert of_points(liability.liability(tx, at=noon(2))).outstanding == 1_000


def test_exposure_has_all_dates_and_their_worth(tx):
    ledger.install_wallet_types(tx, at=noon(1))
    soon, later = noon(6), noon(9)
    requests = [
        Earn("1", ANNA, "points", 100, noon(1), expires_at=soon),
        Earn("2", BEN, "points", 250, noon(1), expires_at=soon),
        Earn("3", BEN, "points", 50, noon(1), expires_at=later),
    ]
    ledger.post(tx, requests, at=noon(1))
    found = liability.exposure(tx, at=noon(2))
    assert [(one.expires_on, one.points, one.members, one.value_minor) for one in found] == [
        (soon.date(), 350, 2, 350),
        (later.date(), 50, 1, 50),
    ]
    assert [one.points for one in liability.exposure(tx, at=noon(2), until=noon(7))] == [350]
    assert [one.points for one in liability.member_exposure(tx, member_id=BEN, at=noon(2))] == [250, 50]
    assert liability.exposure(tx, at=later + timedelta(days=1)) == []


def test_no_wallet_no_report(tx):
    assert liability.liability(tx, at=noon(1)).wallet_types == ()
    assert liability.exposure(tx, at=noon(1)) == []
