"""Conditions over HTTP: checked, translated, and refused with the place of the fault."""


def test_a_condition_is_seen_in_every_form(client):
    tree = {"all": [{"fact": "member.tier", "in": ["gold"]}, {"fact": "cart.amount", "gte": 10000}]}
    text = 'member.tier in ["gold"] && cart.amount >= 10000'
    logic = {"and": [{"in": [{"var": "member.tier"}, ["gold"]]}, {">=": [{"var": "cart.amount"}, 10000]}]}
    answers = [
        client.post("/v1/conditions", json=body) for body in ({"tree": tree}, {"text": text}, {"json_logic": logic})
    ]
    assert [one.status_code for one in answers] == [200] * 3, [one.text for one in answers]
    first, *others = [one.json() for one in answers]
    assert others == [first, first]
    assert (first["tree"], first["text"]) == (tree, text)
    assert (first["facts"], first["verdict"]) == (["cart.amount", "member.tier"], "depends")


def test_a_fault_names_its_place(client):
    answer = client.post("/v1/conditions", json={"tree": {"all": [{"fact": "member.teir", "is": "gold"}]}})
    assert answer.status_code == 422
    assert answer.json()["field"] == "tree.all[0].fact"
    answer = client.post("/v1/conditions", json={"text": "cart.amount >= "})
    assert (answer.status_code, answer.json()["field"]) == (422, "text")


def test_a_condition_that_never_holds_says_so(client):
    both = {"all": [{"fact": "cart.amount", "gte": 5}, {"fact": "cart.amount", "lt": 3}]}
    assert client.post("/v1/conditions", json={"tree": both}).json()["verdict"] == "never"


def test_nothing_given_is_refused(client):
    assert client.post("/v1/conditions", json={}).json()["code"] == "missing_field"


def test_the_facts_are_listed_in_both_languages(client):
    facts = {one["name"]: one for one in client.get("/v1/facts").json()["facts"]}
    assert facts["member.tier"]["type"] == "text"
    assert all(one["text_en"] and one["text_zh"] and one["source"] for one in facts.values())
