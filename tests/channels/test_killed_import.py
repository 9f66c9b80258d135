"""A real process that imports, killed without warning again and again."""

import signal
import subprocess
import sys
import time

from changke.adapters.import_file import import_file
from changke.kernel.clock import SystemClock
from changke.kernel.crypto import KeyRing
from changke.modules.activity.translate import mapping as mappings

MAPPING = """
mapping: 1
kind: events
source: app-export
type: product.viewed
time_zone: UTC
event_id: id
occurred_at: at
identifiers: [{namespace: app_account, column: user}]
payload: {sku: sku}
"""
PROGRAM = """
import sys
from pathlib import Path
from changke.adapters.import_file import import_file
from changke.kernel.clock import SystemClock
from changke.kernel.crypto import KeyRing
from changke.kernel.database import Database
from changke.modules.activity.translate import mapping

url, file, home = sys.argv[1:]
import_file(Database(url, pool_size=2), Path(file), mapping.load(sys.stdin.read()),
            keyring=KeyRing.open(Path(home)), clock=SystemClock(), batch_size=20)
"""
EVENTS = 4_000


def test_nothing_is_lost_or_doubled_when_an_import_is_killed(database, tmp_path):
    keyring = KeyRing.open(tmp_path / "home")
    path = tmp_path / "views.csv"
    rows = (f"v-{n},2026-02-01T10:00:00Z,user-{n % 50},{'' if n % 100 == 7 else 'tea'}" for n in range(EVENTS))
    path.write_text("\n".join(("id,at,user,sku", *rows)))
    positions = []
    for _ in range(3):
        _import_and_kill(database, path, tmp_path, after=(positions or [0])[-1] + 100)
        positions.append(_position(database))
    report = import_file(database, path, mappings.load(MAPPING), keyring=keyring, clock=SystemClock())
    assert 0 < positions[0] < positions[1] < positions[2] < EVENTS, "each run was killed on its way"
    assert report.resumed_at == positions[-1]
    with database.transaction() as tx:
        [stored] = tx.raw.execute("SELECT count(*), count(DISTINCT event_id) FROM activity.event").fetchall()
        [run] = tx.raw.execute(
            "SELECT state, position, accepted, duplicate, rejected FROM activity.import_run"
        ).fetchall()
    assert stored == (EVENTS - 40, EVENTS - 40)
    assert run == ("finished", EVENTS, EVENTS - 40, 0, 40)
    with open(report.rejects_path, encoding="utf-8") as lines:
        assert len(lines.readlines()) == 40


def _import_and_kill(database, path, tmp_path, *, after):
    command = [sys.executable, "-c", PROGRAM, database.url, str(path), str(tmp_path / "home")]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, text=True)
    process.stdin.write(MAPPING)
    process.stdin.close()
    deadline = time.monotonic() + 60
    while _position(database) < after and time.monotonic() < deadline and process.poll() is None:
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    process.wait(10)


def _position(database):
    with database.transaction() as tx:
        row = tx.raw.execute("SELECT position FROM activity.import_run").fetchone()
    return row[0] if row else 0
