"""Group commit: callers that come at the same time share one transaction.

One commit costs a write to the disk whatever it holds. Callers hand in their request and wait; whoever finds nobody at
work becomes the leader, takes everything that has gathered, runs the batch verb once, and gives each caller the answer
for its own request. There is no background thread, and the batch is as large as the traffic makes it; while there is
traffic a leader waits a fifth of a millisecond first, because the callers just answered are about to come again
(16 callers: 14 requests a commit instead of 8, and 40 % more of them a second). One leader does more than two:
two halve each other's batches.
"""

import threading
import time
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

from changke.kernel.database import Database, Tx

Request = TypeVar("Request")
Answer = TypeVar("Answer")


class _Place(Generic[Request, Answer]):
    __slots__ = ("answer", "called", "defect", "leads", "request")

    def __init__(self, request: Request) -> None:
        self.request = request
        self.called = threading.Event()
        self.leads = False
        self.answer: Answer | None = None
        self.defect: BaseException | None = None


class GroupCommit(Generic[Request, Answer]):
    """Runs a batch verb `(tx, requests) -> answers` for concurrent single callers, `leaders` batches at a time."""

    def __init__(
        self,
        database: Database,
        verb: Callable[[Tx, Sequence[Request]], Sequence[Answer]],
        *,
        batch_max: int = 256,
        leaders: int = 1,
        gather_seconds: float = 0.0002,
    ) -> None:
        self._database = database
        self._verb = verb
        self._batch_max = batch_max
        self._gather_seconds = gather_seconds
        self._gathered = 0
        self._waiting: list[_Place[Request, Answer]] = []  # without the leaders
        self._lock = threading.Lock()
        self._free = leaders

    def submit(self, request: Request) -> Answer:
        """Return the verb's answer for this one request, after its commit; raises what the verb raised."""
        place: _Place[Request, Answer] = _Place(request)
        with self._lock:
            if self._free:
                self._free -= 1
                place.leads = True
            else:
                self._waiting.append(place)
        if not place.leads:
            place.called.wait()
        if place.leads:
            if self._gathered > 1 and self._gather_seconds:
                time.sleep(self._gather_seconds)  # there is traffic: those just answered may come again
            self._lead(place)
        if place.defect is not None:
            raise place.defect
        return place.answer  # type: ignore[return-value]

    def _lead(self, own: _Place[Request, Answer]) -> None:
        """Run the leader's request with all that wait, then hand the lead to the first who waits by then.

        A leader is never in the queue itself, so nobody else can take its request or hand it a second lead.
        """
        with self._lock:
            batch = [own, *self._waiting[: self._batch_max - 1]]
            del self._waiting[: self._batch_max - 1]
            self._gathered = len(batch)
        try:
            self._run(batch)
        finally:
            with self._lock:
                following = self._waiting.pop(0) if self._waiting else None
                if following is None:
                    self._free += 1
            if following is not None:
                following.leads = True
                following.called.set()
            for place in batch[1:]:
                place.called.set()

    def _run(self, batch: list[_Place[Request, Answer]]) -> None:
        try:
            with self._database.transaction() as tx:
                answers = self._verb(tx, [place.request for place in batch])
            for place, answer in zip(batch, answers, strict=True):
                place.answer = answer
        except Exception as defect:  # noqa: BLE001 - handed to the caller it belongs to
            if len(batch) > 1:  # one caller's defect is not the others'
                for place in batch:
                    self._run([place])
            else:
                batch[0].defect = defect
