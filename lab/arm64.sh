#!/bin/sh
# The same recordings on an arm64 Python, under emulation: each verdict identical. Debian, as root: apt install qemu-user-static debootstrap.
# Needs .venv (make). Debian's arm64 packages and the wheels are fetched once, into lab/out/arm64.
set -eu
cd "$(dirname "$0")/.."
for program in qemu-aarch64-static debootstrap; do
    command -v "$program" >/dev/null || { echo "$program is absent: apt install qemu-user-static debootstrap" >&2; exit 2; }
done

root=$PWD/lab/out/arm64
if [ ! -e "$root/ready" ]; then
    rm -rf "$root"
    debootstrap --foreign --arch=arm64 --variant=minbase --include=python3,zlib1g bookworm "$root" >"$root.log"
    for package in "$root"/var/cache/apt/archives/*.deb; do dpkg-deb -x "$package" "$root"; done
    .venv/bin/python -m pip install --quiet --disable-pip-version-check --target "$root/wheels" --only-binary=:all: \
        --python-version 3.11 --implementation cp --abi cp311 --platform manylinux2014_aarch64 --platform manylinux_2_28_aarch64 --platform any \
        gpiozero smbus2 numpy paho-mqtt msgspec mcap zstandard rich
    touch "$root/ready"
fi
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
sh lab/record_stories.sh "$place/recordings"
emulated() { PYTHONHOME="$root/usr" PYTHONPATH="$root/wheels:$PWD" qemu-aarch64-static -L "$root" "$root/usr/bin/python3.11" "$@"; }
emulated -c 'import platform, numpy; print(platform.machine(), "Python", platform.python_version(), "numpy", numpy.__version__)'
emulated -m guardian replay "$place"/recordings/*.mcap
