"""guardian sim: a story on simulated hardware, seen live; the program is the one that is worn."""

import shutil
import sys
import tempfile
from argparse import Namespace
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import msgspec
from msgspec.structs import replace
from rich.console import Console
from rich.table import Table

from guardian.app import Play
from guardian.commands.options import config_of, console
from guardian.commands.view import Line, Lines, LiveView, Story, printed
from guardian.commands.words import evidence_of, style_of, text_of
from guardian.config import Config, ConfigError
from guardian.contract import Topics
from guardian.frame import Fault, Frame
from guardian.outputs.link import Link, PahoLink
from guardian.outputs.output import Output
from guardian.sim.broker import SimLink
from guardian.sim.scenarios import SCENARIOS, Scenario
from guardian.verdict import Verdict

NAME_MOST = 32  # letters of device.id


def main(args: Namespace) -> int:
    """List the stories, or play one."""
    out = console()
    if args.list or args.scenario is None:
        table = Table(box=None, pad_edge=False)
        for column in ("story", "exercise", "what happens", "s"):
            table.add_column(column, style="bold" if column == "story" else "", no_wrap=column != "what happens")
        for scenario in SCENARIOS.values():
            table.add_row(scenario.name, scenario.exercise, scenario.summary, f"{scenario.duration_s:.0f}")
        out.print(table)
        return 0
    if args.scenario not in SCENARIOS:
        print(f"guardian: no story is named {args.scenario!r}; there are: {', '.join(SCENARIOS)}", file=sys.stderr)
        return 2
    scenario = SCENARIOS[args.scenario]
    config = config_of(args)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="guardian-sim-")))
        config = in_folder(config, folder)
        if args.broker:
            config = at_broker(as_another(config), args.broker)
        show(config, scenario, args.seed, out, live=not args.fast, broker=bool(args.broker))
        if args.record:
            kept = keep(folder / "recordings", args.record, f"{scenario.name}-{args.seed}")
            out.print(f"recorded; play it again: guardian replay {' '.join(map(str, kept))}", soft_wrap=True)
    return 0


def keep(recordings: Path, folder: Path, name: str) -> list[Path]:
    """Copy recordings to a folder under the story's name."""
    folder.mkdir(parents=True, exist_ok=True)
    return [Path(shutil.copy(path, folder / f"{name}-{number:03d}.mcap")) for number, path in enumerate(sorted(recordings.glob("*.mcap")))]


def in_folder(config: Config, folder: Path) -> Config:
    """The same configuration with its state elsewhere."""
    return replace(config, device=replace(config.device, state_dir=str(folder)))


def as_another(config: Config) -> Config:
    """The same configuration under a name of its own: a story must not speak for the device that is worn."""
    return replace(config, device=replace(config.device, id=f"sim-{config.device.id}"[:NAME_MOST]))


def at_broker(config: Config, address: str) -> Config:
    """The same configuration with another broker. Raises ConfigError."""
    host, _, port = address.rpartition(":")
    if not host or not port.isdigit() or not 0 < int(port) < 65536:
        raise ConfigError(f"--broker {address}: write it as HOST:PORT, e.g. localhost:1883")
    return replace(config, mqtt=replace(config.mqtt, enabled=True, host=host, port=int(port)))


def show(config: Config, scenario: Scenario, seed: int, out: Console, live: bool, broker: bool) -> None:
    """Play a story: in place on a terminal, in lines elsewhere or when it is to be fast."""
    links: list[SimLink] = []
    in_place = live and out.is_terminal
    story = Story(None if in_place else printed(out))
    watching: list[Output] = [Lines(config, story), Caregiver(config, story, links)]
    if in_place:
        watching.append(LiveView(config, story, f"guardian sim {scenario.name}", out))
    else:
        out.print(f"[bold]{scenario.name}[/]: {scenario.summary}", soft_wrap=True)

    def simulated(bench: Any) -> Link:
        links.append(SimLink(bench.clock, config))
        return links[-1]

    play = Play(config, scenario, seed, (lambda bench: PahoLink(config)) if broker else simulated, watching, pace=1.0 if live else None)
    play.run()


class Caregiver:
    """An output that tells what the simulated caregiver has received."""

    name = "caregiver"

    def __init__(self, config: Config, story: Story, links: Sequence[SimLink]) -> None:
        self._topic = Topics(config.mqtt.root, config.device.id).event
        self._story = story
        self._links = links
        self._read = 0
        self._known: set[str] = set()

    def apply(self, frame: Frame, verdict: Verdict) -> None:
        """What has come since the last tick?"""
        if not self._links:
            return
        seen = self._links[-1].seen
        if self._read > len(seen):
            self._read = 0  # another life of the program has another link
        for message in seen[self._read :]:
            if message.topic == self._topic:
                event = msgspec.json.decode(message.payload)
                if event["id"] not in self._known:
                    self._known.add(event["id"])
                    self._story.add(received(message.t_ns / 1e9, event["event_type"], event["severity"], event["evidence"]))
        self._read = len(seen)

    def faults(self) -> tuple[Fault, ...]:
        """Never any."""
        return ()

    def close(self) -> None:
        """Nothing to do."""


def received(t_s: float, event_type: str, severity: str, evidence: dict[str, Any], after: str = "") -> Line:
    """An event as a caregiver reads it."""
    shown = evidence_of(evidence) if severity == "critical" else ""
    return Line(t_s, "caregiver", f"{severity}: {text_of(event_type)}{after}{f' ({shown})' if shown else ''}", style_of(event_type))
