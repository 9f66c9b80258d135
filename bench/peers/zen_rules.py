"""zen-engine on the matching race: one decision table that collects every row that holds, by the static loader.

Reads {rules, facts, rounds} from standard input, prints {version, matches, cpu_ms}.
"""

import json
import sys
import time
from importlib.metadata import version

import zen

INPUTS = {
    "channel": "channel",
    "tier": "tier",
    "tags": "tags",
    "amount": "amount",
    "skus": "skus",
    "department": "",
    "either": "",
}


def listed(values: list[str]) -> str:
    """Return values as zen's expression language lists them."""
    return ", ".join(f'"{value}"' for value in values)


def row(number: int, rule: dict) -> dict:
    """Return a rule as a row of the table; an empty cell always holds."""
    tags = []
    if "tags_any" in rule:
        tags.append(f"some($, # in [{listed(rule['tags_any'])}])")
    if "tags_none" in rule:
        tags.append(f"none($, # in [{listed(rule['tags_none'])}])")
    either, department = rule.get("either"), rule.get("department")
    return {
        "_id": str(number),
        "channel": listed(rule.get("channels", [])),
        "tier": listed(rule.get("tiers", [])),
        "tags": " and ".join(tags),
        "amount": f">= {rule['amount_gte']}" if "amount_gte" in rule else "",
        "skus": f"some($, # in [{listed(rule['skus_any'])}])" if "skus_any" in rule else "",
        "department": f"of.{department['name']} >= {department['gte']}" if department else "",
        "either": f"tier in [{listed(either['tiers'])}] or some(tags, # in [{listed(either['tags_any'])}])"
        if either
        else "",
        "code": f'"{rule["code"]}"',
    }


def document(rules: list[dict]) -> dict:
    """Return the decision: input, table, output."""
    table = {
        "hitPolicy": "collect",
        "inputs": [{"id": name, "name": name, "field": field} for name, field in INPUTS.items()],
        "outputs": [{"id": "code", "name": "code", "field": "code"}],
        "rules": [row(number, rule) for number, rule in enumerate(rules)],
    }
    return {
        "nodes": [
            {"id": "in", "name": "in", "type": "inputNode", "position": {"x": 0, "y": 0}},
            {
                "id": "table",
                "name": "table",
                "type": "decisionTableNode",
                "position": {"x": 1, "y": 0},
                "content": table,
            },
            {"id": "out", "name": "out", "type": "outputNode", "position": {"x": 2, "y": 0}},
        ],
        "edges": [
            {"id": "1", "sourceId": "in", "targetId": "table", "type": "edge"},
            {"id": "2", "sourceId": "table", "targetId": "out", "type": "edge"},
        ],
    }


def main() -> None:
    """Match every cart, then again for the time."""
    given = json.load(sys.stdin)
    engine = zen.ZenEngine({"loader": {"type": "static", "content": {"race": document(given["rules"])}}})
    matches = [[one["code"] for one in engine.evaluate("race", facts)["result"]] for facts in given["facts"]]
    before = time.process_time()
    for _ in range(given["rounds"]):
        for facts in given["facts"]:
            engine.evaluate("race", facts)
    cpu_ms = 1000 * (time.process_time() - before) / (given["rounds"] * len(given["facts"]))
    print(json.dumps({"version": version("zen-engine"), "matches": matches, "cpu_ms": cpu_ms}))


if __name__ == "__main__":
    main()
