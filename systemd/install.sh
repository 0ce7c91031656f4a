#!/bin/sh
# Guardian, as root: sh systemd/install.sh install | upgrade | uninstall [--purge]              the device, on a Raspberry Pi
#                    sh systemd/install.sh install-station | upgrade-station | uninstall-station [--purge]   the caregivers' station
#
# Each version lives in its own $PREFIX/releases/N, a virtual environment (the device's also sees the system's lgpio); $PREFIX/current
# points to the one in use. An upgrade builds the new one beside the old, asks it whether it accepts this machine's configuration, and only
# then switches; if the service does not come up with it, it switches back. Configuration (/etc/guardian) and data (/var/lib/$name) are
# never touched but by `uninstall --purge`.
#
# Environment: PYTHON (python3), PREFIX (/opt/guardian, /opt/guardian-station), DESTDIR (empty; a root to install into without owning the
# machine).
set -eu
umask 022 # the service must be able to read what root builds

PYTHON=${PYTHON:-python3}
DESTDIR=${DESTDIR:-}

action=${1:-}
name=guardian # of the service, its user, its folders and its command
file=guardian.toml
others=station.toml
extra=pi
case $action in
*-station)
    action=${action%-station}
    name=guardian-station
    file=station.toml
    others=guardian.toml
    extra=station
    ;;
esac
PREFIX=${PREFIX:-/opt/$name}

source=$(cd "$(dirname "$0")/.." && pwd)
home=$DESTDIR$PREFIX
settings=$DESTDIR/etc/guardian/$file
others=$DESTDIR/etc/guardian/$others
state=$DESTDIR/var/lib/$name
unit=$DESTDIR/etc/systemd/system/$name.service
rules=$DESTDIR/etc/udev/rules.d/99-guardian.rules
modules=$DESTDIR/etc/modules-load.d/guardian.conf
wrapper=$DESTDIR/usr/local/bin/$name

say() { echo "guardian: $*"; }
fail() {
    echo "guardian: $*" >&2
    exit 1
}

case $PREFIX in
/?*) ;;
*) fail "PREFIX=$PREFIX is no folder of its own: uninstall will remove it" ;;
esac

need_root() {
    [ -n "$DESTDIR" ] || [ "$(id -u)" -eq 0 ] || fail "this needs root: sudo make $1${name#guardian}"
}

is_device() { [ "$name" = guardian ]; }

# The user that the service runs as; the device's is in the groups that own bus and pins.
make_user() {
    getent passwd "$name" >/dev/null ||
        useradd --system --user-group --home-dir "/var/lib/$name" --no-create-home --shell /usr/sbin/nologin "$name"
    is_device || return 0
    for group in i2c gpio; do
        getent group "$group" >/dev/null || groupadd --system "$group"
    done
    usermod --append --groups i2c,gpio guardian
}

# install -d with an owner, which only the machine's own root can give away.
folder() { # path mode owner
    if [ -z "$DESTDIR" ]; then
        install -d -m "$2" -o "${3%:*}" -g "${3#*:}" "$1"
    else
        install -d -m "$2" "$1"
    fi
}

# Build the next release and set $release to it. What fails here leaves nothing behind.
build() {
    "$PYTHON" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || fail "Python 3.11 or newer is needed; name one: PYTHON=python3.11"
    "$PYTHON" -c 'import ensurepip, venv' || fail "python3-venv is missing: apt install python3-venv"
    last=$(find "$home/releases" -mindepth 1 -maxdepth 1 -type d -name '[0-9]*' 2>/dev/null | sed 's|.*/||' | sort -n | tail -n 1)
    release=$home/releases/$((${last:-0} + 1))
    mkdir -p "$home/releases"
    trap 'rm -rf "$release"; say "failed; what was installed has not changed" >&2' EXIT
    trap 'exit 130' INT TERM
    say "building ${release#"$DESTDIR"} (some minutes on a small Pi) ..."
    if is_device; then
        "$PYTHON" -m venv --system-site-packages "$release"
    else
        "$PYTHON" -m venv "$release"
    fi
    "$release/bin/python" -m pip install --quiet --disable-pip-version-check "${source}[$extra]"
    ! is_device || "$release/bin/python" -c 'import lgpio' 2>/dev/null || fail "lgpio is missing: apt install python3-lgpio"
    accepts "$release" || fail "this version does not accept ${settings#"$DESTDIR"}: see above"
    trap - EXIT INT TERM
}

# Whether a release accepts this machine's configuration; it says why not.
accepts() {
    program=$1/bin/guardian
    if is_device; then set -- check; else set -- station check; fi
    if [ -e "$settings" ]; then
        "$program" "$@" --config-only --config "$settings"
    else
        "$program" "$@" --config-only
    fi
}

# Point $PREFIX/current at a release, in one step: there is no moment without one.
switch_to() {
    ln -sfn "releases/${1##*/}" "$home/current.new"
    mv -T "$home/current.new" "$home/current"
}

# What stands outside $PREFIX and changes with a version.
place_files() {
    install -D -m 644 "$source/systemd/$name.service" "$unit"
    [ "$PREFIX" = "/opt/$name" ] || sed -i "s|/opt/$name/|$PREFIX/|g" "$unit"
    mkdir -p "${wrapper%/*}"
    if is_device; then
        install -D -m 644 "$source/firmware_config/99-guardian.rules" "$rules"
        mkdir -p "${modules%/*}"
        echo i2c-dev >"$modules"
        device_command >"$wrapper"
    else
        station_command >"$wrapper"
    fi
    chmod 755 "$wrapper"
    systemctl daemon-reload
}

device_command() {
    cat <<EOF
#!/bin/sh
# As the service's own user when root asks, so that what it writes stays readable for the service.
if [ "\$(id -u)" -eq 0 ]; then
    exec runuser -u guardian -- "\$0" "\$@"
fi
[ ! -w /var/lib/guardian ] || export LG_WD=/var/lib/guardian # where lgpio leaves its FIFO
export GPIOZERO_PIN_FACTORY=lgpio
exec $PREFIX/current/bin/guardian "\$@"
EOF
}

# guardian-station X is guardian station X. What needs the broker's files stays root's.
station_command() {
    cat <<EOF
#!/bin/sh
case "\${1:-}" in
enroll | retire) ;;
*) if [ "\$(id -u)" -eq 0 ]; then
    exec runuser -u $name -- "\$0" "\$@"
fi ;;
esac
exec $PREFIX/current/bin/guardian station "\$@"
EOF
}

# The folder of the configuration. Where device and station share one machine, the second joins the group of the first.
settings_folder() {
    if [ -d "${settings%/*}" ]; then
        [ -n "$DESTDIR" ] || usermod --append --groups "$(stat -c %G "${settings%/*}")" "$name"
    else
        folder "${settings%/*}" 750 "root:$name"
    fi
}

install_all() {
    need_root install
    [ ! -e "$home/current" ] || {
        say "already installed: upgrading"
        upgrade
        return
    }
    make_user
    build
    folder "$home" 755 root:root
    settings_folder
    folder "$state" 700 "$name:$name"
    if [ ! -e "$settings" ]; then
        echo "# Only what differs from the shipped $file; $name check says whether it is accepted." >"$settings"
        chmod 644 "$settings"
    fi
    switch_to "$release"
    place_files
    [ -n "$DESTDIR" ] || ! is_device || {
        modprobe i2c-dev 2>/dev/null || say "no I2C yet: see firmware_config/config.txt"
        udevadm control --reload && udevadm trigger --subsystem-match=i2c-dev --subsystem-match=gpio
    }
    systemctl enable --quiet "$name"
    if is_device; then
        say "installed. Next, as hardware.md says: sudo guardian check, sudo guardian calibrate, then sudo systemctl start guardian"
    else
        say "installed. Next, as docs/station.md says: sudo guardian-station user add YOU --role admin, sudo guardian-station check," \
            "then sudo systemctl start guardian-station"
    fi
}

upgrade() {
    need_root upgrade
    [ -e "$home/current" ] || fail "not installed: make install${name#guardian}"
    old=$(readlink -f "$home/current")
    build
    cp -p "$unit" "$unit.old"
    switch_to "$release"
    place_files
    if systemctl is-active --quiet "$name" && ! systemctl restart "$name"; then
        switch_to "$old"
        mv "$unit.old" "$unit"
        systemctl daemon-reload
        systemctl restart "$name" || true
        rm -rf "$release"
        fail "the new version did not come up; the old one is back (journalctl -u $name says why)"
    fi
    rm -f "$unit.old"
    find "$home/releases" -mindepth 1 -maxdepth 1 ! -path "$old" ! -path "$release" -exec rm -rf {} +
    say "upgraded; ${old#"$DESTDIR"} is kept"
}

uninstall() {
    need_root uninstall
    case ${1:-} in
    '' | --purge) ;;
    *) fail "uninstall takes --purge or nothing" ;;
    esac
    systemctl disable --now --quiet "$name" || true
    rm -f "$unit" "$wrapper"
    ! is_device || rm -f "$rules" "$modules"
    rm -rf "$home/releases" "$home/current" "$home/current.new" # ours alone: somebody may have said PREFIX=/usr/local
    rmdir --ignore-fail-on-non-empty "$home" 2>/dev/null || true
    systemctl daemon-reload
    if [ "${1:-}" = --purge ]; then
        rm -rf "$state" "$settings"
        if [ -e "$others" ]; then
            say "kept for the other service of this machine: ${others%/*}; look there for passwords and keys that were this one's"
        else
            rm -rf "${settings%/*}"
        fi
        userdel "$name" 2>/dev/null || true
        say "removed, configuration and recordings too"
    else
        say "removed; kept: $settings and $state (health data: uninstall --purge removes both)"
    fi
}

case $action in
install) install_all ;;
upgrade) upgrade ;;
uninstall) uninstall "${2:-}" ;;
*)
    echo "usage: sh systemd/install.sh install | upgrade | uninstall [--purge], or with -station: install-station ..." >&2
    exit 2
    ;;
esac
