#!/bin/sh
# All that the stories of tests/vm boot, into lab/out/vm: a Debian kernel with two modules of its own source, and a Debian 12 disk on which
# systemd/install.sh has installed this checkout's device. As root on Debian 12 (amd64); needs .venv (make). Fetched once; what has not
# changed is not built again. Without root or apt it says so and leaves the stories to be skipped.
set -eu
cd "$(dirname "$0")/../.."
here=tests/vm
out=$PWD/lab/out/vm
mkdir -p "$out"
say() { echo "vm: $*"; }

# 1. Programs
if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
    say "not built: that needs root on a Debian machine"
    exit 0
fi
absent=
for package in qemu-system-x86 debootstrap busybox-static gcc-12 make libelf1 xz-utils e2fsprogs; do
    [ "$(dpkg-query -W -f='${db:Status-Status}' $package 2>/dev/null)" = installed ] || absent="$absent $package"
done
if [ -n "$absent" ]; then
    say "installing with apt-get:$absent"
    apt-get -qq update
    # shellcheck disable=SC2086 # words
    DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --no-install-recommends $absent >"$out/apt.log" 2>&1 ||
        { tail -n 20 "$out/apt.log" >&2; exit 1; }
fi

# 2. The kernel, and from its source two modules that Debian does not build or that lack a knob
kernel() {
    apt-get -qq update
    release=$(apt-cache depends linux-image-amd64 | sed -n 's/.*Depends: linux-image-\([0-9].*-amd64\)$/\1/p' | head -n 1)
    [ -n "$release" ] || { say "apt knows no linux-image-amd64" >&2; exit 1; }
    say "fetching Linux $release, its headers and two files' source (230 MB) ..."
    rm -rf "$out/kernel"
    mkdir -p "$out/kernel/debs" "$out/kernel/modules"
    series=$(echo "$release" | cut -d. -f1-2)
    (cd "$out/kernel/debs" && apt-get -qq -o APT::Sandbox::User=root download "linux-image-$release" "linux-headers-$release" \
        "linux-headers-${release%-amd64}-common" "linux-kbuild-$series" "linux-source-$series")
    for package in "$out"/kernel/debs/linux-[hik]*.deb; do dpkg-deb -x "$package" "$out/kernel"; done
    modules=$out/kernel/modules
    dpkg-deb --fsys-tarfile "$out"/kernel/debs/linux-source-*.deb | tar -xO "./usr/src/linux-source-$series.tar.xz" |
        tar -xJ -C "$modules" --transform 's|.*/||' "linux-source-$series/drivers/gpio/gpio-sim.c" "linux-source-$series/drivers/gpio/gpiolib.h" \
            "linux-source-$series/kernel/irq/irq_sim.c" "linux-source-$series/drivers/i2c/i2c-stub.c"
    rm -r "$out/kernel/debs"
    # irq_to_desc is not exported to modules; the same by what is.
    sed -i -e 's/irq_to_desc(irqnum)/irq_data_to_desc(irq_get_irq_data(irqnum))/' -e 's|#include <linux/irq.h>|&\n#include <linux/irqdesc.h>|' \
        "$modules/irq_sim.c"
    # A Pi's pin keeps its last level when its program dies (hardware.md); gpio-sim's would fall back to its pull.
    sed -i 's/__assign_bit(offset, chip->value_map, !!test_bit(offset, chip->pull_map));/;/' "$modules/gpio-sim.c"
    # Pulling the chip's plug: while `absent` holds its address nothing answers there, as i2c-bcm2835 says it (EREMOTEIO).
    sed -i -e '/^struct smbus_block_data {/i static ushort absent;\nmodule_param(absent, ushort, 0600);\n' \
        -e '0,/\tif (!chip)/s//\tif (absent \&\& addr == absent)\n\t\treturn -EREMOTEIO;\n&/' "$modules/i2c-stub.c"
    mv "$modules/gpio-sim.c" "$modules/gpio-sim-main.c"
    printf 'obj-m := gpio-sim.o i2c-stub.o\ngpio-sim-y := gpio-sim-main.o irq_sim.o\n' >"$modules/Makefile"
    if ! grep -q irq_data_to_desc "$modules/irq_sim.c" || [ "$(grep -c absent "$modules/i2c-stub.c")" -ne 3 ] ||
        grep -q 'value_map, !!test_bit(offset, chip->pull_map)' "$modules/gpio-sim-main.c"; then
        say "this kernel's source is not what the changes above were made for" >&2
        exit 1
    fi
    sed -i "s|/usr/src/|$out/kernel/usr/src/|" "$out/kernel/usr/src/linux-headers-$release/Makefile"
    make -s -C "$out/kernel/usr/src/linux-headers-$release" "M=$modules" modules >"$out/modules.log" 2>&1 ||
        { tail -n 20 "$out/modules.log" >&2; exit 1; }
    echo "$release" >"$out/kernel/ready"
}
[ -e "$out/kernel/ready" ] || kernel

# 3. Debian, without the device
packages=systemd,systemd-sysv,dbus,udev,kmod,python3,python3-venv,mosquitto,mosquitto-clients
if [ "$(cat "$out/base.ready" 2>/dev/null)" != "$packages" ]; then
    say "Debian 12 ..."
    rm -rf "$out/base" "$out/base.ready"
    debootstrap --variant=minbase --include=$packages bookworm "$out/base" >"$out/debootstrap.log" 2>&1 ||
        { tail -n 20 "$out/debootstrap.log" >&2; exit 1; }
    rm -rf "$out"/base/var/cache/apt/archives/*.deb "$out"/base/var/lib/apt/lists/* "$out"/base/usr/share/doc "$out"/base/usr/share/locale
    echo $packages >"$out/base.ready"
fi

# 4. The device, installed as on a Pi; the rest of the machine around it
stamp=$({ cat "$out/kernel/ready"; git ls-files -z -o -c --exclude-standard -- guardian systemd firmware_config pyproject.toml README.md LICENSE $here |
    xargs -0 sha256sum; } 2>/dev/null | sha256sum)
[ "$(cat "$out/disk.ready" 2>/dev/null)" != "$stamp" ] || exit 0
release=$(cat "$out/kernel/ready")
root=$out/root
rm -rf "$root" "$out/disk.ready"
cp -a "$out/base" "$root"

say "the device's wheels ..."
.venv/bin/python -c '
import tomllib
project = tomllib.load(open("pyproject.toml", "rb"))
wanted = project["build-system"]["requires"] + project["project"]["dependencies"] + project["project"]["optional-dependencies"]["pi"]
print(*(one.partition(";")[0] for one in wanted), sep="\n")' >"$out/requirements.txt"
.venv/bin/python -m pip download --quiet --disable-pip-version-check --dest "$root/wheels" --only-binary=:all: --python-version 3.11 \
    --implementation cp --abi cp311 --abi abi3 --abi none --platform manylinux2014_x86_64 --platform manylinux_2_28_x86_64 --platform manylinux_2_34_x86_64 --platform any \
    -r "$out/requirements.txt"

say "systemd/install.sh install ..."
mkdir "$root/checkout"
mkdir -p "$root/proc/1/root" # another folder than /: so systemctl and udevadm see that they are in a chroot, without a mount
cp -a guardian systemd firmware_config pyproject.toml README.md LICENSE "$root/checkout"
env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin PIP_NO_INDEX=1 PIP_FIND_LINKS=/wheels PYTHON=/usr/bin/python3 \
    chroot "$root" sh /checkout/systemd/install.sh install >"$out/install.log" 2>&1 || { cat "$out/install.log" >&2; exit 1; }
rm -rf "$root/checkout" "$root/wheels" "$root/proc/1"

say "the machine around it ..."
place=$root/lib/modules/$release
mkdir -p "$place"
cp "$out/kernel/lib/modules/$release"/modules.builtin* "$place"
(cd "$out/kernel/lib/modules/$release" &&
    find kernel \( -name i2c-dev.ko -o -name configfs.ko -o -name virtio_console.ko -o -name virtio-rng.ko \) -exec cp --parents -t "$place" {} +)
mkdir "$place/updates"
cp "$out"/kernel/modules/*.ko "$place/updates"
chroot "$root" depmod "$release"
cp -a $here/guest "$root/opt/guest"
cp $here/guest/*.service "$root/etc/systemd/system"
mkdir -p "$root/etc/systemd/system/guardian.service.d"
cp systemd/guardian.service "$root/opt/guest/as_shipped.service"
cp $here/guest/board.conf "$root/etc/systemd/system/guardian.service.d"
cp $here/guest/guardian.toml "$root/etc/guardian/guardian.toml"
.venv/bin/python -m tests.vm.motion "$root/opt/guest"
echo guest >"$root/etc/hostname"
chroot "$root" systemd-machine-id-setup >/dev/null 2>&1 # a machine without one boots for the first time, which takes long
echo '127.0.0.1 localhost guest' >"$root/etc/hosts"
echo '/dev/vda / ext4 defaults 0 1' >"$root/etc/fstab"
chroot "$root" systemctl --quiet enable world agent caregiver
chroot "$root" systemctl --quiet mask apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer fstrim.timer e2scrub_all.timer
rm -f "$out/disk.img"
mke2fs -q -t ext4 -d "$root" "$out/disk.img" 900M

# 5. What mounts that disk: busybox and the modules a disk needs
initrd=$out/initrd
rm -rf "$initrd"
mkdir -p "$initrd/bin" "$initrd/modules"
cp /bin/busybox "$initrd/bin/busybox"
number=10
for module in virtio_ring virtio_pci_modern_dev virtio_pci_legacy_dev virtio virtio_pci virtio_blk crc16 crc32c_generic mbcache jbd2 ext4; do
    file=$(find "$out/kernel/lib/modules/$release/kernel" -name "$module.ko")
    cp "$file" "$initrd/modules/$number-$module.ko"
    number=$((number + 1))
done
cp $here/guest/init "$initrd/init"
chmod 755 "$initrd/init"
(cd "$initrd" && find . | busybox cpio -o -H newc 2>/dev/null | gzip -1 >"$out/initrd.gz")
cp "$out/kernel/boot/vmlinuz-$release" "$out/vmlinuz"
rm -rf "$root" "$initrd"
echo "$stamp" >"$out/disk.ready"
say "built: $out/disk.img, Linux $release"
