from datetime import UTC, date, datetime, timedelta
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from changke.kernel.calendar import add_months
from changke.modules.ledger import terms, wallet_types
from changke.modules.ledger.rules import calendar, credits, requests
from changke.modules.ledger.rules.book import Book, draw_order, take, total
from changke.modules.ledger.rules.exchanges import even_shares, undrawn
from changke.modules.ledger.rules.fold import Asked, fold
from changke.modules.ledger.state import Entry, Lot, Wallet
from changke.modules.ledger.wallet_types import ExpiryKind, ExpiryPolicy

NOW = datetime(2026, 3, 1, 4, tzinfo=UTC)
TYPES = {one.code: one for one in wallet_types.SHIPPED}
WHO = UUID(int=77)


def lot(number: int, amount: int, *, expires: int | None = None, awarded: int = 0, pending: int | None = None) -> Lot:
    end = None if expires is None else NOW + timedelta(days=expires)
    start = None if pending is None else NOW + timedelta(days=pending)
    return Lot(WHO, "points", number, amount, amount, 0, NOW + timedelta(days=awarded), start, end, False, WHO, None)


@pytest.mark.parametrize(
    ("start", "months", "end"),
    [
        ("2026-01-31", 1, "2026-02-28"),
        ("2028-01-31", 1, "2028-02-29"),
        ("2028-02-29", 12, "2029-02-28"),
        ("2026-12-31", 2, "2027-02-28"),
        ("2026-03-15", 0, "2026-03-15"),
    ],
)
def test_a_month_later_is_the_same_day_or_the_last_one(start, months, end):
    assert add_months(date.fromisoformat(start), months) == date.fromisoformat(end)


@pytest.mark.parametrize(
    ("policy", "last"),
    [
        (ExpiryPolicy(ExpiryKind.FIXED_DATE, on=date(2026, 12, 31)), "2026-12-31"),
        (ExpiryPolicy(ExpiryKind.ROLLING_DAYS, 30), "2026-03-31"),
        (ExpiryPolicy(ExpiryKind.ROLLING_MONTHS, 12), "2027-03-01"),
        (ExpiryPolicy(ExpiryKind.END_OF_YEAR, 0), "2026-12-31"),
        (ExpiryPolicy(ExpiryKind.END_OF_YEAR, 1, grace_days=31), "2028-01-31"),
        (ExpiryPolicy(ExpiryKind.END_OF_QUARTER, 0, grace_days=15), "2026-04-15"),
        (ExpiryPolicy(ExpiryKind.END_OF_QUARTER, 4), "2027-03-31"),
    ],
)
def test_the_last_day_by_policy(policy, last):
    assert calendar.last_day(policy, date(2026, 3, 1)) == date.fromisoformat(last)


def test_pending_days_keep_the_time_of_day_across_a_clock_change():
    berlin = wallet_types.WalletType(
        "b", TYPES["points"].name, TYPES["points"].unit, "points", pending_days=1, time_zone="Europe/Berlin"
    )
    before = datetime(2026, 3, 28, 11, tzinfo=UTC)
    assert calendar.activation(berlin, before) == datetime(2026, 3, 29, 10, tzinfo=UTC)


@given(
    st.lists(st.tuples(st.integers(1, 500), st.none() | st.integers(1, 9), st.integers(-9, 0)), max_size=12), st.data()
)
def test_draws_take_the_soonest_expiry_first_and_exactly_the_amount(shape, data):
    lots = [lot(number, amount, expires=end, awarded=day) for number, (amount, end, day) in enumerate(shape, 1)]
    there = sum(one.amount for one in lots)
    amount = data.draw(st.integers(0, there + 10))
    parts = take(sorted(lots, key=draw_order), amount)
    assert total(parts) == min(amount, there)
    emptied = [one for one, part in parts if part == one.remaining]
    assert len(parts) - len(emptied) <= 1
    untouched = [one for one in lots if one not in [drawn for drawn, _ in parts]]
    assert all(draw_order(drawn) < draw_order(other) for drawn, _ in parts for other in untouched)


@given(st.lists(st.integers(0, 1000), min_size=1, max_size=8), st.data())
def test_even_shares_are_exact_and_as_even_as_they_can_be(have, data):
    amount = data.draw(st.integers(0, sum(have)))
    shares = even_shares(amount, have)
    assert sum(shares) == amount
    assert all(0 <= share <= there for share, there in zip(shares, have, strict=True))
    able = [share for share, there in zip(shares, have, strict=True) if share < there]
    assert not able or max(shares) - min(able) <= 1


@given(st.lists(st.integers(1, 100), min_size=1, max_size=6), st.data())
def test_partial_give_backs_add_up_to_what_was_drawn(drawn, data):
    draws = tuple(enumerate(drawn, 1))
    entry = Entry(WHO, "points", 1, WHO, "redeem", -sum(drawn), 0, 0, WHO, NOW, None, draws)
    back: dict[int, int] = {}
    given_so_far = 0
    while given_so_far < sum(drawn):
        amount = data.draw(st.integers(1, sum(drawn) - given_so_far))
        for lot_id, part in undrawn(entry, given_so_far, amount):
            back[lot_id] = back.get(lot_id, 0) + part
        given_so_far += amount
    assert back == dict(draws)


amounts = st.integers(1, 300)
verbs = st.lists(
    st.one_of(
        st.tuples(st.just("earn"), amounts),
        st.tuples(st.just("redeem"), amounts),
        st.tuples(st.just("hold"), amounts),
        st.tuples(st.just("clawback"), amounts),
        st.tuples(st.just("adjust"), st.integers(-200, 200).filter(bool)),
    ),
    max_size=25,
)


def request_of(number: int, verb: str, amount: int) -> terms.Request:
    key = str(number)
    match verb:
        case "earn":
            return terms.Earn(key, WHO, "points", amount, NOW, f"o{number % 3}")
        case "redeem":
            return terms.Redeem(key, WHO, "points", amount, NOW)
        case "hold":
            return terms.Hold(key, WHO, "points", amount, 60, NOW)
        case "clawback":
            return terms.Clawback(key, WHO, "points", amount, f"o{number % 3}", NOW)
    return terms.Adjust(key, WHO, "points", amount, "because", "li", NOW)


@given(verbs)
def test_the_fold_keeps_its_promises_and_refusals_leave_no_trace(steps):
    book = Book(at=NOW, types=TYPES, wallets={(WHO, "points"): Wallet(WHO, "points")})
    wallet = book.wallets[WHO, "points"]
    for number, (verb, amount) in enumerate(steps):
        request = request_of(number, verb, amount)
        before = (wallet.balance, wallet.held, wallet.debt, wallet.version, len(book.entries), len(wallet.lots))
        one = Asked(requests.posting_id_of(request.key), requests.hash_of(request), request)
        (outcome,), _ = fold(book, [one])
        if isinstance(outcome, terms.Refused):
            assert before == (
                wallet.balance, wallet.held, wallet.debt, wallet.version, len(book.entries), len(wallet.lots)
            )  # fmt: skip
    assert [entry.version for entry in book.entries] == list(range(1, wallet.version + 1))
    assert sum(entry.amount for entry in book.entries) == wallet.balance


@given(st.text(min_size=1, max_size=40).filter(lambda key: key.isprintable()), st.integers(1, 10**12))
def test_the_straight_lane_names_and_hashes_like_the_rest(key, amount):
    request = terms.Earn(key, WHO, "points", amount, NOW, "order")
    (award,), refused = credits.prepare([request], TYPES, NOW)
    assert not refused
    assert UUID(bytes=award.posting_id) == requests.posting_id_of(key)
    assert award.body_hash == requests.hash_of(request)


def test_another_body_has_another_hash():
    earn = terms.Earn("k", WHO, "points", 1, NOW)
    others = [
        terms.Earn("k", WHO, "points", 2, NOW),
        terms.Earn("k", WHO, "green", 1, NOW),
        terms.Earn("k", WHO, "points", 1, NOW, "ref"),
        terms.Redeem("k", WHO, "points", 1, NOW),
    ]
    assert len({requests.hash_of(one) for one in [earn, *others]}) == 5
