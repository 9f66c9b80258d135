"""Group commit: callers that come at the same time share one transaction.

One commit costs a write to the disk whatever it holds. Callers hand in their request and wait; whoever finds nobody at
work becomes the leader, takes everything that has gathered, runs the batch verb once, and gives each caller the answer
for its own request. No timer and no background thread: the batch is as large as the traffic makes it.
"""

import threading
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

from changke.kernel.database import Database, Tx

Request = TypeVar("Request")
Answer = TypeVar("Answer")


class _Place(Generic[Request, Answer]):
    __slots__ = ("answer", "defect", "done", "request")

    def __init__(self, request: Request) -> None:
        self.request = request
        self.done = threading.Event()
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
        leaders: int = 2,
    ) -> None:
        self._database = database
        self._verb = verb
        self._batch_max = batch_max
        self._waiting: list[_Place[Request, Answer]] = []
        self._lock = threading.Lock()
        self._leaders = threading.Semaphore(leaders)

    def submit(self, request: Request) -> Answer:
        """Return the verb's answer for this one request, after its commit; raises what the verb raised."""
        place: _Place[Request, Answer] = _Place(request)
        with self._lock:
            self._waiting.append(place)
        while not place.done.is_set():
            with self._leaders:
                if not place.done.is_set():
                    self._lead()
            place.done.wait(timeout=0 if place.done.is_set() else 0.5)
        if place.defect is not None:
            raise place.defect
        return place.answer  # type: ignore[return-value]

    def _lead(self) -> None:
        with self._lock:
            batch, self._waiting = self._waiting[: self._batch_max], self._waiting[self._batch_max :]
        if not batch:
            return
        try:
            self._run(batch)
        finally:
            for place in batch:
                place.done.set()

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
