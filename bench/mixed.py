"""Mixed: tills, claims, reviews, expiry and publications on one database at once: no deadlock, every promise kept.

What is done. A durable PostgreSQL, two server processes and a worker as `changke up` starts them. Twelve tills on a few
hundred members commit carts at once or open sessions that are committed, cancelled or left to lapse; take goods back,
undo orders, claim coupons and show them, pay with points, report orders from elsewhere (some make two members one), and
look around. Meanwhile versions are published, reviews of tiers and simulations started, and a thread of its own does
what the clock asks for far more often than it would: points, sessions and coupons that end, pages of the review, pieces
of simulations.

At the end PostgreSQL says how many deadlocks there were, every answer of 500 and above is counted (503 `busy`, "try
again", on its own), and every check of `changke audit` is asked.

    python bench/mixed.py                 10 minutes
    python bench/mixed.py --minutes 60
    python bench/mixed.py --quick         40 seconds
    python bench/mixed.py --case27 1000   instead: a coupon's last use, a hundred tills at once, so many times

The last line is one JSON object.
"""

import argparse
import json
import logging
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable

import psycopg

from changke.entry import checks
from changke.kernel import audit
from till import last_use, mixing
from till.house import House, open_house
from till.mixing import Mix

MEMBERS, TILLS = 300, 12
QUICK_SECONDS = 40
TARGETS = {"deadlocks": 0, "failures": 0, "broken_promises": 0}


def main() -> int:
    """Mix, or repeat the last use; report."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--quick", action="store_true", help=f"{QUICK_SECONDS} seconds")
    parser.add_argument("--case27", type=int, metavar="N", help="a coupon's last use, N times, instead")
    asked = parser.parse_args()
    print(__doc__.split("\n    python", 1)[0])
    logging.disable(logging.INFO)
    seconds = QUICK_SECONDS if asked.quick else asked.minutes * 60
    with open_house() as house:
        if asked.case27:
            return last_uses(house, asked.case27)
        members = mixing.open_shop(house, members=MEMBERS)
        house.run(servers=2, workers=1)
        mix = Mix(house, members, time.monotonic() + seconds)
        run(mix, pause=seconds / 20)
        return report(mix, seconds)


def run(mix: Mix, *, pause: float) -> None:
    """Let everybody work until the time is over."""
    ports = mix.house.ports
    everybody = [
        threading.Thread(target=mixing.till, args=(mix, ports[number % len(ports)], number)) for number in range(TILLS)
    ]
    everybody.append(threading.Thread(target=mixing.publisher, args=(mix, ports[0], pause)))
    everybody.append(threading.Thread(target=mixing.clockwork, args=(mix,)))
    for one in everybody:
        one.start()
    for one in everybody:
        one.join()


def report(mix: Mix, seconds: float) -> int:
    """Tell how calls were answered, ask for deadlocks and promises, and report."""
    house = mix.house
    for (what, status, code), count in sorted(mix.answers.items()):
        print(f"{what:16} {status} {code:28} {count:8,}")
    for line in (*mix.trouble, *house.complaints()[:10], *circles(house)):
        print(line[:1_500])
    found = audit.audit(house.database, checks.every())
    for finding in found.broken:
        print(f"broken: {finding.check.name}: {finding.rows[:3]}")
    calls = sum(mix.answers.values())
    figures = {
        "seconds": round(seconds),
        "calls": calls,
        "calls_per_s": round(calls / seconds, 1),
        **{f"done_{what}": count for what, count in sorted(_done(mix).items())},
        "busy": _sum(mix, lambda status, code: code in ("busy", "member_busy")),
        "failures": _sum(mix, lambda status, code: status >= 500 and code != "busy"),
        "deadlocks": deadlocks(house),
        "promises": len(found.findings),
        "broken_promises": len(found.broken),
    }
    return tell(figures, {"busy_share": round(figures["busy"] / max(1, calls), 4)}, TARGETS)


def _done(mix: Mix) -> Counter[str]:
    found: Counter[str] = Counter()
    for (what, status, _), count in mix.answers.items():
        if status < 300:
            found[what] += count
    return found


def _sum(mix: Mix, wanted: Callable[[int, str], bool]) -> int:
    return sum(count for (_, status, code), count in mix.answers.items() if wanted(status, code))


def circles(house: House) -> list[str]:
    """Return what PostgreSQL logged of deadlocks: who waited for whom, and with which statements."""
    lines = house.postgres.log.read_text(errors="replace").splitlines()
    places = [place for place, line in enumerate(lines) if "deadlock detected" in line]
    return [line for place in places[:3] for line in lines[place : place + 14]]


def deadlocks(house: House) -> int:
    """Return how many deadlocks PostgreSQL had to break; the statistics arrive a moment after the sessions go."""
    house.stop()
    time.sleep(1.5)
    with psycopg.connect(house.postgres.url) as connection:
        row = connection.execute("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()").fetchone()
    assert row is not None
    return int(row[0])


def last_uses(house: House, times: int) -> int:
    """Repeat case 27 and report."""
    house.run(servers=2)
    began = time.monotonic()
    found = last_use.repeat(house, times)
    print(f"answers in all: {dict(found.answers)}")
    for line in (*found.wrong[:5], *house.complaints()[:10]):
        print(line[:1_000])
    figures = {
        "repeats": times,
        "right": found.right,
        "wrong": len(found.wrong),
        "seconds": round(time.monotonic() - began, 1),
        "deadlocks": deadlocks(house),
    }
    return tell(figures, {"right_share": found.right / max(1, times)}, {"wrong": 0, "deadlocks": 0})


def tell(figures: dict[str, float], ratios: dict[str, float], targets: dict[str, int]) -> int:
    """Print the last line."""
    holds = all(figures[name] <= most for name, most in targets.items())
    answer = {"bench": "mixed", "figures": figures, "ratios": ratios, "targets": targets, "holds": holds}
    print(json.dumps(answer))
    return 0 if holds else 1


if __name__ == "__main__":
    sys.exit(main())
