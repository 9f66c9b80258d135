"""The unmodified Node libraries of Segment and RudderStack, pointed at a live server.

They are installed by npm into a folder that is kept between runs. Without Node or npm, or without a registry, the tests
are skipped and say why; continuous integration counts that as a failure.
"""

import hashlib
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest

PACKAGES = ("@segment/analytics-node@3.1.0", "@rudderstack/rudder-sdk-node@3.0.13")
SCRIPT = Path(__file__).with_name("libraries.mjs")


@pytest.fixture(scope="session")
def node_folder():
    """The folder the libraries are installed in."""
    if not shutil.which("node") or not shutil.which("npm"):
        pytest.skip("node and npm are not on this machine: the Node libraries are not checked")
    name = "changke-node-" + hashlib.sha256(" ".join(PACKAGES).encode()).hexdigest()[:12]
    folder = Path(os.environ.get("CHANGKE_NODE_CACHE", tempfile.gettempdir())) / name
    if not (folder / "ready").exists():
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "package.json").write_text('{"name": "changke-clients", "private": true}')
        command = ["npm", "install", "--no-audit", "--no-fund", "--ignore-scripts", *PACKAGES]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=240, check=False)
        if done.returncode:
            pytest.skip(f"npm could not install the Node libraries: {done.stderr[-500:]}")
        (folder / "ready").touch()
    return folder


@pytest.mark.parametrize("library", ["segment", "rudderstack"])
def test_every_call_arrives_once(live, node_folder, library):
    command = ["node", str(SCRIPT), library, live.url, live.key, str(node_folder)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert live.wait_for(7) == {"accepted": 7}
    assert live.rows("SELECT order_number, total_minor, details -> 'attributes' -> 'context' -> 'campaign' ->> 'source'"
                     " FROM activity.sale_order") == [("O-77", 5970, "wechat")]  # fmt: skip
    kinds = {kind for (kind,) in live.rows("SELECT type FROM activity.event")}
    assert kinds == {
        "member.identified",
        "product.viewed",
        "page.viewed",
        "screen.viewed",
        "group.joined",
        "member.aliased",
    }
