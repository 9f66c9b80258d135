"""Do the next piece of work's preparation while the last one is being written to the database."""

import queue
import threading
from collections.abc import Iterable, Iterator
from typing import TypeVar

Item = TypeVar("Item")

_END = object()
_POLL_SECONDS = 0.1


def read_ahead(items: Iterable[Item], *, depth: int = 2) -> Iterator[Item]:
    """Yield the same items in the same order, made in a thread that stays at most `depth` of them ahead.

    An error of `items` is raised where its item would have come. A reader that stops early stops the thread.
    """
    ready: queue.Queue[object] = queue.Queue(maxsize=depth)
    stopped = threading.Event()

    def put(one: object) -> bool:
        while not stopped.is_set():
            try:
                ready.put(one, timeout=_POLL_SECONDS)
            except queue.Full:
                continue
            return True
        return False

    def work() -> None:
        try:
            for item in items:
                if not put(item):
                    return
            put(_END)
        except BaseException as error:  # noqa: BLE001 - raised again in the reader's thread
            put(_Raised(error))

    threading.Thread(target=work, name="read-ahead", daemon=True).start()
    try:
        while (one := ready.get()) is not _END:
            if isinstance(one, _Raised):
                raise one.error
            yield one  # type: ignore[misc]
    finally:
        stopped.set()


class _Raised:
    def __init__(self, error: BaseException) -> None:
        self.error = error
