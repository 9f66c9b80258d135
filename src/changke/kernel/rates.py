"""How many calls one key may make."""

import threading
import time

from changke.kernel.errors import RATE_LIMITED, Refusal


class RateLimiter:
    """GCRA in memory, one for each server process: `per_second` calls on average, a second's worth at once."""

    def __init__(self, *, per_second: int) -> None:
        self._per_second = per_second
        self._lock = threading.Lock()
        self._arrivals: dict[str, float] = {}

    def take(self, key: str) -> tuple[int, float]:
        """Count one call; returns (calls left at once, seconds until there is room again).

        Refuses with `rate_limited` when there is no room.
        """
        now = time.monotonic()
        with self._lock:
            if len(self._arrivals) > 100_000:
                self._arrivals = {name: at for name, at in self._arrivals.items() if at > now}
            arrival = max(now, self._arrivals.get(key, 0.0)) + 1 / self._per_second
            ahead = arrival - now
            if ahead > 1:
                raise Refusal(RATE_LIMITED, need=max(1, round(ahead - 1)))
            self._arrivals[key] = arrival
        return int((1 - ahead) * self._per_second), ahead
