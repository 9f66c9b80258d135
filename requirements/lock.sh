#!/bin/sh
# Resolve pyproject.toml into requirements/*.lock: exact versions, a hash for every file, one lock for Linux and macOS and every
# supported Python, and no address of any index inside. demo.lock is a subset of test.lock. Arguments go to uv: --upgrade,
# --upgrade-package NAME.
set -eu
cd "$(dirname "$0")/.."
tools=$(mktemp -d)
trap 'rm -rf "$tools"' EXIT
if command -v uv >/dev/null 2>&1; then uv=uv; else
  python3 -m venv "$tools/venv"
  "$tools/venv/bin/python" -m pip --disable-pip-version-check install --quiet uv
  uv=$tools/venv/bin/uv
fi
compile() {
  "$uv" pip compile pyproject.toml requirements/build.in --universal --python-version 3.11 --generate-hashes \
    --no-emit-index-url --no-emit-find-links --no-annotate --no-header --quiet "$@"
}
compile --extra demo --extra mqtt --extra telemetry --extra bench --extra test --extra dev "$@" -o requirements/test.lock
compile --extra demo --constraint requirements/test.lock -o requirements/demo.lock
if grep -nE '://|^-|file:| @ ' requirements/*.lock; then echo "An address slipped into a lock." >&2; exit 1; fi
echo "Locked: $(grep -c == requirements/demo.lock) packages to run, $(grep -c == requirements/test.lock) to develop."
