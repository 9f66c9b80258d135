"""The till over HTTP: evaluations, orders committed at once, and a publication on its way to another process.

What is measured. A durable PostgreSQL and one server process as `changke up` starts it; members with tiers, points,
coupons and a past in the database; 200 published rules; carts of real baskets. Eight callers on kept connections, on
the same cores, ask one thing after the other. Processor time is told beside the rates, and how many cores others used
meanwhile: on a busy machine the rates are lower than on a quiet one, the processor time hardly.

- evaluations: `POST /v1/evaluations`, three in ten with coupons, two in ten paying with points.
- commits: `POST /v1/sessions` with `commit`, of carts that were evaluated before: points and coupons held and used,
  the order recorded, its points posted, everything announced, synchronously on the disk. An order never comes twice.
- publication: a version is published through one process and seen by an evaluation of another one.
"""

import json
import random
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any
from uuid import uuid4

from changke.kernel.i18n import Text
from changke.modules.programs.rules import documents
from changke.modules.programs.terms_definition import Program
from till import shop as shops
from till.calls import Answer, Caller, Told, press
from till.house import House, open_house, spent
from till.shop import Shop

RULES = 200
CALLERS = 8
TARGETS: dict[str, float] = {
    "http_evaluations_per_s": 800.0,
    "http_evaluation_p99_ms": 20.0,
    "http_commits_per_s": 400.0,
    "http_commit_p99_ms": 50.0,
    "publish_to_effect_s": 1.0,
    "http_failures": 0,
}
AT_LEAST = frozenset(("http_evaluations_per_s", "http_commits_per_s"))


def measure(*, quick: bool) -> dict[str, float]:
    """Open a house with a shop, measure the three, return their figures."""
    members, carts, seconds, publications = (1_000, 300, 3.0, 3) if quick else (20_000, 3_000, 20.0, 10)
    with open_house() as house:
        shop = shops.open_shop(house, rules=RULES, members=members, carts=carts)
        house.run(servers=1)
        till = _Till(house, shop)
        figures = till.evaluations(seconds=seconds, bodies=4 * carts)
        figures |= till.commits(seconds=seconds)
        till.close()
        house.run(servers=1)
        figures |= publication(house, shop, times=publications)
        failures = figures.pop("evaluation_failures") + figures.pop("commit_failures")
        figures["http_failures"] = failures
        for line in house.complaints()[:5]:
            print(line[:2_000])
    return figures


class _Till:
    """Eight callers on kept connections to the first server."""

    def __init__(self, house: House, shop: Shop) -> None:
        self._house, self._shop = house, shop
        self._callers = [Caller(house.ports[0], house.keys["anna"]) for _ in range(CALLERS)]

    def close(self) -> None:
        """Hang up."""
        for caller in self._callers:
            caller.__exit__()

    def evaluations(self, *, seconds: float, bodies: int) -> dict[str, float]:
        """Ask for evaluations of made carts, over and over."""
        made = [shops.text(one) for one, _ in zip(shops.carts_of(self._shop), range(bodies), strict=False)]

        def ask(caller: Caller, number: int) -> Answer:
            return caller.call("/v1/evaluations", made[number % len(made)])

        press(self._callers, ask, seconds=1.5)
        before = spent(self._house)
        told = press(self._callers, ask, seconds=seconds, bodies_kept=200)
        cost = spent(self._house).since(before, count=len(told.latencies))
        applied = [len(json.loads(body)["effects"]) for body in told.bodies]
        figures = _figures("evaluation", told, cost)
        print(f"evaluations: {_line('evaluation', figures)}; {sum(applied) / max(1, len(applied)):.1f} effects each")
        return figures

    def commits(self, *, seconds: float) -> dict[str, float]:
        """Commit carts at once, each with coupons that it really uses; a coupon is shown once."""
        made = list(self._payable(int(seconds * 1_200) + 2_000))
        warm = 400

        def ask(caller: Caller, number: int) -> Answer:
            return caller.call("/v1/sessions", made[number], key=str(uuid4()))

        def more(caller: Caller, number: int) -> Answer:
            return ask(caller, number + self._asked)

        self._asked = 0
        told = press(self._callers, ask, seconds=1.0)
        self._asked = max(warm, len(told.latencies))
        orders, batches = self._batches()
        before = spent(self._house)
        told = press(self._callers, more, seconds=seconds)
        cost = spent(self._house).since(before, count=len(told.latencies))
        figures = _figures("commit", told, cost)
        after_orders, after_batches = self._batches()
        figures["orders_a_commit"] = round((after_orders - orders) / max(1, after_batches - batches), 2)
        print(f"commits: {_line('commit', figures)}; {figures['orders_a_commit']} orders a commit")
        for body in told.refused[:3]:
            print(f"  refused: {body.decode()[:300]}")
        return figures

    def _payable(self, count: int) -> Iterator[bytes]:
        """Yield carts to commit: a coupon of each member's own at most, and none shown twice."""
        luck = random.Random(9)
        left = {member: list(codes) for member, codes in self._shop.coupons.items()}
        for _ in range(count):
            asked = luck.choice(self._shop.asked)
            member = luck.choice(self._shop.members)
            codes = [left[member].pop() for _ in asked.coupons[:1] if left[member]]
            data = shops.cart(asked, member, program=self._shop.program.code, codes=codes)
            yield shops.text({**data, "commit": True})

    def _batches(self) -> tuple[int, int]:
        """Return how many orders were committed, in how many transactions."""
        with self._house.database.transaction() as tx:
            row = tx.raw.execute("SELECT count(*), count(DISTINCT xmin::text) FROM programs.session").fetchone()
        assert row is not None
        return row[0], row[1]


def _figures(name: str, told: Told, cost: dict[str, float]) -> dict[str, float]:
    good = sum(count for status, count in told.statuses.items() if status < 300)
    failed = sum(count for status, count in told.statuses.items() if status >= 500)
    return {
        f"http_{name}s_per_s": round(good / told.seconds, 1),
        f"http_{name}_p50_ms": round(told.percentile_ms(0.5), 2),
        f"http_{name}_p99_ms": round(told.percentile_ms(0.99), 2),
        f"{name}_failures": failed,
        f"{name}_refused": len(told.latencies) - good - failed,
        **{f"{name}_{what}": value for what, value in cost.items()},
    }


def _line(name: str, figures: dict[str, float]) -> str:
    rate, p50, p99 = (figures[f"http_{name}{what}"] for what in ("s_per_s", "_p50_ms", "_p99_ms"))
    server, postgres, caller = (figures[f"{name}_{who}_cpu_ms"] for who in ("server", "postgres", "client"))
    others, cores = figures[f"{name}_others_cores"], figures[f"{name}_cores"]
    return (
        f"{rate:.0f} a second, p50 {p50:.1f} ms, p99 {p99:.1f} ms; processor a call: server {server:.2f} ms,"
        f" PostgreSQL {postgres:.2f} ms, caller {caller:.2f} ms; others used {others:.1f} of {cores:.0f} cores;"
        f" {figures[f'{name}_refused']:.0f} refused, {figures[f'{name}_failures']:.0f} failed"
    )


# publication ---------------------------------------------------------------------------------------------------------


def publication(house: House, shop: Shop, *, times: int) -> dict[str, float]:
    """Publish through the first server and wait until an evaluation of the second one answers by the new version."""
    body = shops.text(next(shops.carts_of(shop)))
    took: list[float] = []
    publishing: list[float] = []
    with Caller(house.ports[0], house.keys["anna"]) as anna, Caller(house.ports[0], house.keys["ben"]) as ben:
        for number in range(times):
            version = approved(anna, ben, changed(shop.program, number))
            seen = _Watch(house, body, version)
            began = time.perf_counter()
            expect(ben.call(f"{path(shop.program, version)}/publish", b"{}"), 200)
            publishing.append(time.perf_counter() - began)
            took.append(seen.at() - began)
    print(f"published and in effect elsewhere after {max(took):.3f} s at most ({[round(one, 3) for one in took]})")
    return {
        "publish_to_effect_s": round(max(took), 3),
        "publish_to_effect_median_s": round(sorted(took)[len(took) // 2], 3),
        "publish_call_s": round(max(publishing), 3),
    }


class _Watch:
    """Asks the second server until it answers by a version."""

    def __init__(self, house: House, body: bytes, version: int) -> None:
        self._house, self._body, self._version = house, body, version
        self._at = 0.0
        self._thread = threading.Thread(target=self._look)
        self._thread.start()

    def _look(self) -> None:
        with Caller(self._house.ports[1], self._house.keys["anna"]) as caller:
            until = time.perf_counter() + 30
            while time.perf_counter() < until:
                found = json.loads(caller.call("/v1/evaluations", self._body).body)
                if found.get("rules_version") == self._version:
                    self._at = time.perf_counter()
                    return
                time.sleep(0.002)

    def at(self) -> float:
        """Return when it was seen."""
        self._thread.join()
        if not self._at:
            raise SystemExit(f"version {self._version} had no effect in 30 s")
        return self._at


def path(program: Program, version: int) -> str:
    """Return the path of a version."""
    return f"/v1/programs/{program.code}/versions/{version}"


def changed(program: Program, number: int) -> Program:
    """Return a programme that differs from the one before."""
    return replace(program, name=Text(f"bench {number}", f"基准 {number}"))


def approved(anna: Caller, ben: Caller, program: Program) -> int:
    """Let Anna draft and submit a version and Ben approve it; returns its number."""
    draft = expect(anna.call(f"/v1/programs/{program.code}/versions", shops.text(documents.dump(program))), 200)
    version = int(draft["version"])
    place = path(program, version)
    expect(anna.call(f"{place}/submit", b"{}"), 200)
    findings = expect(anna.call(f"{place}/lint", method="GET"), 200)["findings"]
    warnings = sorted({one["code"] for one in findings})
    seen = {"acknowledged": warnings, "without_simulation": "a bench"}
    expect(ben.call(f"{place}/approve", shops.text(seen)), 200)
    return version


def expect(answer: Answer, *statuses: int) -> dict[str, Any]:
    """Return the answer's data; stops the bench when it is not the one wanted."""
    if answer.status not in statuses:
        raise SystemExit(f"{answer.status}: {answer.body.decode()[:1000]}")
    found: dict[str, Any] = json.loads(answer.body)
    return found
