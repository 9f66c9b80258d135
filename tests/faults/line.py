"""The line between callers and PostgreSQL, as a proxy that can lose the one answer that matters.

A caller whose COMMIT was carried out, but who never heard so, cannot know whether his posting is there. No kill hits
that moment for certain; a line that passes the COMMIT on and then goes dead does.
"""

import random
import select
import socket
import threading
from contextlib import suppress
from pathlib import Path

_SOCKET = ".s.PGSQL.5432"
_CHUNK = 65536
_COMMIT = b"COMMIT\0"


class Line:
    """Listens in `folder` as PostgreSQL would, and passes everything on to the server behind `socket_folder`."""

    def __init__(self, folder: Path, socket_folder: Path) -> None:
        self._behind = str(socket_folder / _SOCKET)
        self.folder = folder
        self._door = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._to_lose = 0
        self.lost = 0
        self._lock = threading.Lock()

    def open(self) -> "Line":
        """Start to listen."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self._door.bind(str(self.folder / _SOCKET))
        self._door.listen(64)
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    @property
    def url(self) -> str:
        """The address of the database through this line."""
        return f"postgresql://postgres@/changke?host={self.folder}"

    def answers_lost(self, house: object, luck: random.Random) -> None:
        """A fault: the answers to some commits are lost."""
        self.lose_answers(luck.randint(1, 4))

    def lose_answers(self, count: int) -> None:
        """Let the answers to the next `count` commits be lost, with their connections."""
        with self._lock:
            self._to_lose += count

    def close(self) -> None:
        """Stop listening; open connections end with their processes."""
        with suppress(OSError):
            self._door.shutdown(socket.SHUT_RDWR)
        self._door.close()

    def _accept(self) -> None:
        while True:
            try:
                caller, _ = self._door.accept()
            except OSError:
                return
            threading.Thread(target=self._carry, args=(caller,), daemon=True).start()

    def _carry(self, caller: socket.socket) -> None:
        server = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        with caller, server, suppress(OSError):
            server.connect(self._behind)
            loses = False
            while True:
                ready, _, _ = select.select([caller, server], [], [])
                for one in ready:
                    data = one.recv(_CHUNK)
                    if not data:
                        return
                    if one is server and loses:  # PostgreSQL has said "COMMIT"; nobody will hear it
                        return
                    if one is caller:
                        loses = _COMMIT in data and self._take_one()
                    (server if one is caller else caller).sendall(data)

    def _take_one(self) -> bool:
        with self._lock:
            if not self._to_lose:
                return False
            self._to_lose -= 1
            self.lost += 1
            return True
