#!/bin/sh
# A motion sensor's address on a bus, and a chip of as many pins as a Pi's.
set -eu
modprobe i2c-dev
modprobe i2c-stub chip_addr=0x6a
modprobe gpio-sim
mountpoint -q /sys/kernel/config || mount -t configfs configfs /sys/kernel/config
bank=/sys/kernel/config/gpio-sim/pins/bank
mkdir -p $bank
echo 28 >$bank/num_lines
echo 1 >/sys/kernel/config/gpio-sim/pins/live
for line in /sys/devices/platform/gpio-sim.0/gpiochip*/sim_gpio25; do echo pull-up >"$line/pull"; done # the button is not pressed
udevadm settle
