#!/bin/sh
# The same recordings on an arm64 Python, under emulation: each verdict identical. Then the instructions of one tick on arm64 and on x86-64,
# of the same Debian and the same wheels, both counted by the same emulator. Debian 12, as root: apt install qemu-user debootstrap gcc.
# Needs .venv (make). Debian's packages and the wheels are fetched once, into lab/out.
set -eu
cd "$(dirname "$0")/.."
for program in qemu-aarch64 qemu-x86_64 debootstrap gcc; do
    command -v "$program" >/dev/null || { echo "$program is absent: apt install qemu-user debootstrap gcc" >&2; exit 2; }
done

# root ARCHITECTURE WHEELS: Debian's Python and what the device installs, in lab/out/ARCHITECTURE
root() {
    root=$PWD/lab/out/$1
    [ ! -e "$root/ready" ] || return 0
    rm -rf "$root"
    mkdir -p lab/out
    debootstrap --foreign --arch="$1" --variant=minbase --include=python3,zlib1g bookworm "$root" >"$root.log"
    for package in "$root"/var/cache/apt/archives/*.deb; do dpkg-deb -x "$package" "$root"; done
    .venv/bin/python -m pip install --quiet --disable-pip-version-check --target "$root/wheels" --only-binary=:all: \
        --python-version 3.11 --implementation cp --abi cp311 --platform "manylinux2014_$2" --platform "manylinux_2_28_$2" --platform any \
        gpiozero smbus2 numpy paho-mqtt msgspec mcap zstandard rich
    touch "$root/ready"
}
root amd64 x86_64
root arm64 aarch64
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT

# emulated ROOT EMULATOR CPU: the Python in that root, with the arguments that follow
emulated() {
    root=$PWD/lab/out/$1 emulator=$2 cpu=$3
    shift 3
    PYTHONHOME="$root/usr" PYTHONPATH="$root/wheels:$PWD" PYTHONHASHSEED=0 OPENBLAS_NUM_THREADS=1 \
        "$emulator" -cpu "$cpu" -L "$root" "$root/usr/bin/python3.11" "$@"
}
arm64() { emulated arm64 qemu-aarch64 cortex-a53 "$@"; } # a Pi Zero 2 W's
amd64() { emulated amd64 qemu-x86_64 max "$@"; }

sh lab/record_stories.sh "$place/recordings"
arm64 -c 'import platform, numpy; print(platform.machine(), "Python", platform.python_version(), "numpy", numpy.__version__)'
arm64 -m guardian replay "$place"/recordings/*.mcap

gcc -O2 -shared -fPIC -o "$place/instructions.so" lab/instructions.c
# counted ARCHITECTURE MARK: one line of the table; MARK is sched_get_priority_max's number there
counted() {
    (export QEMU_PLUGIN="$place/instructions.so,mark=$2" && "$1" -m lab.instructions --ticks 500) 2>&1 |
        awk -v name="$1" '/^[0-7] [0-9]+$/ { n[$1] = $2 / 500; next } { print > "/dev/stderr" }
            END { if (!n[2]) exit 1; printf "%s%22d%23d%8d%23d%8d\n", name, n[2], n[1], n[1] + n[2], n[3], n[5] }'
}
echo "instructions a tick: monitor  drivers and outputs    both  (simulated hardware)  (disk)"
counted arm64 125
counted amd64 146
