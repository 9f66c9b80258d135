"""Stacking classes: what may stand together in a lane."""

from changke.modules.programs.rules.shapes import COMMON, NEVER, CompiledRule


class Standing:
    """The rules that stand in a lane so far, as far as they keep others out."""

    __slots__ = ("commons", "exclusive_max", "nevers")

    def __init__(self, exclusive_max: int) -> None:
        self.exclusive_max = exclusive_max
        self.nevers: list[str] = []
        self.commons: list[str] = []

    def blocks(self, rule: CompiledRule) -> tuple[str, str] | None:
        """Return why a rule cannot stand beside these, and which one is in its way; None when it can."""
        if rule.stacking == COMMON:
            return ("blocked_by_exclusive", self.nevers[0]) if self.nevers else None
        if rule.stacking == NEVER:
            if self.commons:
                return "lane_conflict", self.commons[0]
            if len(self.nevers) >= self.exclusive_max:
                return "blocked_by_exclusive", self.nevers[0]
        return None

    def add(self, rule: CompiledRule) -> None:
        """Let a rule stand."""
        if rule.stacking == NEVER:
            self.nevers.append(rule.code)
        elif rule.stacking == COMMON:
            self.commons.append(rule.code)

    def drop(self, rule: CompiledRule) -> None:
        """Take back the rule that was added last."""
        if rule.stacking == NEVER:
            self.nevers.pop()
        elif rule.stacking == COMMON:
            self.commons.pop()

    def mark(self) -> tuple[int, int]:
        """Return how many stand, to come back to."""
        return len(self.nevers), len(self.commons)

    def back(self, mark: tuple[int, int]) -> None:
        """Take back what was added since."""
        del self.nevers[mark[0] :], self.commons[mark[1] :]
