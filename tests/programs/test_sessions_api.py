"""A till asks, puts aside, commits, takes goods back and undoes, over HTTP."""

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from tests.programs import trade
from tests.programs.trade import rule

from changke.kernel.audit import run
from changke.kernel.i18n import Text
from changke.modules.benefits import commands_coupons as coupons
from changke.modules.benefits.terms_coupons import CodeKind, Issue, Template
from changke.modules.ledger import commands as ledger
from changke.modules.ledger import terms as points
from changke.modules.programs import queries_audit

CASE_26 = (
    rule("flash", {"kind": "percent_off", "percent": "10", "on": {"fact": "line.sku", "is": "tea"}}, on="cart",
         lane="member_price", zh="限时价"),
    rule("member_price", {"kind": "percent_off", "percent": "5", "on": {"fact": "line.sku", "is": "cup"}}, on="cart",
         lane="member_price", zh="会员价"),
    rule("full_250", {"kind": "reduction", "steps": [{"from_minor": 25000, "off_minor": 3000}]}, on="cart",
         lane="full_reduction", zh="满250减30"),
    rule("coupon_200", {"kind": "amount_off", "off_minor": 2000}, on="cart", lane="coupon", coupon="twenty",
         when={"fact": "cart.amount", "gte": 20000}, zh="满200减20"),
    rule("base"),
)  # fmt: skip
CART = {
    "currency": "CNY",
    "program": "shop",
    "lines": [
        {"line_id": "a", "sku": "tea", "quantity": 1, "unit_price_minor": 20000},
        {"line_id": "b", "sku": "cup", "quantity": 1, "unit_price_minor": 10000},
    ],
}


@pytest.fixture
def shop(client, edge, clock, keyring):
    """A shop with case 26's programme, and Anna with 10,000 points and a coupon."""
    with edge.database.transaction() as tx:
        trade.publish(tx, trade.document(*CASE_26, points_tender={"points_per_unit": 100, "cap_percent": "50"}))
        coupons.put_template(
            tx, Template("twenty", Text("20 off", "满200减20"), CodeKind.PERSONAL, stock=100), at=clock.now()
        )
        client.anna = trade.member(tx, "anna", keyring)
        client.ben = trade.member(tx, "ben", keyring)
        gift = points.Earn("gift", client.anna, "points", 10_000, clock.now())
        ledger.post(tx, [gift], at=clock.now())
        issued = coupons.issue(tx, [Issue("k", client.anna, "twenty", 1, clock.now())], at=clock.now())
        client.code = issued[0].coupons[0].code
    client.database = edge.database
    return client


def full_cart(shop, **more):
    return {
        **CART, "member_id": str(shop.anna), "shipping_minor": 1000, "coupons": [shop.code], "pay_with_points": {},
        **more,
    }  # fmt: skip


def balance(shop, who=None, at=None):
    with shop.database.transaction() as tx:
        return trade.balance(tx, who or shop.anna)


def test_case_26_lane_by_lane(shop):
    answer = shop.post("/v1/evaluations", json=full_cart(shop))
    assert answer.status_code == 200, answer.text
    told = answer.json()
    totals = told["totals"]
    assert (totals["net_minor"], totals["points"], totals["points_minor"]) == (22500, 10000, 10000)
    assert totals["payable_minor"] == 13500
    shares = {one["rule"]: [line["value_minor"] for line in one["lines"]] for one in told["effects"]}
    assert shares["full_250"] == [1964, 1036]
    assert shares["coupon_200"] == [1309, 691]
    assert [line["points_minor"] for line in told["lines"]] == [6545, 3455]
    assert [(one["wallet"], one["points"]) for one in told["earn"]] == [("points", 125)]
    assert told["earn"][0]["expires_at"].startswith("2027-03-01T16:00:00Z")
    full = next(one for one in told["effects"] if one["rule"] == "full_250")
    assert full["text"] == {"en": "full_250: 30.00 off", "zh-CN": "满250减30：省 30.00"}


def test_an_evaluation_writes_nothing(shop):
    def counts():
        with shop.database.transaction() as tx:
            tables = tx.raw.execute(
                "SELECT schemaname || '.' || relname FROM pg_stat_user_tables ORDER BY 1"
            ).fetchall()
            return [tx.raw.execute(f"SELECT count(*) FROM {name}").fetchone() for (name,) in tables]

    before = counts()
    for _ in range(20):
        assert shop.post("/v1/evaluations", json=full_cart(shop)).status_code == 200
    assert counts() == before


def test_a_session_holds_commits_returns_and_sums_to_nothing(shop):
    quote = shop.post("/v1/evaluations", json=full_cart(shop)).json()
    opened = shop.post("/v1/sessions", json=full_cart(shop), headers={"Idempotency-Key": "till-1"})
    assert opened.status_code == 201, opened.text
    session = opened.json()
    assert session["quote"]["quote_hash"] == quote["quote_hash"]
    assert shop.post("/v1/sessions", json=full_cart(shop), headers={"Idempotency-Key": "till-1"}).json() == session
    other = shop.post("/v1/sessions", json=CART, headers={"Idempotency-Key": "till-1"})
    assert (other.status_code, other.json()["code"]) == (409, "idempotency_conflict")
    again = shop.post("/v1/sessions", json=full_cart(shop), headers={"Idempotency-Key": "till-2"})
    assert (again.status_code, again.json()["code"]) == (409, "coupon_reserved")

    path = f"/v1/sessions/{session['session_id']}"
    wrong = shop.post(f"{path}/commit", json={"quote_hash": "0" * 64})
    assert (wrong.status_code, wrong.json()["code"]) == (409, "quote_changed")
    assert wrong.json()["now"]["totals"]["payable_minor"] == 13_500
    assert wrong.json()["detail"] == "the answer has changed since the quote: 135.00 is payable now"
    short = {"quote_hash": quote["quote_hash"], "tenders": [{"type": "cash", "amount_minor": 100}]}
    assert shop.post(f"{path}/commit", json=short).json()["code"] == "tenders_do_not_add_up"
    paid = {
        "quote_hash": quote["quote_hash"], "order_number": "T-1",
        "tenders": [{"type": "cash", "amount_minor": 10000}, {"type": "card", "amount_minor": 3500}],
    }  # fmt: skip
    done = shop.post(f"{path}/commit", json=paid)
    assert done.status_code == 200, done.text
    assert done.json()["state"] == "committed"
    assert shop.post(f"{path}/commit", json=paid).json() == done.json()
    assert balance(shop) == 125
    order_id = done.json()["order_id"]
    assert shop.get(f"/v1/decisions/{order_id}").json()["points"] == 125
    assert shop.get(f"/v1/orders/{order_id}").status_code == 200

    part = {"return_id": "r1", "lines": [{"line_id": "b", "quantity": 1}]}
    back = shop.post(f"{path}/returns", json=part)
    assert back.status_code == 201, back.text
    told = back.json()
    assert (told["refund_minor"], told["points_restored"], told["clawed_back"]) == (4318, 3455, {"points": 44})
    assert shop.post(f"{path}/returns", json=part).json() == told
    twice = shop.post(f"{path}/returns", json={**part, "return_id": "r2"})
    assert (twice.status_code, twice.json()["code"]) == (422, "return_exceeds_order")
    rest = shop.post(f"{path}/returns", json={"return_id": "r3"})
    assert rest.status_code == 201, rest.text
    assert (rest.json()["points_restored"], rest.json()["coupons"] != []) == (6545, True)
    assert balance(shop) == 10_000
    with shop.database.transaction() as tx:
        assert not run(tx, queries_audit.CHECKS).broken


def test_cancelling_frees_everything_and_again_changes_nothing(shop):
    opened = shop.post("/v1/sessions", json=full_cart(shop), headers={"Idempotency-Key": "c-1"}).json()
    path = f"/v1/sessions/{opened['session_id']}"
    first = shop.post(f"{path}/cancel").json()
    assert first["state"] == "cancelled"
    assert shop.post(f"{path}/cancel").json() == first
    late = shop.post(f"{path}/commit", json={"quote_hash": opened["quote"]["quote_hash"]})
    assert (late.status_code, late.json()["code"]) == (409, "session_closed")
    assert shop.post("/v1/sessions", json=full_cart(shop), headers={"Idempotency-Key": "c-2"}).status_code == 201


def test_cancelling_a_committed_session_reverses_all_of_it(shop):
    body = full_cart(shop, commit=True)
    done = shop.post("/v1/sessions", json=body, headers={"Idempotency-Key": "one-shot"})
    assert done.status_code == 201, done.text
    assert done.json()["state"] == "committed"
    assert shop.post("/v1/sessions", json=body, headers={"Idempotency-Key": "one-shot"}).json() == done.json()
    assert balance(shop) == 125
    path = f"/v1/sessions/{done.json()['session_id']}"
    assert shop.post(f"{path}/cancel").json()["state"] == "cancelled"
    assert shop.post(f"{path}/cancel").json()["state"] == "cancelled"
    assert balance(shop) == 10_000


def test_a_session_lapses_by_itself(shop, edge, clock):
    from changke.modules.programs import jobs

    opened = shop.post("/v1/sessions", json=full_cart(shop), headers={"Idempotency-Key": "l-1"}).json()
    path = f"/v1/sessions/{opened['session_id']}"
    clock.advance(timedelta(minutes=16))
    late = shop.post(f"{path}/commit", json={"quote_hash": opened["quote"]["quote_hash"]})
    assert (late.status_code, late.json()["code"]) == (409, "session_lapsed")
    assert shop.get(path).json()["state"] == "lapsed"
    assert jobs.lapse_sessions(edge.database, clock=clock) == 1
    assert jobs.lapse_sessions(edge.database, clock=clock) == 0
    assert shop.post("/v1/sessions", json=full_cart(shop), headers={"Idempotency-Key": "l-2"}).status_code == 201


def test_points_put_aside_by_one_session_are_not_there_for_the_next(shop):
    cart = full_cart(shop, coupons=[])
    first = shop.post("/v1/sessions", json=cart, headers={"Idempotency-Key": "p-1"}).json()
    second = shop.post("/v1/sessions", json=cart, headers={"Idempotency-Key": "p-2"}).json()
    assert first["quote"]["totals"]["points"] == 10_000
    assert second["quote"]["totals"]["points"] == 0


BAD = (
    ({"surprise": 1}, 422, "invalid_value", "surprise"),
    ({"lines": [{"line_id": "a", "sku": "t", "quantity": 1, "unit_price_minor": -1}]}, 422, "invalid_value",
     "lines.0.unit_price_minor"),
    ({"lines": [{"line_id": "a", "sku": "t", "quantity": "1.2345", "unit_price_minor": 1}]}, 422, "invalid_value",
     "lines.0.quantity"),
    ({"lines": [{"line_id": str(n), "sku": "t", "quantity": 1, "unit_price_minor": 1} for n in range(1001)]}, 422,
     "invalid_value", "lines"),
    ({"lines": [{"line_id": "a", "sku": "t", "quantity": 1, "unit_price_minor": 1}] * 2}, 422,
     "duplicate_line_id", "lines.1.line_id"),
    ({"lines": [{"line_id": "a", "sku": "t", "quantity": 10_000, "unit_price_minor": 1},
                {"line_id": "b", "sku": "t", "quantity": 1, "unit_price_minor": 1}]}, 422, "too_many_units",
     "lines"),
    ({"currency": "USD"}, 422, "wrong_currency", "currency"),
    ({"program": "nowhere"}, 404, "unknown_program", "program"),
    ({"member_id": "01900000-0000-7000-8000-000000000001"}, 404, "member_not_found", "member_id"),
    ({"identifier": {"namespace": "card_number", "value": "NOBODY"}}, 404, "member_not_found", "identifier"),
)  # fmt: skip


def test_bad_carts_are_refused_with_code_and_field(shop):
    for change, status, code, field in BAD:
        for path in ("/v1/evaluations", "/v1/sessions"):
            answer = shop.post(path, json={**CART, **change}, headers={"Idempotency-Key": "bad"})
            told = answer.json()
            assert (answer.status_code, told["code"], told["field"]) == (status, code, field), answer.text


def test_nan_and_a_missing_key_are_refused(shop):
    body = '{"currency": "CNY", "lines": [{"line_id": "a", "sku": "t", "quantity": NaN, "unit_price_minor": 1}]}'
    answer = shop.post("/v1/evaluations", content=body, headers={"Content-Type": "application/json"})
    assert (answer.status_code, answer.json()["field"]) == (422, "lines.0.quantity")
    assert shop.post("/v1/sessions", json=CART).status_code == 422
    assert shop.get("/v1/sessions/01900000-0000-7000-8000-000000000001").status_code == 404


def test_a_coupon_of_another_member(shop):
    cart = full_cart(shop, member_id=str(shop.ben), pay_with_points=None)
    told = shop.post("/v1/evaluations", json=cart).json()
    assert [one["code"] for one in told["rejections"] if one.get("coupon")] == ["coupon_of_another_member"]
    refused = shop.post("/v1/sessions", json=cart, headers={"Idempotency-Key": "ben"})
    assert (refused.status_code, refused.json()["code"]) == (409, "coupon_of_another_member")


def test_a_trace_is_for_staff_and_names_every_rule(shop):
    told = shop.post("/v1/evaluations", json=full_cart(shop, coupons=[], explain="all")).json()
    by_rule = {one["rule"]: one for one in told["trace"]}
    assert by_rule["full_250"]["result"] == "applied"
    assert by_rule["coupon_200"]["code"] == "coupon_needed"


def test_drafts_can_be_tried_beside_the_programme(shop):
    draft = {
        "code": "draft", "name": {"en": "Draft", "zh": "草稿"},
        "rules": [rule("half", {"kind": "percent_off", "percent": "50"}, on="cart", lane="full_reduction")],
    }  # fmt: skip
    told = shop.post("/v1/evaluations", json={**CART, "campaigns": [draft]}).json()
    assert "half" in {one["rule"] for one in told["effects"]}


def test_a_price_that_changed_since_the_quote_is_refused_with_what_it_is_now(shop, clock):
    quote = shop.post("/v1/evaluations", json=CART).json()
    with shop.database.transaction() as tx:
        half = rule("half", {"kind": "percent_off", "percent": "50"}, on="cart", lane="full_reduction")
        trade.publish(tx, trade.document(half), at=clock.now())
    body = {**CART, "quote_hash": quote["quote_hash"], "commit": True}
    refused = shop.post("/v1/sessions", json=body, headers={"Idempotency-Key": "q", "Accept-Language": "zh"})
    assert (refused.status_code, refused.json()["code"]) == (409, "quote_changed")
    assert refused.json()["detail"] == "试算结果已变化：现应付 150.00"
    now = refused.json()["now"]
    assert [one["rule"] for one in now["effects"]] == ["half"]
    body["quote_hash"] = now["quote_hash"]
    assert shop.post("/v1/sessions", json=body, headers={"Idempotency-Key": "q"}).status_code == 201


def test_what_was_put_aside_is_committed_though_the_rules_changed(shop, clock):
    opened = shop.post("/v1/sessions", json=full_cart(shop), headers={"Idempotency-Key": "kept"}).json()
    with shop.database.transaction() as tx:
        trade.publish(tx, trade.document(rule("base", {"kind": "credit", "points": 1})), at=clock.now())
    path = f"/v1/sessions/{opened['session_id']}"
    done = shop.post(f"{path}/commit", json={"quote_hash": opened["quote"]["quote_hash"]})
    assert done.status_code == 200, done.text
    assert balance(shop) == 125


def test_a_guest_buys_and_gives_back(shop):
    done = shop.post("/v1/sessions", json={**CART, "commit": True}, headers={"Idempotency-Key": "guest"})
    assert done.status_code == 201, done.text
    path = f"/v1/sessions/{done.json()['session_id']}"
    back = shop.post(f"{path}/returns", json={"return_id": "1"}).json()
    assert back["refund_minor"] == done.json()["quote"]["totals"]["payable_minor"]


def test_case_27_one_of_a_hundred_gets_the_last_use(client, edge, clock):
    limited = rule(
        "ten_only", {"kind": "amount_off", "off_minor": 1000}, on="cart", lane="coupon", coupon="ten",
        limits=[{"of": "uses", "max": 10, "per": "program"}],
    )  # fmt: skip
    with edge.database.transaction() as tx:
        trade.publish(tx, trade.document(limited, rule("base")))
        public = Template("ten", Text("10 off", "减10"), CodeKind.PUBLIC, public_code="TENOFF")
        coupons.put_template(tx, public, at=clock.now())
    cart = {**CART, "coupons": ["TENOFF"], "commit": True}

    def buy(number):
        return client.post("/v1/sessions", json=cart, headers={"Idempotency-Key": f"b-{number}"})

    assert [buy(number).status_code for number in range(9)] == [201] * 9
    with ThreadPoolExecutor(100) as threads:
        answers = list(threads.map(buy, range(100, 200)))
    assert Counter(one.status_code for one in answers) == {201: 1, 409: 99}
    assert {one.json()["code"] for one in answers if one.status_code == 409} == {"limit_reached"}
    with edge.database.transaction() as tx:
        [(left,)] = tx.raw.execute("SELECT sum(left_over) FROM programs.allowance").fetchall()
    assert left == 0
    refused = next(one.json() for one in answers if one.status_code == 409)
    assert (refused["have"], refused["need"]) == (10, 10)
