"""What really pays for an order, and comes back with the goods: points, stored value, gift cards."""

import pytest
from tests.programs import trade
from tests.programs.test_sessions_api import CART, balance, full_cart
from tests.programs.test_sessions_api import shop as _shop

from changke.kernel.audit import run
from changke.kernel.i18n import Text
from changke.modules.benefits import commands_cards_stored_value as cards
from changke.modules.benefits import commands_stored_value as stored_value
from changke.modules.benefits import queries_stored_value
from changke.modules.benefits.terms_stored_value import ActivateCard, IssueCards, Scheme, TopUp
from changke.modules.programs import queries_audit

shop = _shop


def sold(shop, number, **more):
    """A sale in one shot."""
    order = {"order_number": number, **more.pop("order", {})}
    return shop.post("/v1/sessions", json={**more, "commit": True, "order": order}, headers={"Idempotency-Key": number})


def heard(shop, kind, event_id, number, **payload):
    event = {
        "source": "changke", "event_id": event_id, "type": kind, "occurred_at": "2026-03-02T12:00:00+08:00",
        "payload": {"order_number": number, **payload},
    }  # fmt: skip
    answer = shop.post("/v1/events", json=event)
    assert answer.status_code == 200, answer.text
    return answer.json()["items"][0]


def restored(item):
    return [one["points"] for one in item["effects"] if one["kind"] == "points_restored"]


@pytest.fixture
def purse(shop, clock, keyring):
    """The shop with stored value: Anna has 300.00, and a gift card of 50.00 is sold."""
    at = clock.now()
    with shop.database.transaction() as tx:
        stored_value.put_scheme(tx, Scheme("wallet", Text("Wallet", "钱包")), at=at)
        stored_value.top_up(tx, [TopUp("t", shop.anna, "wallet", 30_000, "wx", "app", at)], at=at)
    with shop.database.transaction() as tx:
        [card] = cards.issue_cards(tx, IssueCards("k", "wallet", 5_000, 1, "ben", at), keyring=keyring, at=at)
        cards.activate(tx, [ActivateCard("a", card.code, "cash", "store", at)], at=at)
    shop.card = card
    return shop


def wallet(shop, clock, who=None):
    with shop.database.transaction() as tx:
        return queries_stored_value.stored_value_of(tx, who or shop.anna, at=clock.now())[0].total_minor


def on_card(shop, clock):
    with shop.database.transaction() as tx:
        return queries_stored_value.card(tx, shop.card.card_id, at=clock.now()).balance_minor


def test_points_come_back_once_whichever_way_the_goods_do(shop):
    done = sold(shop, "T-9", **full_cart(shop))
    assert done.status_code == 201, done.text
    path = f"/v1/sessions/{done.json()['session_id']}"
    part = heard(shop, "order.returned", "e-1", "T-9", return_number="R-1", lines=[{"line_no": 2, "quantity": 1}])
    assert restored(part) == [3455]
    again = heard(shop, "order.returned", "e-1", "T-9", return_number="R-1", lines=[{"line_no": 2, "quantity": 1}])
    assert again["status"] == "duplicate"
    known = shop.post(f"{path}/returns", json={"return_id": "R-1"})
    assert (known.status_code, known.json()["code"]) == (409, "return_known")
    more = shop.post(f"{path}/returns", json={"return_id": "R-2", "lines": [{"line_id": "b", "quantity": 1}]})
    assert (more.status_code, more.json()["field"]) == (422, "lines[0].quantity")
    rest = shop.post(f"{path}/returns", json={"return_id": "R-3"}).json()
    assert (rest["points_restored"], rest["coupon_codes"]) == (6545, [shop.code])
    assert balance(shop) == 10_000
    with shop.database.transaction() as tx:
        assert not run(tx, queries_audit.CHECKS).broken


def test_a_sale_cancelled_by_event_gives_all_points_back(shop):
    done = sold(shop, "T-9", **full_cart(shop)).json()
    assert restored(heard(shop, "order.cancelled", "e-1", "T-9")) == [10_000]
    undone = shop.post(f"/v1/sessions/{done['session_id']}/cancel").json()
    assert (undone["state"], undone["reversed"]["points_restored"]) == ("cancelled", 0)
    assert balance(shop) == 10_000


def test_cancelling_says_what_it_undid(shop):
    done = sold(shop, "T-9", **full_cart(shop)).json()
    assert done["reversed"] is None
    undone = shop.post(f"/v1/sessions/{done['session_id']}/cancel").json()["reversed"]
    assert (undone["points_restored"], undone["refund_minor"]) == (10_000, 13_500)
    assert (undone["coupon_codes"], undone["clawed_back"]) == ([shop.code], {"points": 125})


def test_stored_value_is_taken_and_given_back_by_its_share(purse, clock):
    cart = full_cart(purse, coupons=[], pay_with_points=None, shipping_minor=0)  # 245.00
    short = {"tenders": [{"type": "stored_value", "amount_minor": 24_500}]}
    done = sold(purse, "T-1", **cart, order={"tenders": [
        {"type": "stored_value", "amount_minor": 20_000}, {"type": "cash", "amount_minor": 4_500}]})  # fmt: skip
    assert done.status_code == 201, done.text
    assert "tender_taken" in [one["kind"] for one in done.json()["effects"]]
    assert wallet(purse, clock) == 10_000
    refused = sold(purse, "T-2", **cart, order=short)
    assert (refused.status_code, refused.json()["code"]) == (409, "insufficient_stored_value")
    assert refused.json()["field"] == "tenders[0].amount_minor"
    path = f"/v1/sessions/{done.json()['session_id']}"
    back = shop_return(purse, path, "R-1", "b")
    [share] = back["tenders"]
    assert share["amount_minor"] == round(back["value_minor"] * 20_000 / 24_500)
    assert back["refund_minor"] + share["amount_minor"] == back["value_minor"]
    rest = shop_return(purse, path, "R-2", "a")
    assert rest["tenders"][0]["amount_minor"] + share["amount_minor"] == 20_000
    assert wallet(purse, clock) == 30_000


def shop_return(shop, path, return_id, line_id):
    lines = [{"line_id": line_id, "quantity": 1}]
    answer = shop.post(f"{path}/returns", json={"return_id": return_id, "lines": lines})
    assert answer.status_code == 201, answer.text
    return answer.json()


def test_a_committed_session_takes_stored_value_and_a_cancel_gives_it_back(purse, clock):
    cart = full_cart(purse)
    opened = purse.post("/v1/sessions", json=cart, headers={"Idempotency-Key": "o"}).json()
    path = f"/v1/sessions/{opened['session_id']}"
    paid = {
        "quote_hash": opened["quote"]["quote_hash"],
        "tenders": [{"type": "stored_value", "amount_minor": 13_500, "scheme": "wallet"}],
    }
    assert purse.post(f"{path}/commit", json=paid).status_code == 200
    assert purse.post(f"{path}/commit", json=paid).status_code == 200
    assert wallet(purse, clock) == 16_500
    undone = purse.post(f"{path}/cancel").json()["reversed"]
    assert undone["tenders"] == [{"type": "stored_value", "amount_minor": 13_500}]
    assert undone["refund_minor"] == 0
    assert (wallet(purse, clock), balance(purse)) == (30_000, 10_000)


def test_a_guest_pays_with_a_gift_card(purse, clock):
    card = {"type": "gift_card", "code": purse.card.code, "pin": purse.card.pin, "amount_minor": 5_000}
    cash = {"type": "cash", "amount_minor": 19_500}

    def buy(number, **change):
        return sold(purse, number, **CART, order={"tenders": [card | change, cash]})

    wrong = buy("T-1", pin="000000" if purse.card.pin != "000000" else "111111")
    assert (wrong.status_code, wrong.json()["code"]) == (403, "wrong_pin")
    assert wrong.json()["have"] == 4
    unknown = buy("T-1", code="AAAA-BBBB-CCCC-DDDD")
    assert (unknown.status_code, unknown.json()["code"]) == (404, "unknown_card")
    without = buy("T-1", code=None)
    assert (without.status_code, without.json()["code"]) == (422, "tender_needs_card")
    stored = sold(purse, "T-1", **CART, order={"tenders": [{"type": "stored_value", "amount_minor": 24_500}]})
    assert (stored.status_code, stored.json()["code"]) == (422, "tender_needs_member")
    done = buy("T-1")
    assert done.status_code == 201, done.text
    assert on_card(purse, clock) == 0
    assert buy("T-1").json() == done.json()
    empty = buy("T-2")
    assert (empty.status_code, empty.json()["code"]) == (409, "insufficient_stored_value")
    with purse.database.transaction() as tx:
        [(kept,)] = tx.raw.execute("SELECT request::text || kept::text FROM programs.session").fetchall()
    assert purse.card.pin not in kept
    item = heard(purse, "order.cancelled", "e-1", "T-1")
    assert [one["kind"] for one in item["effects"]] == ["tender_given_back"]
    assert on_card(purse, clock) == 5_000


def test_a_till_is_told_in_its_own_words(shop):
    mistyped = shop.post(
        "/v1/sessions", json=full_cart(shop, coupons=["NOSUCHCODE"]), headers={"Idempotency-Key": "n"}
    ).json()
    assert (mistyped["have"], "None" in mistyped["detail"]) == ("NOSUCHCODE", False)
    told = shop.post("/v1/evaluations", json=full_cart(shop)).json()
    assert told["valid_until"].endswith("Z")
    assert told["earn"][0]["text"] == {"en": "base: 125 points", "zh-CN": "规则：得 125 积分"}
    guest = shop.post("/v1/evaluations", json={**CART, "explain": "all"}).json()
    assert {one["rule"]: one["code"] for one in guest["trace"] if "code" in one}["base"] == "members_only"


def test_what_is_missing_is_said_once(shop, clock):
    off = {"kind": "reduction", "steps": [{"from_minor": 25_000, "off_minor": 3_000}]}
    member = {"kind": "percent_off", "percent": "1", "on": {"fact": "line.sku", "is": "tea"}}
    rules = (
        trade.rule("price", member, on="cart", lane="member_price"),
        trade.rule("thirty", off, on="cart", lane="full_reduction", when={"fact": "cart.amount", "gte": 25_000}),
    )
    with shop.database.transaction() as tx:
        trade.publish(tx, trade.document(*rules), at=clock.now())
    lines = [{"line_id": "a", "sku": "tea", "quantity": 1, "unit_price_minor": 25_000}]
    told = shop.post("/v1/evaluations", json={**CART, "lines": lines}).json()["next_best"]
    assert [(one["rule"], one["missing_minor"]) for one in told] == [("thirty", 250)]
