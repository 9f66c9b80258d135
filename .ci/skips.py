"""Fail when a test was skipped that could have run here: `python .ci/skips.py REPORT.xml`.

A skip is a promise nobody checked. It is accepted only for what this machine really lacks.
"""

import glob
import os
import re
import sys
from xml.etree import ElementTree

ACCEPTED = [
    (re.compile(r"\bnot root\b|\bneeds root\b", re.IGNORECASE), lambda: os.geteuid() != 0),
    (re.compile(r"\bloop device", re.IGNORECASE), lambda: not os.path.exists("/dev/loop-control") or not loops_work()),
]


def loops_work() -> bool:
    """Say whether a loop device could be had: root, and the kernel hands some out."""
    return os.geteuid() == 0 and bool(glob.glob("/dev/loop[0-9]*"))


def skipped(report: str) -> list[tuple[str, str]]:
    """Return (test, reason) of everything that was skipped or expected to fail."""
    found = []
    for case in ElementTree.parse(report).getroot().iter("testcase"):
        for mark in case.findall("skipped"):
            found.append((f"{case.get('classname')}::{case.get('name')}", mark.get("message") or ""))
    return found


def accepted(reason: str) -> bool:
    """Say whether this machine lacks what the test names."""
    return any(pattern.search(reason) and lacking() for pattern, lacking in ACCEPTED)


def main() -> int:
    """Print every skip; fail on those that should have run."""
    wrong = 0
    for test, reason in skipped(sys.argv[1]):
        fine = accepted(reason)
        wrong += not fine
        print(f"{'accepted' if fine else 'NOT RUN'}: {test}: {reason}")
    print(f"{wrong} skipped that should have run")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
