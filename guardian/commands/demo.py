"""guardian demo: the story in 40 seconds, with a real broker and a caregiver who hears of the fall.

The device runs on simulated hardware; its alerts go through paho, TCP and the broker to a client of its own, which answers with receipts.
Where the station extra is installed, the caregivers' page is there too: on a terminal the story waits for somebody to open it, and goes on
until Enter, so that the alarm can be acknowledged there. Exit code 0 only if the fall has arrived.
"""

import dataclasses
import select
import sys
import tempfile
import threading
import time
from argparse import Namespace
from contextlib import ExitStack
from pathlib import Path

from msgspec.structs import replace
from rich.console import Console

from guardian.app import Play
from guardian.commands import demo_page
from guardian.commands.caregiver import BrokerAndCaregiver, Received
from guardian.commands.options import config_of, console
from guardian.commands.sim import at_broker, in_folder, received
from guardian.commands.view import Lines, LiveView, Story, printed
from guardian.config import Config, ConfigError
from guardian.contract import Topics
from guardian.frame import Fault, Frame
from guardian.outputs.link import PahoLink
from guardian.outputs.output import Output
from guardian.sim.scenarios import SCENARIOS
from guardian.verdict import Verdict

ARRIVE_S = 5.0
OPEN_S = 60.0  # for somebody to open the page
LONGEST_S = 3600.0  # of a story that somebody has to end


class Pacing:
    """An output that learns when simulated time began by this machine's clock, as a tick is never early: the least difference counts."""

    name = "pacing"

    def __init__(self) -> None:
        self.began_s = float("inf")
        self.t_s = 0.0

    def apply(self, frame: Frame, verdict: Verdict) -> None:
        """One tick."""
        self.t_s = verdict.t_ns / 1e9
        self.began_s = min(self.began_s, time.monotonic() - self.t_s)

    def took_ms(self, event: Received) -> float:
        """From the tick that raised an event to its arrival."""
        return max(0.0, (event.at - self.began_s - event.uptime_s) * 1000)

    def faults(self) -> tuple[Fault, ...]:
        """Never any."""
        return ()

    def close(self) -> None:
        """Nothing to do."""


def main(args: Namespace) -> int:
    """Tell the story; 0 when the caregiver got the fall."""
    out = console()
    with tempfile.TemporaryDirectory(prefix="guardian-demo-") as folder:
        return tell(in_folder(config_of(args), Path(folder)), args.seed, not args.fast, out)


def tell(config: Config, seed: int, paced: bool, out: Console) -> int:
    """Play it, then wait a moment for what is still under way."""
    in_place = paced and out.is_terminal
    story, pacing = Story(None if in_place else printed(out)), Pacing()

    def told(event: Received) -> None:
        after = f", {pacing.took_ms(event):.0f} ms later" if paced else ""
        story.add(received(pacing.t_s, event.event_type, event.severity, event.evidence, after))

    with ExitStack() as stack:
        caregiver = stack.enter_context(BrokerAndCaregiver(Topics(config.mqtt.root, config.device.id), told))
        config = at_broker(config, f"127.0.0.1:{caregiver.port}")
        plain = replace(config.mqtt, protocol=311, tls=False, username="", password_file="", ca_file="", cert_file="", key_file="")
        config = replace(config, mqtt=plain)  # amqtt speaks MQTT 3.1.1
        watched = paced and with_page(config, caregiver.port, out, stack)
        until_enter = watched and in_place and sys.stdin.isatty()
        scenario = SCENARIOS["demo"]
        watching: list[Output] = [pacing, Lines(config, story)]
        if in_place:
            title = f"guardian demo: a backward walk, a wall, a fall{'; Enter ends it' if until_enter else ''}"
            watching.append(LiveView(config, story, title, out))
        else:
            out.print(f"[bold]demo[/]: {scenario.summary}", soft_wrap=True)
        if until_enter:
            out.print(f"The story begins when you press Enter, or in {OPEN_S:.0f} s.")
            if select.select([sys.stdin], [], [], OPEN_S)[0]:
                sys.stdin.readline()
            scenario = dataclasses.replace(scenario, duration_s=LONGEST_S)
        play = Play(config, scenario, seed, lambda bench: PahoLink(config), watching, 1.0 if paced else None)
        if until_enter:
            threading.Thread(target=end_at_enter, args=(play,), daemon=True).start()
        play.run()
        if pacing.t_s < SCENARIOS["demo"].duration_s - ARRIVE_S and caregiver.arrived("fall") is None:
            out.print("ended before the fall")
            return 1
        until = time.monotonic() + ARRIVE_S
        while caregiver.arrived("fall") is None and time.monotonic() < until:
            time.sleep(0.05)
        fall = caregiver.arrived("fall")
    if fall is None:
        out.print("[bold red]the caregiver was not told of the fall[/]")
        return 1
    took = f" {pacing.took_ms(fall):.0f} ms after the device raised it" if paced else ""
    out.print(f"[bold green]The caregiver was told of the fall{took}, through a real MQTT broker.[/]")
    return 0


def end_at_enter(play: Play) -> None:
    """Somebody has seen enough."""
    sys.stdin.readline()
    play.device.stop()


def with_page(config: Config, broker_port: int, out: Console, stack: ExitStack) -> bool:
    """Start the caregivers' page and say how to see it; False where it is not installed or does not start: the story needs it not."""
    if not demo_page.is_there():
        return False
    folder = Path(config.device.state_dir) / "station"
    folder.mkdir()
    try:
        page = stack.enter_context(demo_page.DemoPage(folder, broker_port, config.device.id, "Grandma"))
    except ConfigError as error:
        out.print(f"[yellow]{error}[/]", soft_wrap=True)
        return False
    out.print(
        f"The caregivers' page: [bold]{page.address}[/]   name [bold]{demo_page.USER}[/]   password [bold]{page.password}[/]",
        soft_wrap=True,
    )
    return True
