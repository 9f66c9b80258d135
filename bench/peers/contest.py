"""Our engine and four others on the same carts, in one run: installs the others, races, compares every answer."""

import json
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

from changke.kernel.i18n import Text
from changke.modules.programs.rules.engine import Engine, compile_program
from changke.modules.programs.terms_definition import (
    Campaign,
    Hand,
    Lane,
    LaneKind,
    Mode,
    PercentOff,
    Program,
    Rule,
    Trigger,
)
from changke.modules.programs.terms_evaluation import Cart, CartLine, MemberFacts, Request, Situation
from peers.races import SKUS_EACH, MatchRace, PriceRace, agree, as_json, match_race, price_race

HERE = Path(__file__).parent
PYTHON_PEERS = ("django-oscar==4.2.1", "zen-engine==2.1.3", "datalogic-py==5.9.0")
PROMOTIONS = 1_000
RULES = 200
AT = datetime(2026, 3, 3, 4, tzinfo=UTC)
TARGETS = {"medusa": 50.0, "oscar": 500.0, "zen": 8.0, "datalogic": 2.0}


@dataclass(frozen=True, slots=True)
class Contest:
    """CPU milliseconds a cart of everybody, how much more than ours the others took, and how many carts differ."""

    cpu_ms: dict[str, float]
    ratios: dict[str, float]
    differing: dict[str, int]


def contest(folder: Path, *, quick: bool) -> Contest:
    """Race everybody; `folder` keeps the installations from one run to the next."""
    python = install(folder)
    cpu, ratios, differing = {}, {}, {}
    for name, asked, run in (
        ("medusa", price_race(PROMOTIONS), lambda race: _medusa(folder, race, 40 if quick else 300)),
        ("oscar", price_race(PROMOTIONS), lambda race: _oscar(python, race, 2)),
        ("zen", match_race(RULES), lambda race: _matcher(python, "zen_rules.py", race)),
        ("datalogic", match_race(RULES), lambda race: _matcher(python, "datalogic_rules.py", race)),
    ):
        ours, answers = _ours(asked)
        theirs = run(asked)
        found = theirs.get("off_minor") or theirs["matches"]
        cpu[f"changke_beside_{name}"], cpu[name] = ours, theirs["cpu_ms"]
        ratios[name] = theirs["cpu_ms"] / ours
        differing[name] = agree(answers, found)
        print(
            f"  {name} {theirs['version']}: {theirs['cpu_ms']:.3f} ms a cart, ours {ours:.3f} ms, {ratios[name]:.1f} x,"
            f" {differing[name]} of {len(found)} carts differ"
        )
    return Contest(cpu, ratios, differing)


def install(folder: Path) -> Path:
    """Put the peers into a folder of their own, from the registries; returns the Python that has its share."""
    folder.mkdir(parents=True, exist_ok=True)
    python = folder / "venv" / "bin" / "python"
    if not python.exists():
        _call(sys.executable, "-m", "venv", str(folder / "venv"))
        _call(str(python), "-m", "pip", "install", "--quiet", *PYTHON_PEERS)
    if not (folder / "node_modules" / "@medusajs" / "promotion").exists():
        (folder / "package.json").write_bytes((HERE / "package.json").read_bytes())
        _call("npm", "install", "--no-audit", "--no-fund", "--ignore-scripts", "--legacy-peer-deps", folder=folder)
    return python


def _call(*command: str, folder: Path | None = None) -> None:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)} failed: {done.stderr[-2000:]}")


def _run(command: Sequence[str], given: dict[str, Any]) -> dict[str, Any]:
    done = subprocess.run(command, input=json.dumps(given), capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)} failed: {done.stderr[-2000:]}")
    answer: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return answer


def _medusa(folder: Path, race: PriceRace, carts: int) -> dict[str, Any]:
    return _run(["node", str(HERE / "medusa.cjs"), str(folder)], as_json(race, carts=carts))


def _oscar(python: Path, race: PriceRace, carts: int) -> dict[str, Any]:
    return _run([str(python), str(HERE / "oscar_offers.py")], as_json(race, carts=carts))


def _matcher(python: Path, script: str, race: MatchRace) -> dict[str, Any]:
    return _run([str(python), str(HERE / script)], {"rules": race.rules, "facts": race.facts, "rounds": 3})


# ours ----------------------------------------------------------------------------------------------------------------


def _ours(race: PriceRace | MatchRace) -> tuple[float, list[Any]]:
    """Return our CPU milliseconds a cart, and what was found: the full evaluation of prices, or the matching alone."""
    if isinstance(race, PriceRace):
        engine, requests = compile_program(price_programme(race), version=1), price_requests(race)
        answers: list[Any] = [engine.evaluate(one).totals.discount_minor for one in requests]
        assert not agree(race.off_minor(), answers), "our own answers are wrong"
    else:
        engine, requests = compile_program(match_programme(race), version=1), match_requests(race)
        answers = [sorted(code for _, code in engine.matches(one)) for one in requests]
        assert not agree(race.matches(), answers), "our own answers are wrong"
        return _cpu_ms(lambda: [engine.matches(one) for one in requests], len(requests)), answers
    return _cpu_ms(lambda: [engine.evaluate(one) for one in requests], len(requests)), answers


def _cpu_ms(run: Callable[[], object], carts: int, *, rounds: int = 5) -> float:
    best = float("inf")
    for _ in range(rounds):
        before = time.process_time()
        run()
        best = min(best, time.process_time() - before)
    return 1000 * best / carts


def price_programme(race: PriceRace) -> Program:
    """Return the promotions as a programme: one rule each, in one lane."""
    rules = tuple(
        Rule(
            code=one["code"],
            name=Text(one["code"], one["code"]),
            lane="promotions",
            effects=(PercentOff("percent_off", one["percent"], {"fact": "line.sku", "in": one["skus"]}),),
        )
        for one in race.promotions
    )
    return _programme(rules, (Lane("promotions", LaneKind.PRICE, Mode.STACKABLE),))


def price_requests(race: PriceRace) -> list[Request]:
    """Return the carts as requests of a guest."""
    return [
        Request(
            Cart(
                "USD",
                tuple(
                    CartLine(
                        line["line_id"], line["sku"], line["quantity"] * 1000, line["unit_price_minor"],
                        line["amount_minor"],
                    )
                    for line in cart
                ),
            ),
            Situation(AT, channel="store"),
        )
        for cart in race.carts
    ]  # fmt: skip


def match_programme(race: MatchRace) -> Program:
    """Return the conditions as a programme whose rules hand a tag on, so that the answer lists those that hold."""
    rules = tuple(
        Rule(
            code=one["code"],
            name=Text(one["code"], one["code"]),
            trigger=Trigger("order"),
            when=_tree(one),
            effects=(Hand("tag", one["code"]),),
        )
        for one in race.rules
    )
    return _programme(rules, ())


def _tree(rule: dict[str, Any]) -> dict[str, Any]:
    parts: list[dict[str, Any]] = []
    if "channels" in rule:
        parts.append({"fact": "channel", "in": rule["channels"]})
    if "tiers" in rule:
        parts.append({"fact": "member.tier", "in": rule["tiers"]})
    if "tags_any" in rule:
        parts.append({"fact": "member.tags", "has_any": rule["tags_any"]})
    if "tags_none" in rule:
        parts.append({"fact": "member.tags", "has_none": rule["tags_none"]})
    if "amount_gte" in rule:
        parts.append({"fact": "cart.amount", "gte": rule["amount_gte"]})
    if "skus_any" in rule:
        parts.append({"fact": "cart.skus", "has_any": rule["skus_any"]})
    if department := rule.get("department"):
        where = {"fact": "line.category", "has_any": [department["name"]]}
        parts.append({"lines": {"measure": "amount", "where": where}, "gte": department["gte"]})
    if either := rule.get("either"):
        parts.append(
            {"any": [{"fact": "member.tier", "in": either["tiers"]},
                     {"fact": "member.tags", "has_any": either["tags_any"]}]}
        )  # fmt: skip
    return {"all": parts}


def match_requests(race: MatchRace) -> list[Request]:
    """Return the facts as requests of a member."""
    return [
        Request(
            Cart(
                "USD",
                tuple(
                    CartLine(
                        str(place), line["sku"], line["quantity"] * 1000, line["unit_price_minor"],
                        line["unit_price_minor"] * line["quantity"], (line["department"],),
                    )
                    for place, line in enumerate(facts["lines"])
                ),
            ),
            Situation(AT, channel=facts["channel"]),
            MemberFacts(
                UUID(int=1),
                {"member.known": True, "member.tier": facts["tier"], "member.tags": frozenset(facts["tags"])},
            ),
            trigger="order",
        )
        for facts in race.facts
    ]  # fmt: skip


def _programme(rules: tuple[Rule, ...], lanes: tuple[Lane, ...]) -> Program:
    name = Text("race", "比赛")
    earn = (Lane("earn", LaneKind.EARN),)
    campaign = Campaign("race", name, rules)
    return Program("race", name, "USD", "UTC", lanes=(*lanes, *earn), points_tender=None, campaigns=(campaign,))


__all__ = ["RULES", "SKUS_EACH", "TARGETS", "Contest", "Engine", "contest"]
