"""Which programme decides a fact: by its store or source, or the only one there is, in the version of that moment."""

from dataclasses import dataclass, field
from datetime import datetime

from changke.kernel.database import Tx
from changke.kernel.errors import Refusal
from changke.modules.programs import queries_versions as versions
from changke.modules.programs import store_state
from changke.modules.programs.queries_versions import Timeline
from changke.modules.programs.rules.engine import Engine
from changke.modules.programs.terms_versions import NO_PROGRAM_IN_FORCE, PROGRAM_NOT_NAMED

_DEFAULT = "*"


@dataclass(slots=True)
class Desk:
    """The programmes of one transaction, each asked for once."""

    tx: Tx
    at: datetime
    assigned: dict[tuple[str, str], str] | None = None
    timelines: dict[str | None, Timeline | None] = field(default_factory=dict)
    engines: dict[tuple[str, int], Engine] = field(default_factory=dict)

    def program_of(self, store: str | None, source: str | None) -> str | None:
        """Return the programme a store or source belongs to; None is the only one there is."""
        if self.assigned is None:
            self.assigned = store_state.assignments(self.tx)
        if not self.assigned:
            return None
        named = (("store", store or ""), ("source", source or ""), ("source", _DEFAULT))
        return next((self.assigned[one] for one in named if one in self.assigned), None)

    def engine(self, program: str | None, occurred_at: datetime) -> tuple[str, Engine, datetime] | None:
        """Return the programme, its engine, and the moment by which it decides what happened then.

        None: no programme was in force, or there are several and nobody said which.
        """
        timeline = self._timeline(program)
        if timeline is None:
            return None
        found = self._at(timeline, occurred_at)
        if found is not None and found.program.late_events == "as_of_recorded":
            later = self._at(timeline, self.at)
            return None if later is None else (timeline.program, later, self.at)
        return None if found is None else (timeline.program, found, occurred_at)

    def counted_at(self, engine: Engine) -> datetime | None:
        """Return the moment whose windows limits count in, where it is not when something happened."""
        return self.at if engine.program.late_limits == "as_of_recorded" else None

    def of(self, program: str, version: int) -> Engine:
        """Return the engine of a version that decided something."""
        found = self.engines.get((program, version))
        if found is None:
            found = self.engines[program, version] = versions.engine_of(self.tx, program, version)
        return found

    def _timeline(self, program: str | None) -> Timeline | None:
        if program not in self.timelines:
            try:
                self.timelines[program] = versions.timeline(self.tx, program)
            except Refusal as refusal:
                if refusal.code not in (NO_PROGRAM_IN_FORCE, PROGRAM_NOT_NAMED):
                    raise
                self.timelines[program] = None
        return self.timelines[program]

    def _at(self, timeline: Timeline, as_of: datetime) -> Engine | None:
        try:
            moment = timeline.at(as_of)
        except Refusal:
            return None
        found = self.engines.get((timeline.program, moment.version))
        if found is None:
            found = versions.engine_at(self.tx, timeline.program, moment)
            self.engines[timeline.program, moment.version] = found
        return found
