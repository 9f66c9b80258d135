"""Which rules an occasion looks at.

`trigger_detail` of a request says more of it: the event type, the segment, `up` or `down` of a tier change (or the
event's `direction`), how many days before a birthday ("0" is the day itself), the local time "HH:MM" of a schedule.
"""

from collections.abc import Sequence

from changke.modules.programs.rules.shapes import CompiledRule
from changke.modules.programs.terms_definition import Trigger
from changke.modules.programs.terms_evaluation import Request


class Triggers:
    """Rules (bits) by what makes them be looked at."""

    def __init__(self, rules: Sequence[CompiledRule]) -> None:
        self._by_kind: dict[str, int] = {}
        self._detailed: dict[str, list[tuple[Trigger, int]]] = {}
        for number, rule in enumerate(rules):
            trigger = rule.rule.trigger
            self._by_kind[trigger.kind] = self._by_kind.get(trigger.kind, 0) | 1 << number
            self._detailed.setdefault(trigger.kind, []).append((trigger, 1 << number))

    def bits(self, request: Request) -> int:
        """Return the rules a request looks at; pricing a cart previews what its order leads to."""
        kind = request.trigger
        if kind == "cart":
            return self._by_kind.get("cart", 0) | self._by_kind.get("order", 0)
        if kind in ("order", "enrolment", "anniversary"):
            return self._by_kind.get(kind, 0)
        return sum(bit for trigger, bit in self._detailed.get(kind, ()) if fits(trigger, request))


def fits(trigger: Trigger, request: Request) -> bool:
    """Say whether an occasion is the one a trigger waits for."""
    detail = request.trigger_detail
    if trigger.kind != request.trigger:
        return request.trigger == "cart" and trigger.kind == "order"
    match trigger.kind:
        case "event":
            return trigger.event_type is None or trigger.event_type == detail
        case "segment_entry":
            return trigger.segment is None or trigger.segment == detail
        case "tier_change":
            return trigger.tier_direction in ("any", detail or request.situation.event.get("direction"))
        case "birthday":
            return str(trigger.days_before) == (detail or "0")
        case "schedule":
            return detail is None or trigger.at_time is None or trigger.at_time.strftime("%H:%M") == detail
    return True
