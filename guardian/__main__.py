"""The command line: `guardian COMMAND`. Parsing only; each command is a file of guardian/commands, imported when it is asked for.

Exit codes: 0 it went well; 1 it ran and the answer is bad (a check failed, a replay differs); 2 it could not run (configuration, input,
wiring): the message alone, no traceback.
"""

import argparse
import importlib
import logging
import os
import sys
import tomllib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from guardian import __version__
from guardian.config import LOCAL, ConfigError

EPILOG = """\
the usual way:
  guardian sim demo            see what it does, on any computer
  guardian check               on the device: is every part there and well?
  guardian calibrate --height-m 0.95
  guardian sounds              learn what the beeps mean, before wearing it
  guardian run                 what the service runs

Every command has examples of its own: guardian COMMAND --help
"""

COMMANDS = ("run", "sim", "demo", "replay", "check", "calibrate", "sounds", "report", "erase", "retire", "station")


def parser() -> argparse.ArgumentParser:
    """The whole command line."""
    top = argparse.ArgumentParser(
        prog="guardian",
        description="A waist-worn guard for backward walking: obstacle behind, imminent fall, caregivers told. Not a medical device.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    top.add_argument("--version", action="version", version=f"guardian {__version__}")
    commands = top.add_subparsers(dest="command", metavar="COMMAND", required=True)

    def add(name: str, summary: str, *examples: str) -> argparse.ArgumentParser:
        command = commands.add_parser(
            name,
            help=summary,
            description=summary[0].upper() + summary[1:] + ".",
            epilog="examples:\n" + "\n".join(f"  {example}" for example in examples),
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        command.add_argument(
            "--config", metavar="FILE", type=Path, default=None, help=f"laid over the shipped guardian.toml (default {LOCAL})"
        )
        command.add_argument(
            "--set",
            metavar="KEY=VALUE",
            action="append",
            default=[],
            help="one key of guardian.toml, e.g. mqtt.host=broker.local; may be repeated",
        )
        return command

    add(
        "run",
        "guard the wearer: the whole device on this machine's own pins, until SIGTERM",
        "guardian run",
        "guardian run --set device.exercise=stairs",
        "guardian run --config ./my.toml --set device.state_dir=./state",
    )

    sim = add(
        "sim",
        "the same program on simulated hardware, shown live",
        "guardian sim --list",
        "guardian sim walk_and_stop_at_a_wall     at the speed of life",
        "guardian sim imu_unplugged --fast        as fast as it goes, one line an event",
        "guardian sim trip_backward_and_fall --broker localhost:1883 --record ./recordings",
    )
    sim.add_argument("scenario", nargs="?", metavar="SCENARIO", help="a story; --list names them")
    sim.add_argument("--list", action="store_true", help="name the stories")
    sim.add_argument("--fast", action="store_true", help="do not wait for the wall clock; print events as lines")
    sim.add_argument("--seed", type=int, default=0, metavar="N", help="another walk of the same story (default 0)")
    sim.add_argument("--broker", metavar="HOST:PORT", help="tell a real MQTT broker, as device sim-<id>, instead of a simulated one")
    sim.add_argument("--record", type=Path, metavar="DIR", help="keep the recording (MCAP) there")

    demo = add(
        "demo",
        "a 40-second story with a caregiver: a walk, a wall avoided, a fall, the alert through a real MQTT broker inside this program",
        "guardian demo",
        "guardian demo --seed 3",
    )
    demo.add_argument("--seed", type=int, default=0, metavar="N", help="another walk of the same story (default 0)")
    demo.add_argument("--fast", action="store_true", help="do not wait for the wall clock")

    replay = add(
        "replay",
        "play recordings through the monitor again, or foreign motion data through the whole simulated device",
        "guardian replay /var/lib/guardian/recordings/*.mcap    own recordings: every verdict must come out identical",
        "guardian replay --imu walk.npz                         motion data: what would the device have said?",
        "guardian replay --imu SA02.npz --trials 'F*' --jsonl   one JSON line an event, and one 'replayed' line a trial",
        "guardian replay --imu SA02.npz --exercise run --chip mpu6050",
        "",
        "A trial's 'replayed' line sums it up: time guarded, steps, cadence while walking, share of the time in each direction.",
        "FILE.npz holds one float array a trial, N x 7: t_s, specific force x y z (m/s2), angular rate x y z (rad/s);",
        "  axes x forward, y left, z up; any rate. t_s of an event counts from the trial's first row to the tick that tells it.",
    )
    replay.add_argument("recordings", nargs="*", type=Path, metavar="FILE.mcap", help="own recordings, in any order")
    replay.add_argument("--imu", type=Path, metavar="FILE.npz", help="motion data, one array a trial")
    replay.add_argument("--exercise", metavar="NAME", default="walk", help="row of [exercises] (default walk)")
    replay.add_argument("--variant", metavar="NAME", help="a label for the output lines")
    replay.add_argument("--model", type=Path, metavar="FILE", help="weights of a learned fall model (default: the shipped ones)")
    replay.add_argument("--jsonl", action="store_true", help="JSON lines instead of a table")
    replay.add_argument(
        "--chip", metavar="NAME", choices=("lsm6dsox", "lsm6dso32", "mpu6050"), help="the simulated IMU (default: imu.chip)"
    )
    replay.add_argument("--trials", metavar="GLOB", default="*", help="only trials whose name matches (default all)")

    check = add(
        "check",
        "is every part there and well? A table of pass and fail, with what to do",
        "guardian check",
        "guardian check --config-only             before a restart: would this configuration be refused?",
        "guardian check --bench                   the same checks on simulated hardware",
    )
    check.add_argument("--config-only", action="store_true", help="only read the configuration")
    check.add_argument("--bench", action="store_true", help="check simulated hardware instead of this machine's")

    calibrate = add(
        "calibrate",
        "learn how the belt sits: stand upright and still for five seconds",
        "guardian calibrate --height-m 0.95       the ranger's height above the floor, measured with a tape",
        "guardian calibrate --height-m floor      lie the belt so that the ranger looks straight down at the floor: it measures",
    )
    calibrate.add_argument(
        "--height-m", metavar="METRES", help="height of the ranger above the floor while worn, or the word floor: measure it"
    )
    calibrate.add_argument("--bench", action="store_true", help="on simulated hardware")

    sounds = add(
        "sounds",
        "play each sound and say what it means",
        "guardian sounds                          all of them, as a table",
        "guardian sounds countdown                play and explain one",
        "guardian sounds --card                   one printable page of sounds and gestures, Markdown",
    )
    sounds.add_argument("name", nargs="?", metavar="NAME", help="one sound")
    sounds.add_argument("--card", action="store_true", help="print the card of sounds and gestures")
    sounds.add_argument("--into", type=Path, metavar="FILE.md", help="with --card: write it between the card's markers of this file")

    _report(add)

    erase = add(
        "erase",
        "delete recordings, sessions, the history of alarms and the journal: they are health data",
        "guardian erase                           lists, asks, deletes",
        "guardian erase --yes                     without asking, an open alarm included",
    )
    erase.add_argument("--yes", action="store_true", help="do not ask")

    retire = add(
        "retire",
        "take this device's entities, state and availability off the broker: Home Assistant and the station forget it",
        "guardian retire                          the service stopped; guardian run announces it anew",
        "guardian retire --set device.id=sim-guardian-01    what guardian sim --broker left there",
    )
    retire.add_argument("--yes", action="store_true", help="even while an alarm is open")

    _station(commands)
    return top


def _report(add: Callable[..., argparse.ArgumentParser]) -> None:
    """`guardian report`."""
    report = add(
        "report",
        "how the training goes: a page with plots and a PNG, for a physiotherapist",
        "guardian report                          the last 30 days",
        "guardian report latest                   the latest session, second by second",
        "guardian report 12-340                   one session, by its id or the beginning or end of it",
        "guardian report --last 10w --exercise stairs --csv --out ./report",
        "guardian report --last 4w --until 2026-03-01 --db ./copy/sessions.db",
    )
    report.add_argument("session", nargs="?", metavar="SESSION", help="a session's id, its beginning or end, or the word latest")
    report.add_argument("--last", metavar="30d", help="a period instead, in days or weeks (default 30d)")
    report.add_argument("--until", metavar="YYYY-MM-DD", help="the period's last day (default today)")
    report.add_argument("--exercise", metavar="NAME", help="only sessions of this exercise")
    report.add_argument("--db", metavar="FILE", type=Path, help="the session database (default sessions.db in device.state_dir)")
    report.add_argument("--out", metavar="FOLDER", type=Path, default=Path(), help="where to write (default here)")
    report.add_argument("--csv", action="store_true", help="sessions and timelines as CSV too")


def _station(commands: Any) -> None:
    """`guardian station` and its actions. --config and --set mean station.toml there, and may stand before or after the action."""

    def add(
        under: Any, name: str, summary: str, *examples: str, default: Any = argparse.SUPPRESS
    ) -> tuple[argparse.ArgumentParser, Callable[..., Any]]:
        made: argparse.ArgumentParser = under.add_parser(
            name,
            help=summary,
            description=summary[0].upper() + summary[1:] + ".",
            epilog="examples:\n" + "\n".join(f"  {example}" for example in examples),
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        made.add_argument(
            "--config", metavar="FILE", type=Path, default=default, help="laid over the shipped station.toml (/etc/guardian/station.toml)"
        )
        sets = default if default is argparse.SUPPRESS else []
        made.add_argument("--set", metavar="KEY=VALUE", action="append", default=sets, help="one key of station.toml; may be repeated")
        return made, made.add_argument

    station, _ = add(
        commands,
        "station",
        "the caregivers' program: hears all wearers, keeps their history, shows a page, calls until somebody answers",
        "guardian station                         what the service runs, until SIGTERM",
        "guardian station check                   is everything there?",
        "guardian station user add keeper --role admin",
        "guardian station enroll guardian-02 --person Grandma",
        "guardian station --set page.port=8080 --set station.state_dir=./state",
        default=None,
    )
    actions = station.add_subparsers(dest="action", metavar="ACTION")

    _, argument = add(
        actions, "check", "configuration, page, broker, database, people, contacts, clock: pass and fail", "guardian station check"
    )
    argument("--config-only", action="store_true", help="only read the configuration")

    user, _ = add(actions, "user", "who may log in", "guardian station user list")
    users = user.add_subparsers(dest="user_action", metavar="ACTION", required=True)
    for name, summary, example in (
        (
            "add",
            "a new user; the password is asked for, or read from standard input",
            "guardian station user add daughter --role carer --wearers guardian-01",
        ),
        ("change", "another role, other wearers", "guardian station user change daughter --role carer --wearers guardian-01,guardian-02"),
        ("passwd", "a new password; ends every login of that user", "guardian station user passwd daughter"),
        ("remove", "delete a user, and end every login of theirs", "guardian station user remove daughter"),
        ("list", "who there is, and whom they see", "guardian station user list"),
    ):
        _, argument = add(users, name, summary, example)
        if name != "list":
            argument("name", metavar="NAME", help="what they type to log in")
        if name in ("add", "change"):
            argument("--role", choices=("admin", "carer"), required=True, help="admin: sees all wearers; carer: those named by --wearers")
            argument("--wearers", metavar="ID,ID", help="device ids, separated by commas")

    enroll, argument = add(
        actions,
        "enroll",
        "make a device's key to the broker, and the lines for its guardian.toml, shown as a QR code too",
        "guardian station enroll guardian-02 --person Grandma           a password, TLS on port 8883",
        "guardian station enroll guardian-02 --certificate           a certificate, TLS on port 8884",
        "guardian station enroll guardian-02 --host broker.example.org --out ./guardian-02",
    )
    argument("name", metavar="ID", help="the device's id: a-z, digits, - and _")
    argument("--person", metavar="NAME", help="what people call the wearer (default: the id)")
    argument("--certificate", action="store_true", help="a key and a certificate instead of a password")
    argument("--host", help="the broker as the device reaches it (default: broker.host, or this machine's name with .local)")
    argument("--port", type=int, help="(default 8883, with a certificate 8884)")
    argument("--out", metavar="DIR", type=Path, help="a new folder for the device's files (default ./ID)")
    argument(
        "--acl", metavar="FILE", type=Path, default=Path("/etc/mosquitto/acl"), help="the broker's rights, to look at (default %(default)s)"
    )
    argument("--no-qr", action="store_true", help="no QR code")

    retired, argument = add(
        actions, "retire", "shut a device out of the broker: password forgotten, certificate revoked", "guardian station retire guardian-02"
    )
    argument("name", metavar="ID", help="the device's id")
    for one in (enroll, retired):
        one.add_argument(
            "--passwords", metavar="FILE", type=Path, default=Path("/etc/mosquitto/passwd"), help="the broker's (default %(default)s)"
        )
        one.add_argument(
            "--authority",
            metavar="DIR",
            type=Path,
            default=Path("/etc/mosquitto/certs"),
            help="with ca.crt and ca.key (default %(default)s)",
        )

    _, argument = add(actions, "test-push", "send a test message to every contact of a wearer", "guardian station test-push guardian-01")
    argument("wearer", metavar="WEARER", help="device id, or name")

    _, argument = add(actions, "erase", "delete all that is kept about one wearer: it is health data", "guardian station erase guardian-01")
    argument("wearer", metavar="ID", help="the device's id")
    argument("--yes", action="store_true", help="do not ask")


def overrides(settings: Sequence[str]) -> dict[str, Any]:
    """`--set section.key=value` words as nested dicts; a value is TOML, else a string. Raises ConfigError."""
    nested: dict[str, Any] = {}
    for setting in settings:
        path, sign, text = setting.partition("=")
        keys = [key.strip() for key in path.split(".")]
        if not sign or not all(keys):
            raise ConfigError(f"--set {setting}: write it as section.key=value")
        try:
            value = tomllib.loads(f"value = {text}")["value"]
        except tomllib.TOMLDecodeError:
            value = text
        inner = nested
        for key in keys[:-1]:
            inner = inner.setdefault(key, {})
            if not isinstance(inner, dict):
                raise ConfigError(f"--set {setting}: {key} is a value, not a section")
        inner[keys[-1]] = value
    return nested


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns its exit code. Ours to say: refusals and bad input end with their message alone."""
    args = parser().parse_args(argv)
    serves = args.command == "run" or (args.command == "station" and args.action is None)
    level = logging.INFO if serves else logging.WARNING
    logging.basicConfig(level=level, format="%(levelname)s %(name)s: %(message)s", stream=sys.stderr)
    if args.config is not None and not args.config.exists():
        print(f"guardian: {args.config} does not exist", file=sys.stderr)
        return 2
    command = importlib.import_module(f"guardian.commands.{args.command}")
    try:
        args.overrides = overrides(args.set)
        return int(command.main(args))
    except ConfigError as error:
        print(f"guardian: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:  # `guardian ... | head`: the reader has left; Python must not complain at exit
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except OSError as error:  # a folder that cannot be written, a full disk
        print(f"guardian: {error}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
