#!/bin/sh
# Stories of the simulator, four of guarding and one of each exercise, recorded into a folder: what lab/pythons.sh and lab/arm64.sh replay
# elsewhere. Needs .venv (make).
set -eu
for story in trip_backward_and_fall stumble_and_recover walk_and_stop_at_a_wall imu_unplugged \
    walk_heel_catch run_slip stairs_two_sets treadmill_drifting lunges_both_legs; do
    .venv/bin/guardian sim "$story" --fast --record "$1" >/dev/null
done
