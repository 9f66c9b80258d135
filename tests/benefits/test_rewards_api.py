"""A day over HTTP: the matrix is put, a member claims on the phone and uses at the till, buys a reward, pays."""

from uuid import uuid4

import pytest

from changke.modules.benefits import queries_matrix, queries_rewards, queries_stored_value
from tests.benefits.mall import NOON, earn, ladder, matrix, person
from tests.benefits.test_rewards_orders import KETTLE, MUG
from tests.benefits.test_stored_value_accounts import WALLET

AT = NOON.isoformat()


@pytest.fixture
def anna(edge, client):
    with edge.database.transaction() as tx:
        ladder(tx)
        who = person(tx)
        earn(tx, who, 1_000)
    return str(who)


def body(one, as_data) -> dict:
    return {name: value for name, value in as_data(one).items() if name != "code"}


@pytest.fixture
def call(client):
    """Send a request with a key of its own, or a given one."""

    def send(method: str, path: str, status: int, json=None, *, key=None, language="en"):
        headers = {"Idempotency-Key": key or uuid4().hex, "Accept-Language": language}
        answer = client.request(method, f"/v1{path}", json=json, headers=headers)
        assert answer.status_code == status, answer.text
        return answer.json()

    return send


def test_benefits_from_the_matrix_to_the_till(call, anna):
    put = call("PUT", "/benefit-matrices/grocery", 200, body(matrix(), queries_matrix.as_data))
    assert put["version"] == 1
    assert call("GET", "/benefit-matrices", 200)["matrices"] == [put]
    has = call("GET", f"/members/{anna}/benefits", 200, language="zh-CN")["benefits"]
    assert {one["benefit"]: one["left"] for one in has} == {"water": 1, "parking": 1}
    assert has[0]["name"] == "权益"
    claim = call(
        "POST", f"/members/{anna}/benefit-claims", 201, {"benefit": "parking", "channel": "app", "occurred_at": AT}
    )
    asked = {"code": claim["code"], "channel": "store", "store": "s1", "occurred_at": AT}
    used = call("POST", "/benefit-uses", 201, asked, key="till-1")
    assert (used["member_id"], used["left"], used["duplicate"]) == (anna, 0, False)
    assert call("POST", "/benefit-uses", 201, asked, key="till-1")["duplicate"]
    again = {"member_id": anna, "benefit": "parking", "channel": "store", "occurred_at": AT}
    refused = call("POST", "/benefit-uses", 409, again, language="zh-CN")
    assert (refused["code"], refused["have"], refused["need"]) == ("quota_reached", 0, 1)
    assert "剩余 0 次" in refused["detail"]
    back = {"member_id": anna, "use_key": "till-1", "occurred_at": AT}
    assert call("POST", "/benefit-uses/give-back", 200, back)["benefit"] == "parking"
    (line,) = call("GET", f"/members/{anna}/benefit-uses", 200)["uses"]
    assert (line["state"], line["store"]) == ("given_back", "s1")
    lines = call("GET", "/benefit-efficiency?since=2026-03-01&until=2026-04-01", 200)["lines"]
    assert {one["used"] for one in lines} == {0}


def test_rights_are_granted_passed_on_and_revoked(call, anna, edge):
    call("PUT", "/benefit-matrices/grocery", 200, body(matrix(), queries_matrix.as_data))
    granted = call("POST", f"/members/{anna}/entitlements", 201, {"benefit": "lounge", "occurred_at": AT}, key="bday")
    (row,) = call("GET", f"/members/{anna}/entitlements", 200)["entitlements"]
    assert (row["entitlement_id"], row["state"]) == (granted["entitlement_id"], "active")
    revoke = {"grant_key": "bday", "reason": "by mistake", "occurred_at": AT}
    call("POST", f"/members/{anna}/entitlements/revoke", 200, revoke)
    with edge.database.transaction() as tx:
        ben = str(person(tx))
    move = {"source": anna, "target": ben, "benefit": "parking", "occurred_at": AT}
    assert call("POST", "/benefit-transfers", 409, move)["code"] == "benefit_not_transferable"


def test_a_matrix_that_makes_no_sense_says_where(call, anna):
    broken = body(matrix(), queries_matrix.as_data) | {"base": [{"benefit": "yacht"}]}
    refused = call("PUT", "/benefit-matrices/grocery", 422, broken)
    assert (refused["code"], refused["field"]) == ("invalid_matrix", "base")
    assert call("PUT", "/benefit-matrices/grocery", 422, {"benefits": "all"})["code"] == "invalid_matrix"
    assert call("GET", "/members/00000000-0000-7000-8000-000000000000/benefits", 404)["code"] == "not_found"


def test_a_reward_from_the_shelf_to_the_door(call, anna):
    call("PUT", "/rewards/mug", 200, body(MUG, queries_rewards.as_data))
    call("PUT", "/rewards/kettle", 200, body(KETTLE, queries_rewards.as_data))
    stock = {"change": 3, "reason": "delivery", "occurred_at": AT}
    assert call("POST", "/rewards/mug/stock", 200, stock)["stock"] == 8
    asked = {"member_id": anna, "reward": "kettle", "channel": "app", "deliver_to": "address:7", "occurred_at": AT}
    placed = call("POST", "/reward-orders", 201, asked, key="tap")["order"]
    assert (placed["state"], placed["payment"], placed["points"]) == ("placed", "due", 500)
    path = f"/reward-orders/{placed['order_id']}"
    step = {"member_id": anna, "occurred_at": AT}
    assert call("POST", f"{path}/advance", 422, step | {"to": "paid"})["code"] == "payment_needed"
    call("POST", f"{path}/advance", 200, step | {"to": "paid", "payment_reference": "wx:1"})
    call("POST", f"{path}/advance", 200, step | {"to": "packed"})
    assert [one["order_id"] for one in call("GET", "/reward-orders?state=packed", 200)["orders"]] == [
        placed["order_id"]
    ]
    back = call("POST", f"{path}/withdraw", 200, step | {"to": "cancelled", "reason": "changed mind"})
    assert (back["order"]["payment"], back["restored"]) == ("refund_due", 500)
    steps = [one["state"] for one in call("GET", path, 200)["steps"]]
    assert steps == ["placed", "paid", "packed", "cancelled"]
    assert len(call("GET", f"/members/{anna}/reward-orders", 200)["orders"]) == 1
    assert call("GET", "/rewards/kettle", 200)["stock"] == 2


def test_a_purse_and_a_gift_card(call, anna):
    call("PUT", "/stored-value-schemes/wallet", 200, body(WALLET, queries_stored_value.as_data))
    assert [one["code"] for one in call("GET", "/stored-value-schemes", 200)["schemes"]] == ["wallet"]
    money = {"member_id": anna, "scheme": "wallet", "channel": "store", "occurred_at": AT}
    top = money | {"amount_minor": 10_000, "payment_reference": "wx:1"}
    assert call("POST", "/stored-value/top-ups", 201, top)["balance_minor"] == 10_500
    pay = money | {"amount_minor": 4_000, "reference": "order:1"}
    assert call("POST", "/stored-value/payments", 201, pay | {"hold_seconds": 60}, key="p1")["held"]
    ref = {"member_id": anna, "pay_key": "p1", "occurred_at": AT}
    call("POST", "/stored-value/payments/settle", 200, ref | {"amount_minor": 3_000})
    call("POST", "/stored-value/payments/give-back", 200, ref | {"amount_minor": 1_000})
    assert call("POST", "/stored-value/payments", 409, pay | {"amount_minor": 9_000})["have"] == 8_500
    out = call("POST", "/stored-value/refunds", 201, money | {"reference": "refund:1"})
    assert (out["paid_minor"], out["bonus_minor"]) == (-8_000, -500)
    kinds = [one["kind"] for one in call("GET", f"/members/{anna}/stored-value/moves", 200)["moves"]]
    assert sorted(kinds) == ["give_back", "pay", "refund", "settle", "top_up"]
    assert call("GET", f"/members/{anna}/stored-value", 200)["stored_value"][0]["total_minor"] == 0


def test_a_gift_card_at_the_till_and_in_the_app(call, anna):
    call("PUT", "/stored-value-schemes/wallet", 200, body(WALLET, queries_stored_value.as_data))
    batch = {"scheme": "wallet", "amount_minor": 5_000, "quantity": 2, "occurred_at": AT}
    made = call("POST", "/gift-card-batches", 201, batch, key="spring")
    assert call("POST", "/gift-card-batches", 201, batch, key="spring") == made
    card, other = made["cards"]
    till = {"code": card["code"], "channel": "store", "store": "s1", "occurred_at": AT}
    call("POST", "/gift-cards/activate", 200, till | {"payment_reference": "cash:1"})
    pay = till | {"pin": card["pin"], "amount_minor": 1_500, "reference": "receipt:1"}
    assert call("POST", "/gift-cards/payments", 201, pay)["balance_minor"] == 3_500
    for left in (4, 3, 2, 1, 0):
        wrong = call("POST", "/gift-cards/look-up", 403, {"code": card["code"], "pin": "0000"})
        assert (wrong["code"], wrong["have"]) == ("wrong_pin", left)
    assert call("POST", "/gift-cards/look-up", 403, {"code": card["code"], "pin": card["pin"]})["code"] == "card_locked"
    call("POST", "/gift-cards/activate", 200, till | {"code": other["code"], "payment_reference": "cash:2"})
    mine = {"code": other["code"], "pin": other["pin"], "member_id": anna, "channel": "app", "occurred_at": AT}
    assert call("POST", "/gift-cards/redeem", 200, mine)["balance_minor"] == 5_000
    call("POST", f"/gift-cards/{card['card_id']}/void", 200, {"reason": "locked", "occurred_at": AT})
    page = call("GET", f"/gift-card-batches/{made['batch_id']}/cards?limit=1", 200)
    rest = call("GET", f"/gift-card-batches/{made['batch_id']}/cards?limit=1&cursor={page['next_cursor']}", 200)
    states = {one["card_id"]: one["state"] for one in page["cards"] + rest["cards"]}
    assert states == {card["card_id"]: "void", other["card_id"]: "redeemed"}
    assert len(call("GET", f"/gift-cards/{card['card_id']}/moves", 200)["moves"]) == 3


def test_every_door_has_its_own_key(call, client, edge, anna):
    from changke.modules.identity import commands as identity

    with edge.database.transaction() as tx:
        _, secret = identity.create_api_key(tx, name="till", permissions=frozenset({"benefits.use"}), at=NOON)
    headers = {"Authorization": f"Bearer {secret}", "Idempotency-Key": "k"}
    for method, path in (("GET", "/rewards"), ("GET", "/benefit-matrices"), ("GET", "/stored-value-schemes")):
        assert client.request(method, f"/v1{path}", headers=headers).status_code == 403
    asked = {"member_id": anna, "benefit": "water", "channel": "store", "occurred_at": AT}
    assert client.post("/v1/benefit-uses", json=asked, headers=headers).status_code == 404
