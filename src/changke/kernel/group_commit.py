"""Group commit: callers that come at the same time share one transaction.

One commit costs a write to the disk whatever it holds. Callers hand in their request and wait; whoever finds nobody at
work becomes the leader, takes everything that has gathered, runs the batch verb once, and gives each caller the answer
for its own request. There is no background thread, and the batch is as large as the traffic makes it; while there is
traffic a leader first waits a third of a millisecond at most for the callers just answered, who are about to come again
(16 callers: 16 requests a commit instead of 8). One leader does more than two: two halve each other's batches.
"""

import threading
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

from changke.kernel.database import Database, Tx

Request = TypeVar("Request")
Answer = TypeVar("Answer")


class _Place(Generic[Request, Answer]):
    __slots__ = ("answer", "called", "defect", "leads", "request")

    def __init__(self, request: Request) -> None:
        self.request = request
        self.called = threading.Lock()  # held until the call; a bare lock wakes its waiter faster than an Event
        self.called.acquire()
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
        gather_seconds: float = 0.0003,
    ) -> None:
        self._database = database
        self._verb = verb
        self._batch_max = batch_max
        self._gather_seconds = gather_seconds
        self._expected = 1
        self._complete: threading.Lock | None = None  # held while a leader waits for more
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
                if self._complete and len(self._waiting) + 1 >= self._expected:
                    self._complete.release()
                    self._complete = None
        if not place.leads:
            place.called.acquire()
        if place.leads:
            self._gather()
            self._lead(place)
        if place.defect is not None:
            raise place.defect
        return place.answer  # type: ignore[return-value]

    def _gather(self) -> None:
        """Wait for as many as the traffic lets expect, or for a moment."""
        complete = threading.Lock()
        complete.acquire()
        with self._lock:
            if len(self._waiting) + 1 >= self._expected:
                return
            self._complete = complete
        complete.acquire(timeout=self._gather_seconds)

    def _lead(self, own: _Place[Request, Answer]) -> None:
        """Run the leader's request with all that wait, then hand the lead to the first who waits by then.

        A leader is never in the queue itself, so nobody else can take its request or hand it a second lead.
        """
        with self._lock:
            batch = [own, *self._waiting[: self._batch_max - 1]]
            del self._waiting[: self._batch_max - 1]
            self._complete = None
        try:
            self._run(batch)
        finally:
            with self._lock:
                following = self._waiting.pop(0) if self._waiting else None
                if following is None:
                    self._free += 1
                self._expected = len(batch)
                if len(batch) > 1 and following is not None:
                    self._expected = min(len(batch) + 1 + len(self._waiting), self._batch_max)
            if following is not None:
                following.leads = True
                following.called.release()
            for place in batch[1:]:
                place.called.release()

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
