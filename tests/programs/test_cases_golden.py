"""The golden set: carts with what should happen, worked out by hand. Engine and reference have to be right on all."""

from datetime import datetime
from pathlib import Path

import pytest
import yaml
from tests.programs.judges import ANNA, JUDGES, NOON, ask, coupon, evaluate, line, member, offs, points, program

from changke.modules.programs.terms_evaluation import CounterKey


class Loader(yaml.SafeLoader):
    """YAML in which `on` and `off` are words, as in YAML 1.2."""


Loader.yaml_implicit_resolvers = {
    letter: [(tag, pattern) for tag, pattern in found if letter in "tTfF" or tag != "tag:yaml.org,2002:bool"]
    for letter, found in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
FOLDER = Path(__file__).parent / "golden"
PLAIN = [
    {"code": "price", "kind": "price"},
    {"code": "reduction", "kind": "reduction"},
    {"code": "coupon", "kind": "coupon"},
    {"code": "points", "kind": "points"},
    {"code": "shipping", "kind": "shipping"},
    {"code": "earn", "kind": "earn"},
]
LANES = {
    "plain": PLAIN,
    "standard": [],
    "first": [PLAIN[0] | {"mode": "first"}, *PLAIN[1:]],
    "best": [PLAIN[0] | {"mode": "best_for_member"}, *PLAIN[1:]],
    "initial": [PLAIN[0] | {"reads": "initial"}, *PLAIN[1:]],
    "grouped": [PLAIN[0] | {"groups": [{"code": "one", "mode": "first", "priority": 1}]}, *PLAIN[1:]],
}
CASES = [
    (f"{path.stem}: {case['name']}", case)
    for path in sorted(FOLDER.glob("*.yaml"))
    for case in yaml.load(path.read_text(encoding="utf-8"), Loader)
]


def programme(case):
    campaign = case.get("campaign")
    if not case["rules"]:
        campaign = {"rules": [_idle()]}
    fields = {
        name: case[name] for name in ("caps", "earn", "points_tender", "sets", "currency", "time_zone") if name in case
    }
    return program(*case["rules"], campaign=campaign, lanes=LANES[case.get("lanes", "plain")], **fields)


def _idle():
    never = {"fact": "channel", "is": "nowhere"}
    effects = [{"kind": "percent_off", "percent": 1}]
    return {"code": "idle", "name": {"en": "i", "zh": "无"}, "lane": "price", "when": never, "effects": effects}


def request(case):
    asked = dict(case.get("ask", {}))
    lines = [line(sku, price, quantity, **dict(*more)) for sku, price, quantity, *more in case["cart"]]
    asked["at"] = datetime.fromisoformat(asked["at"]) if "at" in asked else NOON
    asked["coupons"] = tuple(
        coupon(code, template, **dict(*more)) for code, template, *more in asked.get("coupons", ())
    )
    asked["used"] = {
        CounterKey(limit, ANNA.hex if scope == "anna" else scope, window): amount
        for limit, amount, scope, window in asked.get("used", ())
    }
    if asked.get("member", {}) is not None:
        facts = {
            name: frozenset(one) if isinstance(one, list) else one for name, one in asked.get("member", {}).items()
        }
        asked["member"] = member(**facts)
    return ask(*lines, currency=case.get("currency", "CNY"), explain="all", **asked)


def fired(answer):
    """Return every rule that did something."""
    rules = {one.rule for one in (*answer.applied, *answer.gifts, *answer.credits, *answer.due)}
    return rules | {code for one in answer.credits for code in one.because}


SEEN = {
    "fired": lambda answer: sorted(fired(answer)),
    "payable": lambda answer: answer.totals.payable_minor,
    "off": offs,
    "desired": lambda answer: {one.rule: one.desired_minor for one in answer.applied},
    "capped": lambda answer: {one.rule: one.capped_by for one in answer.applied if one.capped_by},
    "lines": lambda answer: [one.payable_minor for one in answer.lines],
    "earns": points,
    "earn_lines": lambda answer: {one.rule: [part for _, part in one.lines] for one in answer.credits},
    "due": lambda answer: sorted([one.rule, one.kind, one.code, one.count] for one in answer.due),
    "gifts": lambda answer: {one.sku: one.quantity for one in answer.gifts},
    "coupons": lambda answer: list(answer.coupons_used),
    "points": lambda answer: answer.totals.points,
    "tax": lambda answer: answer.totals.tax_minor,
    "shipping_off": lambda answer: answer.totals.shipping_discount_minor,
    "takes": lambda answer: {one.key.limit: one.amount for one in answer.takes},
}


@pytest.mark.parametrize("judge", JUDGES)
@pytest.mark.parametrize("case", [case for _, case in CASES], ids=[name for name, _ in CASES])
def test_the_label_holds(judge, case):
    answer = evaluate(judge, programme(case), request(case))
    expected = dict(case["expect"])
    rejected = expected.pop("rejected", {})
    for name, wanted in expected.items():
        wanted = sorted(wanted) if name in ("fired", "due") else wanted
        assert SEEN[name](answer) == wanted, (name, case["why"])
    for who, codes in rejected.items():
        found = {one.code for one in answer.rejections if who in (one.rule, one.coupon)}
        assert found & set(codes.split("|")), (who, found, case["why"])
    assert answer.totals.net_minor == sum(one.net_minor for one in answer.lines)
    assert all(one.payable_minor >= 0 for one in answer.lines)


def test_the_set_is_large_and_every_label_has_its_reason():
    assert len(CASES) >= 60
    assert all(case["why"] and {"fired", "payable"} <= set(case["expect"]) for _, case in CASES)
    assert len({name for name, _ in CASES}) == len(CASES)


def test_every_effect_stands_in_the_set():
    kinds = {effect["kind"] for _, case in CASES for rule in case["rules"] for effect in rule["effects"]}
    prices = "percent_off amount_off fixed_price nth_item bundle gift reduction shipping_off"
    others = "credit multiply issue_coupon grant_benefit grant_badge draw_ticket tag start_journey call_webhook"
    assert kinds >= {*prices.split(), *others.split()}
