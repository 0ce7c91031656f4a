#!/bin/sh
# The same recordings on every Python of 3.11-3.13 at hand: each verdict identical. Needs .venv (make) and a package index.
set -eu
cd "$(dirname "$0")/.."

place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
sh lab/record_stories.sh "$place/recordings"
for version in 3.11 3.12 3.13; do
    python=$(command -v "python$version") && "$python" -c 'import venv' 2>/dev/null || {
        echo "python$version: not at hand"
        continue
    }
    "$python" -m venv "$place/$version"
    "$place/$version/bin/python" -m pip install --quiet --disable-pip-version-check .
    "$place/$version/bin/python" --version
    (cd "$place" && "$place/$version/bin/guardian" replay "$place"/recordings/*.mcap)
done
