"""Collects what becomes of standings in a batch, then saves and announces it."""

from collections.abc import Mapping
from datetime import datetime
from uuid import UUID

from changke.kernel.database import Tx
from changke.modules.tiers import events, store
from changke.modules.tiers.rules import standings as rules
from changke.modules.tiers.rules.scoring import Fit, Scale, Sums
from changke.modules.tiers.terms import Change, Standing, TierChange


class Placer:
    """The standings of one tier set while a batch is decided; `held` are locked rows."""

    def __init__(self, scale: Scale, held: Mapping[store.Key, rules.Held], *, at: datetime) -> None:
        self._scale = scale
        self._tier_set = scale.tier_set
        self._held = {member: one for (member, code), one in held.items() if code == scale.tier_set.code}
        self._at = at
        self._saved: list[tuple[Standing, Change]] = []
        self._told: list[tuple[Change, TierChange | None]] = []

    def standing(self, member_id: UUID) -> Standing:
        """Return where a member stands so far."""
        return self._held[member_id].standing

    def climb(self, member_id: UUID, fit: Fit, sums: Sums, *, moment: datetime, reason: str | None = None) -> bool:
        """Raise a member at a moment when the fit is above the present tier."""
        standing = self.standing(member_id)
        if fit.rank <= standing.rank:
            return False
        self.put(
            rules.placed(self._tier_set, standing, fit.rank, moment), fit, sums, reason=reason or fit.reason,
        )  # fmt: skip
        return True

    def review(self, member_id: UUID, fit: Fit, sums: Sums) -> str | None:
        """Let a review decide; returns the reason when something changed."""
        decided = rules.reviewed(self._tier_set, self.standing(member_id), fit, self._at)
        if decided is None:
            return None
        self.put(decided[0], fit, sums, reason=decided[1])
        return decided[1]

    def put(
        self,
        new: Standing,
        fit: Fit,
        sums: Sums,
        *,
        reason: str,
        by: str | None = None,
        note: Mapping[str, str] | None = None,
    ) -> None:
        """Note a new state of a standing as a line of its history."""
        held = self._held[new.member_id]
        moved = new.since != held.standing.since and new.since is not None
        line = rules.change(
            held, new, reason=reason, scale=self._scale, fit=fit, sums=sums,
            at=new.since if moved and new.since else self._at, recorded_at=self._at, by=by, note=note,
        )  # fmt: skip
        self._saved.append((new, line))
        self._told.append((line, rules.tier_change(held, line)))
        self._held[new.member_id] = rules.Held(new, line.number)

    def save(self, tx: Tx) -> list[TierChange]:
        """Write and announce everything noted; returns the changes of tier."""
        store.save(tx, self._saved)
        tx.announce(*events.changed(self._told))
        return [change for _, change in self._told if change is not None]
