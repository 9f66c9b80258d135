"""Callers that cost little: kept connections, bodies made before, and the time of every call."""

import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Self

_END = b"\r\n\r\n"
_IDLE_SECONDS = 3  # the server hangs up on whoever is silent for five
_LENGTH = b"content-length:"


@dataclass(frozen=True, slots=True)
class Answer:
    """A status and a body."""

    status: int
    body: bytes


class Caller:
    """One kept connection. Speaks just enough HTTP/1.1 for our own server, at a tenth of what a library costs."""

    def __init__(self, port: int, key: str) -> None:
        self._port, self._key = port, key
        self._socket = self._connect()
        self._used_at = time.monotonic()
        self._read = b""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def _connect(self) -> socket.socket:
        found = socket.create_connection(("127.0.0.1", self._port), timeout=60)
        found.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return found

    def call(self, path: str, body: bytes = b"", *, method: str = "POST", key: str | None = None) -> Answer:
        """Send one request and return its answer; `key` makes it idempotent."""
        head = (
            f"{method} {path} HTTP/1.1\r\nHost: bench\r\nAuthorization: Bearer {self._key}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n"
        )
        if key is not None:
            head += f"Idempotency-Key: {key}\r\n"
        if time.monotonic() - self._used_at > _IDLE_SECONDS:
            self._socket.close()
            self._socket, self._read = self._connect(), b""
        self._socket.sendall(head.encode() + b"\r\n" + body)
        answer = self._answer()
        self._used_at = time.monotonic() if answer.status < 500 else 0.0  # after a defect the server may hang up
        return answer

    def _answer(self) -> Answer:
        while (end := self._read.find(_END)) < 0:
            self._more()
        head = self._read[:end].lower()
        start = head.index(_LENGTH) + len(_LENGTH)
        length = int(head[start : head.find(b"\r\n", start) if b"\r\n" in head[start:] else None])
        whole = end + len(_END) + length
        while len(self._read) < whole:
            self._more()
        body, self._read = self._read[end + len(_END) : whole], self._read[whole:]
        return Answer(int(head[9:12]), body)

    def _more(self) -> None:
        chunk = self._socket.recv(1 << 16)
        if not chunk:
            raise ConnectionError("the server closed the connection")
        self._read += chunk


@dataclass(slots=True)
class Told:
    """What a load was answered: when each call ended and how long it took, statuses, and the first bodies."""

    seconds: float
    latencies: list[float] = field(default_factory=list)
    statuses: Counter[int] = field(default_factory=Counter)
    bodies: list[bytes] = field(default_factory=list)
    refused: list[bytes] = field(default_factory=list)

    def percentile_ms(self, part: float) -> float:
        """Return the milliseconds that so great a part of the calls did not exceed."""
        ordered = sorted(self.latencies)
        return ordered[min(len(ordered) - 1, int(len(ordered) * part))] * 1_000


def press(
    callers: Sequence[Caller], ask: Callable[[Caller, int], Answer], *, seconds: float, bodies_kept: int = 0
) -> Told:
    """Let every caller ask one call after the other for some seconds; `ask` gets a number that is never repeated."""
    told = Told(0)
    numbers = iter(range(10**9))
    lock = threading.Lock()
    began = time.perf_counter()
    until = began + seconds

    def run(caller: Caller) -> None:
        mine: list[tuple[float, Answer]] = []
        while (start := time.perf_counter()) < until:
            with lock:
                number = next(numbers)
            answer = ask(caller, number)
            mine.append((time.perf_counter() - start, answer if number < bodies_kept else _short(answer)))
        with lock:
            told.latencies += [took for took, _ in mine]
            told.statuses.update(answer.status for _, answer in mine)
            told.bodies += [answer.body for _, answer in mine if answer.body and answer.status < 300]
            told.refused += [answer.body for _, answer in mine if answer.status >= 300]

    threads = [threading.Thread(target=run, args=(caller,)) for caller in callers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    told.seconds = time.perf_counter() - began
    return told


def _short(answer: Answer) -> Answer:
    return answer if answer.status >= 300 else Answer(answer.status, b"")
