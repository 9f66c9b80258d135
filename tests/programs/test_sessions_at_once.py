"""Many tills at the same time: nothing is given twice, nobody waits for somebody else's member."""

import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest
from tests.programs import trade
from tests.programs.trade import rule

from changke.kernel.audit import run
from changke.kernel.i18n import Text
from changke.modules.benefits import commands_coupons as coupons
from changke.modules.benefits import queries_audit as benefits
from changke.modules.benefits.terms_coupons import CodeKind, Template
from changke.modules.ledger import commands as ledger
from changke.modules.ledger import queries_audit as ledger_audit
from changke.modules.ledger import terms as points
from changke.modules.programs import queries_audit

OFF = {"kind": "amount_off", "off_minor": 1000}
CART = {
    "currency": "CNY",
    "program": "shop",
    "lines": [{"line_id": "a", "sku": "tea", "quantity": 2, "unit_price_minor": 10_000}],
}


@pytest.fixture
def shop(client, edge, clock, keyring):
    """A shop with a public coupon for ten, a budget, and people with points."""
    with edge.database.transaction() as tx:
        trade.publish(
            tx,
            trade.document(
                rule("ten", OFF, on="cart", lane="coupon", coupon="ten"),
                rule("budget", {"kind": "percent_off", "percent": "10"}, on="cart", lane="full_reduction",
                     limits=[{"of": "discount", "max": 60_000, "per": "program"}]),
                rule("base"),
            ),
        )  # fmt: skip
        public = Template("ten", Text("10 off", "减10"), CodeKind.PUBLIC, public_code="TENOFF", stock=10)
        coupons.put_template(tx, public, at=clock.now())
        client.people = [trade.member(tx, f"p{number}", keyring) for number in range(12)]
        gifts = [points.Earn(f"g{one}", one, "points", 3_000, clock.now()) for one in client.people]
        ledger.post(tx, gifts, at=clock.now())
    client.database = edge.database
    return client


def broken(shop):
    with shop.database.transaction() as tx:
        checks = [*queries_audit.CHECKS, *benefits.CHECKS, *ledger_audit.CHECKS]
        return [(one.check.name, one.rows[:3]) for one in run(tx, checks).broken]


def test_case_27_the_last_coupon_of_a_public_code(shop):
    def buy(number):
        body = {**CART, "coupons": ["TENOFF"], "commit": True}
        return shop.post("/v1/sessions", json=body, headers={"Idempotency-Key": f"k{number}"})

    assert [buy(number).status_code for number in range(9)] == [201] * 9
    with ThreadPoolExecutor(40) as threads:
        answers = list(threads.map(buy, range(10, 50)))
    assert Counter(one.status_code for one in answers) == {201: 1, 409: 39}
    assert {one.json()["code"] for one in answers if one.status_code == 409} == {"limit_reached"}
    assert not broken(shop)


def test_points_budgets_and_undoing_under_many_hands(shop):
    """Twelve members, sixteen tills: buy with points, half of them undo it; in the end everything adds up."""

    def till(number):
        who = shop.people[number % len(shop.people)]
        body = {**CART, "member_id": str(who), "pay_with_points": {"points_max": 1000}}
        opened = shop.post("/v1/sessions", json=body, headers={"Idempotency-Key": f"m{number}"})
        assert opened.status_code == 201, opened.text
        path, hashed = f"/v1/sessions/{opened.json()['session_id']}", opened.json()["quote"]["quote_hash"]
        if number % 4 == 0:
            return shop.post(f"{path}/cancel").status_code
        done = shop.post(f"{path}/commit", json={"quote_hash": hashed})
        assert done.status_code == 200, done.text
        return shop.post(f"{path}/cancel").status_code if number % 2 else 200

    with ThreadPoolExecutor(16) as threads:
        assert Counter(threads.map(till, range(60))) == {200: 60}
    assert not broken(shop)
    with shop.database.transaction() as tx:
        [(left,)] = tx.raw.execute("SELECT sum(left_over)::bigint FROM programs.allowance").fetchall()
        [(taken,)] = tx.raw.execute(
            "SELECT sum((kept ->> 'discount')::bigint) FROM programs.session WHERE state = 'committed'"
        ).fetchall()
    assert 60_000 - left == taken


def test_the_same_call_twice_at_once_opens_one_session(shop):
    body = {**CART, "member_id": str(shop.people[0]), "commit": True}
    with ThreadPoolExecutor(12) as threads:
        answers = list(
            threads.map(lambda _: shop.post("/v1/sessions", json=body, headers={"Idempotency-Key": "twice"}), range(12))
        )
    assert Counter(one.status_code for one in answers) == {201: 12}
    assert len({one.json()["order_id"] for one in answers}) == 1
    assert not broken(shop)


def test_a_member_who_is_held_is_busy_after_two_seconds_and_touches_nobody(shop):
    held, other = shop.people[:2]
    with shop.database.transaction() as tx:
        tx.raw.execute("INSERT INTO programs.history (profile_id) VALUES (%s), (%s)", (held, other))

    def buy(who):
        began = time.monotonic()
        body = {**CART, "member_id": str(who), "commit": True}
        answer = shop.post("/v1/sessions", json=body, headers={"Idempotency-Key": f"h{who}"})
        return answer, time.monotonic() - began

    with psycopg.connect(shop.database.url) as blocker:
        blocker.execute("SELECT 1 FROM programs.history WHERE profile_id = %s FOR UPDATE", (held,))
        with ThreadPoolExecutor(2) as threads:
            (busy, waited), (free, quick) = threads.map(buy, (held, other))
    assert (busy.status_code, busy.json()["code"], busy.headers["Retry-After"]) == (409, "member_busy", "1")
    assert waited >= 1.9
    assert free.status_code == 201
    assert quick < waited
    assert buy(held)[0].status_code == 201
