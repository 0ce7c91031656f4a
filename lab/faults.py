"""What happens when a part fails: each fault done to the whole device, what the wearer hears, what the caregiver sees, what is lost.

    python -m lab.faults                            # all of them; exit 1 if a bar is missed
    python -m lab.faults imu_silent link_down       # these
    python -m lab.faults --into README.md           # the table also goes between its marks there

Somebody stands or walks backward in the open, with the real drivers, monitor, outbox, journal and MQTT output on simulated hardware.
Each case breaks one part at the lowest level there is (a chip's registers, a wire, the bus, the broker, the kernel's files, the computer's
clock, the loop), leaves it broken for a while, and mends it. When the fault's definition is met follows from the configuration and
from what was done, never from what the device did.

The bars: nothing is wrong before; its own sound, as the table of sounds has it, is on the buzzer's pin within BAR_S of its definition;
the state names it within BAR_S too, or of the link's return; its beginning and its end arrive as events; no event is lost; and with the
part back, the device guards and knows the space behind, without any fault, within `back_s`. Each case is performed at several moments of
the device's periods, with several specimens of parts and wearers; the table has the worst.
"""

import argparse
import json
import logging
import os
import sys
import tempfile
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from guardian.app import Play, places
from guardian.config import Config, load, ns
from guardian.recording import Tick
from guardian.recording import read as read_recording
from guardian.sim.bench import Bench
from guardian.sim.broker import RECONNECT_S, SimLink
from guardian.sim.person import Person
from guardian.sim.phases import Phase, Stand, Walk
from guardian.sim.scenarios import Scenario
from guardian.sim.surroundings import Surroundings
from guardian.sim.world import Story
from guardian.verdict import Obstacle, State, Verdict
from lab.acts import (
    BUTTON,
    CABLE,
    GYRO_RAILED,
    HUNG,
    RESTART_S,
    TRIGGER,
    VIBRATION_PIN,
    WIFI,
    Overrides,
    break_motor_and_press,
    bring_caregiver_back,
    cell,
    empty_journal,
    fill_disk,
    fill_journal,
    free_disk,
    lie_on_the_button,
    little_room,
    no_clock,
    nothing,
    permit_events,
    refuse_events,
    refuse_writes,
    right_board,
    send_caregiver_away,
    switch_broker_off,
    undervoltage,
    worn_gyro,
    writes_again,
    wrong_board,
)
from lab.marks import write_between
from lab.stage import Act, Stage

BAR_S = 0.5
SHIFTS_S = (0.013, 1.204, 2.291, 3.77)  # against periods of 10, 67, 100, 400 and 800 ms, 1 s and 5 s
WELL_S = 1.0  # well again is what lasts this long
BEGIN, END = "<!-- faults -->", "<!-- /faults -->"


@dataclass(frozen=True)
class Case:
    """One way for a part to fail. Times in seconds."""

    fault: str
    done: str  # in words
    begin: Act
    heal: Act
    definition: str  # in words
    met_s: Callable[[Config], float]  # after `begin`
    at_s: float = 8.0  # after power-on; 0: before it
    stays_s: float = 5.0  # broken for this long after its definition is met
    after_s: float = 10.0
    back_s: float = 5.0
    walks: bool = True
    linked: bool = True  # False: the state can be told only when it is healed
    told_as: str = "fault"  # the event
    overrides: Callable[[Path], Overrides] = lambda folder: {}

    @property
    def title(self) -> str:
        """Fault and what is done."""
        return f"{self.fault}: {self.done}"


class Performance(Stage):
    """A case, as it is performed."""

    def __init__(self, case: Case, folder: Path, shift_s: float, seed: int) -> None:
        changes: Overrides = {"device": {"state_dir": str(folder)}, "recorder": {"enabled": False}}
        super().__init__(load(local=None, overrides=changes | case.overrides(folder)), folder, seed)
        self.case = case
        self.begin_s = case.at_s + shift_s if case.at_s else 0.0
        self.heal_s = self.begin_s + case.met_s(self.config) + case.stays_s
        self.end_s = self.heal_s + case.after_s
        self.play = Play(self.config, self._scenario(), seed, self._connect, watching=(self,))
        self.bench = self.play.bench
        if case.at_s:
            self.bench.at(self.begin_s, self._begin)
        self.bench.at(self.heal_s, self._heal)

    def run(self) -> None:
        """From power-on to the end."""
        try:
            self.play.run()
        finally:
            writes_again(self)

    def _begin(self) -> None:
        self.case.begin(self)

    def _heal(self) -> None:
        self.case.heal(self)

    def _connect(self, bench: Bench) -> SimLink:
        self.link = SimLink(bench.clock, self.config)
        if not self.case.at_s:
            self._begin()
        return self.link

    def _scenario(self) -> Scenario:
        walk: tuple[Phase, ...] = (Stand(3), Walk(3600, speed=-0.6))
        script = walk if self.case.walks else (Stand(3600),)

        def staged(seed: int) -> tuple[Story, tuple[()]]:
            # upright, and the belt a little up at the back: the floor is out of the beam's range, so what is behind is known
            who = Person(lean_back_deg=0.0, belt_pitch_deg=6.0, seed=seed)
            self.world = Story(who, script, Surroundings(seed=seed))
            return self.world, ()

        return Scenario(self.case.fault, self.case.done, self.end_s, (), frozenset(), staged)


@dataclass(frozen=True)
class Result:
    """What came of one performance; times in seconds after it began, `back_s` after it was healed; None: never."""

    title: str
    met_s: float
    heard_s: float | None
    meaning: str
    state_s: float | None
    back_s: float | None
    events: int  # raised in all
    undated: int  # of them without a time of day
    unrecorded_s: float  # of recording
    missed: tuple[str, ...]  # bars


def perform(case: Case, shift_s: float = 0.0, seed: int = 1) -> Result:
    """One performance, in a folder of its own: in memory where there is such a place, since its many fsyncs wear a disk."""
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if os.access(memory, os.W_OK) else None) as folder:
        stage = Performance(case, Path(folder), shift_s, seed)
        stage.run()
        return judged(stage)


def judged(stage: Performance) -> Result:
    """Hold a performance against its bars."""
    case, config, link, verdicts = stage.case, stage.config, stage.link, stage.verdicts
    begin_ns, heal_ns = ns(stage.begin_s), ns(stage.heal_s)
    met_s = case.met_s(config)
    early = {name for verdict in verdicts if verdict.t_ns < begin_ns for name in verdict.faults}
    heard_s, as_written = heard(stage)
    states = [one for one in link.broker if one.topic.endswith("/state") and one.t_ns >= begin_ns]
    named_ns = next((one.t_ns for one in states if case.fault in json.loads(one.payload)["faults"]), None)
    state_s = None if named_ns is None else (named_ns - begin_ns) / 1e9
    state_by_s = met_s + BAR_S if case.linked else stage.heal_s - stage.begin_s + RECONNECT_S + BAR_S
    came: dict[str, Any] = {str(event["id"]): event for event in link.events()}
    raised = [event for verdict in verdicts for event in verdict.events]
    lost = [event.event_type for event in raised if event.id not in came]
    told = [event["event_type"] for event in came.values() if event["evidence"].get("fault") == case.fault]
    back_s = back(verdicts, heal_ns)
    bars = {
        f"{sorted(early)} before anything was done": not early,
        f"heard after {heard_s} s, with its definition met after {met_s:.2f} s": heard_s is not None and heard_s <= met_s + BAR_S,
        "not the sound of its row": as_written,
        f"in the state after {state_s} s, not {state_by_s:.2f} s": state_s is not None and state_s <= state_by_s,
        f"told as {told}": told == [case.told_as, "fault_cleared"],
        f"lost: {lost}": not lost,
        f"well again after {back_s} s, not {case.back_s} s": back_s is not None and back_s <= case.back_s,
    }
    return Result(
        case.title,
        met_s,
        heard_s,
        config.sounds[case.fault].meaning,
        state_s,
        back_s,
        len(raised),
        sum(event["t"] is None for event in came.values()),
        unrecorded_s(stage) if config.recorder.enabled else 0.0,
        tuple(bar for bar, kept in bars.items() if not kept),
    )


def heard(stage: Performance) -> tuple[float | None, bool]:
    """When the fault's sound was first on the buzzer's pin, and whether its beeps there are its row's, up to where it was cut off."""
    begin_ns, name = ns(stage.begin_s), stage.case.fault
    line = stage.bench.sound_log
    alert = next((one.alert for one in stage.verdicts if one.t_ns >= begin_ns and one.alert and one.alert.sound == name), None)
    if alert is None:
        return None, False
    on_before = [on for t_ns, on in line if t_ns <= alert.since_ns][-1:] == [True]  # another sound's beep goes over into it
    on_ns = alert.since_ns if on_before else next((t_ns for t_ns, on in line if on and t_ns > alert.since_ns), None)
    if on_ns is None:
        return None, False
    played = [one.t_ns for one in stage.verdicts if one.alert == alert]
    slack_ms = 10 + max((later - earlier for earlier, later in pairwise(played)), default=0) / 1e6
    edges = [on_ns, *(t_ns for t_ns, _ in line if on_ns < t_ns <= played[-1])]
    beeps_ms = [(later - earlier) / 1e6 for earlier, later in pairwise(edges)]
    written_ms = stage.config.sounds[name].on_off_ms[: len(beeps_ms)]
    close = all(abs(is_ms - should_ms) <= slack_ms for is_ms, should_ms in zip(beeps_ms, written_ms, strict=False))
    return (on_ns - begin_ns) / 1e9, close and len(beeps_ms) == len(written_ms)


def back(verdicts: list[Verdict], heal_ns: int) -> float | None:
    """How long after healing all was well, and stayed so for WELL_S."""
    healed = [one for one in verdicts if one.t_ns >= heal_ns]
    ill = [one.t_ns for one in healed if one.faults or one.state is not State.GUARDING or one.obstacle is Obstacle.UNKNOWN]
    last_ill = (earlier for earlier, later in pairwise([heal_ns, *ill, healed[-1].t_ns]) if later - earlier >= ns(WELL_S))
    well_ns = next(last_ill, None)
    return None if well_ns is None else (well_ns - heal_ns) / 1e9


def unrecorded_s(stage: Performance) -> float:
    """Seconds of ticks that are in no recording."""
    files = places(stage.config).recordings.glob("*.mcap")
    kept = sum(isinstance(entry, Tick) for file in files for entry in read_recording(file).entries())
    return (len(stage.verdicts) - kept) * stage.config.loop.tick_ms / 1000


# when it is defined to be a fault


def imu_silent(config: Config) -> float:
    """No sample for so long."""
    return config.health.imu.period_ms * config.health.imu.silent_periods / 1000


def echo_silent(config: Config) -> float:
    """No ping's outcome for so long."""
    return config.health.echo.period_ms * config.health.echo.silent_periods / 1000


def echo_stuck(config: Config) -> float:
    """So many pings."""
    return config.health.echo_stuck_pings / config.ranger.rate_hz


def first_still(config: Config) -> float:
    """A reset and a still second."""
    return config.imu.reset_timeout_ms / 1000 + config.estimate.still_s


def link_silent(config: Config) -> float:
    """Since the broker's last word, which is not older than this fault."""
    return 1.5 * config.mqtt.keepalive_s


def at_once(config: Config) -> float:
    """With the first look."""
    return 0.0


def also(**tables: dict[str, Any]) -> Callable[[Path], Overrides]:
    """Laid over the shipped configuration."""
    return lambda folder: tables


MPU = also(imu={"chip": "mpu6050", "address": 0x68})
RECORDING = also(recorder={"enabled": True})
FROZEN = "one axis constant for health.stuck_s, another moves"

# fmt: off
CASES: tuple[Case, ...] = (
    Case("imu_silent", "cable off (LSM6DSOX)", *CABLE, "no sample (health.imu)", imu_silent),
    Case("imu_silent", "cable off (MPU-6050)", *CABLE, "no sample (health.imu)", imu_silent, overrides=MPU),
    Case("imu_stuck", "accelerometer z frozen (LSM6DSOX)", lambda s: s.bench.imu_stuck(2), lambda s: s.bench.imu_heals(),
         FROZEN, lambda c: c.health.stuck_s),
    Case("imu_stuck", "gyroscope y frozen (MPU-6050)", lambda s: s.bench.imu_stuck(4), lambda s: s.bench.imu_heals(),
         FROZEN, lambda c: c.health.stuck_s, overrides=MPU),
    Case("imu_scale", "an LSM6DSO32 in place of the LSM6DSOX, from power-on", wrong_board, right_board,
         "the first still second", first_still, at_s=0.0, walks=False),
    Case("imu_scale", "a clone that turns 15°/s at rest (MPU-6050), from power-on", worn_gyro, right_board,
         "the first still second", first_still, at_s=0.0, walks=False, overrides=MPU),
    Case("imu_saturated", "gyroscope at full scale (LSM6DSOX)", *GYRO_RAILED,
         "health.saturated_s without a break", lambda c: c.health.saturated_s),
    Case("imu_saturated", "gyroscope at full scale (MPU-6050)", *GYRO_RAILED,
         "health.saturated_s without a break", lambda c: c.health.saturated_s, overrides=MPU),
    Case("bus_hung", "SDA held low, a battery gauge on the bus too (LSM6DSOX)", *HUNG, "no sample (health.imu)", imu_silent,
         overrides=also(supply={"gauge": "max17048"})),
    Case("bus_hung", "SDA held low (MPU-6050)", *HUNG, "no sample (health.imu)", imu_silent, overrides=MPU),
    Case("echo_silent", "the trigger's GPIO cannot be written", *TRIGGER, "no ping's outcome (health.echo)", echo_silent),
    Case("echo_stuck_high", "the echo line stays high", lambda s: s.bench.ranger_stuck_high(), lambda s: s.bench.ranger_heals(),
         "health.echo_stuck_pings in a row", echo_stuck),
    Case("echo_stuck_low", "all four wires off", lambda s: s.bench.unplug_ranger(), lambda s: s.bench.plug_ranger(),
         "health.echo_stuck_pings without an answer", echo_stuck),
    Case("echo_stuck_low", "the echo line stays low", lambda s: s.bench.ranger_stuck_low(), lambda s: s.bench.ranger_heals(),
         "health.echo_stuck_pings without an answer", echo_stuck),
    Case("button_stuck", "its contact stays closed: an SOS, which the caregiver clears", lie_on_the_button, lambda s: s.bench.release(),
         "pressed for health.button_stuck_s", lambda c: c.health.button_stuck_s),
    Case("button_stuck", "its GPIO cannot be read", *BUTTON, "at once", at_once),
    Case("loop_late", "the computer does nothing for 0.6 s", lambda s: s.bench.stall(0.6), nothing,
         "its first tick after that", lambda c: 0.6),
    Case("loop_late", "another program takes 60 ms of every 100", lambda s: s.share_computer(0.1, lambda: 0.06),
         lambda s: s.have_computer(), "its lateness fills health.late_bucket_s",
         lambda c: c.health.late_bucket_s / (0.6 - c.health.late_leak)),
    Case("output_failed", "the vibration motor's GPIO cannot be written, and a press is to be felt", break_motor_and_press,
         lambda s: s.bench.pin_heals(VIBRATION_PIN), "the press", lambda c: c.button.debounce_ms / 1000,
         overrides=also(buzzer={"vibration_pin": VIBRATION_PIN})),
    Case("output_failed", "the card refuses every write (EFBIG)", refuse_writes, writes_again,
         "the recorder's next chunk", lambda c: c.recorder.chunk_s, back_s=6.0, overrides=RECORDING),
    Case("disk_full", "no space for the journal (ENOSPC), which has something to write", fill_journal, empty_journal,
         "at once", at_once, back_s=6.0),
    Case("disk_full", "another's file leaves less than recorder.keep_free_mb", fill_disk, free_disk,
         "the recorder's next chunk", lambda c: c.recorder.chunk_s, back_s=6.0, overrides=little_room),
    Case("link_down", "Wi-Fi gone", *WIFI, "1.5 × mqtt.keepalive_s without a word", link_silent, linked=False),
    Case("link_down", "no Wi-Fi from power-on", *WIFI, "1.5 × mqtt.keepalive_s without a word", link_silent, linked=False, at_s=0.0),
    Case("link_down", "the broker's machine is switched off", switch_broker_off, lambda s: s.link.wifi_up(),
         "1.5 × mqtt.keepalive_s without a word", link_silent, linked=False),
    Case("nobody_listening", "nobody is subscribed, and there is an event", send_caregiver_away, bring_caregiver_back,
         "the broker's answer (16)", at_once, stays_s=100.0, after_s=70.0, back_s=61.0),
    Case("event_refused", "the broker forbids an event (0x87)", refuse_events, permit_events,
         "refused outbox.refusals_max times", lambda c: (c.outbox.refusals_max - 1) * c.outbox.backoff_first_s),
    Case("clock_unsynced", "nobody sets the clock; the broker starts anew once", no_clock, lambda s: s.bench.set_clock(),
         "connected for mqtt.clock_wait_s without it", lambda c: RESTART_S + RECONNECT_S + c.mqtt.clock_wait_s, at_s=0.0),
    Case("supply_low", "the kernel's undervoltage flag", undervoltage("1"), undervoltage("0"), "at once", at_once,
         overrides=lambda folder: {"supply": {"undervoltage_file": str(folder / "in0_lcrit_*")}}),
    Case("supply_low", "the MAX17048 says 10 %", cell(0.10, 3.5), cell(0.80, 3.9), "at once", at_once, told_as="battery_low",
         overrides=also(supply={"gauge": "max17048"})),
    Case("supply_low", "the INA219 reads 3.4 V", cell(0.10, 3.4), cell(0.80, 3.9), "at once", at_once, told_as="battery_low",
         overrides=also(supply={"gauge": "ina219", "address": 0x40})),
)
# fmt: on


# all of them


def performances(index: int) -> list[Result]:
    """A case at all moments."""
    logging.disable()  # what the device logs of its faults is not looked at
    return [perform(CASES[index], shift_s, seed) for seed, shift_s in enumerate(SHIFTS_S, 1)]


def table(done: dict[Case, list[Result]]) -> str:
    """Markdown. Times are the worst of each case's performances."""
    lines = [
        "| fault | what is done | its definition is met | after, s | heard after, s | in the state after, s | the wearer hears "
        "| well again after, s | lost |",
        "|---|---|---|---:|---:|---:|---|---:|---|",
    ]
    for case, results in done.items():
        heard_s, state_s, back_s = (_worst([getattr(result, name) for result in results]) for name in ("heard_s", "state_s", "back_s"))
        state_s += "" if case.linked else f", when the link is back after {results[0].met_s + case.stays_s:.0f}"
        undated, unrecorded = max(result.undated for result in results), max(result.unrecorded_s for result in results)
        lost = "no event" if not any(result.missed for result in results) else "**a bar is missed**"
        lost += f"; {unrecorded:.0f} s of recording, told as a gap" if unrecorded else ""
        lost += f"; the time of day of {undated}" if undated else ""
        lines.append(
            f"| {case.fault} | {case.done} | {case.definition} | {results[0].met_s:.2f} | {heard_s} | {state_s} | {results[0].meaning} "
            f"| {back_s} | {lost} |"
        )
    return "\n".join(lines)


def _worst(times_s: list[float | None]) -> str:
    known = [time_s for time_s in times_s if time_s is not None]
    return f"{max(known):.2f}" if len(known) == len(times_s) else "**never**"


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("faults", nargs="*", metavar="FAULT", help="only these; default: all")
    parser.add_argument("--markdown", action="store_true", help="print the table only")
    parser.add_argument("--into", type=Path, metavar="PAGE", help="write the table into a page, between its marks")
    parser.add_argument("--jobs", type=int, default=2)
    args = parser.parse_args()
    unknown = set(args.faults) - {case.fault for case in CASES}
    if unknown:
        parser.error(f"no such fault: {', '.join(sorted(unknown))}")
    chosen = [index for index, case in enumerate(CASES) if not args.faults or case.fault in args.faults]
    done: dict[Case, list[Result]] = {}
    with ProcessPoolExecutor(args.jobs) as pool:
        for index, results in zip(chosen, pool.map(performances, chosen), strict=True):
            done[CASES[index]] = results
            if not args.markdown:
                missed = sorted({bar for result in results for bar in result.missed})
                print(f"{'MISSED' if missed else 'kept':7}{CASES[index].title}", *missed, sep="\n       ", flush=True)
    text = table(done)
    print(text)
    if args.into:
        write_between(args.into, BEGIN, END, text)
    return int(any(result.missed for results in done.values() for result in results))


if __name__ == "__main__":
    sys.exit(main())
