"""guardian station enroll, retire: a device's key to the broker, and its end."""

import os
import socket
import sys
from argparse import Namespace
from datetime import UTC, datetime
from pathlib import Path

from guardian.commands.station_settings import settings_of
from guardian.station.enroll import DEVICE_FOLDER, Reach, acl_says, by_certificate, by_password, qr, retire
from guardian.station.settings import Settings
from guardian.station.store import Store

PORTS = {False: 8883, True: 8884}  # of firmware_config/mosquitto.conf: by password, by certificate


def main(args: Namespace) -> int:
    """Make the device's files and tell what to do with them, or shut it out."""
    settings = settings_of(args)
    if args.action == "retire":
        for line in retire(args.name, args.passwords, args.authority):
            print(line)
        print("Now: sudo systemctl restart mosquitto (a reload would leave a connected device connected; each comes back by itself).")
        print(f"Its history stays, until it is old or: guardian station erase {args.name}")
        return 0
    folder = args.out or Path(args.name)
    reach = Reach(args.host or _host(settings), args.port or PORTS[args.certificate], settings.broker.root)
    if args.certificate:
        made = by_certificate(args.name, args.authority, folder, reach)
    else:
        made = by_password(args.name, args.passwords, folder, reach, args.authority / "ca.crt")
    _remember(settings, args.name, args.person or args.name)
    print(f"{args.name}: {', '.join(made.files)} in {folder}/ (only you can read them)\n")
    print(made.snippet)
    _, says = acl_says(args.acl, settings.broker.root)
    print(says)
    print("\nOn this machine: " + ("nothing more" if args.certificate else "sudo systemctl reload mosquitto"))
    print(
        f"On the device, with these files beside you: sudo install -o guardian -g guardian -m 600 -t {DEVICE_FOLDER} {' '.join(made.files)}"
    )
    print("  (a guardian.toml of its own there: add these lines to it instead), then: sudo guardian check")
    if not args.no_qr:
        text = made.snippet + (f"# {DEVICE_FOLDER}/mqtt.password: {made.secret}\n" if made.secret else "")
        print(f"\nThe same to carry on a phone{', password included: who photographs it can speak as this device' if made.secret else ''}:")
        print(qr(text))
    return 0


def _host(settings: Settings) -> str:
    """As the station reaches the broker; where that is this machine itself, by its name on the local network."""
    host = settings.broker.host
    return f"{socket.gethostname()}.local" if host in ("localhost", "127.0.0.1", "::1") else host


def _remember(settings: Settings, device: str, person: str) -> None:
    """The wearer, in the station's table; without it they are shown under the device's id, so a failure here undoes nothing."""
    try:
        if os.geteuid() == 0:  # which the broker's files needed; what root writes into the database's folder, the service could not read
            owner = Path(settings.station.state_dir).stat()
            os.setegid(owner.st_gid)
            os.seteuid(owner.st_uid)
        store = Store.opened(settings)
    except Exception as error:  # noqa: BLE001  (a database has many ways to refuse)
        print(f"guardian: {device} is not in the station's table ({type(error).__name__}): run it as the station's user", file=sys.stderr)
        return
    try:
        store.add_wearer(device, person, datetime.now(UTC))
    finally:
        store.close()
