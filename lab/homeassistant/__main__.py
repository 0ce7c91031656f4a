"""The device beside a real Home Assistant: a walk, a fall, an acknowledgement, a clear, a retirement, seen through its own API.

    make test-homeassistant

Makes its own environment (Python 3.11, once, some minutes), starts mosquitto, Home Assistant and a simulated device on the loopback at the
speed of life, prints a table, and stops everything. Exit code 1: a row failed.
"""

import json
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from rich.console import Console
from rich.table import Table

from guardian import __version__
from guardian.app import Play
from guardian.config import Config, load
from guardian.frame import Fault, Frame
from guardian.outputs.discovery import payloads
from guardian.outputs.link import PahoLink
from guardian.sim.person import Person
from guardian.sim.phases import Lie, Stand, TripBackward, Walk
from guardian.sim.scenarios import Scenario
from guardian.sim.surroundings import Surroundings
from guardian.sim.world import Story
from guardian.verdict import Verdict
from lab.durability import Broker
from lab.homeassistant.instance import VERSION, HomeAssistant, environment

OUT = Path(__file__).parent.parent / "out" / "homeassistant"
WALK_S = 30.0  # time for what is tried while walking

# What a caregiver should find, written from the design and not from the device's table: object -> (entity, class, unit)
EXPECTED: dict[str, tuple[str, str | None, str | None]] = {
    "fall": ("binary_sensor.guardian_01_fall", "safety", None),
    "connection": ("binary_sensor.guardian_01_connection", "connectivity", None),
    "alert": ("event.guardian_01_alert", None, None),
    "fault": ("binary_sensor.guardian_01_fault", "problem", None),
    "state": ("sensor.guardian_01_state", None, None),
    "distance": ("sensor.guardian_01_distance_behind", "distance", "m"),
    "steps": ("sensor.guardian_01_steps", None, "steps"),
    "cadence": ("sensor.guardian_01_cadence", None, "steps/min"),
    "battery": ("sensor.guardian_01_battery", "battery", "%"),
    "exercise": ("select.guardian_01_exercise", None, None),
    "ack": ("button.guardian_01_acknowledge", None, None),
    "clear": ("button.guardian_01_clear_alarm", None, None),
    "locate": ("button.guardian_01_locate", "identify", None),
    "test": ("button.guardian_01_test", None, None),
}
ID = {object_: entity for object_, (entity, _, _) in EXPECTED.items()}


class Wearer:
    """An output that notes what the wearer hears and what the device decides; read from another thread."""

    name = "wearer"

    def __init__(self) -> None:
        self.heard: list[tuple[str, int]] = []  # (sound, since)
        self.raised: dict[str, float] = {}  # event_type -> when first, monotonic s
        self.verdict: Verdict | None = None

    def apply(self, frame: Frame, verdict: Verdict) -> None:
        self.verdict = verdict
        for event in verdict.events:
            self.raised.setdefault(event.event_type, time.monotonic())
        alert = verdict.alert
        if alert is not None and (not self.heard or self.heard[-1] != (alert.sound, alert.since_ns)):
            self.heard.append((alert.sound, alert.since_ns))

    def times(self, sound: str) -> int:
        """How often a sound was begun."""
        return len({since for name, since in self.heard if name == sound})

    def faults(self) -> tuple[Fault, ...]:
        return ()

    def close(self) -> None:
        pass


class Results:
    """The table, a row at a time."""

    def __init__(self) -> None:
        self.failed = 0
        self._table = Table(box=None, pad_edge=False, title=f"guardian {__version__} beside Home Assistant {VERSION}", title_justify="left")
        for column in ("", "what", "seen"):
            self._table.add_column(column)

    def row(self, what: str, passed: bool, seen: object = "") -> None:
        self.failed += not passed
        self._table.add_row("[green]ok[/]" if passed else "[red]FAILED[/]", what, str(seen))

    def show(self) -> None:
        out = Console(highlight=False)
        (out if out.is_terminal else Console(highlight=False, width=140)).print(self._table)


@contextmanager
def walking(config: Config, wearer: Wearer) -> Iterator[Play]:
    """The whole device at the speed of life, in a thread: stand, walk backward, fall, lie."""

    def stage(seed: int) -> tuple[Story, tuple[()]]:
        script = (Stand(3), Walk(WALK_S, speed=-0.5), TripBackward(), Lie(3600))
        return Story(Person.drawn(seed), script, Surroundings((), seed=seed)), ()

    scenario = Scenario("homeassistant", "a walk and a fall", 600.0, (), frozenset(), stage)
    play = Play(config, scenario, 0, lambda bench: PahoLink(config), [wearer], pace=1.0, install=None)
    thread = threading.Thread(target=play.run)
    thread.start()
    try:
        yield play
    finally:
        if thread.is_alive():
            play.device.stop()
        thread.join()


def schema_problems(python: Path, config: Config) -> tuple[int, list[str]]:
    """How many payloads there are, and what Home Assistant's own schemas refuse or drop of them."""
    told = {topic: payload.decode() for topic, payload in payloads(config, __version__).items()}
    script = Path(__file__).with_name("schema.py")
    said = subprocess.run([python, script], input=json.dumps(told), capture_output=True, text=True, check=True, timeout=120).stdout
    found = json.loads(said)["problems"]
    return len(found), [f"{topic}: {problem}" for topic, problems in found.items() for problem in problems]


def retained(port: int) -> list[str]:
    """Topics that the broker keeps for newcomers."""
    found: list[str] = []
    done = threading.Event()
    client = Client(CallbackAPIVersion.VERSION2, protocol=MQTTProtocolVersion.MQTTv5)
    client.on_message = lambda _c, _u, message: done.set() if message.topic == "lab/end" else found.append(message.topic)
    client.on_connect = lambda *_: client.subscribe("#", qos=1) and None
    client.on_subscribe = lambda *_: client.publish("lab/end", b"x", qos=1) and None  # comes after what is retained
    client.connect("127.0.0.1", port)
    client.loop_start()
    done.wait(10)
    client.disconnect()
    client.loop_stop()
    return [topic for topic in found if not topic.startswith("lab/")]


def while_walking(home: HomeAssistant, wearer: Wearer, results: Results) -> None:
    """Entities, states, the selector, locate, test."""

    def state(object_: str) -> str:
        return str(home.states().get(ID[object_], {}).get("state", "absent"))

    def attribute(object_: str, name: str) -> Any:
        return home.states().get(ID[object_], {}).get("attributes", {}).get(name)

    took_s = home.until(lambda: set(ID.values()) <= set(home.states()))
    there = home.states()
    wrong = [
        f"{entity}: {shown}"
        for entity, *wanted in EXPECTED.values()
        if (shown := [there.get(entity, {}).get("attributes", {}).get(key) for key in ("device_class", "unit_of_measurement")]) != wanted
    ]
    results.row("14 entities, each with its name, class and unit", took_s is not None and not wrong, wrong or f"within {took_s:.1f} s")
    types = attribute("alert", "event_types") or []
    results.row("the alert entity knows every event", {"fall", "sos", "long_lie", "obstacle", "test"} <= set(types), f"{len(types)} types")
    options = attribute("exercise", "options") or []
    results.row("the exercises can be chosen by their labels", len(options) == 6 and "backward walking" in options, ", ".join(options))

    results.row("state follows", home.until(lambda: state("state") == "GUARDING", 20) is not None, state("state"))
    home.until(lambda: state("cadence") not in ("0.0", "unknown", "unavailable") and state("steps") not in ("0", "unknown"))
    numbers = {name: state(name) for name in ("cadence", "steps", "distance", "battery", "fall", "connection")}
    first = attribute("fault", "faults")  # what came before Home Assistant had subscribed for the first time, nobody heard
    well = home.until(lambda: state("fault") == "off", 30)
    results.row(
        "fault follows", well is not None and set(first) <= {"nobody_listening"}, f"{', '.join(first) or 'none'} -> {state('fault')}"
    )
    plain = numbers["fall"] == "off" and numbers["connection"] == "on" and numbers["distance"] == numbers["battery"] == "unknown"
    counted = float(numbers["cadence"]) > 0 and int(numbers["steps"]) > 0
    results.row("values follow; nothing behind and no gauge are unknown", plain and counted, ", ".join(map(" ".join, numbers.items())))
    results.row("without an alarm nothing can be acknowledged", state("ack") == state("clear") == "unavailable", state("ack"))

    home.selects(ID["exercise"], "backward running")
    device_did = home.until(lambda: wearer.verdict is not None and wearer.verdict.exercise == "run")
    shown = home.until(lambda: state("exercise") == "backward running")
    results.row("the selector acts, and shows what the device says", device_did is not None and shown is not None, state("exercise"))
    home.selects(ID["exercise"], "backward walking")
    home.until(lambda: state("exercise") == "backward walking")

    for press in (1, 2):
        home.presses(ID["locate"])
        home.until(lambda press=press: wearer.times("locate") == press, 8)  # type: ignore[misc]
    results.row("locate pressed twice sounds twice", wearer.times("locate") == 2, f"{wearer.times('locate')} times")

    home.presses(ID["test"])
    came = home.until(lambda: attribute("alert", "event_type") == "test")
    results.row("a test goes there and back", came is not None, "" if came is None else f"{came * 1000:.0f} ms")


def falling(home: HomeAssistant, wearer: Wearer, results: Results) -> None:
    """The fall arrives, is acknowledged, is cleared."""

    def state(object_: str) -> str:
        return str(home.states()[ID[object_]]["state"])

    def alerts() -> list[str]:
        return [new["attributes"]["event_type"] for _, entity, new in list(home.changes) if entity == ID["alert"] and new]

    fell = home.until(lambda: state("fall") == "on", WALK_S + 60)
    on_at = next((at for at, entity, new in home.changes if entity == ID["fall"] and new and new["state"] == "on"), 0.0)
    delay_ms = (on_at - wearer.raised.get("fall", on_at)) * 1000
    home.until(lambda: "fall" in alerts() and state("state") == "FALLEN")
    story = [kind for kind in alerts() if kind in ("imminent_fall", "fall_suspected", "fall")]
    results.row("fall goes ON", fell is not None and delay_ms < 1000, f"{max(0.0, delay_ms):.0f} ms after the device's tick")
    results.row("the alert entity tells the story, in order", story[-2:] == ["fall_suspected", "fall"], " -> ".join(story))
    states = [new["state"] for _, entity, new in home.changes if entity == ID["state"] and new]
    results.row("the state too", states[-2:] == ["DOWN", "FALLEN"], " -> ".join(states[-4:]))

    home.until(lambda: state("ack") != "unavailable")
    home.presses(ID["ack"])
    heard = home.until(lambda: wearer.times("fall_acknowledged") > 0)
    home.until(lambda: alerts()[-1] == "acknowledged")
    results.row("acknowledge: the wearer hears it, everybody sees it", heard is not None and "acknowledged" in alerts(), alerts()[-1])
    results.row("and the alarm stands", state("fall") == "on" and state("state") == "FALLEN", state("state"))

    home.presses(ID["clear"])
    off = home.until(lambda: state("fall") == "off")
    home.until(lambda: alerts()[-1] == "cleared" and state("ack") == "unavailable")
    results.row("clear: the alarm is over", off is not None and "cleared" in alerts(), f"{state('state')}, last alert {alerts()[-1]}")


def leaving(home: HomeAssistant, play: Play, results: Results) -> None:
    """Switched off: said so, and what is no longer known is not shown."""

    def shown(object_: str) -> str:
        return str(home.states()[ID[object_]]["state"])

    play.device.power_off("SIGTERM")
    off = home.until(lambda: shown("connection") == "off")
    power = home.states()[ID["connection"]]["attributes"].get("power")
    results.row("switched off is told apart from lost", off is not None and power == "off", f"connection off, power {power}")
    home.until(lambda: shown("state") == "unavailable")
    gone = {name: shown(name) for name in ("state", "cadence", "fault", "locate", "exercise")}
    results.row("nothing measured is shown any more", set(gone.values()) == {"unavailable"}, " ".join(gone))
    results.row("fall and alert keep their last value", shown("fall") == "off" and shown("alert") != "unavailable", shown("alert"))


def retiring(home: HomeAssistant, config: Config, results: Results) -> None:
    """`guardian retire`, and nothing is left."""
    before = retained(config.mqtt.port)
    keys = {"mqtt.host": config.mqtt.host, "mqtt.port": config.mqtt.port, "device.state_dir": config.device.state_dir}
    settings = [word for key, value in keys.items() for word in ("--set", f"{key}={value}")]
    ran = subprocess.run([sys.executable, "-m", "guardian", "retire", *settings], capture_output=True, text=True, check=False, timeout=60)
    results.row("guardian retire", ran.returncode == 0, (ran.stdout.splitlines() or ran.stderr.splitlines() or [""])[-1].strip())
    empty = home.until(lambda: not home.registry() and "guardian-01" not in home.devices())
    left = [entity for entity in ID.values() if entity in home.states()]
    results.row("entities and device are gone", empty is not None and not left, left or "none left")
    after = retained(config.mqtt.port)
    results.row(
        "the broker keeps nothing of the device", len(before) == 16 and not after, f"{len(before)} retained before, {len(after)} after"
    )


def main() -> int:
    mosquitto = shutil.which("mosquitto") or "/usr/sbin/mosquitto"
    if not Path(mosquitto).exists():
        raise SystemExit("mosquitto is not installed (apt install mosquitto)")
    python = environment(OUT)
    results = Results()
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="guardian-homeassistant-") as place:
        folder = Path(place)
        broker = Broker(mosquitto, folder)
        config = load(
            local=None, overrides={"mqtt": {"host": "127.0.0.1", "port": broker.port}, "device": {"state_dir": str(folder / "state")}}
        )
        number, problems = schema_problems(python, config)
        results.row(
            f"{number} discovery payloads pass {VERSION}'s own schemas",
            number == 14 and not problems,
            problems or "no key refused or dropped",
        )
        broker.start()
        try:
            with HomeAssistant(python, folder / "config", broker.port) as home:
                wearer = Wearer()
                with walking(config, wearer) as play:
                    while_walking(home, wearer, results)
                    falling(home, wearer, results)
                    leaving(home, play, results)
                retiring(home, config, results)
                complaints = [line for line in home.log() if "mqtt" in line or "guardian" in line]
                results.row("Home Assistant's log has no complaint about the device", not complaints, "\n".join(complaints) or "none")
        finally:
            broker.kill()
    results.show()
    print(f"{results.failed} failed; {time.monotonic() - began:.0f} s" + ("" if results.failed else ", everything stopped"))
    return 1 if results.failed else 0


if __name__ == "__main__":
    sys.exit(main())
