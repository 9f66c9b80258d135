#!/bin/sh
# Make the virtual environment named by $1 with the best Python on this machine; say plainly what is missing if there is none.
# PYTHON=/path/to/python chooses one by hand.
set -eu
venv=$1
newest_wanted='import sys, ensurepip, venv; sys.exit(not sys.version_info[:2] >= (3, 11))'

if [ -n "${PYTHON:-}" ]; then candidates=$PYTHON; else candidates="python3.13 python3.12 python3.11 python3 python3.14 python"; fi

seen=""
for candidate in $candidates; do
  # Version managers leave names on the path that do not run: try each one instead of trusting `command -v`.
  version=$("$candidate" -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null) || continue
  if "$candidate" -c "$newest_wanted" 2>/dev/null; then
    echo "Making $venv with $candidate (Python $version) ..."
    rm -rf "$venv"
    "$candidate" -m venv "$venv"
    exit 0
  fi
  seen="$seen $candidate=$version"
done

echo "Changke needs Python 3.11 or newer with its venv module." >&2
case $seen in
  "")                               echo "No Python was found on the path." >&2 ;;
  *=3.11*|*=3.12*|*=3.13*|*=3.14*)  echo "Found:$seen, but without venv and ensurepip. On Debian and Ubuntu: apt install python3-venv" >&2 ;;
  *)                                echo "Found only:$seen" >&2 ;;
esac
echo "On macOS: brew install python@3.13. Or name one: make PYTHON=/path/to/python3.13 ..." >&2
exit 1
