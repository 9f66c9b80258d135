"""Long ways of members through the house, as their retailer sees them."""

import time
from datetime import UTC, datetime, timedelta

import pytest

from tests.journeys.conftest import giving_back, sale

pytestmark = pytest.mark.xdist_group("journeys")


def now() -> str:
    return datetime.now(UTC).isoformat()


def test_anna_buys_tea_and_sees_her_points(shop, eventually, unique):
    tea = sale(f"A-{unique}", 12_345, card_number=f"ANNA{unique}")
    assert shop.sends(tea) == ["accepted"]
    anna = shop.member("card_number", f"ANNA{unique}")
    eventually(lambda: shop.wallet(anna)["available"], 123)
    [line] = shop.statement(anna)
    assert (line["kind"], line["amount"], line["balance_after"]) == ("earn", 123, 123)
    assert shop.sends(tea, mode="sync") == ["duplicate"]
    assert shop.sends({**tea, "channel": "app"}) == ["rejected"], "the same id with another body"
    assert shop.wallet(anna)["balance"] == 123
    eventually(lambda: shop.http.get(f"/v1/ledger/receipts/{line['posting_id']}").status_code, 200)


def test_bens_return_arrives_before_his_purchase(shop, eventually, unique):
    purchase = sale(f"B-{unique}", 10_000, card_number=f"BEN{unique}")
    purchase["payload"]["lines"] = [
        {"sku": "cup", "quantity": 1, "unit_price_minor": 3_000, "net_minor": 3_000},
        {"sku": "pot", "quantity": 1, "unit_price_minor": 7_000, "net_minor": 7_000},
    ]
    assert shop.sends(giving_back(f"B-{unique}", 3_000)) == ["parked"]
    assert shop.sends(purchase) == ["accepted"]
    ben = shop.member("card_number", f"BEN{unique}")
    eventually(lambda: shop.wallet(ben)["balance"], 70)
    assert [line["amount"] for line in shop.statement(ben)] == [-30, 100]


def test_two_cards_of_one_person_are_merged_and_taken_apart_again(shop, eventually, unique):
    shop.sends(sale(f"C1-{unique}", 30_000, card_number=f"CHEN1{unique}"))
    shop.sends(sale(f"C2-{unique}", 20_000, card_number=f"CHEN2{unique}"))
    first, second = (shop.member("card_number", f"CHEN{n}{unique}") for n in (1, 2))
    eventually(lambda: (shop.wallet(first)["balance"], shop.wallet(second)["balance"]), (300, 200))

    body = {"with_members": [second], "reason": "the same lady, seen at the desk"}
    merged = shop.asks("POST", f"/v1/members/{first}/merge", json=body)
    eventually(
        lambda: shop.member("card_number", f"CHEN1{unique}") == shop.member("card_number", f"CHEN2{unique}"), True
    )
    one = shop.member("card_number", f"CHEN2{unique}")
    eventually(lambda: shop.wallet(one)["balance"], 500)

    shop.sends(sale(f"C3-{unique}", 5_000, card_number=f"CHEN2{unique}"))
    eventually(lambda: shop.wallet(one)["balance"], 550)

    merge_id = merged["merges"][0]["merge_id"] if "merges" in merged else merged["merge_id"]
    shop.asks("POST", f"/v1/merges/{merge_id}/undo", json={"reason": "mother and daughter"})
    apart = {number: shop.member("card_number", f"CHEN{number}{unique}") for number in (1, 2)}
    assert apart[1] != apart[2]
    eventually(lambda: [shop.wallet(apart[number])["balance"] for number in (1, 2)], [300, 250])


def test_points_held_at_the_till_are_captured_after_their_date(shop, eventually, unique):
    shop.sends(sale(f"D-{unique}", 100, card_number=f"DAI{unique}"))
    dai = shop.member("card_number", f"DAI{unique}")
    eventually(lambda: shop.wallet(dai)["balance"], 1)
    ends = datetime.now(UTC) + timedelta(seconds=3)
    earn = {
        "type": "earn", "key": f"gift-{unique}", "member_id": dai, "wallet_type": "points", "amount": 200,
        "occurred_at": now(), "expires_at": ends.isoformat(),
    }  # fmt: skip
    hold = {
        "type": "hold", "key": f"hold-{unique}", "member_id": dai, "wallet_type": "points", "amount": 150,
        "ttl_seconds": 600, "occurred_at": now(),
    }  # fmt: skip
    results = shop.asks("POST", "/v1/postings", json={"postings": [earn, hold]})["results"]
    assert [one["status"] for one in results] == ["posted", "posted"]
    assert shop.wallet(dai)["held"] == 150
    time.sleep(max(0.0, (ends - datetime.now(UTC)).total_seconds()) + 0.3)
    capture = {"type": "capture", "key": f"take-{unique}", "hold_id": results[1]["posting_id"], "occurred_at": now()}
    [taken] = shop.asks("POST", "/v1/postings", json={"postings": [capture]})["results"]
    assert taken["status"] == "posted"
    wallet = shop.wallet(dai)
    assert (wallet["held"], wallet["available"]) == (0, 1), "what was not held is past its date"
    again = shop.asks("POST", "/v1/postings", json={"postings": [capture]})["results"][0]
    assert (again["status"], again["posting_id"]) == ("duplicate", taken["posting_id"])


MAPPING = """
mapping: 1
kind: orders
source: back-office
channel: store
currency: CNY
time_zone: UTC
group_by: order
occurred_at: at
identifiers: [{namespace: card_number, column: card}]
payload: {order_number: order, currency: {constant: CNY}}
lines: {sku: sku, quantity: quantity, net_minor: {column: amount, required: true}}
"""


def test_a_sale_told_by_three_channels_counts_once(shop, eventually, unique, tmp_path):
    number, card, at = f"E-{unique}", f"EVA{unique}", datetime.now(UTC) - timedelta(hours=1)
    assert shop.sends(sale(number, 8_800, card_number=card)) == ["accepted"]

    tracked = {
        "type": "track", "event": "Order Completed", "messageId": f"m-{unique}", "userId": f"eva-{unique}",
        "timestamp": at.isoformat(),
        "properties": {
            "order_id": number, "currency": "CNY", "total": 88.00,
            "products": [{"product_id": "tea", "sku": "tea", "price": 88.00, "quantity": 1}],
        },
    }  # fmt: skip
    answer = shop.asks("POST", "/v1/batch", json={"batch": [tracked]}, auth=(shop.secret, ""))
    assert answer["success"] is True

    file, mapping = tmp_path / "sales.csv", tmp_path / "sales.yaml"
    file.write_text(f"order,at,card,sku,quantity,amount\n{number},{at:%Y-%m-%d %H:%M:%S},{card},tea,1,88.00\n")
    mapping.write_text(MAPPING)
    report = shop.imports(file, mapping)
    assert report["duplicate"] == 1, report

    eva = shop.member("card_number", card)
    eventually(lambda: shop.wallet(eva)["balance"], 88)
    time.sleep(0.5)
    assert shop.wallet(eva)["balance"] == 88
    found = shop.asks("GET", "/v1/orders", params={"order_number": number})
    assert [one["order_number"] for one in found["items"]] == [number]


def test_after_all_that_the_books_are_clean(shop):
    verdict = shop.audit()
    assert verdict["holds"], verdict["broken"]
