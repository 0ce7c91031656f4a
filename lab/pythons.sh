#!/bin/sh
# The same recordings on every Python of 3.11-3.13 at hand: each verdict identical. Needs .venv (make) and a package index.
set -eu
cd "$(dirname "$0")/.."

place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
for story in trip_backward_and_fall stumble_and_recover walk_and_stop_at_a_wall imu_unplugged; do
    .venv/bin/guardian sim "$story" --fast --record "$place/recordings" >/dev/null
done
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
