"""Case 27: a coupon has one use left of ten, and a hundred tills commit at the same moment."""

import json
import threading
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from changke.kernel.i18n import Text
from changke.modules.benefits import commands_coupons as coupons
from changke.modules.benefits.terms_coupons import CodeKind, Template
from changke.modules.programs import commands_versions as versions
from changke.modules.programs.rules import documents
from till.calls import Caller
from till.house import House
from till.serving import expect
from till.shop import join, text

TILLS, USES = 100, 10
_PROGRAM = "last-use"


@dataclass(frozen=True, slots=True)
class Found:
    """How often it was tried, how often it was as it should be, and what was seen where it was not."""

    times: int
    right: int
    answers: Counter[str]
    wrong: list[str]


def repeat(house: House, times: int) -> Found:
    """Try it so many times, each with a coupon of its own, over all servers of the house."""
    _publish(house, times)
    members = join(house, range(TILLS), datetime.now(UTC))
    callers = [Caller(house.ports[number % len(house.ports)], house.keys["anna"]) for number in range(TILLS)]
    answers: Counter[str] = Counter()
    wrong: list[str] = []
    for number in range(times):
        seen = _once(callers, members, number)
        used = _used(callers[0], number)
        answers += seen
        if seen != {"201": 1, "409 limit_reached": TILLS - 1} or used != USES:
            wrong.append(f"{dict(seen)}, used {used}")
    for caller in callers:
        caller.__exit__()
    return Found(times, times - len(wrong), answers, wrong)


def _publish(house: House, times: int) -> None:
    rules: list[dict[str, Any]] = [
        {
            "code": f"last-{number}", "name": {"en": "The last one", "zh": "最后一张"}, "lane": "coupon",
            "coupon": f"last-{number}", "effects": [{"kind": "amount_off", "off_minor": 1_000}],
            "limits": [{"of": "uses", "max": USES, "per": "program"}],
        }
        for number in range(times)
    ]  # fmt: skip
    earning = {
        "code": "base", "name": {"en": "Base", "zh": "基础"}, "trigger": {"kind": "order"},
        "effects": [{"kind": "credit", "points_per_unit": "1"}],
    }  # fmt: skip
    document = {
        "code": _PROGRAM, "name": {"en": "Last use", "zh": "最后一次"}, "currency": "CNY", "time_zone": "Asia/Shanghai",
        "campaigns": [{"code": "all", "name": {"en": "All", "zh": "全部"}, "rules": [*rules, earning]}],
    }  # fmt: skip
    at = datetime.now(UTC)
    with house.database.transaction() as tx:
        for number in range(times):
            name = Text("The last one", "最后一张")
            template = Template(f"last-{number}", name, CodeKind.PUBLIC, public_code=f"LAST{number:06d}")
            coupons.put_template(tx, template, at=at)
        versions.publish_first(tx, documents.parse(document), at=at, effective_from=at - timedelta(days=1))


def _once(callers: Sequence[Caller], members: Sequence[UUID], number: int) -> Counter[str]:
    """Use it nine times one after the other, then by all tills at once; returns how those were answered."""
    for place in range(USES - 1):
        expect(callers[place].call("/v1/sessions", _cart(members[place], number), key=f"{number}-before-{place}"), 201)
    seen: Counter[str] = Counter()
    lock, together = threading.Lock(), threading.Barrier(len(callers))

    def commit(place: int) -> None:
        body = _cart(members[place], number)
        together.wait()
        answer = callers[place].call("/v1/sessions", body, key=f"{number}-{place}")
        code = "" if answer.status < 400 else f" {json.loads(answer.body).get('code')}"
        with lock:
            seen[f"{answer.status}{code}"] += 1

    threads = [threading.Thread(target=commit, args=(place,)) for place in range(len(callers))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return seen


def _cart(member: UUID, number: int) -> bytes:
    line = {"line_id": "a", "sku": "tea", "quantity": 1, "unit_price_minor": 20_000}
    return text(
        {
            "program": _PROGRAM, "currency": "CNY", "member_id": str(member), "lines": [line],
            "coupons": [f"LAST{number:06d}"], "commit": True,
        }
    )  # fmt: skip


def _used(caller: Caller, number: int) -> int:
    path = f"/v1/coupon-templates/last-{number}/statistics"
    return int(expect(caller.call(path, method="GET"), 200)["used_uses"])
