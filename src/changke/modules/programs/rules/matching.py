"""Which rules match a request: what the index lets through, tested for the rest."""

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol
from zoneinfo import ZoneInfo

from changke.modules.programs.rules.explaining import Explanations
from changke.modules.programs.rules.hints import Near, only_gap
from changke.modules.programs.rules.index import Index, numbers
from changke.modules.programs.rules.schedules import Calendar, Live
from changke.modules.programs.rules.shapes import Candidate, CompiledLane, CompiledRule
from changke.modules.programs.rules.triggers import Triggers
from changke.modules.programs.rules.views import View
from changke.modules.programs.terms_definition import Program
from changke.modules.programs.terms_evaluation import CouponInHand, Request

EPOCH = datetime(1970, 1, 1)
_NEAR_TRIED_MAX = 16


class Compiled(Protocol):
    """What an evaluation reads of an engine."""

    program: Program
    version: int
    zone: ZoneInfo
    unit: int
    lanes: tuple[CompiledLane, ...]
    earn_lane: int
    rules: tuple[CompiledRule, ...]
    singles: tuple[Candidate, ...]
    index: Index
    triggers: Triggers
    calendar: Calendar
    reads: frozenset[str]
    explanations: Explanations
    coupon_bits: dict[str, int]
    without_coupon: int


class Matching:
    """The candidates of a request, by lane in the order of the rules, and those that only a threshold keeps back."""

    __slots__ = ("_engine", "candidates", "coupons", "live", "near", "view")

    def __init__(self, engine: Compiled, request: Request, *, near: bool = True) -> None:
        local = request.situation.at.astimezone(engine.zone)
        self._engine = engine
        self.view = View(request, local, engine.reads)
        self.live: Live = engine.calendar.at(request.situation.at, local)
        self.coupons: dict[str, CouponInHand] = {}
        for coupon in request.coupons:
            self.coupons.setdefault(coupon.code, coupon)
        self.candidates: list[list[Candidate]] = [[] for _ in engine.lanes]
        self.near: list[Near] = []
        if request.cart.currency == engine.program.currency:
            self._match(request, near)

    def _match(self, request: Request, near: bool) -> None:
        engine, view = self._engine, self.view
        wanted, owed = self._with_coupons(self.live.bits & engine.triggers.bits(request))
        passed, close = engine.index.through(view, wanted)
        candidates, singles, rules = self.candidates, engine.singles, engine.rules
        doubtful = []
        for number in numbers(passed | owed):
            rule = rules[number]
            holds = True
            for conjunct in rule.residual:
                if not conjunct.test(view):
                    holds = False
                    if conjunct.gap is not None:
                        doubtful.append(number)
                    break
            if rule.rule.coupon is not None:
                candidates[rule.lane] += self._by_coupon(rule, failed=not (holds and passed >> number & 1))
            elif holds:
                candidates[rule.lane].append(singles[number])
        if near and (close or doubtful):
            self._find_near(doubtful, close)

    def _with_coupons(self, bits: int) -> tuple[int, int]:
        """Return the rules that need no coupon or find theirs, and of these the ones that owe it an answer."""
        engine, owed = self._engine, 0
        for coupon in self.coupons.values():
            if coupon.refusal_code is None and coupon.template is not None:
                owed |= engine.coupon_bits.get(coupon.template, 0)
        owed &= bits
        return (bits & engine.without_coupon) | owed, owed

    def _by_coupon(self, rule: CompiledRule, *, failed: bool) -> list[Candidate]:
        found = [
            Candidate(rule, coupon, coupon.expires_at, coupon.code, failed)
            for coupon in self.coupons.values()
            if coupon.refusal_code is None and coupon.template == rule.rule.coupon
        ]
        if len(found) > 1:
            found.sort(key=lambda one: (one.expires_at is None, one.expires_at or EPOCH, one.code))
        return found

    def _find_near(self, doubtful: Sequence[int], close: int) -> None:
        rules, tried = self._engine.rules, 0
        for number in (*doubtful, *numbers(close)):
            tried += 1
            if tried > _NEAR_TRIED_MAX:
                return
            rule = rules[number]
            gap = only_gap(self.view, rule)
            if gap is None:
                continue
            have = gap.have(self.view)
            singles = [self._engine.singles[number]] if rule.rule.coupon is None else self._by_coupon(rule, failed=True)
            self.near += [Near(one, gap, have) for one in singles]


def matches(engine: Compiled, request: Request) -> tuple[tuple[str, str], ...]:
    """Return (campaign, rule) of the rules that match, on starting prices."""
    found = Matching(engine, request, near=False).candidates
    return tuple([(one.rule.campaign, one.rule.code) for lane in found for one in lane if not one.failed])
