"""What tills, members, publishers and the clock do at once: single steps, drawn by chance, on one small shop."""

import json
import random
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from changke.kernel.clock import SystemClock
from changke.kernel.database import Database
from changke.kernel.i18n import Text
from changke.modules.benefits import commands_coupons as coupons
from changke.modules.benefits import jobs_coupons
from changke.modules.benefits.terms_coupons import ClaimWindow, CodeKind, Template
from changke.modules.ledger import commands as ledger
from changke.modules.ledger import jobs as ledger_jobs
from changke.modules.ledger.terms import Earn
from changke.modules.programs import commands_versions as versions
from changke.modules.programs import jobs as programs_jobs
from changke.modules.programs import jobs_simulation
from changke.modules.programs.rules import documents
from changke.modules.programs.terms_definition import Program
from changke.modules.tiers import jobs as tiers_jobs
from changke.modules.tiers.terms import SHIPPED
from till import serving
from till.calls import Answer, Caller
from till.house import House
from till.shop import join, text

PROGRAM, CLAIMED, PUBLIC = "mixed", "thanks", "open-house"
PUBLIC_CODE = "OPENHOUSE"
_PRICES = range(100, 9_000)
_SKUS = [f"sku-{number}" for number in range(40)]


def program(number: int = 0) -> Program:
    """Return a programme whose limits, coupons, points and tiers everybody wants at the same time."""
    return documents.parse(
        {
            "code": PROGRAM,
            "name": {"en": f"Mixed {number}", "zh": f"混合 {number}"},
            "currency": "CNY",
            "time_zone": "Asia/Shanghai",
            "tier_set": SHIPPED.code,
            "points_tender": {"points_per_unit": 100, "cap_percent": "50"},
            "campaigns": [{"code": "all", "name": {"en": "All", "zh": "全部"}, "rules": _rules()}],
        }
    )


def _rules() -> list[dict[str, Any]]:
    order = {"trigger": {"kind": "order"}}
    credit = {"kind": "credit", "points_per_unit": "1"}
    off = {"kind": "amount_off", "off_minor": 500}
    twice = {"kind": "multiply", "factor": "2"}
    tenth = {"kind": "percent_off", "percent": "10", "on": {"fact": "line.sku", "is": "sku-1"}}
    plain: list[dict[str, Any]] = [
        {"code": "base", "effects": [credit], **order},
        {"code": "risen", "effects": [twice], "audience": {"tiers": ["loyalist"]}, **order},
        {"code": "thanks", "effects": [{"kind": "issue_coupon", "template": CLAIMED}], **order,
         "limits": [{"of": "uses", "max": 3, "window": "day"}]},
        {"code": "full", "effects": [{"kind": "reduction", "steps": [{"from_minor": 20_000, "off_minor": 2_000}]}]},
        {"code": "flash", "effects": [tenth],
         "lane": "member_price", "limits": [{"of": "uses", "max": 100_000, "per": "program", "window": "day"}]},
        {"code": "claimed", "effects": [off], "lane": "coupon", "coupon": CLAIMED},
        {"code": "public", "effects": [off], "lane": "coupon", "coupon": PUBLIC,
         "limits": [{"of": "uses", "max": 2_000, "per": "program"}, {"of": "discount", "max": 5_000, "window": "day"}]},
    ]  # fmt: skip
    return [{"name": {"en": one["code"], "zh": "规则"}, **one} for one in plain]


def open_shop(house: House, *, members: int) -> list[UUID]:
    """Publish the programme, put the coupons, let members join with points to spend."""
    at = datetime.now(UTC)
    with house.database.transaction() as tx:
        coupons.put_template(tx, Template(CLAIMED, Text("Thanks", "感谢券"), claim=ClaimWindow()), at=at)
        everybody = Template(PUBLIC, Text("Open house", "开放日"), CodeKind.PUBLIC, public_code=PUBLIC_CODE)
        coupons.put_template(tx, everybody, at=at)
        versions.publish_first(tx, program(), at=at, effective_from=at - timedelta(days=2))
    people = join(house, range(members), at)
    with house.database.transaction() as tx:
        ledger.post(tx, [Earn(f"start-{one}", one, "points", 20_000, at) for one in people], at=at)
    return people


@dataclass(slots=True)
class Mix:
    """The shop while it is mixed: who is there, what is open and sold, and how calls were answered."""

    house: House
    members: Sequence[UUID]
    until: float
    answers: Counter[tuple[str, int, str]] = field(default_factory=Counter)
    sold: deque[str] = field(default_factory=lambda: deque(maxlen=2_000))
    held: dict[UUID, str] = field(default_factory=dict)
    trouble: list[str] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def note(self, what: str, answer: Answer) -> dict[str, Any]:
        """Count an answer and return its data."""
        data: dict[str, Any] = json.loads(answer.body)
        code = str(data.get("code", "")) if answer.status >= 400 else ""
        with self.lock:
            self.answers[what, answer.status, code] += 1
            if answer.status >= 500 and len(self.trouble) < 10:
                self.trouble.append(f"{what}: {answer.status} {answer.body.decode()[:300]}")
        return data

    def trouble_with(self, what: str, why: BaseException) -> None:
        """Keep what a job ran into."""
        with self.lock:
            self.answers[what, 599, type(why).__name__] += 1
            self.trouble.append(f"{what}: {why!r}"[:500])


Step = Callable[[Mix, Caller, random.Random], None]


def _cart(mix: Mix, luck: random.Random) -> tuple[UUID, dict[str, Any]]:
    member = luck.choice(mix.members)
    lines = [
        {"line_id": str(number), "sku": sku, "quantity": luck.randint(1, 3), "unit_price_minor": luck.choice(_PRICES)}
        for number, sku in enumerate(luck.sample(_SKUS, luck.randint(1, 5)))
    ]  # fmt: skip
    cart: dict[str, Any] = {"program": PROGRAM, "currency": "CNY", "member_id": str(member), "lines": lines}
    if luck.random() < 0.3:
        cart["pay_with_points"] = {"points_max": 500}
    mine = mix.held.pop(member, None) if luck.random() < 0.5 else None
    if mine is not None or luck.random() < 0.2:
        cart["coupons"] = [mine or PUBLIC_CODE]
    return member, cart


def buy(mix: Mix, caller: Caller, luck: random.Random) -> None:
    """Commit a cart at once."""
    _, cart = _cart(mix, luck)
    told = mix.note("commit", caller.call("/v1/sessions", text({**cart, "commit": True}), key=str(uuid4())))
    if "session_id" in told:
        mix.sold.append(told["session_id"])


def put_aside(mix: Mix, caller: Caller, luck: random.Random) -> None:
    """Open a session; commit it, cancel it, or leave it to lapse."""
    _, cart = _cart(mix, luck)
    cart["ttl_seconds"] = 10
    told = mix.note("open", caller.call("/v1/sessions", text(cart), key=str(uuid4())))
    if "session_id" not in told:
        return
    place, chance = f"/v1/sessions/{told['session_id']}", luck.random()
    if chance < 0.5:
        body = text({"quote_hash": told["quote"]["quote_hash"]})
        done = mix.note("commit_open", caller.call(f"{place}/commit", body))
        if "session_id" in done:
            mix.sold.append(told["session_id"])
    elif chance < 0.75:
        mix.note("cancel_open", caller.call(f"{place}/cancel"))


def take_back(mix: Mix, caller: Caller, luck: random.Random) -> None:
    """Return a line of an order, or all that is left of it."""
    if mix.sold:
        place = luck.choice(list(mix.sold)[-300:])
        body: dict[str, Any] = {"return_id": uuid4().hex}
        if luck.random() < 0.6:
            body["lines"] = [{"line_id": "0", "quantity": 1}]
        mix.note("return", caller.call(f"/v1/sessions/{place}/returns", text(body)))


def cancel(mix: Mix, caller: Caller, luck: random.Random) -> None:
    """Undo an order."""
    if mix.sold:
        mix.note("cancel", caller.call(f"/v1/sessions/{luck.choice(list(mix.sold)[-300:])}/cancel"))


def claim(mix: Mix, caller: Caller, luck: random.Random) -> None:
    """Take a coupon, to be shown later."""
    member = luck.choice(mix.members)
    body = text({"member_id": str(member)})
    told = mix.note("claim", caller.call(f"/v1/coupon-templates/{CLAIMED}/claims", body, key=str(uuid4())))
    if told.get("coupons"):
        mix.held[member] = told["coupons"][0]["code"]


def evaluate(mix: Mix, caller: Caller, luck: random.Random) -> None:
    """Ask what a cart costs."""
    mix.note("evaluate", caller.call("/v1/evaluations", text(_cart(mix, luck)[1])))


def report_order(mix: Mix, caller: Caller, luck: random.Random) -> None:
    """Tell of an order from elsewhere, decided at once or by the worker; at times with a phone that two cards share."""
    card = luck.randrange(len(mix.members))
    shown: list[dict[str, Any]] = [{"namespace": "card_number", "value": f"C{card:08d}"}]
    if luck.random() < 0.2:
        shown.append({"namespace": "phone", "value": f"+86138{card // 2:08d}", "verified": True})
    net = luck.randrange(1_000, 30_000)
    payload = {
        "order_number": uuid4().hex, "currency": "CNY", "total_minor": net,
        "lines": [{"sku": luck.choice(_SKUS), "quantity": 1, "unit_price_minor": net, "net_minor": net}],
    }  # fmt: skip
    event = {
        "source": "elsewhere", "event_id": uuid4().hex, "type": "order.placed", "channel": "app",
        "occurred_at": datetime.now(UTC).isoformat(), "identifiers": shown, "payload": payload,
    }  # fmt: skip
    mode = luck.choice(("sync", "async"))
    mix.note(f"event_{mode}", caller.call(f"/v1/events?mode={mode}", text({"events": [event]})))


def read(mix: Mix, caller: Caller, luck: random.Random) -> None:
    """Look at simulations, a member's tier, versions."""
    member = luck.choice(mix.members)
    places = (f"/v1/programs/{PROGRAM}/simulations", f"/v1/members/{member}/tier", f"/v1/programs/{PROGRAM}/versions")
    mix.note("read", caller.call(luck.choice(places), method="GET"))


STEPS: tuple[tuple[Step, int], ...] = (
    (buy, 30), (put_aside, 20), (take_back, 12), (cancel, 5), (claim, 12), (evaluate, 8), (report_order, 10), (read, 3),
)  # fmt: skip


def till(mix: Mix, port: int, seed: int) -> None:
    """Do one step after the other until the time is over."""
    luck = random.Random(seed)
    steps, weights = zip(*STEPS, strict=True)
    with Caller(port, mix.house.keys["anna"]) as caller:
        while time.monotonic() < mix.until:
            luck.choices(steps, weights)[0](mix, caller, luck)


def publisher(mix: Mix, port: int, pause: float) -> None:
    """Publish a version, start a review and a simulation of the next draft, over and over."""
    with Caller(port, mix.house.keys["anna"]) as anna, Caller(port, mix.house.keys["ben"]) as ben:
        number = 0
        while time.monotonic() < mix.until:
            number += 1
            try:
                version = serving.approved(anna, ben, program(number))
            except SystemExit as refused:
                mix.trouble_with("draft", refused)
                return
            mix.note("publish", ben.call(f"{serving.path(program(), version)}/publish", b"{}"))
            mix.note("review", ben.call(f"/v1/tier-sets/{SHIPPED.code}/reviews"))
            now = datetime.now(UTC)
            span = {"since": (now - timedelta(days=1)).isoformat(), "until": now.isoformat()}
            asked = text({"draft_version": version, **span})
            mix.note("simulate", anna.call(f"/v1/programs/{PROGRAM}/simulations", asked))
            time.sleep(pause)


def clockwork(mix: Mix) -> None:
    """What the clock asks for, more often than it would: expiry, lapses, reviews, simulations; points that end soon."""
    database, clock, luck = Database(mix.house.postgres.url, pool_size=4), SystemClock(), random.Random(77)
    jobs: dict[str, Callable[[], object]] = {
        "short_points": lambda: _short_points(database, mix, luck),
        "ledger_expire": lambda: ledger_jobs.expire_due(database, clock=clock),
        "sessions_lapse": lambda: programs_jobs.lapse_sessions(database, clock=clock),
        "coupons": lambda: jobs_coupons.tick(database, clock=clock),
        "tiers_review": lambda: tiers_jobs.review_due(database, clock=clock, limit=50),
        "simulate": lambda: jobs_simulation.work(database, clock=clock, pieces_max=2),
    }
    while time.monotonic() < mix.until:
        for name, run in jobs.items():
            try:
                run()
            except Exception as why:  # noqa: BLE001 - what a job runs into is what we are looking for
                mix.trouble_with(name, why)
            else:
                with mix.lock:
                    mix.answers[name, 200, ""] += 1
        time.sleep(0.5)
    database.close()


def _short_points(database: Database, mix: Mix, luck: random.Random) -> None:
    now = datetime.now(UTC)
    ends = now + timedelta(seconds=3)
    wanted = [Earn(uuid4().hex, luck.choice(mix.members), "points", 50, now, expires_at=ends) for _ in range(20)]
    with database.transaction() as tx:
        ledger.post(tx, wanted, at=now)
