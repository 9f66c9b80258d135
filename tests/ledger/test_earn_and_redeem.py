from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from changke.modules.ledger import commands, queries, store_credits, terms, wallet_types
from changke.modules.ledger.wallet_types import ExpiryKind, ExpiryPolicy

from .conftest import NEVER, day


def test_case_1_a_paid_order_earns_and_its_full_return_takes_it_back(shop):
    anna = shop.person("Anna")
    shop.earn(anna, 40, reference="order-1")
    shop.clawback(anna, 40, "order-1")
    assert shop.balance(anna).balance == 0


def test_case_6_a_clawback_takes_what_the_order_earned_whatever_the_rule_is_now(shop):
    anna = shop.person("Anna")
    shop.earn(anna, 50, reference="order-1")
    shop.earn(anna, 70, reference="order-2")
    shop.clawback(anna, 50, "order-1")
    assert shop.lots(anna) == [("order-1", 0), ("order-2", 70)]


def test_case_8_returning_lines_one_after_the_other(shop):
    anna = shop.person("Anna")
    shop.earn(anna, 1400, reference="order-1")
    shop.clawback(anna, 100, "order-1")
    assert shop.balance(anna).balance == 1300
    shop.clawback(anna, 300, "order-1")
    assert shop.balance(anna).balance == 1000


def test_case_10_a_negative_wallet_redeems_nothing_and_is_filled_first(shop, refused):
    anna = shop.person("Anna")
    shop.earn(anna, 500, reference="order-1")
    shop.redeem(anna, 450)
    shop.clawback(anna, 500, "order-1")
    assert (shop.balance(anna).balance, shop.balance(anna).debt) == (-450, 450)
    shop.earn(anna, 200)
    assert (shop.balance(anna).balance, shop.balance(anna).available) == (-250, 0)
    with refused(terms.WALLET_IN_DEBT, have=250):
        shop.redeem(anna, 1)
    shop.earn(anna, 300)
    shop.redeem(anna, 50)
    assert shop.balance(anna).balance == 0


def test_case_12_a_partial_return_takes_from_pending_first(shop):
    shop.install(pending_days=7)
    anna = shop.person("Anna")
    shop.at = day("2026-02-01")
    shop.earn(anna, 200, reference="order-0")
    shop.at = day("2026-03-01")
    shop.earn(anna, 300, reference="order-1")
    shop.at = day("2026-03-04")
    shop.clawback(anna, 120, "order-1")
    assert (shop.balance(anna).pending, shop.balance(anna).available) == (180, 200)


def test_case_14_redeeming_draws_the_lot_that_expires_first(shop):
    anna = shop.person("Anna")
    shop.at = day("2026-06-02")
    for name, amount, expires, awarded in (
        ("A", 100, "2027-03-31", "2026-06-01"),
        ("B", 200, "2027-01-31", "2026-06-01"),
        ("C", 150, "2027-01-31", "2026-05-01"),
    ):
        shop.earn(anna, amount, reference=name, expires_at=day(expires), occurred_at=day(awarded))
    shop.redeem(anna, 300)
    assert shop.lots(anna) == [("A", 100), ("B", 50), ("C", 0)]


def test_case_14_lots_that_never_expire_go_last(shop):
    anna = shop.person("Anna")
    shop.install(expiry=NEVER)
    shop.earn(anna, 100, reference="never")
    shop.earn(anna, 100, reference="soon", expires_at=shop.at + timedelta(days=3))
    shop.redeem(anna, 150)
    assert shop.lots(anna) == [("never", 50), ("soon", 0)]


def test_case_15_a_month_after_the_31st_and_a_year_after_a_leap_day(shop):
    shop.install("monthly", expiry=ExpiryPolicy(ExpiryKind.ROLLING_MONTHS, 1))
    anna = shop.person("Anna")
    shop.at = day("2026-01-31")
    shop.earn(anna, 10, wallet_type="monthly")
    assert shop.balance(anna, "monthly").expiring[0].expires_at == datetime(2026, 2, 28, 16, tzinfo=UTC)
    shop.at = day("2028-01-31")
    shop.earn(anna, 10, wallet_type="monthly")
    assert shop.balance(anna, "monthly").expiring[0].expires_at == datetime(2028, 2, 29, 16, tzinfo=UTC)
    shop.at = day("2028-02-29")
    shop.earn(anna, 10)
    assert shop.balance(anna).expiring[0].expires_at == datetime(2029, 2, 28, 16, tzinfo=UTC)


def test_case_17_validity_counts_from_the_activation(shop):
    shop.install(pending_days=7, expiry=ExpiryPolicy(ExpiryKind.ROLLING_DAYS, 30))
    anna = shop.person("Anna")
    shop.at = day("2026-01-10")
    shop.earn(anna, 100)
    shop.at = day("2026-01-16")
    assert (shop.balance(anna).pending, shop.balance(anna).available) == (100, 0)
    shop.at = day("2026-01-17")
    assert (shop.balance(anna).pending, shop.balance(anna).available) == (0, 100)
    shop.at = datetime(2026, 2, 16, 15, 59, 59, tzinfo=UTC)
    assert shop.balance(anna).available == 100
    shop.at = datetime(2026, 2, 16, 16, tzinfo=UTC)
    assert (shop.balance(anna).available, shop.balance(anna).past) == (0, 100)


def test_case_29_the_same_again_is_a_duplicate_and_another_body_is_refused(shop):
    anna = shop.person("Anna")
    request = terms.Earn("order:1", anna, "points", 100, shop.at, "order-1")
    (first,) = shop.post(request)
    (again,) = shop.post(request)
    assert again == replace(first, duplicate=True)
    (other,) = shop.post(replace(request, amount=101))
    assert isinstance(other, terms.Refused)
    assert other.refusal.code.status == 409
    assert shop.balance(anna).balance == 100


def test_case_29_one_bad_posting_of_a_thousand_touches_no_other(shop):
    anna, ben = shop.person("Anna"), shop.person("Ben")
    earns = [terms.Earn(f"e{i}", anna if i % 2 else ben, "points", 1, shop.at, f"o{i}") for i in range(1000)]
    earns[500] = replace(earns[500], amount=-1)
    outcomes = shop.post(*earns)
    assert [isinstance(one, terms.Posted) for one in outcomes] == [i != 500 for i in range(1000)]
    assert outcomes[500].refusal.code is terms.INVALID_AMOUNT
    assert shop.balance(anna).balance + shop.balance(ben).balance == 999


def test_case_29_the_same_key_twice_in_one_batch(shop):
    anna = shop.person("Anna")
    request = terms.Earn("order:1", anna, "points", 100, shop.at)
    first, again, other = shop.post(request, request, replace(request, amount=7))
    assert again == replace(first, duplicate=True)
    assert isinstance(other, terms.Refused)
    assert shop.balance(anna).version == 1


def test_case_30_purchase_and_return_sum_up_to_what_is_kept(shop):
    anna = shop.person("Anna")
    shop.post(
        terms.Earn("p", anna, "points", 100, shop.at, "order-1"),
        terms.Clawback("r", anna, "points", 30, "order-1", shop.at),
    )
    assert shop.balance(anna).balance == 70


def test_the_straight_lane_in_bulk_or_few_and_the_fold_write_the_same_rows(shop, monkeypatch):
    shop.install("slow", pending_days=3)
    rows = {}
    for lane in ("few", "bulk", "fold"):
        monkeypatch.setattr(store_credits, "FEW", 100 if lane == "few" else 0)
        who = shop.person("Anna")
        requests = [
            terms.Earn(f"{lane}1", who, "points", 5, shop.at, 'a "quoted" 订单\\'),
            terms.Earn(f"{lane}2", who, "slow", 7, shop.at - timedelta(days=1)),
            terms.Earn(f"{lane}3", who, "slow", 8, shop.at, "x", shop.person("card"), shop.at + timedelta(days=1)),
        ]
        if lane == "fold":
            other = shop.person("Ben")
            shop.earn(other, 1)
            requests.append(terms.Redeem("any", other, "points", 1, shop.at))
        answers = shop.post(*requests)[:3]
        rows[lane] = (
            [
                (one.movements[0].wallet_type, one.movements[0].version, one.movements[0].balance_after)
                for one in answers
            ],
            shop.tx.raw.execute(
                "SELECT wallet_type, lot_id, amount, remaining, held, awarded_at, activates_at, expires_at,"
                " activation_due, profile_id = member_id, reference, origin_member FROM ledger.lot"
                " WHERE member_id = %s ORDER BY 1, 2",
                (who,),
            ).fetchall(),
            shop.tx.raw.execute(
                "SELECT wallet_type, version, kind, amount, balance_after, held_after, counter_id, occurred_at,"
                " recorded_at, txid, reference, draws, detail FROM ledger.entry WHERE member_id = %s ORDER BY 1, 2",
                (who,),
            ).fetchall(),
        )
    assert rows["few"] == rows["bulk"] == rows["fold"]


def test_both_lanes_announce_the_same(shop):
    import orjson

    from changke.modules.ledger import events
    from changke.modules.ledger.state import Entry

    anna = shop.person("Anna")
    shop.tx._announced._items.clear()
    (posted,) = shop.post(terms.Earn("e", anna, "points", 5, shop.at, "订单 1"))
    ((topic, _, payload),) = shop.tx._announced._items
    entry = Entry(anna, "points", 1, posted.posting_id, "earn", 5, 5, 0, terms.ISSUANCE, shop.at, "订单 1")
    expected = events.posted(entry, shop.at)
    assert topic == expected.topic
    assert payload == orjson.dumps(expected)


@pytest.mark.parametrize("many", [1, 101], ids=["one statement", "copy"])
def test_a_reference_of_any_characters_comes_back_as_it_was(shop, many):
    odd = ['back\\slash "and" quote', "NULL", "{a,b}", " ", "\\N", "一\t二\n三", "'"]
    anna = shop.person("Anna")
    awards = [terms.Earn(f"odd-{n}", anna, "points", 1, shop.at, odd[n % len(odd)]) for n in range(max(many, len(odd)))]
    shop.post(*awards)
    rows = shop.tx.raw.execute(
        "SELECT e.reference, l.reference FROM ledger.entry e JOIN ledger.lot l USING (member_id, wallet_type)"
        " WHERE member_id = %s AND l.lot_id = e.version << 16 ORDER BY version",
        (anna,),
    ).fetchall()
    assert rows == [(one.reference, one.reference) for one in awards]


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"amount": 0}, "invalid_amount"),
        ({"amount": 2**63}, "invalid_amount"),
        ({"amount": True}, "invalid_amount"),
        ({"amount": 1.5}, "invalid_amount"),
        ({"wallet_type": "stars"}, "unknown_wallet_type"),
        ({"reference": "a\0b"}, "invalid_value"),
        ({"reference": "\ud800"}, "invalid_value"),
        ({"key": ""}, "missing_field"),
        ({"key": "k" * 301}, "invalid_value"),
        ({"occurred_at": datetime(9999, 1, 1, tzinfo=UTC)}, "out_of_range"),
        ({"occurred_at": datetime(2026, 1, 1)}, "missing_time_zone"),
        ({"expires_at": datetime(2026, 1, 1, tzinfo=UTC)}, "expires_before_activation"),
    ],
)
def test_bad_input_is_refused_in_both_lanes(shop, changes, code):
    anna = shop.person("Anna")
    good = terms.Earn("good", anna, "points", 5, shop.at)
    bad = replace(good, **({"key": "bad"} | changes))
    refused, fine = shop.post(bad, good)
    assert refused.refusal.code.code == code
    assert isinstance(fine, terms.Posted)
    refused, _ = shop.post(bad, terms.Redeem("r", anna, "points", 1, shop.at))
    assert refused.refusal.code.code == code


def test_redeeming_too_much_says_what_is_there(shop, refused):
    anna = shop.person("Anna")
    shop.earn(anna, 30)
    with refused(terms.INSUFFICIENT_POINTS, have=30, need=31):
        shop.redeem(anna, 31)
    assert shop.balance(anna).balance == 30


def test_a_donation_goes_to_its_cause(shop):
    anna, cause = shop.person("Anna"), shop.person("Trees")
    shop.earn(anna, 30)
    shop.redeem(anna, 20, cause_id=cause)
    assert queries.system_balance(shop.tx, owner_id=cause, wallet_type="points") == 20
    assert queries.system_balance(shop.tx, owner_id=terms.ISSUANCE, wallet_type="points") == -30


def test_a_statement_pages_with_its_running_balance(shop):
    anna = shop.person("Anna")
    for amount in (10, 20, 30):
        shop.earn(anna, amount)
    page = queries.statement(shop.tx, member_id=anna, wallet_type="points", limit=2)
    assert [(line.amount, line.balance_after) for line in page.lines] == [(30, 60), (20, 30)]
    rest = queries.statement(shop.tx, member_id=anna, wallet_type="points", limit=2, before_version=page.next_version)
    assert [(line.amount, line.balance_after) for line in rest.lines] == [(10, 10)]
    assert rest.next_version is None


def test_a_balance_at_any_past_moment(shop):
    anna = shop.person("Anna")
    shop.at = day("2026-03-01")
    shop.earn(anna, 100)
    shop.at = day("2026-03-05")
    shop.redeem(anna, 40)
    for moment, balance in (("2026-02-28", 0), ("2026-03-02", 100), ("2026-03-06", 60)):
        found = queries.balance_at(shop.tx, member_id=anna, wallet_type="points", moment=day(moment))
        assert found.balance == balance


def test_activity_moves_the_expiry_of_a_sliding_wallet(shop):
    shop.install("lively", expiry=ExpiryPolicy(ExpiryKind.SLIDING_MONTHS, 6))
    anna = shop.person("Anna")
    shop.at = day("2026-01-10")
    shop.earn(anna, 100, wallet_type="lively")
    shop.at = day("2026-05-20")
    shop.redeem(anna, 10, wallet_type="lively")
    assert shop.balance(anna, "lively").expiring[0].expires_at == datetime(2026, 11, 20, 16, tzinfo=UTC)


def test_installing_types_twice_changes_nothing_and_a_change_makes_a_version(shop):
    assert commands.install_wallet_types(shop.tx, at=shop.at) == 0
    shop.install(pending_days=3)
    assert queries.wallet_types(shop.tx)["points"].pending_days == 3
    versions = shop.tx.raw.execute("SELECT count(*) FROM ledger.wallet_type WHERE code = 'points'").fetchone()
    assert versions == (2,)


@pytest.mark.parametrize("changes", [{"code": "a b"}, {"pending_days": -1}, {"time_zone": "Mars/Base"}, {"floor": 1}])
def test_a_wallet_type_that_makes_no_sense_is_refused(shop, refused, changes):
    with refused(terms.INVALID_WALLET_TYPE):
        shop.install(**changes)


def test_shipped_types_survive_their_storage():
    for one in wallet_types.SHIPPED:
        assert wallet_types.from_json(wallet_types.to_json(wallet_types.check(one))) == one
